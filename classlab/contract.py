"""Limits and verdicts: a contract and what was measured in, one check per limit out. Every limit is inclusive."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from classlab import lookup, own_code, statistics
from classlab.experiment import Contract, Data, Experiment

# An accuracy given only as a float may be off by as much as float32 rounds a number near 1.
ACCURACY_NOISE = 5e-8
SPLITS = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class Check:
    """One limit of a contract, compared with what was measured.

    `rule` is the contract's own key; `limit` and `measured` are in that key's unit (a rule ending in `_percent` holds
    per cents; a dataset is text). `measured` is None where there is nothing to measure, as for the accuracy of a
    diverged run. `margin` is what is left before the limit, negative where it is passed; None where there is no such
    number.
    """

    rule: str
    limit: float | str
    measured: float | str | None
    passed: bool
    sentence: str
    margin: float | None = None


def check_before(contract: Contract, parameters: int, epochs: int) -> list[Check]:
    """Check what is known before training: the parameters of the model and the epochs planned."""
    return [
        *_at_most("max_parameters", contract.max_parameters, parameters, "parameter"),
        *_at_most("max_epochs", contract.max_epochs, epochs, "epoch"),
    ]


def check_data(contract: Contract, data: Data | None) -> list[Check]:
    """Check what is classified: the dataset, its classes, and that all test images count. None: given in Python."""
    if contract.dataset is None or "dataset" in contract.not_judged:
        return []
    wanted = _dataset(contract.dataset.name, contract.classes, None)
    if data is None:
        return [Check("dataset", wanted, None, False, f"images given in Python, {wanted} wanted: not kept")]
    used = _dataset(data.dataset.name, data.classes, data.max_test_per_class)
    name = contract.dataset.name
    passed = (
        data.dataset.name == name
        and data.max_test_per_class is None
        and _labels(name, data.classes) == _labels(name, contract.classes)
    )
    return [Check("dataset", wanted, used, passed, f"dataset {used}, {wanted} wanted: {_word(passed)}")]


def check_layers(contract: Contract, contents: Mapping[str, int | None]) -> list[Check]:
    """Check what the network is made of, known before training.

    contents: how many of each kind of layer there are, and first_layer_filters; see network.contents.
    """
    checks = []
    for name in contract.must_contain:
        passed, has = (contents[name] or 0) >= 1, contents[name] or 0
        sentence = f"{_layers(name, has)}, at least one wanted: {_word(passed)}"
        checks.append(Check(f"must_contain.{name}", 1, has, passed, sentence, has - 1))
    for name in contract.must_not_contain:
        passed, has = not contents[name], contents[name] or 0
        sentence = f"{_layers(name, has)}, none allowed: {_word(passed)}"
        checks.append(Check(f"must_not_contain.{name}", 0, has, passed, sentence, -has))
    for name, wanted in contract.layers.items():
        passed, has = contents[name] == wanted, contents[name] or 0
        sentence = f"{_layers(name, has)}, {wanted} wanted: {_word(passed)}"
        checks.append(Check(f"layers.{name}", wanted, has, passed, sentence, -abs(has - wanted)))
    wanted = contract.first_layer_filters
    if wanted is not None:
        has = contents["first_layer_filters"]
        figure = "no convolution" if has is None else f"{has} filters in the first convolution"
        sentence = f"{figure}, {wanted} wanted: {_word(has == wanted)}"
        margin = None if has is None else -abs(has - wanted)
        checks.append(Check("first_layer_filters", wanted, has, has == wanted, sentence, margin))
    return [*checks, *_receptive_field(contract.min_receptive_field, contents)]


def _receptive_field(wanted: int | None, contents: Mapping[str, int | None]) -> list[Check]:
    if wanted is None:
        return []
    has = contents["receptive_field"]
    if has is None:
        sentence = f"receptive field of the convolutions not known, at least {wanted} pixels wanted: not shown"
        return [Check("min_receptive_field", wanted, None, False, sentence)]
    passed = has >= wanted
    sentence = f"largest receptive field of a convolution {has} pixels, at least {wanted} wanted: {_word(passed)}"
    return [Check("min_receptive_field", wanted, has, passed, sentence, has - wanted)]


def asks_of_layers(contract: Contract) -> bool:
    """Say whether a contract has a rule on what the network is made of, for which the network must be built."""
    asked = (contract.must_contain, contract.must_not_contain, contract.layers, contract.first_layer_filters)
    return any(asked) or contract.min_receptive_field is not None


def is_fixed(rule: str) -> bool:
    """Say whether a rule is on data or layers, which training does not change."""
    return rule in ("dataset", "min_receptive_field") or rule.startswith(("must_", "layers.", "first_layer_"))


def check_last_epochs(contract: Contract, rows: Sequence[Mapping[str, float]]) -> list[Check]:
    """Check that the accuracies asked for were kept in each of the last epochs too, by the rows of metrics.csv.

    Measured is the lowest of them, in per cent. Fewer epochs than asked for, or a split that was not evaluated after
    each epoch, do not show it. Every run is compared with it by itself.
    """
    count, checks = contract.in_each_of_last_epochs, []
    if count is None:
        return []
    for split in SPLITS:
        limit = _limit(contract, split)
        if limit is None:
            continue
        rule, wanted = f"in_each_of_last_epochs.{split}", f"at least {_number(limit)} % wanted"
        whose = f"{SPLITS[split]} accuracy in {f'each of the last {count} epochs' if count > 1 else 'the last epoch'}"
        curve = [row.get(f"{split}_accuracy", math.nan) for row in rows[-count:]]
        if len(curve) < count or not all(math.isfinite(value) for value in curve):
            checks.append(Check(rule, limit, None, False, f"{whose} not measured, {wanted}: not shown"))
            continue
        lowest = min(curve)
        passed, percent = lowest + ACCURACY_NOISE >= limit / 100, round(100 * lowest, 6)
        sentence = f"{whose}, lowest {_percent(percent, limit, passed)}, {wanted}: {_word(passed)}"
        checks.append(Check(rule, limit, percent, passed, sentence, percent - limit))
    return checks


def check_after(contract: Contract, summary: Mapping[str, Any]) -> list[Check]:
    """Check every limit of the contract that one run can keep or break, against its summary.

    Keys read: parameters, epochs, val_accuracy, test_accuracy (fractions), seconds; and, where given, val_correct with
    val_total and test_correct with test_total, from which an accuracy is compared exactly. What is missing, None or
    not finite has not been shown and does not pass. Accuracies of several seeds are check_seeds'; see open_rules.
    """
    accuracies = []
    if contract.seeds == 1:
        for split in SPLITS:
            accuracies += _accuracy(contract, split, summary)
    return [
        *_at_most("max_parameters", contract.max_parameters, summary.get("parameters"), "parameter"),
        *_at_most("max_epochs", contract.max_epochs, summary.get("epochs"), "epoch"),
        *accuracies,
        *_at_most("max_seconds", contract.max_seconds, summary.get("seconds"), "second"),
    ]


def check_seeds(contract: Contract, summaries: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Check what a contract asks of several runs together: enough seeds, or those named, and their accuracies.

    summaries: one for each run, with seed and, for the splits asked for, correct and total, as for check_after. A run
    without a seed does not count, and neither does one whose seed is not among those named. A contract for single runs
    asks nothing here.
    """
    if contract.seeds == 1:
        return []
    summaries = [summary for summary in summaries if isinstance(summary.get("seed"), int)]
    checks = [_seeds(contract.seeds, [summary["seed"] for summary in summaries])]
    if isinstance(contract.seeds, list):
        summaries = [summary for summary in summaries if summary["seed"] in contract.seeds]
    for split in SPLITS:
        checks += _accuracy_over_seeds(contract, split, summaries)
    return checks


