"""What `import classlab as cl` offers beyond plain data: runs and studies that can write their reports and predict.

A run is trained in runs/, a study in study/; neither knows of reports or of pictures. This is the room above them all.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self

from classlab.runs import execute, finished, imported
from classlab.runs.finished import FinishedRun
from classlab.study import conduct, result

if TYPE_CHECKING:
    from classlab.use.evidence import Evidence, Method
    from classlab.use.export.export import Exported
    from classlab.use.predict import Predictions

P = ParamSpec("P")


class Run(FinishedRun):
    """One execution of an experiment with one seed, as `cl.train` returns it. Objects show themselves in a notebook."""

    @classmethod
    def of_finished(cls, run: FinishedRun) -> Self:
        """Return the same run with a report and predictions."""
        return cls(run.path, run.given_model, run.given_data, run.trust, run.counted)

    def report(self, out: str | Path | None = None, **options: Any) -> Path:
        """Write the report and return its path; `author`, `roll` and `course` are printed on it when given.

        pdf=True: also a PDF beside it. figures="folder": also every figure and table as files.
        """
        from classlab.report import document

        return document.write(self, out=out, **options)

    def predict(
        self, pictures: Any, *, prepare: Literal["digits", "plain"] | None = None, each: bool = False
    ) -> "Predictions":
        """Return what the network says of the reader's own pictures: files, folders, arrays; see use.predict."""
        from classlab.use.predict import predict

        return predict(self, pictures, prepare=prepare, each=each)

    def explain(
        self,
        images: Any = None,
        method: "Method" = "grad_cam",
        *,
        classes: str | Sequence[str] = "predicted",
        layer: str | None = None,
    ) -> "Evidence":
        """Return what in images speaks for a class: maps, float32 (count, height, width); see use.evidence.explain."""
        from classlab.use.evidence import explain

        return explain(self, images, method, classes=classes, layer=layer)

    def export(self, to: str, out: str | Path | None = None, *, replace: bool = False) -> "Exported":
        """Write the network for use without classlab, once its own engine has proved it; see use.export.export."""
        from classlab.use.export.export import export

        return export(self, to, out, replace=replace)

    def draw(self) -> Any:
        """Return a paper to draw on in a notebook; what the network says of the drawing stands beside it.

        Raises UserError where the package anywidget is missing.
        """
        from classlab.use.drawing_paper import paper

        return paper(self)


class StudyResult(result.StudyResult):
    """What a study's runs gave, as `cl.study` returns it."""

    @property
    def runs(self) -> dict[str, dict[int, FinishedRun]]:
        """Variant -> seed -> the run, of those that were begun."""
        return {
            variant: {seed: Run.of_finished(run) for seed, run in runs.items()}
            for variant, runs in super().runs.items()
        }

    def report(self, out: str | Path | None = None, **options: Any) -> Path:
        """Write the report of the study and return its path; options as for Run.report."""
        from classlab.report import document

        return document.write(self, out=out, **options)


def _as_run(function: Callable[P, FinishedRun]) -> Callable[P, Run]:
    """Return the function with its signature and its words, whose result can report and predict."""

    @functools.wraps(function)
    def whole(*args: P.args, **options: P.kwargs) -> Run:
        return Run.of_finished(function(*args, **options))

    return whole


def _as_study(function: Callable[P, result.StudyResult]) -> Callable[P, StudyResult]:
    @functools.wraps(function)
    def whole(*args: P.args, **options: P.kwargs) -> StudyResult:
        made = function(*args, **options)
        return StudyResult(made.path, made.trust)

    return whole


train = _as_run(execute.train)
load_run = _as_run(finished.load)
import_weights = _as_run(imported.import_weights)
study = _as_study(conduct.study)
load_study = _as_study(result.load)
