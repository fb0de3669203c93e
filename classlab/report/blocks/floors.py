"""Floors: the loss that no training gets under, beside the loss that was reached."""

import math

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.report import reconstructed, words
from classlab.report.material import Material, excused
from classlab.report.reconstructed import Floors
from classlab.runs import records
from classlab.runs.finished import FinishedRun

SILENT_IMAGES = 4000  # of the training set, on which silent outputs are looked for
NAMES = {"train": "training", "val": "validation", "test": "test"}


def blocks(material: Material) -> list[Block]:
    """Return what the network's last layer cannot give, what that costs, and the losses beside it."""

    def of_run(run: FinishedRun) -> list[Block]:
        if not run.reconstructs:
            loss = run.experiment.training.loss.name
            return material.lacking(f"{run.experiment.name} has no floor: its loss is {loss}.")
        if run.status in ("diverged", "incomplete"):
            return material.lacking(f"The run {run.sentence()}, so there is no loss to compare with a floor.")
        found = reconstructed.floors(run)
        return _floors(run, found) if found else material.lacking("Its floor cannot be computed here.")

    return material.first_of_each(excused(of_run))


def _floors(run: FinishedRun, found: Floors) -> list[Block]:
    """Say what the last layer cannot reach, and set the losses beside it."""
    from classlab.network.reconstruction import floor_sentence

    floor = found.of_each["train"]
    text = floor_sentence(floor, found.low, found.high)
    if floor and found.foreseen is not None:
        text += (
            " Nothing in an image predicts its noise. The best that a network can do is to give the noise's mean "
            f"instead, and that loss cannot get below {found.foreseen:.4f}."
        )
    if max(found.of_each.values()) > 1.01 * min(found.of_each.values()):
        text += " That is on the training images as they are trained on; the other splits have their own floors."
    blocks: list[Block] = [Words(text)]
    if any(found.of_each.values()):
        blocks.append(_floor_table(run, found))
    if math.isfinite(found.low):
        blocks.append(Words(_silence(run, found)))
    return blocks


def _floor_table(run: FinishedRun, found: Floors) -> Table:
    columns = (
        Column("images"),
        Column("floor", "number", 4),
        Column("loss", "number", 4),
        Column("loss above the floor", "number", 4),
    )
    rows = []
    for split, floor in found.of_each.items():
        loss = records.figure(run.summary, f"{split}_loss")
        rows.append((NAMES[split], floor, loss, None if loss is None else loss - floor))
    note = "; the training loss is the running one" if run.experiment.protocol.train_is_running("loss") else ""
    return Table("floors", f"The floor on the images of each split, and the loss on them{note}", columns, tuple(rows))


def _silence(run: FinishedRun, found: Floors) -> str:
    """Say how many outputs never wake, and what that costs, on training images from all over the set."""
    import torch

    from classlab.network.reconstruction import silent_outputs

    model, copies = run.built(), run.experiment.data.copies
    every = max(1, len(run.split()["train"]) * copies // SILENT_IMAGES)
    met = [
        (reconstructed.reconstruct(model, inputs), targets)
        for inputs, targets, _ in reconstructed.batches(run, "train", every)
    ]
    outputs, targets = (torch.cat(parts) for parts in zip(*met, strict=True))
    silent, cost = silent_outputs(outputs, targets, found.low)
    total, seen = outputs[0].numel(), words.count(len(outputs), "training image")
    if not silent:
        return f"None of the {total:,} outputs is silent: each gives more than {found.low:g} on some of {seen}."
    above = float((outputs - targets).double().square().mean()) - found.of_each["train"]
    share = f", {words.percent(cost / above, 0)} of what lies above the floor" if 0 < cost <= above else ""
    verb = "gives" if silent == 1 else "give"
    return (
        f"Of the {total:,} outputs {silent:,} {verb} {found.low:g} on every one of {seen}. The activation is flat "
        "there, so no gradient comes through it: the weights of such an output stand still, and it wakes only if the "
        f"layers before it change. Silence costs {cost:.4f} of the error on these images{share}."
    )
