"""Contracts: limits are inclusive, accuracies compare exactly, sentences say what was measured and allowed."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classlab.contract import check_after, check_before, verdict
from classlab.experiment import Contract

MNIST_20K = Contract(max_parameters=19999, max_epochs=20, min_test_accuracy_percent=99.4)


def test_before_training_parameters_and_epochs_are_checked_inclusively():
    checks = check_before(MNIST_20K, parameters=15790, epochs=20)
    assert [check.sentence for check in checks] == [
        "15,790 parameters, at most 19,999 allowed: kept",
        "20 epochs, at most 20 allowed: kept",
    ]
    assert verdict(checks)
    assert verdict(check_before(MNIST_20K, 19999, 20))
    assert not verdict(check_before(MNIST_20K, 20000, 20))
    assert not verdict(check_before(MNIST_20K, 19999, 21))
    assert check_before(MNIST_20K, 20000, 1)[0].sentence == "20,000 parameters, at most 19,999 allowed: not kept"
    assert check_before(MNIST_20K, 20000, 1)[1].sentence == "1 epoch, at most 20 allowed: kept"


def test_a_contract_without_limits_is_kept():
    assert check_before(Contract(), 10**9, 10**6) == []
    assert verdict(check_after(Contract(), {}))


def test_after_training_every_limit_is_checked():
    contract = Contract(
        max_parameters=100,
        max_epochs=2,
        min_val_accuracy_percent=50.0,
        min_test_accuracy_percent=99.4,
        max_seconds=60.5,
    )
    summary = {"parameters": 100, "epochs": 2, "val_accuracy": 0.5, "test_accuracy": 0.9947, "seconds": 60.5}
    checks = check_after(contract, summary)
    assert [check.rule for check in checks] == [
        "max_parameters",
        "max_epochs",
        "min_val_accuracy_percent",
        "min_test_accuracy_percent",
        "max_seconds",
    ]
    assert verdict(checks)
    assert checks[3].sentence == "test accuracy 99.47 %, at least 99.4 % wanted: kept"
    assert checks[3].measured == 99.47
    assert checks[4].sentence == "60.5 seconds, at most 60.5 allowed: kept"


@pytest.mark.parametrize("accuracy", [None, math.nan, math.inf])
def test_what_was_not_measured_does_not_pass(accuracy):
    check = check_after(Contract(min_test_accuracy_percent=99.4), {"test_accuracy": accuracy})[0]
    assert not check.passed
    assert check.measured is None
    assert check.sentence == "test accuracy not measured, at least 99.4 % wanted: not shown"


def test_the_printed_accuracy_never_contradicts_the_verdict():
    contract = Contract(min_test_accuracy_percent=99.4)
    check = check_after(contract, {"test_correct": 59_639, "test_total": 60_000})[0]
    assert check.sentence == "test accuracy 99.398 % (59,639 of 60,000), at least 99.4 % wanted: not kept"


@given(total=st.integers(1, 10_000), data=st.data())
def test_counts_compare_exactly_and_floats_agree_with_them(total, data):
    correct = data.draw(st.integers(0, total))
    percent = data.draw(st.integers(0, 1_000)) / 10
    contract = Contract(min_test_accuracy_percent=percent)
    passed = Fraction(correct, total) * 100 >= Fraction(str(percent))
    assert check_after(contract, {"test_correct": correct, "test_total": total})[0].passed == passed
    assert check_after(contract, {"test_accuracy": correct / total})[0].passed == passed


@given(st.integers(1, 10_000))
def test_an_accuracy_that_equals_its_limit_meets_it(correct):
    contract = Contract(min_test_accuracy_percent=correct / 100)
    assert check_after(contract, {"test_accuracy": correct / 10_000})[0].passed
    assert not check_after(contract, {"test_accuracy": (correct - 1) / 10_000})[0].passed
