"""Where an answer came from: maps that say, pixel by pixel, what in an image speaks for a class.

Three ways, each from its paper: Grad-CAM (Selvaraju et al. 2017), occlusion (Zeiler and Fergus 2014), integrated
gradients (Sundararajan et al. 2017). All of them explain a score, the network's output for the class before any
softmax. Networks are in evaluation mode and are left as they were. docs/explain.md says what each can be believed for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classlab.errors import UserError, did_you_mean, listing
from classlab.network.module_outputs import see_outputs

LEAST_SIDE = 4  # pixels: maps smaller than this say nearly nothing of a place
BATCH = 64  # images at a time
FIRST_STEPS, MOST_STEPS = 32, 128  # of integrated gradients
CLOSE = 0.01  # of the difference that integrated gradients have to add up to
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class MapLayer:
    """The maps that Grad-CAM weighs.

    convolution: its path in the network. path: of the last part that gives maps of the same shape after it, its norm,
    its activation or its block, where the maps are taken. height, width: of the maps, in pixels.
    """

    convolution: str
    path: str
    height: int
    width: int


@dataclass
class _Met:
    path: str
    module: nn.Module
    shape: tuple[int, ...]
    times: int = 1


def map_layer(model: nn.Module, image: Tensor, wanted: str | None = None) -> MapLayer:
    """Return the layer that Grad-CAM takes: the last convolution whose maps have 4 × 4 pixels or more.

    Later ones know more of the class and less of the place: a map of one pixel says nothing of where. Its maps are
    taken as they leave its norm, its activation, its block: whatever last gave maps of the same shape after it.
    image: one normalised image (1, channels, height, width). wanted: the path of another convolution.
    Raises UserError for a network without a convolution over a map, and for a layer that is none.
    """
    met = [part for part in _met(model, image) if len(part.shape) == 4]
    convolutions = [part for part in met if isinstance(part.module, _CONVOLUTIONS)]
    if not convolutions:
        raise UserError(
            "Grad-CAM weighs the maps of a convolution, and this network has no convolution; "
            "occlusion and integrated_gradients need none"
        )
    if wanted is not None:
        found = [part for part in convolutions if part.path == wanted]
        if not found:
            names = [part.path for part in convolutions]
            raise UserError(
                f"layer must be a convolution of this network; got {wanted}{did_you_mean(wanted, names) or ';'} "
                f"it has {listing(names, 12)}"
            )
    else:
        found = [part for part in convolutions if min(part.shape[2:]) >= LEAST_SIDE]
        if not found:
            raise UserError(
                f"Grad-CAM needs maps of at least {LEAST_SIDE} × {LEAST_SIDE} pixels, and no convolution of this "
                "network gives any; occlusion and integrated_gradients need none"
            )
    chosen = found[-1]
    after = met[met.index(chosen) :]
    taken = [part for part in after if part.shape == chosen.shape and part.times == 1] or [chosen]
    return MapLayer(chosen.path, taken[-1].path, chosen.shape[2], chosen.shape[3])


def _met(model: nn.Module, image: Tensor) -> list[_Met]:
    """Return the parts of the network that give one tensor, in the order in which they are done for one image."""
    met: dict[int, _Met] = {}

    def see(path: str, module: nn.Module, output: Tensor) -> None:
        if path:
            before = met.pop(id(module), None)
            met[id(module)] = _Met(path, module, tuple(output.shape), 1 + (before.times if before else 0))

    see_outputs(model, image, see)
    return list(met.values())


@contextmanager
def _kept_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """Keep what the module gives while the block runs; it goes on with a copy, which may be changed in place."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        kept[:] = [output]
        return output.clone()

    hook = module.register_forward_hook(keep)
    try:
        yield kept
    finally:
        hook.remove()


