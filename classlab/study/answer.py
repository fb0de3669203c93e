"""The answer: each variant's mean with its interval, each test against the baseline, and a plain sentence for each.

Every figure comes from classlab.statistics; here it is only decided which of its tests the runs allow.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from classlab import metrics, statistics
from classlab.formats import listed
from classlab.statistics import Comparison, Equivalence, Estimate, Scale
from classlab.study.results import Row

if TYPE_CHECKING:
    import numpy as np

# Returns for a variant's run with this seed, which of the test images it got right: bool, (count,). None: not known.
Right = Callable[[str, int], "np.ndarray | None"]
WORDS = {
    "finished": "finished",
    "diverged": "diverged",
    "did_not_learn": "did not learn",
    "failed": "failed",
    "incomplete": "incomplete",
    "waiting": "not begun",
}


@dataclass(frozen=True)
class VariantAnswer:
    """One variant. `runs`: all of them, whatever became of them; `n`: how many have a value, in the mean.

    estimate: of the metric; best, last: of the best and the last epoch's accuracy (or loss) on the split that was
    watched, None where none was. note: what was done with runs that went wrong.
    """

    name: str
    runs: int
    n: int
    statuses: dict[str, int]
    estimate: Estimate | None
    best: Estimate | None
    last: Estimate | None
    note: str
    sentence: str


@dataclass(frozen=True)
class Answer:
    """What a study, or any runs side by side, have to say.

    equivalences: whether variants differ from the baseline by less than what matters, where the study says how much.
    background: what the baseline's accuracy is worth, and whether the values of equal seeds correlate at all.
    best: of three variants or more a sentence that names the best one, and what is not told apart from it.
    """

    metric: str
    baseline: str
    variants: list[VariantAnswer]
    comparisons: list[Comparison]
    equivalences: list[Equivalence]
    notes: list[str]
    background: list[str] = field(default_factory=list)
    best: str = ""

    @property
    def scale(self) -> Scale:
        """How the metric is told."""
        return metrics.scale(self.metric)

    def sentences(self) -> list[str]:
        """Return one sentence for each variant, one for each test, and what else must be known."""
        return [
            *(variant.sentence for variant in self.variants),
            *self.background,
            *self.tested(),
            *self.notes,
            *filter(None, [self.best]),
        ]

    def tested(self) -> list[str]:
        """Return one sentence for each comparison, and for each test of equivalence."""
        return [
            *(comparison.sentence for comparison in self.comparisons),
            *(equivalence.sentence for equivalence in self.equivalences),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as a program reads it."""
        return asdict(self)


def answer(
    rows: Mapping[str, Sequence[Row]],
    baseline: str,
    metric: str,
    right: Right = lambda variant, seed: None,
    chance: float | None = None,
    within: float | None = None,
) -> Answer:
    """Return the answer of runs: variant -> its rows (each with seed, status and metrics; see results.row).

    right: asked where one seed each leaves only the test images to compare over. chance: what a diverged run without a
    value counts at, the share of the largest class; only for accuracies. within: a difference too small to matter, in
    points for accuracies, else in the metric's own unit; None: equivalence is not tested.
    """
    scale = metrics.scale(metric)
    chance = chance if scale.is_share else None
    gathered = {name: _gather(name, variant_rows, metric, chance, scale) for name, variant_rows in rows.items()}
    images = _images(rows.values(), metric)
    answers = [
        _variant_answer(gathered[name], variant_rows, metric, chance, images) for name, variant_rows in rows.items()
    ]
    others = [variant for name, variant in gathered.items() if name != baseline]
    comparable = [variant for variant in others if variant.values] if gathered[baseline].values else []
    if _one_seed_each(comparable, gathered[baseline]) and metric == "test_accuracy":
        comparisons = _over_images(comparable, gathered[baseline], right, images)
    else:
        comparisons = statistics.compare(comparable, gathered[baseline], scale, images)
    equivalences = [
        statistics.equivalence(variant, gathered[baseline], within / scale.factor, scale, images)
        for variant in comparable
        if within
    ]
    notes = []
    for variant in others:
        if variant not in comparable:
            silent = variant if not variant.values else gathered[baseline]
            notes.append(
                f"{variant.name} and {baseline} cannot be compared: {silent.name} has no value ({silent.note})"
            )
    background = [*_worth(gathered[baseline], metric, right), *_going_together(comparisons)]
    best = _best([variant for variant in gathered.values() if variant.values], metric, right, images)
    return Answer(metric, baseline, answers, comparisons, equivalences, notes, background, best)


