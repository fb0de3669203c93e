"""Figures and tables as files: each opens as what its ending says."""

import csv
import io
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from classlab.drawing import charts, figure_files
from classlab.drawing.blocks import (
    Column,
    Document,
    Drawing,
    Figure,
    Figures,
    Picture,
    Pictures,
    Section,
    Strip,
    Strips,
    Table,
    Words,
)  # fmt: skip
from classlab.errors import UserError

HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.5, 0.3]})
IMAGE = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" width="9" height="9"/>'
TABLE = Table("rates", "a_b", (Column("name"), Column("rate", "percent")), (("x & y", 0.5),))
DOCUMENT = Document(
    "t",
    "",
    (
        Section(
            "one",
            (
                Words("no file"),
                Figures((Figure("loss", "", "said of it", partial(charts.loss, HISTORY)),)),
                Drawing("network", "", lambda palette: SVG),
                TABLE,
            ),
        ),
        Section(
            "two",
            (
                Pictures("g", (Picture(IMAGE, "p", ("a < b",), "bad"),), "wrong"),
                Strips("s", ("class", "one"), (("zero", (Strip(np.stack([IMAGE] * 3), "s"),)),), "samples"),
                TABLE,
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files") / "new" / "figures"
    written = figure_files.write(DOCUMENT, folder)
    assert sorted(written) == sorted(folder.iterdir())
    return folder


@pytest.mark.parametrize("name", ["loss", "network", "wrong", "samples"])
def test_a_figure_is_there_as_svg_png_and_pdf(folder, name):
    assert (folder / f"{name}.svg").read_text().startswith("<svg")
    assert Image.open(folder / f"{name}.png").format == "PNG"
    assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF-")


def test_words_in_a_picture_are_text(folder):
    assert "a &lt; b" in (folder / "wrong.svg").read_text()


def test_tables_are_csv_and_latex_and_of_one_name_the_second_is_numbered(folder):
    for stem in ("rates", "rates-2"):
        rows = list(csv.reader(io.StringIO((folder / f"{stem}.csv").read_text())))
        assert rows == [["name", "rate"], ["x & y", "0.5"]]
        assert r"x \& y & 50.00 \%" in (folder / f"{stem}.tex").read_text()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"the folder .*file cannot be made: File exists"):
        figure_files.write(DOCUMENT, tmp_path / "file")
