"""Each sentence of the discussion, on numbers made so that it must, or must not, be said."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classlab.experiment import Experiment
from classlab.report.blocks import discussion
from classlab.report.outcome import Outcome


@dataclass
class Stand:
    """A run of invented numbers: 1,000 validation images and 10,000 test images."""

    val: list[float]
    train: list[float]
    val_loss: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    status: str = "finished"
    protocol: dict[str, Any] = field(default_factory=dict)
    contract: dict[str, Any] = field(default_factory=dict)
    augmentations: list[Any] = field(default_factory=list)

    @property
    def experiment(self):
        return Experiment(
            name="stand",
            data={"dataset": "digits", "val_size": 1000, "augmentations": self.augmentations},
            model="perceptron",
            training={"epochs": len(self.val), "batch_size": 10, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
            protocol=self.protocol,
            contract=self.contract,
        )

    @property
    def history(self):
        n = len(self.val)
        return pd.DataFrame(
            {
                "epoch": range(1, n + 1),
                "train_loss": self.train_loss or [1.0] * n,
                "train_accuracy": self.train,
                "val_loss": self.val_loss or [1.0] * n,
                "val_accuracy": self.val,
                "learning_rate": [0.1] * n,
            }
        )

    environment = {"classes": 10}  # noqa: RUF012

    def split(self):
        return {"train": list(range(5000)), "val": list(range(1000)), "test": 10000}


def outcome(matrix, confidence=0.7):
    """Return the outcome of a confusion matrix; every prediction is as sure as the next."""
    cells = [(i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) for _ in range(count)]
    labels, predicted = np.array(cells).T
    sure = np.full(len(labels), confidence, dtype=float)
    return Outcome(labels, predicted, sure, tuple("abcdef"[: len(matrix)]))


def test_a_gap_larger_than_chance_is_told_from_one_that_is_not():
    re_evaluated = {"train_metrics": "re-evaluated"}
    wide = discussion.gap(Stand(val=[0.9], train=[0.99], protocol=re_evaluated))
    assert "The gap of 9.00 points is larger than the 1.90 points that chance allows on 1,000" in wide
    assert "it does better on what it was trained on" in wide
    narrow = discussion.gap(Stand(val=[0.9], train=[0.91], protocol=re_evaluated))
    assert "The gap of 1.00 point is within the 1.90 points" in narrow
    assert "better" not in narrow


def test_a_running_train_accuracy_is_not_read_as_if_measured_alike():
    text = discussion.gap(Stand(val=[0.99], train=[0.9], augmentations=[{"name": "rotate", "degrees": 10}]))
    assert "on augmented images, so the two are not measured in the same way" in text
    plain = discussion.gap(Stand(val=[0.99], train=[0.9]))
    assert "augmented" not in plain


def test_the_gap_is_that_of_the_selected_epoch():
    text = discussion.gap(Stand(val=[0.5, 0.8, 0.7], train=[0.5, 0.81, 0.9], summary={"selected_epoch": 2}))
    assert text.startswith("In epoch 2 the network got 81.00 % of the training images right and 80.00 % of the")


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ([0.5, 0.5, 0.5, 0.7, 0.7, 0.7], "It was still rising, by 20.00 points"),
        ([0.7, 0.7, 0.7, 0.5, 0.5, 0.5], "It was falling, by 20.00 points"),
        ([0.9, 0.9, 0.9, 0.901, 0.901, 0.901], "had levelled off as far as these images can tell"),
    ],
)
def test_the_end_of_the_curve_is_read_against_chance(curve, said):
    assert said in discussion.still_rising(Stand(val=curve, train=curve))


def test_a_short_curve_is_not_read():
    assert discussion.still_rising(Stand(val=[0.1, 0.9], train=[0.1, 0.9])) == ""


def test_overfitting_is_said_only_when_one_loss_rises_while_the_other_falls():
    apart = Stand([0.9] * 4, [0.9] * 4, val_loss=[0.5, 0.3, 0.4, 0.6], train_loss=[0.5, 0.3, 0.2, 0.1])
    assert "lowest in epoch 2, 0.3000, and rose to 0.6000 by epoch 4" in discussion.overfitting(apart)
    together = Stand([0.9] * 4, [0.9] * 4, val_loss=[0.5, 0.3, 0.4, 0.6], train_loss=[0.5, 0.3, 0.4, 0.5])
    assert discussion.overfitting(together) == ""
    level = Stand([0.9] * 4, [0.9] * 4, val_loss=[0.5, 0.3, 0.3, 0.31], train_loss=[0.5, 0.3, 0.2, 0.1])
    assert discussion.overfitting(level) == ""


@pytest.mark.parametrize(
    ("correct", "told", "interval"),
    [
        (9955, "15 images to spare", "lies inside the 95 % interval"),
        (9940, "exactly at the limit", "lies inside the 95 % interval"),
        (9939, "1 image too few", "lies inside the 95 % interval"),
        (9990, "50 images to spare", "lies above the limit"),
        (9800, "140 images too few", "lies below the limit"),
    ],
)
def test_the_margin_is_told_in_images(correct, told, interval):
    run = Stand([0.9], [0.9], contract={"min_test_accuracy_percent": 99.4})
    run.summary = {"test_correct": correct, "test_total": 10000}
    text = discussion.margin(run)
    assert f"The limit of 99.4 % is 9,940 images right; this run has {correct:,}, {told}." in text
    assert interval in text


def test_validation_and_test_are_compared_against_chance():
    run = Stand([0.9], [0.9], summary={"val_accuracy": 0.95, "test_accuracy": 0.9, "test_total": 10000})
    run.protocol = {"select": "best"}
    assert "more than the" in discussion.agreement(
        run
    ) and "the validation set chose the epoch" in discussion.agreement(run)
    run.summary["val_accuracy"] = 0.905
    assert "differ by 0.50 points, within the" in discussion.agreement(run)


def test_the_most_confused_pair_is_named_with_its_share():
    text = discussion.confused_pair(outcome([[9, 1, 0], [3, 7, 1], [0, 0, 9]]))
    assert text.startswith("“b” and “a” are confused most. “b” was taken for “a” 3 times and once the other way")
    assert text.endswith("4 of the 5 mistakes (80 %).")


def test_no_pair_is_named_where_two_are_alike_and_none_where_there_is_no_mistake():
    assert discussion.confused_pair(outcome([[9, 1, 0], [0, 9, 1], [0, 0, 9]])) == ""
    assert "no mistake on the 18 test images" in discussion.confused_pair(outcome([[9, 0], [0, 9]]))


def test_classes_are_told_apart_only_when_their_intervals_are():
    close = discussion.classes_apart(outcome([[90, 10], [12, 88]]))
    assert "“b” is recognised worst, 88.00 % right, and “a” best, 90.00 %. Their 95 % intervals overlap" in close
    far = discussion.classes_apart(outcome([[99, 1, 0], [0, 99, 1], [40, 0, 60]]))
    assert "“c” is recognised worst, 60.00 % right, and 2 classes best, 99.00 % each" in far
    assert "do not overlap" in far


def test_mistakes_made_with_great_confidence_are_counted():
    text = discussion.sure_mistakes(outcome([[90, 10], [0, 100]], confidence=0.995))
    assert "at least 99 % sure of 200 images and wrong on 10 of them (5.00 %)" in text
    assert discussion.sure_mistakes(outcome([[90, 10], [0, 100]], confidence=0.6)) == ""


def test_nothing_is_read_into_the_curves_of_a_run_that_went_wrong():
    run = Stand([0.1] * 6, [0.1] * 6, status="did_not_learn")
    assert discussion.gap(run) == discussion.still_rising(run) == discussion.overfitting(run) == ""
    assert "answering every class with equal confidence costs 2.3026" in discussion.trouble(run)
