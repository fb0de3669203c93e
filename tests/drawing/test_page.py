import dataclasses
import re
from functools import partial
from html.parser import HTMLParser
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from classlab.drawing import charts, page, tables
from classlab.drawing.blocks import (
    Block,
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

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"
IMAGE = np.zeros((1, 4, 4), dtype=np.uint8)
HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [1.0, 0.5], "learning_rate": [0.1, 0.1]})


def figure(text):
    return Figure("loss", text, text, partial(charts.loss, HISTORY, labels={"train": text}))


def every_block(text):
    """One block of every kind, `text` wherever a text may stand."""
    return (
        Words(text),
        Heading(text),
        Verdict("good", text, text),
        Numbers((Number(text, text, text),)),
        Facts((Fact(text, text),), text),
        Table("t", text, (Column(text), Column(text, "count")), ((text, 1234), (text, None)), (text, 5)),
        Figures((figure(text),)),
        Drawing("d", text, lambda palette: f'<svg xmlns="http://www.w3.org/2000/svg" fill="{palette.ink}"></svg>'),
        Pictures(text, (Picture(IMAGE, text, (text, text), "bad"),)),
        Strips(text, ("", text), ((text, (Strip(IMAGE[None], text),)),)),
        Code(text, text),
    )


def document(text="plain", blocks=None):
    blocks = every_block(text) if blocks is None else blocks
    return Document(text, text, (Section(text, blocks),), (Fact(text, text),), text)


class Reader(HTMLParser):
    """Collects elements and the text outside scripts and styles."""

    def __init__(self):
        super().__init__()
        self.elements, self.text, self.inside = [], "", None

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside is None:
            self.text += data


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def test_every_kind_of_block_is_drawn():
    assert {type(block) for block in every_block("x")} == set(get_args(Block))
    for block in every_block("Amaryllis"):
        shown = read(page.html(document("title", (block,))))
        told = shown.text + str([attributes for _, attributes in shown.elements])
        assert "Amaryllis" in told, type(block)


def test_a_mark_stands_at_the_head_of_the_page():
    marked = dataclasses.replace(document(), mark="QUICK: shortened")
    assert "QUICK: shortened" in read(page.html(marked)).text
    assert 'class="mark"' not in page.html(document())


def test_text_is_never_markup():
    reader = read(page.html(document(HOSTILE)))
    scripts = [attributes for tag, attributes in reader.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "chart-loss"}, {}, {}]
    assert not [attributes for _, attributes in reader.elements if "onerror" in attributes]
    assert HOSTILE in reader.text


def test_the_page_stands_by_itself_and_holds_the_bundle_once():
    html = page.html(document(blocks=(Figures((figure("a"), figure("b"))),)))
    reader = read(html)
    for _, attributes in reader.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "@import" not in html and "url(" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert html.count("window.vegaEmbed") == 1
    assert len(html) < 1_500_000


def test_a_page_without_charts_carries_no_script():
    html = page.html(document(blocks=(Words("a"),)))
    assert "<script" not in html
    assert len(html) < 20_000


def test_headings_go_down_step_by_step_and_tables_name_their_cells():
    elements = read(page.html(document())).elements
    assert [tag for tag, _ in elements if re.fullmatch("h[1-6]", tag)] == ["h1", "h2", "h3"]
    assert all("alt" in attributes for tag, attributes in elements if tag == "img")
    assert all("scope" in attributes for tag, attributes in elements if tag == "th")
    assert ("html", {"lang": "en"}) in elements


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (12345, Column("n", "count"), "12,345"),
        (0.99434, Column("a", "percent"), "99.43 %"),
        (0.99434, Column("a", "percent", 1), "99.4 %"),
        (-0.5, Column("a", "percent", 0), "−50 %"),
        (1234.5678, Column("l", "number", 3), "1,234.568"),
        (float("nan"), Column("l", "number"), "not finite"),
        (None, Column("l", "number"), "–"),
        (True, Column("v", "check"), "kept"),
        (False, Column("v", "check"), "not kept"),
        ("5 s1", Column("k", "figure"), "5 s1"),
    ],
)
def test_a_value_gets_the_form_of_its_column(value, column, text):
    assert tables.cell_text(value, column) == text


def test_things_of_one_name_in_several_sections_have_ids_of_their_own():
    charts_of = Section("One", (Figures((figure("a"),)), Figures((figure("b"),))))
    html = page.html(Document("Two", "", (charts_of,)))
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids)) and {"figure-loss", "chart-loss", "figure-loss-2", "chart-loss-2"} <= set(ids)
    assert re.findall(r'data-chart="([^"]+)"', html) == ["loss", "loss-2"]
