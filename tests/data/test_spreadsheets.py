"""Cells of CSV files: no text is a formula to a spreadsheet, numbers stay numbers, and what was written reads back."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classlab.plain_text import from_spreadsheet, on_a_line, printable, printable_within, spreadsheet_safe
from classlab.study.results import to_csv

FORMULAS = ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\n=1", "'=1", "''@x", "-", "+", "=-5", "-5+1", "-inf", "+1 2"]
PLAIN = ["-5", "+5", "-0.25", "-1e-5", "+1.", "", "x", "'x", "a=b", "5-3", " =1", "½"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_takes_for_a_formula_is_led_by_an_apostrophe(text):
    assert spreadsheet_safe(text) == f"'{text}"
    assert from_spreadsheet(spreadsheet_safe(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_numbers_and_plain_words_stay_as_they_are(text):
    assert spreadsheet_safe(text) == text
    assert from_spreadsheet(text) == text


@given(st.text(st.characters(exclude_categories=[])) | st.text("'=+-@\t\n\r1ax"))
def test_every_text_reads_back_printable_and_none_begins_as_a_formula(text):
    safe = spreadsheet_safe(text)
    assert from_spreadsheet(safe) == printable(text)
    if safe[:1] in set("=+-@\t\r\n"):
        float(safe)  # a number it is, then
    assert list(csv.reader(io.StringIO(_line(safe), newline=""))) == [[safe]]
    safe.encode()


def _line(cell):
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow([cell])
    return stream.getvalue()


def test_a_steering_character_at_the_beginning_hides_no_formula():
    assert spreadsheet_safe("\r=1") == "\\r=1"
    assert spreadsheet_safe("\x1b=1") == "\\x1b=1"
    assert spreadsheet_safe("\ufffe=1") == "\\ufffe=1"


def test_plain_data_is_cleaned_within():
    given_ = {"a\x1b": ["x\0", ("y\udcff", 1, None, 2.5, True)], "b": {"c": "\ufffe"}}
    assert printable_within(given_) == {"a\\x1b": ["x\\x00", ["y\\udcff", 1, None, 2.5, True]], "b": {"c": "\\ufffe"}}
    assert on_a_line("a\nb\uffff") == "a\\nb\\uffff"


def test_results_keep_their_numbers_and_guard_their_texts():
    rows = [
        {"variant": "=v", "seed": -1, "value": -0.1, "flag": True, "sentence": "-x\x1b", "none": None, "list": [-1]},
        {"variant": "-5", "seed": 2, "value": 1e-300, "flag": False, "sentence": "'=y"},
    ]
    text = to_csv(rows, ["variant", "seed", "value", "flag", "sentence", "none", "list", "@missing"])
    assert list(csv.reader(io.StringIO(text))) == [
        ["variant", "seed", "value", "flag", "sentence", "none", "list", "'@missing"],
        ["'=v", "-1", "-0.1", "True", "'-x\\x1b", "", "[-1]", ""],
        ["-5", "2", "1e-300", "False", "''=y", "", "", ""],
    ]
