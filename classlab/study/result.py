"""StudyResult: what a study's runs gave, read back from its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import own_code
from classlab.errors import UserError
from classlab.runs import copied_code, records, store
from classlab.study import arithmetic, plan, results
from classlab.study import declaration as studies
from classlab.study.answer import Answer, answer, watched
from classlab.study.declaration import Study
from classlab.study.found import Found, found_in
from classlab.study.ladder import StepLog, step_logs
from classlab.study.plan import Plan
from classlab.study.results import Row
from classlab.study.sweep import Variant, baseline, settings, variants
from classlab.study.weighing import Weighing, weigh
from classlab.yaml_text import value_text

if TYPE_CHECKING:
    import altair
    import numpy as np
    import pandas

    from classlab.runs.finished import FinishedRun

STUDY, FAILURES = "study.yaml", "failures.json"


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The runs of a study and what they say. Everything is read from `path` when it is first asked for."""

    path: Path
    trust: bool = False  # whether code of the reader's own that the folder names may run

    @cached_property
    def study(self) -> Study:
        """The study, its experiments spelled out."""
        with own_code.copied(self._copies):
            return studies.load(self.path / STUDY, trust=self.trust)

    @cached_property
    def variants(self) -> list[Variant]:
        """The variants, in the order of the study."""
        with own_code.copied(self._copies):
            return variants(self.study, self.trust)

    @cached_property
    def _copies(self) -> "Mapping[str, own_code.CopiedCode]":
        """The reader's own code that the runs keep, in whose place it is when the study is read."""
        return copied_code.of_runs(store.runs_in(self.path / plan.RUNS), self.path / STUDY)

    @cached_property
    def plan(self) -> Plan:
        """Which runs, and where each was trained."""
        return plan.read(self.path)

    @cached_property
    def folders(self) -> dict[str, dict[int, Path]]:
        """Variant -> seed -> the folder of the run."""
        found: dict[str, dict[int, Path]] = {variant.name: {} for variant in self.variants}
        for run in sorted(self.plan.runs, key=lambda run: run.seed):
            if run.variant not in found:
                raise UserError(f"{self.path / plan.FILE} plans the variant {run.variant}, which {STUDY} does not have")
            found[run.variant][run.seed] = self.path / run.run
        return found

    @property
    def runs(self) -> "dict[str, dict[int, FinishedRun]]":
        """Variant -> seed -> the run, of those that were begun."""
        from classlab.runs.finished import FinishedRun

        return {
            variant: {
                seed: FinishedRun(folder, trust=self.trust)
                for seed, folder in by_seed.items()
                if (folder / store.EXPERIMENT).is_file()
            }
            for variant, by_seed in self.folders.items()
        }

    @cached_property
    def rows(self) -> list[results.Row]:
        """One row for each planned run: variant, its settings, seed, status, metrics, the run's folder and seconds."""
        return self._rows({})

    def _rows(self, known: Mapping[str, results.Row]) -> list[results.Row]:
        failures = read_failures(self.path)
        _, changed = self._settings
        rows = []
        for variant, folders in self.folders.items():
            for seed, folder in folders.items():
                run = folder.relative_to(self.path).as_posix()
                measured = known[run] if run in known else results.row(folder, failures.get(run))
                rows.append({"variant": variant, **changed[variant], "seed": seed, **measured, "run": run})
        return rows

    @cached_property
    def _settings(self) -> tuple[list[str], dict[str, dict[str, str]]]:
        return settings(self.variants)

    def write(self, known: Mapping[str, results.Row] | None = None) -> None:
        """Write results.csv and times.csv.

        known: rows of runs that have ended, by the run's folder. They are not read again: a study of 1,000 runs would
        otherwise read 1,000 folders each time that one ends.
        """
        results.write(self.path, self.rows if known is None else self._rows(known), self._settings[0])

    @property
    def results(self) -> "pandas.DataFrame":
        """The rows as a table, with the columns of results.csv."""
        import pandas

        return pandas.DataFrame(self.rows, columns=results.columns(self.rows, settings(self.variants)[0]))

    @cached_property
    def found(self) -> Found | None:
        """What the study's search found, None where it has no search."""
        if self.study.sweep.search is None:
            return None
        with own_code.copied(self._copies), own_code.trusting(self.trust):
            return found_in(self.study, self.variants, self.rows)

    @property
    def search_verdict(self) -> str:
        """Whether a search gained anything on fresh seeds, see Found.verdict; nothing where there is none."""
        return self.found.verdict(self.answer.comparisons, self.answer.scale.higher_is_better) if self.found else ""

    @cached_property
    def compared(self) -> dict[str, list[Row]]:
        """Variant -> the rows that the answer is about: all; of a search those of fresh seeds."""
        if self.found is not None:
            return self.found.compared
        return {variant.name: [row for row in self.rows if row["variant"] == variant.name] for variant in self.variants}

    @cached_property
    def answer(self) -> Answer:
        """Each variant's mean with its interval, and each test against the baseline."""
        by_variant = self.compared
        chance = next(filter(None, map(results.largest_class_share, self._all_folders())), None)
        compare, names = self.study.compare, list(by_variant)
        return answer(
            by_variant, baseline(self.study, names), compare.metric, self.right, chance, compare.equivalent_within
        )

    @cached_property
    def weighing(self) -> Weighing | None:
        """How the runs stand to the published curve that the study asks about; None where it asks about none."""
        curve = self.study.compare.published
        if curve is None:
            return None
        counted = arithmetic.read(self.path)
        lacking = [variant.name for variant in self.variants if variant.name not in counted]
        if lacking:
            raise UserError(
                f"{self.path / arithmetic.FILE} does not count the variant {lacking[0]}; "
                f"classlab study {self.study.name} does"
            )
        rows = {(row["variant"], row["seed"]): row for row in self.rows}
        runs = {
            name: {seed: (folder, rows[name, seed]) for seed, folder in by_seed.items()}
            for name, by_seed in self.folders.items()
        }
        return weigh(curve, runs, {variant.name: counted[variant.name] for variant in self.variants})

    @cached_property
    def steps(self) -> list[StepLog]:
        """The log of a search by hand, a study's steps in order; none where it has none."""
        return step_logs(self.study, self.variants, self.compared, self.runs, self.right)

    @property
    def _compared_rows(self) -> list[Row]:
        return [row for rows in self.compared.values() for row in rows]

    def _all_folders(self) -> list[Path]:
        return [folder for by_seed in self.folders.values() for folder in by_seed.values()]

    def right(self, variant: str, seed: int) -> "np.ndarray | None":
        """Return which test images a run got right, bool (count,); None where it has no such answers."""
        return results.right(self.folders[variant][seed])

    def sentences(self) -> list[str]:
        """Return the answer in plain words: a sentence for each variant and for each test."""
        published = self.weighing.sentences() if self.weighing else []
        searched = self.found.sentences(self.search_verdict) if self.found else []
        logged = [step.sentence() for step in self.steps]
        return [*published, *searched, *logged, *self.answer.sentences(), *results.differences(self.rows)]

    @property
    def watched(self) -> str | None:
        """The split that was evaluated after every epoch, val before test."""
        return watched(self.rows, self.study.compare.metric)

    def table(self) -> "pandas.DataFrame":
        """Return one row a variant: n, mean, sd, interval, best and last epoch's mean, and what became of its runs.

        Accuracies are fractions. "best" and "last" are of the split that was watched, see `watched`.
        """
        import pandas

        rows = [
            {
                "variant": variant.name,
                "runs": variant.runs,
                "n": variant.n,
                "mean": variant.estimate.mean if variant.estimate else None,
                "sd": variant.estimate.sd if variant.estimate else None,
                "low": variant.estimate.low if variant.estimate else None,
                "high": variant.estimate.high if variant.estimate else None,
                "best": variant.best.mean if variant.best else None,
                "last": variant.last.mean if variant.last else None,
                "statuses": ", ".join(f"{count} {status}" for status, count in variant.statuses.items()),
            }
            for variant in self.answer.variants
        ]
        return pandas.DataFrame(rows)

    def histories(self, metric: str) -> dict[str, dict[int, list[float]]]:
        """Return variant -> seed -> a column of metrics.csv (val_accuracy, train_loss) epoch by epoch.

        Every variant is there, in the study's order, so that all charts give it one colour; nothing where none has any.
        """
        folders = {
            name: {row["seed"]: self.folders[name][row["seed"]] for row in rows} for name, rows in self.compared.items()
        }
        found = results.histories(folders, metric)
        return {name: found.get(name, {}) for name in folders} if found else {}

    @property
    def diverged(self) -> dict[str, set[int]]:
        """Variant -> the seeds whose run diverged."""
        found: dict[str, set[int]] = {}
        for row in self._compared_rows:
            if row["status"] == "diverged":
                found.setdefault(row["variant"], set()).add(row["seed"])
        return found

    def curves(self, metric: str | None = None) -> "altair.TopLevelMixin":
        """Return the mean curve of every variant with the band of its seeds in one chart.

        metric: a column of metrics.csv; None takes the accuracy (or loss) of the split that was watched.
        """
        from classlab.drawing import render, seeds

        metric = metric or self.curve_metric
        return render.shows_itself(seeds.curves(self.histories(metric), metric, self.diverged))

    def multiples(self, metric: str | None = None) -> "altair.TopLevelMixin":
        """Return a small chart for each variant, every seed a line, all on the same axes."""
        from classlab.drawing import render, small_multiples

        metric = metric or self.curve_metric
        return render.shows_itself(small_multiples.multiples(self.histories(metric), metric, self.diverged))

    def dots(self) -> "altair.TopLevelMixin":
        """Return every run's value of the compared metric as a dot, with each variant's mean and interval."""
        from classlab.drawing import dot_plot, render

        return render.shows_itself(dot_plot.dots(self.dot_rows(), self.interval_rows(), self.answer.metric))

    def dot_rows(self) -> list[dict[str, Any]]:
        """Return variant, seed, value and status of every run."""
        metric = self.answer.metric
        return [
            {**{key: row[key] for key in ("variant", "seed", "status")}, "value": row.get(metric)}
            for row in self._compared_rows
        ]

    def interval_rows(self) -> list[dict[str, Any]]:
        """Return variant, mean, low and high of every variant that has a mean."""
        estimates = [(variant.name, variant.estimate) for variant in self.answer.variants]
        return [{"variant": name, "mean": e.mean, "low": e.low, "high": e.high} for name, e in estimates if e]

    @property
    def curve_metric(self) -> str:
        """The column of metrics.csv that is drawn unless another is asked for."""
        what = "loss" if self.study.compare.metric.endswith("loss") else "accuracy"
        if any(row.get(f"last_train_{what}") is not None for row in self.rows):
            return f"{self.watched or 'train'}_{what}"
        return f"{self.watched or 'train'}_loss"

    def __repr__(self) -> str:
        done = sum(row["status"] in results.ENDED for row in self.rows)
        return f"StudyResult({self.study.name}, {len(self.variants)} variants, {done} of {len(self.rows)} runs done)"

    def _repr_html_(self) -> str:
        from html import escape

        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.sentences())
        question = escape(self.study.question)
        return f"<b>{escape(self.study.name)}</b> {question}{self.table().to_html(index=False)}<ul>{said}</ul>"


def read_failures(folder: Path) -> dict[str, str]:
    """Return the runs of a study that could not be trained: the run's folder and the sentence. Raises UserError."""
    if not (folder / FAILURES).exists():
        return {}
    document = records.read_object(folder / FAILURES)
    for run, sentence in document.items():
        if not isinstance(sentence, str):
            raise UserError(f"{folder / FAILURES}: {run} must have a sentence; got {value_text(sentence)}")
    return document


def load(path: str | Path, trust: bool = False) -> StudyResult:
    """Return the study in a folder. Raises UserError where there is none.

    trust: whether code of the reader's own that the folder names may run; never trust what you have not read.
    """
    path = Path(path)
    if not (path / STUDY).is_file():
        raise UserError(store.no_run(path, f": it has no {STUDY}", "a study's folder"))
    return StudyResult(path, trust)
