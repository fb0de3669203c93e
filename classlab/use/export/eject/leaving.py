"""What is known of an experiment that leaves as plain PyTorch: all that its script is written from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from classlab.errors import UserError, listing
from classlab.experiment import Experiment

if TYPE_CHECKING:
    from torch import Tensor, nn

    from classlab.training.settings import Settings
    from classlab.use.export.carried import Carried

PUBLISHED = ("mnist", "fashion-mnist", "cifar10")  # what a script fetches from the official address
# What a script has not: settings of the training, choices by name, and options of the one cycle.
NO_SETTINGS = ("warmup_epochs", "l1_penalty", "max_gradient_norm", "lookahead", "averages", "mixing")
NO_CHOICES = ("muon", "cutout", "saturation", "hue", "greyscale")
NO_OPTIONS = {"peak_epoch": None, "shape": "cosine", "min_momentum": None, "max_momentum": None}  # unless these
BLOCK = 256  # images are prepared so many at a time, as training.batches does it


@dataclass(frozen=True)
class Leaving:
    """An experiment that leaves, with the network and the facts of its data.

    network: as it was trained, on the cpu. train_images: those trained on, each once. whole: the training images
    before any are held out. in_bytes: whether pixels are uint8, else fractions. settings: how classlab's arithmetic was
    done. started: the weights that training started from, where they came from a run. files: of the reader's own code,
    by path. run, outcome: where it comes from and how good it is, in words.
    """

    experiment: Experiment
    seed: int
    network: "nn.Module"
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_images: int
    whole: int
    settings: "Settings"
    in_bytes: bool = True
    temperature: float = 1.0
    run: str = ""
    outcome: str = ""
    given: tuple[str, ...] = ()
    started: "Mapping[str, Tensor]" = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def published(self) -> str | None:
        """The name of a dataset that can be fetched; None where the arrays go along in data.npz."""
        name = self.experiment.data.dataset.name
        return name if name in PUBLISHED and "data" not in self.given else None

    @property
    def reconstructs(self) -> bool:
        """Whether the network reconstructs images."""
        from classlab.training.task import reconstructs

        return reconstructs(self.experiment.training.loss)

    @property
    def wants_clean(self) -> bool:
        """Whether the loss compares with the images as they were before noise."""
        from classlab.training.task import compares_with_clean

        return compares_with_clean(self.experiment.training.loss)

    @property
    def changes(self) -> bool:
        """Whether training images are augmented or copied."""
        return bool(self.experiment.data.augmentations or self.experiment.data.expansion)

    @property
    def scale(self) -> int:
        """What the script's `normalise` takes for white: 255 where the bytes go in as they are, else 1."""
        return 255 if self.in_bytes and not self.changes else 1

    @property
    def block(self) -> int:
        """How many images are prepared at a time: whole batches."""
        size = self.experiment.training.batch_size
        return max(1, BLOCK // size) * size

    @property
    def steps_per_epoch(self) -> int:
        """How many steps an epoch has."""
        return ceil(self.train_images * self.experiment.data.copies / self.experiment.training.batch_size)

    @property
    def double(self) -> bool:
        """Whether it was trained in float64."""
        return self.settings.precision == "fp64"


def leaving(carried: "Carried") -> Leaving:
    """Return what is known of a run. Raises UserError for one that was given a module or a function in Python."""
    from classlab.training.settings import Settings
    from classlab.use.export.eject.readers_files import readers_files

    run = carried.run
    environment, dataset = run.environment, run.dataset()
    given = tuple(environment["given_in_python"])
    if "model" in given:
        raise UserError(
            "a script needs the source of its network, and this run was given a module in Python. Put the module "
            "into a file and train with model: {name: file.py:Name}, or export to pt2, which needs no source"
        )
    if missing := _missing(run.experiment):
        raise UserError(f"a script in plain PyTorch cannot be written for {listing(missing)}; export to pt2 or onnx")
    recorded: dict[str, Any] = {key: value for key, value in environment["settings"].items() if key != "compiled"}
    return Leaving(
        experiment=run.experiment,
        seed=run.seed,
        network=carried.network,
        shape=carried.shape,
        class_names=carried.class_names,
        mean=carried.mean,
        std=carried.std,
        train_images=len(run.split()["train"]),
        whole=len(dataset.labels),
        settings=Settings(**recorded),
        in_bytes=dataset.images.dtype.name == "uint8",
        temperature=carried.temperature,
        run=run.path.name,
        outcome=run.sentence(),
        given=given,
        started=_started(carried),
        files=readers_files(run.experiment),
    )


def _missing(experiment: Experiment) -> list[str]:
    """Return what the experiment asks for and a script has not."""
    training, data = experiment.training, experiment.data
    options = training.schedule.options if training.schedule.name == "one_cycle" else {}
    choices = [training.optimizer, *data.augmentations, *(choice for copy in data.expansion for choice in copy)]
    return [
        *(f"training.{name}" for name in NO_SETTINGS if getattr(training, name)),
        *(f"training.schedule.{name}" for name, none in NO_OPTIONS.items() if options.get(name, none) != none),
        *dict.fromkeys(choice.name for choice in choices if choice.name in NO_CHOICES),
    ]


def _started(carried: "Carried") -> "Mapping[str, Tensor]":
    """Return the weights that training started from. Raises UserError where they are gone or others now."""
    import copy

    from classlab.models.make import part_of
    from classlab.runs.start import take_over

    run = carried.run
    start = run.experiment.training.start_from
    if start is None:
        return {}
    network = copy.deepcopy(carried.network)
    if take_over(network, start) != run.environment.get("started_from"):
        raise UserError(f"{run.path} started from other weights than {start.run} holds now, so it cannot be repeated")
    return part_of(network, start.layers).state_dict()
