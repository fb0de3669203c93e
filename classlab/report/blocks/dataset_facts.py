"""Dataset facts: what the images are, how they were split, and where they come from."""

from typing import TYPE_CHECKING

from classlab.drawing.blocks import Block, Fact, Facts
from classlab.errors import UserError
from classlab.report import words
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    from classlab.data.dataset import Dataset


def blocks(material: Material) -> list[Block]:
    """Return the facts of the dataset of each name."""
    return material.first_of_each(_of_run)


def _of_run(run: FinishedRun) -> list[Block]:
    try:
        origin = _origin(run.dataset())
    except UserError:  # whose images cannot be shown either, and there it is said why
        origin = []
    return [Facts((*_facts(run), *origin))]


def _facts(run: FinishedRun) -> list[Fact]:
    environment, split = run.environment, run.split()
    channels, height, width = environment["input_shape"]
    copies = len(run.experiment.data.expansion)
    times = f" in {copies} copies, {copies * len(split['train']):,} an epoch" if copies > 1 else ""
    sizes = [f"{words.count(len(split['train']), 'image')} for training{times}"]
    if split["val"]:
        sizes.append(f"{len(split['val']):,} for validation")
    sizes.append(f"{split['test']:,} for the test")
    colours = {1: "grey", 3: "red, green and blue"}.get(channels, f"{channels} channels")
    mean, std = environment["normalise"]["mean"], environment["normalise"]["std"]
    return [
        Fact("Dataset", environment["dataset"]["name"]),
        *_classes(run),
        Fact("Split", "; ".join(sizes) if times else words.listed(sizes)),
        Fact("One image", f"{height} × {width} pixels, {colours}"),
        Fact("Normalised with", f"mean {_numbers(mean)}, standard deviation {_numbers(std)}, on the 0 … 1 scale"),
        Fact("Source", environment["dataset"]["source"]),
        Fact("SHA-256 of the arrays", environment["dataset"]["digest"]),
    ]


def _classes(run: FinishedRun) -> list[Fact]:
    """Return which classes were taken, where the experiment takes a part of them."""
    plan, names = run.experiment.data, run.environment["class_names"]
    if plan.classes is None:
        return []
    if plan.labels == "keep":
        names = [names[label] if isinstance(label, int) else label for label in plan.classes]
    text = words.listed(names)
    outputs = run.environment["classes"]
    if outputs > len(names) and not run.reconstructs:
        text += f"; their labels are as they were, so the network has {outputs} outputs"
    return [Fact("Classes taken", text)]


def _origin(dataset: "Dataset") -> list[Fact]:
    known = (("Licence", dataset.licence), ("Citation", dataset.citation))
    return [Fact(label, value) for label, value in known if value]


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
