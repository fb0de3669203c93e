"""Charts of many runs: the rows they draw, and that what diverged is seen."""

import json
import math

import pytest

from classlab.drawing import curve_rows, dot_plot, palette, render, seeds, small_multiples
from classlab.drawing.palette import DARK, LIGHT

CURVES = {"a": {0: [0.1, 0.3, 0.5], 1: [0.3, 0.5, 0.7]}, "b": {0: [0.2, math.nan, math.nan], 1: [0.2, 0.4]}}
BROKEN = {"b": {0}}


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_band_reaches_from_the_lowest_to_the_highest_seed_and_leaves_the_diverged_to_their_own_line():
    rows = curve_rows.band_rows(CURVES, BROKEN)
    assert rows[0] == {"curve": "a", "epoch": 1, "mean": pytest.approx(0.2), "low": 0.1, "high": 0.3, "seeds": 2}
    assert [(row["epoch"], row["mean"], row["seeds"]) for row in rows if row["curve"] == "b"] == [
        (1, 0.2, 1),
        (2, 0.4, 1),
    ]
    assert curve_rows.broken_rows(CURVES, BROKEN) == [{"curve": "b", "seed": 0, "epoch": 1, "value": 0.2}]
    assert curve_rows.broken_rows({}, {"c": [3]}) == [{"curve": "c", "seed": 3, "epoch": 1, "value": None}]
    assert len(curve_rows.seed_rows(CURVES)) == 9


@pytest.mark.parametrize("broken", [{}, BROKEN, {"b": {0}, "never": {1}}])
def test_every_chart_can_be_drawn_with_and_without_diverged_runs(broken):
    for chart in (
        seeds.curves(CURVES, "val_accuracy", broken),
        small_multiples.multiples(CURVES, "train_loss", broken),
    ):
        drawn = render.svg(chart)
        assert "<svg" in drawn
    assert (
        "× diverged" in json.dumps(seeds.curves(CURVES, "val_accuracy", broken).to_dict(), ensure_ascii=False)
    ) == bool(broken)


def test_an_accuracy_is_drawn_in_per_cent_and_a_loss_that_explodes_on_a_logarithmic_axis():
    assert "validation accuracy, %" in json.dumps(seeds.curves(CURVES, "val_accuracy").to_dict())
    wild = {"a": {0: [2.3, 1e6]}, "b": {0: [2.3, 0.5]}}
    assert '"type": "log"' in json.dumps(seeds.curves(wild, "train_loss").to_dict())
    assert '"type": "log"' not in json.dumps(seeds.curves(CURVES, "train_loss").to_dict())


def test_dots_hold_every_run_and_cut_intervals_at_the_axis():
    values = [{"variant": "a", "seed": seed, "value": 0.9 + seed / 100, "status": "finished"} for seed in (0, 1)]
    values.append({"variant": "b", "seed": 0, "value": 0.1, "status": "diverged"})
    values.append({"variant": "b", "seed": 1, "value": None, "status": "failed"})
    intervals = [
        {"variant": "a", "mean": 0.905, "low": -3.0, "high": 4.0},
        {"variant": "b", "mean": 0.1, "low": None, "high": None},
    ]
    chart = dot_plot.dots(values, intervals, "test_accuracy")
    span = chart.to_dict()["layer"][0]["data"]["values"][0]
    assert span["shown_low"] > 0 and span["shown_high"] <= 100.5 and span["low"] == -300
    assert "<svg" in render.svg(chart)


def test_every_colour_stands_out_from_light_and_dark_paper_at_3_to_1():
    for colour in palette.COLOURS:
        for paper in (LIGHT.paper, DARK.paper):
            low, high = sorted((luminance(colour), luminance(paper)))
            assert (high + 0.05) / (low + 0.05) >= 3, (colour, paper)
    assert len(set(palette.COLOURS)) == len(palette.DASHES) == 8