def _worth(variant: statistics.Variant, metric: str, right: Right) -> list[str]:
    """Return what an accuracy over seeds is worth, by the seeds and by the test images, and what of it is luck."""
    if metric != "test_accuracy" or len(variant.values) < 2 or variant.failed:
        return []
    answers = right_of(variant.name, list(variant.values), right)
    if answers is None:
        return []
    from classlab.statistics.worth import worth

    found = worth(variant.name, answers)
    return [text for text in (found.sentence, found.split_sentence) if text]


def right_of(name: str, seeds: Sequence[int], right: Right) -> "np.ndarray | None":
    """Return which test images a variant's runs got right, bool (seeds, images); None where one of them cannot say."""
    import numpy as np

    answers = [part for part in (right(name, seed) for seed in seeds) if part is not None]
    whole = len(answers) == len(seeds) and len({len(part) for part in answers}) == 1
    return np.stack(answers) if whole else None


def _going_together(comparisons: Sequence[Comparison]) -> list[str]:
    """Say of the comparisons that pair by seed whether equal seeds go together, which is what pairing lives on."""
    known = [comparison.together for comparison in comparisons if comparison.together is not None]
    if not known:
        return []
    going = sum(low > 0 for _, low, _ in known)
    figures = [f"{r:.2f}".replace("-", "−") for r in sorted(r for r, _, _ in known)]
    r = f"r = {figures[0]}" if len(figures) == 1 else f"r from {figures[0]} to {figures[-1]}"
    if len(known) == 1:
        low, high = (f"{end:.2f}".replace("-", "−") for end in known[0][1:])
        r += f", 95 % interval {low} to {high}"
    which = "" if len(known) == 1 else f" in {going or 'any'} of {len(known)} comparisons"
    if going:
        return [f"The values of equal seeds correlate{which} ({r}), so pairing by seed removes what they share"]
    return [
        f"The values of equal seeds have not been shown to correlate{which} ({r}). Pairing by seed makes the test no "
        "more powerful, and no less valid"
    ]


def _best(variants: Sequence[statistics.Variant], metric: str, right: Right, images: int) -> str:
    """Return a sentence for the variant of the best mean, compared with each other one, corrected for their number.

    The best was chosen by the same runs, so that it is told apart from the others says less than a test against a
    baseline does; that others are not told apart from it says as much.
    """
    if len(variants) < 3:
        return ""
    scale = metrics.scale(metric)
    means = {variant.name: fmean(variant.values.values()) for variant in variants}
    first = (max if scale.higher_is_better else min)(variants, key=lambda variant: means[variant.name])
    others = [variant for variant in variants if variant is not first]
    if _one_seed_each(others, first) and metric == "test_accuracy":
        held = _over_images(others, first, right, images)
    else:
        held = statistics.compare(others, first, scale, images)
    alike = [comparison.variant for comparison in held if not comparison.different]
    rest = f"not told apart from it: {listed(alike)}" if alike else "each of the others is told apart from it"
    return f"best is {first.name}, {scale.value(means[first.name])} in the mean; {rest}"


def _gather(name: str, rows: Sequence[Row], metric: str, chance: float | None, scale: Scale) -> statistics.Variant:
    runs = [(row["seed"], row.get(metric), _status(row)) for row in rows]
    return statistics.variant(name, runs, chance, scale)


def _status(row: Row) -> str:
    return "not begun" if row["status"] == "waiting" else row["status"]


