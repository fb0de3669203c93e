"""Receptive fields, exactly: which pixels of the image each position of a layer's output can depend on.

Along one axis every layer is a rule "output o reads the inputs at these places". The rule is periodic: after `period`
outputs the places have moved on by `shift`. Composing such rules is all there is to convolutions, pools, transposed
convolutions and enlargements alike; the usual formula, size + (kernel - 1) · stride, is the simplest case.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

Places = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Axis:
    """What the positions along one axis of a layer's output see of the image's axis.

    low, high: the first and last pixel seen by each output of one period, as if the image had no border; both are
    empty where they are unknown. shift: how far the field moves from one period to the next. cover: bool, (positions,
    pixels), what is really seen, borders and gaps included. dim: the tensor's dimension that holds this axis; None once
    the axis is gone, as after a linear layer.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    shift: int
    cover: np.ndarray
    dim: int | None

    @property
    def length(self) -> int:
        """The number of positions."""
        return len(self.cover)

    @property
    def size(self) -> int | None:
        """The widest field of any position, not cut off by the image's border; 0: it sees nothing; None: unknown."""
        spans = [high - low + 1 for low, high in zip(self.low, self.high, strict=True) if high >= low]
        return int(max(spans, default=0)) if self.low else None

    @property
    def stride(self) -> Fraction | None:
        """How many pixels the field moves from one position to the next; None where unknown."""
        return Fraction(self.shift, len(self.low)) if self.low else None


@dataclass(frozen=True)
class Field:
    """The receptive fields of a layer's output. exact: whether `cover` is all of what is seen, or only surely seen.

    mixed: where a norm over a map makes each place depend on more than this, the field with that norm's reach. The
    sizes are then still those of the windows, without the norm. Through the norm the rest of the map only shifts and
    scales what a window sees.
    """

    rows: Axis
    columns: Axis
    exact: bool = True
    mixed: "Field | None" = None

    def to_json(self) -> dict[str, Any]:
        """Return {size, stride, global}: numbers, [vertical, horizontal] where the two differ, None where unknown.

        global: every output depends on the whole image, whatever its position, be it through a norm.
        """
        seen = self.mixed or self
        return {
            "size": _both(self.rows.size, self.columns.size),
            "stride": _both(_number(self.rows.stride), _number(self.columns.stride)),
            "global": True if seen.whole else False if seen.exact else None,
        }

    @property
    def whole(self) -> bool:
        """Whether every output depends on the whole image."""
        return bool(self.rows.cover.all() and self.columns.cover.all())


def image(height: int, width: int, dims: tuple[int, int] = (2, 3)) -> Field:
    """Return the field of the image itself: every pixel sees itself."""
    rows, columns = (
        Axis((0,), (0,), 1, np.eye(length, dtype=bool), dim) for length, dim in zip((height, width), dims, strict=True)
    )
    return Field(rows, columns)


