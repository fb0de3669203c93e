"""A population: runs of one network, batch size and step count, trained together as one batch of models.

Each member keeps its own seed, first weights, shuffle, augmentation and masks, learning rate, weight decay and
momentum, and comes out as its run by itself would, up to rounding. The loop is that of training/train.py, over
stacked tensors.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from classlab.data.augment import bind
from classlab.experiment import Experiment
from classlab.training import choices
from classlab.training.evaluate import Images
from classlab.training.fast import updates
from classlab.training.fast.functional import Functional, take_apart
from classlab.training.fast.updates import Slots, Tensors
from classlab.training.random import generator, number
from classlab.training.settings import Settings, isolated, sums
from classlab.training.task import reconstructs
from classlab.training.train import Epoch, Past, State, capture, is_over, judge, look, read_past, running_row


@dataclass(frozen=True)
class Member:
    """One run of a population: its experiment, its seed, and the network that holds its weights, changed in place."""

    experiment: Experiment
    seed: int
    model: nn.Module


@dataclass
class Stack:
    """The tensors of all members, the first dimension counting them; what the optimizer remembers among them."""

    weights: Tensors
    others: Tensors
    slots: Slots


def train_population(
    members: Sequence[Member],
    splits: dict[str, Images],
    settings: Settings,
    states: Sequence[State] | None = None,
    on_batch: Callable[[int], Any] = lambda count: None,
) -> Iterator[list[Epoch | None]]:
    """Train all members at once and yield after each epoch what it gave each of them: None for one that has ended.

    members: their experiments differ in name, contract and the rates of the optimizer alone. states: one for each
    member, from one and the same epoch of an earlier call with the same members; then it goes on from there. on_batch
    is told how many images all members together were trained on. Raises NotFunctionalError for a network or loss
    that cannot be trained so (training.fast.functional).
    """
    first = members[0].experiment
    plan, images, count = first.training, splits["train"], len(members)
    augmentations, schedule = bind(first.data.augmentations), choices.schedule(plan.schedule)
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    optimizers = [choices.optimizer(member.experiment.training.optimizer, member.model) for member in members]
    groups = [optimizer.param_groups[0] for optimizer in optimizers]
    with isolated(settings):
        taken = take_apart(members[0].model, images.first(plan.batch_size, layout), choices.loss(plan.loss))
        step = _step(taken, first, optimizers)
    stack = _stacked(taken, members, groups, states)
    pasts = [read_past(state) for state in states] if states else [Past()] * count
    steps_per_epoch = math.ceil(len(images) / plan.batch_size)
    steps = plan.epochs * steps_per_epoch
    peaks = {name: [updates.rates(group)[name] for group in groups] for name in updates.rates(groups[0])}

    for epoch in range(max(len(past.losses) for past in pasts) + 1, plan.epochs + 1):
        active = [not is_over(member.experiment, past) for member, past in zip(members, pasts, strict=True)]
        if not any(active):
            return
        started = time.perf_counter()
        with isolated(settings):
            stack = _contiguous(stack)
            totals = sums(settings, count, 2)
            masks = [generator_of_modules(member.seed, epoch, settings) for member in members]
            each = [_batches(images, member, epoch, augmentations, layout, settings) for member in members]
            rates: dict[str, Tensor] = {}
            for done, batch in enumerate(zip(*each, strict=True), (epoch - 1) * steps_per_epoch):
                inputs, clean, targets = _stack_batch(batch)
                factors = [
                    schedule(step=done, steps=steps, steps_per_epoch=steps_per_epoch, losses=past.losses)
                    for past in pasts
                ]
                rates = {name: _vector(values, inputs) for name, values in peaks.items()}
                rates["learning_rate"] = _vector(_products(peaks["learning_rate"], factors), inputs)
                drawn = [taken.draw_masks(inputs.shape[1], random, inputs.dtype) for random in masks]
                step(stack, rates, _stack_named(drawn), inputs, clean, targets, totals)
                on_batch(inputs.shape[0] * inputs.shape[1])

            epochs: list[Epoch | None] = [None] * count
            trained_in = time.perf_counter() - started
            for place, member in enumerate(members):
                if active[place]:
                    began = time.perf_counter()
                    weights = _unstacked(stack, place)
                    member.model.load_state_dict(weights)
                    rate = float(rates["learning_rate"][place])
                    row = running_row(epoch, totals[place], images, member.experiment, rate)
                    row |= look(member.model, splits, member.experiment, member.seed, epoch, settings)
                    pasts[place], improved = judge(row, member.experiment, pasts[place])
                    row["seconds"] = trained_in / sum(active) + time.perf_counter() - began
                    state = capture(weights, _slots_of(taken, stack, place), pasts[place])
                    epochs[place] = Epoch(row, state, improved, settings)
        yield epochs


def generator_of_modules(seed: int, epoch: int, settings: Settings) -> torch.Generator:
    """Return the generator of a member's dropout masks: the draws that torch's own would take in its run by itself."""
    return torch.Generator(settings.device).manual_seed(number(seed, epoch, "modules"))


def _step(
    taken: Functional, experiment: Experiment, optimizers: Sequence[torch.optim.Optimizer]
) -> Callable[..., None]:
    """Return what makes one step of all members, changing the stack and the totals."""
    plan = experiment.training
    loss_function, counts = choices.loss(plan.loss), not reconstructs(plan.loss)
    update = updates.bind(plan.optimizer.name, optimizers[0])

    def one(
        weights: Tensors, others: Tensors, slots: Slots, masks: Tensors, rates: Tensors,
        inputs: Tensor, targets: Tensor, clean: Tensor,
    ) -> Any:  # fmt: skip
        return taken.step(loss_function, update, counts, weights, others, slots, masks, rates, inputs, targets, clean)

    together = vmap(one)

    def step(
        stack: Stack, rates: Tensors, masks: Tensors, inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor
    ) -> None:
        with torch.no_grad():
            stack.weights, stack.others, stack.slots, loss, correct = together(
                stack.weights, stack.others, stack.slots, masks, rates, inputs, targets, clean
            )
            totals[:, 0] += loss * inputs.shape[1]
            totals[:, 1] += correct

    return step


def _batches(
    images: Images,
    member: Member,
    epoch: int,
    augmentations: list[Any],
    layout: torch.memory_format,
    settings: Settings,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Return a member's batches of one epoch: those of its run by itself."""
    order = torch.randperm(len(images), generator=generator(member.seed, epoch, "shuffle")).to(settings.device)
    random = generator(member.seed, epoch, "augment", settings.device)
    return images.batches(order, member.experiment.training.batch_size, augmentations, random, layout)


