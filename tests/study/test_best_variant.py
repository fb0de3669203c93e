"""A study names its best variant, and what is not told apart from it, also where neither is the baseline."""

import pytest

from classlab.study.answer import answer

BASE, CLOSE, BEST = (0.90, 0.901, 0.899, 0.9005), (0.9599, 0.9611, 0.9604, 0.9596), (0.9601, 0.9612, 0.9602, 0.9600)


def rows(values, metric="test_accuracy"):
    return [
        {"seed": seed, "status": "finished", metric: value, "test_total": 10_000} for seed, value in enumerate(values)
    ]


def test_the_best_and_what_is_not_told_apart_from_it_are_named():
    found = answer({"base": rows(BASE), "close": rows(CLOSE), "best": rows(BEST)}, "base", "test_accuracy")
    assert found.best == "best is best, 96.04 % in the mean; not told apart from it: close"
    assert found.sentences()[-1] == found.best


def test_others_that_are_all_told_apart():
    worse = tuple(value - 0.05 for value in BEST)
    found = answer({"base": rows(BASE), "worse": rows(worse), "best": rows(BEST)}, "base", "test_accuracy")
    assert found.best.endswith("each of the others is told apart from it")


def test_the_least_loss_is_the_best():
    losses = {
        "a": rows((0.3, 0.31), "test_loss"),
        "b": rows((0.1, 0.11), "test_loss"),
        "c": rows((0.2, 0.2), "test_loss"),
    }
    assert answer(losses, "a", "test_loss").best.startswith("best is b, 0.1050 in the mean")


@pytest.mark.parametrize("names", [["base"], ["base", "close"]])
def test_two_variants_are_compared_and_that_is_all(names):
    held = {"base": rows(BASE), "close": rows(CLOSE)}
    assert answer({name: held[name] for name in names}, "base", "test_accuracy").best == ""
