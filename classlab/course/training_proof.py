"""Proof of training: epochs drawn after the hand-in are trained again, each from the checkpoint before it.

What comes out the same, byte for byte, was trained so, or computed by somebody who did the same work. On another
processor the last bits differ; then the distance counts, in units of how far another seed's epoch lies from the same
start. A run is proved or not proved; what is not proved has not been shown to be anything.
"""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from classlab import files, limits
from classlab.errors import UserError, listing
from classlab.own_code import Untrusted
from classlab.runs import copied_code, execute, records, store

if TYPE_CHECKING:
    from torch import Tensor

    from classlab.experiment import Experiment
    from classlab.training.settings import Settings

Word = Literal["proved", "proved within rounding", "not proved"]
# Of the distance between two seeds' epochs from one start. docs/class.md has what was measured on each side of it.
WITHIN_ROUNDING = 0.05
OTHER_SEEDS = 2  # that the distance between seeds is measured by


@dataclass(frozen=True)
class Proof:
    """What was found of one run. epochs: those drawn. distances: of each, 0 where the bytes are the same."""

    word: Word
    sentence: str
    epochs: tuple[int, ...] = ()
    distances: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return vars(self)


def chance(epochs: int, forged: int, drawn: int) -> float:
    """Return with which chance a draw of `drawn` of `epochs` epochs meets one of `forged`: hypergeometric."""
    return 1 - math.comb(epochs - forged, drawn) / math.comb(epochs, drawn)


def draw(secret: str, hand_in: str, run: str, epochs: int, count: int) -> list[int]:
    """Return which epochs are trained again. secret: drawn once, after the hand-ins; hand_in: the archive's SHA-256."""
    seed = hashlib.sha256(f"{secret}/{hand_in}/{run}".encode()).hexdigest()
    return sorted(random.Random(seed).sample(range(1, epochs + 1), min(count, epochs)))


def prove(folder: Path, name: str, seed: int, secret: str, hand_in: str, count: int, trust: bool = False) -> Proof:
    """Train drawn epochs of a handed-in run again. folder: of the run, unpacked. trust: the student's code may run."""
    try:
        return _prove(folder, name, seed, secret, hand_in, count, trust)
    except Untrusted:
        return Proof("not proved", "training again runs code of the student's own, which needs --trust")
    except UserError as error:
        return Proof("not proved", str(error).replace(f"{folder}/", ""))
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        return Proof("not proved", f"a checkpoint cannot be resumed: {files.reason(error)}")


def _prove(folder: Path, name: str, seed: int, secret: str, hand_in: str, count: int, trust: bool) -> Proof:
    experiment = copied_code.load_experiment(folder, trust)
    settings = _settings(folder)
    if experiment.training.start_from is not None:
        return Proof("not proved", "the run starts from another run's weights, which are not handed in")
    last = store.read_checkpoint(folder / store.LAST)
    epochs = store.epochs_counted(last, folder / store.LAST)
    missing = [epoch for epoch in range(epochs + 1) if not store.epoch_checkpoint(folder, epoch).is_file()]
    if missing:
        return Proof("not proved", f"the checkpoint of epoch {listing(map(str, missing[:5]))} is not handed in")
    if problem := _not_a_chain(folder, epochs, experiment):
        return Proof("not proved", problem)
    drawn = draw(secret, hand_in, name, epochs, count)
    distances = []
    for epoch in drawn:
        distance = _distance(folder, experiment, seed, settings, epoch)
        distances.append(distance)
        if distance > WITHIN_ROUNDING:
            sentence = (
                f"epoch {epoch}, trained again from the checkpoint before it, gives other weights: {distance:.2f} "
                "times as far from those handed in as another seed's epoch"
            )
            return Proof("not proved", sentence, tuple(drawn), tuple(distances))
    same = not any(distances)
    word: Word = "proved" if same else "proved within rounding"
    how = "the same bytes" if same else f"the same up to {max(distances):.1g} of the distance between two seeds"
    sentence = (
        f"epochs {listing(map(str, drawn))} of {epochs} were drawn and trained again: {how}; the first weights are the "
        "seed's"
    )
    return Proof(word, sentence, tuple(drawn), tuple(distances))


def _settings(folder: Path) -> "Settings":
    """Return the settings that a run records. Raises UserError where this machine has not what they name."""
    from classlab.training.settings import Settings, check_device

    recorded: dict[str, Any] = {**records.read_environment(folder / store.ENVIRONMENT)["settings"]}
    recorded.pop("compiled", None)
    settings = Settings(**recorded)
    if settings.device != "cpu":
        raise UserError(f"the run was trained on {settings.device}, whose sums come in another order each time")
    check_device(settings.device)
    return settings