def open_rules(contract: Contract) -> list[str]:
    """Return in words what a contract asks of several runs together, which no single run can keep or break."""
    if contract.seeds == 1:
        return []
    limits = ((split, _limit(contract, split)) for split in SPLITS)
    return [_accuracy_in_words(contract, split, limit) for split, limit in limits if limit is not None]


def of_changed(declared: Experiment, changed: Experiment) -> Experiment:
    """Return a changed experiment, in whose contract what was set for the declared one is reported but not judged.

    A limit on the accuracy is set for a training of some length on some images: fewer epochs or other images than
    declared cannot keep it or break it. A limit that was changed too is judged.
    """
    images = [
        f"data.{name} is {_setting(getattr(changed.data, name))} instead of {_setting(getattr(declared.data, name))}"
        for name in ("dataset", "classes", "max_per_class", "max_test_per_class")
        if getattr(changed.data, name) != getattr(declared.data, name)
    ]
    epochs = changed.training.epochs, declared.training.epochs
    whys = [f"training.epochs is {epochs[0]} instead of {epochs[1]}"] if epochs[0] < epochs[1] else []
    reasons = {f"min_{split}_accuracy_percent": whys + images for split in SPLITS} | {"dataset": images}
    not_judged = {
        rule: " and ".join(why)
        for rule, why in reasons.items()
        if why and getattr(changed.contract, rule) is not None
        and getattr(changed.contract, rule) == getattr(declared.contract, rule)
    }  # fmt: skip
    if not not_judged:
        return changed
    contract = changed.contract.model_copy(update={"not_judged": not_judged})
    return changed.model_copy(update={"contract": contract})


