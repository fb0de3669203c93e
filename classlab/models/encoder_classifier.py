"""A classifier on the code of an autoencoder: its encoder, fresh, frozen or fine-tuned, then a small perceptron."""

from collections import OrderedDict
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from classlab.errors import UserError
from classlab.models.autoencoder import Width, encoder_of
from classlab.models.blocks import Activation, activation_layer
from classlab.models.initialise import Given


def build(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    widths: Annotated[list[Width], Field(min_length=1)] = [392, 196, 98, 32],  # noqa: B006 - read only
    hidden: list[Width] = [256],  # noqa: B006
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
    stored = {
        name.removeprefix("model.encoder."): value
        for name, value in _selected(run).items()
        if name.startswith("model.encoder.")
    }
    own = first.state_dict()
    for name in [*own, *stored]:
        if name not in stored or name not in own or stored[name].shape != own[name].shape:
            shapes = [tuple(state[name].shape) if name in state else "absent" for state in (stored, own)]
            raise UserError(
                f"model encoder_classifier: the encoder of {run} is another one than widths and activation say: "
                f"{name} is {shapes[0]} there, {shapes[1]} here"
            )
    first.load_state_dict(stored)


def _selected(run: Path) -> dict[str, Tensor]:
    """Return the tensors of the checkpoint that the run's protocol selects."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from classlab.experiment import load as load_experiment

    if not (run / "experiment.yaml").is_file():
        raise UserError(f"model encoder_classifier: encoder must be a run folder, and {run} holds no experiment.yaml")
    select = load_experiment(run / "experiment.yaml").protocol.select
    file = run / f"{select}.safetensors"
    try:
        return load(file.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"model encoder_classifier: {run} has no {file.name}: that run did not come to its end"
        ) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{file} is not a whole safetensors checkpoint ({error})") from None
