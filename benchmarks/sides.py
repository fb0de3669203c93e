"""The ways of training that are compared. Each trains without end, and calls `tick` with the images of every step."""

import itertools
from collections.abc import Callable, Iterator
from multiprocessing import get_all_start_methods
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.session import Tick
from benchmarks.vision import dataset
from benchmarks.workloads import Task
from classlab.data.augment import Augmentation, augment, bind
from classlab.runs.preparation import place_model
from classlab.training.batches import Batch, Images
from classlab.training.random import generator
from classlab.training.settings import isolated
from classlab.training.train import Step, train_network


def classlab(task: Task, tick: Tick) -> None:
    """classlab's own loop as `classlab run` calls it."""
    model = place_model(task.model(), task.settings)
    for happened in train_network(model, {"train": task.train}, task.experiment, 0, task.settings):
        if isinstance(happened, Step):
            tick(happened.images)


def reports(task: Task, tick: Tick, workers: int = 0) -> None:
    """torchvision's transforms, one PIL image at a time, through a DataLoader into an eager step."""
    model, loss = task.model(), loss_of(task)
    optimizer = optimizer_of(task, model)
    feed = Feed(task, workers)
    while True:
        images, labels = (part.to(task.device) for part in feed.next())
        optimizer.zero_grad()
        value = loss(model(images), labels, images)
        value.backward()
        optimizer.step()
        value.item()
        tick(len(images), feed.rest)


class Feed:
    """The reports' DataLoader, epoch after epoch. Its workers end with a turn: they would work in the others'."""

    def __init__(self, task: Task, workers: int) -> None:
        # A session's process was spawned, and its workers would be too; a reader's are forked.
        forked = "fork" if workers and "fork" in get_all_start_methods() else None
        self._loader = DataLoader(
            dataset(task.prepared), task.batch_size, shuffle=True, num_workers=workers, multiprocessing_context=forked
        )
        self._iterator: Iterator[list[Tensor]] | None = None

    def next(self) -> list[Tensor]:
        """Return images and labels of the next batch."""
        if self._iterator is None:
            self._iterator = iter(self._loader)
        try:
            return next(self._iterator)
        except StopIteration:
            self._iterator = None
            return self.next()

    def rest(self) -> None:
        """Let the workers end."""
        self._iterator = None


def plain(task: Task, tick: Tick) -> None:
    """Plain PyTorch, eager, fp32, its tensors in memory; augmented by classlab's functions, a batch at a time."""
    model, loss = task.model(), loss_of(task)
    optimizer = optimizer_of(task, model)
    part, augmentations = task.images, bind(task.experiment.data.augmentations)
    random = torch.Generator(task.device).manual_seed(0)
    floats = None if augmentations else task.floats()
    for index in _shuffled(len(part), task):
        if floats is None:
            images = augment(part.pixels[index].float() / 255, augmentations, random)
            images = (images - part.mean) / part.std
        else:
            images = floats[index]
        optimizer.zero_grad()
        value = loss(model(images), part.labels[index], images)
        value.backward()
        optimizer.step()
        value.item()
        tick(len(images))


def _shuffled(count: int, task: Task) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(count, device=task.device).split(task.batch_size)


def loss_of(task: Task) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the loss as a function of outputs, labels and the images that the network was given."""
    name = task.experiment.training.loss.name
    if name == "reconstruction":
        return lambda outputs, labels, images: F.mse_loss(outputs, images)
    function = {"cross_entropy": F.cross_entropy, "nll": F.nll_loss}[name]
    return lambda outputs, labels, images: function(outputs, labels)


def optimizer_kind(task: Task) -> tuple[type[torch.optim.Optimizer], dict[str, Any]]:
    """Return torch's optimizer of the experiment and its options, as a reader writes them."""
    choice = task.experiment.training.optimizer
    options = dict(choice.options)
    options["lr"] = options.pop("learning_rate")
    if "beta1" in options:
        options["betas"] = options.pop("beta1"), options.pop("beta2")
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[choice.name], options


def optimizer_of(task: Task, model: nn.Module) -> torch.optim.Optimizer:
    """Return that optimizer for a network."""
    kind, options = optimizer_kind(task)
    return kind(model.parameters(), **options)


def loader_alone(task: Task, tick: Tick) -> None:
    """classlab's batches, gathered and augmented, and no step."""
    layout = torch.channels_last if task.settings.channels_last else torch.contiguous_format
    augmentations = bind(task.experiment.data.augmentations)
    with isolated(task.settings):
        for epoch in itertools.count(1):
            order = torch.randperm(len(task.train), generator=generator(0, epoch, "shuffle")).to(task.device)
            random = generator(0, epoch, "augment", task.device)
            for inputs, _, _ in task.train.batches(order, task.batch_size, augmentations, random, layout):
                tick(len(inputs))


def step_alone(task: Task, tick: Tick, native: bool = True) -> None:
    """classlab's step on one and the same batch. native: as it is chosen; else torch's step, as it would be chosen."""
    settings = task.settings if native else task.torchs
    train, model = SameBatch(**vars(task.train)), place_model(task.model(), settings)
    for happened in train_network(model, {"train": train}, task.experiment, 0, settings):
        if isinstance(happened, Step):
            tick(happened.images)


class SameBatch(Images):
    """Training images of which the first batch comes again and again: an epoch without end."""

    def batches(
        self,
        order: Tensor,
        batch_size: int,
        augmentations: list[Augmentation],
        random: torch.Generator,
        layout: torch.memory_format,
        ahead: bool = False,
    ) -> Iterator[Batch]:
        """Yield the first batch, not augmented, for ever."""
        inputs = self.first(batch_size, layout)
        yield from itertools.repeat((inputs, inputs, self.labels[:batch_size]))


def reports_loader_alone(task: Task, tick: Tick, workers: int = 0) -> None:
    """The reports' batches, and no step."""
    feed = Feed(task, workers)
    while True:
        images, _ = feed.next()
        tick(len(images), feed.rest)
