"""Execute an experiment: from its declaration to a run folder that holds everything."""

import datetime
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from classlab import experiment as experiments
from classlab import files, limits, own_code
from classlab.data.splits import split_digest
from classlab.errors import UserError, listing
from classlab.experiment import Experiment
from classlab.runs import copied_code, records, recount, store
from classlab.runs.epoch_table import screen
from classlab.runs.events import Begun, Ended, EpochDone, Event, Progress
from classlab.runs.finished import FinishedRun
from classlab.runs.preparation import (
    Prepared,
    changed_code,
    choose_settings,
    digests_of_own_code,
    place_model,
    place_splits,
    prepare,
    refuse,
)
from classlab.terminal import errors
from classlab.yaml_text import echoed, read_yaml, value_text

if TYPE_CHECKING:
    from torch import Tensor, nn

    from classlab.training.settings import Settings

# An event for every step would cost a hundredth of the smallest ones.
SECONDS_BETWEEN_PROGRESS = 0.1


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
    threads: int | None = None,
    digest: str | None = None,
    verbose: bool = True,
) -> FinishedRun:
    """Train and return the run; the same experiment and seed again is that run, returned at once when it is finished.

    experiment: a shipped name, a YAML file, a mapping or an Experiment. model: the reader's own module (copied, never
    changed), or a function that builds one; its initial weights are drawn from `seed` unless training.initialise is
    keep. data, test: pairs (images, labels), see data.arrays.from_arrays. out: where run folders live. device: cpu,
    cuda, cuda:N or mps; None takes a CUDA device when there is one. resume: continue an interrupted run.
    again: a new run beside the old one. threads: how many compute; None chooses by the work of a step. digest: which of
    the experiment's digests names the folder, for a study that was planned by an earlier version; None: today's, or
    that of a folder that is there. verbose: a bar and a line per epoch on standard error.

    Raises UserError for bad input and ContractRefused where the contract cannot be met.
    """
    asked = ask(experiment, model, data, test, seed, out, device, resume, again, threads, digest)
    happening = events(asked)
    try:
        for _ in screen(happening) if verbose else happening:
            pass
    except KeyboardInterrupt:
        happening.close()
        if (asked.path / store.LAST).exists():
            _stopped(asked.path, asked.experiment.training.epochs, "--again --resume" if again else "--resume")
        raise
    return asked.run


@dataclass(frozen=True)
class Asked:
    """A run that was asked for. prepared: None where it is finished already. digest: the one in its folder's name."""

    experiment: Experiment
    run: FinishedRun
    prepared: Prepared | None
    digest: str
    resume: bool
    device: str | None
    threads: int | None

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.run.path


def ask(
    experiment: "str | Path | Mapping[str, Any] | Experiment",
    model: "nn.Module | Callable[[], nn.Module] | None" = None,
    data: Any = None,
    test: Any = None,
    seed: int = 0,
    out: str | Path = "runs",
    device: str | None = None,
    resume: bool = False,
    again: bool = False,
    threads: int | None = None,
    digest: str | None = None,
) -> Asked:
    """Return the run that is asked for, prepared unless it is finished; arguments and errors as for `train`."""
    experiment = experiments.load(experiment, trust=True)  # what is trained is the reader's own
    _check_seed(seed)
    if device is not None:  # also where the run is finished: a slip is a slip
        from classlab.training.settings import check_device

        check_device(device)
    given: dict[str, Any] = {"model": model, "data": data}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        digests = (experiment.digest(), *experiment.earlier_digests())
        path, found = store.found(out, experiment.name, seed, _first(digest, digests))
        if not again:
            store.refuse_links(path.parent, path)
            _check_folder(path, experiment)
        if (path / store.SUMMARY).exists() and not again:
            return Asked(experiment, FinishedRun(path), None, found, resume, device, threads)
    prepared = prepare(experiment, seed, given, test)
    path, found = store.found(out, experiment.name, seed, _first(digest, prepared.digests))
    path = _again(path, resume) if again else path
    _check_folder(path, experiment)
    run = FinishedRun(path, model, prepared.dataset if data is not None else None)
    finished = (path / store.SUMMARY).exists()
    return Asked(experiment, run, None if finished else prepared, found, resume, device, threads)


def _check_seed(seed: Any) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"seed must be a whole number from 0, got {value_text(seed)}")
    if seed > limits.SEED:
        raise UserError(f"seed must be at most {limits.SEED:,}, got {value_text(seed)}")


