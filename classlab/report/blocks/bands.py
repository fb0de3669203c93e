"""Bands: the mean of each variant of a study over the epochs with the band of its seeds, a chart a metric."""

import math
from functools import partial

from classlab.drawing import seeds
from classlab.drawing.blocks import Block, Figure, Figures, Words
from classlab.report import protocol_notes, words
from classlab.report.material import Material
from classlab.study.result import StudyResult

METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy")
NAMES = {"val": "validation"}
WIDTH, HEIGHT = 340, 250  # of a chart that stands beside another


def blocks(material: Material) -> list[Block]:
    """Return what the curves are, and those of each metric that was measured; nothing before any epoch is done."""
    result = material.study
    if result is None:
        return material.lacking("These runs are not a study, whose variants would have bands.")
    figures = tuple(_figure(result, metric) for metric in METRICS if result.histories(metric))
    return [Words(_reading(result)), Figures(figures)] if figures else []


def _reading(result: StudyResult) -> str:
    protocols = {variant.experiment.protocol.train_metrics for variant in result.variants}
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
    if protocols == {"accuracy re-evaluated"}:
        return text + "Train losses are the running ones, train accuracies are measured at the end of each epoch."
    return text + "Of some variants the train curve is the running one, of others it is measured at the epoch's end."


def _figure(result: StudyResult, metric: str) -> Figure:
    histories, diverged = result.histories(metric), result.diverged
    caption = f"{words.capital(named(metric))} over the epochs.{test_note(result, metric)}"
    if diverged and metric == "train_loss":
        which = words.listed([f"{name} ({words.count(len(runs), 'run')})" for name, runs in diverged.items()])
        caption += f" Diverged: {which}; each a dashed line that ends in a cross."
    ends = [f"{name} ends at {_end(by_seed, metric)}" for name, by_seed in histories.items() if by_seed]
    return Figure(
        metric.replace("_", "-"),
        caption,
        f"{caption} {'; '.join(ends)}.",
        partial(seeds.curves, histories, metric, diverged, width=WIDTH, height=HEIGHT),
    )


def _end(by_seed: dict[int, list[float]], metric: str) -> str:
    last = [curve[-1] for curve in by_seed.values() if curve]
    mean = sum(last) / len(last)
    if not math.isfinite(mean):
        return "no finite value"
    return f"{mean:.4f}" if metric.endswith("loss") else words.percent(mean)


def test_note(result: StudyResult, metric: str) -> str:
    """Return what the test images decided, as a sentence, where the metric is measured on them."""
    if "test" not in metric.split("_"):
        return ""
    notes = protocol_notes.notes({variant.name: variant.experiment for variant in result.variants})
    return protocol_notes.sentence(notes)


def named(metric: str) -> str:
    """Return a metric as a caption names it, "validation accuracy"."""
    split, _, what = metric.partition("_")
    return f"{NAMES.get(split, split)} {what}"
