"""The verdict: the contract rule by rule, what was measured, and the few figures that matter."""

from collections.abc import Mapping, Sequence
from typing import Any

from classlab.drawing.blocks import Block, Column, Number, Numbers, Table, Verdict, Words
from classlab.formats import capital
from classlab.report import words
from classlab.report.material import Material
from classlab.runs import records
from classlab.runs.finished import FinishedRun

# rule -> what it limits, the unit of its figures
RULES = {
    "max_parameters": ("parameters", ""),
    "max_epochs": ("epochs", ""),
    "min_val_accuracy_percent": ("validation accuracy", " %"),
    "min_test_accuracy_percent": ("test accuracy", " %"),
    "max_seconds": ("training time", " s"),
}


def blocks(material: Material) -> list[Block]:
    """Return the verdict on top, the figures below it and the contract's table."""
    return material.first_of_each(_of_run)


def _of_run(run: FinishedRun) -> list[Block]:
    contract = run.summary.get("contract")
    checks = contract["checks"] if contract else []
    found: list[Block] = [_of_imported(run, checks) if run.imported else _verdict(run.summary, checks)]
    found += [Words(f"{difference}.") for difference in (run.counted.differences if run.counted else ())]
    found.append(_numbers(run))
    if checks:
        found.append(_table(checks))
    caution = _caution(run)
    return [*found, Words(caution)] if caution else found


def _verdict(summary: Mapping[str, Any], checks: Sequence[records.CheckRecord]) -> Verdict:
    status = summary["status"]
    if status != "finished":
        sentence = summary["status_sentence"].partition(": ")[2] or summary["status_sentence"]
        return Verdict("bad", status.replace("_", " ").capitalize(), sentence[0].upper() + sentence[1:] + ".")
    right = f"{words.percent(summary['test_accuracy'])} of {_test_images(summary)} classified correctly"
    if summary["test_accuracy"] is None:
        right = f"{_test_images(summary)} reconstructed with a mean loss of {summary['test_loss']:.4f}"
    still_open = summary.get("contract", {}).get("open", [])
    other = summary.get("contract", {}).get("not_judged", [])
    if not checks and other:
        return Verdict("plain", "Finished", f"{right}. Of the contract {'; '.join(other)}.")
    if not checks and not still_open:
        return Verdict("plain", "Finished", f"{right}. The experiment states no contract.")
    broken = [check for check in checks if not check["passed"]]
    if broken:
        which = "; ".join(check["sentence"].removesuffix(": not kept") for check in broken)
        verb = "is" if len(broken) == 1 else "are"
        return Verdict("bad", "Contract not kept", f"{len(broken)} of {_limits(checks)} {verb} not kept: {which}.")
    if other:
        return Verdict("plain", "Contract kept so far", f"{right}, {_size(summary)}. {capital('; '.join(other))}.")
    if still_open:
        left = f"{'; '.join(still_open)}: only several runs together can show that"
        return Verdict("plain", "Contract kept so far", f"{right}, {_size(summary)}. Open is {left}.")
    kept = "The one limit is kept" if len(checks) == 1 else f"All {_limits(checks)} are kept"
    return Verdict("good", "Contract kept", f"{kept}: {right}, {_size(summary)}.")


def _of_imported(run: FinishedRun, checks: Sequence[records.CheckRecord]) -> Verdict:
    """Return the verdict on weights from elsewhere: what can be measured is judged, the rest is not."""
    if run.status != "finished" or any(not check["passed"] and check["measured"] is not None for check in checks):
        return _verdict(run.summary, checks)
    unknown = [RULES[check["rule"]][0] for check in checks if not check["passed"]]
    kept = [RULES.get(check["rule"], (check["rule"], ""))[0] for check in checks if check["passed"]]
    parts = [f"{words.percent(run.summary['test_accuracy'])} of {_test_images(run.summary)} classified correctly"]
    if run.reconstructs:
        parts = [f"{_test_images(run.summary)} reconstructed with a mean loss of {run.summary['test_loss']:.4f}"]
    parts += [f"the limits kept are those on {words.listed(kept)}"] if kept else []
    parts += [f"unknown: {words.listed(unknown)}"] if unknown else []
    return Verdict("plain", "Imported, not trained here", f"{'; '.join(parts)}.")


def _limits(checks: Sequence[records.CheckRecord]) -> str:
    return words.count(len(checks), "limit")


def _size(summary: Mapping[str, Any]) -> str:
    epochs, parameters = (words.count(summary[f"{thing}s"], thing) for thing in ("epoch", "parameter"))
    return f"with {parameters}, after {epochs}"


