"""A population of runs: trained as one batch of models, each with its own run folder in the end."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.errors import UserError
from classlab.experiment import Experiment, digest
from classlab.progress import progress
from classlab.runs import records, store
from classlab.runs.execute import about_of, begin, conclude, note
from classlab.runs.finished import FinishedRun
from classlab.runs.preparation import Prepared, place_model, place_splits, prepare, refuse

if TYPE_CHECKING:
    from classlab.training.settings import Settings
    from classlab.training.train import Epoch, State

STATE = "population.safetensors"
SETTINGS = "settings.json"


def group_key(experiment: Experiment) -> str | None:
    """Return what members of one population have in common; None for an experiment that is only trained alone.

    Everything but the name, the description, the contract and the optimizer's rates. Whether the network can be trained
    in a population shows when it is taken apart (training.functional).
    """
    from classlab.training.fast import updates

    plan = experiment.training
    if plan.optimizer.name not in updates.UPDATES or plan.precision == "bf16" or plan.compile is True:
        return None
    fields = experiment.model_dump(mode="json")
    for name in ("name", "description", "contract"):
        fields.pop(name)
    for rate in updates.RATES:
        fields["training"]["optimizer"].pop(rate, None)
    return digest(fields)


def train_together(
    members: Sequence[tuple[Experiment, int]],
    *,
    out: str | Path,
    folder: str | Path,
    device: str | None = None,
    threads: int | None = None,
    verbose: bool = True,
    on_epoch: Callable[[int], Any] = lambda epoch: None,
) -> list[FinishedRun]:
    """Train the members as one population and return their runs, in order; called again it goes on where it stopped.

    members: (experiment, seed), all of one group_key. out: where run folders live. folder: where the population keeps
    its own state while it trains; the run folders have no weights until it ends. on_epoch: told of each epoch done.
    Raises UserError, ContractRefused, and NotFunctionalError for a network or loss that cannot be trained so.
    """
    from classlab.training.population import Member, train_population

    folder, prepared = Path(folder), _prepare(members)
    paths = [store.found(out, one.experiment.name, one.seed, one.digests)[0] for one in prepared]
    if all((path / store.SUMMARY).exists() for path in paths):
        return [FinishedRun(path) for path in paths]
    for one in prepared:
        refuse(one)
    settings = choose_settings(prepared[0], folder, device, threads)
    splits = place_splits(prepared[0], settings)
    population = [Member(one.experiment, one.seed, place_model(one.model, settings)) for one in prepared]
    states = _begin(prepared, paths, settings, folder)
    done = max((len(state["losses"]) for state in states), default=0)
    images = (prepared[0].experiment.training.epochs - done) * len(splits["train"]) * len(members)
    title = f"{len(members)} runs of {prepared[0].experiment.name}"
    with progress(title, images, "images") if verbose else nullcontext(lambda count: None) as advance:
        for epochs in train_population(population, splits, settings, states or None, advance):
            states = _keep(epochs, states, prepared, paths)
            joined = {f"{place}.{name}": value for place, state in enumerate(states) for name, value in state.items()}
            store.write_checkpoint(folder / STATE, joined, {"members": len(members)})
            on_epoch(max(len(state["losses"]) for state in states))
    for one, path, state in zip(prepared, paths, states, strict=True):
        if not (path / store.SUMMARY).exists():
            store.write_checkpoint(path / store.LAST, state, about_of(one))
            conclude(one, settings, path, splits)
    (folder / STATE).unlink(missing_ok=True)  # the last thing: until here a kill is gone on from
    return [FinishedRun(path) for path in paths]


def _prepare(members: Sequence[tuple[Experiment, int]]) -> list[Prepared]:
    """Prepare the members, which share the dataset."""
    keys = {group_key(experiment) for experiment, _ in members}
    if len(keys) != 1 or None in keys:
        raise UserError("the members of a population must differ in nothing but seed, name, contract and rates")
    first = prepare(*members[0], {}, None)
    return [first, *(prepare(experiment, seed, {}, None, first.dataset) for experiment, seed in members[1:])]


def choose_settings(first: Prepared, folder: Path, device: str | None, threads: int | None) -> "Settings":
    """Choose how the arithmetic is done, or keep what the population was begun with."""
    from classlab.training.settings import Settings, choose

    if (folder / SETTINGS).exists():
        return Settings(**records.read(folder / SETTINGS, records.SettingsRecord))
    plan = first.experiment.training
    chosen = choose(device, plan, first.model, len(first.train), first.multiply_adds, threads)
    precision = "fp32" if chosen.precision == "bf16" else chosen.precision
    return replace(chosen, precision=precision, compiled=False)


def _begin(prepared: list[Prepared], paths: list[Path], settings: "Settings", folder: Path) -> "list[State]":
    """Write what is known before training; return the members' states of an earlier call, none in the first."""
    store.create(folder)
    store.write_json(folder / SETTINGS, settings.to_json())
    states: list[State] = []
    if (folder / STATE).exists():
        joined = store.read_checkpoint(folder / STATE)
        states = [{} for _ in prepared]
        for name, value in joined.items():
            place, _, rest = name.partition(".")
            states[int(place)][rest] = value
    for place, (one, path) in enumerate(zip(prepared, paths, strict=True)):
        begin(one, settings, path)
        done = len(states[place]["losses"]) if states else 0
        rows = [row for row in store.read_metrics(path / store.METRICS) if row["epoch"] <= done]
        if rows or (path / store.METRICS).exists():
            store.write_metrics(path / store.METRICS, rows)
        note(path, f"begins at epoch {done + 1}, in a population of {len(prepared)}, {settings}")
    return states


def _keep(
    epochs: "list[Epoch | None]", states: "list[State]", prepared: list[Prepared], paths: list[Path]
) -> "list[State]":
    """Write what an epoch gave each member but its state; return all states, that of an ended member its last."""
    kept = list(states) or [{} for _ in epochs]
    for place, epoch in enumerate(epochs):
        if epoch is not None:
            path = paths[place]
            rows = [row for row in store.read_metrics(path / store.METRICS) if row["epoch"] < epoch.row["epoch"]]
            store.write_metrics(path / store.METRICS, [*rows, epoch.row])
            if epoch.improved:
                store.write_checkpoint(path / store.BEST, epoch.state, about_of(prepared[place]))
            note(path, ", ".join(f"{name} {value:.6g}" for name, value in epoch.row.items()))
            kept[place] = epoch.state
    return kept
