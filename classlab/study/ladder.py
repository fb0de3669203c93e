"""The log of a search by hand: each step's target, its change as a difference of experiments, its result in words.

The target and the analysis are the student's. The result is worked out from the runs, and says by the tests of
statistics whether the step before was really another one.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from classlab import contract, metrics, statistics
from classlab.contract import Check
from classlab.experiment import Contract
from classlab.formats import count
from classlab.runs import store
from classlab.statistics import Comparison
from classlab.study.answer import Answer, Right, answer
from classlab.study.declaration import Study
from classlab.study.results import Row
from classlab.study.sweep import Variant, spelled

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun

UNWRITTEN = "no analysis written yet"
UNAIMED = "no target written"


@dataclass(frozen=True)
class Change:
    """A setting that a step changes, from and to as short text; "not set" where one of the two has no such setting."""

    setting: str
    before: str
    after: str


@dataclass(frozen=True)
class StepLog:
    """One step. result: what its runs gave, in words. against: how it stands to the step before, "" for the first.

    believed: whether that difference can be believed, None where there is nothing to test.
    """

    number: int
    name: str
    target: str
    changes: tuple[Change, ...]
    parameters: int | None
    value: str
    result: str
    against: str
    believed: bool | None
    analysis: str

    def sentence(self) -> str:
        """Return the result in one sentence."""
        return f"step {self.number}, {self.name}: {self.result}" + (f"; {self.against}" if self.against else "")


def step_logs(
    study: Study,
    made: Sequence[Variant],
    rows: Mapping[str, Sequence[Row]],
    runs: "Mapping[str, Mapping[int, FinishedRun]]",
    right: Right,
) -> list[StepLog]:
    """Return the log of a study's steps, in order; nothing for a study without steps.

    made: its variants, one a step. rows, runs: variant -> what its runs gave, and the runs. right: see answer.answer.
    """
    if not study.steps:
        return []
    pairs = [
        answer({first.name: rows[first.name], second.name: rows[second.name]}, first.name, study.compare.metric, right)
        for first, second in itertools.pairwise(made)
    ]
    against = [("", None), *_against(pairs)]
    alone = [answer({variant.name: rows[variant.name]}, variant.name, study.compare.metric) for variant in made]
    logs = []
    for place, (step, variant) in enumerate(zip(study.steps, made, strict=True)):
        done = [run for run in runs[variant.name].values() if run.status != "incomplete"]
        parameters = next((run.summary["parameters"] for run in done), None)
        logs.append(
            StepLog(
                number=place + 1,
                name=step.name,
                target=step.target.strip() or UNAIMED,
                changes=changes(made[place - 1] if place else None, variant),
                parameters=parameters,
                value=_value(alone[place]),
                result=_result(alone[place], done, variant, study.aim),
                against=against[place][0],
                believed=against[place][1],
                analysis=step.analysis.strip() or UNWRITTEN,
            )
        )
    return logs


def changes(before: Variant | None, after: Variant) -> tuple[Change, ...]:
    """Return the settings that differ between two steps; nothing for the first."""
    if before is None:
        return ()
    first, second = (step.experiment.model_dump(mode="json") for step in (before, after))
    for document in (first, second):
        document.pop("name"), document.pop("description")
    return tuple(_differences("", first, second))


def _differences(above: str, first: Any, second: Any) -> Iterator[Change]:
    """Yield what differs, setting by setting; a choice by another name is one change, with all its options."""
    for key in dict.fromkeys([*first, *second]):
        dotted, values = f"{above}{key}", (first.get(key), second.get(key))
        if values[0] == values[1]:
            continue
        inside = [value for value in values if isinstance(value, dict)]
        if len(inside) == 2 and inside[0].get("name") == inside[1].get("name"):
            yield from _differences(f"{dotted}.", *inside)
        else:
            sides = zip(values, (first, second), strict=True)
            yield Change(dotted, *(_text(value) if key in side else "not set" for value, side in sides))


def _text(value: Any) -> str:
    """Return a value as text, a choice with those of its options that are something."""
    if not isinstance(value, dict):
        return spelled(value)
    options = [f"{key} {spelled(part)}" for key, part in value.items() if key != "name" and part not in (None, [])]
    return f"{value.get('name', '')} ({', '.join(options)})".strip() if options else str(value.get("name", "{}"))


def _value(alone: Answer) -> str:
    """Return the mean of a step's runs, with its interval where there is one."""
    estimate, scale = alone.variants[0].estimate, alone.scale
    return scale.value(estimate.mean) if estimate else "no value"


