"""THE LOOP. One function, read from top to bottom; it yields what happens and knows nothing of files."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from classlab.data.augment import bind
from classlab.experiment import Experiment, Training
from classlab.training import choices
from classlab.training.batches import Images
from classlab.training.epoch_metrics import evaluate_splits, judge, skipped_steps, training_row
from classlab.training.fast.cores import has_idle_core
from classlab.training.fast.step import fast_step
from classlab.training.mixings import MixedLabels
from classlab.training.random import generator, number
from classlab.training.settings import Settings, isolated, sums
from classlab.training.state import Past, State, capture, restore
from classlab.training.task import reconstructs
from classlab.training.weight_averages import WeightAverages


class Step(NamedTuple):
    """A step was made, on so many images. (A tuple: one is made at every step, and some steps take 50 µs.)"""

    images: int


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    row: the metrics of this epoch, by the names of metrics.csv. state: everything the next epoch needs.
    improved: whether this is the best epoch so far by the protocol's metric.
    """

    row: dict[str, float]
    state: State
    improved: bool


def train_network(
    model: nn.Module,
    splits: dict[str, Images],
    experiment: Experiment,
    seed: int,
    settings: Settings,
    state: State | None = None,
) -> Iterator[Step | Epoch]:
    """Train `model` in place; yield a Step after each step and an Epoch after each epoch.

    splits: "train", and "val" and "test" where the protocol looks at them. state: of an earlier Epoch, to go on from
    there. The same arguments give the same bits, from the start or from any state. A loss that is not finite ends the
    training after its epoch.
    """
    plan, images = experiment.training, splits["train"]
    augmentations = bind(experiment.data.augmentations)
    loss_function, schedule = choices.of_both(choices.loss(plan.loss)), choices.schedule(plan)
    mix = choices.mixing(plan)
    optimizer = choices.optimizer(plan.optimizer, model)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    peak_rates = [group["lr"] for group in optimizer.param_groups]
    steps_per_epoch = math.ceil(len(images) / plan.batch_size)
    skipped = skipped_steps(experiment, len(images))
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    forward = in_bf16(model, settings.device) if settings.precision == "bf16" else model
    names_classes = not reconstructs(plan.loss)
    past = Past() if state is None else restore(model, optimizer, state)
    averages = WeightAverages(model, plan, state)

    def eager_step(inputs: Tensor, clean: Tensor, targets: Tensor | MixedLabels, totals: Tensor) -> None:
        """Make the step, and add its loss and its right answers to the totals."""
        outputs = forward(inputs)
        loss = loss_function(outputs=outputs, targets=targets, inputs=inputs, clean=clean)
        update(loss, trained, optimizer, plan)
        # The sums stay on the device: to read a number back at every step would be to wait for every step.
        totals[0] += loss.detach() * len(inputs)
        if names_classes:
            labels = targets.own_labels if isinstance(targets, MixedLabels) else targets
            totals[1] += (outputs.detach().argmax(1) == labels).sum()

    with isolated(settings):
        first = images.first(plan.batch_size, layout)
        # The same step in C, where that is faster; training/fast says what it gains. Such a step keeps the weights in
        # an order of its own; `publish` writes them back into the model and the optimizer.
        step, publish, answer = fast_step(eager_step, model, optimizer, experiment, settings, first)

    for epoch in range(len(past.losses) + 1, plan.epochs + 1):
        if is_over(experiment, past):
            return
        started = time.perf_counter()
        with isolated(settings):
            model.train()
            torch.manual_seed(number(seed, epoch, "modules"))  # for dropout and the like inside the network
            order = torch.randperm(len(images), generator=generator(seed, epoch, "shuffle")).to(settings.device)
            random = generator(seed, epoch, "augment", settings.device)
            mixed_by = np.random.default_rng(number(seed, epoch, "mixing"))
            ahead = settings.device == "cpu" and has_idle_core(settings.threads)
            batches = images.batches(order, plan.batch_size, augmentations, random, layout, ahead)
            totals, earlier = sums(settings, 2), sums(settings, 2)  # of the loss, of right answers
            for done, (inputs, clean, targets) in enumerate(batches, (epoch - 1) * steps_per_epoch):
                # The learning rate of this step: the schedule's factor on the optimizer's own rate.
                factor, momentum = schedule(done, plan.epochs * steps_per_epoch, steps_per_epoch, past.losses)
                choices.set_rates(optimizer, peak_rates, factor, momentum)
                if done % steps_per_epoch == skipped:  # some reports give the mean loss of an epoch's last steps
                    earlier = totals.clone()
                if mix:
                    inputs, targets = mix(inputs, targets, mixed_by)
                step(inputs, clean, targets, totals)
                averages.after_step(done + 1)
                yield Step(len(inputs))
            publish()

            # Once an epoch: evaluate what the protocol looks at, with the averaged weights where there are some.
            row = training_row(epoch, totals, earlier, images, experiment, optimizer.param_groups[0]["lr"])
            again = images.batches(order, plan.batch_size, augmentations, random, layout)
            with averages.in_place(epoch, (inputs for inputs, _, _ in again)) as beside:
                row |= evaluate_splits(model, splits, experiment, seed, epoch, settings, answer)
                past, improved = judge(row, experiment, past)
                state = {**capture(model, optimizer, past), **beside}
        row["seconds"] = time.perf_counter() - started
        yield Epoch(row, state, improved)


def update(loss: Tensor, trained: list[nn.Parameter], optimizer: Optimizer, plan: Training) -> None:
    """Backward and update: one step down the loss, with the penalty and the longest gradient that the plan states."""
    for parameter in trained:  # what zero_grad does, without its bookkeeping: of small steps a fifteenth
        parameter.grad = None
    (loss + plan.l1_penalty * absolute_sum(trained) if plan.l1_penalty else loss).backward()
    if plan.max_gradient_norm is not None:
        nn.utils.clip_grad_norm_(trained, plan.max_gradient_norm)
    optimizer.step()


def absolute_sum(weights: list[nn.Parameter]) -> Tensor:
    """Return the sum of the absolute values of all weights, a scalar."""
    return torch.stack([weight.abs().sum() for weight in weights]).sum()


def in_bf16(model: nn.Module, device: str) -> Callable[[Tensor], Tensor]:
    """Return the forward pass with products and convolutions in bfloat16; weights and outputs stay float32."""
    kind = device.split(":")[0]

    def forward(inputs: Tensor) -> Tensor:
        with torch.autocast(kind, torch.bfloat16):
            return model(inputs).float()

    return forward


def is_over(experiment: Experiment, past: Past) -> bool:
    """Whether the training ends before its last epoch: it diverged, or it has not improved for long enough."""
    if past.losses and not math.isfinite(past.losses[-1]):
        return True
    stopping = experiment.training.early_stopping
    return bool(stopping and past.losses and len(past.losses) - past.best_epoch >= stopping.patience)
