"""Weights from elsewhere as a run: evaluated, judged by the contract, marked everywhere as not trained here.

Such a run has no epochs and no curves. Its folder is named after the file's digest, so that it is never taken for the
run that the experiment itself would give.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import experiment as experiments
from classlab import files, limits
from classlab.data.weight_files import read_state
from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import Experiment
from classlab.runs import store
from classlab.runs.execute import begin, conclude, note
from classlab.runs.finished import FinishedRun
from classlab.runs.preparation import Prepared, prepare
from classlab.terminal import say
from classlab.yaml_text import echoed

if TYPE_CHECKING:
    from torch import Tensor

# What wraps a network puts before the names of its weights.
PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "network.", "backbone.")
COUNTER = "num_batches_tracked"  # of a batch norm; it counts steps and no answer depends on it


@dataclass(frozen=True)
class Matched:
    """A foreign state dict under the network's own names. how: a sentence, "" where the names are the same."""

    weights: "dict[str, Tensor]"
    how: str


def import_weights(
    file: str | Path, experiment: "str | Path | Mapping[str, Any] | Experiment", *, out: str | Path = "runs"
) -> FinishedRun:
    """Make a run of weights that were trained elsewhere, and return it: evaluated on the test images, once.

    file: .safetensors, or .pt or .pth as torch.save(model.state_dict(), …) writes it; nothing in it is executed.
    experiment: whose network they belong to and whose data they are judged on. The same file is the same run.
    Raises UserError for what does not fit: a file that is none, names or shapes of another network, NaN.
    """
    path = Path(file)
    experiment = experiments.load(experiment, trust=True)  # what is asked for is the reader's own, as in train
    state, aside = read_state(path)
    content = hashlib.sha256(files.read(path, limits.WEIGHTS_BYTES)).hexdigest()
    prepared = prepare(experiment, 0, {}, None)
    matched = match(state, prepared.model.state_dict(), path)
    folder = Path(out) / experiment.name / f"imported-{content[:8]}-{experiment.digest()}"
    if (folder / store.SUMMARY).exists():
        return FinishedRun(folder)
    for sentence in (matched.how, f"left aside: {echoed(listing(aside, 6))}" if aside else ""):
        if sentence:
            say(f"classlab: {sentence}")
    _write(prepared, matched, folder, {"file": path.name, "sha256": content, "names": matched.how})
    return FinishedRun(folder)


def _write(prepared: Prepared, matched: Matched, folder: Path, about: dict[str, str]) -> None:
    import torch

    from classlab.models.make import load_weights
    from classlab.training.settings import Settings

    store.refuse_links(folder.parent, folder)
    store.create(folder.parent)
    settings = Settings("cpu", "fp32", channels_last=False, threads=torch.get_num_threads())
    state = {f"model.{name}": value for name, value in matched.weights.items()}
    load_weights(prepared.model, state, about["file"])
    with store.alone(folder):
        begin(prepared, settings, "", folder, imported=about)
        marks = {"experiment": prepared.experiment.digest(), "seed": prepared.seed, "imported": about["sha256"]}
        losses = {"losses": torch.zeros(0, dtype=torch.float64)}
        store.write_checkpoint(folder / store.LAST, state | losses, marks)
        note(folder, f"imported from {about['file']}")
        conclude(prepared, settings, folder)


def match(state: "Mapping[str, Tensor]", wanted: "Mapping[str, Tensor]", file: Path) -> Matched:
    """Return the weights under the network's names: by name, else without a prefix, else in their order.

    In their order only where the shapes are the network's, one after the other, and no name says otherwise. Raises
    UserError.
    """
    state = _without_prefix(state, wanted)
    names = [name for name in wanted if not name.endswith(COUNTER)]
    theirs = [name for name in state if not name.endswith(COUNTER)]
    how = ""
    if set(names) != set(theirs) and _goes_in_order(names, theirs, state, wanted):
        state = {name: state[their] for name, their in zip(names, theirs, strict=True)}
        pairs = [f"{name} ← {echoed(their)}" for name, their in zip(names, theirs, strict=True) if name != their]
        how = f"the names differ, so the weights are taken in their order: {listing(pairs, 3)}"
    free = [their for their in theirs if their not in wanted]
    for name in names:
        _check(name, state.get(name), wanted[name], free, file)
    strange = [name for name in state if name not in wanted and not name.endswith(COUNTER)]
    if strange:
        raise UserError(
            f"{file} holds {echoed(strange[0])}, which the network has not{_meant(strange[0], names, theirs)}"
        )
    state = {**{name: value for name, value in wanted.items() if name.endswith(COUNTER)}, **state}
    return Matched({name: state[name].to(value.dtype).contiguous().clone() for name, value in wanted.items()}, how)


def _without_prefix(state: "Mapping[str, Tensor]", wanted: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Return the weights without the prefix that all of them have, as long as the network's names have it not."""
    found = dict(state)
    while not set(found) & set(wanted):
        prefix = next((known for known in PREFIXES if all(name.startswith(known) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _goes_in_order(
    names: list[str], theirs: list[str], state: "Mapping[str, Tensor]", wanted: "Mapping[str, Tensor]"
) -> bool:
    """Say whether the weights are the network's one after the other: by shape, and as far as their names say."""
    if len(names) != len(theirs):
        return False
    for name, their in zip(names, theirs, strict=True):
        endings = {re.sub(r".*\.", "", text) for text in (name, their)}
        says_otherwise = len(endings) == 2 and endings <= {"weight", "bias", "running_mean", "running_var"}
        elsewhere = name != their and (their in wanted or name in state)
        if wanted[name].shape != state[their].shape or says_otherwise or elsewhere:
            return False
    return True


def _check(name: str, value: "Tensor | None", wanted: "Tensor", theirs: list[str], file: Path) -> None:
    """Raise UserError for a tensor that is missing, of another shape or kind, or holds numbers that are not finite."""
    if value is None:
        raise UserError(f"{file} holds no {name}, which the network has{_meant(name, theirs, [])}")
    if value.shape != wanted.shape:
        raise UserError(f"{file}: {name} is {_shape(value)}, in the network it is {_shape(wanted)}")
    if value.is_floating_point() != wanted.is_floating_point():
        raise UserError(f"{file}: {name} holds {value.dtype}, in the network it is {wanted.dtype}")
    if value.is_floating_point() and not bool(value.isfinite().all()):
        raise UserError(f"{file}: {name} holds numbers that are not finite")


def _meant(name: str, known: list[str], taken: list[str]) -> str:
    """Return which name was perhaps meant where few are left over, else what names there are."""
    free = [other for other in known if other not in taken]
    if len(free) > 4:
        return f"; its names are {echoed(listing(free, 3))}"
    return did_you_mean(name, free) or (f"; left over are {listing(free)}" if free else "")


def _shape(value: "Tensor") -> str:
    return " × ".join(map(str, value.shape)) or "a single number"
