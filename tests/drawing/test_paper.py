"""The paper: every kind of block is on it, nothing reaches over its edges, its text can be selected."""

import io
import re
import shutil
import subprocess
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from classlab.drawing import charts, paper
from classlab.drawing.blocks import (
    Code,
    Column,
    Document,
    Drawing,
    Fact,
    Facts,
    Figure,
    Figures,
    Heading,
    Number,
    Numbers,
    Picture,
    Pictures,
    Section,
    Strip,
    Strips,
    Table,
    Verdict,
    Words,
)  # fmt: skip

LONG = "unbreakable" * 30
HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.5, 0.3, 0.2], "val_loss": [0.6, 0.4, 0.35]})
IMAGE = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)


def tower(rows, _palette):
    """A drawing of `rows` numbered rows, 58 units each, below a head of 34."""
    font = 'font-size="13" font-family="Liberation Sans, DejaVu Sans, Arial, sans-serif"'
    lines = "".join(f'<text x="9" y="{64 + 58 * n}" {font}>row {n}</text>' for n in range(rows))
    tall = 34 + 58 * rows
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 {tall}" width="460" height="{tall}">{lines}</svg>'


def paper_of(*blocks, **fields):
    return Document("A title", "below it", (Section("One section", blocks),), **fields)


def figure(name):
    return Figure(name, f"caption of {name}", "described", partial(charts.loss, HISTORY))


EVERY = (
    Words("words $x_1 #let *b* @ref <label> // & ½ −"),
    Heading("a heading"),
    Verdict("bad", "Contract not kept", "because"),
    Numbers((Number("label", "99.43 %", "a note"), Number("other", "5"))),
    Facts((Fact("fact", LONG),), "facts"),
    Table(
        "t",
        "a table",
        (Column("name", "code"), Column("share", "percent"), Column("kept", "check")),
        (("convolutions.0.weight", 0.5, True), (LONG, None, False)),
        ("total", 1.0, None),
    ),
    Figures((figure("a"), figure("b"), figure("c"))),
    Drawing("d", "a drawing", partial(tower, 3)),
    Pictures("a gallery", tuple(Picture(IMAGE, "p", ("predicted 3", "true 5"), "bad") for _ in range(11))),
    Strips("strips", ("class", "one", "two"), (("zero", (Strip(np.stack([IMAGE] * 6), "s"),) * 2),)),
    Code("classlab run\n  indented", "code"),
)


@pytest.fixture(scope="module")
def every():
    document = paper_of(*EVERY, byline=(Fact("Author", LONG),), mark="QUICK: shortened", footer="the foot")
    return document, paper.document_pdf(document)


def text_of(pdf, tmp_path, *options):
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine")
    (tmp_path / "made.pdf").write_bytes(pdf)
    command = ["pdftotext", *options, tmp_path / "made.pdf", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def ink_in_margins(document, millimetres):
    """Return how many pixels of the outermost millimetres to the left and right are not white, on all pages."""
    inked = 0
    for page in paper.document_pages(document, 50):
        grey = np.asarray(Image.open(io.BytesIO(page)).convert("L"))
        edge = round(millimetres * grey.shape[1] / 210)
        inked += int((grey[:, :edge] < 250).sum() + (grey[:, -edge:] < 250).sum())
    return inked


def test_every_kind_of_block_can_be_read_and_selected(every, tmp_path):
    text = " ".join(text_of(every[1], tmp_path).split()).replace("\u00a0", " ")
    for told in (
        "A title", "below it", "One section", "words $x_1 #let *b* @ref <label> // & ½ −", "a heading",
        "Contract not kept", "99.43 %", "a note", "fact", "Table 1. a table", "50.00 %", "not kept", "total",
        "Figure 1. caption of a", "Figure 3. caption of c", "validation", "epoch", "row 2", "a gallery", "predicted 3",
        "strips", "zero", "classlab run", "the foot",
    ):  # fmt: skip
        assert told in text, told
    assert "convolutions.0.weight" in text.replace("\u200b", "").replace(" ", "")


def test_nothing_reaches_over_the_edges(every):
    assert ink_in_margins(every[0], 15) == 0


def test_the_mark_stands_on_every_page(every, tmp_path):
    pages = text_of(every[1], tmp_path).split("\f")[:-1]
    assert len(pages) > 1
    assert all("QUICK: shortened" in page for page in pages)
    assert all(f"{number}/{len(pages)}" in page.replace(" ", "") for number, page in enumerate(pages, 1))


def test_a_long_table_breaks_and_repeats_its_head(tmp_path):
    columns = tuple(Column(f"column {n}", "count") for n in range(12))
    table = Table("t", "long", columns, tuple(tuple(range(row, row + 12)) for row in range(150)))
    document = paper_of(table)
    pages = text_of(paper.document_pdf(document), tmp_path, "-layout").split("\f")[:-1]
    assert len(pages) >= 3
    assert all("column 11" in page for page in pages)
    assert ink_in_margins(document, 15) == 0


def test_a_tall_drawing_is_cut_between_its_rows_and_stays_readable(tmp_path):
    document = paper_of(Drawing("d", "tall", partial(tower, 40), top=34, row=58))
    text = text_of(paper.document_pdf(document), tmp_path)
    assert all(re.search(rf"row {number}\b", text) for number in range(40))
    assert ink_in_margins(document, 15) == 0
    assert len(paper.document_pages(document, 10)) <= 2


def test_a_long_document_has_a_list_of_contents(tmp_path):
    sections = tuple(Section(f"Section {number}", (Words("many words " * 500),)) for number in range(9))
    text = text_of(paper.document_pdf(Document("t", "", sections)), tmp_path)
    assert text.count("Section 8") >= 2
    short = text_of(paper.document_pdf(Document("t", "", sections[:2])), tmp_path)
    assert short.split("\f")[0].count("Section 0") == 1


def test_the_same_document_gives_the_same_pages(every):
    first, second = (paper.document_pages(every[0], 40) for _ in range(2))
    assert first == second