def not_judged(contract: Contract) -> list[str]:
    """Return a sentence for each limit that is reported but not judged."""
    judged = contract.model_copy(update={"not_judged": {}})
    phrases = {f"min_{split}_accuracy_percent": split for split in SPLITS}
    found = []
    for rule, why in contract.not_judged.items():
        limit = _limit(judged, phrases[rule]) if rule in phrases else None
        if limit is not None:
            found.append(f"{_accuracy_in_words(contract, phrases[rule], limit)} wanted: not judged, since {why}")
        elif rule == "dataset" and contract.dataset is not None:
            wanted = _dataset(contract.dataset.name, contract.classes, None)
            found.append(f"dataset {wanted} wanted: not judged, since {why}")
    return found


def _setting(value: Any) -> str:
    return "null" if value is None else str(value)


def in_words(contract: Contract) -> list[str]:
    """Return every limit in a few words: "at most 19,999 parameters"."""
    phrases = [] if contract.dataset is None else [f"on {_dataset(contract.dataset.name, contract.classes, None)}"]
    limits = ((split, _limit(contract, split)) for split in reversed(SPLITS))
    phrases += [_accuracy_in_words(contract, split, limit) for split, limit in limits if limit is not None]
    for limit, unit in (
        (contract.max_parameters, "parameters"),
        (contract.max_epochs, "epochs"),
        (contract.max_seconds, "seconds of training"),
    ):
        phrases += [] if limit is None else [f"at most {_number(limit)} {unit}"]
    phrases += [f"at least one {name.replace('_', ' ')} layer" for name in contract.must_contain]
    phrases += [f"no {name.replace('_', ' ')} layers" for name in contract.must_not_contain]
    phrases += [_layers(name, count) for name, count in contract.layers.items()]
    filters, field, last = contract.first_layer_filters, contract.min_receptive_field, contract.in_each_of_last_epochs
    phrases += [] if filters is None else [f"{filters} filters in the first convolution"]
    phrases += [] if field is None else [f"a receptive field of at least {field} pixels"]
    return phrases + ([] if last is None else [f"these accuracies in each of the last {last} epochs"])


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
    return [Check(rule, limit, measured, passed, f"{figure}, {allowed}: {_word(passed)}", limit - measured)]


def _limit(contract: Contract, split: str) -> float | None:
    """Return the least accuracy that a contract asks of a split; None where it asks none, or does not judge it."""
    if f"min_{split}_accuracy_percent" in contract.not_judged:
        return None
    return contract.min_test_accuracy_percent if split == "test" else contract.min_val_accuracy_percent


def _accuracy(contract: Contract, split: str, summary: Mapping[str, Any]) -> list[Check]:
    limit, rule = _limit(contract, split), f"min_{split}_accuracy_percent"
    if limit is None:
        return []
    wanted = f"at least {_number(limit)} % wanted"
    measured, name = summary.get(f"{split}_accuracy"), f"{SPLITS[split]} accuracy"
    correct, total = summary.get(f"{split}_correct"), summary.get(f"{split}_total")
    counted = correct is not None and total
    if contract.judged_by == "lower_bound" and counted:
        low = 100 * statistics.wilson(correct, total)[0]
        passed = low >= limit
        figure = f"{name} {100 * correct / total:.2f} % ({correct:,} of {total:,}), lower bound of its 95 % interval "
        sentence = f"{figure}{_percent(low, limit, passed)}, {wanted}: {_word(passed)}"
        return [Check(rule, limit, low, passed, sentence, low - limit)]
    if counted:
        exact = Fraction(int(correct), int(total))
        passed = exact * 100 >= Fraction(str(limit))
        percent = float(exact * 100)
        figure = f"{name} {_percent(percent, limit, passed)} ({correct:,} of {total:,})"
    elif measured is None or not math.isfinite(measured) or contract.judged_by == "lower_bound":
        return [Check(rule, limit, None, False, f"{name} not measured, {wanted}: not shown")]
    else:
        passed = measured + ACCURACY_NOISE >= limit / 100
        percent = round(100 * measured, 6)
        figure = f"{name} {_percent(percent, limit, passed)}"
    return [Check(rule, limit, percent, passed, f"{figure}, {wanted}: {_word(passed)}", percent - limit)]


