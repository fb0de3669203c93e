"""What is measured: the workloads, and each one's data, network and settings as classlab itself makes them."""

import copy
import functools
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import Experiment, load
from classlab.runs.preparation import Prepared, choose_settings, place_splits, prepare
from classlab.study.forecast import check
from classlab.study.plan import choose_place
from classlab.study.sweep import Variant
from classlab.training.batches import Images
from classlab.training.settings import Settings

WITHOUT_END = 100_000  # epochs
# Training alone is compared: what the protocols look at after an epoch differs, and is off the hot path.
TRAINING_ALONE = (
    "protocol.validate_on=none",
    "protocol.select=last",
    "protocol.test_each_epoch=false",
    "protocol.train_metrics=running",
    "protocol.augment=train",
    "contract={}",
)


@dataclass(frozen=True)
class Workload:
    """One row: an experiment with changed settings. variants: how many runs a study of it trains; 1: no study.

    against: whose speed the two targets, ratios, are over. native: the two targets of the native step over torch's.
    """

    name: str
    experiment: str
    solid: float
    aim: float
    changes: tuple[str, ...] = ()
    variants: int = 1
    against: str = "reports"
    native: tuple[float, float] | None = None


WORKLOADS = (
    Workload("era-s6", "era-s6", 2.6, 4, native=(1.8, 2.5)),
    Workload("prml-mlp", "prml-mlp", 10, 20, native=(1.3, 2)),
    Workload("lenet-1000", "cifar-lenet", 4, 6, ("training.batch_size=1000",), native=(1.3, 1.8)),
    Workload("lenet-4", "cifar-lenet", 2, 4, native=(2, 3)),
    Workload("lenet-4-study", "cifar-lenet", 3, 8, variants=8),
    Workload("lenet-1", "cifar-lenet", 3, 8, ("training.batch_size=1",), native=(2.5, 4)),
    Workload("lenet-1-study", "cifar-lenet", 5, 15, ("training.batch_size=1",), variants=8),
    Workload("fashion-cnn", "fashion-cnn", 2.2, 3, native=(1, 1)),
    Workload("autoencoder", "fashion-autoencoder", 3, 6, native=(1, 1)),
    Workload("eva7-net8", "eva7-net8", 1.5, 3, against="plain", native=(1.6, 2.2)),
    Workload("mnist-20k", "mnist-20k", 1.5, 3, against="plain", native=(2.0, 2.8)),
)


@dataclass
class Task:
    """A workload made ready.

    experiment: with as many epochs as a session may need; settings: chosen for the real ones; torchs: the same with
    torch's step, as it would be chosen. place: alone, or where a study trains its runs: processes or one by one.
    """

    workload: Workload
    experiment: Experiment
    prepared: Prepared
    settings: Settings
    torchs: Settings
    place: str
    train: Images
    _floats: list[Tensor] = field(default_factory=list)

    @functools.cached_property
    def images(self) -> Images:
        """The training images as they lie without classlab's layout: (count, channels, height, width)."""
        return Images(
            self.train.pixels.contiguous(), self.train.labels, self.train.mean, self.train.std, self.train.expansion
        )

    @property
    def batch_size(self) -> int:
        return self.experiment.training.batch_size

    @property
    def device(self) -> str:
        return self.settings.device

    def model(self) -> nn.Module:
        """Return the network with its first weights, a copy of its own."""
        return copy.deepcopy(self.prepared.model).to(self.device).train()

    def floats(self) -> Tensor:
        """Return every training image, normalised, none augmented, float32 (count, channels, height, width); once."""
        if not self._floats:
            with torch.no_grad():
                self._floats.append(self.images.batch(slice(0, len(self.images)), [], None)[0].contiguous())
        return self._floats[0]


def make(workload: Workload, device: str, threads: int | None = None) -> Task:
    """Return the task of a workload. The dataset must be in the cache, or it is fetched. threads: None lets choose."""
    changes = [*workload.changes, *TRAINING_ALONE]
    planned = load(workload.experiment, changes)
    prepared = prepare(load(workload.experiment, [*changes, f"training.epochs={WITHOUT_END}"]), 0, {}, None)
    settings, _ = choose_settings(prepared, device, threads, planned)
    torchs, _ = choose_settings(
        prepared, device, threads, load(workload.experiment, [*changes, "training.native=false"])
    )
    place = _place(planned, workload.variants, device)
    train = place_splits(prepared, settings)["train"]
    return Task(workload, prepared.experiment, prepared, settings, torchs, place, train)


def find(name: str) -> Workload:
    """Return the workload of that name. Raises UserError where there is none."""
    for workload in WORKLOADS:
        if workload.name == name:
            return workload
    known = [workload.name for workload in WORKLOADS]
    raise UserError(f"there is no workload {name!r}{did_you_mean(name, known) or ';'} known: {listing(known)}")


def _place(planned: Experiment, count: int, device: str) -> str:
    """Return where a study of so many runs would train them, as its plan decides."""
    if count == 1:
        return "alone"
    work = check([Variant("first", planned, {})], device)["first"]  # that of all: they differ in rate and seed alone
    return choose_place([work] * count)
