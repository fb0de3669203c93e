"""Check runs against a contract by measuring again: the weights decide, not what the run's folder says of itself.

Believed: the weights, the experiment's data, network and protocol, the checkpoint's counters, and the dataset as
classlab knows it. Not believed: summary.json, metrics.csv, predictions.npz, environment.json, split.json.
docs/contracts.md says what no check can see.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import contract as contracts
from classlab import experiment as experiments
from classlab.contract import Check
from classlab.errors import UserError
from classlab.experiment import Contract, Experiment
from classlab.runs import records, store
from classlab.yaml_text import echoed, read_yaml

OF_GRAPH = f"counted and measured by {store.GRAPH}; the student's code was not run"

if TYPE_CHECKING:
    from torch import Tensor

    from classlab.runs.preparation import Prepared


@dataclass(frozen=True)
class Checked:
    """One run compared with a contract.

    digest: of its experiment; runs with the same one differ in their seed alone. weights: SHA-256 of the weights.
    measured: what the weights give, by the keys of contract.check_after. notes: what the reader should know besides.
    """

    run: str
    experiment: str
    seed: int | None
    digest: str
    weights: str
    measured: dict[str, Any]
    checks: list[Check]
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check of this run passed."""
        return contracts.verdict(self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return what a program reads."""
        checks = [vars(check) for check in self.checks]
        head = {"run": self.run, "experiment": self.experiment, "seed": self.seed, "passed": self.passed}
        return {**head, "checks": checks, "measured": self.measured, "notes": self.notes}


@dataclass(frozen=True)
class Together:
    """Runs of one experiment held together against what a contract asks of several seeds."""

    experiment: str
    runs: list[str]
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return contracts.verdict(self.checks)

    def to_json(self) -> dict[str, Any]:
        """Return what a program reads."""
        checks = [vars(check) for check in self.checks]
        return {"experiment": self.experiment, "runs": self.runs, "passed": self.passed, "checks": checks}


def find_runs(path: Path) -> list[Path]:
    """Return the run that a folder is, or every run folder below it. Raises UserError where there is none."""
    path = store.named(path)
    if (path / store.EXPERIMENT).is_file():
        return [path]
    folders = sorted(file.parent for file in path.rglob(store.EXPERIMENT)) if path.is_dir() else []
    if not folders:
        raise UserError(store.no_run(path, f" and holds none: there is no {store.EXPERIMENT}"))
    return folders


def unreadable(path: Path, error: UserError) -> Checked:
    """Return what stands for a run that cannot be opened: nothing of it is shown."""
    check = Check("readable", "a whole run folder", None, False, f"{error}: not shown")
    return Checked(str(path), path.parent.name, None, str(path), str(path), {}, [check])


def check(path: Path, contract: Contract, trust: bool = False, measure: Sequence[str] = ()) -> Checked:
    """Measure a run again and hold it against `contract`. Raises UserError where the folder is not a complete run.

    trust: whether code of the reader's own that the experiment names may run. Without it a network of the reader's own
    is measured by its graph, where one lies in the folder, and any other such run raises Untrusted.
    measure: splits that are evaluated although the contract sets no limit on them, val or test.
    """
    from classlab.course.graph_network import opened

    experiment, graph = opened(path, trust)
    environment = records.read_object(path / store.ENVIRONMENT)  # not believed, so its form does not matter
    if environment.get("given_in_python"):
        handed_over = str(environment["given_in_python"]).strip("[]").replace("'", "").replace(",", " and")
        raise UserError(
            f"{path} was given its {echoed(handed_over)} in Python, so nobody can measure it from its folder"
        )
    about = store.read_about(store.selected(path, experiment.protocol.select))
    digest = _digest(path, about.get("experiment"))
    seed = about["seed"] if isinstance(about.get("seed"), int) and 0 <= about["seed"] < 2**63 else None
    checks = [_same_experiment(about, digest), *_same_seed(seed, environment.get("seed"))]
    checks += contracts.check_data(contract, experiment.data)
    on_data = contracts.verdict(checks[-1:]) if contract.dataset else True

    prepared = _prepared(experiment, contract, on_data, seed or 0, graph)
    states = _states(path, experiment, prepared)
    selected = states[-1]
    checks += [rule_check for rule_check in prepared.fixed_checks if rule_check.rule != "dataset"]
    if graph:
        prepared, fits = _graph_fits(prepared, selected)
        checks = [_unseen(rule_check) for rule_check in checks]
    else:
        fits = _weights(path, prepared, selected)
    checks.append(fits)
    # Of weights that were imported nobody knows in batches of how many images their norms counted.
    epochs = None if "imported" in about else _epochs(prepared, states) or None
    measured: dict[str, Any] = {"parameters": prepared.parameters, "epochs": epochs}
    if fits.passed and on_data:
        measured |= _accuracies(prepared, contract, measure)
    rows = _rows(path)
    measured |= {"seconds": round(sum(row["seconds"] for row in rows), 3)} if rows else {}
    checks += [_with_source(rule_check) for rule_check in contracts.check_after(contract, measured)]
    checks += [_with_source(rule_check) for rule_check in contracts.check_last_epochs(contract, rows)]
    notes = [*_cautions(experiment, contract, measured), *_notes(path, measured), *([OF_GRAPH] if graph else [])]
    weights = _weights_digest(selected)
    return Checked(str(path), experiment.name, seed, digest, weights, measured, checks, notes)


def check_together(contract: Contract, runs: Sequence[Checked]) -> list[Together]:
    """Hold the runs of each experiment together against what the contract asks of several seeds.

    No two runs may have the same weights, whatever seeds they name.
    """
    if contract.seeds == 1:
        return []
    held = []
    runs = [run for run in runs if run.measured]
    for digest in dict.fromkeys(run.digest for run in runs):
        group = [run for run in runs if run.digest == digest]
        same = [run for number, run in enumerate(group) if run.weights in [other.weights for other in group[:number]]]
        sentence = "no two runs have the same weights: kept"
        if same:
            sentence = f"{same[0].run} has the same weights as another run: not kept"
        distinct = Check("different_weights", len(group), len(group) - len(same), not same, sentence)
        summaries = [{"seed": run.seed, **run.measured} for run in group]
        checks = [distinct, *contracts.check_seeds(contract, summaries)]
        held.append(Together(group[0].experiment, [run.run for run in group], checks))
    return held


def _digest(path: Path, trained: Any) -> str:
    """Return the digest of the experiment as it stands in the file, in the format of the digest that trained it."""
    fields = read_yaml(path / store.EXPERIMENT)
    fields = fields if isinstance(fields, dict) else {}
    earlier = experiments.digest_of_format_1(fields)
    return earlier if trained == earlier else experiments.digest(fields)


def _states(path: Path, experiment: Experiment, prepared: "Prepared") -> "list[dict[str, Tensor]]":
    """Return the last checkpoint's tensors, and after them those of the best one where the protocol selects it."""
    files = list(dict.fromkeys([path / store.LAST, store.selected(path, experiment.protocol.select)]))
    states = [store.read_weights(file, prepared.model) for file in files]
    for file, state in zip(files, states, strict=True):
        store.epochs_counted(state, file)
    return states


def _same_experiment(about: dict[str, Any], digest: str) -> Check:
    trained = about.get("experiment")
    passed = trained == digest
    sentence = f"{store.EXPERIMENT} is {digest}, the weights were trained under {trained or 'no name'}"
    return Check("same_experiment", str(trained), digest, passed, f"{sentence}: {'kept' if passed else 'not kept'}")


def _same_seed(seed: Any, in_environment: Any) -> list[Check]:
    if seed == in_environment:
        return []
    sentence = f"the checkpoint's seed is {seed}, {store.ENVIRONMENT} says {in_environment}: not kept"
    return [Check("same_seed", str(seed), str(in_environment), False, sentence)]


def _prepared(
    experiment: Experiment, contract: Contract, on_data: bool, seed: int, given: dict[str, Any]
) -> "Prepared":
    """Build the network and load the data: the contract's own, whole test set, where the experiment's is the same."""
    from classlab.runs.preparation import prepare

    data = experiment.data
    if contract.dataset is not None and on_data:
        data = data.model_copy(update={"dataset": contract.dataset, "max_test_per_class": None})
    try:
        return prepare(experiment.model_copy(update={"contract": contract, "data": data}), seed, given, None)
    except (RuntimeError, MemoryError) as error:  # a network that somebody made too large for this machine
        raise UserError(f"the network of {experiment.name} cannot be built: {str(error).splitlines()[0]}") from None


def _weights(path: Path, prepared: "Prepared", state: "dict[str, Tensor]") -> Check:
    """Put the weights into the network; they must fit it and be finite."""
    from classlab.models.make import load_weights

    wanted = "weights of the experiment's network"
    try:
        load_weights(prepared.model, state, str(path))
    except UserError as error:
        return Check("weights", wanted, None, False, f"{error}: not kept")
    finite = all(bool(value.isfinite().all()) for value in prepared.model.state_dict().values())
    sentence = "the weights fit the experiment's network" + ("" if finite else ", and are not finite")
    return Check("weights", wanted, None, finite, f"{sentence}: {'kept' if finite else 'not kept'}")


def _graph_fits(prepared: "Prepared", state: "dict[str, Tensor]") -> "tuple[Prepared, Check]":
    """Hold the graph that stands for the student's code against the weights; return what is prepared, so counted."""
    from classlab.course.graph_network import held_against

    parameters, problem = held_against(prepared.model, state)  # pyrefly: ignore[bad-argument-type]
    finite = all(bool(value.isfinite().all()) for value in state.values() if value.is_floating_point())
    problem = problem or ("" if finite else "the weights are not finite")
    sentence = problem or f"{store.GRAPH} holds the weights that were handed in"
    check = Check("weights", "weights of the graph", None, not problem, f"{sentence}: {'not ' * bool(problem)}kept")
    return replace(prepared, parameters=parameters), check


def _unseen(check: Check) -> Check:
    """Return a check as not shown where a graph cannot show it: a dropout leaves no trace in what a network answers."""
    if not check.rule.endswith(".dropout"):
        return check
    wanted = check.sentence.partition(", ")[2].rpartition(":")[0]
    sentence = f"a graph shows no dropout, {wanted}: not shown; --trust shows it"
    return replace(check, measured=None, passed=False, sentence=sentence)


def _epochs(prepared: "Prepared", states: "Sequence[dict[str, Tensor]]") -> int:
    """Return the epochs trained: those counted, or as many as the steps make that layers and optimizer counted.

    Batch norms count the batches they saw and Adam its steps, inside the very file that holds the weights.
    """
    plan = prepared.experiment
    steps_per_epoch = math.ceil(prepared.epoch_images / plan.training.batch_size)
    epochs = max(len(state["losses"]) for state in states)
    for state in states:
        counts = {name: int(value) for name, value in state.items() if value.numel() == 1 and bool(value.isfinite())}
        optimizer = [value for name, value in counts.items() if re.fullmatch(r"optimizer\.\d+\.step", name)]
        norms = [value for name, value in counts.items() if name.endswith(".num_batches_tracked")]
        # A norm used twice in a network counts twice, so the one that counted least is asked.
        steps = max([*optimizer, *([min(norms)] if norms else [])], default=0)
        epochs = max(epochs, math.ceil(steps / steps_per_epoch))
    return epochs


def _accuracies(prepared: "Prepared", contract: Contract, measure: Sequence[str]) -> dict[str, Any]:
    """Evaluate the splits that the contract sets a limit on, or that are asked for: right answers, images of each."""
    import torch
    from torch import nn

    from classlab.network.memory_layout import takes_channels_last
    from classlab.runs.preparation import place_model, place_splits
    from classlab.training.epoch_metrics import evaluate_split
    from classlab.training.settings import Settings

    convolutions = any(isinstance(layer, nn.Conv2d) for layer in prepared.model.modules())
    layout = convolutions and takes_channels_last(prepared.model, prepared.dataset.input_shape)
    settings = Settings("cpu", "fp32", channels_last=layout, threads=torch.get_num_threads())
    splits = place_splits(prepared, settings)
    model = place_model(prepared.model, settings)
    limits = {"val": contract.min_val_accuracy_percent, "test": contract.min_test_accuracy_percent}
    measured: dict[str, Any] = {}
    for split, limit in limits.items():
        if (limit is not None or split in measure) and len(splits[split]):
            evaluation = evaluate_split(model, split, splits[split], prepared.experiment, prepared.seed, 0, settings)
            if evaluation.correct is not None:
                counts = {"correct": evaluation.correct, "total": len(splits[split])}
                counts |= {"accuracy": evaluation.correct / len(splits[split])}
                measured |= {f"{split}_{key}": value for key, value in counts.items()}
    return measured


def _rows(path: Path) -> list[dict[str, float]]:
    """Return what was measured after each epoch, by the run's own account, where it has a readable one."""
    try:
        rows = store.read_metrics(path / store.METRICS)
        return rows if all("seconds" in row for row in rows) else []
    except UserError:
        return []


def _with_source(check: Check) -> Check:
    """Say of the time and of the curves what they rest on."""
    if not check.rule.startswith(("max_seconds", "in_each_of_last_epochs")) or check.measured is None:
        return check
    whose = f"by the run's own {store.METRICS}, which anybody can edit"
    place = ", at most" if check.rule == "max_seconds" else ", at least"
    sentence = check.sentence.replace(place, f" {whose}{place}", 1)
    return Check(check.rule, check.limit, check.measured, check.passed, sentence, check.margin)


def _cautions(experiment: Experiment, contract: Contract, measured: dict[str, Any]) -> list[str]:
    """Return what takes something away from the accuracy, though no rule forbids it."""
    notes = []
    planned = experiment.training.epochs
    if measured["epochs"] is None:
        notes.append("the weights were imported: how long they were trained is not known")
    elif measured["epochs"] < planned:
        notes.append(f"trained for {measured['epochs']} of the {planned} epochs that its experiment states")
    if "test_total" in measured:
        chosen = experiment.chosen_on
        if experiment.protocol.validate_on == "test" and chosen:
            notes.append("the test set chose the epoch, as the experiment's protocol asks: its accuracy is too high")
        if contract.dataset is None:
            total, name = measured["test_total"], experiment.data.dataset.name
            notes.append(f"the contract names no dataset: measured on the {total:,} test images that {name} gives here")
    return notes


def _notes(path: Path, measured: dict[str, Any]) -> list[str]:
    """Return where the folder's own files say something else than what was measured."""
    notes = []
    if "test_correct" not in measured:
        return notes
    correct, total = measured["test_correct"], measured["test_total"]
    gives = f"the weights give {correct:,} of {total:,} right"
    # These files are not believed, so whatever is wrong with them is noted and changes no verdict.
    try:
        noted = records.read_object(path / store.SUMMARY).get("test_accuracy")
        if not isinstance(noted, int | float) or not 0 <= noted <= 1 or abs(noted * total - correct) >= 0.5:
            notes.append(f"{store.SUMMARY} says test accuracy {echoed(str(noted))}, {gives}")
    except UserError as error:
        notes.append(str(error))
    try:
        logits, labels = store.read_predictions(path / store.PREDICTIONS)
        right = int((logits.argmax(1) == labels).sum()) if logits.ndim == 2 else -1
        if right != correct or len(labels) != total:
            notes.append(f"{store.PREDICTIONS} has {right:,} of {len(labels):,} right, {gives}")
    except UserError as error:
        notes.append(str(error))
    return notes


def _weights_digest(state: "dict[str, Tensor]") -> str:
    sha = hashlib.sha256()
    for name, value in sorted(state.items()):
        if name.startswith("model."):
            sha.update(f"{name} {tuple(value.shape)};".encode())
            sha.update(value.float().contiguous().numpy().tobytes())
    return sha.hexdigest()