def _stack_batch(batch: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    inputs = torch.stack([inputs for inputs, _, _ in batch])
    same = all(clean is inputs for inputs, clean, _ in batch)
    clean = inputs if same else torch.stack([clean for _, clean, _ in batch])
    return inputs, clean, torch.stack([targets for _, _, targets in batch])


def _stacked(
    taken: Functional, members: Sequence[Member], groups: Sequence[dict[str, Any]], states: Sequence[State] | None
) -> Stack:
    """Return the members' tensors stacked: those of the states, or of the networks with optimizers that start."""
    if states:
        named = [{n.removeprefix("model."): v for n, v in state.items() if n.startswith("model.")} for state in states]
    else:
        named = [{name: value.detach() for name, value in member.model.state_dict().items()} for member in members]
    device = next(iter(members[0].model.state_dict().values())).device
    weights, others = taken.split(_stack_named([{n: v.to(device) for n, v in state.items()} for state in named]))
    slots: Slots = {}
    name = members[0].experiment.training.optimizer.name
    for slot in sorted({slot for group in groups for slot in updates.slots(name, group)}):
        slots[slot] = {}
        for place, parameter in enumerate(taken.trained):
            if states:
                kept = [state.get(f"optimizer.{place}.{slot}") for state in states]
                like = weights[parameter][0]
                slots[slot][parameter] = torch.stack(
                    [torch.zeros_like(like) if value is None else value.to(device) for value in kept]
                )
            else:
                zeros = torch.zeros_like(weights[parameter])
                slots[slot][parameter] = torch.zeros(len(members), device=device) if slot == "step" else zeros
    return Stack(weights, others, slots)


def _contiguous(stack: Stack) -> Stack:
    """Return the stack laid out as a checkpoint is: which arithmetic is done depends on how a tensor lies in memory."""
    weights, others, *slots = (
        {name: value.contiguous() for name, value in part.items()}
        for part in (stack.weights, stack.others, *stack.slots.values())
    )
    return Stack(weights, others, dict(zip(stack.slots, slots, strict=True)))


def _unstacked(stack: Stack, place: int) -> Tensors:
    return {name: value[place] for name, value in (stack.weights | stack.others).items()}


def _slots_of(taken: Functional, stack: Stack, place: int) -> dict[int, dict[str, Tensor]]:
    return {
        number: {slot: tensors[parameter][place] for slot, tensors in stack.slots.items()}
        for number, parameter in enumerate(taken.trained)
    }


def _stack_named(parts: Sequence[Tensors]) -> Tensors:
    return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}


def _vector(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def _products(left: Sequence[float], right: Sequence[float]) -> list[float]:
    return [a * b for a, b in zip(left, right, strict=True)]
