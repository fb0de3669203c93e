"""A classifier on the code of an autoencoder: its encoder, fresh, frozen or fine-tuned, then a small perceptron."""

from collections import OrderedDict
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from classlab import files, limits
from classlab.data.tensors import read_tensors
from classlab.errors import UserError
from classlab.models.autoencoder import Width, encoder_of
from classlab.models.initialise import Given
from classlab.models.parts import Activation, activation_layer
from classlab.yaml_text import read_yaml


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    widths: Annotated[list[Width], Field(min_length=1, max_length=limits.LAYERS)] = [392, 196, 98, 32],  # noqa: B006 - read only
    hidden: Annotated[list[Width], Field(max_length=limits.LAYERS)] = [256],  # noqa: B006
    activation: Activation = "relu",
    encoder: str | None = None,
    freeze: bool = False,
) -> nn.Module:
    """Return the encoder with hidden layers behind its code; the default is report 4's, 418,240 parameters.

    encoder: the run folder of an autoencoder with the same widths and activation, whose selected weights the encoder
    starts from; null for a fresh one. freeze: leave those weights as they are, instead of training them further.
    Input (batch, *input_shape), output logits (batch, classes).
    Raises UserError where the run's encoder does not fit, and for freezing a fresh encoder.
    """
    if freeze and encoder is None:
        raise UserError("model encoder_classifier: freeze needs encoder, the run folder of a trained autoencoder")
    first = encoder_of(input_shape, widths, activation)
    if encoder is not None:
        _take_weights(first, Path(encoder))
        first = Given(OrderedDict(first.named_children())).requires_grad_(not freeze)
    layers: OrderedDict[str, nn.Module] = OrderedDict(encoder=first)
    features = widths[-1]
    for number, width in enumerate(hidden, start=1):
        layers[f"linear{number}"] = nn.Linear(features, width)
        layers[f"{activation}{number}"] = activation_layer(activation)
        features = width
    layers[f"linear{len(hidden) + 1}"] = nn.Linear(features, classes)
    return nn.Sequential(layers)


def _take_weights(first: nn.Module, run: Path) -> None:
    """Copy the encoder of a run's selected checkpoint into `first`."""
    if next(first.parameters()).is_meta:  # only its size is asked for, see models.make
        return
    fresh = first.state_dict()
    most = 8 * sum(value.numel() for value in fresh.values())  # bytes, in fp64
    stored = {name.removeprefix("model.encoder."): value for name, value in _selected(run, most).items()}
    for name in [*fresh, *stored]:
        if name not in stored or name not in fresh or stored[name].shape != fresh[name].shape:
            shapes = [tuple(state[name].shape) if name in state else "absent" for state in (stored, fresh)]
            raise UserError(
                f"model encoder_classifier: the encoder of {run} is another one than widths and activation say: "
                f"{name} is {shapes[0]} there, {shapes[1]} here"
            )
    first.load_state_dict(stored)


def _selected(run: Path, most: int) -> dict[str, Tensor]:
    """Return the encoder in the checkpoint that the run's protocol selects; its experiment is read, and not resolved.

    To make an Experiment of it would ask for the code that it may name, and only its weights are wanted.
    """
    try:
        document = read_yaml(run / "experiment.yaml")
    except files.MissingFile:
        raise UserError(
            f"model encoder_classifier: encoder must be a run folder, and {run} holds no experiment.yaml"
        ) from None
    protocol = document.get("protocol") if isinstance(document, dict) else None
    select = protocol.get("select", "last") if isinstance(protocol, dict) else "last"
    best = run / "best.safetensors"  # which a run that diverged at once has not
    file = best if select == "best" and best.exists() else run / "last.safetensors"
    try:
        return read_tensors(file, lambda name: name.startswith("model.encoder."), most)
    except files.MissingFile:
        raise UserError(
            f"model encoder_classifier: {run} has no {file.name}: that run did not come to its end"
        ) from None
