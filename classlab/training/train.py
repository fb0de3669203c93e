"""THE LOOP. One function, read from top to bottom; it yields after every epoch and knows nothing of files."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from classlab.data.augment import bind
from classlab.experiment import Experiment
from classlab.training import choices
from classlab.training.evaluate import Evaluation, Images, evaluate
from classlab.training.fast.cores import has_idle_core
from classlab.training.fast.step import make_step
from classlab.training.random import generator, number
from classlab.training.settings import Settings, isolated, sums
from classlab.training.task import reconstructs

State = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    row: the metrics of this epoch, by the names of metrics.csv. state: everything the next epoch needs.
    improved: whether this is the best epoch so far by the protocol's metric. settings: how its steps were made, eagerly
    where they could not be compiled.
    """

    row: dict[str, float]
    state: State
    improved: bool
    settings: Settings


def train(
    model: nn.Module,
    splits: dict[str, Images],
    experiment: Experiment,
    seed: int,
    settings: Settings,
    state: State | None = None,
    on_batch: Callable[[int], Any] = lambda count: None,
) -> Iterator[Epoch]:
    """Train `model` in place and yield an Epoch after each epoch; a `state` from an earlier one goes on from there.

    splits: "train", and "val" and "test" where the protocol looks at them. `on_batch` is told how many images each
    batch held. The same arguments give the same bits, from the start or from any state. A loss that is not finite ends
    the training after its epoch.
    """
    plan = experiment.training
    images = splits["train"]
    augmentations = bind(experiment.data.augmentations)
    schedule = choices.schedule(plan.schedule)
    optimizer = choices.optimizer(plan.optimizer, model)
    peak_rates = [group["lr"] for group in optimizer.param_groups]
    steps_per_epoch = math.ceil(len(images) / plan.batch_size)
    steps = plan.epochs * steps_per_epoch
    past = Past() if state is None else restore(model, optimizer, state)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    with isolated(settings):
        step, settings = make_step(model, optimizer, experiment, settings, images.first(plan.batch_size, layout))

    for epoch in range(len(past.losses) + 1, plan.epochs + 1):
        if is_over(experiment, past):
            return
        started = time.perf_counter()
        with isolated(settings):
            torch.manual_seed(number(seed, epoch, "modules"))  # for dropout and the like inside the network
            order = torch.randperm(len(images), generator=generator(seed, epoch, "shuffle")).to(settings.device)
            random = generator(seed, epoch, "augment", settings.device)
            totals = sums(settings, 2)  # of the loss, of right answers
            model.train()
            ahead = settings.device == "cpu" and has_idle_core(settings.threads)
            batches = images.batches(order, plan.batch_size, augmentations, random, layout, ahead)
            for done, (inputs, clean, targets) in enumerate(batches, (epoch - 1) * steps_per_epoch):
                factor = schedule(step=done, steps=steps, steps_per_epoch=steps_per_epoch, losses=past.losses)
                for group, peak in zip(optimizer.param_groups, peak_rates, strict=True):
                    group["lr"] = peak * factor
                step(inputs, clean, targets, totals)
                on_batch(len(inputs))

            # Once an epoch: evaluate what the protocol looks at.
            row = running_row(epoch, totals, images, experiment, optimizer.param_groups[0]["lr"])
            row |= look(model, splits, experiment, seed, epoch, settings)
        past, improved = judge(row, experiment, past)
        row["seconds"] = time.perf_counter() - started
        yield Epoch(row, capture(model.state_dict(), optimizer.state_dict()["state"], past), improved, settings)


@dataclass(frozen=True)
class Past:
    """What the epochs done leave to the next: the best metric and its epoch, and the watched loss of every epoch."""

    best: float = -math.inf
    best_epoch: int = 0
    losses: tuple[float, ...] = ()


def is_over(experiment: Experiment, past: Past) -> bool:
    """Whether the training ends before its last epoch: it diverged, or it has not improved for long enough."""
    if past.losses and not math.isfinite(past.losses[-1]):
        return True
    stopping = experiment.training.early_stopping
    return bool(stopping and past.losses and len(past.losses) - past.best_epoch >= stopping.patience)


