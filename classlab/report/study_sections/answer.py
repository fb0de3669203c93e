"""Answer: what the study found, in a sentence, a table and a sentence for each comparison and test of equivalence."""

from typing import Any

from classlab.drawing.blocks import Block, Column, Number, Numbers, Section, Table, Verdict, Words
from classlab.report import watched, words
from classlab.statistics import Comparison
from classlab.study.answer import Answer, Told
from classlab.study.result import StudyResult
from classlab.study.results import ENDED


def section(result: StudyResult) -> Section:
    """Return the verdict, the figures that matter, the table of variants and that of comparisons, and the sentences."""
    answer = result.answer
    note = watched.notes({one.name: one.experiment for one in result.variants})
    blocks: list[Block] = [_verdict(result, answer), _numbers(result), variants(answer, result.watched, note)]
    if answer.comparisons:
        blocks.append(comparisons(answer))
        blocks += [Words(f"{sentence}.") for sentence in answer.tested()]
    blocks += [Words(f"{note}.") for note in answer.notes]
    return Section("Answer", tuple(blocks))


def _verdict(result: StudyResult, answer: Answer) -> Verdict:
    """Say which variants are told apart from the baseline, and which way."""
    missing = sum(row["status"] not in ENDED for row in result.rows)
    if missing == len(result.rows):
        return Verdict("bad", "Not begun", "No run of this study has come to its end.")
    unfinished = f" {words.count(missing, 'run')} of {len(result.rows)} are still missing." if missing else ""
    if not answer.comparisons:
        told = "; ".join(one.sentence for one in answer.variants)
        return Verdict("plain", "Measured", f"{told}.{unfinished}")
    higher = answer.scale.higher_is_better
    better = [one.variant for one in answer.comparisons if one.different and (one.effect > 0) == higher]
    worse = [one.variant for one in answer.comparisons if one.different and (one.effect > 0) != higher]
    alike = [one.variant for one in answer.comparisons if not one.different]
    told = [(better, "is better than", "are better than"), (worse, "is worse than", "are worse than")]
    if answer.equivalences:
        word, more_told = _equivalence(answer)
        told += more_told
    else:
        told.append((alike, "cannot be told apart from", "cannot be told apart from"))
        word = "Told apart" if not alike else "Not told apart" if not better and not worse else "Partly told apart"
    parts = [f"{words.listed(of)} {one if len(of) == 1 else more} {answer.baseline}" for of, one, more in told if of]
    metric = answer.metric.replace("_", " ")
    return Verdict("plain", word, f"By {metric}: {'; '.join(parts)}.{unfinished}")


def _equivalence(answer: Answer) -> tuple[str, list[tuple[list[str], str, str]]]:
    """Return the word, and which variants differ from the baseline by less than the study says matters."""
    tests = answer.equivalences
    near, open_ = ([one.variant for one in tests if one.equivalent == found] for found in (True, False))
    limit = f"by less than {answer.scale.gap(tests[0].margin)}"
    word = "Equivalent" if not open_ else "Partly equivalent" if near else "Not shown to be equivalent"
    return word, [
        (near, f"differs {limit} from", f"differ {limit} from"),
        (open_, f"has not been shown to differ {limit} from", f"have not been shown to differ {limit} from"),
    ]


def _numbers(result: StudyResult) -> Numbers:
    runs = result.rows
    done = [row for row in runs if row["status"] in ENDED]
    wrong = [row for row in done if row["status"] != "finished"]
    seconds = sum(row.get("seconds", 0.0) for row in done)
    note = f"{len(wrong)} of them went wrong, and count" if wrong else "none of them went wrong"
    shown = [
        Number("Variants", f"{len(result.variants):,}"),
        Number("Seeds", f"{len(result.study.seed_list):,}", "of each variant"),
        Number("Runs", f"{len(done):,} of {len(runs):,}", note if done else ""),
        Number("Training time", words.duration(seconds) if done else "none", "of all runs, added up"),
    ]
    return Numbers(tuple(shown))


def variants(answer: Answer, split: str | None, note: str = "") -> Table:
    """Return mean, standard deviation and interval of each variant.

    split: of best and last, if any was watched. note: what the test images decided, see report.watched.
    """
    number = _column(answer)
    columns = [Column("variant"), Column("n", "figure"), number("mean"), Column("± sd", "figure")]
    columns.append(Column("95 % interval", "figure"))
    if split:
        columns += [number(f"best {_split(split)}"), number(f"last {_split(split)}")]
    columns.append(Column("outcome"))
    rows = tuple(_variant(answer, one, bool(split)) for one in answer.variants)
    metric = answer.metric.replace("_", " ")
    caption = f"{words.capital(metric)} of each variant: mean, standard deviation and t interval over its n seeds"
    if split:
        caption += f"; best and last: the mean of the best and of the last epoch on the {_split(split)} split"
    return Table("variants", caption + watched.clause(note), tuple(columns), rows)


def _variant(answer: Answer, one: Told, with_epochs: bool) -> tuple[Any, ...]:
    estimate, scale = one.estimate, answer.scale
    sd = interval = None
    if estimate is not None and estimate.sd is not None:
        sd = scale.gaps(estimate.sd)[0]
    if estimate is not None and estimate.low is not None and estimate.high is not None:
        interval = f"{scale.value(estimate.low).removesuffix(scale.unit)} to {scale.value(estimate.high)}"
    statuses = ", ".join(f"{count} {status}" for status, count in one.statuses.items())
    cells = [one.name, f"{one.n}" if one.n == one.runs else f"{one.n} of {one.runs}", _mean(estimate), sd, interval]
    cells += [_mean(one.best), _mean(one.last)] if with_epochs else []
    return (*cells, statuses)


def comparisons(answer: Answer) -> Table:
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
    rows = tuple(_comparison(answer, one) for one in answer.comparisons)
    caption = "Each variant less the baseline; p is corrected for the number of comparisons after Holm"
    return Table("comparisons", caption, columns, rows)


def _comparison(answer: Answer, one: Comparison) -> tuple[Any, ...]:
    interval = None
    if one.low is not None and one.high is not None:
        effect, low, high = answer.scale.gaps(one.effect, one.low, one.high)
        interval = f"{low} to {high}"
    else:
        (effect,) = answer.scale.gaps(one.effect)
    p, adjusted = (None if value is None else f"{value:.2g}" for value in (one.p, one.p_adjusted))
    return one.variant, effect if effect.startswith("−") else f"+{effect}", interval, p, adjusted, one.test


def _column(answer: Answer) -> Any:
    scale = answer.scale
    form = "percent" if scale.is_share else "number"
    return lambda label: Column(label, form, scale.decimals)


def _mean(estimate: Any) -> float | None:
    return None if estimate is None else estimate.mean


def _split(name: str) -> str:
    return {"val": "validation"}.get(name, name)
