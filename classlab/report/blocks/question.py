"""Question: what was asked, and what was looked at and when, in words."""

from classlab import metrics
from classlab.drawing.blocks import Block, Words
from classlab.experiment import Contract
from classlab.report import words
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun
from classlab.study.declaration import Study
from classlab.study.result import StudyResult
from classlab.study.search import Search
from classlab.study.sweep import short_keys

TITLE_CHARACTERS = 90


def blocks(material: Material) -> list[Block]:
    """Return a study's description and protocol; of the first run of each name its question and protocol."""
    if material.study is None:
        return material.first_of_each(_of_run)
    texts = (material.study.study.description.strip(), _protocol_of_study(material.study))
    return [Words(text) for text in texts if text]


def _of_run(run: FinishedRun) -> list[Block]:
    experiment = run.experiment
    description = experiment.description if not _given(run) and title(run) == experiment.name else ""
    return [Words(text) for text in (description, _question(run), _protocol(run)) if text]


def title(subject: FinishedRun | StudyResult) -> str:
    """Return a study's question, or a run's description where it is true of the run and short; else the name."""
    if isinstance(subject, StudyResult):
        return subject.study.question.strip() or subject.study.name
    run = subject
    description = run.experiment.description.strip().rstrip(".")
    if _given(run) or not 0 < len(description) <= TITLE_CHARACTERS:
        return run.experiment.name
    return description


def _question(run: FinishedRun) -> str:
    experiment = run.experiment
    limits = _limits(experiment.contract)
    network = (
        "a network given in Python" if "model" in _given(run) else f"a network of the {experiment.model.name} family"
    )
    dataset = "images given in Python" if "data" in _given(run) else experiment.data.dataset.name
    task = f"reconstruct the images of {dataset}" if run.reconstructs else f"classify {dataset}"
    if run.imported:
        return f"How well does {network}, with weights from {run.imported}, {task}?"
    if not limits:
        return f"How well does {network} {task} after {words.count(experiment.training.epochs, 'epoch')}?"
    return f"Can {network} {task} with {words.listed(limits)}?"


def _limits(contract: Contract) -> list[str]:
    known = (
        (contract.min_test_accuracy_percent, "at least {} % of the test images right"),
        (contract.min_val_accuracy_percent, "at least {} % of the validation images right"),
        (contract.max_parameters, "no more than {} parameters"),
        (contract.max_epochs, "no more than {} epochs"),
        (contract.max_seconds, "no more than {} seconds of training"),
    )
    return [text.format(words.number(limit)) for limit, text in known if limit is not None]


def _protocol(run: FinishedRun) -> str:
    """Say what was looked at, and when."""
    if run.imported:
        return _of_imported(run)
    protocol, split = run.experiment.protocol, run.split()
    test = f"the {words.count(split['test'], 'test image')}"
    once = f"{test[0].upper()}{test[1:]} were evaluated once, at the end."
    if run.status == "incomplete":
        once = f"{test[0].upper()}{test[1:]} are evaluated once, at the end, to which this run has not come."
    metric, highest = ("loss", "lowest") if run.reconstructs else ("accuracy", "highest")
    every = f"The {metric} on {test} was noted after every epoch and not used for selection."
    if protocol.validate_on == "val":
        held_out = words.count(len(split["val"]), "training image")
        start = f"{held_out} were held out for validation and evaluated after every epoch."
        chosen = {
            "best": f"The result is the epoch with the {highest} validation {metric}.",
            "last": f"The result is the last epoch; validation {metric} chose nothing.",
        }[protocol.select]
        if protocol.select == "last" and run.experiment.chosen_on:
            chosen = f"The result is the last epoch, which early stopping chose by the validation {metric}."
        return " ".join((start, chosen, every if protocol.test_each_epoch else once))
    if protocol.validate_on == "none":
        start = "No images were held out, and the result is the last epoch, so no image chose anything."
        return f"{start} {every if protocol.test_each_epoch else once}"
    chosen = {
        "best": f"and the epoch with the {highest} test {metric} is the result",
        "last": "and the result is the last epoch",
    }[protocol.select]
    if protocol.select == "last" and run.experiment.chosen_on:
        chosen += f", which early stopping chose by the test {metric}"
    return f"No images were held out: {test} served for validation after every epoch, {chosen}."


def _of_imported(run: FinishedRun) -> str:
    """Say where the weights come from, and what is not known of them."""
    record = run.environment["imported"]
    names = f" In the file {record['names']}." if record.get("names") else ""
    return (
        f"The weights were imported from {record['file']} (SHA-256 {record['sha256'][:16]}…) and not trained "
        f"here.{names} The {words.count(run.split()['test'], 'test image')} were evaluated once, in fp32. The file "
        "does not show how and for how long the weights were trained, or whether on these very images."
    )


def _protocol_of_study(result: StudyResult) -> str:
    study, seeds = result.study, result.study.seed_list
    if study.sweep.search is not None:
        return _protocol_of_search(study, study.sweep.search, result.answer.baseline)
    times = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds, {words.listed([str(seed) for seed in seeds])}"
    text = f"{words.count(len(result.variants), 'variant')}, each trained from {times}"
    metric, baseline = metrics.words(study.compare.metric), result.answer.baseline
    text += f". They are compared by {metric}" + (f", against {baseline}." if len(result.variants) > 1 else ".")
    chose = [variant.name for variant in result.variants if variant.experiment.chosen_on == "test"]
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


def _protocol_of_search(study: Study, search: Search, baseline: str) -> str:
    keys = words.listed([key.replace("_", " ") for key in short_keys(list(search.settings)).values()])
    return (
        f"A search over {keys}, at most {words.count(search.budget.runs, 'run')} in all. Variants are chosen by "
        f"{metrics.words(search.metric)}, the mean of {len(study.seed_list)} seeds; the test images have no say in it. "
        f"The best one and {baseline} are then trained from {search.confirm} fresh seeds, and these runs alone are "
        f"compared, by {metrics.words(study.compare.metric)}."
    )


def _given(run: FinishedRun) -> list[str]:
    return list(run.environment["given_in_python"])
