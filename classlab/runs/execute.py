"""Execute an experiment: from its declaration to a run folder that holds everything."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import contract as contracts
from classlab import experiment as experiments
from classlab import statistics
from classlab.data.splits import split, split_digest
from classlab.errors import Refused, UserError
from classlab.experiment import Experiment
from classlab.progress import errors
from classlab.runs import store
from classlab.runs.run import Run
from classlab.runs.screen import screen

if TYPE_CHECKING:
    from torch import nn

    from classlab.data.dataset import Dataset
    from classlab.training.device import Settings
    from classlab.training.evaluate import Images


class ContractRefused(Refused):
    """The contract cannot be met, known before training. `summary` is what a program would read."""

    def __init__(self, message: str, summary: dict[str, Any]) -> None:
        super().__init__(message)
        self.summary = summary


@dataclass(frozen=True)
class _Prepared:
    """All that training needs, made from the experiment and the seed."""

    experiment: Experiment
    seed: int
    dataset: "Dataset"
    model: "nn.Module"
    given: dict[str, Any]
    digest: str


def train(
    experiment: "str | Path | Mapping[str, Any] | Experiment",
    *,
    model: "nn.Module | Callable[[], nn.Module] | None" = None,
    data: Any = None,
    test: Any = None,
    seed: int = 0,
    out: str | Path = "runs",
    device: str | None = None,
    resume: bool = False,
    again: bool = False,
    verbose: bool = True,
) -> Run:
    """Train and return the run; the same experiment and seed again is that run, returned at once when it is finished.

    experiment: a shipped name, a YAML file, a mapping or an Experiment. model: the reader's own module (copied, never
    changed), or a function that builds one; its initial weights are drawn from `seed` unless training.initialise is
    keep. data, test: pairs (images, labels), see data.arrays.from_arrays. out: where run folders live. device: cpu,
    cuda, cuda:N or mps; None takes a CUDA device when there is one. resume: go on with a run that was cut off.
    again: a new run beside the old one. verbose: a bar and a line per epoch on standard error.

    Raises UserError for bad input and ContractRefused where the contract cannot be met.
    """
    experiment = experiments.load(experiment)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"seed must be a whole number from 0, got {seed!r}")
    given: dict[str, Any] = {"model": model, "data": data}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        path = store.folder(out, experiment.name, seed, experiment.digest())
        if (path / store.SUMMARY).exists() and not again:
            return _finished(Run(path), verbose)
    prepared = _prepare(experiment, seed, given, test)
    path = store.folder(out, experiment.name, seed, prepared.digest)
    path = store.unused(path) if again else path
    run = Run(path, model, prepared.dataset if data is not None else None)
    if (path / store.SUMMARY).exists():
        return _finished(run, verbose)
    if (path / store.EXPERIMENT).exists() and not resume and (path / store.LAST).exists():
        done = len(store.read_metrics(path / store.METRICS))
        raise UserError(
            f"{path} is incomplete ({done} of {experiment.training.epochs} epochs are done); "
            "go on with --resume, or start anew with --again"
        )
    _check_before(prepared)
    settings = _settings(prepared, path, device)
    _begin(prepared, settings, path)
    _train(prepared, settings, path, verbose)
    _conclude(prepared, settings, path)
    return run


def _finished(run: Run, verbose: bool) -> Run:
    if verbose:
        errors.print(f"[dim]{run.path} is finished; --again makes a new run of it[/dim]")
    return run


def _prepare(experiment: Experiment, seed: int, given: dict[str, Any], test: Any) -> _Prepared:
    from classlab.data.arrays import from_arrays
    from classlab.data.prepare import prepare
    from classlab.models.make import make
    from classlab.training.random import number

    if "data" in given:
        dataset = prepare(experiment.data, from_arrays(given["data"], test))
    elif test is not None:
        raise UserError("test was given without data; give both as pairs (images, labels)")
    else:
        dataset = prepare(experiment.data)
    source = given.get("model", experiment.model)
    initialise = experiment.training.initialise
    weights_seed = number(seed, 0, "initialise")
    model = make(source, initialise, dataset.input_shape, len(dataset.class_names), weights_seed)
    more = []
    if "model" in given:
        more += [repr(model), _weights_digest(model)]
    if "data" in given:
        more.append(dataset.digest)
    return _Prepared(experiment, seed, dataset, model, given, experiment.digest(*more))


def _weights_digest(model: "nn.Module") -> str:
    from classlab.data.dataset import digest

    return digest(*(value.detach().cpu().numpy() for value in model.state_dict().values()))


def _check_before(prepared: _Prepared) -> None:
    """Refuse what cannot work, or cannot keep its contract, before any time is spent on it."""
    from classlab.models.layers import check_shapes
    from classlab.models.make import count_parameters

    experiment, dataset = prepared.experiment, prepared.dataset
    check_shapes(prepared.model, dataset.input_shape, len(dataset.class_names))
    parameters = count_parameters(prepared.model)
    checks = contracts.check_before(experiment.contract, parameters, experiment.training.epochs)
    if contracts.verdict(checks):
        return
    broken = "; ".join(check.sentence for check in checks if not check.passed)
    summary = {
        "run": None,
        "experiment": experiment.name,
        "seed": prepared.seed,
        "status": "refused",
        "parameters": parameters,
        "epochs": experiment.training.epochs,
        "val_accuracy": None,
        "test_accuracy": None,
        "test_interval": None,
        "seconds": 0.0,
        "contract": _contract(checks),
    }
    message = f"{experiment.name} is refused before training, its contract cannot be met: {broken}"
    raise ContractRefused(message, summary)


def _settings(prepared: _Prepared, path: Path, device: str | None) -> "Settings":
    """Choose how the arithmetic is done, or keep what the run was begun with."""
    from classlab.models.layers import layer_table
    from classlab.training.device import Settings, choose

    if (path / store.ENVIRONMENT).exists() and (path / store.LAST).exists():
        begun = Settings(**store.read_json(path / store.ENVIRONMENT)["settings"])
        if device is not None and device != begun.device:
            raise UserError(f"{path} was begun on {begun.device}; it goes on there, got --device {device}")
        choose(begun.device, begun.precision, prepared.model, 1, 0)  # says so where that device is gone
        return begun
    plan = prepared.experiment.training
    work = layer_table(prepared.model, prepared.dataset.input_shape).multiply_adds
    return choose(device, plan.precision, prepared.model, plan.batch_size, work)


def _begin(prepared: _Prepared, settings: "Settings", path: Path) -> None:
    """Write what is known before training."""
    from classlab.training.device import environment

    store.create(path)
    if (path / store.LAST).exists():
        return
    experiment, dataset = prepared.experiment, prepared.dataset
    train_index, val_index = _split(prepared)
    store.write(path / store.EXPERIMENT, experiment.to_yaml())
    store.write_json(
        path / store.SPLIT,
        {
            "digest": split_digest(train_index, val_index),
            "train": train_index.tolist(),
            "val": val_index.tolist(),
            "test": len(dataset.test_labels),
        },
    )
    store.write_json(
        path / store.ENVIRONMENT,
        {
            "seed": prepared.seed,
            "given_in_python": sorted(prepared.given),
            "settings": settings.to_json(),
            "input_shape": list(dataset.input_shape),
            "classes": len(dataset.class_names),
            "class_names": list(dataset.class_names),
            "dataset": {"name": dataset.name, "digest": dataset.digest, "source": dataset.source},
            "normalise": dict(zip(("mean", "std"), _normalise(prepared), strict=True)),
            **environment(),
        },
    )


def _train(prepared: _Prepared, settings: "Settings", path: Path, verbose: bool) -> None:
    """Run the loop; after every epoch write its row and its state, the state last: it is what makes the epoch count."""
    from classlab.training.train import train as loop

    state = store.read_checkpoint(path / store.LAST) if (path / store.LAST).exists() else None
    done = len(state["losses"]) if state else 0
    rows = [row for row in store.read_metrics(path / store.METRICS) if row["epoch"] <= done]
    plan = prepared.experiment.training
    splits = _splits(prepared, settings)
    model = _place(prepared.model, settings)
    about = {"experiment": prepared.digest, "seed": prepared.seed}
    _note(path, f"begins at epoch {done + 1} of {plan.epochs}, {settings}")
    try:
        with screen(prepared.experiment.name, plan.epochs, len(splits["train"]), done, verbose) as (advance, show):
            for epoch in loop(model, splits, prepared.experiment, prepared.seed, settings, state, advance):
                rows.append(epoch.row)
                store.write_metrics(path / store.METRICS, rows)
                if epoch.improved:
                    store.write_checkpoint(path / store.BEST, epoch.state, about)
                store.write_checkpoint(path / store.LAST, epoch.state, about)
                _note(path, ", ".join(f"{name} {value:.6g}" for name, value in epoch.row.items()))
                show(epoch.row)
    except KeyboardInterrupt:
        _note(path, "stopped by Ctrl-C")
        errors.print(f"stopped; {len(rows)} of {plan.epochs} epochs are kept in {path}; go on with --resume")
        raise


def _conclude(prepared: _Prepared, settings: "Settings", path: Path) -> None:
    """Evaluate the selected weights on the test set, once, and write the verdict. summary.json ends the run."""
    from classlab.models.make import count_parameters, load_weights
    from classlab.training.device import isolated
    from classlab.training.evaluate import evaluate

    experiment = prepared.experiment
    rows = store.read_metrics(path / store.METRICS)
    best = experiment.protocol.select == "best" and (path / store.BEST).exists()
    state = store.read_checkpoint(path / (store.BEST if best else store.LAST))
    model = _place(prepared.model, settings)
    load_weights(model, state, str(path))
    images = _splits(prepared, settings)["test"]
    with isolated(settings):
        measured = evaluate(model, images, experiment.training.loss.bind("loss"))
    logits, labels = measured.outputs.cpu().numpy(), images.labels.cpu().numpy()
    store.write_predictions(path / store.PREDICTIONS, logits, labels)

    correct, total = int((logits.argmax(1) == labels).sum()), len(labels)
    selected = rows[len(state["losses"]) - 1]
    status, sentence = _status(rows, correct, labels)
    summary = {
        "run": str(path),
        "experiment": experiment.name,
        "seed": prepared.seed,
        "status": status,
        "status_sentence": sentence,
        "parameters": count_parameters(model),
        "epochs": len(rows),
        "selected_epoch": selected["epoch"],
        "validated_on": experiment.protocol.validate_on,
        "train_accuracy": selected["train_accuracy"],
        "val_accuracy": selected.get("val_accuracy"),
        "val_loss": selected.get("val_loss"),
        "test_accuracy": correct / total,
        "test_correct": correct,
        "test_total": total,
        "test_interval": list(statistics.wilson(correct, total)),
        "test_loss": measured.loss,
        "seconds": round(sum(row["seconds"] for row in rows), 3),
    }
    checks = contracts.check_after(experiment.contract, summary)
    passed_all = contracts.verdict(checks) and status == "finished"
    _note(path, sentence)
    store.write_json(path / store.SUMMARY, {**summary, "contract": {**_contract(checks), "passed": passed_all}})


def _status(rows: list[dict[str, float]], correct: int, labels: np.ndarray) -> tuple[str, str]:
    last, total = rows[-1], len(labels)
    if not np.isfinite(last["train_loss"]):
        return "diverged", f"diverged: the loss was not finite in epoch {last['epoch']}"
    largest = float(np.bincount(labels).max()) / total
    if statistics.no_better_than_chance(correct, total, largest):
        share = f"{100 * correct / total:.2f} % right where always answering one class gives {100 * largest:.2f} %"
        return "did_not_learn", f"did not learn: {share}"
    return "finished", f"finished after {len(rows)} epochs"


def _contract(checks: list[contracts.Check]) -> dict[str, Any]:
    return {"passed": contracts.verdict(checks), "checks": [vars(check) for check in checks]}


def _split(prepared: _Prepared) -> tuple[np.ndarray, np.ndarray]:
    plan = prepared.experiment.data
    return split(prepared.dataset.labels, plan.val_size, plan.split_seed, plan.stratified)


def _normalise(prepared: _Prepared) -> tuple[list[float], list[float]]:
    """Return mean and std per channel: the experiment's own, or the dataset's."""
    own, channels = prepared.experiment.data.normalise, prepared.dataset.input_shape[0]
    if own is None:
        return list(prepared.dataset.mean), list(prepared.dataset.std)
    for name, values in (("mean", own.mean), ("std", own.std)):
        if len(values) != channels:
            raise UserError(f"data.normalise.{name} needs one number per channel: {channels}, got {len(values)}")
    return own.mean, own.std


def _splits(prepared: _Prepared, settings: "Settings") -> "dict[str, Images]":
    """Put the splits on the device, where they stay: a batch is a gather, and nothing is loaded while training."""
    import torch

    from classlab.data.expansion import Expansion, expansion
    from classlab.training.evaluate import Images

    dataset = prepared.dataset
    train_index, val_index = _split(prepared)
    mean, std = (torch.tensor(values, device=settings.device).view(1, -1, 1, 1) for values in _normalise(prepared))

    def placed(images: np.ndarray, labels: np.ndarray, copies: Expansion | None = None) -> Images:
        pixels, classes = torch.from_numpy(images).to(settings.device), torch.from_numpy(labels).to(settings.device)
        if settings.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        return Images(pixels, copies.labels(classes) if copies else classes, mean, std, copies)

    plan = prepared.experiment.data
    copies = expansion(plan.expansion, plan.expansion_seed)
    return {
        "train": placed(dataset.images[train_index], dataset.labels[train_index], copies),
        "val": placed(dataset.images[val_index], dataset.labels[val_index]),
        "test": placed(dataset.test_images, dataset.test_labels),
    }


def _place(model: "nn.Module", settings: "Settings") -> "nn.Module":
    import torch

    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    return model.to(torch.device(settings.device)).to(memory_format=layout)


def _note(path: Path, text: str) -> None:
    """Add a line to log.txt. A line lost to a kill costs nothing: the log is for people."""
    with (path / store.LOG).open("a", encoding="utf-8") as file:
        file.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {text}\n")
