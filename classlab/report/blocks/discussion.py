"""Discussion: what the numbers say, one function a finding. A sentence stands here only when its numbers do."""

import math

from classlab import metrics, statistics
from classlab.drawing.blocks import Block, Words
from classlab.errors import UserError
from classlab.report import outcome, words
from classlab.report.material import Material
from classlab.report.outcome import PROBABILITY_LOSSES, Outcome
from classlab.runs import records, store
from classlab.runs.finished import FinishedRun

SURE = 0.99
NAMES = {"val": "validation", "test": "test"}
WINDOW = 3  # epochs whose mean is compared with that of as many before them


def blocks(material: Material) -> list[Block]:
    """Return a paragraph for each finding on the first run of each name."""
    return material.first_of_each(_of_run)


def _of_run(run: FinishedRun) -> list[Block]:
    if run.history.empty:
        return []
    result = outcome.of_run(run)
    findings = [trouble(run), gap(run), still_rising(run), overfitting(run)]
    if result is not None and run.status == "finished":
        findings += [margin(run), agreement(run), confused_pair(result), classes_apart(result), sure_mistakes(result)]
    return [Words(text) for text in findings if text]


def trouble(run: FinishedRun) -> str:
    """Say where a run went wrong that did not finish well."""
    history = run.history
    if run.status == "diverged":
        losses = [str(name) for name in history if str(name).endswith("_loss")]
        broken = next((name for name in losses if not math.isfinite(history[name].iloc[-1])), "test_loss")
        which = metrics.words(broken)
        last = history["train_loss"].iloc[-2] if len(history) > 1 else None
        before = "from the first epoch on" if last is None else f"after a train loss of {last:.4g} in the epoch before"
        return (
            f"The {which} was not finite in epoch {int(history['epoch'].iloc[-1])}, {before}; the learning rate was "
            f"{history['learning_rate'].iloc[-1]:.3g} there. That the run diverged is its result, and it counts as one "
            "wherever runs are compared."
        )
    if run.status == "did_not_learn":
        first, last = history["train_loss"].iloc[0], history["train_loss"].iloc[-1]
        guessing = math.log(run.environment["classes"])
        text = f"The train loss went from {first:.4f} to {last:.4f}"
        if run.experiment.training.loss.name in PROBABILITY_LOSSES:
            text += f"; answering every class with equal confidence costs {guessing:.4f}"
        return f"{text}. That the run did not learn is its result."
    return ""


def gap(run: FinishedRun) -> str:
    """Compare training and validation accuracy at the selected epoch, and say what the training figure is."""
    row, name = _selected(run), _validated(run)
    if run.status != "finished" or name is None or "train_accuracy" not in row:
        return ""
    train, held_out = row["train_accuracy"], row[f"{name}_accuracy"]
    images, noise = f"{NAMES[name]} images", 2 * _standard_error(held_out, _count(run, name))
    opening = (
        f"In epoch {int(row['epoch'])} the network got {words.percent(train)} of the training images right and "
        f"{words.percent(held_out)} of the {images}. "
    )
    if abs(train - held_out) <= noise:
        opening += (
            f"The gap of {words.points(train - held_out)} is within the {words.points(noise)} that chance allows on "
            f"{_count(run, name):,} {images}."
        )
    else:
        opening += (
            f"The gap of {words.points(train - held_out)} is larger than the {words.points(noise)} that chance allows "
            f"on {_count(run, name):,} {images}."
        )
    return f"{opening} {_reading_of_gap(run, train - held_out > noise, images)}"


def _reading_of_gap(run: FinishedRun, better_on_training: bool, images: str) -> str:
    if not run.experiment.protocol.train_is_running("accuracy"):
        plan = run.experiment
        also = "Both were measured at the end of the epoch"
        if plan.data.augmentations and plan.protocol.augment == "train":
            also += ", the training images augmented and the others as they are"
        return f"{also}: it does better on what it was trained on." if better_on_training else f"{also}."
    also = ", and on augmented images" if run.experiment.data.augmentations else ""
    running = f"The training figure is the running one, measured while the weights were still changing{also}"
    if better_on_training:
        return f"{running}. It is nevertheless higher, so the network does better on what it was trained on."
    return f"{running}, so the two are not measured in the same way."


