"""Variants: what each variant of a study changes."""

from classlab.drawing.blocks import Block, Column, Table
from classlab.report import words
from classlab.report.material import Material
from classlab.study.sweep import COLUMNS_SHOWN, settings


def blocks(material: Material) -> list[Block]:
    """Return the table of settings; nothing where each variant's name says it all."""
    if material.study is None:
        return material.lacking("These runs are not variants of a study.")
    variants = material.study.variants
    columns, changed = settings(variants)
    if len(columns) < 2 and all(
        f"{key}={text}" == name for name, changes in changed.items() for key, text in changes.items()
    ):
        return []
    kept = columns[:COLUMNS_SHOWN]
    rows = tuple((variant.name, *(changed[variant.name].get(column) for column in kept)) for variant in variants)
    caption = "The variants and what they change"
    if len(columns) > len(kept):
        caption += f"; {words.count(len(columns) - len(kept), 'further setting')} below"
    return [Table("settings", caption, (Column("variant"), *(Column(name) for name in kept)), rows)]
