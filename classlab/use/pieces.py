"""What belongs to the digit: no ruled lines, page edges and specks, but all pieces of a broken stroke."""

import numpy as np
from scipy import ndimage

from classlab.use.ink import ALONG, edge_share

FAINT = 0.22  # ruled lines are often fainter than the ink
LOW, HIGH = 0.38, 0.62  # a stroke is what exceeds LOW and hangs together with what exceeds HIGH
NEAR = 0.22  # of the digit's size: pieces that near belong to it
LEAST_PIECE = 0.025  # of the main piece's ink
ANGLES = np.tan(np.deg2rad(np.linspace(-10, 10, 41)))


def digit_mask(strength: np.ndarray) -> np.ndarray | None:
    """Return which pixels are the digit's, bool (height, width), or None where no piece could be one.

    strength: as Ink holds it.
    """
    strong = hysteresis(strength)
    lines = ruled_lines(strength)
    kept = strong & ~lines
    # A digit that lies along the lines, a 1 or the bar of a 7, may go with them. Then it is better to keep the lines.
    if kept.sum() < 0.06 * strong.sum() or not _main_piece(kept, strength)[1]:
        kept = strong
    labels, main = _main_piece(kept, strength)
    return _with_neighbours(labels, main, strength) if main else None


def distance(mask: np.ndarray) -> np.ndarray:
    """Return each true pixel's distance to the nearest false one, in pixels."""
    return np.asarray(ndimage.distance_transform_edt(mask))


def hysteresis(strength: np.ndarray, low: float = LOW, high: float = HIGH) -> np.ndarray:
    """Return what exceeds `low` and is connected with something above `high`."""
    labels, count = ndimage.label(strength > low, np.ones((3, 3)))
    if not count:
        return np.zeros(strength.shape, dtype=bool)
    keep = np.zeros(count + 1, dtype=bool)
    keep[labels[strength > high]] = True
    keep[0] = False
    return keep[labels]


def ruled_lines(strength: np.ndarray) -> np.ndarray:
    """Return the pixels of straight lines that run from one edge of the picture to the other, where no stroke crosses.

    A stroke that runs along a line stays where it is plainly stronger than the line itself.
    """
    return _lines(strength) | _lines(strength.T).T


def _lines(strength: np.ndarray) -> np.ndarray:
    mask = strength > FAINT
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    lines = np.zeros_like(mask)
    if width < 40 or len(rows) < 0.5 * width:
        return lines
    best = None
    for slope in ANGLES:
        # A Hough transform over small angles. At the slope of a line its pixels fall into few bins, and the sum of the
        # squares is largest.
        bins = np.rint(rows - slope * (columns - width / 2)).astype(int) + height // 2
        counts = np.bincount(np.clip(bins, 0, 2 * height), minlength=2 * height + 1)
        score = np.square(counts[counts > 0.5 * width].astype(float)).sum()
        if best is None or score > best[0]:
            best = score, slope, bins, counts
    assert best is not None
    _, slope, bins, counts = best
    bands, number = ndimage.label(counts > 0.42 * width)
    for band in range(1, number + 1):
        where = np.flatnonzero(bands == band)
        inside = (bins >= where[0] - 1) & (bins <= where[-1] + 1)
        across = np.bincount(columns[inside], minlength=width) > 0
        reach = 0.03 * width
        span = np.flatnonzero(across)
        if counts[where].max() < 0.42 * width or span[0] > reach or span[-1] < width - 1 - reach or across.mean() < 0.6:
            continue
        thick = _thickness(mask, rows[inside], columns[inside])
        if thick > 0.05 * height + 2:
            continue
        length = int(1.7 * thick) + 2
        # What is much taller than a line is thick is a stroke that crosses it, and stays.
        strokes = ndimage.binary_opening(mask, np.ones((length, 1)))
        line = np.zeros_like(mask)
        line[rows[inside], columns[inside]] = True
        reached = ndimage.binary_dilation(line, np.ones((2 * max(1, round(thick)) + 1, 1))) & mask
        along = np.zeros(width)
        np.maximum.at(along, columns[inside], strength[rows[inside], columns[inside]])
        usual_strength = float(np.quantile(along, 0.25))  # a digit covers less than three quarters of it
        lines |= reached & ~strokes & (strength < max(1.5 * usual_strength, usual_strength + 0.25))
    return lines


def _thickness(mask: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    """Return the line's usual thickness: the median vertical run through the pixels given."""
    index = np.arange(mask.shape[0])[:, None]
    start = np.maximum.accumulate(np.where(mask, -1, index), axis=0)
    end = np.minimum.accumulate(np.where(mask, mask.shape[0], index)[::-1], axis=0)[::-1]
    return float(np.median((end - start - 1)[rows, columns]))


def _main_piece(mask: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the labelled pieces and the label of the one most like a digit, 0 where there is none."""
    height, width = mask.shape
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return labels, 0
    ink = ndimage.sum_labels(np.minimum(strength, 1.2), labels, np.arange(1, count + 1))
    centres = np.array(ndimage.center_of_mass(mask, labels, np.arange(1, count + 1)))
    boxes = ndimage.find_objects(labels)
    scores = np.zeros(count)
    for index in np.flatnonzero(ink >= 0.02 * ink.max()):
        box = boxes[index]
        tall, wide = box[0].stop - box[0].start, box[1].stop - box[1].start
        off = np.abs(centres[index] / [height, width] - 0.5).max() * 2
        piece = labels[box] == index + 1
        scores[index] = ink[index] * (1 - 0.5 * off**2) * _edge_factor(piece, box, mask.shape)
        if max(tall, wide) < 5:
            scores[index] *= 0.1
    return labels, int(scores.argmax()) + 1 if scores.max() > 0 else 0


def _edge_factor(piece: np.ndarray, box: tuple[slice, ...], shape: tuple[int, ...]) -> float:
    """Return 1 for a piece clear of the picture's edge, little for one that lies along it, as a table's does."""
    share = edge_share(piece, box, shape)
    return 1.0 if not share else 0.5 if share < ALONG else 0.03


def _with_neighbours(labels: np.ndarray, main: int, strength: np.ndarray) -> np.ndarray:
    """Return the main piece and those near enough and large enough to be parts of it."""
    count = labels.max()
    ink = ndimage.sum_labels(np.minimum(strength, 1.2), labels, np.arange(1, count + 1))
    boxes = ndimage.find_objects(labels)
    chosen = labels == main
    open_ = {
        index + 1
        for index in range(count)
        if index + 1 != main
        and ink[index] >= LEAST_PIECE * ink[main - 1]
        and _edge_factor(labels[boxes[index]] == index + 1, boxes[index], labels.shape) > 0.1
    }
    # A broken stroke is a chain of pieces: each one that is added may bring the next one near.
    for _ in range(6):
        rows, columns = np.flatnonzero(chosen.any(1)), np.flatnonzero(chosen.any(0))
        size = max(np.ptp(rows), np.ptp(columns)) + 1
        nearest = ndimage.minimum(distance(~chosen), labels, sorted(open_)) if open_ else []
        near = {piece for piece, away in zip(sorted(open_), nearest, strict=True) if away <= max(2.0, NEAR * size)}
        if not near:
            break
        chosen |= np.isin(labels, list(near))
        open_ -= near
    return chosen
