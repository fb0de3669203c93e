"""Workbooks as students fill them in: none that is right is blamed, every slip is found at its first cell."""

import dataclasses
import time
from random import Random

import layouts
import openpyxl
import pytest
import raw
import students
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils import get_column_letter
from typer.testing import CliRunner

from classlab.cli.main import app
from classlab.errors import UserError
from classlab.lesson import checker, headers

ROWS = 12
ERA = dataclasses.replace(layouts.ERA, rows=ROWS, sheet="Sheet1")
WEIGHTS = list(layouts.WEIGHTS)
SECONDS_PER_SHEET = 3


def checked(file):
    """The check of a workbook, within the time that one of its sheets may take."""
    start = time.process_time()
    found = checker.check(file)
    assert time.process_time() - start < SECONDS_PER_SHEET * max(1, len(found.tables))
    return found


def columns(found, verdict):
    return {
        column.name or column.header: column for t in found.tables for column in t.columns if column.verdict == verdict
    }


def first_wrong(found):
    """The first wrong cell of each wrong column."""
    return {name: column.findings[0].cell for name, column in columns(found, "wrong").items()}


def printed(file):
    """What the command prints of a workbook."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["lesson", "check", str(file)])


def slip_in(name, found):
    return columns(found, "wrong")[name].findings[0].slip


def filled(layout, name, template, first=0, last=None):
    """A template in a column, filled down."""
    return {(name, row): template for row in range(first, layout.rows if last is None else last)}


def updates(layout, template, names=WEIGHTS, first=1):
    """A template in the updates of weights; {w} is the weight's name."""
    cells = {}
    for name in names:
        cells |= filled(layout, name, template.replace("{w}", name), first)
    return cells


def edited(file, edit):
    book = openpyxl.load_workbook(file)
    edit(book.active)
    book.save(file)
    return file


# Headers


@pytest.mark.parametrize("style", students.HEADERS)
@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_every_style_of_headers_is_read_right_and_slipped(name, style, tmp_path):
    random = Random(f"{name} {style}")
    layout = students.dressed(layouts.LAYOUTS[name], style, rate_label=random.choice(students.RATE_LABELS))
    found = checked(layouts.write(layout, tmp_path / "a.xlsx"))
    assert found.right, first_wrong(found)
    assert found.tables[0].learning_rate == layout.rate
    assert not found.tables[0].remarks
    not_read = {"Iteration", "tmp", ""}
    assert {name.strip().lower() for name in columns(found, "not read")} <= {name.lower() for name in not_read}
    assert not columns(found, "unchecked")
    slips = [slip for slip in layouts.SLIPS if slip.name in layout.order and slip.formula(layout)]
    for slip in random.sample(slips, 2):
        formula = slip.formula(layout)
        first = 2 if "^^" in formula else 1 if "{^" in formula else 0
        planted = filled(layout, slip.name, formula, first, layout.rows - 1)
        found = checked(layouts.write(layout, tmp_path / "a.xlsx", planted))
        assert first_wrong(found) == {slip.name: layout.address(slip.name, first)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("∂E_total/∂w1 = ((a_01 - t1) * a_o1 * (1 - a_o1) * w5 + (a_02 - t2) * a_o2 * (1 - a_o2) * w7) * i1", "∂E/∂w1"),
        ("Derivative of Total Error with respect to w1 (∂E/∂w1)", "∂E/∂w1"),
        ("∂E1/∂w5", "∂E1/∂w5"),
        ("Error (E1)", "E1"),
        ("Target t2", "t2"),
        ("Total Error (E1+E2)", "E_tot"),
        ("w1 (new)", "new w1"),
        ("Activated h1", "a_h1"),
        ("Epoch", None),
        ("Iteration", None),
        ("Weights", None),
    ],
)
def test_headers_with_words_and_formulas(text, name):
    assert headers.quantity_named(text) == name


def test_gradients_under_a_heading_of_their_own(tmp_path):
    """Twice w1 … w8: under "Weights" and under "Gradients"."""

    def group(sheet):
        for number in range(1, 9):
            sheet.cell(35, 23 + number).value = f"w{number}"
        sheet["E34"].value, sheet["M34"].value, sheet["X34"].value = "Weights", "Weights", "Gradients"

    found = checked(edited(layouts.write(ERA, tmp_path / "a.xlsx"), group))
    assert found.right
    assert set(layouts.GRADIENTS) <= set(columns(found, "right"))


# Columns that are not read