def events(asked: Asked) -> Generator[Event, None, None]:
    """Train the run and yield what happens, see runs.events; of a finished one its end alone.

    Whoever stops listening stops the run, which keeps the epochs that are done. Raises UserError and ContractRefused.
    """
    path, prepared = asked.path, asked.prepared
    if prepared is None:
        yield _ended(asked)
        return
    refuse(prepared)
    store.refuse_links(path.parent, path)
    store.create(path.parent)
    with store.alone(path):
        if (path / store.SUMMARY).exists():  # another process was at it, and has finished meanwhile
            yield _ended(asked)
            return
        if (path / store.EXPERIMENT).exists() and not asked.resume and (path / store.LAST).exists():
            done = len(store.read_metrics(path / store.METRICS))
            raise UserError(
                f"{path} is incomplete ({done} of {asked.experiment.training.epochs} epochs are done); "
                "continue with --resume, or start over with --again"
            )
        settings, step = _settings(prepared, path, asked.device, asked.threads)
        begin(prepared, settings, step, path)
        yield from _train(prepared, settings, path, {"experiment": asked.digest, "seed": prepared.seed})
        conclude(prepared, settings, path)
        yield Ended(path, asked.run.summary)


def _ended(asked: Asked) -> Ended:
    """Return the end of a run that is there already. Raises UserError where code that it names has changed since."""
    run, changed = asked.run, changed_code(asked.run.environment, asked.experiment)
    if changed:
        raise UserError(f"{run.path} was made before {listing(changed)} was changed; --again makes a new run of it")
    return Ended(run.path, run.summary)


def _stopped(path: Path, epochs: int, go_on: str) -> None:
    """Say after Ctrl-C what is kept of a run, and how to go on."""
    with suppress(UserError):
        note(path, "stopped by Ctrl-C")
    kept = f"{len(store.read_metrics(path / store.METRICS))} of {epochs} epochs are kept in {escape(str(path))}"
    errors.print(f"stopped; {kept}; continue with {go_on}")  # what the path holds of the reader's is escaped


def _first(wanted: str | None, digests: Sequence[str]) -> list[str]:
    """Return the digests with the wanted one first. One that the experiment never had is no name for it."""
    return sorted(digests, key=lambda digest: digest != wanted)


def _check_folder(path: Path, experiment: Experiment) -> None:
    """Raise UserError where the folder, which is named by its experiment's digest, holds another experiment.

    The folder may be somebody else's: its experiment is read here, and what it may name is not asked for.
    """
    if (path / store.EXPERIMENT).exists():
        fields = read_yaml(path / store.EXPERIMENT)
        held = experiments.digest(fields) if isinstance(fields, dict) else "none"
        if held != experiment.digest():
            raise UserError(f"{path} holds another experiment than its name says ({held}); --again makes a new run")


def _again(path: Path, resume: bool) -> Path:
    """Return the folder of a new run beside those there are, or with `resume` of the last one that was cut off."""
    if not resume:
        return store.unused(path)
    begun = store.cut_off(path)
    if begun is None:
        raise UserError(f"there is no interrupted run of {path}; --again alone makes a new one")
    return begun


def _settings(prepared: Prepared, path: Path, device: str | None, threads: int | None) -> "tuple[Settings, str]":
    """Choose how the arithmetic is done, and say of the step why; or keep what the run was begun with."""
    from classlab.training.settings import Settings, check_device

    if (path / store.ENVIRONMENT).exists() and (path / store.LAST).exists():
        known = records.read_environment(path / store.ENVIRONMENT)
        recorded: dict[str, Any] = {**known["settings"]}
        if recorded.pop("compiled", False):  # as earlier versions could
            raise UserError(f"{path} was begun with a compiled step, which there is no more; --again makes a new run")
        begun = Settings(**recorded)
        if device is not None and device != begun.device:
            raise UserError(f"{path} was begun on {begun.device}; it goes on there, got --device {device}")
        check_device(begun.device)
        return begun, known.get("step", "")
    return choose_settings(prepared, device, threads)