def read(axis: Axis, places: Places, shift: int, length: int) -> Axis:
    """Return the axis of a layer whose output o reads the inputs places[o], and so on, `shift` further each period.

    length: how many outputs there are. Places outside the input are padding: they count for the size, as if the map
    went on, and not for what is really seen.
    """
    cover = np.zeros((length, axis.cover.shape[1]), dtype=bool)
    for output in range(length):
        start = output // len(places) * shift
        inside = [start + place for place in places[output % len(places)] if 0 <= start + place < axis.length]
        cover[output] = axis.cover[inside].any(axis=0)
    if not axis.low:
        return replace(axis, cover=cover)
    # The rule repeats itself after len(places) outputs, the fields below after `period` positions of theirs. Both have
    # come round together once the rule has moved on by a multiple of `period`: after so many of its repeats.
    period = len(axis.low)
    repeats = period // math.gcd(period, shift) if shift else 1
    low, high = [], []
    for output in range(len(places) * repeats):
        seen = [_at(axis, output // len(places) * shift + place) for place in places[output % len(places)]]
        low.append(min((first for first, _ in seen), default=math.inf))
        high.append(max((last for _, last in seen), default=-math.inf))
    return replace(axis, low=tuple(low), high=tuple(high), shift=repeats * shift * axis.shift // period, cover=cover)


def slide(axis: Axis, kernel: int, stride: int, padding: int, length: int, dilation: int = 1) -> Axis:
    """A window of `kernel` places moves along by `stride`: convolutions and pools."""
    return read(axis, [[place * dilation - padding for place in range(kernel)]], stride, length)


def spread(axis: Axis, kernel: int, stride: int, padding: int, length: int, dilation: int = 1) -> Axis:
    """Each input is written to `kernel` places, `stride` apart: transposed convolutions."""
    # Input i goes to the outputs i · stride - padding + place · dilation. Solved for i: an output reads those inputs
    # where the division leaves no rest, and which places of the kernel these are repeats every `stride` outputs.
    places = [
        [reach // stride for place in range(kernel) if (reach := output + padding - place * dilation) % stride == 0]
        for output in range(stride)
    ]
    return read(axis, places, 1, length)


def adaptive(axis: Axis, length: int) -> Axis:
    """Pool into `length` bins, as even as can be."""
    common = math.gcd(axis.length, length)
    old, new = axis.length // common, length // common
    places = [range(output * old // new, -(-(output + 1) * old // new)) for output in range(new)]
    return read(axis, places, old, length)


def enlarge(axis: Axis, length: int, linear: bool) -> Axis:
    """Resample to `length` positions: the nearest input, or the two between which an output falls."""
    common = math.gcd(axis.length, length)
    old, new = axis.length // common, length // common
    places = []
    for output in range(new):
        centre = Fraction(2 * output + 1, 2) * old / new - Fraction(1, 2)
        nearest = [output * old // new]
        between = [math.floor(centre), math.ceil(centre)]
        places.append(between if linear else nearest)
    return read(axis, places, old, length)


def collapse(axis: Axis, stride: int, dim: int | None) -> Axis:
    """One output reads every position: a linear layer (stride 1), a mean over the axis (stride: its length)."""
    return replace(slide(axis, axis.length, stride, 0, 1), dim=dim)


def mingle(axis: Axis) -> Axis:
    """Every position comes to depend on all of the axis, as under a softmax or a normalisation along it."""
    if axis.length == 1:
        return axis
    # Low and high would say how the field goes on beyond the border; what depends on the whole map has no such rule.
    cover = np.repeat(axis.cover.any(axis=0, keepdims=True), axis.length, axis=0)
    return replace(axis, low=(), high=(), cover=cover)


def spread_point(axis: Axis, length: int, dim: int) -> Axis:
    """Lay a single position out over `length` positions that all see the same, as a decoder's first map does."""
    low, high = _at(axis, 0) if axis.low else (None, None)
    cover = np.repeat(axis.cover, length, axis=0)
    if low is None or high is None:
        return replace(axis, cover=cover, dim=dim)
    return Axis((low,), (high,), 0, cover, dim)


def join(first: Field, second: Field) -> Field | None:
    """Return the field of two branches added or concatenated: both together; None where their maps do not match.

    Where the branches' strides differ no single size is true of every position, so the size is unknown.
    """
    pairs = ((first.rows, second.rows), (first.columns, second.columns))
    if any(a.dim != b.dim or a.length != b.length for a, b in pairs):
        return None
    first_in_second = all(bool((a.cover <= b.cover).all()) for a, b in pairs)
    second_in_first = all(bool((b.cover <= a.cover).all()) for a, b in pairs)
    differ = sum(not np.array_equal(a.cover, b.cover) for a, b in pairs)
    nested = first_in_second or second_in_first or differ <= 1
    joined = []
    for a, b in pairs:
        # Two crossing bars are no rectangle: then only what one of them sees is surely seen.
        cover = (a.cover | b.cover) if nested else a.cover
        joined.append(_join_sizes(a, b, cover))
    return Field(joined[0], joined[1], first.exact and second.exact and nested)


def _join_sizes(a: Axis, b: Axis, cover: np.ndarray) -> Axis:
    if not a.low or not b.low:
        return Axis((), (), 0, cover, a.dim)
    if a.length == 1 and a.stride != b.stride:  # a single position: how far the next would have moved does not matter
        (low_a, high_a), (low_b, high_b) = _at(a, 0), _at(b, 0)
        return Axis((min(low_a, low_b),), (max(high_a, high_b),), 0, cover, a.dim)
    if a.stride != b.stride:
        return Axis((), (), 0, cover, a.dim)
    period = math.lcm(len(a.low), len(b.low))
    fields = [(_at(a, place), _at(b, place)) for place in range(period)]
    low = tuple(min(seen_a[0], seen_b[0]) for seen_a, seen_b in fields)
    high = tuple(max(seen_a[1], seen_b[1]) for seen_a, seen_b in fields)
    return Axis(low, high, a.shift * period // len(a.low), cover, a.dim)


def _at(axis: Axis, place: int) -> tuple[float, float]:
    """Return the first and last pixel that the position `place` sees, inside the map or beyond it."""
    times, phase = divmod(place, len(axis.low))
    return axis.low[phase] + times * axis.shift, axis.high[phase] + times * axis.shift


def _both(vertical: Any, horizontal: Any) -> Any:
    return vertical if vertical == horizontal else [vertical, horizontal]


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else float(value)
