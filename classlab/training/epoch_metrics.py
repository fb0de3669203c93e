"""The metrics of an epoch: the row that metrics.csv gets, and whether the epoch is the best so far."""

import math
from collections.abc import Callable

from torch import Tensor, nn

from classlab.data.augment import bind
from classlab.experiment import Experiment
from classlab.training import choices
from classlab.training.batches import Images
from classlab.training.evaluate import Evaluation, evaluate
from classlab.training.random import generator
from classlab.training.settings import Settings, isolated
from classlab.training.state import Past
from classlab.training.task import reconstructs


def training_row(
    epoch: int, totals: Tensor, earlier: Tensor, images: Images, experiment: Experiment, rate: float
) -> dict[str, float]:
    """Return the row of an epoch's training.

    totals: of the loss and of the right answers, as they were met. earlier: what they were before the steps whose mean
    loss is asked for.
    """
    last = len(images) - skipped_steps(experiment, len(images)) * experiment.training.batch_size
    loss, correct = (totals[0] - earlier[0]).item() / last, totals[1].item() / len(images)
    row = {"epoch": epoch, "train_loss": loss, "train_accuracy": correct, "learning_rate": rate}
    if reconstructs(experiment.training.loss):
        del row["train_accuracy"]
    return row


Answer = Callable[[Tensor], Tensor]


def skipped_steps(experiment: Experiment, images: int) -> int:
    """Return how many of an epoch's first steps are not in its mean loss."""
    steps = math.ceil(images / experiment.training.batch_size)
    return max(0, steps - (experiment.protocol.train_loss_steps or steps))


def evaluate_splits(
    model: nn.Module, splits: dict[str, Images], experiment: Experiment, seed: int, epoch: int, settings: Settings,
    answer: Answer,
) -> dict[str, float]:  # fmt: skip
    """Return loss and accuracy on every split that the protocol looks at after an epoch; answer: see `evaluate`."""
    protocol = experiment.protocol
    looked_at = {str(protocol.validate_on)} - {"none"}
    if protocol.test_each_epoch:
        looked_at.add("test")
    if protocol.train_metrics != "running":
        looked_at.add("train")
    row: dict[str, float] = {}
    for name in sorted(looked_at):
        measured = evaluate_split(model, name, splits[name], experiment, seed, epoch, settings, answer)
        if name != "train" or protocol.train_metrics == "re-evaluated":
            row[f"{name}_loss"] = measured.loss
        if measured.correct is not None:
            row[f"{name}_accuracy"] = measured.correct / len(splits[name])
    return row


def evaluate_split(
    model: nn.Module, name: str, images: Images, experiment: Experiment, seed: int, epoch: int, settings: Settings,
    answer: Answer | None = None,
) -> Evaluation:  # fmt: skip
    """Evaluate one split as the protocol says: val and test with the same draws every time, where they are augmented.

    name: train, val or test. answer: see `evaluate`. The training images are augmented as in training, with draws of
    their own each epoch.
    """
    augmented = experiment.protocol.augment == "all" or name == "train"
    augmentations = bind(experiment.data.augmentations) if augmented else []
    drawn = generator(seed, epoch if name == "train" else 0, f"augment {name}", settings.device)
    loss = experiment.training.loss
    with isolated(settings):
        return evaluate(model, images, choices.loss(loss), reconstructs(loss), augmentations, drawn, answer)


def judge(row: dict[str, float], experiment: Experiment, past: Past) -> tuple[Past, bool]:
    """Return the past with this epoch in it, and whether it is the best so far by the protocol's metric.

    That is the accuracy, or for reconstruction the loss, smaller is better.
    """
    watched_on = experiment.protocol.validate_on
    watched = row.get(f"{watched_on}_accuracy", -row.get(f"{watched_on}_loss", math.inf))
    improved = watched > past.best
    finite = all(math.isfinite(value) for key, value in row.items() if key.endswith("_loss"))
    losses = (*past.losses, row.get(f"{watched_on}_loss", row["train_loss"]) if finite else math.nan)
    best = (watched, int(row["epoch"])) if improved else (past.best, past.best_epoch)
    return Past(*best, losses), improved
