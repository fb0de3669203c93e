"""Whether maps of where an answer came from can be believed: two checks that a picture which only looks right fails.

A map of what the network learnt changes when the network has not learnt (Adebayo et al. 2018). And without the pixels
that a map names first the network becomes unsure sooner than without random pixels (Petsiuk et al. 2018).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import torch
from torch import Tensor, nn

from classlab.formats import count, decimals
from classlab.statistics.intervals import t_quantile

ALIKE = 0.5  # rank correlation from which maps of the trained and of the random network are the same picture
SIDE = 7  # pixels of the window in which SSIM compares
SHARES = 16  # points of a deletion curve
ORDERS = 4  # random orders
FEWEST = 3  # images, for an interval


@dataclass(frozen=True)
class MapCheck:
    """What both checks of one method gave, over several images.

    images: how many maps were not empty. correlation: mean rank correlation (Spearman, signs kept) of the maps with
    those of the network with random weights. similarity: mean SSIM of the same. Both are None where no map was there to
    compare. deleted: mean area under the deletion curve, probability of the class over the share of pixels deleted.
    at_random: the same for random orders. low, high: 95 % interval of at_random less deleted, None for fewer than three
    images.
    """

    images: int
    empty: int
    correlation: float | None
    similarity: float | None
    deleted: float | None
    at_random: float | None
    low: float | None
    high: float | None

    @property
    def depends(self) -> bool:
        """Whether the maps depend on what the network learnt."""
        return self.correlation is not None and self.correlation < ALIKE

    @property
    def finds(self) -> bool:
        """Whether the pixels that the maps name first matter more than others."""
        return self.low is not None and self.low > 0

    @property
    def passed(self) -> bool:
        """Whether both checks are passed."""
        return self.depends and self.finds

    def sentence(self) -> str:
        """Return what both checks gave, and what follows, in words."""
        if self.correlation is None or self.deleted is None:
            return "nothing to check: no map shows evidence that differs from place to place"
        learnt = (
            f"rank correlation with the maps of random weights {decimals(self.correlation)} "
            f"(SSIM {decimals(self.similarity or 0)}): "
            + ("they depend on what was learnt" if self.depends else "they do not show what was learnt")
        )
        deletion = f"area under the deletion curve {self.deleted:.3f}, in random order {self.at_random:.3f}"
        if self.low is None or self.high is None:
            found = f"{deletion}: {count(self.images, 'image')} are too few to say more"
        else:
            found = f"{deletion} (95 % interval of the gain {decimals(self.low)} to {decimals(self.high)}): " + (
                "the named pixels matter to the answer"
                if self.finds
                else "the named pixels have not been shown to matter more than others"
            )
        return f"{learnt}. {found[0].upper()}{found[1:]}"


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation of two maps of one shape; nan where one of them is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(values.ravel()) for values in (first, second)]
    ranks = [values - values.mean() for values in ranks]
    norm = math.sqrt(float(ranks[0] @ ranks[0]) * float(ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1]) / norm if norm else math.nan


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean structural similarity of two maps (Wang et al. 2004), each divided by its largest number.

    Uniform windows of 7 pixels, or as many as the map has; the range is 2, from −1 to 1.
    """
    from scipy.ndimage import uniform_filter

    a, b = (values.astype(np.float64) / (np.abs(values).max() or 1.0) for values in (first, second))
    side = min(SIDE, *a.shape)

    def mean(values: np.ndarray) -> np.ndarray:
        return uniform_filter(values, side)

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    means = mean(a), mean(b)
    both = mean(a * b) - means[0] * means[1]
    spread = mean(a * a) - means[0] ** 2, mean(b * b) - means[1] ** 2
    found = (2 * means[0] * means[1] + c1) * (2 * both + c2)
    found /= (means[0] ** 2 + means[1] ** 2 + c1) * (spread[0] + spread[1] + c2)
    return float(found.mean())


def deletion(model: nn.Module, images: Tensor, classes: Tensor, orders: Tensor, ground: Tensor) -> np.ndarray:
    """Return the area under each image's deletion curve, float64 (count,): less is better.

    The curve is the softmax output of the class, from the whole image to none of it, over the share of pixels that show
    the ground instead. images: normalised (count, channels, height, width). classes: int64 (count,). orders: int64
    (count, height · width), the pixels in the order in which they go. ground: normalised, broadcast to an image.
    """
    pixels, curve = orders.shape[1], []
    start = ground.expand_as(images).flatten(2)
    place = orders[:, None].expand(-1, images.shape[1], -1)
    for step in range(SHARES + 1):
        gone = place[..., : round(step / SHARES * pixels)]
        left = images.flatten(2).scatter(2, gone, start.gather(2, gone)).view_as(images)
        with torch.no_grad():
            curve.append(torch.softmax(model(left), dim=1).gather(1, classes[:, None])[:, 0])
    return np.trapezoid(torch.stack(curve).double().numpy(), dx=1 / SHARES, axis=0)


def orders_of(maps: np.ndarray, generator: torch.Generator) -> Tensor:
    """Return the pixels of each map, the strongest first, int64 (count, pixels); chance decides among equals."""
    flat = torch.from_numpy(np.ascontiguousarray(maps)).flatten(1)
    shuffled = random_orders(flat.shape, generator)
    return shuffled.gather(1, flat.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))


def random_orders(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Return the pixels in a random order for each image, int64 (count, pixels). shape: count and pixels."""
    return torch.rand(tuple(shape), generator=generator).argsort(dim=1)


def deletion_at_random(model: nn.Module, images: Tensor, classes: Tensor, ground: Tensor, seed: int = 0) -> np.ndarray:
    """Return each image's area under the deletion curve, the mean of four random orders, float64 (count,)."""
    generator, size = torch.Generator().manual_seed(seed), (len(images), images[0, 0].numel())
    areas = [deletion(model, images, classes, random_orders(size, generator), ground) for _ in range(ORDERS)]
    return np.mean(areas, axis=0)


def check_maps(
    maps: np.ndarray, random_maps: np.ndarray, deleted: np.ndarray, at_random: np.ndarray
) -> MapCheck:  # fmt: skip
    """Return what both checks say of maps.

    maps: of a trained network, float32 (count, height, width); random_maps: the same of the network with random
    weights, several draws, (draws, count, height, width). deleted: the area under each
    image's deletion curve when the pixels go in the maps' order; at_random: in random orders, float64 (count,). A map
    that is the same everywhere is left out and counted: it names no place, so it says nothing that could be right.
    """
    kept = np.flatnonzero([bool(found.max() > found.min()) for found in maps])
    empty = len(maps) - len(kept)
    if not len(kept):
        return MapCheck(0, empty, None, None, None, None, None, None)
    pairs = [(maps[place], drawn[place]) for place in kept for drawn in random_maps]
    correlations = [rank_correlation(*pair) for pair in pairs]
    alike = [0.0 if math.isnan(value) else value for value in correlations]  # a constant map of chance is like none
    gains = (at_random - deleted)[kept].tolist()
    low = high = None
    if len(gains) >= FEWEST:
        half = t_quantile(0.95, len(gains) - 1) * stdev(gains) / math.sqrt(len(gains))
        low, high = fmean(gains) - half, fmean(gains) + half
    return MapCheck(
        len(kept), empty, fmean(alike), fmean(similarity(*pair) for pair in pairs), float(deleted[kept].mean()),
        float(at_random[kept].mean()), low, high,
    )  # fmt: skip