def _not_a_chain(folder: Path, epochs: int, experiment: "Experiment") -> str:
    """Return why the checkpoints are not those of one run up to the weights that count, "" where they are."""

    def digest(file: Path) -> str:
        return hashlib.sha256(files.read(file, limits.HAND_IN_BYTES)).hexdigest()

    kept = [digest(store.epoch_checkpoint(folder, epoch)) for epoch in range(epochs + 1)]
    if kept[-1] != digest(folder / store.LAST):
        return f"{store.LAST} is not the checkpoint of epoch {epochs}"
    selected = store.selected(folder, experiment.protocol.select)
    if digest(selected) not in kept:
        return f"{selected.name} is the checkpoint of none of the epochs"
    if len(set(kept)) < len(kept):
        return "two epochs have the same checkpoint"
    return ""


def _distance(folder: Path, experiment: "Experiment", seed: int, settings: "Settings", epoch: int) -> float:
    """Return how far an epoch trained again is from the one handed in, in units of the distance between seeds."""
    start = _start(folder, experiment, seed, epoch)
    claimed_file = store.epoch_checkpoint(folder, epoch)
    claimed = store.read_checkpoint(claimed_file)
    again = train_epoch(experiment, seed, settings, start, seed)
    if same_state(again, claimed):
        return 0.0
    apart = weights_apart(again, claimed)
    others = [train_epoch(experiment, seed, settings, start, seed + 1 + number) for number in range(OTHER_SEEDS)]
    unit = min(weights_apart(again, other) for other in others)
    return apart / unit if unit > 0 and math.isfinite(apart) else math.inf


def _start(folder: Path, experiment: "Experiment", seed: int, epoch: int) -> "dict[str, Tensor] | None":
    """Return the checkpoint before an epoch, None for the seed's own first weights. Raises UserError."""
    from classlab.runs.preparation import prepare

    file = store.epoch_checkpoint(folder, epoch - 1)
    state = store.read_checkpoint(file)
    prepared = prepare(experiment, seed, {}, None)
    # Before check_state, which puts the checkpoint's weights into the network.
    check_first(prepared.model.state_dict(), store.read_checkpoint(store.epoch_checkpoint(folder, 0)))
    if epoch > 1:
        execute.check_state(state, prepared, file)
        if store.epochs_counted(state, file) != epoch - 1:
            raise UserError(f"{file.name} of {store.EPOCHS} counts other epochs than its name")
    return state if epoch > 1 else None


def check_first(drawn: "Mapping[str, Tensor]", kept: "Mapping[str, Tensor]") -> None:
    """Raise UserError where the weights before training are not those that the seed draws, up to rounding."""
    import torch

    for name, value in drawn.items():
        held = kept.get(f"model.{name}")
        if (
            held is None
            or held.shape != value.shape
            or not torch.allclose(value.float(), held.float(), rtol=1e-5, atol=1e-7)
        ):
            raise UserError(f"the first weights are not those that the seed draws: {name} differs")


def train_epoch(
    experiment: "Experiment", seed: int, settings: "Settings", start: "dict[str, Tensor] | None", drawn_by: int
) -> "dict[str, Tensor]":
    """Return the state after one epoch from a state. drawn_by: the seed that shuffles; the split is that of `seed`."""
    from classlab.runs.preparation import place_model, place_splits, prepare
    from classlab.training.train import Epoch, train_network

    prepared = prepare(experiment, seed, {}, None)
    splits, model = place_splits(prepared, settings), place_model(prepared.model, settings)
    epochs = train_network(model, splits, experiment, drawn_by, settings, start)
    return next(happening.state for happening in epochs if isinstance(happening, Epoch))


def same_state(first: "Mapping[str, Tensor]", second: "Mapping[str, Tensor]") -> bool:
    """Say whether two states are the same to the last bit."""
    import torch

    def raw(value: "Tensor") -> "Tensor":
        return value.contiguous().reshape(-1).view(torch.uint8)

    return first.keys() == second.keys() and all(
        value.dtype == second[name].dtype and torch.equal(raw(value), raw(second[name]))
        for name, value in first.items()
    )


def weights_apart(first: "Mapping[str, Tensor]", second: "Mapping[str, Tensor]") -> float:
    """Return the Euclidean distance of two states' weights; infinite where their shapes differ."""
    import torch

    names: Sequence[str] = [name for name in first if name.startswith("model.") and first[name].is_floating_point()]
    if any(name not in second or second[name].shape != first[name].shape for name in names):
        return math.inf
    squares = [torch.sum((first[name].double() - second[name].double()) ** 2).item() for name in names]
    return math.sqrt(sum(squares))
