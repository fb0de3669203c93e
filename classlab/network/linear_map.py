"""Why a network needs a nonlinearity: without one, its layers multiply out to a single linear map.

B(Ax + a) + b = (BA)x + (Ba + b): two linear layers are one, and so are any number of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from classlab.errors import UserError

_NOTHING = (nn.Flatten, nn.Identity, nn.Dropout)
_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid)


@dataclass(frozen=True)
class OneMap:
    """The one map y = matrix · x + offset that a network's linear layers multiply out to, beside the network itself.

    matrix: float64, (classes, inputs). largest_difference: between the outputs of the two; largest_output: of the
    network's outputs, to judge it by. same_class: the fraction of images that both put into the same class.
    activations: how many the network has, which the multiplication leaves out.
    """

    matrix: Tensor
    offset: Tensor
    layers: int
    activations: int
    largest_difference: float
    largest_output: float
    same_class: float

    def __str__(self) -> str:
        outputs, inputs = self.matrix.shape
        agreement = f"{100 * self.same_class:.2f} % of the images get the same class"
        difference = f"outputs up to {self.largest_output:.3g} differ by at most {self.largest_difference:.2g}"
        sentence = (
            f"{self.layers} linear layers multiplied out to one {outputs} × {inputs} matrix: {difference}, {agreement}"
        )
        if self.activations:
            return (
                f"{sentence}; the {self.activations} activations between the layers make them more than one linear map"
            )
        return f"{sentence}; without an activation the layers are one linear map"


@torch.no_grad()
def multiply_out(model: nn.Module, images: Tensor) -> OneMap:
    """Multiply the model's linear layers out and compare the product with the model, both in float64.

    images: normalised, (count, channels, height, width). Raises UserError for a model that has other layers than
    linear ones, activations, flatten and dropout, one after the other.
    """
    linears, activations = _linears(model)
    matrix, offset = torch.eye(linears[0].in_features, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for layer in linears:
        weight = layer.weight.double().cpu()
        offset = weight @ offset.expand(weight.shape[1])
        matrix = weight @ matrix
        if layer.bias is not None:
            offset = offset + layer.bias.double().cpu()
    pixels = images.flatten(1).double().cpu()
    network = _outputs(model, pixels)
    product = pixels @ matrix.T + offset
    return OneMap(
        matrix,
        offset,
        len(linears),
        activations,
        float((network - product).abs().max()),
        float(network.abs().max()),
        float((network.argmax(1) == product.argmax(1)).double().mean()),
    )


def _linears(model: nn.Module) -> tuple[list[nn.Linear], int]:
    parts = [part for part in model.modules() if not list(part.children())]
    linears = [part for part in parts if isinstance(part, nn.Linear)]
    activations = sum(isinstance(part, _ACTIVATIONS) for part in parts)
    straight = all(isinstance(part, nn.Sequential) for part in model.modules() if list(part.children()))
    other = [part for part in parts if not isinstance(part, (nn.Linear, *_NOTHING, *_ACTIVATIONS))]
    if other or not linears or not straight:
        what = f"has a layer {type(other[0]).__name__}" if other else "is no plain row of them"
        raise UserError(f"only a network of linear layers and activations can be multiplied out, and this one {what}")
    return linears, activations


def _outputs(model: nn.Module, pixels: Tensor) -> Tensor:
    """Run the model's own layers in float64, so that no rounding hides in the comparison."""
    values = pixels
    for part in model.modules():
        if isinstance(part, nn.Linear):
            bias = None if part.bias is None else part.bias.double().cpu()
            values = nn.functional.linear(values, part.weight.double().cpu(), bias)
        elif isinstance(part, _ACTIVATIONS):
            values = part(values)
    return values
