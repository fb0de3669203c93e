"""Ink and paper separated: how much of each pixel is ink, whatever the light, the colours and which of them is darker.

The ground under each pixel is a median of its wide surroundings, which keeps the edge of a shadow and loses strokes.
A second opinion comes from a closing (for dark ink; an opening for light ink). It fills only what is narrow, so neither
a shadow nor a bright corner is taken for ink. Ink is what both say it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

GROUND_SIDE = 40  # the median is taken on so small a picture, its window half of that
NARROW = 0.24  # of the longer side: what is wider is no stroke
CLEAR = 9.0  # times the noise: ink that needs no smoother picture
# Where there is hardly any room to be darker, or lighter, a few levels are no contrast.
LEAST_GROUND, LEAST_ROOM = 24, 128
ALONG = 0.3  # of a piece's length on the picture's edge: a table's edge, not a stroke cut off
LEAST_CONTRAST = 0.045  # of the ground's own brightness: fainter is noise, not ink


@dataclass(frozen=True)
class Ink:
    """One reading of a picture.

    strength: float32, (height, width), 0 for ground, about 1 for full ink, not cut off above.
    contrast: what 1 stands for, as a fraction of the ground's brightness. dark: whether ink is darker than the ground.
    evidence: how much this reading explains; the reading with more is more likely the right one.
    against: how much the opposite reading, of ink on the other side of the ground, explains as a multiple of it.
    clarity: the contrast as a multiple of the noise.
    """

    strength: np.ndarray
    contrast: float
    dark: bool
    evidence: float
    clarity: float
    against: float = 0.0


def readings(picture: np.ndarray, dark: bool | None = None) -> list[Ink]:
    """Return the readings worth a look, the likelier first; none where nothing stands out from the ground.

    picture: float32, (height, width, 3), 0…255. dark: where given, only readings of ink that is darker, or lighter.
    Where the ink is hardly above the camera's noise, a smoother picture is read as well.
    """
    inks: list[Ink] = []
    for smoothing in (1.0, 2.5):
        smooth = ndimage.gaussian_filter(picture, (*[smoothing * _blur(picture.shape)] * 2, 0))
        grounds = _ground(smooth), _surface(smooth)
        for way in (True, False) if dark is None else (dark,):
            local, even = (list(_readings(smooth, ground, way)) for ground in grounds)
            # Strokes wider than half the median's window become its ground; an even ground shows more of them.
            more = even and (not local or even[0].evidence > 1.1 * local[0].evidence)
            inks += local + (even if more else [])
        if inks and max(ink.clarity for ink in inks) > CLEAR:
            break
    most = {way: max((ink.evidence for ink in inks if ink.dark == way), default=0.0) for way in (True, False)}
    inks = [replace(ink, against=most[not ink.dark] / ink.evidence) for ink in inks]
    inks = sorted(inks, key=lambda ink: -ink.evidence)
    return [ink for ink in inks if ink.evidence > 0.12 * inks[0].evidence]


def _surface(picture: np.ndarray) -> np.ndarray:
    """Return an even ground: for each channel the quadratic surface from which most pixels hardly differ."""
    height, width = picture.shape[:2]
    step = max(1, round(max(height, width) / 60))
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2).astype(np.float32)
    known = terms[::step, ::step].reshape(-1, 6)
    values = picture[::step, ::step].reshape(-1, 3)
    weights = np.ones(len(values), dtype=np.float32)
    fitted = np.tile(np.median(values, axis=0), (len(values), 1))
    # Least squares alone would bend towards the strokes; the weights let most pixels, the ground, decide.
    for _ in range(12):  # least absolute differences by weighted least squares
        away = np.abs(values - fitted).max(axis=1)
        weights = 1 / np.maximum(away, 3.0) ** 1.5
        scaled = known * weights[:, None]
        factors = np.linalg.lstsq(scaled.T @ known + 1e-6 * np.eye(6), scaled.T @ values, rcond=None)[0]
        fitted = known @ factors
    return (terms @ factors).clip(0, 255).astype(np.float32)


def _blur(shape: tuple[int, ...]) -> float:
    """A camera's noise is finer than a stroke; drawings of a few pixels have none."""
    return min(0.7, max(shape[:2]) / 500)


