"""In a notebook: a curve and a bar that change while a run trains, and pictures that ask no network."""

import base64
import io
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

import classlab as cl
from classlab.errors import UserError
from classlab.runs import epoch_table, notebook_curve
from classlab.runs.events import EpochDone
from classlab.use import drawing_paper
from classlab.use.predict import Reader

CELL = """\
import classlab as cl

run = cl.train({fields!r}, out={out!r})
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory, folders):
    """The outputs of a notebook's cells."""
    from tests.ui.conftest import QUICK

    out = tmp_path_factory.mktemp("notebook")
    cells = [CELL.format(fields={**QUICK, "name": "in-a-notebook"}, out=str(out)), "run.curves()", "run.mistakes(4)"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    NotebookClient(book, kernel_name="python3", timeout=280, resources={"metadata": {"path": str(out)}}).execute()
    return [cell.outputs for cell in book.cells]


def drawing(html):
    """The SVG inside of what a notebook shows, which shrinks to the width of its cell."""
    head, _, rest = html.partition('src="data:image/svg+xml;base64,')
    assert "max-width:100%" in head
    return base64.b64decode(rest.partition('"')[0]).decode()


def test_the_curve_and_the_bar_stand_in_the_notebook_once(notebook):
    bar, curve = (output.data for output in notebook[0] if output.output_type == "display_data")
    assert "<progress max='1' value='1.0000'" in bar["text/html"] and "finished after 3 epochs" in bar["text/html"]
    assert "accuracy, %" in drawing(curve["text/html"])
    assert not any(output.output_type == "error" for outputs in notebook for output in outputs)


def test_the_pictures_ask_no_network(notebook):
    (curves,), (mistakes,) = notebook[1:]
    assert "accuracy, %" in drawing(curves.data["text/html"])
    assert "data:image/png;base64," in mistakes.data["text/html"] and "<table" in mistakes.data["text/html"]
    text = str([curves.data, drawing(curves.data["text/html"]), mistakes.data["text/html"]])
    assert "<script" not in text and "http" not in text.replace("http://www.w3.org", "")


def test_drawing_the_curve_takes_little_of_the_time(monkeypatch):
    clock, drawn = [0.0], []
    monkeypatch.setattr(notebook_curve.time, "monotonic", lambda: clock[0])
    shown = SimpleNamespace(update=lambda data, raw: None)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=lambda *given, **options: shown))

    def picture(rows):
        clock[0] += 0.2
        drawn.append(len(rows))
        return "<img>"

    monkeypatch.setattr(notebook_curve, "_picture", picture)
    begun = notebook_curve.Begun(None, "quick", 0, 100, 0, 10)  # type: ignore[arg-type]

    def events():
        yield begun
        for epoch in range(1, 101):
            clock[0] += 0.1
            yield EpochDone(None, {"epoch": epoch})  # type: ignore[arg-type]

    assert len(list(notebook_curve.screen(events()))) == 101
    assert len(drawn) <= 4


def test_outside_of_a_notebook_nothing_is_drawn(capsys):
    assert not notebook_curve.in_notebook()
    assert list(epoch_table.screen([])) == []


def test_a_drawing_is_answered_as_predict_answers_it(run, tmp_path):
    picture = Image.new("L", (200, 200), 255)
    for place in range(40, 160):
        for across in range(95, 107):
            picture.putpixel((across, place), 0)
    file = io.BytesIO()
    picture.save(file, "PNG")
    (tmp_path / "drawing.png").write_bytes(file.getvalue())
    found = drawing_paper.answer(Reader(cl.load_run(run)), base64.b64encode(file.getvalue()).decode())
    (expected,) = cl.load_run(run).predict(tmp_path / "drawing.png")
    assert found["class"] == expected.name and found["probability"] == expected.probability
    assert found["sentence"] == expected.sentence() and found["seen"].startswith("data:image/png")
    assert "error" in drawing_paper.answer(Reader(cl.load_run(run)), "nonsense")


def test_without_its_package_a_paper_says_what_it_needs(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(
        UserError, match=r"needs the package anywidget: pip install 'classlab\[notebook\]'; `classlab ui` draws"
    ):
        cl.load_run(run).draw()
