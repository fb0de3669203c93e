"""Method: the settings of a run, or those that all variants of a study share, the ones that a reader asks for first."""

import functools
from typing import Any

from classlab.drawing.blocks import Block, Fact, Facts
from classlab.errors import UserError
from classlab.experiment import Choice, Experiment
from classlab.report import words
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun
from classlab.study.result import StudyResult
from classlab.study.sweep import COLUMNS_SHOWN, flat, settings

RESULTS = {
    ("last", "val"): "the last epoch; validation images were watched and chose nothing",
    ("best", "val"): "the epoch that does best on the validation images",
    ("last", "test"): "the last epoch; the test images were watched and chose nothing",
    ("best", "test"): "the epoch that does best on the test images themselves",
    ("last", "none"): "the last epoch",
}


def blocks(material: Material) -> list[Block]:
    """Return the settings of the study's variants, or else of the first run of each name."""
    if material.study is None:
        return material.first_of_each(_of_run)
    rows = [_rows(variant.experiment) for variant in material.study.variants]
    same = _same(material.study, rows)
    shared = Facts(tuple(_shared(material.study, rows, same)), "What all variants share")
    return [shared, *_apart(material, rows, same)]


def _of_run(run: FinishedRun) -> list[Block]:
    rows = _settings(run.experiment)
    if run.imported:  # the settings of the training are the experiment's, and nobody knows whether they were followed
        return [Facts((rows["model"], rows["training.loss"]))]
    if "model" in run.environment.get("given_in_python", []):
        rows["model"] = Fact("Model", "given in Python")
    weights = rows["training.initialise"]
    rows["training.initialise"] = Fact(weights.label, f"{weights.value}, from seed {run.seed}")
    return [Facts(tuple(fact for fact in rows.values() if fact.value))]


def _settings(experiment: Experiment) -> dict[str, Fact]:
    """Return dotted key -> what the experiment has there; nothing as the value of what is off."""
    training, early = experiment.training, experiment.training.early_stopping
    stopping = f"after {early.patience} epochs without improvement" if early else ""
    return {
        "model": Fact("Model", words.spelled(experiment.model)),
        "training.loss": Fact("Loss", words.spelled(training.loss)),
        "training.optimizer": Fact("Optimizer", words.spelled(training.optimizer)),
        "training.schedule": Fact("Schedule", words.spelled(training.schedule)),
        "training.warmup_epochs": Fact(
            "Warm-up", f"{training.warmup_epochs:g} epochs" if training.warmup_epochs else ""
        ),
        "training.l1_penalty": Fact("L1 penalty", f"{training.l1_penalty:g}" if training.l1_penalty else ""),
        "training.max_gradient_norm": Fact("Gradients", _clipping(experiment)),
        "training.lookahead": Fact("Lookahead", _lookahead(experiment)),
        "training.mixing": Fact("Mixing", _mixing(experiment)),
        "training.averages": Fact("Weights evaluated", _averages(experiment)),
        "training.batch_size": Fact("Batch size", f"{training.batch_size:,} images"),
        "training.epochs": Fact("Epochs planned", f"{training.epochs:,}"),
        "data.expansion": Fact("Copies of each training image", _copies(experiment)),
        "data.augmentations": Fact("Augmentations", _augmentations(experiment)),
        "training.start_from": Fact("Starts from", _start(experiment)),
        "training.initialise": Fact("Initial weights", words.spelled(training.initialise)),
        "training.early_stopping": Fact("Early stopping", stopping),
    }


def _clipping(experiment: Experiment) -> str:
    longest = experiment.training.max_gradient_norm
    return "" if longest is None else f"of length {longest:g} at most"


def _lookahead(experiment: Experiment) -> str:
    ahead = experiment.training.lookahead
    return f"{ahead.share:g} of the way after every {words.count(ahead.every_steps, 'step')}" if ahead else ""


def _mixing(experiment: Experiment) -> str:
    mixing = experiment.training.mixing
    return f"{words.spelled(mixing)}; training accuracy is of the label that has the larger share" if mixing else ""


def _averages(experiment: Experiment) -> str:
    averages = experiment.training.averages
    if averages is None:
        return ""
    if averages.ema_decay is not None:
        return f"their exponential moving average, decay {averages.ema_decay:g}"
    return f"their mean over the epochs from {averages.swa_from_epoch} on"


def _start(experiment: Experiment) -> str:
    """Return whose weights training starts from, of which layers, and whether they are frozen; empty for none."""
    start = experiment.training.start_from
    if start is None:
        return ""
    layers = f"the layers {start.layers} of " if start.layers else "the weights of "
    return f"{layers}{start.run}, {'frozen' if start.freeze else 'trained further'}"