@pytest.mark.parametrize("header", ["", "q3", "third one", 3])
def test_a_gradient_is_read_by_what_the_updates_do_with_it(header, tmp_path):
    layout = dataclasses.replace(ERA, headers={"∂E/∂w3": header})
    found = checked(layouts.write(layout, tmp_path / "a.xlsx"))
    assert found.right
    assert found.tables[0].remarks == ["the column of Z35 is read as ∂E/∂w3, because the updates of w3 take it"]
    slip = filled(layout, "∂E/∂w3", "=" + ERA.formulas["∂E/∂w3"].replace("{i1}", "{i2}"))
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", slip))
    assert first_wrong(found) == {"∂E/∂w3": "Z36"}


@pytest.mark.parametrize("update", ["={^w3}+{η}*(-{^∂E/∂w3})", "=SUM({^w3},-{η}*{^∂E/∂w3})"])
def test_updates_are_not_blamed_for_a_gradient_that_is_not_read(update, tmp_path):
    layout = dataclasses.replace(ERA, headers={"∂E/∂w3": "q3"})
    planted = filled(layout, "w3", update, 1) | filled(layout, "∂E/∂w3", "={∂E/∂w1}*2")
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", planted))
    assert found.right
    assert columns(found, "not read")["q3"].column == "Z"
    assert list(columns(found, "unchecked")) == ["w3"]
    assert found.tables[0].remarks == ["not checked, for they take a column that is not read: w3"]
    numbers = layouts.numbers_only(layout)
    found = checked(layouts.write(numbers, tmp_path / "a.xlsx", filled(layout, "∂E/∂w3", 0.5)))
    assert found.right
    assert "q3" in columns(found, "not read")


def test_a_column_that_is_not_read_is_said_on_the_screen(tmp_path):
    layout = dataclasses.replace(ERA, order=[*ERA.order, "epoch"], headers={"epoch": "Sl. No."})
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["lesson", "check", str(layouts.write(layout, tmp_path / "a.xlsx"))]
    )
    assert "  not read, no name that is known: AF (Sl. No.)\n" in done.stdout
    assert done.exit_code == 0


def test_a_column_beyond_a_gap_is_said_and_read_by_its_use_too(tmp_path):
    layout = dataclasses.replace(
        ERA, order=[*ERA.order[:-1], "gap", "gap2", "∂E/∂w8"], headers={"∂E/∂w8": "last", "gap": None, "gap2": None}
    )
    blank = {(name, row): None for name in ("gap", "gap2") for row in range(ROWS)}
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", blank))
    assert found.right
    assert found.tables[0].remarks == ["the column of AG35 is read as ∂E/∂w8, because the updates of w8 take it"]


def test_a_column_that_is_there_twice_does_not_cut_the_table_in_two(tmp_path):
    """E_tot once more in the middle, for a chart."""
    order = [*ERA.order[:4], "again", *ERA.order[4:]]
    formulas = ERA.formulas | {"again": "{E_tot}"}
    layout = dataclasses.replace(ERA, order=order, formulas=formulas, headers={"again": "E_tot"})
    found = checked(layouts.write(layout, tmp_path / "a.xlsx"))
    assert found.right
    assert set(layouts.GRADIENTS) <= set(columns(found, "right"))


@pytest.mark.parametrize("form", ["formulas", "numbers"])
def test_gradients_may_hold_the_step(form, tmp_path):
    """Δw1 = η·∂E/∂w1, and w1 − Δw1."""
    steps = {name: f"{{η}}*({ERA.formulas[name]})" for name in layouts.GRADIENTS}
    layout = dataclasses.replace(
        ERA, formulas=ERA.formulas | steps, headers={f"∂E/∂{name}": f"Δ{name}" for name in WEIGHTS}
    )
    planted = updates(layout, "={^{w}}-{^∂E/∂{w}}")
    if form == "numbers":
        layout = layouts.numbers_only(layout)
        rows = layouts.values(layout)
        planted = {(name, row): 0.5 * rows[row][name] for name in layouts.GRADIENTS for row in range(ROWS)}
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", planted))
    assert found.right, first_wrong(found)
    if form == "formulas":
        slip = filled(layout, "∂E/∂w6", "=" + steps["∂E/∂w6"].replace("{a_h2}", "{a_h1}"))
        found = checked(layouts.write(layout, tmp_path / "a.xlsx", planted | slip))
        assert first_wrong(found) == {"∂E/∂w6": "AC36"}


# Unfinished tables