def _ground(picture: np.ndarray) -> np.ndarray:
    """Return the colour of the ground at every pixel, in the picture's shape."""
    height, width = picture.shape[:2]
    step = max(1, round(max(height, width) / GROUND_SIDE))
    rows, columns = -(-height // step), -(-width // step)
    padded = np.pad(picture, ((0, rows * step - height), (0, columns * step - width), (0, 0)), mode="edge")
    blocks = np.median(padded.reshape(rows, step, columns, step, 3), axis=(1, 3))
    window = max(3, max(rows, columns) // 2)
    calm = np.stack([ndimage.median_filter(blocks[..., c], window, mode="nearest") for c in range(3)], axis=2)
    calm = ndimage.gaussian_filter(calm, (0.7, 0.7, 0))
    scaled = [_enlarged(calm[..., c], step)[:height, :width] for c in range(3)]
    return np.stack(scaled, axis=2).astype(np.float32)


def _enlarged(image: np.ndarray, step: int) -> np.ndarray:
    return ndimage.zoom(image, step, order=1, grid_mode=True, mode="nearest") if step > 1 else image


def _readings(picture: np.ndarray, ground: np.ndarray, dark: bool) -> Iterator[Ink]:
    """Yield the reading of ink that is darker, or lighter, and another without what lies along the picture's edge."""
    size = max(3, int(NARROW * max(picture.shape[:2]))) | 1
    least = LEAST_GROUND
    if not dark:
        picture, ground, least = 255 - picture, 255 - ground, LEAST_ROOM
    filled = ndimage.grey_closing(picture, (size, size, 1), mode="nearest")
    signed = (ground - picture) / np.maximum(ground, least)
    away = np.clip(np.minimum(signed, (filled - picture) / np.maximum(filled, least)), 0, None)
    colour = _direction(away)
    strength = away @ colour
    # The median of the distances from a mean, times 1.4826, is the standard deviation of normal noise, and strokes,
    # which are few, hardly move it. Of such noise one pixel in 4,000 lies above 3.5 standard deviations.
    noise = 1.4826 * float(np.median(np.abs(signed @ colour)))
    floor = max(LEAST_CONTRAST, 3.5 * noise)
    clear_of_edge = _without_edge(strength, floor)
    for part in (strength, clear_of_edge):
        full = None if part is None else _full_strength(part, floor)
        if part is not None and full is not None:
            clarity = full / max(noise, 1e-6)
            # Squared, so that a few clear strokes explain more than a whole page of faint grain; and a reading that
            # hardly stands out from the noise explains little, however much of the page it covers.
            evidence = float(np.square(np.minimum(part, full)).mean()) * min(1.0, clarity / CLEAR) ** 2
            if part is strength and clear_of_edge is not None:
                evidence *= 0.1  # most of it speaks of the edge
            yield Ink((part / full).astype(np.float32), full, dark, evidence, clarity)


def _without_edge(strength: np.ndarray, floor: float) -> np.ndarray | None:
    """Return the strength with 0 for the pieces that lie along the picture's edge; None where there is none of them."""
    full = _full_strength(strength, floor)
    if full is None:
        return None
    labels, _ = ndimage.label(strength > max(floor, 0.3 * full), np.ones((3, 3)))
    along = [
        index + 1
        for index, box in enumerate(ndimage.find_objects(labels))
        if edge_share(labels[box] == index + 1, box, strength.shape) >= ALONG
    ]
    if not along:
        return None
    gone = ndimage.binary_dilation(np.isin(labels, along), np.ones((3, 3)), iterations=3)
    return np.where(gone, 0, strength)


def edge_share(piece: np.ndarray, box: tuple[slice, ...], shape: tuple[int, ...]) -> float:
    """Return how much of a piece lies on the picture's edge, as a share of its longer side; 1 if it spans the picture.

    piece: bool, within `box` of a picture of `shape`.
    """
    if any(part.start == 0 and part.stop == side for part, side in zip(box, shape, strict=True)):
        return 1.0
    touching = 0
    touching += piece[0].sum() if box[0].start == 0 else 0
    touching += piece[-1].sum() if box[0].stop == shape[0] else 0
    touching += piece[:, 0].sum() if box[1].start == 0 else 0
    touching += piece[:, -1].sum() if box[1].stop == shape[1] else 0
    return float(touching / max(piece.shape))


def _direction(away: np.ndarray) -> np.ndarray:
    """Return the weights of red, green and blue under which ink stands out most: its own colour's."""
    total = away.sum(axis=2)
    surest = away[total >= np.quantile(total, 0.985)]
    weights = surest.mean(axis=0) + 1e-6
    return weights / weights.sum()


def _full_strength(strength: np.ndarray, floor: float) -> float | None:
    """Return the strength of plain ink: the median of what lies above Otsu's threshold; None where nothing does."""
    above = strength[strength > floor]
    if above.size < max(6, 2e-4 * strength.size):
        return None
    return float(np.median(above[above >= otsu(above)]))


def otsu(values: np.ndarray) -> float:
    """Return the threshold that leaves the least variance on both sides (N. Otsu, 1979)."""
    if np.ptp(values) < 1e-6:
        return float(values.min())
    if np.ptp(values) < 1e-4 * np.abs(values).max():  # float32 has no room for so many bins in between
        values = values.astype(np.float64)
    counts, edges = np.histogram(values, 128)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    sums = np.cumsum(counts * centres)
    above = len(values) - below  # never 0: the highest value lies in the last bin
    between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[1:-1][between.argmax()])
