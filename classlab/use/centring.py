"""A digit made ready as MNIST's were: cropped with its aspect kept, 20 pixels along its longer side, centred by mass.

After Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits": black-and-white digits of NIST were
shrunk, with grey edges, to fit a box of 20 × 20. The box is placed in 28 × 28 with the centre of mass in the middle.
Strokes much thinner or thicker than theirs are brought to their width.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from classlab.use.ink import Ink, readings
from classlab.use.pieces import digit_mask, distance
from classlab.use.several import digit_masks

SIDE = 112  # pixels of the longer side while a digit is worked on: many more than the 20 of the result
WORKING = 360  # pixels of the longer side of the copy in which the digit is looked for
LARGE = 90  # pixels: a digit that large in the small copy needs no closer look
# MNIST's first 1,500 digits: the stroke's width in pixels of the 20 × 20 box lies between 1.8 and 4.4 for nine of ten,
# at 2.6 in the middle.
THIN, THICK = 2.1, 3.6


@dataclass(frozen=True)
class Variant:
    """One way to shrink a digit: the threshold of ink, the widths a stroke may have, the box.

    Widths and box are in pixels of MNIST's box of 20.
    """

    threshold: float = 0.5
    thin: float = THIN
    thick: float = THICK
    box: float = 20.0


@dataclass(frozen=True)
class Frame:
    """Where a digit stands in the image. box: its longer side, as a share of the image's. by_mass: centred by mass.

    MNIST's mean centre of mass is at pixel 14 of 28, counted from 0: half a pixel below the middle.
    """

    box: float
    by_mass: bool


# The 8 × 8 digits of scikit-learn fill their image and are centred by their box.
FRAMES = {"mnist": Frame(20 / 28, True), "digits": Frame(1.0, False)}
# A drawing of one digit stands out from the camera's noise, holds most of the ink, and leaves the other side of the
# ground, what is lighter than it or darker, nearly empty. Of a photograph of anything else hardly one does all that.
CLEAR, ALONE, AGAINST = 9.0, 0.4, 1.0
PLAIN = Variant()
VARIANTS = (
    PLAIN,
    Variant(threshold=0.38),
    Variant(threshold=0.62),
    Variant(threshold=0.38, thin=3.2),
    Variant(box=19.0),
)


@dataclass(frozen=True)
class FoundDigit:
    """A digit found in a picture.

    strength: float, (height, width): ink, 1 where full, 0 outside the digit, about SIDE pixels long.
    ink: the reading it was found in.
    share: its longer side as a share of the picture's. alone: how much of the picture's ink is the digit's.
    row: what stands in a row here and may be digits, each apart, from left to right; empty where nothing else does.
    holds_row: whether this is all of them, taken for one digit.
    """

    strength: np.ndarray
    ink: Ink
    share: float
    alone: float
    row: tuple["FoundDigit", ...] = ()
    holds_row: bool = False

    @property
    def doubts(self) -> list[str]:
        """What speaks against a drawing of one digit, whatever the digit; empty where nothing does."""
        doubts = []
        if self.ink.clarity < CLEAR:
            doubts.append("its ink hardly stands out from the ground")
        if self.alone < ALONE:
            doubts.append("most of the picture's ink is elsewhere")
        if self.ink.against > AGAINST:
            doubts.append("the ground is as uneven as the ink")
        return doubts

    @property
    def plausible(self) -> bool:
        """Whether the picture looks like a drawing of one digit at all, whatever the digit."""
        return not self.doubts


def find_digits(picture: np.ndarray) -> list[FoundDigit]:
    """Return the digit as each likely reading of the picture shows it, the likeliest first; none on a blank page.

    picture: float32, (height, width, 3), 0…255. The digit is looked for in a small copy; a digit that is small there is
    looked at again where it stands.
    """
    scale = min(1.0, WORKING / max(picture.shape[:2]))
    digits = []
    for ink in readings(_resized(picture, scale)):
        mask = digit_mask(ink.strength)
        if mask is not None:
            digit = _closer(picture, scale, ink, mask) or _cut(ink, mask)
            masks = digit_masks(ink.strength)
            row = [_closer(picture, scale, ink, part) or _cut(ink, part) for part in masks if len(masks) > 1]
            union = np.any(masks, axis=0) if row else mask
            digits.append(replace(digit, row=tuple(row), holds_row=bool((mask & union).sum() > 0.9 * union.sum())))
    return digits


def _closer(picture: np.ndarray, scale: float, ink: Ink, mask: np.ndarray) -> FoundDigit | None:
    """Return the digit as a closer look at its place shows it; None where it is large enough or nothing is gained."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    size = max(np.ptp(rows), np.ptp(columns)) + 1
    if size >= LARGE or scale > 0.8:
        return None
    margin = 0.45 * size + 3
    place = [
        slice(max(0, int((line[0] - margin) / scale)), int((line[-1] + 1 + margin) / scale)) for line in (rows, columns)
    ]
    finer = min(1.0, scale * 1.3 * LARGE / size)
    near = _resized(picture[place[0], place[1]], finer)
    for closer in readings(near, ink.dark)[:1]:
        seen = digit_mask(closer.strength)
        if seen is not None and _size(seen) > 0.6 * size * finer / scale:
            first = _cut(ink, mask)
            return replace(_cut(closer, seen), ink=ink, share=first.share, alone=first.alone)
    return None