def running_row(epoch: int, totals: Tensor, images: Images, experiment: Experiment, rate: float) -> dict[str, float]:
    """Return the row of an epoch's training; totals: of the loss and of the right answers, as they were met."""
    loss, correct = (totals / len(images)).tolist()
    row = {"epoch": epoch, "train_loss": loss, "train_accuracy": correct, "learning_rate": rate}
    if reconstructs(experiment.training.loss):
        del row["train_accuracy"]
    return row


def look(
    model: nn.Module, splits: dict[str, Images], experiment: Experiment, seed: int, epoch: int, settings: Settings
) -> dict[str, float]:
    """Return loss and accuracy on every split that the protocol looks at after an epoch."""
    protocol = experiment.protocol
    looked_at = {str(protocol.validate_on)} - {"none"}
    if protocol.test_each_epoch:
        looked_at.add("test")
    if protocol.train_metrics == "re-evaluated":
        looked_at.add("train")
    row: dict[str, float] = {}
    for name in sorted(looked_at):
        measured = evaluate_split(model, name, splits[name], experiment, seed, epoch, settings)
        row[f"{name}_loss"] = measured.loss
        if measured.correct is not None:
            row[f"{name}_accuracy"] = measured.correct / len(splits[name])
    return row


def judge(row: dict[str, float], experiment: Experiment, past: Past) -> tuple[Past, bool]:
    """Return the past with this epoch in it, and whether it is the best so far by the protocol's metric.

    That is the accuracy, or for reconstruction the loss, the less the better.
    """
    watched_on = experiment.protocol.validate_on
    watched = row.get(f"{watched_on}_accuracy", -row.get(f"{watched_on}_loss", math.inf))
    improved = watched > past.best
    finite = all(math.isfinite(value) for key, value in row.items() if key.endswith("_loss"))
    losses = (*past.losses, row.get(f"{watched_on}_loss", row["train_loss"]) if finite else math.nan)
    best = (watched, int(row["epoch"])) if improved else (past.best, past.best_epoch)
    return Past(*best, losses), improved


def evaluate_split(
    model: nn.Module, name: str, images: Images, experiment: Experiment, seed: int, epoch: int, settings: Settings
) -> Evaluation:
    """Evaluate one split as the protocol says: val and test with the same draws every time, where they are augmented.

    name: train, val or test. The training images are augmented as in training, with draws of their own each epoch.
    """
    augmented = experiment.protocol.augment == "all" or name == "train"
    augmentations = bind(experiment.data.augmentations) if augmented else []
    drawn = generator(seed, epoch if name == "train" else 0, f"augment {name}", settings.device)
    loss = experiment.training.loss
    with isolated(settings):
        return evaluate(model, images, choices.loss(loss), reconstructs(loss), augmentations, drawn)


def capture(weights: Mapping[str, Tensor], slots: Mapping[int, Mapping[str, Any]], past: Past) -> State:
    """Return copies of the weights, the optimizer's tensors, by place among the parameters, and the past."""
    state = {f"model.{name}": value for name, value in weights.items()}
    for place, kept in slots.items():
        for slot, value in kept.items():
            if value is not None:
                state[f"optimizer.{place}.{slot}"] = torch.as_tensor(value)
    state["best"] = torch.tensor([past.best, past.best_epoch], dtype=torch.float64)
    state["losses"] = torch.tensor(past.losses, dtype=torch.float64)
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> Past:
    """Put a captured state back in place and return its past."""
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    model.load_state_dict(weights)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.startswith("optimizer."):
            _, place, slot = name.split(".", 2)
            # A fused update walks weights and slots side by side, so a slot must lie in memory as its weights do.
            like = parameters[int(place)]
            value = torch.empty_like(like).copy_(value) if value.shape == like.shape else value.clone()
            slots.setdefault(int(place), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    return read_past(state)


def read_past(state: State) -> Past:
    """Return the past that a captured state holds."""
    best, best_epoch = state["best"].tolist()
    return Past(best, int(best_epoch), tuple(state["losses"].tolist()))