def _copies(experiment: Experiment) -> str:
    """Return what each training image stands in the training set as, where that is more than itself."""
    return "; ".join(" and ".join(map(words.spelled, copy)) or "as it is" for copy in experiment.data.expansion)


def _augmentations(experiment: Experiment) -> str:
    choices: list[Choice] = experiment.data.augmentations
    if not choices:
        return "none"
    where = "training images only" if experiment.protocol.augment == "train" else "training, validation and test images"
    return f"{', '.join(map(words.spelled, choices))}; {where}"


def _rows(experiment: Experiment) -> dict[str, Fact]:
    """Return dotted key -> what a variant's experiment has there."""
    return {
        "data.dataset": Fact("Dataset", experiment.data.dataset.name),
        **_settings(experiment),
        "protocol": Fact("Result", _result(experiment)),
    }


def _same(result: StudyResult, rows: list[dict[str, Fact]]) -> dict[str, Fact]:
    """Return the settings on which the variants agree."""
    documents = [flat(variant.experiment.model_dump(mode="json")) for variant in result.variants]
    return {
        key: fact
        for key, fact in rows[0].items()
        if _is_same(documents, key) and all(other[key] == fact for other in rows)
    }


def _shared(result: StudyResult, rows: list[dict[str, Fact]], same: dict[str, Fact]) -> list[Fact]:
    """Return what all variants share, and of a network or an optimizer the part that they share."""
    experiments = [variant.experiment for variant in result.variants]
    in_part = {
        key: shared
        for key, fact in rows[0].items()
        if key not in same and (shared := _shared_choice(experiments, key, fact.label))
    }
    found = [(same | in_part)[key] for key in rows[0] if key in same | in_part]
    return [fact for fact in found if fact.value] + _sizes(result)


def _apart(material: Material, rows: list[dict[str, Fact]], same: dict[str, Fact]) -> list[Block]:
    """Return how each variant was trained where the table of variants does not say it.

    So it is where they train several experiments, whose settings are no changes of the study, or change many.
    """
    assert material.study, "a study's variants"
    variants = material.study.variants
    columns, _ = settings(variants)
    if "experiment" not in columns and len(columns) <= COLUMNS_SHOWN:
        return []
    apart = [tuple(fact for key, fact in row.items() if key not in same and fact.value) for row in rows]
    return [Facts(facts, variant.name) for variant, facts in zip(variants, apart, strict=True) if facts]


def _shared_choice(experiments: list[Experiment], key: str, label: str) -> Fact | None:
    """Return what choices of one name have in common, and which options differ; None where the names differ."""
    if key not in ("model", "training.loss", "training.optimizer", "training.schedule"):
        return None
    choices: list[Any] = [functools.reduce(getattr, key.split("."), experiment) for experiment in experiments]
    if len({choice.name for choice in choices}) > 1:
        return None
    names = list(dict.fromkeys(name for choice in choices for name in choice.options))
    differing = [name for name in names if len({str(choice.options.get(name)) for choice in choices}) > 1]
    if not differing:
        return None
    common = {name: value for name, value in choices[0].options.items() if name not in differing}
    shared = words.spelled(Choice(name=choices[0].name, **common))
    return Fact(label, f"{shared}; {words.listed([name.replace('_', ' ') for name in differing])} as each variant says")


def _sizes(result: StudyResult) -> list[Fact]:
    """Return how many images each split has and their size, where the runs agree; nothing before a run was begun."""
    run = next((run for seeds in result.runs.values() for run in seeds.values()), None)
    documents = [flat(variant.experiment.model_dump(mode="json")) for variant in result.variants]
    if run is None or not _is_same(documents, "data"):
        return []
    try:
        split = run.split()
    except UserError:
        return []
    sizes = {"training": len(split["train"]), "validation": len(split["val"]), "test": split["test"]}
    channels, height, width = run.environment["input_shape"]
    counted = ", ".join(f"{size:,} {name}" for name, size in sizes.items() if size)
    pixels = f"{height} × {width} pixels, {words.count(channels, 'channel')}"
    return [Fact("Images", f"{counted}; of {pixels}")]


def _is_same(documents: list[dict[str, Any]], key: str) -> bool:
    """Say whether all variants agree on everything under a dotted key."""
    held = [
        {name: value for name, value in document.items() if name == key or name.startswith(key + ".")}
        for document in documents
    ]
    return all(settings == held[0] for settings in held)


def _result(experiment: Experiment) -> str:
    protocol = experiment.protocol
    if protocol.select == "last" and experiment.chosen_on:
        images = "validation" if experiment.chosen_on == "val" else "test"
        return f"the last epoch, which early stopping chose by the {images} images"
    return RESULTS[protocol.select, protocol.validate_on]
