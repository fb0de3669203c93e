"""One map: why a network needs an activation, by numbers: its trained matrices multiplied out into a single one."""

from typing import TYPE_CHECKING

from classlab.drawing.blocks import Block, Column, Table, Words
from classlab.errors import UserError
from classlab.report import reconstructed, words
from classlab.report.material import Material
from classlab.runs.finished import FinishedRun

if TYPE_CHECKING:
    from classlab.network.linear_map import OneMap

ROUNDING = 1e-9  # of the outputs: a difference below is that of the order of sums in float64
COLUMNS = (
    Column("network"),
    Column("linear layers", "count"),
    Column("activations", "count"),
    Column("largest output", "figure"),
    Column("largest difference", "figure"),
    Column("same class", "percent"),
    Column("test accuracy", "percent"),
    Column("of the one matrix", "percent"),
)


def blocks(material: Material) -> list[Block]:
    """Return the table of networks multiplied out, and what it says of activations."""
    found, excuses = dict[str, tuple["OneMap", float, float]](), list[Block]()
    for name, run in ((name, runs[0]) for name, runs in material.present.items()):
        if run.status == "diverged":
            excuses.append(Words(f"The run {name} {run.sentence()}, so there is nothing to multiply out."))
            continue
        try:
            found[name] = _multiplied(run)
        except UserError as error:
            excuses.append(Words(f"The network {name} cannot be multiplied out: {error}."))
    return [*excuses, *_compared(found), *material.missing()]


def _compared(found: "dict[str, tuple[OneMap, float, float]]") -> list[Block]:
    """Return what the maps are, a row for each, and whether it can stand in the network's place."""
    if not found:
        return []
    rows = tuple(
        (name, it.layers, it.activations, f"{it.largest_output:.3g}", f"{it.largest_difference:.2g}", it.same_class,
         of_network, of_matrix)
        for name, (it, of_network, of_matrix) in found.items()
    )  # fmt: skip
    caption = (
        "The trained matrices multiplied out into one, in float64, beside the network itself on all test images; "
        "differences are of outputs before softmax"
    )
    why = _why(next(iter(found.values()))[0])
    verdicts = [Words(_verdict(name, it)) for name, (it, _, _) in found.items()]
    return [Words(why), Table("one-map", caption, COLUMNS, rows), *verdicts]


def _multiplied(run: FinishedRun) -> "tuple[OneMap, float, float]":
    """Return the one map, and the test accuracy of the network and of the map."""
    import torch

    from classlab.network.linear_map import multiply_out

    images = run.images("test")
    inputs = torch.cat(
        [images.batch(part, [], None)[0] for part in torch.arange(len(images)).split(reconstructed.PART)]
    )
    model = run.built()
    found = multiply_out(model, inputs)
    of_matrix = (inputs.flatten(1).double() @ found.matrix.T + found.offset).argmax(1)
    with torch.no_grad():
        of_network = model(inputs).argmax(1)
    right = [float((answers == images.labels).double().mean()) for answers in (of_network, of_matrix)]
    return found, right[0], right[1]


def _why(found: "OneMap") -> str:
    classes, inputs = found.matrix.shape
    return (
        "Without an activation between them two linear layers are one: B(Ax + a) + b = (BA)x + (Ba + b), and so is "
        f"any number of them. Here they come to one matrix of {classes} × {inputs:,} and {classes} offsets, "
        f"{found.matrix.numel() + found.offset.numel():,} numbers, whatever stands between."
    )


def _verdict(name: str, found: "OneMap") -> str:
    """Say whether the multiplied matrix can stand in the network's place."""
    share = words.percent(found.same_class)
    text = (
        f"The network {words.quoted(name)} has {words.count(found.activations, 'activation')} between its "
        f"{words.count(found.layers, 'linear layer')}: its outputs, up to {found.largest_output:.3g}, differ from "
        f"those of the one matrix by at most {found.largest_difference:.2g}"
    )
    if found.largest_difference <= ROUNDING * max(found.largest_output, 1.0):
        return f"{text}, which is float64 rounding, and {share} of the images get the same class. It is one linear map."
    return f"{text}, and {share} of the images get the same class. It is not one linear map."