def _test_images(summary: Mapping[str, Any]) -> str:
    total = summary.get("test_total")
    return words.count(total, "test image") if total else "the test images"


def _numbers(run: FinishedRun) -> Numbers:
    summary: Mapping[str, Any] = run.summary
    numbers: list[Number] = []
    if run.reconstructs:
        numbers += _losses(run)
    elif run.status == "diverged":
        numbers.append(Number("Test accuracy", "none", "the outputs of a diverged network mean nothing"))
    elif summary.get("test_accuracy") is not None:
        low, high = summary["test_interval"]
        counted = f"{summary['test_correct']:,} of {summary['test_total']:,}; " if "test_correct" in summary else ""
        note = f"{counted}95 % interval {100 * low:.2f} to {100 * high:.2f} %"
        numbers.append(Number("Test accuracy", words.percent(summary["test_accuracy"]), note))
    if summary.get("val_accuracy") is not None and run.status != "diverged":
        numbers.append(Number("Validation accuracy", words.percent(summary["val_accuracy"]), _val_note(run)))
    if "parameters" in summary:
        note = words.count(summary["multiply_adds"], "multiply-add") + " an image" if "multiply_adds" in summary else ""
        numbers.append(Number("Parameters", f"{summary['parameters']:,}", note))
    if run.imported:
        return Numbers((*numbers, Number("Weights", "imported", f"from {run.imported}; epochs and time are not known")))
    selected = summary.get("selected_epoch")
    numbers.append(Number("Epochs", f"{summary['epochs']:,}", f"weights of epoch {selected}" if selected else ""))
    if "seconds" in summary:
        note = words.duration(summary["seconds"] / max(summary["epochs"], 1)) + " an epoch"
        numbers.append(Number("Training time", words.duration(summary["seconds"]), note))
    return Numbers(tuple(numbers))


def _losses(run: FinishedRun) -> list[Number]:
    """Return test and validation loss of a network that reconstructs images."""
    if run.status == "diverged":
        return [Number("Test loss", "none", "the outputs of a diverged network mean nothing")]
    known = (("Test loss", "test_loss", _test_images(run.summary)), ("Validation loss", "val_loss", _val_note(run)))
    losses = ((label, run.summary.get(key), note) for label, key, note in known)
    return [Number(label, f"{loss:.4f}", note) for label, loss, note in losses if loss is not None]


def _val_note(run: FinishedRun) -> str:
    held_out = len(run.split()["val"])
    return f"{held_out:,} images held out" if held_out else ""


def _table(checks: Sequence[records.CheckRecord]) -> Table:
    columns = (
        Column("rule"),
        Column("limit", "figure"),
        Column("measured", "figure"),
        Column("margin", "figure"),
        Column("verdict", "check"),
    )
    return Table("contract", "The contract, rule by rule", columns, tuple(_row(check) for check in checks))


def _row(check: records.CheckRecord) -> tuple[Any, ...]:
    rule, limit, measured = check["rule"], check["limit"], check["measured"]
    if rule not in RULES:  # of data and layers: met or not, so there is no margin
        name, _, layer = rule.partition(".")
        what = f"{layer} layers".replace("_", " ") if layer else name.replace("_", " ")
        bound = {"must_contain": "at least ", "must_not_contain": "at most "}.get(name, "")
        return what, f"{bound}{limit}", "none" if measured is None else str(measured), None, check["passed"]
    what, unit = RULES[rule]
    bound = "at least" if rule.startswith("min_") else "at most"
    limit = float(limit)  # of these rules both are numbers
    if measured is None:
        return what, f"{bound} {words.number(limit)}{unit}", "not measured", None, check["passed"]
    measured = float(measured)
    margin = measured - limit if rule.startswith("min_") else limit - measured
    unit_of_margin = " points" if unit == " %" else unit
    sign = "−" if margin < 0 else ""
    return (
        what,
        f"{bound} {words.number(limit)}{unit}",
        f"{_rounded(measured)}{unit}",
        f"{sign}{_rounded(abs(margin))}{unit_of_margin}",
        check["passed"],
    )


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _caution(run: FinishedRun) -> str:
    """Say what the protocol takes away from the test accuracy, where it takes something away."""
    protocol = run.experiment.protocol
    if protocol.validate_on != "test" or run.summary.get("test_accuracy") is None:
        return ""
    if run.experiment.chosen_on:
        return (
            "The test set chose the epoch, as the experiment's protocol asks. So the test accuracy is not that of "
            "unseen images: it is too high by an unknown amount, and weaker evidence than one that was measured once."
        )
    return (
        "The test set was evaluated after every epoch, as the experiment's protocol asks, but chose none of them: the "
        "result is the last epoch, whatever its accuracy."
    )