def still_rising(run: FinishedRun) -> str:
    """Say whether the last epochs still made the network better, against what chance alone would do."""
    name = _validated(run)
    if run.status != "finished" or name is None or len(run.history) < 2 * WINDOW:
        return ""
    curve = run.history[f"{name}_accuracy"]
    late, before = float(curve.iloc[-WINDOW:].mean()), float(curve.iloc[-2 * WINDOW : -WINDOW].mean())
    opening = (
        f"Over the last {WINDOW} epochs the {NAMES[name]} accuracy was {words.percent(late)} on average, "
        f"over the {WINDOW} before {words.percent(before)}"
    )
    change, noise = words.points(late - before), 2 * _standard_error(late, _count(run, name))
    if abs(late - before) <= noise:
        return (
            f"{opening}. The change of {change} is within the {words.points(noise)} that chance allows, so the curve "
            "had levelled off as far as these images can tell."
        )
    if late > before:
        return f"{opening}. It was still rising, by {change}, and longer training may give more."
    return f"{opening}. It was falling, by {change}; fewer epochs would have done better."


def overfitting(run: FinishedRun) -> str:
    """Say whether the validation loss turned upwards while the train loss went on falling."""
    name = run.experiment.protocol.validate_on
    if run.status != "finished" or f"{name}_loss" not in run.history or len(run.history) < 4:
        return ""
    losses = run.history[["epoch", "train_loss", f"{name}_loss"]].astype(float)
    lowest = losses.iloc[int(losses[f"{name}_loss"].to_numpy().argmin())]
    last = losses.iloc[-1]
    rise = last[f"{name}_loss"] / lowest[f"{name}_loss"] - 1 if lowest[f"{name}_loss"] > 0 else 0.0
    if rise < 0.1 or last["train_loss"] >= lowest["train_loss"]:
        return ""
    return (
        f"The {NAMES[name]} loss was lowest in epoch {int(lowest['epoch'])}, {lowest[f'{name}_loss']:.4f}, and rose "
        f"to {last[f'{name}_loss']:.4f} by epoch {int(last['epoch'])}. Meanwhile the train loss went on falling from "
        f"{lowest['train_loss']:.4f} to {last['train_loss']:.4f}. That is overfitting: it memorised its training "
        "images."
    )


def margin(run: FinishedRun) -> str:
    """Say in images how far the accuracy is from its limit, and whether chance could turn the verdict."""
    limit = run.experiment.contract.min_test_accuracy_percent
    correct, total = run.summary.get("test_correct"), run.summary.get("test_total")
    if limit is None or correct is None or not total:
        return ""
    low, high = statistics.wilson(correct, total)
    interval = f"95 % interval, {100 * low:.2f} to {100 * high:.2f} %"
    needed = math.ceil(limit / 100 * total - 1e-9)
    spare = correct - needed
    distance = (
        f"{words.count(abs(spare), 'image')} {'to spare' if spare >= 0 else 'too few'}"
        if spare
        else "exactly at the limit"
    )
    opening = f"The limit of {limit:g} % is {words.count(needed, 'image')} right; this run has {correct:,}, {distance}."
    if low <= limit / 100 <= high:
        return (
            f"{opening} The limit lies inside the {interval}. On other images of the same kind this network could "
            "fall on either side of it. One seed cannot say how others would do."
        )
    side = "above" if spare >= 0 else "below"
    return f"{opening} The whole {interval}, lies {side} the limit."


def agreement(run: FinishedRun) -> str:
    """Compare validation and test accuracy of the selected weights: they should differ by chance only."""
    val, test = (records.figure(run.summary, key) for key in ("val_accuracy", "test_accuracy"))
    total = run.summary.get("test_total")
    held_out = len(run.split()["val"])
    if val is None or test is None or not total or not held_out:
        return ""
    noise = 2 * math.hypot(_standard_error(val, held_out), _standard_error(test, total))
    opening = (
        f"Validation ({words.percent(val)} of {held_out:,}) and test ({words.percent(test)} of {total:,}) differ by "
        f"{words.points(val - test)}"
    )
    if abs(val - test) <= noise:
        return f"{opening}, within the {words.points(noise)} that chance allows."
    reason = "the validation set chose the epoch" if run.experiment.chosen_on and val > test else ""
    return f"{opening}, more than the {words.points(noise)} that chance allows{'; ' + reason if reason else ''}."


