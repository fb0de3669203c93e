"""What a network makes of one image, layer by layer, and the filters that it does it with."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from classlab.network.module_outputs import see_outputs

MOST_LAYERS = 60


@dataclass(frozen=True)
class LayerOutput:
    """What a layer gave for one image. values: float32, (channels, height, width) of a map, else (numbers,) or more.

    path: where in the network, or the layer's kind where it has no path. filters: the weights of a convolution over
    more than a pixel, float32 (filters, channels, height, width), else None.
    """

    path: str
    kind: str
    values: np.ndarray
    filters: np.ndarray | None


def feature_maps(model: nn.Module, image: Tensor) -> list[LayerOutput]:
    """Run the network once and return what each of its layers gave, in the order in which they were met.

    image: normalised, float32 (1, channels, height, width). At most 60 layers are kept.
    """
    met: list[tuple[str, nn.Module, Tensor]] = []

    def see(path: str, module: nn.Module, output: Tensor) -> None:
        if not [*module.children()] and output.dim() >= 2 and len(met) < MOST_LAYERS:
            met.append((path, module, output.detach().clone()))  # an in-place layer would change it

    see_outputs(model, image, see)
    kinds = [type(module).__name__ for _, module, _ in met]
    return [
        LayerOutput(path or kind, kind, output[0].float().cpu().numpy(), filters(module))
        for (path, module, output), kind in zip(met, kinds, strict=True)
    ]


def filters(module: nn.Module) -> np.ndarray | None:
    """Return a layer's filters, float32 (filters, channels, height, width); None for 1×1 and for what has none."""
    weight = getattr(module, "weight", None)
    if weight is None or weight.dim() != 4 or max(weight.shape[2:]) == 1:
        return None
    return weight.detach().float().cpu().numpy()


def filter_pictures(weights: np.ndarray) -> np.ndarray:
    """Return filters as pictures, grey for zero, uint8 (filters, 1 or 3, height, width).

    In colour over three maps, else the mean over the maps that they read; white is a filter's largest weight.
    """
    values = weights if weights.shape[1] == 3 else weights.mean(axis=1, keepdims=True)
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True) + 1e-12
    return (127.5 + 127.5 * values / largest).round().astype(np.uint8)


def map_picture(values: np.ndarray) -> np.ndarray:
    """Return a map, float (height, width), as a picture, uint8 (1, height, width), from black, its least, to white."""
    values = np.nan_to_num(values)
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / (high - low or 1.0))).round().astype(np.uint8)[None]