UNFINISHED = {
    "no gradients": {(name, row): None for name in layouts.GRADIENTS for row in range(ROWS)},
    "gradients in five rows": {(name, row): None for name in layouts.GRADIENTS for row in range(5, ROWS)},
    "no E_tot": filled(ERA, "E_tot", None),
    "E_tot in five rows": filled(ERA, "E_tot", None, 5),
    "one row, of weights": {
        (name, row): None
        for name in ERA.order
        for row in range(ROWS)
        if row or (name not in WEIGHTS and name not in layouts.GIVEN)
    },
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_what_has_no_cells_is_unfinished(case, tmp_path):
    planted = UNFINISHED[case]
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", planted))
    assert (found.verdict, found.right, found.tables[0].right) == ("unfinished", False, False)
    whole = checker.as_json(found)
    assert [whole["verdict"], whole["tables"][0]["verdict"]] == ["unfinished", "unfinished"]
    lacking = {name for name, row in planted if row == ROWS - 1 and name not in WEIGHTS and name not in layouts.GIVEN}
    assert set(columns(found, "unfinished")) == lacking
    assert not columns(found, "wrong")


def test_headers_with_nothing_under_them_are_unfinished(tmp_path):
    file = layouts.write(dataclasses.replace(ERA, rows=0), tmp_path / "a.xlsx")
    found = checked(file)
    assert found.verdict == "unfinished"
    assert found.tables[0].remarks == ["there is nothing under these headers"]
    done = printed(file)
    assert done.exit_code == 1
    assert done.stdout.rstrip().endswith("a.xlsx: unfinished")


def test_a_last_row_of_weights_alone_is_finished(tmp_path):
    planted = {(name, ROWS - 1): None for name in ERA.order if name not in WEIGHTS}
    assert checked(layouts.write(ERA, tmp_path / "a.xlsx", planted)).right


# Numbers that a spreadsheet leaves


def test_a_drift_of_the_last_digits_is_right(tmp_path):
    drift = filled(ERA, "t2", 0.989999999999999, 2) | filled(ERA, "i1", 0.0499999999999999, 1)
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", drift))
    assert found.right, columns(found, "wrong")
    assert found.tables[0].like == "eva7-s4"


def test_a_change_is_wrong_from_its_first_cell_on_though_more_cells_have_it(tmp_path):
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", filled(ERA, "t2", 0.98, 3)))
    assert first_wrong(found) == {"t2": "B39"}
    assert slip_in("t2", found) == "B39 holds 0.98 where 0.99 belongs: t2 is the same in every row"


def test_an_example_of_its_own_in_each_row_is_right(tmp_path):
    random = Random(1)
    inputs = {(name, row): round(random.uniform(0, 1), 2) for name in layouts.GIVEN for row in range(ROWS)}
    assert checked(layouts.write(ERA, tmp_path / "a.xlsx", inputs)).right


DISPLAYS = {
    "as wide as Excel's columns are": lambda number: students.general(number, 8),
    "narrow": lambda number: students.general(number, 7),
    "wide": lambda number: students.general(number, 11),
    "by Google Sheets": students.google,
}


@pytest.mark.parametrize("how", DISPLAYS)
@pytest.mark.parametrize("rate", [0.5, 10.0])
@pytest.mark.parametrize("name", ["era", "own-way"])
def test_values_pasted_as_they_were_displayed_are_right(name, rate, how, tmp_path):
    """Small numbers have an exponent and few digits, and a minus sign takes the place of one."""
    layout = layouts.numbers_only(dataclasses.replace(layouts.LAYOUTS[name], rows=68, rate=rate, sheet="Sheet1"))
    rows = layouts.values(layout)
    computed = [name for name in layout.order if name not in [*layouts.GIVEN, "epoch"]]
    shown = {
        (name, row): DISPLAYS[how](rows[row][name])
        for name in computed
        for row in range(layout.rows)
        if row or name not in WEIGHTS
    }
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", shown))
    assert found.right, {name: column.findings[0] for name, column in columns(found, "wrong").items()}
    shown["a_h1", 20] = DISPLAYS[how](rows[20]["a_h1"] + 0.002)
    shown["∂E/∂w5", 30] = -rows[30]["∂E/∂w5"]
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", shown))
    assert first_wrong(found) == {"a_h1": layout.address("a_h1", 20), "∂E/∂w5": layout.address("∂E/∂w5", 30)}


@pytest.mark.parametrize("pasted", [[1], [4, 5, 6], [8, 9, 10, 11]])
def test_rows_pasted_as_they_were_displayed_are_right_among_formulas(pasted, tmp_path):
    rows = layouts.values(ERA)
    shown = {(name, row): students.general(rows[row][name], 8) for row in pasted for name in ERA.order[4:]}
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", shown))
    assert found.right, columns(found, "wrong")
    remarks = found.tables[0].remarks
    assert remarks == [
        f"E{36 + pasted[0]} holds a number typed over its formula (w1); the number is right (and 26 more like this)"
    ]
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", {("w5", 4): students.general(rows[4]["w5"], 5)}))
    assert first_wrong(found) == {"w5": "M40"}


# The learning rate


@pytest.mark.parametrize("label", students.RATE_LABELS)
@pytest.mark.parametrize("form", ["formulas", "numbers"])
def test_every_label_of_the_rate_is_read(label, form, tmp_path):
    layout = dataclasses.replace(ERA, rate_label=label)
    layout = layouts.numbers_only(layout) if form == "numbers" else layout
    found = checked(layouts.write(layout, tmp_path / "a.xlsx"))
    assert found.right
    assert (found.tables[0].learning_rate, found.tables[0].learning_rate_cell) == (0.5, "C2")
    assert not found.tables[0].remarks


PLACES = [
    ("B2", "D2"),
    ("B2", "B3"),
    ("D2", "C2"),
    ("B2", "E2"),
    ("B2", "F2"),
    ("B3", "B2"),
    ("B2", "B4"),
    ("E34", "F34"),
]


@pytest.mark.parametrize(("label", "value"), PLACES)
def test_the_label_may_stand_beside_above_or_under_the_rate(label, value, tmp_path):
    def move(sheet):
        sheet["B2"].value = sheet["C2"].value = None
        sheet[label].value, sheet[value].value = "Learning Rate", 0.5
        for row in sheet.iter_rows(min_row=36):
            for cell in row:
                if isinstance(cell.value, str):
                    cell.value = cell.value.replace("$C$2", f"${value[0]}${value[1:]}")

    found = checked(edited(layouts.write(ERA, tmp_path / "a.xlsx"), move))
    assert found.right
    assert (found.tables[0].learning_rate_cell, found.tables[0].remarks) == (value, [])


@pytest.mark.parametrize(
    ("sheet", "file", "remark"),
    [
        ("LR-0.5", "a.xlsx", None),
        ("0.5", "a.xlsx", None),
        ("Learning Rate 0.5", "backprop_lr_0.5.xlsx", None),
        ("LR-0.1", "a.xlsx", "the sheet is named 'LR-0.1', its learning rate is 0.5"),
        ("Sheet1", "backprop_lr_2.0.xlsx", "the file is named 'backprop_lr_2.0', its learning rate is 0.5"),
        ("Sheet1", "S6_LR=10 (1).xlsx", "the file is named 'S6_LR=10 (1)', its learning rate is 0.5"),
    ],
)
@pytest.mark.parametrize("form", ["formulas", "numbers"])
def test_names_of_sheets_and_files_say_the_rate_and_a_disagreement_is_a_remark(sheet, file, remark, form, tmp_path):
    layout = dataclasses.replace(ERA, sheet=sheet)
    layout = layouts.numbers_only(layout) if form == "numbers" else layout
    found = checked(layouts.write(layout, tmp_path / file))
    assert found.right
    assert found.tables[0].remarks == ([remark] if remark else [])


@pytest.mark.parametrize("sheet", ["LR 0.5", "0.5", "lr=.5"])
def test_a_rate_that_only_the_sheets_name_tells_stands_in_the_cell_that_updates_take(sheet, tmp_path):
    layout = dataclasses.replace(ERA, rate_label="some number", sheet=sheet)
    found = checked(layouts.write(layout, tmp_path / "a.xlsx"))
    assert (found.right, found.tables[0].learning_rate_cell, found.tables[0].remarks) == (True, "C2", [])
    slid = updates(layout, "={^{w}}-C3*{^∂E/∂{w}}", ["w5"], 2)
    assert "η stands in C2: write $C$2" in slip_in("w5", checked(layouts.write(layout, tmp_path / "a.xlsx", slid)))


def test_without_a_label_the_first_updates_say_the_rate(tmp_path):
    layout = dataclasses.replace(ERA, rate_label="some number")
    found = checked(layouts.write(layout, tmp_path / "a.xlsx"))
    said = "nothing says where the learning rate stands; the first updates take it from C2: 0.5"
    assert (found.right, found.tables[0].remarks) == (True, [said])
    slid = {(name, row): f"={{^{name}}}-C{row + 1}*{{^∂E/∂{name}}}" for name in WEIGHTS for row in range(1, ROWS)}
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", slid))
    assert first_wrong(found) == {name: layout.address(name, 2) for name in WEIGHTS}
    assert slip_in("w1", found).startswith("E38 takes η from C3, which is empty, because the reference is not fixed")
    numbers = layouts.numbers_only(layout)
    rows = layouts.values(numbers)
    stuck = {(name, row): rows[3][name] for name in WEIGHTS for row in range(4, ROWS)}
    found = checked(layouts.write(numbers, tmp_path / "a.xlsx", stuck))
    assert found.tables[0].learning_rate == 0.5
    assert "the updates follow 0.5, from the first one on" in found.tables[0].remarks[0]
    assert {name: cell for name, cell in first_wrong(found).items() if name[0] == "w"} == {
        name: layout.address(name, 4) for name in WEIGHTS
    }


ETA = {
    "slid": ("={^{w}}-C3*{^∂E/∂{w}}", 2, "takes η from C3, which is empty"),
    "from another cell": ("={^{w}}-$D$7*{^∂E/∂{w}}", 1, "takes η from D7, which is empty; η stands in C2: write $C$2"),
    "typed": ("={^{w}}-0.8*{^∂E/∂{w}}", 1, "has 0.8 where η = 0.5 (C2) belongs"),
    "twice": ("={^{w}}-{η}*{η}*{^∂E/∂{w}}", 1, "multiplies by η twice"),
    "forgotten": ("={^{w}}-{^∂E/∂{w}}", 1, "lacks the factor η"),
    "scaled": ("={^{w}}-({η}+{η}^2)*{^∂E/∂{w}}", 1, "updates by η = 0.75 where η = 0.5 (C2) belongs"),
}


@pytest.mark.parametrize("case", ETA)
def test_a_wrong_rate_is_named_as_such(case, tmp_path):
    template, first, words = ETA[case]
    names = ["w5", "w6"]
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", updates(ERA, template, names, first)))
    assert first_wrong(found) == {name: ERA.address(name, first) for name in names}
    assert words in slip_in("w5", found)


def test_the_rate_of_another_sheet_is_named_with_it(tmp_path):
    book = openpyxl.Workbook()
    layouts.write(dataclasses.replace(ERA, sheet="LR 2", rate=2.0), tmp_path / "a.xlsx", None, book)
    copied = updates(ERA, "={^{w}}-'LR 2'!$C$2*{^∂E/∂{w}}")
    layouts.write(dataclasses.replace(ERA, sheet="LR 1", rate=1.0), tmp_path / "a.xlsx", copied, book)
    found = checked(tmp_path / "a.xlsx")
    assert [table.right for table in found.tables] == [True, False]
    words = "E37 takes η from C2 of sheet 'LR 2', which holds 2; η stands in C2: write $C$2"
    assert slip_in("w1", found) == words


def test_numbers_that_follow_another_rate_are_named_so(tmp_path):
    layout = layouts.numbers_only(ERA)
    rows = layouts.values(layout)
    other = {(name, 5): rows[4][name] - 0.8 * rows[4][f"∂E/∂{name}"] for name in WEIGHTS}
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", other))
    assert slip_in("w5", found) == "M41 is updated by η = 0.8 where η = 0.5 (C2) belongs"


# Functions


@pytest.mark.parametrize(
    "formula",
    [
        "=0.5*POW({t1}-{a_o1},2)",
        "=DIVIDE(POWER(MINUS({t1},{a_o1}),2),2)",
        "=MULTIPLY(1/2,POW({t1}-{a_o1},2))",
        "=ARRAYFORMULA(0.5*({t1}-{a_o1})^2)",
        "=SUMXMY2({t1},{a_o1})/2",
        "=SUMSQ({t1}-{a_o1})/2",
        "=IFERROR(0.5*({t1}-{a_o1})^2,0)",
        "=_xlfn.SINGLE({t1}-{a_o1})^2*0.5",
        "=+0.5*({t1}-{a_o1})*({t1}-{a_o1})",
    ],
)
def test_functions_of_both_spreadsheets_are_calculated(formula, tmp_path):
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", filled(ERA, "E1", formula)))
    assert found.right
    assert not found.tables[0].remarks
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", filled(ERA, "E1", formula.replace("t1", "t2"))))
    assert first_wrong(found) == {"E1": "U36"}


@pytest.mark.parametrize("stored", [None, 0.5, 0.61])
def test_a_function_that_is_not_known_makes_a_cell_unchecked_not_wrong(stored, tmp_path):
    file = layouts.write(ERA, tmp_path / "a.xlsx", filled(ERA, "a_h1", "=SIGMOID({h1})"))
    if stored:
        parts = {name: content.decode() for name, content in raw.read(file).items()}
        sheet = "xl/worksheets/sheet1.xml"
        parts[sheet] = parts[sheet].replace("<v></v>", f"<v>{stored}</v>").replace("<v />", f"<v>{stored}</v>")
        raw.write(file, parts)
    found = checked(file)
    assert not columns(found, "wrong")
    assert list(columns(found, "unchecked")) == ["a_h1"]
    assert "not checked, for they take SIGMOID, a function that is not calculated here: a_h1" in found.tables[0].remarks


# What stands around the table


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_a_list_below_a_table_is_not_its_continuation(gap, tmp_path):
    def add(sheet):
        for line, rate in enumerate((0.1, 0.2, 0.5, 1, 2), 36 + ROWS + gap):
            sheet.cell(line, 5).value, sheet.cell(line, 6).value, sheet.cell(line, 23).value = rate, rate / 100, 3

    found = checked(edited(layouts.write(ERA, tmp_path / "a.xlsx"), add))
    assert found.right
    assert found.tables[0].rows == ROWS


@pytest.mark.parametrize("gap", [0, 1])
def test_averages_under_a_table_are_none_of_its_rows(gap, tmp_path):
    def add(sheet):
        for column in "QUVW":
            sheet[f"{column}{36 + ROWS + gap}"].value = f"=AVERAGE({column}36:{column}{35 + ROWS})"

    found = checked(edited(layouts.write(ERA, tmp_path / "a.xlsx"), add))
    assert (found.right, found.tables[0].rows) == (True, ROWS)


@pytest.mark.parametrize("label", [None, "η ="])
def test_a_list_of_rates_is_no_label_of_another_one(label, tmp_path):
    """Of six rates in a row the updates say which is meant, or that it is none of them."""

    def add(sheet):
        sheet["E5"].value, sheet["E7"].value, sheet["F7"].value = "Learning Rates", "LR 0.1", "LR 0.2"
        for column, rate in zip("FGHIJK", (0.1, 0.2, 0.5, 0.8, 1, 2), strict=True):
            sheet[f"{column}5"].value = rate

    layout = dataclasses.replace(ERA, rate_label=label or "now")
    found = checked(edited(layouts.write(layout, tmp_path / "a.xlsx"), add))
    assert (found.right, found.tables[0].learning_rate_cell) == (True, "C2")


def test_a_derivation_and_starting_values_above_the_table_do_not_disturb(tmp_path):
    def add(sheet):
        lines = ["h1 = w1*i1 + w2*i2", "a_h1 = σ(h1) = 1/(1+exp(-h1))", "E_total = E1 + E2", "E1 = ½ * (t1 - a_o1)²"]
        for number, line in enumerate(lines, 4):
            sheet.cell(number, 1).value = line
            sheet.cell(number, 5).value = f"∂E_total/∂w{number} = ((a_01 - t1) * a_o1 * (1 - a_o1) * w5) * a_h1 * i1"
        starts = layouts.WEIGHTS | {"i1": 0.05, "i2": 0.1, "t1": 0.01, "t2": 0.99}
        for number, (name, value) in enumerate(starts.items(), 10):
            sheet.cell(number, 8).value, sheet.cell(number, 9).value = name, value
            if name in WEIGHTS:
                sheet[ERA.address(name, 0)].value = f"=$I${number}"

    found = checked(edited(layouts.write(ERA, tmp_path / "a.xlsx"), add))
    assert (found.right, found.tables[0].remarks, len(found.tables)) == (True, [], 1)


def test_a_table_with_a_blank_row_in_it_goes_on(tmp_path):
    blank = {(name, 5): None for name in ERA.order}
    again = {(name, 6): layouts.values(ERA)[6][name] for name in ERA.order}
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", blank | again))
    assert found.tables[0].rows == ROWS - 1


def test_many_equal_remarks_are_one(tmp_path):
    rows = layouts.values(ERA)
    typed = {(name, 6): rows[6][name] for name in ERA.order[4:]}
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", typed))
    assert len(found.tables[0].remarks) == 1
    alike = dataclasses.replace(ERA, targets=(0.5, 0.5))
    other = {name: "=" + students.swapped(ERA.formulas[name], t2="t1") for name in ("E2", "∂E/∂w7", "∂E/∂w8")}
    planted = {(name, row): formula for name, formula in other.items() for row in range(ROWS)}
    found = checked(layouts.write(alike, tmp_path / "a.xlsx", planted))
    assert len(found.tables[0].remarks) == 1
    assert found.tables[0].remarks[0].endswith("because both are equal here (and 2 more like this)")


# Known slips


def hidden_gradients(**names):
    slipped = {f"∂E/∂w{n}": "=" + students.swapped(ERA.formulas[f"∂E/∂w{n}"], **names) for n in (1, 2, 3, 4)}
    return {name: formula for name, formula in slipped.items() if formula != "=" + ERA.formulas[name]}


@pytest.mark.parametrize("form", ["formulas", "numbers"])
@pytest.mark.parametrize(
    ("names", "blamed", "words"),
    [
        ({"a_h2": "a_h1"}, ["∂E/∂w3", "∂E/∂w4"], "the teacher's own slip"),
        ({"w6": "w7", "w7": "w6"}, [f"∂E/∂w{n}" for n in (1, 2, 3, 4)], "the slip of another course's sheet"),
    ],
)
def test_slips_that_many_copies_have_are_known_by_name(names, blamed, words, form, tmp_path):
    planted = {(name, row): formula for name, formula in hidden_gradients(**names).items() for row in range(ROWS)}
    file = layouts.write(ERA, tmp_path / "a.xlsx", planted)
    if form == "numbers":
        from test_lesson_check import as_numbers

        file = as_numbers(file)
    found = checked(file)
    assert first_wrong(found) == {name: ERA.address(name, 0) for name in blamed}
    for column in columns(found, "wrong").values():
        assert words in column.findings[0].known_slip
    done = printed(file)
    assert words in done.stdout


def test_another_slip_has_no_name(tmp_path):
    slip = filled(ERA, "∂E/∂w3", "=" + ERA.formulas["∂E/∂w3"].replace("{i1}", "{i2}"))
    found = checked(layouts.write(ERA, tmp_path / "a.xlsx", slip))
    assert columns(found, "wrong")["∂E/∂w3"].findings[0].known_slip is None


# Files


@pytest.mark.parametrize("name", ["a.xls", "a.xlsx"])
def test_an_old_workbook_is_read_whatever_its_name(name, tmp_path):
    layout = layouts.numbers_only(ERA)
    found = checked(students.old_workbook(layout, tmp_path / name))
    assert found.right
    assert found.tables[0].learning_rate == 0.5
    assert found.remarks == ["of an old .xls file values are checked, not formulas; save it as .xlsx for both"]
    wrong = {("a_h1", 4): layouts.values(layout)[4]["a_h1"] + 1e-4}
    assert first_wrong(checked(students.old_workbook(layout, tmp_path / name, wrong))) == {"a_h1": "J40"}


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_an_open_document_is_read_with_its_formulas(name, tmp_path):
    layout = dataclasses.replace(layouts.LAYOUTS[name], rows=ROWS)
    found = checked(students.open_document(tmp_path / "a.ods", layouts.write(layout, tmp_path / "a.xlsx")))
    assert found.right, first_wrong(found)
    assert found.tables[0].learning_rate == layout.rate
    slip = next(slip for slip in layouts.SLIPS if slip.name == "o2" and slip.formula(layout))
    planted = filled(layout, "o2", slip.formula(layout), 3)
    found = checked(students.open_document(tmp_path / "a.ods", layouts.write(layout, tmp_path / "a.xlsx", planted)))
    assert first_wrong(found) == {"o2": layout.address("o2", 3)}
    assert all(word in slip_in("o2", found) for word in slip.words)


def test_an_open_document_is_read_within_the_limits(tmp_path):
    file = layouts.write(ERA, tmp_path / "a.xlsx")
    cell = '<table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="999"/>'
    rows = f'<table:table-row table:number-rows-repeated="99999">{cell}</table:table-row>'
    with pytest.raises(UserError, match="has more than 330,000 cells"):
        checked(students.open_document(tmp_path / "a.ods", file, f'<table:table table:name="x">{rows}</table:table>'))
    with pytest.raises(UserError, match="has two sheets named 'Sheet1'"):
        checked(students.open_document(tmp_path / "a.ods", file, '<table:table table:name="Sheet1"/>'))


FOREIGN = {
    b"<html><table><tr><td>w1</td></tr></table>": "is a web page",
    b"\xef\xbb\xbf<?xml version='1.0'?><Workbook/>": "is XML, as Excel wrote it in 2003",
    b"w1,w2,w3,h1\n0.15,0.2,0.25,0.3\n": "is a table in plain text",
    b'{"url": "https://docs.google.com/spreadsheets/d/1"}': "holds only the link to a Google sheet",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n": "is a pointer of Git LFS",
    b"%PDF-1.7": "is a PDF",
    b"": "is not an .xlsx workbook, or is damaged",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600): "locked with a password",
}


