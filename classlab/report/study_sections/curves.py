"""Curves: the mean of each variant over the epochs with the band of its seeds, and every run as a dot."""

import math
from functools import partial

from classlab.drawing import dot_plot, seeds, small_multiples
from classlab.drawing.blocks import Block, Figure, Figures, Section, Words
from classlab.report import watched, words
from classlab.study.result import StudyResult

METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy")
NAMES = {"val": "validation"}
WIDTH, HEIGHT = 340, 250  # of a chart that stands beside another
MOST_MULTIPLES = 24  # small charts; of more variants the bands alone are shown


def section(result: StudyResult) -> Section | None:
    """Return the dots, the curves and the small charts, or None before any epoch is done."""
    found = {metric: result.histories(metric) for metric in METRICS}
    found = {metric: histories for metric, histories in found.items() if histories}
    if not found:
        return None
    blocks: list[Block] = [Words(_reading(result))]
    dots = [row["value"] for row in result.dot_rows() if row["value"] is not None]
    if dots:
        blocks.append(Figures((_dots(result),)))
    blocks.append(Figures(tuple(_figure(result, metric) for metric in found)))
    if 1 < len(result.variants) <= MOST_MULTIPLES:
        blocks.append(Figures((_multiples(result),)))
    return Section("Curves", tuple(blocks))


def _reading(result: StudyResult) -> str:
    protocols = {one.experiment.protocol.train_metrics for one in result.variants}
    many = len(result.study.seed_list) > 1
    text = (
        "A line is the mean of a variant's seeds, the band reaches from its lowest to its highest seed. "
        if many
        else ""
    )
    if protocols == {"running"}:
        return text + "Train curves are the running ones, measured while the weights were changing."
    if protocols == {"re-evaluated"}:
        return text + "Train curves are measured at the end of each epoch."
    return text + "Of some variants the train curve is the running one, of others it is measured at the epoch's end."


def _dots(result: StudyResult) -> Figure:
    metric = result.answer.metric
    caption = f"{words.capital(metric.replace('_', ' '))} of every run: a dot a run"
    if len(result.study.seed_list) > 1:
        caption += ", a tick at the mean, a line for its 95 % interval"
    if any(row["status"] in ("diverged", "did_not_learn") for row in result.rows):
        caption += "; a cross marks a run that diverged or did not learn"
    caption += "." + _seen(result, metric)
    draw = partial(dot_plot.dots, result.dot_rows(), result.interval_rows(), metric)
    return Figure("dots", caption, " ".join(one.sentence + "." for one in result.answer.variants), draw)


def _figure(result: StudyResult, metric: str) -> Figure:
    histories, diverged = result.histories(metric), result.diverged
    caption = f"{words.capital(_named(metric))} over the epochs.{_seen(result, metric)}"
    if diverged and metric == "train_loss":
        told = words.listed([f"{name} ({words.count(len(of), 'run')})" for name, of in diverged.items()])
        caption += f" Diverged: {told}; each a dashed line that ends in a cross."
    ends = [f"{name} ends at {_end(by_seed, metric)}" for name, by_seed in histories.items() if by_seed]
    return Figure(
        metric.replace("_", "-"),
        caption,
        f"{caption} {'; '.join(ends)}.",
        partial(seeds.curves, histories, metric, diverged, width=WIDTH, height=HEIGHT),
    )


def _multiples(result: StudyResult) -> Figure:
    metric = result.curve_metric
    caption = (
        f"{words.capital(_named(metric))} of each variant by itself, every seed a thin line, all on the same axes."
        f"{_seen(result, metric)}"
    )
    draw = partial(small_multiples.multiples, result.histories(metric), metric, result.diverged)
    return Figure("multiples", caption, caption, draw)


def _end(by_seed: dict[int, list[float]], metric: str) -> str:
    last = [curve[-1] for curve in by_seed.values() if curve]
    mean = sum(last) / len(last)
    if not math.isfinite(mean):
        return "no finite value"
    return f"{mean:.4f}" if metric.endswith("loss") else words.percent(mean)


def _seen(result: StudyResult, metric: str) -> str:
    """Return what the test images decided, as a sentence, where the metric is measured on them."""
    of_test = "test" in metric.split("_")
    return watched.sentence(watched.notes({one.name: one.experiment for one in result.variants})) if of_test else ""


def _named(metric: str) -> str:
    split, _, what = metric.partition("_")
    return f"{NAMES.get(split, split)} {what}"
