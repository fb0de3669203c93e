"""What the test predictions of a run come to: the numbers that several sections tell of."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from classlab.errors import UserError
from classlab.runs.finished import FinishedRun

PROBABILITY_LOSSES = ("cross_entropy", "nll")  # whose minimum makes the softmax outputs probabilities


@dataclass(frozen=True)
class Pair:
    """Two classes mistaken for each other: `there` of the first taken for the second, `back` the other way."""

    first: int
    second: int
    there: int
    back: int

    @property
    def both(self) -> int:
        """Mistakes in either direction."""
        return self.there + self.back


@dataclass(frozen=True, eq=False)
class Outcome:
    """labels, predicted: int64, (count,). confidence: float64, (count,), the softmax output of the predicted class."""

    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    class_names: tuple[str, ...]

    @property
    def right(self) -> np.ndarray:
        """Whether each prediction is right: bool, (count,)."""
        return self.predicted == self.labels

    @cached_property
    def matrix(self) -> np.ndarray:
        """The confusion matrix: int64, (classes, classes), true classes down, predicted ones across."""
        classes = len(self.class_names)
        cells = np.bincount(self.labels * classes + self.predicted, minlength=classes * classes)
        return cells.reshape(classes, classes)

    def mistakes(self) -> np.ndarray:
        """Return the indices of the wrong predictions, the most confident first."""
        wrong = np.flatnonzero(~self.right)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    def pairs(self) -> list[Pair]:
        """Return the pairs of classes that were mistaken for each other, the most frequent first."""
        classes = range(len(self.class_names))
        found = [Pair(i, j, int(self.matrix[i, j]), int(self.matrix[j, i])) for i in classes for j in classes if i < j]
        turned = [Pair(p.second, p.first, p.back, p.there) if p.back > p.there else p for p in found if p.both]
        return sorted(turned, key=lambda pair: -pair.both)


def of_run(run: FinishedRun) -> Outcome | None:
    """Return the outcome, or None where there is none: an unfinished run, outputs that are not classes or finite."""
    try:
        logits, labels = run.predictions()
    except UserError:
        return None
    if not len(labels) or logits.ndim != 2 or not np.isfinite(logits).all():
        return None
    predicted = logits.argmax(axis=1)
    confidence = run.probabilities()[np.arange(len(labels)), predicted]
    return Outcome(labels, predicted, confidence, tuple(run.environment["class_names"]))
