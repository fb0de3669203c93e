"""Several digits in one picture: whether there are, and each as a picture part of its own."""

import numpy as np
from scipy import ndimage

from classlab.use.ink import ALONG, edge_share
from classlab.use.pieces import hysteresis, ruled_lines

TALL = 0.55  # of the tallest: what is lower is a dot, a comma or the hat of a 5
INK = 0.15  # of the inkiest
SAME_LINE = 0.5  # of the lower one's height: how much of it lies beside the other
OVER = 0.25  # of the narrower one's width: more of it above or below the other belongs to the same digit
WHOLE = 0.35  # of a digit's height: the tallest of its pieces; a row of dots, as a spiral makes, is no digit
MOST = 12  # digits in a row; more is a text


def digit_masks(strength: np.ndarray) -> list[np.ndarray]:
    """Return which pixels each of the digits in a row covers, bool (height, width), from left to right.

    strength: as Ink holds it. A picture of one digit, or of none, gives one mask or none.
    """
    labels, count = ndimage.label(hysteresis(strength) & ~ruled_lines(strength), np.ones((3, 3)))
    ink = ndimage.sum_labels(np.minimum(strength, 1.2), labels, np.arange(1, count + 1))
    boxes = ndimage.find_objects(labels)
    pieces = [
        (number + 1, boxes[number])
        for number in range(count)
        if ink[number] >= 0.02 * ink.max()
        and edge_share(labels[boxes[number]] == number + 1, boxes[number], labels.shape) < ALONG
    ]
    groups: list[list[int]] = []
    spans: list[list[int]] = []  # top, bottom, left, right of each group
    tallest: list[int] = []  # of each group's pieces, their height
    for label, (rows, columns) in sorted(pieces, key=lambda piece: piece[1][1].start):
        shared = min(spans[-1][3], columns.stop) - columns.start if groups else 0
        if groups and shared > OVER * min(columns.stop - columns.start, spans[-1][3] - spans[-1][2]):
            groups[-1].append(label)
            top, bottom, left, right = spans[-1]
            spans[-1] = [min(top, rows.start), max(bottom, rows.stop), left, max(right, columns.stop)]
            tallest[-1] = max(tallest[-1], rows.stop - rows.start)
        else:
            groups.append([label])
            spans.append([rows.start, rows.stop, columns.start, columns.stop])
            tallest.append(rows.stop - rows.start)
    kept = [place for place, (top, bottom, *_) in enumerate(spans) if tallest[place] >= WHOLE * (bottom - top)]
    inks = [float(ink[np.array(groups[place]) - 1].sum()) for place in kept]
    return [np.isin(labels, groups[kept[index]]) for index in _row([spans[place] for place in kept], inks)]


def _row(spans: list[list[int]], ink: list[float]) -> list[int]:
    """Return the groups that stand beside the inkiest one in a row and are about as tall as it is."""
    if not spans:
        return []
    first = int(np.argmax(ink))
    top, bottom, *_ = spans[first]
    chosen = []
    for index, (high, low, *_) in enumerate(spans):
        heights = sorted((low - high, bottom - top))
        beside = min(low, bottom) - max(high, top)
        if heights[0] >= TALL * heights[1] and beside >= SAME_LINE * heights[0] and ink[index] >= INK * ink[first]:
            chosen.append(index)
    return chosen if len(chosen) <= MOST else [first]
