"""The encoder of a trained autoencoder, frozen or trained further. The run folder is written by hand here."""

import pytest
import torch
from safetensors.torch import save_file

from classlab.errors import UserError
from classlab.experiment import Choice
from classlab.models import autoencoder, encoder_classifier
from classlab.models.make import make
from classlab.network.layer_table import layer_table

SHAPE = (1, 8, 8)
EXPERIMENT = """
name: small
data: {{dataset: digits, val_size: 100}}
model: {{name: autoencoder, widths: [20, 6]}}
training: {{epochs: 1, batch_size: 32, optimizer: {{name: sgd, learning_rate: 0.1}}}}
protocol: {{select: {select}}}
"""


def run_folder(folder, select="last"):
    torch.manual_seed(0)
    model = autoencoder.build(SHAPE, widths=[20, 6])
    (folder / "experiment.yaml").write_text(EXPERIMENT.format(select=select))
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    save_file({**state, "counters": torch.zeros(3)}, folder / f"{select}.safetensors")
    return model


@pytest.mark.parametrize("select", ["last", "best"])
@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("initialise", ["default", "he_normal"])
def test_the_encoder_starts_from_the_run_s_selected_weights(tmp_path, select, freeze, initialise):
    trained = run_folder(tmp_path, select)
    options = {"widths": [20, 6], "hidden": [12], "activation": "relu", "encoder": str(tmp_path), "freeze": freeze}
    chosen = Choice.model_construct(None, name="encoder_classifier", **options)
    model = make(chosen, Choice.model_construct(None, name=initialise), SHAPE, 10, seed=1)
    images = torch.randn(5, *SHAPE)
    assert torch.equal(model.encoder(images), trained.encoder(images))
    table = layer_table(model, SHAPE)
    encoder = 64 * 20 + 20 + 20 * 6 + 6
    assert table.parameters - table.trainable_parameters == (encoder if freeze else 0)
    model(images).sum().backward()
    assert (model.encoder.linear1.weight.grad is None) == freeze


def test_another_encoder_a_cut_file_and_no_autoencoder_are_told(tmp_path):
    run_folder(tmp_path)
    with pytest.raises(UserError, match=r"is another one .* linear1\.weight is \(20, 64\) there, \(30, 64\) here"):
        encoder_classifier.build(SHAPE, 10, widths=[30, 6], encoder=str(tmp_path))
    with pytest.raises(UserError, match=r"linear3\.weight is absent there"):
        encoder_classifier.build(SHAPE, 10, widths=[20, 6, 4], encoder=str(tmp_path))
    file = tmp_path / "last.safetensors"
    whole = file.read_bytes()
    for broken in (whole[:-10], whole[:5], b"", b"\x80\x04\x95pickle", whole[:200]):
        file.write_bytes(broken)
        with pytest.raises(UserError, match="is not a whole safetensors checkpoint"):
            encoder_classifier.build(SHAPE, 10, widths=[20, 6], encoder=str(tmp_path))
    file.unlink()
    with pytest.raises(UserError, match=r"has no last\.safetensors: that run did not come to its end"):
        encoder_classifier.build(SHAPE, 10, widths=[20, 6], encoder=str(tmp_path))
