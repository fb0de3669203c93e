"""Question and method: what is asked, what the variants change, and what all of them share."""

from classlab.drawing.blocks import Block, Column, Fact, Facts, Section, Table, Words
from classlab.experiment import Experiment
from classlab.report import words
from classlab.study.result import StudyResult
from classlab.study.sweep import flat, settings

COLUMNS_SHOWN = 5
RESULTS = {
    ("last", "val"): "the last epoch; validation images were watched and chose nothing",
    ("best", "val"): "the epoch that does best on the validation images",
    ("last", "test"): "the last epoch; the test images were watched and chose nothing",
    ("best", "test"): "the epoch that does best on the test images themselves",
    ("last", "none"): "the last epoch",
}


def section(result: StudyResult) -> Section:
    """Return the protocol, the variants with their settings, and the settings they share; the question is the title."""
    study = result.study
    told = [Words(text) for text in (study.description.strip(), _protocol(result)) if text]
    blocks: list[Block] = [*told]
    variants = _variants(result)
    if variants is not None:
        blocks.append(variants)
    blocks.append(Facts(tuple(_shared(result)), "What all variants share"))
    return Section("Question and method", tuple(blocks))


def _protocol(result: StudyResult) -> str:
    study, seeds = result.study, result.study.seed_list
    times = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds, {words.listed([str(seed) for seed in seeds])}"
    text = f"{words.count(len(result.variants), 'variant')}, each trained from {times}"
    metric, baseline = study.compare.metric.replace("_", " "), result.answer.baseline
    text += f". They are compared by {metric}" + (f", against {baseline}." if len(result.variants) > 1 else ".")
    chose = [one.name for one in result.variants if _test_chose(one.experiment)]
    if chose:
        which = "every variant" if len(chose) == len(result.variants) else words.listed(chose)
        text += (
            f" In {which} the test set was watched every epoch and chose the epoch: those figures are too high by an "
            "unknown amount."
        )
    elif study.compare.metric.startswith("best_test"):
        text += (
            " The best epoch is chosen on the test set itself, so that this metric is too high by an unknown amount; "
            "the last epoch stands beside it."
        )
    return text


def _test_chose(experiment: Experiment) -> bool:
    return experiment.chosen_on == "test"


def _result(experiment: Experiment) -> str:
    protocol = experiment.protocol
    if protocol.select == "last" and experiment.chosen_on:
        images = "validation" if experiment.chosen_on == "val" else "test"
        return f"the last epoch, which early stopping chose by the {images} images"
    return RESULTS[protocol.select, protocol.validate_on]


def _variants(result: StudyResult) -> Table | None:
    """Return what each variant changes; None where its name says it all."""
    columns, changed = settings(result.variants)
    if len(columns) < 2 and all(f"{key}={text}" == one for one, of in changed.items() for key, text in of.items()):
        return None
    shown = columns[:COLUMNS_SHOWN]
    rows = tuple((one.name, *(changed[one.name].get(column) for column in shown)) for one in result.variants)
    caption = "The variants and what they change"
    if len(columns) > len(shown):
        caption += f"; {words.count(len(columns) - len(shown), 'further setting')} in study.yaml"
    return Table("settings", caption, (Column("variant"), *(Column(name) for name in shown)), rows)


def _shared(result: StudyResult) -> list[Fact]:
    """Return the settings on which the variants agree, those that a reader asks for first."""
    first = result.variants[0].experiment
    training = first.training
    documents = [flat(one.experiment.model_dump(mode="json")) for one in result.variants]
    told = (
        ("data.dataset", "Dataset", first.data.dataset.name),
        ("model", "Model", words.spelled(first.model)),
        ("training.loss", "Loss", words.spelled(training.loss)),
        ("training.optimizer", "Optimizer", words.spelled(training.optimizer)),
        ("training.schedule", "Schedule", words.spelled(training.schedule)),
        ("training.batch_size", "Batch size", f"{training.batch_size:,} images"),
        ("training.epochs", "Epochs", f"{training.epochs:,}"),
        ("data.augmentations", "Augmentations", ", ".join(map(words.spelled, first.data.augmentations)) or "none"),
        ("protocol", "Result", _result(first)),
    )
    return [Fact(label, value) for key, label, value in told if _same(documents, key)]


def _same(documents: list[dict], key: str) -> bool:
    parts = [
        {name: value for name, value in one.items() if name == key or name.startswith(key + ".")} for one in documents
    ]
    return all(part == parts[0] for part in parts)
