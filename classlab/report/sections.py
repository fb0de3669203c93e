"""A part of a report as a section of the document: its blocks are made in order and set side by side where they fit."""

from collections.abc import Sequence

from classlab import lookup
from classlab.drawing.blocks import Block, Figures, Heading, Section, Words
from classlab.report.material import Material


def section(material: Material, before: Sequence[Block] = ()) -> Section:
    """Return the part of the report that the material is of. before: blocks that stand at its head."""
    blocks = list(before)
    for name in material.part.blocks:
        blocks += lookup.find("block", name)(material)
    return Section(material.part.title, tuple(side_by_side(said_once(blocks))))


def said_once(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks without the sentences that stand under the same heading already."""
    kept, said = list[Block](), set[str]()
    for block in blocks:
        if isinstance(block, Heading):
            said = set()
        if isinstance(block, Words):
            if block.text in said:
                continue
            said.add(block.text)
        kept.append(block)
    return kept


def side_by_side(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks with charts that follow each other side by side, where there is room."""
    joined: list[Block] = []
    for block in blocks:
        before = joined[-1] if joined else None
        if isinstance(block, Figures) and isinstance(before, Figures):
            joined[-1] = Figures((*before.figures, *block.figures))
        else:
            joined.append(block)
    return joined