def confused_pair(result: Outcome) -> str:
    """Name the two classes that are mistaken for each other most."""
    pairs = result.pairs()
    mistakes = int((~result.right).sum())
    if not pairs:
        return f"The network made no mistake on the {words.count(len(result.labels), 'test image')}."
    worst = pairs[0]
    if len(pairs) > 1 and pairs[1].both == worst.both:
        return ""
    first, second = (words.quoted(result.class_names[label]) for label in (worst.first, worst.second))
    back = f"{_times(worst.back)} the other way" if worst.back else "never the other way"
    return (
        f"{first} and {second} are confused most. {first} was taken for {second} {_times(worst.there)} and {back}: "
        f"{worst.both:,} of the {words.count(mistakes, 'mistake')} ({words.percent(worst.both / mistakes, 0)})."
    )


def classes_apart(result: Outcome) -> str:
    """Name the best and the worst known class, and say whether they can be told apart."""
    totals = result.matrix.sum(axis=1)
    right = result.matrix.diagonal()
    known = [label for label in range(len(totals)) if totals[label]]
    worst = min(known, key=lambda label: right[label] / totals[label])
    best = max(known, key=lambda label: right[label] / totals[label])
    if right[worst] / totals[worst] == right[best] / totals[best]:
        return ""
    shares = [words.percent(right[label] / totals[label]) for label in (worst, best)]
    intervals = [statistics.wilson(int(right[label]), int(totals[label])) for label in (worst, best)]
    as_good = sum(right[label] / totals[label] == right[best] / totals[best] for label in known)
    winner = words.quoted(result.class_names[best]) if as_good == 1 else f"{as_good} classes"
    each = "" if as_good == 1 else " each"
    opening = (
        f"{words.quoted(result.class_names[worst])} is recognised worst, {shares[0]} right, "
        f"and {winner} best, {shares[1]}{each}"
    )
    if intervals[0][1] >= intervals[1][0]:
        return f"{opening}. Their 95 % intervals overlap, so this test set does not decide the order of the classes."
    return f"{opening}; their 95 % intervals do not overlap."


def sure_mistakes(result: Outcome) -> str:
    """Say how many mistakes were made with great confidence, and how often the network is that sure."""
    mistakes, sure = int((~result.right).sum()), result.confidence >= SURE
    if not mistakes or not sure.any():
        return ""
    wrong, images = int((sure & ~result.right).sum()), int(sure.sum())
    opening = f"The network was at least {100 * SURE:g} % sure of {words.count(images, 'image')}"
    if not wrong:
        return (
            f"{opening}, and right on all of them: it made its {words.count(mistakes, 'mistake')} with less confidence."
        )
    return (
        f"{opening} and wrong on {wrong:,} of them ({words.percent(wrong / images)}), "
        f"which is {words.percent(wrong / mistakes, 1)} of its {words.count(mistakes, 'mistake')}."
    )


def _selected(run: FinishedRun) -> "dict[str, float]":
    history = run.history
    chosen = history[history["epoch"] == run.summary.get("selected_epoch", history["epoch"].iloc[-1])]
    if chosen.empty:
        raise UserError(f"{run.path / store.METRICS} lacks epoch {run.summary['selected_epoch']}, which is the result")
    return chosen.iloc[0].to_dict()


def _validated(run: FinishedRun) -> str | None:
    """Return the split that was evaluated after every epoch, if there was one and it has figures."""
    name = run.experiment.protocol.validate_on
    return name if name != "none" and f"{name}_accuracy" in run.history else None


def _count(run: FinishedRun, name: str) -> int:
    split = run.split()
    return len(split["val"]) if name == "val" else split["test"]


def _standard_error(share: float, images: int) -> float:
    """The standard error of a share, kept off zero at 0 and 1 by half an image."""
    kept = min(max(share, 0.5 / images), 1 - 0.5 / images)
    return math.sqrt(kept * (1 - kept) / images)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")
