"""Found: what a search found on its own seeds, what was confirmed on fresh ones, and how much of it was luck."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from classlab import metrics, statistics
from classlab.formats import count
from classlab.statistics import Comparison, Estimate, Scale
from classlab.study.declaration import Study
from classlab.study.results import ENDED, Row
from classlab.study.search import Search
from classlab.study.space import Space
from classlab.study.standing import ALPHA, FIRST_SEEDS, Standing, stand
from classlab.study.sweep import Variant, baseline, settings, space_of


@dataclass(frozen=True)
class Found:
    """A search as far as it is. rows: of every run that was planned, see study.results, in the order of the plan.

    metric: what variants are chosen by. baseline: the variant that the winner is compared with. fresh: the seeds of the
    confirmation. names: the variants in their order. texts: what the settings of each are, in short.
    """

    metric: str
    baseline: str
    fresh: list[int]
    names: list[str]
    texts: Mapping[str, str]
    rows: Sequence[Row]
    standing: Standing

    @property
    def scale(self) -> Scale:
        """How the metric is written."""
        return metrics.scale(self.metric)

    @property
    def winner(self) -> str | None:
        """The variant with the best mean, once the search has ended; the baseline where nothing was better."""
        return self.standing.best if self.standing.ended else None

    @property
    def due(self) -> tuple[list[str], list[int]]:
        """The variants and the seeds to train next: of the search, then of the confirmation; nothing at the end."""
        if self.standing.due or self.winner is None:
            return self.standing.due, self.standing.due_seeds
        lacking = [
            name
            for name in dict.fromkeys((self.baseline, self.winner))
            if len([row for row in self.compared[name] if row["status"] in (*ENDED, "failed")]) < len(self.fresh)
        ]
        return lacking, self.fresh if lacking else []

    @property
    def compared(self) -> dict[str, list[Row]]:
        """Variant -> the rows that count: those of the baseline and of the winner, with fresh seeds alone."""
        both = dict.fromkeys((self.baseline, self.winner or self.baseline))
        return {
            name: [row for row in self.rows if row["variant"] == name and row["seed"] in self.fresh] for name in both
        }

    def confirmed(self, name: str) -> Estimate | None:
        """Return what a variant gives on fresh seeds, by the metric that it was chosen by; None before that."""
        values = [row[self.metric] for row in self.compared.get(name, []) if row.get(self.metric) is not None]
        total = next((row["val_total"] for row in self.rows if row.get("val_total")), None)
        return statistics.over_seeds(values, scale=self.scale, images=total) if values else None

    @cached_property
    def luck(self) -> float | None:
        """What the winner was better by on the search's seeds than on fresh ones, positive for luck; None before."""
        confirmed = self.confirmed(self.winner) if self.winner else None
        if confirmed is None or self.winner is None:
            return None
        gap = self.standing.means[self.winner] - confirmed.mean
        return gap if self.scale.higher_is_better else -gap

    def verdict(self, comparisons: Sequence[Comparison], higher_is_better: bool) -> str:
        """Return "gain", "no gain" or, before the confirmation, "not confirmed yet".

        comparisons: of the answer, the winner against the baseline on fresh seeds.
        """
        if self.winner is None or self.due[0]:
            return "not confirmed yet"
        good = [it for it in comparisons if it.different and (it.effect > 0) == higher_is_better]
        return "gain" if good else "no gain"

    def sentences(self, verdict: str) -> list[str]:
        """Return what was searched, what was found and what of it was luck. verdict: see `verdict`."""
        return [text for text in (self._searched(), self._found(), self._confirmed(verdict), self._given_up()) if text]

    def outcome(self, verdict: str) -> list[str]:
        """Return what was found, and what of it was confirmed."""
        return [text for text in (self._found(), self._confirmed(verdict)) if text] or [self._searched()]

    def _searched(self) -> str:
        now = self.standing
        runs = sum(row["seed"] not in self.fresh and row["status"] in ENDED for row in self.rows)
        failed = f", {count(len(now.failed), 'variant')} of which could not be trained" if now.failed else ""
        end = f"; it ended because {now.ended}" if now.ended else "; it goes on"
        return f"searched {count(len(self.names), 'variant')} with {count(runs, 'run')}{failed}{end}"

    def _found(self) -> str:
        name, means = self.winner, self.standing.means
        if name is None:
            return ""
        ground = metrics.words(self.metric)
        if name == self.baseline:
            return f"found nothing better than {name} by {ground}: {self.scale.value(means[name])} in the mean"
        text = f"found {name} ({self.texts[name]}) by {ground}: {self.scale.value(means[name])} in the mean"
        return f"{text}, {self.baseline} {self.scale.value(means[self.baseline])}" if self.baseline in means else text

    def _confirmed(self, verdict: str) -> str:
        name, means = self.winner, self.standing.means
        if name is None or self.luck is None:
            return ""
        of_winner, of_baseline = self.confirmed(name), self.confirmed(self.baseline)
        assert of_winner, "the luck is known once the winner is confirmed"
        (luck,) = self.scale.gaps(abs(self.luck))
        share = f"{luck}{self.scale.gap_unit} {'were luck' if self.luck >= 0 else 'more, so that luck made none of it'}"
        text = (
            f"{verdict}: found {self.scale.value(means[name])}, confirmed {self.scale.value(of_winner.mean)} on "
            f"{len(self.fresh)} fresh seeds: {share}"
        )
        if name != self.baseline and of_baseline and self.baseline in means:
            gains = self.scale.gaps(means[name] - means[self.baseline], of_winner.mean - of_baseline.mean)
            text += (
                f"; by this metric its lead over {self.baseline} was {gains[0]}{self.scale.gap_unit} and is "
                f"{gains[1]} on the fresh seeds"
            )
        return text

    def _given_up(self) -> str:
        number = len(self.standing.given_up)
        if not number:
            return ""
        return (
            f"{count(number, 'variant')} of {len(self.names)} were stopped after {FIRST_SEEDS} seeds; one as good as "
            f"the best is given up in at most {100 * ALPHA:g} % of the cases"
        )

    def to_json(self, verdict: str) -> dict[str, Any]:
        """Return everything as a program reads it."""
        return {
            "metric": self.metric,
            "winner": self.winner,
            "verdict": verdict,
            "found": self.standing.means.get(self.winner) if self.winner else None,
            "confirmed": self._estimate(self.winner),
            "baseline": self._estimate(self.baseline),
            "luck": self.luck,
            "standing": {key: value for key, value in asdict(self.standing).items() if not key.startswith("due")},
            "sentences": self.sentences(verdict),
        }

    def _estimate(self, name: str | None) -> dict[str, Any] | None:
        found = self.confirmed(name) if name else None
        return asdict(found) if found else None


def found_in(study: Study, made: Sequence[Variant], rows: Sequence[Row], space: Space | None = None) -> Found:
    """Return how a study's search stands. rows: of the planned runs, each with its variant and seed."""
    search, names, seeds = _search(study), [variant.name for variant in made], study.seed_list
    space = space or space_of(study)
    total = next((row["val_total"] for row in rows if row.get("val_total")), None)
    values: dict[str, dict[int, float | None]] = {}
    for row in rows:
        if row["seed"] in seeds and row["status"] in (*ENDED, "failed"):
            values.setdefault(row["variant"], {})[row["seed"]] = row.get(search.metric)
    untried = None
    if space.size is not None:
        inside = [space.point(variant.experiment.model_dump(mode="json")) for variant in made]
        untried = space.size - sum(point is not None for point in inside)
    standing = stand(search, seeds, names, values, untried, metrics.scale(search.metric).rounding(total))
    columns, changed = settings(made)
    texts = {name: ", ".join(f"{key}={changed[name][key]}" for key in columns) for name in names}
    return Found(search.metric, baseline(study, names), search.fresh(seeds), names, texts, rows, standing)


def _search(study: Study) -> Search:
    assert study.sweep.search, "asked of a study with a search"
    return study.sweep.search
