"""Sound accuracy: what the part's runs reach when no test image had a say, and how close that is to the target."""

from collections.abc import Sequence

from classlab import statistics
from classlab.drawing.blocks import Block, Figures, Number, Numbers, Words
from classlab.report import curve_figures, words
from classlab.report.material import Material, ended_badly
from classlab.report.spec import Part
from classlab.runs.finished import FinishedRun


def blocks(material: Material) -> list[Block]:
    """Return the protocol, the figures of each name, the curves, and the distance to each limit of the part."""
    found: list[Block] = []
    for name, runs in material.present.items():
        found += [Words(_protocol(name, runs[0])), _numbers(runs)]
        found += [Words(text) for text in _limits(material.part, name, runs)]
    chart = curve_figures.figure(material, "accuracy")
    found += [Figures((chart,))] if chart else []
    sentence = ended_badly(material.runs)
    return [*found, *([Words(sentence)] if sentence else []), *material.missing()]


def _protocol(name: str, run: FinishedRun) -> str:
    """Say what was looked at, and when."""
    protocol, split = run.experiment.protocol, run.split()
    trained, tested = words.count(len(split["train"]), "image"), words.count(split["test"], "test image")
    opening = f"The run {words.quoted(name)} is the experiment {run.experiment.name}, trained on {trained}"
    if protocol.validate_on == "test":
        return (
            f"{opening}. The {tested} were watched every epoch, so this reading is not one of images never looked at."
        )
    held = f", with {words.count(len(split['val']), 'image')} held out to watch" if split["val"] else ""
    chosen = "the last epoch is the result, whatever it is" if protocol.select == "last" else "which chose the epoch"
    when = (
        "were evaluated after every epoch, for the curve, and chose nothing"
        if protocol.test_each_epoch
        else "were evaluated once, at the end"
    )
    return f"{opening}{held}; {chosen}. The {tested} {when}."


def _numbers(runs: Sequence[FinishedRun]) -> Numbers:
    accuracies = _accuracies(runs)
    estimate = statistics.over_seeds(accuracies, images=runs[0].summary["test_total"]) if accuracies else None
    note = estimate.sentence.partition(", ")[2] if estimate and estimate.n > 1 else ""
    if len(accuracies) == 1:
        low, high = next(run.summary["test_interval"] for run in runs if run.summary.get("test_interval"))
        note = f"one seed; 95 % Wilson interval {100 * low:.2f} to {100 * high:.2f} %"
    summary = runs[0].summary
    numbers = [Number("Test accuracy", words.percent(estimate.mean) if estimate else "none", note)]
    if summary.get("val_accuracy") is not None:
        mean = statistics.over_seeds(
            [value for run in runs if (value := run.summary.get("val_accuracy")) is not None]
        ).mean
        numbers.append(Number("Validation accuracy", words.percent(mean)))
    numbers.append(Number("Parameters", f"{summary['parameters']:,}"))
    numbers.append(Number("Epochs", f"{summary['epochs']:,}", words.duration(summary["seconds"])))
    return Numbers(tuple(numbers))


def _accuracies(runs: Sequence[FinishedRun]) -> list[float]:
    return [run.summary["test_accuracy"] for run in runs if run.summary.get("test_accuracy") is not None]


def _limits(part: Part, name: str, runs: Sequence[FinishedRun]) -> list[str]:
    """Set the mean beside each limit that the report wanted to reach."""
    accuracies, sentences = _accuracies(runs), list[str]()
    for value in part.values:
        if (value.of, value.claim, value.metric) == (name, "at_least", "test_accuracy") and accuracies:
            limit, mean = value.limit, statistics.over_seeds(accuracies).mean
            side = "above" if mean >= limit else "below"
            reached = sum(accuracy >= limit for accuracy in accuracies)
            which = f"{reached} of {words.count(len(runs), 'run')} reach"
            if len(runs) == 1:
                which = "the run reaches" if reached else "the run does not reach"
            sentences.append(
                f"That is {words.points(mean - limit)} {side} {words.percent(limit)}, "
                f"{value.what.partition(' of')[0]}; {which} it."
            )
    return sentences