def _result(alone: Answer, done: "Sequence[FinishedRun]", variant: Variant, aim: Contract) -> str:
    """Say what a step's runs gave: the figure with its interval, the parameters, whether the aim was reached."""
    if not done:
        return "not trained yet"
    if len(done) == 1 and alone.metric == "test_accuracy":
        parts = [done[0].sentence()]  # with the interval that its test images leave
    else:
        parts = [f"{metrics.short(alone.metric)} {alone.variants[0].sentence.removeprefix(f'{variant.name}: ')}"]
    parts.append(count(done[0].summary["parameters"], "parameter"))
    if not contract.in_words(aim):
        return "; ".join(parts)
    judged = [_judged_by(aim, run) for run in done]
    broken = [check.sentence for checks in judged for check in checks if not check.passed]
    kept = sum(contract.verdict(checks) and run.status == "finished" for checks, run in zip(judged, done, strict=True))
    if kept == len(done):
        parts.append("aim reached" + ("" if kept == 1 else f" in all {kept} runs"))
    else:
        which = "aim not reached" if len(done) == 1 else f"aim reached in {kept} of {len(done)} runs"
        why = [sentence.removesuffix(": not kept") for sentence in dict.fromkeys(broken)][:3]
        parts.append(f"{which}: {', '.join(why) or done[0].summary['status_sentence']}")
    return "; ".join(parts)


def _judged_by(aim: Contract, run: "FinishedRun") -> list[Check]:
    """Return a run held against the aim, rule by rule."""
    from classlab.network.contents import contents
    from classlab.runs.recount import judge_again

    data = None if "data" in run.environment["given_in_python"] else run.experiment.data
    of_layers = contract.check_layers(aim, contents(run.layer_table)) if contract.asks_of_layers(aim) else []
    fixed = [*contract.check_data(aim, data), *of_layers]
    judged = judge_again(run.summary, aim, fixed, store.read_metrics(run.path / store.METRICS))
    return [Check(**check) for check in judged["checks"]]


def _against(pairs: Sequence[Answer]) -> list[tuple[str, bool | None]]:
    """Return, for each step but the first, how it stands to the step before, and whether that can be believed.

    The tests are one family: of ten steps the luckiest looks like a gain, so their p are Holm's over all of them.
    """
    tested = [pair.comparisons[0] if pair.comparisons else None for pair in pairs]
    known = [comparison.p for comparison in tested if comparison is not None and comparison.p is not None]
    adjusted = iter(statistics.holm(known))
    found: list[tuple[str, bool | None]] = []
    for pair, comparison in zip(pairs, tested, strict=True):
        if comparison is None:
            found.append(("; ".join(pair.notes) or "not compared yet", None))
        elif comparison.p is None:
            found.append((f"{comparison.sentence}: not to be believed yet", False))
        else:
            found.append(_judged(comparison, next(adjusted), len(known)))
    return found


def _judged(comparison: Comparison, p: float, family: int) -> tuple[str, bool]:
    """Return the sentence of a test, corrected for the number of steps, and whether to believe the difference."""
    after = f"; after Holm's correction for {family} steps p = {p:.2g}" if family > 1 else ""
    if p >= 0.05:
        return f"{comparison.sentence}{after}: not to be believed yet", False
    whom = "of these two networks, for there is one seed each" if max(comparison.seeds) == 1 else "it"
    return f"{comparison.sentence}{after}: to be believed{'' if whom == 'it' else ' ' + whom}", True