def scores(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Return the network's output for the class of each image, float32 (count,). classes: int64, (count,)."""
    with torch.no_grad():
        parts = [
            model(part).gather(1, chosen[:, None])[:, 0]
            for part, chosen in zip(images.split(BATCH), classes.split(BATCH), strict=True)
        ]
    return torch.cat(parts)


def grad_cam(model: nn.Module, images: Tensor, classes: Tensor, layer: MapLayer) -> Tensor:
    """Return Grad-CAM's maps, float32 (count, height, width), never negative.

    Each map of the layer is weighted by the mean over its pixels of the score's gradient. The positive part of their
    sum is kept (Selvaraju et al. 2017, equations 1 and 2) and enlarged to the image by linear interpolation.
    images: normalised, float32 (count, channels, height, width). classes: int64 (count,).
    """
    module, found = model.get_submodule(layer.path), []
    for part, chosen in zip(images.split(BATCH), classes.split(BATCH), strict=True):
        with _kept_output(module) as kept:
            score = model(part.detach().requires_grad_()).gather(1, chosen[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, kept, allow_unused=True)
        maps = kept[0].detach()
        weights = torch.zeros_like(maps) if gradient is None else gradient
        weighed = F.relu((weights.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True))
        found.append(F.interpolate(weighed, images.shape[2:], mode="bilinear", align_corners=False)[:, 0])
    return torch.cat(found)


def window(side: int) -> tuple[int, int]:
    """Return the side of the patch that occlusion lays on an image of this side, and its stride, in pixels."""
    patch = max(1, round(side / 4))
    return patch, max(1, patch // 2)


def occlusion(model: nn.Module, images: Tensor, classes: Tensor, ground: Tensor) -> Tensor:
    """Return how much the score falls where a patch hides the image, float32 (count, height, width).

    A patch of a quarter of the side moves by half of its own. A pixel's value is the mean fall over the patches that
    hide it (Zeiler and Fergus 2014, figure 7). The score takes the place of the probability, which saturates.
    images, classes: as for grad_cam. ground: what the patch shows, normalised, broadcast to an image.
    """
    _, _, height, width = images.shape
    whole = scores(model, images, classes)
    total, times = torch.zeros(len(images), height, width), torch.zeros(height, width)
    (tall, down), (wide, across) = window(height), window(width)
    for top in [*range(0, height - tall, down), height - tall]:
        for left in [*range(0, width - wide, across), width - wide]:
            place = (..., slice(top, top + tall), slice(left, left + wide))
            hidden = images.clone()
            hidden[place] = ground.expand_as(images)[place]
            fall = whole - scores(model, hidden, classes)
            total[place] += fall[:, None, None]
            times[place] += 1
    return total / times


def integrated_gradients(
    model: nn.Module, images: Tensor, classes: Tensor, ground: Tensor, most_steps: int = MOST_STEPS
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the maps, float32 (count, height, width), what each adds up to and what it has to, float32 (count,).

    The gradient of the score, averaged along the straight line from the ground to the image, times their difference
    (Sundararajan et al. 2017, equation 1), summed over channels. A map's pixels have to add up to the score of the
    image less that of the ground (completeness). The line is cut finer until they do within one per cent, or until
    there are most_steps pieces. images, classes, ground: as for occlusion.
    """
    start = ground.expand_as(images)
    wanted = scores(model, images, classes) - scores(model, start, classes)
    maps = torch.zeros(len(images), *images.shape[2:])
    left, steps = torch.arange(len(images)), FIRST_STEPS
    while len(left):
        maps[left] = _path_gradients(model, images[left], classes[left], start[left], steps)
        gap = (maps[left].sum(dim=(1, 2)) - wanted[left]).abs()
        left, steps = left[gap > CLOSE * wanted[left].abs().clamp(min=0.1)], 2 * steps
        if steps > most_steps:
            break
    return maps, maps.sum(dim=(1, 2)), wanted


def _path_gradients(model: nn.Module, images: Tensor, classes: Tensor, start: Tensor, steps: int) -> Tensor:
    """Return integrated gradients by the midpoint rule, float32 (count, height, width)."""
    total = torch.zeros_like(images)
    for step in range(steps):
        share = (step + 0.5) / steps
        for place in torch.arange(len(images)).split(BATCH):
            point = (start[place] + share * (images[place] - start[place])).requires_grad_()
            score = model(point).gather(1, classes[place, None]).sum()
            total[place] += torch.autograd.grad(score, point)[0]
    return ((images - start) * total / steps).sum(dim=1)
