"""Limits and verdicts: a contract and what was measured in, one check per limit out. Every limit is inclusive."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from classlab.experiment import Contract

# An accuracy given only as a float may be off by as much as float32 rounds a number near 1.
ACCURACY_NOISE = 5e-8


@dataclass(frozen=True)
class Check:
    """One limit of a contract, held against what was measured.

    `rule` is the contract's own key; `limit` and `measured` are in that key's unit (a rule ending in `_percent` holds
    per cents). `measured` is None where there is nothing to measure, as for the accuracy of a diverged run.
    """

    rule: str
    limit: float
    measured: float | None
    passed: bool
    sentence: str


def check_before(contract: Contract, parameters: int, epochs: int) -> list[Check]:
    """Check what is known before training: the parameters of the model and the epochs planned."""
    return [
        *_at_most("max_parameters", contract.max_parameters, parameters, "parameter"),
        *_at_most("max_epochs", contract.max_epochs, epochs, "epoch"),
    ]


def check_layers(contract: Contract, contents: Mapping[str, int | None]) -> list[Check]:
    """Check what the network is made of, known before training.

    contents: how many of each kind of layer there are, and first_layer_filters; see models.contents.
    """
    checks = []
    for name in contract.must_contain:
        passed, has = (contents[name] or 0) >= 1, contents[name] or 0
        sentence = f"{_layers(name, has)}, at least one wanted: {_word(passed)}"
        checks.append(Check(f"must_contain.{name}", 1, has, passed, sentence))
    for name in contract.must_not_contain:
        passed, has = not contents[name], contents[name] or 0
        checks.append(
            Check(f"must_not_contain.{name}", 0, has, passed, f"{_layers(name, has)}, none allowed: {_word(passed)}")
        )
    for name, wanted in contract.layers.items():
        passed, has = contents[name] == wanted, contents[name] or 0
        checks.append(
            Check(f"layers.{name}", wanted, has, passed, f"{_layers(name, has)}, {wanted} wanted: {_word(passed)}")
        )
    wanted = contract.first_layer_filters
    if wanted is not None:
        has = contents["first_layer_filters"]
        figure = "no convolution" if has is None else f"{has} filters in the first convolution"
        sentence = f"{figure}, {wanted} wanted: {_word(has == wanted)}"
        checks.append(Check("first_layer_filters", wanted, has, has == wanted, sentence))
    return checks


def check_after(contract: Contract, summary: Mapping[str, Any]) -> list[Check]:
    """Check every limit of the contract against a run's summary.

    Keys read: parameters, epochs, val_accuracy, test_accuracy (fractions), seconds; and, where given, val_correct with
    val_total and test_correct with test_total, from which an accuracy is compared exactly. What is missing, None or
    not finite has not been shown and does not pass.
    """
    return [
        *_at_most("max_parameters", contract.max_parameters, summary.get("parameters"), "parameter"),
        *_at_most("max_epochs", contract.max_epochs, summary.get("epochs"), "epoch"),
        *_accuracy("min_val_accuracy_percent", contract.min_val_accuracy_percent, summary, "val", "validation"),
        *_accuracy("min_test_accuracy_percent", contract.min_test_accuracy_percent, summary, "test", "test"),
        *_at_most("max_seconds", contract.max_seconds, summary.get("seconds"), "second"),
    ]


def verdict(checks: Sequence[Check]) -> bool:
    """Say whether every check passed; a contract without limits is kept."""
    return all(check.passed for check in checks)


def _at_most(rule: str, limit: float | None, measured: float | None, unit: str) -> list[Check]:
    if limit is None:
        return []
    allowed = f"at most {_number(limit)} allowed"
    if measured is None or not math.isfinite(measured):
        return [Check(rule, limit, None, False, f"{unit}s not measured, {allowed}: not shown")]
    passed = measured <= limit
    figure = f"{_number(measured)} {unit if measured == 1 else unit + 's'}"
    return [Check(rule, limit, measured, passed, f"{figure}, {allowed}: {_word(passed)}")]


def _layers(name: str, count: int) -> str:
    words = name.replace("_", " ")
    figure = "no" if count == 0 else str(count)
    return f"{figure} {words} {'layer' if count == 1 else 'layers'}"


def _accuracy(rule: str, limit: float | None, summary: Mapping[str, Any], key: str, split: str) -> list[Check]:
    if limit is None:
        return []
    wanted = f"at least {_number(limit)} % wanted"
    measured = summary.get(f"{key}_accuracy")
    correct, total = summary.get(f"{key}_correct"), summary.get(f"{key}_total")
    if correct is not None and total:
        exact = Fraction(int(correct), int(total))
        passed = exact * 100 >= Fraction(str(limit))
        percent = float(exact * 100)
        figure = f"{split} accuracy {_percent(percent, limit, passed)} ({correct:,} of {total:,})"
    elif measured is None or not math.isfinite(measured):
        return [Check(rule, limit, None, False, f"{split} accuracy not measured, {wanted}: not shown")]
    else:
        passed = measured + ACCURACY_NOISE >= limit / 100
        percent = round(100 * measured, 6)
        figure = f"{split} accuracy {_percent(percent, limit, passed)}"
    return [Check(rule, limit, percent, passed, f"{figure}, {wanted}: {_word(passed)}")]


def _percent(percent: float, limit: float, passed: bool) -> str:
    """Return the per cent with two decimals, or with as many as it takes not to contradict the verdict."""
    for decimals in range(2, 7):
        text = f"{percent:.{decimals}f}"
        if (float(text) >= limit) == passed:
            return f"{text} %"
    return f"{percent:.6f} %"


def _number(value: float) -> str:
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:g}"


def _word(passed: bool) -> str:
    return "kept" if passed else "not kept"
