"""An independent way to a receptive field: which pixels have a gradient."""

import copy
from collections.abc import Callable
from math import isqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

ACTIVATIONS = {"relu", "log_softmax", "softmax", "sigmoid", "tanh", "gelu", "silu"}


class _Linearised(TorchFunctionMode):
    """Activations become nothing and max pools become mean pools; with `maps`, flatten and linear become convolutions.

    A linear layer over a flattened map is a convolution whose kernel is the map, so it can go on over larger images.
    """

    def __init__(self, maps: bool) -> None:
        super().__init__()
        self.maps = maps

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in ACTIVATIONS:
            return args[0]
        if name == "max_pool2d":
            allowed = {key: value for key, value in kwargs.items() if key in {"stride", "padding", "ceil_mode"}}
            return F.avg_pool2d(
                args[0], *args[1:], **{key: value for key, value in allowed.items() if value is not None}
            )
        if self.maps and name in {"flatten", "unflatten"}:
            return args[0]
        if self.maps and name == "linear":
            images, weight, bias = (*args, None)[:3]
            side = isqrt(weight.shape[1] // images.shape[1])
            return F.conv2d(images, weight.view(len(weight), -1, side, side), bias)
        return func(*args, **kwargs)


def linearised(model: nn.Module) -> nn.Module:
    """A copy in float64 and evaluation mode, with positive weights so that no two paths cancel."""
    model = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.abs_().add_(0.01)
        for name, statistics in model.named_buffers():
            statistics.fill_(1.0 if "var" in name else 0.0)
    return model


def outputs_of(model: nn.Module, images: Tensor, maps: bool) -> dict[str, Tensor]:
    """The output of each of the model's layers, by name, under the linear rules."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: found.__setitem__(name, output)

    hooks = [
        module.register_forward_hook(keep(name))
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    with _Linearised(maps):
        found[""] = model(images)
    for hook in hooks:
        hook.remove()
    return found


def seen(output: Tensor, place: tuple[int, ...], images: Tensor) -> Tensor:
    """bool, (height, width): the pixels on which the output's channels at `place` depend."""
    chosen = output[(0, slice(None), *place)].sum()
    (gradient,) = torch.autograd.grad(chosen, images, retain_graph=True, allow_unused=True)
    return (gradient[0] != 0).any(dim=0)


def extent(pixels: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last pixel seen, vertically and horizontally."""
    rows, columns = pixels.any(dim=1).nonzero(), pixels.any(dim=0).nonzero()
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small are slower on many threads than on one, above all beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def probe():
    """The functions of this file."""

    class Probe:
        linearised = staticmethod(linearised)
        outputs_of = staticmethod(outputs_of)
        seen = staticmethod(seen)
        extent = staticmethod(extent)

    return Probe
