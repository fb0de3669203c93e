"""Study verdict: which variants are told apart from the baseline, in a sentence, and the figures that matter."""

from classlab import metrics
from classlab.drawing.blocks import Block, Number, Numbers, Verdict
from classlab.report import words
from classlab.report.material import Material
from classlab.study.answer import Answer
from classlab.study.result import StudyResult
from classlab.study.results import ENDED


def blocks(material: Material) -> list[Block]:
    """Return the verdict and the figures that matter."""
    if material.study is None:
        return material.lacking("These runs are not a study, so there is no verdict on one.")
    return [_verdict(material.study, material.study.answer), _numbers(material.study)]


def _verdict(result: StudyResult, answer: Answer) -> Verdict:
    """Say which variants are told apart from the baseline, and which way."""
    missing = sum(row["status"] not in ENDED for row in result.rows)
    if missing == len(result.rows):
        return Verdict("bad", "Not begun", "No run of this study has finished.")
    unfinished = f" {words.count(missing, 'run')} of {len(result.rows)} are still missing." if missing else ""
    if result.found is not None:
        word = words.capital(result.search_verdict)
        return Verdict("plain", word, f"{words.capital('; '.join(result.found.outcome(result.search_verdict)))}.")
    if not answer.comparisons:
        means = "; ".join(variant.sentence for variant in answer.variants)
        return Verdict("plain", "Measured", f"{means}.{unfinished}")
    higher = answer.scale.higher_is_better
    apart, alike = ([it for it in answer.comparisons if it.different == different] for different in (True, False))
    better, worse = ([it.variant for it in apart if ((it.effect > 0) == higher) == good] for good in (True, False))
    groups = [(better, "is better than", "are better than"), (worse, "is worse than", "are worse than")]
    if answer.equivalences:
        word, near_or_open = _equivalence(answer)
        groups += near_or_open
    else:
        groups.append(([it.variant for it in alike], "cannot be told apart from", "cannot be told apart from"))
        word = "Told apart" if not alike else "Not told apart" if not better and not worse else "Partly told apart"
    clauses = [
        f"{words.listed(names)} {verb if len(names) == 1 else verbs} {answer.baseline}"
        for names, verb, verbs in groups
        if names
    ]
    metric = metrics.words(answer.metric)
    return Verdict("plain", word, f"By {metric}: {'; '.join(clauses)}.{unfinished}")


def _equivalence(answer: Answer) -> tuple[str, list[tuple[list[str], str, str]]]:
    """Return the word, and which variants differ from the baseline by less than the study says matters."""
    tests = answer.equivalences
    near, open_ = ([test.variant for test in tests if test.equivalent == found] for found in (True, False))
    limit = f"by less than {answer.scale.gap(tests[0].margin)}"
    word = "Equivalent" if not open_ else "Partly equivalent" if near else "Not shown to be equivalent"
    return word, [
        (near, f"differs {limit} from", f"differ {limit} from"),
        (open_, f"has not been shown to differ {limit} from", f"have not been shown to differ {limit} from"),
    ]


def _seeds(result: StudyResult) -> str:
    if result.found is None:
        return "of each variant"
    return f"of each variant that was not given up, {len(result.found.fresh)} fresh ones of the winner and the baseline"


def _numbers(result: StudyResult) -> Numbers:
    runs = result.rows
    done = [row for row in runs if row["status"] in ENDED]
    wrong = [row for row in done if row["status"] != "finished"]
    seconds = sum(row.get("seconds", 0.0) for row in done)
    note = f"{len(wrong)} of them went wrong, and count" if wrong else "none of them went wrong"
    numbers = (
        Number("Variants", f"{len(result.variants):,}"),
        Number("Seeds", f"{len(result.study.seed_list):,}", _seeds(result)),
        Number("Runs", f"{len(done):,} of {len(runs):,}", note if done else ""),
        Number("Training time", words.duration(seconds) if done else "none", "of all runs, added up"),
    )
    return Numbers(numbers)
