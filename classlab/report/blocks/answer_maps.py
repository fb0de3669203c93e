"""Answer maps: what in the most confident mistakes spoke for the wrong class and for the right one."""

from collections.abc import Sequence

from classlab.drawing.blocks import Block, Column, Picture, Pictures, Table, Words
from classlab.drawing.heat_maps import KEY
from classlab.drawing.thumbnails import smaller
from classlab.errors import UserError
from classlab.progress import progress
from classlab.report import outcome, words
from classlab.report.material import Material, excused
from classlab.runs.finished import FinishedRun
from classlab.use.evidence import CHECKED, WORDS, Evidence, Network

IMAGES = 6


def blocks(material: Material) -> list[Block]:
    """Return, of the first run of each name, maps of its most confident mistakes and what the checks say of them."""

    def of_run(run: FinishedRun) -> list[Block]:
        found = None if run.reconstructs else outcome.of_run(run)
        if found is None:
            return material.lacking(f"There are no answers to look into: the run {run.sentence()}.")
        if not len(found.mistakes()):
            return material.lacking("The network makes no mistakes on its test images, so there is none to look into.")
        return excused(_of_mistakes)(run)

    return material.first_of_each(of_run)


def _of_mistakes(run: FinishedRun) -> list[Block]:
    network = Network(run)
    wrong = network.mistakes(CHECKED)
    methods, lacking = network.methods(), ""
    if "grad_cam" not in methods:
        try:
            network.layer()
        except UserError as error:
            lacking = f"{error}."
    with progress("where the answers came from", 3 * len(methods), "maps") as advance:
        made = list[tuple[Evidence, Evidence]]()
        for method in methods:
            answered = network.evidence(wrong, method)
            advance(1)
            made.append((answered, network.evidence(wrong, method, "true")))
            advance(1)
            answered.check  # noqa: B018 - worked out here, under the bar, and kept
            advance(1)
    blocks: list[Block] = [
        Words(f"What spoke for the answer in the most confident mistakes, and for the true class. {KEY}")
    ]
    blocks += [Words(lacking)] if lacking else []
    blocks += [_mistake(made, place) for place in range(min(IMAGES, len(wrong)))]
    return [*blocks, *_checks(made)]


def _mistake(made: Sequence[tuple[Evidence, Evidence]], place: int) -> Pictures:
    """Return a mistaken image, and beside it the maps of every method for the predicted and for the true class."""
    first = made[0][0]
    index, predicted, true = first.indices[place], first.predicted[place], first.true[place]
    pictures = [Picture(smaller(first.images[place]), f"Test image {index}", ("the image",))]
    for answered, wanted in made:
        for maps, tone in ((answered, "bad"), (wanted, "good")):
            lines = (WORDS[maps.method], *maps.lines(place))
            picture = smaller(maps.picture(place))
            pictures.append(Picture(picture, f"Test image {index}: {', '.join(lines)}", lines, tone))
    caption = f"Test image {index}: predicted {predicted}, true {true}"
    return Pictures(caption, tuple(pictures), f"answer-maps-{index}")


def _checks(made: Sequence[tuple[Evidence, Evidence]]) -> list[Block]:
    """Return what the two checks gave for each method, as figures and in words."""
    columns = (
        Column("method"), Column("maps", "count"), Column("rank correlation", "number"), Column("SSIM", "number"),
        Column("deletion", "number", 3), Column("random order", "number", 3), Column("both checks"),
    )  # fmt: skip
    rows = tuple(
        (WORDS[maps.method], maps.check.images, maps.check.correlation, maps.check.similarity, maps.check.deleted,
         maps.check.at_random, "passed" if maps.check.passed else "not passed")
        for maps, _ in made
    )  # fmt: skip
    caption = (
        "Whether the maps for the answer can be believed. Correlation and similarity are with the maps of the same "
        "network with random weights. Deleted is the area under the curve of the answer's probability while the pixels "
        "that a map names first are deleted, beside that of a random order"
    )
    said = [
        Words(f"{words.capital(WORDS[maps.method])}: {maps.about()}. {words.capital(maps.check.sentence())}.")
        for maps, _ in made
    ]
    return [Table("map-checks", caption, columns, rows), *said]