def _seeds(wanted: int | list[int], seeds: Sequence[int]) -> Check:
    """Check that the seeds asked for are there, each once: a lucky one given again would lift the mean."""
    distinct = sorted(set(seeds))
    listed = ", ".join(map(str, distinct)) or "none"
    if isinstance(wanted, int):
        passed, limit = len(distinct) >= wanted, wanted
        sentence = (
            f"{len(distinct)} {'seed' if len(distinct) == 1 else 'seeds'} ({listed}), {wanted} wanted: {_word(passed)}"
        )
    else:
        passed, limit = set(wanted) <= set(distinct), len(wanted)
        sentence = f"seeds {listed}; wanted {', '.join(map(str, wanted))}: {_word(passed)}"
    counted = [seed for seed in distinct if isinstance(wanted, int) or seed in wanted]
    count, again = len(counted), [seed for seed in counted if seeds.count(seed) > 1]
    if again:
        sentence = f"{seeds.count(again[0])} runs with seed {again[0]}, and a seed counts once: not kept"
        return Check("seeds", limit, count, False, sentence)
    return Check("seeds", limit, count, passed, sentence, count - limit)


def _accuracy_over_seeds(contract: Contract, split: str, summaries: Sequence[Mapping[str, Any]]) -> list[Check]:
    limit, rule = _limit(contract, split), f"min_{split}_accuracy_percent"
    if limit is None:
        return []
    wanted = f"at least {_number(limit)} % wanted"
    counts = [(summary.get(f"{split}_correct"), summary.get(f"{split}_total")) for summary in summaries]
    if not counts or any(correct is None or not total for correct, total in counts):
        sentence = f"{SPLITS[split]} accuracy not measured with every seed, {wanted}: not shown"
        return [Check(rule, limit, None, False, sentence)]
    exact = [Fraction(int(correct), int(total)) for correct, total in counts if correct is not None and total]
    estimate = statistics.over_seeds(
        [float(value) for value in exact], images=min(total for _, total in counts if total)
    )
    if contract.judged_by == "mean":
        percent = sum(exact, Fraction(0)) / len(exact) * 100
        passed = percent >= Fraction(str(limit))
        figure, measured = "mean", float(percent)
    elif estimate.low is None:
        sentence = (
            f"{SPLITS[split]} accuracy with one seed, whose interval over seeds is not known, {wanted}: not shown"
        )
        return [Check(rule, limit, None, False, sentence)]
    else:
        figure, measured = "lower bound of the 95 % interval of the mean", 100 * estimate.low
        passed = measured >= limit
    sentence = (
        f"{SPLITS[split]} accuracy over {len(exact)} seeds: {figure} {_percent(measured, limit, passed)}, {wanted}: "
        f"{_word(passed)}"
    )
    return [Check(rule, limit, measured, passed, sentence, measured - limit)]


def _accuracy_in_words(contract: Contract, split: str, limit: float) -> str:
    seeds, lower = contract.seeds, contract.judged_by == "lower_bound"
    if seeds == 1:
        whose = " by the lower bound of the 95 % interval" if lower else ""
    else:
        which = f"{seeds} seeds" if isinstance(seeds, int) else f"the seeds {', '.join(map(str, seeds))}"
        whose = f" over {which}, by the {'lower bound of the 95 % interval of the ' if lower else ''}mean"
    return f"at least {_number(limit)} % {SPLITS[split]} accuracy{whose}"


def _dataset(name: str, classes: Sequence[int | str] | None, max_test_per_class: int | None) -> str:
    kept = "" if classes is None else f", classes {', '.join(map(str, classes))}"
    return name + kept + ("" if max_test_per_class is None else f", {max_test_per_class} test images a class")


def _labels(dataset: str, classes: Sequence[int | str] | None) -> set[str] | None:
    """Return classes by number where the dataset's own file names them, so that 1 and its name are the same class."""
    names: Sequence[str] = ()
    if not own_code.is_own_code(dataset):
        names = getattr(sys.modules[lookup.find("dataset", dataset).__module__], "CLASS_NAMES", ())
    if classes is None:
        return {str(number) for number in range(len(names))} or None
    return {str(names.index(label)) if label in names else str(label) for label in classes}


def _layers(name: str, count: int) -> str:
    words = name.replace("_", " ")
    figure = "no" if count == 0 else str(count)
    return f"{figure} {words} {'layer' if count == 1 else 'layers'}"


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
