"""THE LOOP. One function, read from top to bottom; it yields after every epoch and knows nothing of files."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from classlab.data.augment import bind
from classlab.experiment import Experiment
from classlab.training.device import Settings, isolated
from classlab.training.evaluate import Evaluation, Images, evaluate
from classlab.training.random import generator, number
from classlab.training.step import make_step
from classlab.training.task import reconstructs

State = dict[str, Tensor]


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    row: the metrics of this epoch, by the names of metrics.csv. state: everything the next epoch needs.
    improved: whether this is the best epoch so far by the protocol's metric.
    """

    row: dict[str, float]
    state: State
    improved: bool


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
    plan, protocol = experiment.training, experiment.protocol
    images = splits["train"]
    augmentations = bind(experiment.data.augmentations)
    drawing = reconstructs(plan.loss)
    schedule = plan.schedule.bind("schedule")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = plan.optimizer.call("optimizer", parameters=trained)
    peak_rates = [group["lr"] for group in optimizer.param_groups]
    steps_per_epoch = math.ceil(len(images) / plan.batch_size)
    steps = plan.epochs * steps_per_epoch
    best, best_epoch, losses = -math.inf, 0, list[float]()
    if state is not None:
        best, best_epoch, losses = restore(model, optimizer, state)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    with isolated(settings):
        step = make_step(model, optimizer, experiment, settings, images.first(plan.batch_size, layout))

    for epoch in range(len(losses) + 1, plan.epochs + 1):
        if losses and not math.isfinite(losses[-1]):  # it diverged
            return
        if plan.early_stopping and losses and epoch - 1 - best_epoch >= plan.early_stopping.patience:
            return
        started = time.perf_counter()
        with isolated(settings):
            torch.manual_seed(number(seed, epoch, "modules"))  # for dropout and the like inside the network
            order = torch.randperm(len(images), generator=generator(seed, epoch, "shuffle")).to(settings.device)
            random = generator(seed, epoch, "augment", settings.device)
            totals = torch.zeros(2, device=settings.device, dtype=torch.float64)  # of the loss, of right answers
            model.train()
            batches = images.batches(order, plan.batch_size, augmentations, random, layout)
            for done, (inputs, clean, targets) in enumerate(batches, (epoch - 1) * steps_per_epoch):
                factor = schedule(step=done, steps=steps, steps_per_epoch=steps_per_epoch, losses=losses)
                for group, peak in zip(optimizer.param_groups, peak_rates, strict=True):
                    group["lr"] = peak * factor
                step(inputs, clean, targets, totals)
                on_batch(len(inputs))

            row: dict[str, float] = {
                "epoch": epoch,
                "train_loss": float(totals[0]) / len(images),
                "train_accuracy": float(totals[1]) / len(images),
                "learning_rate": optimizer.param_groups[0]["lr"],
            }
            if drawing:
                del row["train_accuracy"]
            # Once an epoch: evaluate what the protocol looks at.
            looked_at = {str(protocol.validate_on)} - {"none"}
            if protocol.test_each_epoch:
                looked_at.add("test")
            if protocol.train_metrics == "re-evaluated":
                looked_at.add("train")
            for name in sorted(looked_at):
                measured = evaluate_split(model, name, splits[name], experiment, seed, epoch, settings)
                row[f"{name}_loss"] = measured.loss
                if measured.correct is not None:
                    row[f"{name}_accuracy"] = measured.correct / len(splits[name])

        # What selection goes by: the accuracy, or for reconstruction the loss, the less the better.
        watched = row.get(f"{protocol.validate_on}_accuracy", -row.get(f"{protocol.validate_on}_loss", math.inf))
        improved = watched > best
        if improved:
            best, best_epoch = watched, epoch
        finite = all(math.isfinite(value) for key, value in row.items() if key.endswith("_loss"))
        losses.append(row.get(f"{protocol.validate_on}_loss", row["train_loss"]) if finite else math.nan)
        row["seconds"] = time.perf_counter() - started
        yield Epoch(row, capture(model, optimizer, best, best_epoch, losses), improved)


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
        return evaluate(model, images, loss.bind("loss"), reconstructs(loss), augmentations, drawn)


def capture(
    model: nn.Module, optimizer: torch.optim.Optimizer, best: float, best_epoch: int, losses: list[float]
) -> State:
    """Return copies of the weights, the optimizer's tensors, the best epoch's metric and number, and every loss."""
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    for place, slots in optimizer.state_dict()["state"].items():
        for slot, value in slots.items():
            if value is not None:
                state[f"optimizer.{place}.{slot}"] = torch.as_tensor(value)
    state["best"] = torch.tensor([best, best_epoch], dtype=torch.float64)
    state["losses"] = torch.tensor(losses, dtype=torch.float64)
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> tuple[float, int, list[float]]:
    """Put a captured state back in place; return the best metric, the best epoch and the loss of every epoch done."""
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
    best, best_epoch = state["best"].tolist()
    return best, int(best_epoch), state["losses"].tolist()