def _resized(picture: np.ndarray, scale: float) -> np.ndarray:
    """Return the picture made smaller, each pixel the mean of the area it covers."""
    if scale >= 1:
        return picture
    height, width = (max(1, round(n * scale)) for n in picture.shape[:2])
    down, along = (_area_weights(n, m, m / n, 0.0) for n, m in zip(picture.shape, (height, width), strict=False))
    return np.einsum("ij,jkc,lk->ilc", down, picture, along, optimize=True).astype(np.float32)


def _cut(ink: Ink, mask: np.ndarray) -> FoundDigit:
    """Cut the digit out with some ground around it and enlarge or shrink it to about SIDE pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    size = max(np.ptp(rows), np.ptp(columns)) + 1
    margin = max(2, round(0.12 * size))
    padded, padded_mask = np.pad(ink.strength, margin), np.pad(mask, margin)
    part = slice(rows[0], rows[-1] + 1 + 2 * margin), slice(columns[0], columns[-1] + 1 + 2 * margin)
    # Grey edges of the stroke lie just outside its mask.
    around = ndimage.binary_dilation(padded_mask[part], iterations=max(1, round(0.02 * size)))
    others = (padded[part] > 0.3) & ~padded_mask[part]
    inside = np.where(around & ~others, padded[part], 0)
    zoom = SIDE / size
    if zoom > 1:
        inside = ndimage.zoom(inside, zoom, order=3 if zoom < 12 else 1, grid_mode=True, mode="grid-constant")
    elif zoom < 0.8:
        inside = ndimage.zoom(
            ndimage.gaussian_filter(inside, 0.4 / zoom), zoom, order=1, grid_mode=True, mode="grid-constant"
        )
    squares = np.square(np.minimum(ink.strength, 1.2)) * (ink.strength > 0.25)
    alone = float(squares[mask].sum() / squares.sum())
    return FoundDigit(inside, ink, size / max(ink.strength.shape), alone)


def shrink(digit: FoundDigit, side: int, frame: Frame = FRAMES["mnist"], variant: Variant = PLAIN) -> np.ndarray | None:
    """Return the digit as the network wants it, float32 (side, side), 0 for ground to 1 for ink; None if none is left.

    side: of the result, in pixels.
    """
    box = frame.box * side * variant.box / 20
    mask = _without_specks(digit.strength > variant.threshold * _local_strength(digit.strength))
    if mask.sum() < 12:
        return None
    size = _size(mask)
    cover = _with_width(mask, variant.thin * size / 20, variant.thick * size / 20)
    rows, columns = np.flatnonzero((cover > 0.5).any(1)), np.flatnonzero((cover > 0.5).any(0))
    if not len(rows):
        return None
    scale = box / (max(np.ptp(rows), np.ptp(columns)) + 1)
    if frame.by_mass:
        sums = (cover.sum(axis=1), cover.sum(axis=0))
        middle = [float((np.arange(len(line)) + 0.5) @ line / line.sum()) for line in sums]
        target = side / 2 + side / 56
    else:
        middle = [(line[0] + line[-1] + 1) / 2 for line in (rows, columns)]
        target = side / 2
    down, along = (_area_weights(n, side, scale, target - scale * m) for n, m in zip(cover.shape, middle, strict=True))
    return np.clip(down @ cover @ along.T, 0, 1).astype(np.float32)


def _local_strength(strength: np.ndarray) -> np.ndarray:
    """Return how strong ink is around here, from 0.55 to 1.3: pressure changes along a stroke."""
    near = ndimage.maximum_filter(strength, SIDE // 5)
    return np.clip(ndimage.gaussian_filter(near, SIDE / 8), 0.55, 1.3)


def _without_specks(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= 0.02 * sizes.max())[labels]


def _size(mask: np.ndarray) -> int:
    return int(max(np.ptp(np.flatnonzero(mask.any(1))), np.ptp(np.flatnonzero(mask.any(0))))) + 1


def stroke_width(mask: np.ndarray) -> float:
    """Return the usual width of the strokes in pixels: in a band of width w the mean distance to its edge is w / 4."""
    return float(4 * (distance(mask)[mask].mean() - 0.25))


def _with_width(mask: np.ndarray, thin: float, thick: float) -> np.ndarray:
    """Return the mask with strokes made as wide as `thin` or as narrow as `thick` where they are not, as float 0…1."""
    width = stroke_width(mask)
    wanted = min(max(width, thin), thick)
    if abs(wanted - width) < 1:
        return ndimage.gaussian_filter(mask.astype(np.float32), 0.6)
    grow = (wanted - width) / 2
    room = int(max(0, grow)) + 2
    mask = np.pad(mask, room)
    inside = distance(mask)
    signed = inside - distance(~mask)
    if grow > 0:
        return np.clip(signed + grow + 0.5, 0, 1)
    # Narrow parts keep their middle line: nothing is worn away by more than what it has.
    ridge = (inside == ndimage.maximum_filter(inside, 3)) & mask
    spine = distance(~ridge)
    core = np.clip(max(1.0, thick / 4) - spine + 0.5, 0, 1) * mask
    return np.maximum(np.clip(signed + grow + 0.5, 0, 1), core)


def _area_weights(count: int, side: int, scale: float, offset: float) -> np.ndarray:
    """Return (side, count): what share of each result pixel each source pixel covers, laid down scaled and shifted."""
    edges = np.arange(count + 1) * scale + offset
    low, high = edges[:-1], edges[1:]
    pixel = np.arange(side)[:, None]
    return np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
