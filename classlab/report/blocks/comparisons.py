"""Comparisons: each name's mean, and each compared with the first one or the study's baseline, by the tests that the
seeds allow.
"""

from typing import Any

from classlab import metrics, statistics
from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.report import protocol_notes, words
from classlab.report.material import Material, Runs
from classlab.statistics import Comparison
from classlab.study import results
from classlab.study.answer import Answer, VariantAnswer, answer, watched
from classlab.study.result import StudyResult

Rows = dict[str, list[results.Row]]


def blocks(material: Material) -> list[Block]:
    """Return the table of means, that of comparisons, and a sentence for each test."""
    if material.study is not None:
        return _of_study(material.study)
    runs = material.present
    if len(runs) < 2:
        return [*material.missing(), Words("With fewer than two of the runs there is nothing to compare.")]
    metric = "test_loss" if all(run.reconstructs for run in material.every) else "test_accuracy"
    rows = rows_of(runs)
    split = watched([row for several in rows.values() for row in several], metric)
    note = protocol_notes.notes_of_runs(runs)
    return [*_answer_blocks(compared(runs, rows, metric), rows, split, note), *material.missing()]


def _of_study(result: StudyResult) -> list[Block]:
    rows: Rows = result.compared
    note = protocol_notes.notes({variant.name: variant.experiment for variant in result.variants})
    return _answer_blocks(result.answer, rows, result.watched, note)


def _answer_blocks(found: Answer, rows: Rows, split: str | None, note: str) -> list[Block]:
    tables = [_means(found, split, note), *([_comparisons(found)] if found.comparisons else [])]
    alone = _alone(found, rows)
    texts = (*found.background, *found.tested(), *found.notes, *filter(None, [found.best]))
    sentences = [*(f"{text}." for text in texts), *([alone] if alone else [])]
    return [*tables, *map(Words, sentences)]


def rows_of(runs: Runs) -> Rows:
    """Return what each run's files say, as the rows of a study's results."""
    return {name: [{"seed": run.seed, **results.row(run.path)} for run in seeds] for name, seeds in runs.items()}


def compared(runs: Runs, rows: Rows, metric: str) -> Answer:
    """Return what the runs' rows say by a metric, the first name the baseline."""
    paths = {(name, run.seed): run.path for name, seeds in runs.items() for run in seeds}
    chance = next(filter(None, map(results.largest_class_share, paths.values())), None)
    return answer(rows, next(iter(rows)), metric, lambda name, seed: results.right(paths[name, seed]), chance)


def _alone(found: Answer, rows: Rows) -> str:
    """Say what is known of a run that is alone of its name: the interval over its test images, not over seeds."""
    if found.metric != "test_accuracy":
        return ""
    intervals: list[str] = []
    for name in (variant.name for variant in found.variants if variant.n == 1 and variant.runs == 1):
        row: dict[str, Any] = rows[name][0]
        if row.get("test_accuracy") is not None and row.get("test_total"):
            low, high = statistics.wilson(round(row["test_accuracy"] * row["test_total"]), row["test_total"])
            intervals.append(f"{name} {100 * low:.2f} to {100 * high:.2f} % of {row['test_total']:,} images")
    if not intervals:
        return ""
    return (
        f"One seed tells nothing of the spread over seeds; its 95 % Wilson interval is what other images would change: "
        f"{words.listed(intervals)}."
    )


def _means(answer: Answer, split: str | None, note: str) -> Table:
    """Return mean, standard deviation and interval of each variant.

    split: of best and last, if any was watched. note: what the test images decided, see protocol_notes.
    """
    number = _column(answer)
    columns = [Column("variant"), Column("n", "figure"), number("mean"), Column("± sd", "figure")]
    columns.append(Column("95 % interval", "figure"))
    if split:
        columns += [number(f"best {_split(split)}"), number(f"last {_split(split)}")]
    columns.append(Column("outcome"))
    rows = tuple(_variant(answer, variant, bool(split)) for variant in answer.variants)
    metric = metrics.words(answer.metric)
    caption = f"{words.capital(metric)} of each variant: mean, standard deviation and t interval over its n seeds"
    if split:
        caption += f"; best and last: the mean of the best and of the last epoch on the {_split(split)} split"
    return Table("variants", caption + protocol_notes.clause(note), tuple(columns), rows)


def _variant(answer: Answer, variant: VariantAnswer, with_epochs: bool) -> tuple[Any, ...]:
    estimate, scale = variant.estimate, answer.scale
    sd = interval = None
    if estimate is not None and estimate.sd is not None:
        sd = scale.gaps(estimate.sd)[0]
    if estimate is not None and estimate.low is not None and estimate.high is not None:
        interval = f"{scale.value(estimate.low).removesuffix(scale.unit)} to {scale.value(estimate.high)}"
    statuses = ", ".join(f"{count} {status}" for status, count in variant.statuses.items())
    cells = [
        variant.name,
        f"{variant.n}" if variant.n == variant.runs else f"{variant.n} of {variant.runs}",
        _mean(estimate),
        sd,
        interval,
    ]
    cells += [_mean(variant.best), _mean(variant.last)] if with_epochs else []
    return (*cells, statuses)


def _comparisons(answer: Answer) -> Table:
    """Return each comparison's effect with its interval, its p value and the same corrected for their number."""
    scale = answer.scale
    columns = (
        Column(f"compared with {answer.baseline}"),
        Column(f"difference{',' if scale.gap_unit else ''}{scale.gap_unit}", "figure"),
        Column("95 % interval", "figure"),
        Column("p", "figure"),
        Column("p, corrected", "figure"),
        Column("test"),
    )
    rows = tuple(_comparison(answer, found) for found in answer.comparisons)
    caption = "Each variant less the baseline; p is corrected for the number of comparisons after Holm"
    return Table("comparisons", caption, columns, rows)


def _comparison(answer: Answer, found: Comparison) -> tuple[Any, ...]:
    interval = None
    if found.low is not None and found.high is not None:
        effect, low, high = answer.scale.gaps(found.effect, found.low, found.high)
        interval = f"{low} to {high}"
    else:
        (effect,) = answer.scale.gaps(found.effect)
    p, adjusted = (None if value is None else f"{value:.2g}" for value in (found.p, found.p_adjusted))
    return found.variant, effect if effect.startswith("−") else f"+{effect}", interval, p, adjusted, found.test


def _column(answer: Answer) -> Any:
    scale = answer.scale
    form = "percent" if scale.is_share else "number"
    return lambda label: Column(label, form, scale.decimals)


def _mean(estimate: Any) -> float | None:
    return None if estimate is None else estimate.mean


def _split(name: str) -> str:
    return {"val": "validation"}.get(name, name)