def begin(
    prepared: Prepared, settings: "Settings", step: str, path: Path, imported: Mapping[str, str] | None = None
) -> None:
    """Write what is known before training. imported: where the weights come from that are trained no further."""
    from classlab.training.settings import environment

    store.create(path)
    experiment, dataset = prepared.experiment, prepared.dataset
    if (path / store.LAST).exists():
        _check_unchanged(prepared, path)
        return
    copies = copied_code.keep(experiment, path)
    store.write(path / store.EXPERIMENT, experiment.to_yaml())
    store.write_json(
        path / store.SPLIT,
        {
            "digest": split_digest(prepared.train, prepared.val),
            "train": prepared.train.tolist(),
            "val": prepared.val.tolist(),
            "test": len(dataset.test_labels),
        },
    )
    store.write_json(
        path / store.ENVIRONMENT,
        {
            "seed": prepared.seed,
            "given_in_python": sorted(prepared.given),
            "settings": settings.to_json(),
            "step": step,
            "input_shape": list(dataset.input_shape),
            "classes": len(dataset.class_names),
            "class_names": list(dataset.class_names),
            "dataset": {"name": dataset.name, "digest": dataset.digest, "source": dataset.source},
            "normalise": {"mean": prepared.mean, "std": prepared.std},
            "epoch_images": prepared.epoch_images,
            "code": digests_of_own_code(experiment),
            **({"copies": copies} if copies else {}),
            **({"imported": dict(imported)} if imported else {}),
            **({"started_from": prepared.started} if prepared.started else {}),
            **environment(),
        },
    )


def _check_unchanged(prepared: Prepared, path: Path) -> None:
    """Raise UserError where images, split or code are not what the run was begun with: it would be half of each."""
    begun = records.read_environment(path / store.ENVIRONMENT)
    changed = changed_code(begun, prepared.experiment)
    if prepared.dataset.digest != begun["dataset"]["digest"]:
        changed.append(f"the images of {prepared.dataset.name}")
    elif prepared.started != begun.get("started_from", prepared.started):
        changed.append("the weights that it started from")
    elif split_digest(prepared.train, prepared.val) != records.read_split(path / store.SPLIT)["digest"]:
        changed.append("the split")
    if changed:
        raise UserError(f"{path} cannot go on: {listing(changed)} changed since it was begun; --again starts over")


def check_state(state: "Mapping[str, Tensor]", prepared: Prepared, file: Path) -> None:
    """Raise UserError, before training, where a checkpoint is another run's: by name, weights or optimizer."""
    from classlab.models.make import load_weights
    from classlab.training.weight_averages import check_beside

    about = store.read_about(file)
    named = about.get("experiment"), about.get("seed")
    if named[0] not in prepared.digests or named[1] != prepared.seed:
        raise UserError(
            f"{file} is the state of another run: of experiment {echoed(str(named[0]))} with seed "
            f"{echoed(str(named[1]))}; --again makes a new run"
        )
    load_weights(prepared.model, state, str(file))
    check_beside(prepared.model, prepared.experiment.training, dict(state), str(file))
    if own_code.is_own_code(prepared.experiment.training.optimizer.name):
        return  # it may order the parameters in groups, and keep tensors of any shape
    shapes = [parameter.shape for parameter in prepared.model.parameters() if parameter.requires_grad]
    for name, value in state.items():
        if name.startswith("optimizer."):
            place = name.split(".")[1]
            fits = place.isdecimal() and int(place) < len(shapes) and value.shape in ((), (1,), shapes[int(place)])
            if not fits:
                raise UserError(f"{file} is the state of another run: {name} is {tuple(value.shape)} there")


def _rows_done(path: Path, done: int) -> list[dict[str, float]]:
    """Return the rows of the epochs that the checkpoint counts. Raises UserError, before training, where one is lost.

    A row is written before its checkpoint, so a kill can leave a row too many and never one too few.
    """
    rows = [row for row in store.read_metrics(path / store.METRICS) if row["epoch"] <= done]
    lost = sorted(set(range(1, done + 1)) - {int(row["epoch"]) for row in rows})
    if lost:
        raise UserError(
            f"{path / store.METRICS} has no row of epoch {lost[0]}, and {store.LAST} counts {done} epochs: "
            "what is lost cannot be measured again; --again makes a new run"
        )
    return rows


