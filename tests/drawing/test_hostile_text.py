"""Names from folders, authors and descriptions come in as they are: no drawing ends the process or steers a reader."""

import csv
import io
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest

from classlab.drawing import (
    cells,
    charts,
    codes,
    confusion_matrix,
    figure_files,
    grids,
    page,
    paper,
    render,
    svg,
    written,
)
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
)
from classlab.errors import UserError

HOSTILE = {
    "escape": "a\x1b]0;owned\x07b",
    "null": "a\0b",
    "lines": "a\nb\rc\td",
    "C1": "a\x9bb\x85c",
    "no UTF-8": "a\udcff\udc80b",
    "no characters": "a\ufffe\uffffb",
    "turned round": "a\u202egnp.exe",
    "markup": "[bold]<script>&amp;</script>]]>\"'",
    "formula": "=HYPERLINK(1)",
    "LaTeX": "\\input{/etc/passwd}%$#_{}~^",
    "escapes in text": "a\\x1bb\\",
    "long": "x" * 5_000,
    "all": "".join(map(chr, range(32))) + "\x7f\x80\ud800\ufffe",
}
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
IMAGE = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" width="9" height="9"><text>{}</text></svg>'
HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.5, 0.3], "val_loss": [0.6, 0.4]})


def document(text):
    """A document with the text in every place that takes one."""
    names = [text, "other"]
    matrix = np.array([[3, 1], [0, 4]])
    column = (Column(text), Column("rate", "percent"), Column(text, "code"))
    drawing = SVG.format(svg.words(text))
    blocks = (
        Words(text), Heading(text), Verdict("good", text, text), Numbers((Number(text, text, text),)),
        Facts((Fact(text, text),), text), Code(text[:2000], text), Table("table", text, column, ((text, 0.5, text),)),
        Figures((Figure("confusion", text, text, partial(confusion_matrix.confusion, matrix, names)),)),
        Figures((Figure("loss", text, text, partial(charts.loss, HISTORY, labels={"train": text, "val": "v"})),)),
        Figures((Figure("codes", text, text, partial(codes.codes, np.eye(2), np.arange(2), names)),)),
        Drawing("drawing", text, lambda palette: drawing),
        Pictures(text, (Picture(IMAGE, text, (text, text)),), "gallery"),
        Strips(text, ("class", text), ((text, (Strip(np.stack([IMAGE] * 3), text),)),), "strips"),
    )  # fmt: skip
    return Document(text, text, (Section(text, blocks),), (Fact("Author", text),), text, text)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_page_a_paper_a_notebook_and_files_are_made_of_any_text(kind, tmp_path):
    made = document(HOSTILE[kind])
    html = page.html(made)
    html.encode()
    assert not STEERING.search(html.split("<script>")[0])
    assert "<script>&amp;" not in html
    assert paper.document_pdf(made).startswith(b"%PDF-")
    for data, metadata in cells.bundles(made.sections[0].blocks):
        assert not STEERING.search("".join(text for key, text in data.items() if key.startswith("text")))
        assert not STEERING.search(str(metadata))
    for file in figure_files.write(made, tmp_path / "figures"):
        if file.suffix in {".svg", ".csv", ".tex"}:
            assert not STEERING.search(file.read_text()), file


@pytest.mark.parametrize("kind", HOSTILE)
def test_strips_and_galleries_are_drawn_of_any_text(kind):
    text = HOSTILE[kind]
    strips = Strips(text, ("class", text), ((text, (Strip(np.stack([IMAGE] * 3), text),)),))
    assert render.svg_to_png(grids.strips(strips, title=text, notes=[text])).startswith(b"\x89PNG")
    picture = Picture(IMAGE, text, (text, text), line_tones=("good", "bad"))
    drawing = grids.gallery(Pictures(text, (picture,)), title=text, notes=[text])
    assert render.svg_to_png(drawing).startswith(b"\x89PNG")
    assert not STEERING.search(drawing)


@pytest.mark.parametrize("text", ["a\x1bb", "a\0b", "\ufffe", "\udcff"])
def test_a_drawing_that_somebody_else_made_ends_no_process(text):
    svg = SVG.format(text)
    assert render.svg_to_png(svg).startswith(b"\x89PNG")
    assert render.svg_to_pdf(svg).startswith(b"%PDF-")


def test_a_table_as_csv_holds_no_formula_and_reads_back():
    texts = ["=1+1", "+x", "-x", "@x", "\tx", "'=x", "''@x", "'x", "-5", "+1.5e-3", "plain", "a=b", "", "a\rb"]
    numbers = (-5, -0.25, None, True)
    table = Table("t", "", (Column("=a"), Column("b")), tuple((text, -1.5) for text in texts))
    rows = list(csv.reader(io.StringIO(written.csv_text(table), newline="")))
    assert rows[0] == ["'=a", "b"]
    assert [row[0] for row in rows[1:]] == [
        *("'=1+1", "'+x", "'-x", "'@x", "'\tx", "''=x", "'''@x", "'x", "-5", "+1.5e-3", "plain", "a=b", "", "a\\rb"),
    ]
    assert {row[1] for row in rows[1:]} == {"-1.5"}
    table = Table("t", "", tuple(Column(str(number)) for number in numbers), (numbers,))
    assert written.csv_text(table).splitlines()[1] == "-5,-0.25,,True"


def test_latex_takes_any_text_as_text():
    table = Table("t", "a\nb \\end{table}", (Column("x"),), (("50% \\input{x}\n\n$a_b$\x1b",),))
    text = written.latex(table)
    assert r"50\% \textbackslash{}input\{x\}\textbackslash{}n\textbackslash{}n\$a\_b\$\textbackslash{}x1b" in text
    assert text.count("\\end{table}") == 1


def test_a_very_long_name_is_cut_in_a_chart_before_it_is_measured():
    labels = {"train": "train", "val": "long " * 20_000}
    chart = charts.loss(HISTORY, labels=labels)
    assert len(str(render.specification(chart))) < 10_000
    assert render.png(chart).startswith(b"\x89PNG")


@pytest.mark.parametrize("stands", ["link", "folder"])
def test_a_chart_and_figures_are_written_through_no_link_and_the_old_file_stays(stands, tmp_path):
    outside, place = tmp_path / "outside.svg", tmp_path / "loss.svg"
    outside.write_text("kept")
    place.symlink_to(outside) if stands == "link" else place.mkdir()
    with pytest.raises(UserError, match=r"loss.svg is (a link|there and is not a regular file)"):
        render.save(charts.loss(HISTORY), place)
    figure = Figures((Figure("loss", "", "", partial(charts.loss, HISTORY)),))
    with pytest.raises(UserError, match=r"loss.svg is (a link|there and is not a regular file)"):
        figure_files.write(Document("t", "", (Section("s", (figure,)),)), tmp_path)
    assert outside.read_text() == "kept"
    assert not list(tmp_path.glob("*.part"))
