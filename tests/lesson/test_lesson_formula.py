"""Formulas as a spreadsheet calculates them: precedence, functions, references filled down, errors, and refusals."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classlab.lesson.book import Book, Cell
from classlab.lesson.formula import Address, UnknownFormula, moved, parse, scan, tokens
from classlab.lesson.functions import FUNCTIONS, FormulaError


def book(**cells):
    """A book of one sheet from contents by address: "A1": 2.0 or "=A1*2"."""
    found = {}
    for where, content in cells.items():
        column, row = where.rstrip("0123456789"), int(where.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        number = 0
        for letter in column:
            number = 26 * number + ord(letter) - 64
        formula = content if isinstance(content, str) and content.startswith("=") else None
        found[Address("S", row, number)] = Cell(None if formula else content, formula)
    return Book(["S"], found, {"rate": "S!$A$1", "S!twice": "S!$A$2*2"})


def value(formula, **cells):
    return book(**cells, Z9=formula).value(Address("S", 9, 26))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=1+2*3", 7),
        ("=-2^2", 4),  # a spreadsheet's minus binds tighter than its power
        ("=2^3^2", 64),  # and its powers run from the left
        ("=-(2^2)", -4),
        ("=10%+1", 1.1),
        ("=1/(1+EXP(-0.5))", 1 / (1 + math.exp(-0.5))),
        ("=A1*$A$2-S!A1", 2 * 3 - 2),
        ("='S'!A2", 3),
        ("=POWER(A2,2)/2", 4.5),
        ("=SUM(A1:A3,10)", 15),
        ("=SUMPRODUCT(A1:A2,A1:A2)", 13),
        ("=AVERAGE(A1:A2)", 2.5),
        ("=MAX(0,A1)+MIN(A1,A2)", 4),
        ("=IF(A1>1,LN(EXP(2)),0)", 2),
        ("=IFERROR(1/0,5)", 5),
        ("=ROUND(2.345,2)", 2.35),
        ("=TANH(0.3)", math.tanh(0.3)),
        ("=rate+TWICE", 8),
        ("=1.5e-1+.5", 0.65),
        ("=SUMXMY2(A1:A2,A1:A2)+SUMSQ(A1,A2)", 13),
        ("=A9", 0),
        ('="0,5"*2', 1),
    ],
)
def test_formulas_have_a_spreadsheets_values(formula, expected):
    assert (value(formula, A1=2.0, A2=3.0, A3="text") or 0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("formula", "error"),
    [
        ("=1/0", "#DIV/0!"),
        ("=LN(0)", "#NUM!"),
        ("=A3+1", "#VALUE!"),
        ("=#REF!+1", "#REF!"),
        ("=nobody*2", "#NAME?"),
        ("=EXP(1000)", "#NUM!"),
        ("=(-8)^0.5", "#NUM!"),
        ("=ROUND(A1,A1:A2)", "#VALUE!"),
        ("=LOG(A1,A1:A2)", "#VALUE!"),
        ("=ROUND(A1,1E9)", "#NUM!"),
        ("=Z9+1", "a circle: the formula needs its own value"),
        ("=WEBSERVICE(A1)", "a formula that is not calculated here"),
        ("=[1]Other!A1", "a formula that is not calculated here"),
        ("=1+", "a formula that is not calculated here"),
        ("=" + "(" * 200 + "1" + ")" * 200, "a formula that is not calculated here"),
        ("=" + "-" * 500 + "1", "a formula that is not calculated here"),
    ],
)
def test_errors_are_those_of_a_spreadsheet_and_nothing_else_is_run(formula, error):
    found = value(formula, A1=2.0, A3="text")
    assert isinstance(found, FormulaError)
    assert str(found) == error


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_answers_whatever_it_is_given(name):
    """A value or an error of the spreadsheet, never a fault of ours, for numbers, blocks, texts and blanks."""
    for count in range(FUNCTIONS[name][1], min(FUNCTIONS[name][2], 2) + 1):
        for arguments in itertools.product(["A1", "A1:B2", "A3", "A9", "1E300", "-1E9", "TRUE"], repeat=count):
            found = value(f"={name}({','.join(arguments)})", A1=2.0, A2=3.0, B1=0.5, B2=-1.0, A3="text")
            assert isinstance(found, FormulaError | float | int) or found is None or np.isscalar(found)


numbers = st.floats(0.1, 9).map(lambda number: f"{number:.3f}")
trees = st.recursive(
    numbers,
    lambda inner: st.builds("({}{}{})".format, inner, st.sampled_from("+-*/"), inner) | inner.map("-({})".format),
    max_leaves=12,
)


@given(trees)
def test_arithmetic_is_pythons(written):
    try:
        expected = eval(written)
    except ZeroDivisionError:
        expected = None
    found = value("=" + written)
    assert str(found) == "#DIV/0!" if expected is None else found == pytest.approx(expected)


def test_a_formula_filled_down_is_the_same_tree():
    first, second = Address("S", 5, 3), Address("S", 60, 3)
    assert tokens("=A5*$B$1-EXP(A4)", first) == tokens("=A60*$B$1-EXP(A59)", second)
    assert tokens("=A5*B1", first) != tokens("=A60*B1", second)
    assert parse(tokens("=A5*2", first)) == parse(tokens("=A60*2", second))


def test_a_column_of_many_rows_needs_no_deep_recursion():
    cells = {"A1": 1.0} | {f"A{row}": f"=A{row - 1}+1" for row in range(2, 5001)}
    assert book(**cells).value(Address("S", 5000, 1)) == 5000


def test_a_circle_of_many_cells_and_a_chain_upwards_take_no_longer_than_others():
    count = 20_000
    chain = {f"A{row}": f"=A{row + 1}+1" for row in range(1, count)} | {f"A{count}": 1.0}
    assert book(**chain).value(Address("S", 1, 1)) == count
    circle = book(**{f"A{row}": f"=A{row % count + 1}" for row in range(1, count + 1)})
    start = time.process_time()
    assert str(circle.value(Address("S", 1, 1))) == "a circle: the formula needs its own value"
    assert str(circle.value(Address("S", 9, 1))) == "a circle: the formula needs its own value"
    assert time.process_time() - start < 2


UNCALCULATED = "a formula that is not calculated here"
BOMBS = {
    "=" + "=".join("9" * 1990): UNCALCULATED,
    "=" + "+".join("1" * 1990): UNCALCULATED,
    "=" + "^".join("9" * 300): UNCALCULATED,
    "=9^9^9^9^9^9": "#NUM!",
    "=" + "ROUND(" * 55 + "1.25" + ",1)" * 55: 1.3,
    "=" + "IFERROR(1/0," * 55 + "7" + ")" * 55: 7,
    "=" + "IF(1," * 55 + "7" + ",0)" * 55: 7,
    "=SUM(" + ",".join("1" * 1000) + ")": "#VALUE!",
    "=within_60": UNCALCULATED,
    "=within_3": UNCALCULATED,
    "=within_1": 2,
    "=around+1": UNCALCULATED,
    "=C40": "#VALUE!",
    '=C14&"x"': "x" * 8193,
    "=SUM(A1:A20000*TRANSPOSE(A1:A20000))": UNCALCULATED,
    "=SUMPRODUCT(A1:A20000,TRANSPOSE(A1:A20000))": UNCALCULATED,
    "=SUM(MMULT(A1:A20000,TRANSPOSE(A1:A20000)))": UNCALCULATED,
    "=SUMXMY2(A1:A20000,TRANSPOSE(A1:A20000))": UNCALCULATED,
    "=SUM(POWER(A1:A20000,TRANSPOSE(A1:A20000)))": UNCALCULATED,
    "=SUM(A1:A1048576)": UNCALCULATED,
    "=SUM(A1:A20000)": 1,
    "=1e999": "#NUM!",
    "=ROUND(1,1e308)": "#NUM!",
}


@pytest.mark.parametrize(("formula", "expected"), BOMBS.items(), ids=[formula[:30] for formula in BOMBS])
def test_formulas_made_to_fill_the_machine_are_bounded(formula, expected):
    """Long chains, names within names, texts that double, tables of all pairs."""
    cells = {"C1": "x"} | {f"C{row}": f"=C{row - 1}&C{row - 1}" for row in range(2, 41)}
    made = book(**cells, A1=1.0, Z9=formula)
    made.names |= {"within_0": "1", "around": "back+back", "back": "around*2"}
    made.names |= {f"within_{number}": f"within_{number - 1}+within_{number - 1}" for number in range(1, 61)}
    start = time.process_time()
    found = made.value(Address("S", 9, 26))
    assert time.process_time() - start < 1
    assert (str(found) if isinstance(found, FormulaError) else found) == expected


def test_all_formulas_together_read_so_many_cells_and_no_more():
    cells = {f"A{row}": f"=SUM(B1:B{19_000 + row})" for row in range(1, 1000)}
    made = book(**cells, B1=1.0)
    start = time.process_time()
    found = [made.value(Address("S", row, 1)) for row in range(1, 1000)]
    assert time.process_time() - start < 5
    calculated = found.index(next(value for value in found if isinstance(value, FormulaError)))
    assert 20 < calculated < 999
    assert found[:calculated] == [1.0] * calculated
    assert {str(value) for value in found[calculated:]} == {UNCALCULATED}
    assert list(made.dropped) == [Address("S", row, 1) for row in range(calculated + 1, 1000)]


def test_errors_hold_on_to_nothing():
    """An error that is raised keeps all that it went through; a workbook may have a hundred thousand."""
    made = book(A1="=1/0", **{f"A{row}": f"=A{row - 1}+1" for row in range(2, 100)})
    assert str(made.value(Address("S", 99, 1))) == "#DIV/0!"
    assert all(error.__traceback__ is None and error.__context__ is None for error in made.values.values())


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
def test_a_formula_filled_down_is_known_without_being_read_again(column, first, second):
    for formula in ("=A{0}*$B$1-EXP(A{1})%", "=SUM(A{0}:C{1},'x y'!D{0})+LOG10(2)", '="A{0}"&A{1}', "=start_w1*A{0}"):
        here, there = (Address("S", row, column) for row in (first, second))
        pattern = scan(formula.format(first, first + 1), here)[1]
        written = formula.format(second, second + 1)
        same = tokens(written, there) == tokens(formula.format(first, first + 1), here)
        assert (pattern.at(second) == written) == same
        if same:
            assert moved(formula.format(first, first + 1), here, there) == written


def test_what_is_no_formula_of_ours_is_unknown():
    with pytest.raises(UnknownFormula):
        tokens("={1,2,3}", Address("S", 1, 1))
    with pytest.raises(UnknownFormula):
        tokens("=" + "1+" * 3000 + "1", Address("S", 1, 1))
