"""The one vocabulary of metrics: names, words, units, and which way is better."""

import pytest

from classlab import metrics, statistics


@pytest.mark.parametrize(
    ("metric", "words", "title"),
    [
        ("test_accuracy", "test accuracy", "test accuracy, %"),
        ("best_val_accuracy", "best validation accuracy", "best validation accuracy, %"),
        ("train_loss", "train loss", "train loss"),
        ("spread_val_accuracy", "spread validation accuracy", "spread validation accuracy, points"),
        ("accuracy", "accuracy", "accuracy, %"),
        ("learning_rate", "learning rate", "learning rate"),
    ],
)
def test_words_and_title(metric, words, title):
    assert metrics.words(metric) == words
    assert metrics.title(metric) == title


def test_the_scale_says_the_unit_and_what_is_better():
    assert metrics.scale("best_val_accuracy") is statistics.ACCURACY
    assert metrics.scale("last_test_loss") is statistics.LOSS
    assert metrics.scale("spread_test_accuracy").value(0.0123) == "1.23 points"
    assert [metrics.scale(name).higher_is_better for name in ("val_accuracy", "val_loss", "spread_val_accuracy")] == [
        True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("metric", metrics.NAMES)
def test_every_name_is_one_and_has_words(metric):
    assert metrics.PATTERN.fullmatch(metric)
    assert metrics.words(metric).endswith(("accuracy", "loss"))
    assert metrics.short(metric).replace(" ", "_") == metric
