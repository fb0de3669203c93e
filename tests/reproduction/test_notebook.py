"""A report as a notebook: every part has its cell, and it runs from top to bottom in a kernel of its own."""

import nbformat
import pytest

from classlab.drawing.blocks import Code, Column, Fact, Facts, Heading, Number, Numbers, Table, Verdict, Words
from classlab.drawing.cells import bundles
from classlab.errors import UserError
from classlab.reproduction import notebook, published

REPORT = """\
name: own
title: A small report
question: Does it hold?
runs:
  one:
    experiment: digits-quick
    set:
      model: {name: perceptron, widths: [8]}
      training.epochs: 1
      data.max_per_class: 30
      data.val_size: 100
      data.augmentations: []
parts:
  - title: Network
    runs: [one]
    blocks: [layers, architecture, loss]
    values: [{what: parameters, of: one, metric: parameters, claim: exact, published: 610, source: report}]
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "my-report.yaml").write_text(REPORT)
    return published.load(tmp_path / "my-report.yaml")


@pytest.mark.parametrize("name", published.names())
def test_every_part_has_its_cell_and_every_cell_is_python(name):
    report = published.load(name)
    book = notebook.build(report, quick=True, seeds=2)
    nbformat.validate(book)
    code = [cell.source for cell in book.cells if cell.cell_type == "code"]
    assert f'[report] = cl.reproduce("{name}", quick=True, seeds=2, out=".")\nreport.show()' in code
    assert [f'report.show("{part.title}")' in code for part in report.parts] == [True] * len(report.parts)
    assert "Shortened" in book.cells[0].source
    for text in code:
        compile(text.replace("%pip install", "pass  # "), "cell", "exec")
    assert notebook.build(report, quick=True, seeds=2) == book


def test_it_runs_from_top_to_bottom_and_holds_its_pictures(small, tmp_path):
    (tmp_path / "out").mkdir()
    path = notebook.write(small, tmp_path / "out")
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    shown = {cell.source: cell.outputs for cell in book.cells if cell.cell_type == "code"}
    kinds = [kind for output in shown['report.show("Network")'] for kind in output.data]
    assert kinds.count("image/png") >= 2 and "text/html" in kinds
    assert "holds" in str(shown['report.show("Network")'])
    assert "data:image/svg+xml;base64," in shown["run.curves()"][0].data["text/html"]
    assert not any(output.output_type == "error" for outputs in shown.values() for output in outputs)
    assert "\x1b" not in path.read_text() and "Warning" not in path.read_text()


def test_a_cell_that_fails_is_told(small, tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "IMPORTS", "1 / 0")
    with pytest.raises(UserError, match="the notebook of own stopped: ZeroDivisionError: division by zero"):
        notebook.write(small, tmp_path)
    assert not list(tmp_path.glob("*.ipynb"))


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(notebook, "find_spec", lambda name: None if name == "nbclient" else name)
    with pytest.raises(UserError, match=r"a notebook needs the package nbclient; install classlab\[notebook\]"):
        notebook.check()


def test_words_and_tables_are_escaped():
    table = Table("t", "c", (Column("<a>"), Column("b", "percent")), (("<x>", 0.5),), ("sum", None))
    blocks = [
        Words("<b>"), Heading("<h>"), Verdict("good", "<w>", "<s>"), Numbers((Number("<n>", "<v>", "<o>"),)),
        Facts((Fact("<l>", "<v>"),)), Code("<c>"), table,
    ]  # fmt: skip
    for data, _ in bundles(blocks):
        text = data["text/html"]
        for letter in "abhwsnovlcx":
            assert f"<{letter}>" not in text.replace("<b>&lt;v&gt;</b>", "")
    assert "50.00 %" in text and "&lt;x&gt;" in text and "–" in text
