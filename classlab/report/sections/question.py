"""Question and method: the experiment in words."""

from classlab.drawing.blocks import Fact, Facts, Section, Words
from classlab.experiment import Choice, Contract, Experiment
from classlab.report import words
from classlab.runs.finished import FinishedRun as Run

TITLE_CHARACTERS = 90


def section(run: Run) -> Section:
    """Return the question that the contract asks, and how the run went about it."""
    experiment = run.experiment
    description = experiment.description if not _given(run) and title(run) == experiment.name else ""
    blocks = [Words(text) for text in (description, _question(run), _protocol(run)) if text]
    return Section("Question and method", (*blocks, Facts(tuple(_facts(run)))))


def title(run: Run) -> str:
    """Return the experiment's description where it is true of this run and short enough for a title, else its name."""
    description = run.experiment.description.strip().rstrip(".")
    if _given(run) or not 0 < len(description) <= TITLE_CHARACTERS:
        return run.experiment.name
    return description


def _question(run: Run) -> str:
    experiment = run.experiment
    limits = _limits(experiment.contract)
    network = (
        "a network given in Python" if "model" in _given(run) else f"a network of the {experiment.model.name} family"
    )
    dataset = "images given in Python" if "data" in _given(run) else experiment.data.dataset.name
    task = f"draw the images of {dataset} again" if run.reconstructs else f"classify {dataset}"
    if not limits:
        return f"How well does {network} {task} after {words.count(experiment.training.epochs, 'epoch')}?"
    return f"Can {network} {task} with {words.listed(limits)}?"


def _limits(contract: Contract) -> list[str]:
    told = (
        (contract.min_test_accuracy_percent, "at least {} % of the test images right"),
        (contract.min_val_accuracy_percent, "at least {} % of the validation images right"),
        (contract.max_parameters, "no more than {} parameters"),
        (contract.max_epochs, "no more than {} epochs"),
        (contract.max_seconds, "no more than {} seconds of training"),
    )
    return [text.format(words.number(limit)) for limit, text in told if limit is not None]


def _protocol(run: Run) -> str:
    """Say what was looked at, and when."""
    protocol, split = run.experiment.protocol, run.split()
    test = f"the {words.count(split['test'], 'test image')}"
    once = f"{test[0].upper()}{test[1:]} were evaluated once, at the end."
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
        start = "No images were held out, and the result is the last epoch, so nothing was chosen by looking."
        return f"{start} {every if protocol.test_each_epoch else once}"
    chosen = {
        "best": f"and the epoch with the {highest} test {metric} is the result",
        "last": "and the result is the last epoch",
    }[protocol.select]
    if protocol.select == "last" and run.experiment.chosen_on:
        chosen += f", which early stopping chose by the test {metric}"
    return f"No images were held out: {test} served for validation after every epoch, {chosen}."


def _facts(run: Run) -> list[Fact]:
    experiment, training = run.experiment, run.experiment.training
    facts = [
        Fact("Model", "given in Python" if "model" in _given(run) else words.spelled(experiment.model)),
        Fact("Loss", words.spelled(training.loss)),
        Fact("Optimizer", words.spelled(training.optimizer)),
        Fact("Schedule", words.spelled(training.schedule)),
        Fact("Batch size", f"{training.batch_size:,} images"),
        Fact("Epochs planned", f"{training.epochs:,}"),
        *_copies(experiment),
        Fact("Augmentations", _augmentations(experiment)),
        Fact("Initial weights", f"{words.spelled(training.initialise)}, from seed {run.seed}"),
    ]
    if training.early_stopping:
        facts.append(Fact("Early stopping", f"after {training.early_stopping.patience} epochs without improvement"))
    return facts


def _copies(experiment: Experiment) -> list[Fact]:
    """Return what each training image stands in the training set as, where that is more than itself."""
    copies = experiment.data.expansion
    if not copies:
        return []
    told = [" and ".join(map(words.spelled, copy)) or "as it is" for copy in copies]
    return [Fact("Copies of each training image", "; ".join(told))]


def _augmentations(experiment: Experiment) -> str:
    choices: list[Choice] = experiment.data.augmentations
    if not choices:
        return "none"
    where = "training images only" if experiment.protocol.augment == "train" else "training, validation and test images"
    return f"{', '.join(map(words.spelled, choices))}; {where}"


def _given(run: Run) -> list[str]:
    return run.environment.get("given_in_python", [])
