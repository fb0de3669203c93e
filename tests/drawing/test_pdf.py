"""PDF from a template and data, read back with another program where one is at hand."""

import io
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from classlab.drawing import grids, pdf

TEMPLATE = """
#import "words.typ": greeting
#let data = json("data.json")
#greeting #data.title
#pagebreak()
#image("picture.png", width: 2cm)
"""


@pytest.fixture
def template(tmp_path):
    (tmp_path / "main.typ").write_text(TEMPLATE)
    (tmp_path / "words.typ").write_text('#let greeting = "Good day,"')
    return tmp_path / "main.typ"


PICTURE = {"picture.png": grids.png(np.arange(64, dtype=np.uint8).reshape(1, 8, 8))}
HOSTILE = "$x_1 #let a = 1 *b* \\ @ref <label> // & ü ½ −"


def text_of(file, tmp_path):
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine")
    (tmp_path / "made.pdf").write_bytes(file)
    return subprocess.run(["pdftotext", tmp_path / "made.pdf", "-"], capture_output=True, text=True, check=True).stdout


def test_data_are_text_and_never_markup(template, tmp_path):
    made = pdf.compile(template, {"title": HOSTILE}, PICTURE)
    assert f"Good day, {HOSTILE}" in text_of(made, tmp_path)


def test_the_same_data_give_the_same_bytes(template):
    first, second = (pdf.compile(template, {"title": "a"}, PICTURE) for _ in range(2))
    assert first == second and first.startswith(b"%PDF-")


def test_other_scripts_are_let_through(template):
    assert pdf.compile(template, {"title": "张伟 Ада"}, PICTURE).startswith(b"%PDF-")


def test_pages_are_pictures_of_the_same_document(template):
    pages = pdf.pages(template, {"title": "a"}, PICTURE, pixels_per_inch=20)
    assert len(pages) == 2
    assert all(Image.open(io.BytesIO(page)).format == "PNG" for page in pages)
    (template.parent / "main.typ").write_text("one")
    assert len(pdf.pages(template, {"title": "a"})) == 1