@pytest.mark.parametrize("content", FOREIGN, ids=FOREIGN.values())
def test_what_is_no_workbook_gets_a_sentence(content, tmp_path):
    file = tmp_path / "a.xlsx"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        checker.check(file)
    assert FOREIGN[content] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["xl/workbook.bin", "Index/Document.iwa", "word/document.xml"])
def test_other_programs_archives_get_a_sentence(part, tmp_path):
    file = raw.write(tmp_path / "a.xlsx", {"[Content_Types].xml": "<Types/>", part: ""})
    with pytest.raises(UserError, match=r"\.xlsb|Apple Numbers|is a text document"):
        checker.check(file)


# Time


def everything_wrong(form):
    """A layout and what to plant, so that every computed cell is wrong, most of them in a way of their own."""
    random = Random(form)
    layout = dataclasses.replace(ERA, rows=70)
    tails = ["*1.01", "+{w1}*{w2}", "-0.5*{a_h1}^3", "*{o1}/{o2}+{h1}", "+{i1}*{i1}"]
    computed = [(name, row) for name in ERA.order[4:] for row in range(70) if row or name not in WEIGHTS]
    if form == "numbers":
        return layouts.numbers_only(layout), {key: random.uniform(-1, 1) for key in computed}
    if form == "rounded numbers":
        return layouts.numbers_only(layout), {key: round(random.uniform(-1, 1), 3) for key in computed}
    planted = {}
    for name, row in computed:
        right = f"{{^{name}}}-{{η}}*{{^∂E/∂{name}}}" if name in WEIGHTS else layout.formulas[name]
        planted[name, row] = f"={right}{random.choice(tails)}"
    return layout, planted