def _variant_answer(
    gathered: statistics.Variant, rows: Sequence[Row], metric: str, chance: float | None, images: int
) -> VariantAnswer:
    scale = metrics.scale(metric)
    values = list(gathered.values.values())
    estimate = statistics.over_seeds(values, scale=scale, images=images) if values else None
    best, last = (_of_epoch(when, gathered.name, rows, metric, chance) for when in ("best", "last"))
    note = gathered.note
    learned = [value for seed, value in gathered.values.items() if seed not in gathered.failed]
    if 0 < len(learned) < len(values):  # values in two heaps, of which one mean says little
        estimated = statistics.over_seeds(learned, scale=scale, images=images)
        note += f"; the {len(learned)} that learned: {estimated.sentence}"
    text = estimate.sentence if estimate else f"no run with a value of {metrics.short(metric)}"
    statuses = dict(Counter(WORDS[row["status"]] for row in rows))
    sentence = f"{gathered.name}: {text}{f' ({note})' if note else ''}"
    return VariantAnswer(gathered.name, len(rows), len(values), statuses, estimate, best, last, note, sentence)


def _of_epoch(when: str, name: str, rows: Sequence[Row], metric: str, chance: float | None) -> Estimate | None:
    """Return the estimate of the best or last epoch on the split that was watched, val before test."""
    what = "loss" if metric.endswith("loss") else "accuracy"
    for split in ("val", "test"):
        key = f"{when}_{split}_{what}"
        if any(row.get(key) is not None for row in rows):
            gathered = _gather(name, rows, key, chance if what == "accuracy" else None, metrics.scale(key))
            values = list(gathered.values.values())
            return statistics.over_seeds(values, scale=metrics.scale(key), images=_images([rows], key))
    return None


def watched(rows: Sequence[Row], metric: str) -> str | None:
    """Return the split that `best` and `last` of the table are of, or None where none was evaluated every epoch."""
    what = "loss" if metric.endswith("loss") else "accuracy"
    for split in ("val", "test"):
        if any(row.get(f"best_{split}_{what}") is not None for row in rows):
            return split
    return None


def _images(rows: Iterable[Sequence[Row]], metric: str) -> int:
    """Return how many images the metric was measured on, which says how finely an accuracy moves."""
    split = "val" if "val_" in metric else "test"
    totals = [row.get(f"{split}_total") for variant_rows in rows for row in variant_rows]
    return max((total for total in totals if total), default=10_000)


def _one_seed_each(variants: Sequence[statistics.Variant], baseline: statistics.Variant) -> bool:
    return bool(variants) and all(len(variant.values) == 1 for variant in [*variants, baseline])


def _over_images(
    variants: Sequence[statistics.Variant], baseline: statistics.Variant, right: Right, images: int
) -> list[Comparison]:
    """Compare single networks over the test images (McNemar), corrected for their number; see statistics.mcnemar."""
    ours = right(baseline.name, next(iter(baseline.values)))
    theirs = [right(variant.name, next(iter(variant.values))) for variant in variants]
    if ours is None or any(correct is None or len(correct) != len(ours) for correct in theirs):
        return statistics.compare(variants, baseline, images=images)
    tests = [statistics.mcnemar(correct.tolist(), ours.tolist()) for correct in theirs if correct is not None]
    adjusted = statistics.holm([test.p for test in tests])
    family = len(tests)
    made = []
    for variant, test, p in zip(variants, tests, adjusted, strict=True):
        notes = "".join(f"; {side.name}: {side.note}" for side in (variant, baseline) if side.note)
        after = f"; after Holm's correction for {family} comparisons p = {p:.2g}" if family > 1 else ""
        if after and test.different and p >= 0.05:
            after += ", so that even these two are not told apart"
        sentence = f"{variant.name} and {baseline.name}, one seed each: {test.sentence}{after}{notes}"
        made.append(
            Comparison(
                variant.name, baseline.name, test.effect, None, None, test.p, p, p < 0.05, "exact McNemar test", (1, 1),
                None, sentence,
            )
        )  # fmt: skip
    return made