def _train(prepared: Prepared, settings: "Settings", path: Path, about: dict[str, Any]) -> Iterator[Event]:
    """Run the loop; after every epoch write its row and its state, the state last: it is what makes the epoch count.

    about: what the checkpoints say of themselves, the digest in the folder's name and the seed.
    """
    from classlab.training.train import Step, train_network

    state = store.read_checkpoint(path / store.LAST) if (path / store.LAST).exists() else None
    done = store.epochs_counted(state, path / store.LAST) if state else 0
    if state:
        check_state(state, prepared, path / store.LAST)
    rows = _rows_done(path, done)
    plan = prepared.experiment.training
    splits = place_splits(prepared, settings)
    model = place_model(prepared.model, settings)
    note(path, f"begins at epoch {done + 1} of {plan.epochs}, {settings}")
    if plan.keep_epochs and not state:
        _keep_first(path, prepared, about)
    yield Begun(path, prepared.experiment.name, prepared.seed, plan.epochs, done, len(splits["train"]))
    waiting, reported = 0, time.monotonic()  # images since the last Progress, and its time
    for epoch in train_network(model, splits, prepared.experiment, prepared.seed, settings, state):
        if isinstance(epoch, Step):
            waiting += epoch.images
            if time.monotonic() - reported > SECONDS_BETWEEN_PROGRESS:
                yield Progress(path, waiting)
                waiting, reported = 0, time.monotonic()
            continue
        if waiting:
            yield Progress(path, waiting)
            waiting = 0
        rows.append(epoch.row)
        store.write_metrics(path / store.METRICS, rows)
        if epoch.improved:
            store.write_checkpoint(path / store.BEST, epoch.state, about)
        if plan.keep_epochs:
            store.write_checkpoint(store.epoch_checkpoint(path, int(epoch.row["epoch"])), epoch.state, about)
        store.write_checkpoint(path / store.LAST, epoch.state, about)
        note(path, ", ".join(f"{name} {value:.6g}" for name, value in epoch.row.items()))
        yield EpochDone(path, epoch.row)


def _keep_first(path: Path, prepared: Prepared, about: dict[str, Any]) -> None:
    """Write the weights before training, which the seed alone decides, as the checkpoint of epoch 0."""
    files.make_folder(path / store.EPOCHS)
    weights = {
        f"model.{name}": value.detach().cpu().contiguous() for name, value in prepared.model.state_dict().items()
    }
    store.write_checkpoint(store.epoch_checkpoint(path, 0), weights, about)


def conclude(prepared: Prepared, settings: "Settings", path: Path) -> None:
    """Evaluate the selected weights on the test set, once, and write the verdict. summary.json ends the run."""
    from classlab.models.make import load_weights
    from classlab.training.calibration import calibrate_network
    from classlab.training.epoch_metrics import evaluate_split

    experiment = prepared.experiment
    rows = store.read_metrics(path / store.METRICS)
    state = store.read_checkpoint(store.selected(path, experiment.protocol.select))
    model = place_model(prepared.model, settings)
    load_weights(model, state, str(path))
    store.write_weights(path / store.WEIGHTS, state)
    splits = place_splits(prepared, settings)
    test = splits["test"]
    measured = evaluate_split(model, "test", test, experiment, prepared.seed, 0, settings)
    labels = test.labels.cpu().numpy()
    store.write_predictions(path / store.PREDICTIONS, measured.outputs.cpu().numpy(), labels)

    epoch = len(rows) and store.epochs_counted(state, path)  # none: the weights were imported
    status, sentence = recount.status(rows, measured.loss, measured.correct, labels)
    temperature = None
    if measured.correct is not None and status != "diverged":
        calibration = calibrate_network(model, splits["train"], splits["val"])
        store.write_checkpoint(path / store.CALIBRATION, calibration.tensors(), {})
        temperature = calibration.temperature
    counted = recount.of_epochs(rows, epoch, len(prepared.val))
    if not rows:
        val = splits["val"]
        measured_on_val = (
            evaluate_split(model, "val", val, experiment, prepared.seed, 0, settings) if len(val) else None
        )
        counted = recount.of_no_epoch(measured_on_val, len(val))
    seconds = counted.pop("seconds")
    summary = {
        "run": str(path),
        "experiment": experiment.name,
        "seed": prepared.seed,
        "status": status,
        "status_sentence": sentence,
        "parameters": prepared.parameters,
        "multiply_adds": prepared.multiply_adds,
        "validated_on": experiment.protocol.validate_on,
        **counted,
        "test_loss": measured.loss,
        **recount.accuracy(measured.correct, len(labels)),
        "temperature": temperature,
        "seconds": seconds,
    }
    if not rows:
        summary["imported"] = records.read_environment(path / store.ENVIRONMENT)["imported"]["file"]
    note(path, sentence)
    contract = recount.judge_again(summary, experiment.contract, prepared.fixed_checks, rows)
    store.write_json(path / store.SUMMARY, {**summary, "contract": contract})


def note(path: Path, text: str) -> None:
    """Add a line to log.txt. A line lost to a kill costs nothing: the log is for people."""
    files.append(path / store.LOG, f"{datetime.datetime.now().isoformat(timespec='seconds')} {text}\n")
