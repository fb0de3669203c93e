"""Figures as sentences write them: they round as printed, and no figure contradicts its unit."""

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classlab import formats

SECONDS = st.floats(0, 1e7, allow_nan=False)
FRACTIONS = st.floats(-2, 2, allow_nan=False)
UNITS = {"s": 1, "min": 60, "h": 3600}


def in_seconds(text):
    return sum(
        float(figure.replace(",", "")) * UNITS[unit] for figure, unit in re.findall(r"([\d.,]+) (s|min|h)", text)
    )


@given(SECONDS)
def test_a_duration_reads_back_and_never_holds_60_of_a_unit(seconds):
    text = formats.duration(seconds)
    figures = [float(figure) for figure, unit in re.findall(r"([\d.]+) (s|min)\b", text)]
    assert all(figure < 60 for figure in figures), text
    step = max(0.001, 0.05 * seconds) if seconds < 1 else 0.051 if seconds < 60 else 1 if seconds < 3600 else 60
    assert abs(in_seconds(text) - seconds) <= step + 1e-9, text


@given(SECONDS, SECONDS)
def test_a_longer_duration_never_reads_as_a_shorter_one(first, second):
    short, long = sorted((first, second))
    assert in_seconds(formats.duration(short)) <= in_seconds(formats.duration(long)) + 1e-9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (2e-9, "under 0.001 s"), (0.25, "0.25 s"), (33.46, "33.5 s"),
        (59.94, "59.9 s"), (59.97, "1 min 0 s"), (72, "1 min 12 s"),
        (119.9, "1 min 59 s"), (3599.9, "59 min 59 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min"),
    ],
)  # fmt: skip
def test_durations_as_people_say_them(seconds, text):
    assert formats.duration(seconds) == text


@given(FRACTIONS, st.integers(0, 4))
def test_a_per_cent_rounds_as_it_is_printed(fraction, digits):
    text = formats.percent(fraction, digits)
    exact = Decimal(100 * fraction).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    assert Decimal(text.removesuffix(" %").replace("−", "-")) == exact
    assert "-" not in text and not re.match(r"−0(\.0*)? %", text)
    low, high = formats.interval(fraction, fraction, digits).split(" to ")
    assert f"{low} %" == f"{high} %" == text


def test_what_is_not_a_number_says_so():
    assert formats.percent(None) == "not measured"
    assert formats.percent(math.nan) == formats.loss(math.inf) == formats.loss(None) == "not finite"


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.0043, "0.43 points"), (-0.01, "1.00 point"), (0.010049, "1.00 point"), (0, "0.00 points")],
)
def test_points_are_one_where_they_read_one(difference, text):
    assert formats.points(difference) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 5))
def test_decimals_read_back(value, digits):
    text = formats.decimals(value, digits)
    assert float(text.replace("−", "-").replace(",", "")) == pytest.approx(round(value, digits), abs=1e-9)
    assert "-" not in text


def test_counts_sizes_and_lists():
    assert [formats.count(number, "image") for number in (0, 1, 9943)] == ["0 images", "1 image", "9,943 images"]
    assert formats.count(2, "class", "classes") == "2 classes"
    assert formats.megabytes(11_234_000) == "11.2 MB"
    assert [formats.listed(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [formats.number(value) for value in (1234, 0.1, 1234.5678, 2.0)] == ["1,234", "0.1", "1,235", "2"]
    assert formats.quoted("4") == "“4”" and formats.capital("the end") == "The end"
