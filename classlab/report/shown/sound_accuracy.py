"""Sound accuracy: what the part's runs reach when no test image had a say, and how close that is to the target."""

from collections.abc import Sequence

from classlab import statistics
from classlab.drawing.blocks import Block, Figures, Number, Numbers, Words
from classlab.report import curves_of_parts, words
from classlab.report.of_parts import Runs, ended_badly, missing, without
from classlab.report.published import Part
from classlab.report.verdicts import limit_of
from classlab.runs.finished import FinishedRun as Run


def blocks(part: Part, runs: Runs) -> list[Block]:
    """Return the protocol, the figures of each name, the curves, and the distance to each limit of the part."""
    shown: list[Block] = []
    for name, of in runs.items():
        if of:
            shown += [Words(_protocol(name, of[0])), _numbers(of)]
            shown += [Words(text) for text in _limits(part, name, of)]
    chart = curves_of_parts.figure(part, runs, "accuracy", list(runs))
    shown += [Figures((chart,))] if chart else []
    told = ended_badly(runs)
    return [*shown, *([Words(told)] if told else []), *missing(without(runs))]


def _protocol(name: str, run: Run) -> str:
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


def _numbers(of: Sequence[Run]) -> Numbers:
    accuracies = _accuracies(of)
    estimate = statistics.over_seeds(accuracies, images=of[0].summary["test_total"]) if accuracies else None
    note = estimate.sentence.partition(", ")[2] if estimate and estimate.n > 1 else ""
    if len(accuracies) == 1:
        low, high = next(run.summary["test_interval"] for run in of if run.summary.get("test_interval"))
        note = f"one seed; 95 % Wilson interval {100 * low:.2f} to {100 * high:.2f} %"
    summary = of[0].summary
    shown = [Number("Test accuracy", words.percent(estimate.mean) if estimate else "none", note)]
    if summary.get("val_accuracy") is not None:
        mean = statistics.over_seeds([run.summary["val_accuracy"] for run in of]).mean
        shown.append(Number("Validation accuracy", words.percent(mean)))
    shown.append(Number("Parameters", f"{summary['parameters']:,}"))
    shown.append(Number("Epochs", f"{summary['epochs']:,}", words.duration(summary["seconds"])))
    return Numbers(tuple(shown))


def _accuracies(of: Sequence[Run]) -> list[float]:
    return [run.summary["test_accuracy"] for run in of if run.summary.get("test_accuracy") is not None]


def _limits(part: Part, name: str, of: Sequence[Run]) -> list[str]:
    """Set the mean beside each limit that the report wanted to reach."""
    accuracies, told = _accuracies(of), []
    for value in part.values:
        if (value.of, value.claim, value.metric) == (name, "at_least", "test_accuracy") and accuracies:
            limit, mean = limit_of(value), statistics.over_seeds(accuracies).mean
            side = "above" if mean >= limit else "below"
            reached = sum(accuracy >= limit for accuracy in accuracies)
            runs = f"{reached} of {words.count(len(of), 'run')} reach"
            if len(of) == 1:
                runs = "the run reaches" if reached else "the run does not reach"
            told.append(
                f"That is {words.points(mean - limit)} {side} {words.percent(limit)}, "
                f"{value.what.partition(' of')[0]}; {runs} it."
            )
    return told