@pytest.mark.parametrize("form", ["formulas", "numbers", "rounded numbers"])
def test_a_sheet_where_everything_is_wrong_takes_no_longer(form, tmp_path):
    layout, planted = everything_wrong(form)
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", planted))
    assert set(columns(found, "wrong")) == set(layout.order) - set(layouts.GIVEN)
    assert all(column.findings for column in columns(found, "wrong").values())


# Anything of all this together


@st.composite
def hands(draw):
    """A student's hand: how the headers, the rate and the table look, and which slip is made from which row on."""
    style = draw(st.sampled_from(list(students.HEADERS)))
    base = draw(st.sampled_from(list(layouts.LAYOUTS.values())))
    layout = students.dressed(
        base,
        style,
        rows=6,
        row=draw(st.integers(12, 40)),
        column=draw(st.integers(1, 6)),
        rate=draw(st.sampled_from([0.1, 0.2, 0.5, 0.8, 1.0, 2.0, 10.0])),
        rate_label=draw(st.sampled_from(students.RATE_LABELS)),
        rate_at=(draw(st.integers(1, 2)), draw(st.integers(4, 9))),
        targets=draw(st.sampled_from([(0.01, 0.99), (0.5, 0.4), (0.2, 0.7)])),
    )
    slips = [slip for slip in layouts.SLIPS if slip.name in layout.order and slip.formula(layout)]
    slip = draw(st.none() | st.sampled_from(slips))
    return layout, slip, draw(st.integers(2, 4))


@given(hands())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_hand_is_read_and_only_its_slip_is_blamed(tmp_path, hand):
    layout, slip, first = hand
    planted = filled(layout, slip.name, slip.formula(layout), first, layout.rows - 1) if slip else {}
    found = checked(layouts.write(layout, tmp_path / "a.xlsx", planted))
    wanted = {slip.name: layout.address(slip.name, first)} if slip else {}
    assert first_wrong(found) == wanted
    assert found.tables[0].learning_rate == layout.rate


def test_there_are_enough_workbooks():
    assert len(students.HEADERS) * len(layouts.LAYOUTS) > 40
    assert get_column_letter(len(ERA.order)) == "AE"
