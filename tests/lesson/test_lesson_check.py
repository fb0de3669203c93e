"""The check of other people's workbooks: right ones pass, planted slips are found in place, hostile files refused."""

import dataclasses
import json
import re
import zipfile
from random import Random

import layouts
import numpy as np
import openpyxl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classlab.errors import UserError
from classlab.lesson import book as books
from classlab.lesson import checker, headers, quantities, small_network, written_workbook

ROW = 6
SHORT = {name: dataclasses.replace(layout, rows=12) for name, layout in layouts.LAYOUTS.items()}
PLANTED = [(name, slip) for name, layout in SHORT.items() for slip in layouts.SLIPS if slip.name in layout.order]
PLANTED = [(name, slip) for name, slip in PLANTED if slip.formula(SHORT[name])]


def wrong(found):
    return {column.name: column for table in found.tables for column in table.columns if column.verdict == "wrong"}


# Right workbooks


@pytest.mark.parametrize("name", layouts.LAYOUTS)
@pytest.mark.parametrize("form", ["formulas", "numbers", "six digits", "four digits"])
def test_right_workbooks_of_three_layouts_pass(name, form, tmp_path):
    layout = layouts.LAYOUTS[name]
    if form != "formulas":
        layout = layouts.numbers_only(layout, {"six digits": 6, "four digits": 4}.get(form))
    found = checker.check(layouts.write(layout, tmp_path / "a.xlsx"))
    (table,) = found.tables
    assert found.right, wrong(found)
    assert (table.network, table.rows, table.like) == ("2-2-2", layout.rows, "eva7-s4")
    assert table.settings == "sigmoid hidden, sigmoid output, ½ squared error, no biases"
    assert table.learning_rate == layout.rate
    assert not [column for column in table.columns if column.verdict == "unchecked"]


def test_our_own_workbook_passes_with_and_without_stored_values(tmp_path):
    file = tmp_path / "own.xlsx"
    written_workbook.write(small_network.build(), (2.0, 0.1), 68, file)
    found = checker.check(file)
    assert found.right
    assert [(table.sheet, table.rows, table.like) for table in found.tables] == [
        ("LR 2.0", 68, "era-s6"),
        ("LR 0.1", 68, "era-s6"),
    ]
    openpyxl.load_workbook(file).save(file)  # drops every stored value
    assert checker.check(file).right


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hidden": "tanh", "biases": True}, "tanh hidden, sigmoid output, ½ squared error, with biases"),
        (
            {"hidden": "relu", "output": "softmax", "loss": "cross_entropy"},
            "relu hidden, softmax output, cross-entropy",
        ),
        ({"output": "softmax"}, "sigmoid hidden, softmax output, ½ squared error"),
        ({"sizes": (3, 4, 2)}, "sigmoid hidden, sigmoid output, ½ squared error"),
        ({"sizes": (2, 2, 2, 2)}, "sigmoid hidden"),
        ({"inputs": [[0.05, 0.1], [0.9, -0.4]], "targets": [[0.5, 0.5], [0.1, 0.9]]}, "sigmoid hidden"),
    ],
)
def test_other_networks_are_recognised(options, told, tmp_path):
    net = small_network.build(**options)
    written_workbook.write(net, [0.5], 6, tmp_path / "a.xlsx")
    found = checker.check(tmp_path / "a.xlsx")
    assert found.right, wrong(found)
    assert found.tables[0].settings.startswith(told)
    assert found.tables[0].network == "-".join(map(str, net.sizes))


def variant(name, tmp_path):
    """A right workbook as found in practice, by the name of what is unusual about it."""
    era, file = SHORT["era"], tmp_path / "a.xlsx"
    constants = {"t1": "$A$36", "t2": "$B$36", "i1": "$C$36", "i2": "$D$36"}
    if name == "counted from zero":
        heads = {one: re.sub(r"\d", lambda digit: str(int(digit[0]) - 1), one) for one in era.order if one != "E_tot"}
        return layouts.write(dataclasses.replace(era, headers=heads), file)
    if name == "inputs and targets in the first row only":
        formulas = {k: re.sub(r"\{([it]\d)\}", lambda m: constants[m[1]], v) for k, v in era.formulas.items()}
        blank = {(one, row): None for one in layouts.GIVEN for row in range(1, era.rows)}
        return layouts.write(dataclasses.replace(era, formulas=formulas), file, blank)
    if name == "inputs, targets and rate typed into the formulas":
        numbers = {"t1": "0.01", "t2": "0.99", "i1": "0.05", "i2": "0.1"}
        formulas = {k: re.sub(r"\{([it]\d)\}", lambda m: numbers[m[1]], v) for k, v in era.formulas.items()}
        order = layouts.FORWARD + layouts.ERRORS + layouts.GRADIENTS
        updates = {(f"w{n}", row): f"={{^w{n}}}-0.5*{{^∂E/∂w{n}}}" for n in range(1, 9) for row in range(1, era.rows)}
        return layouts.write(
            dataclasses.replace(era, formulas=formulas, order=order, rate_label="lesson", sheet="work"), file, updates
        )
    if name == "initial weights in a row of their own":
        blank = {(one, 0): None for one in era.order if one not in layouts.WEIGHTS}
        again = {(one, 1): f"={{^{one}}}" for one in layouts.WEIGHTS}
        return layouts.write(era, file, blank | again)
    if name == "updated weights in columns of their own":
        new = {f"new w{n}": f"{{w{n}}}-{{η}}*{{∂E/∂w{n}}}" for n in range(1, 9)}
        layout = dataclasses.replace(
            era, order=era.order + list(new), formulas=era.formulas | new, headers={one: one[4:] for one in new}
        )
        taken = {(f"w{n}", row): f"={{^new w{n}}}" for n in range(1, 9) for row in range(1, era.rows)}
        return layouts.write(layout, file, taken)
    if name == "no columns for E1, E2 and the gradients":
        order = layouts.GIVEN + layouts.FORWARD + ["E_tot"]
        formulas = era.formulas | {"E_tot": "0.5*({t1}-{a_o1})^2+0.5*({t2}-{a_o2})^2"}
        up = {one: re.sub(r"\{(\w)", r"{^\1", formula) for one, formula in era.formulas.items()}
        updates = {
            (f"w{n}", row): f"={{^w{n}}}-{{η}}*({up[f'∂E/∂w{n}']})" for n in range(1, 9) for row in range(1, era.rows)
        }
        return layouts.write(dataclasses.replace(era, order=order, formulas=formulas), file, updates)
    if name == "squared error without the ½":
        formulas = {k: "2*" + v if k.startswith("∂") else v.replace("0.5*", "") for k, v in era.formulas.items()}
        return layouts.write(dataclasses.replace(era, formulas=formulas), file)
    if name == "weights numbered input by input":
        other = {"w2": "w3", "w3": "w2", "w6": "w7", "w7": "w6"}

        def swap(text):
            return re.sub(r"w\d", lambda match: other.get(match[0], match[0]), text)

        return layouts.write(
            dataclasses.replace(era, formulas={swap(k): swap(v) for k, v in era.formulas.items()}), file
        )
    if name == "the rate under its label, in the header's row":
        layout = dataclasses.replace(era, rate_at=(35, 32), rate_label="LR=")
        layouts.write(layout, file)
        book = openpyxl.load_workbook(file)
        book.active["AG35"].value, book.active["AF36"].value = None, 0.5
        for row in book.active.iter_rows():
            for cell in row:
                cell.value = cell.value.replace("$AG$35", "$AF$36") if isinstance(cell.value, str) else cell.value
        book.save(file)
        return file
    if name == "sideways":
        layouts.write(layouts.numbers_only(era), file)
        book = openpyxl.load_workbook(file)
        upright, sideways = book.active, book.create_sheet("sideways")
        for row in upright.iter_rows():
            for cell in row:
                if cell.value is not None:
                    sideways.cell(cell.column, cell.row).value = cell.value
        book.remove(upright)
        book.save(file)
        return file
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "counted from zero",
        "inputs and targets in the first row only",
        "inputs, targets and rate typed into the formulas",
        "initial weights in a row of their own",
        "updated weights in columns of their own",
        "no columns for E1, E2 and the gradients",
        "squared error without the ½",
        "weights numbered input by input",
        "the rate under its label, in the header's row",
        "sideways",
    ],
)
def test_right_workbooks_as_found_in_practice_pass(name, tmp_path):
    found = checker.check(variant(name, tmp_path))
    assert found.right, wrong(found)
    assert found.tables[0].learning_rate == 0.5
    assert not [column for column in found.tables[0].columns if column.verdict == "unchecked"]


def side_by_side(tables, file):
    """Several tables on a sheet: (row, column, rate, contents planted); each has its rate two rows above its header."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row, column, rate, planted in tables:
        layout = dataclasses.replace(SHORT["era"], row=row, column=column, rate=rate, rate_at=(row - 2, column + 1))
        sheet.cell(row - 2, column + 1).value, sheet.cell(row - 2, column + 2).value = "η =", rate
        for name in layout.order:
            sheet[layout.address(name, -1)].value = name
        for (name, index), content in layouts.contents(layout, planted).items():
            sheet[layout.address(name, index)].value = content
    book.save(file)
    return file


def test_several_tables_on_a_sheet_each_have_their_own_rate(tmp_path):
    tables = [(10, 1, 2.0, {}), (10, 36, 1.0, {}), (40, 1, 0.1, {})]
    found = checker.check(side_by_side(tables, tmp_path / "a.xlsx"))
    assert found.right
    assert sorted(table.learning_rate for table in found.tables) == [0.1, 1.0, 2.0]
    assert not [remark for table in found.tables for remark in table.remarks]


def test_updates_by_the_rate_of_the_table_beside_are_wrong(tmp_path):
    neighbours = {
        (f"w{n}", row): f"={{^w{n}}}-$AL$8*{{^∂E/∂w{n}}}" for n in range(1, 9) for row in range(1, SHORT["era"].rows)
    }
    found = checker.check(side_by_side([(10, 1, 2.0, neighbours), (10, 36, 1.0, {})], tmp_path / "a.xlsx"))
    assert [table.right for table in found.tables] == [False, True]
    assert [table.learning_rate_cell for table in found.tables] == ["C8", "AL8"]
    assert set(wrong(found)) == set(layouts.WEIGHTS)
    assert wrong(found)["w5"].findings[0].slip == ("M12 takes η from AL8, which holds 1; η stands in C8: write $C$8")


def test_a_rate_that_stands_farther_away_than_another_is_a_remark(tmp_path):
    """One table, two rates: the updates say which is meant."""
    book = openpyxl.load_workbook(layouts.write(SHORT["era"], tmp_path / "a.xlsx"))
    book.active["B30"].value, book.active["C30"].value = "η =", 0.1
    book.save(tmp_path / "a.xlsx")
    found = checker.check(tmp_path / "a.xlsx")
    assert found.right
    assert found.tables[0].remarks == ["the updates follow η = 0.5; nearer to the table stands 0.1 (C30)"]


@pytest.mark.parametrize("count", [2, 12])
def test_a_table_whose_numbers_are_texts_with_a_comma_is_read(count, tmp_path):
    rows = rounded(epochs(count), ROUNDED["4 decimals"])
    rows = [{name: f"{number:g}".replace(".", ",") for name, number in row.items()} for row in rows]
    found = checker.check(table_of(rows, tmp_path / "a.xlsx"))
    assert found.right, wrong(found)
    assert found.tables[0].remarks == [
        f"A4 holds its number as text, and so do {count * len(rows[0]) - 1:,} more cells"
    ]
    rows[1]["a_h1"] = "0,6"
    assert list(wrong(checker.check(table_of(rows, tmp_path / "a.xlsx")))) == ["a_h1"]


# Planted slips


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_planted_slips_are_found_at_their_cells_and_named_and_no_right_cell_is_blamed(name, tmp_path):
    """Each slip stands in a row of its own; what follows from it in later rows is right."""
    slips = {row: slip for row, (_, slip) in enumerate((one for one in PLANTED if one[0] == name), 3)}
    layout = dataclasses.replace(layouts.LAYOUTS[name], rows=len(slips) + 5)
    planted = {(slip.name, row): slip.formula(layout) for row, slip in slips.items()}
    found = wrong(checker.check(layouts.write(layout, tmp_path / "a.xlsx", planted)))
    findings = {finding.cell: finding for column in found.values() for finding in column.findings}
    assert set(findings) == {layout.address(slip.name, row) for row, slip in slips.items()}
    for row, slip in slips.items():
        finding = findings[layout.address(slip.name, row)]
        assert finding.cells == 1
        assert all(re.search(word if "|" in word else re.escape(word), finding.slip) for word in slip.words), finding
        assert finding.should_be_formula.startswith("=")


def test_there_are_enough_planted_slips():
    assert len(PLANTED) >= 60
    assert len({name for name, _ in PLANTED}) == 3


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_a_slip_filled_down_a_whole_column_is_found_in_its_first_row(name, tmp_path):
    layout = SHORT[name]
    for slip in [slip for one, slip in PLANTED if one == name][::7]:
        formula = slip.formula(layout)
        first = 2 if "^^" in formula else 1 if "{^" in formula else 0
        rows = range(first, layout.rows - 1)
        file = layouts.write(layout, tmp_path / "a.xlsx", {(slip.name, row): formula for row in rows})
        found = wrong(checker.check(file))
        assert list(found) == [slip.name]
        assert found[slip.name].findings[0].cell == layout.address(slip.name, first)
        assert found[slip.name].wrong_cells == len(rows)


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_typed_numbers_gaps_and_errors_are_found_where_they_are(name, tmp_path):
    layout = SHORT[name]
    right = layouts.values(layout)[ROW]
    for planted, words in [
        ({("h1", ROW): 0.5}, "holds a number typed over the formula"),
        ({("w5", ROW): round(right["w5"], 3)}, "holds a number typed over the formula"),
        ({("a_o2", ROW): round(right["a_o2"], 4)}, "holds a number typed over the formula"),
        ({("E1", ROW): None}, "is empty"),
        ({("E2", ROW): "?"}, "holds the text '?' where a number belongs"),
        ({("∂E/∂w6", ROW): "=#REF!*2"}, "shows #REF!"),
        ({("h2", ROW): "={h2}+1"}, "needs its own value: the formula runs in a circle"),
        ({("∂E/∂w5", ROW): "={w1}/{nowhere}"}, ""),
    ]:
        ((key, content),) = planted.items()
        if isinstance(content, str) and "nowhere" in content:
            planted = {key: content.replace("{nowhere}", "$XX$1")}
            words = "refers to XX1, which is empty"
        found = wrong(checker.check(layouts.write(layout, tmp_path / "a.xlsx", planted)))
        assert list(found) == [key[0]], (planted, found)
        finding = found[key[0]].findings[0]
        assert finding.cell == layout.address(*key)
        assert words in finding.slip


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_in_a_workbook_of_plain_numbers_only_the_wrong_number_is_blamed(name, tmp_path):
    layout = layouts.numbers_only(SHORT[name])
    rows = layouts.values(layout)
    right = rows[ROW]
    swapped = {("∂E/∂w5", row): numbers["∂E/∂w6"] for row, numbers in enumerate(rows)}
    for planted, words in [
        ({("h1", ROW): 0.5}, "does not follow from its row"),
        ({("w5", ROW): 0.41}, "does not follow from its row"),
        ({("∂E/∂w3", ROW): -right["∂E/∂w3"]}, "has the wrong sign"),
        ({("a_h1", ROW): right["a_h1"] * 1000}, "decimal point in the wrong place"),
        ({("E1", ROW): 2 * right["E1"]}, "lacks the factor ½"),
        ({("w7", ROW): rows[ROW - 1]["w7"]}, "repeats the number of the row above"),
        (swapped, "multiplies by a_h2"),
    ]:
        found = wrong(checker.check(layouts.write(layout, tmp_path / "a.xlsx", planted)))
        (blamed,) = {key[0] for key in planted}
        assert list(found) == [blamed], (planted, found)
        assert words in found[blamed].findings[0].slip


OUTPUT_SLOPE, HIDDEN_SLOPE = r"\*\{(a_o\d)\}\*\(1-\{\1\}\)", r"\*\{(a_h\d)\}\*\(1-\{\1\}\)"
BOTH = "lacks a_o1·(1 − a_o1) and a_o2·(1 − a_o2), the slope of the sigmoid"
ALIKE = [
    ("era", OUTPUT_SLOPE, "", [*layouts.GRADIENTS], {"∂E/∂w5": "lacks a_o1·(1 − a_o1), the slope", "∂E/∂w1": BOTH}),
    ("own-way", OUTPUT_SLOPE, "", ["∂E/∂o1", "∂E/∂o2"], {"∂E/∂o2": "lacks a_o2·(1 − a_o2), the slope of the sigmoid"}),
    ("era", HIDDEN_SLOPE, "", layouts.GRADIENTS[:4], {"∂E/∂w1": "lacks a_h1·(1 − a_h1), the slope of the sigmoid"}),
    ("own-way", HIDDEN_SLOPE, "", layouts.GRADIENTS[:4], {"∂E/∂w4": "lacks a_h2·(1 − a_h2), the slope"}),
    ("era", HIDDEN_SLOPE, r"*(1-{\1}^2)", layouts.GRADIENTS[:4], {"∂E/∂w3": "has 1 − a_h2² where a_h2·(1 − a_h2), "}),
    ("era", "^", "2*", [*layouts.GRADIENTS], {"∂E/∂w8": "has a factor too many: 2"}),
]


def as_numbers(file):
    """The workbook's formulas replaced by the numbers they give."""
    calculated, book = books.read(file), openpyxl.load_workbook(file)
    for address, cell in calculated.cells.items():
        if cell.formula:
            book[address.sheet].cell(address.row, address.column).value = calculated.number(address)
    book.save(file)
    return file


@pytest.mark.parametrize("form", ["formulas", "numbers"])
@pytest.mark.parametrize(("name", "old", "new", "blamed", "words"), ALIKE)
def test_a_slip_made_alike_in_every_gradient_is_blamed_on_the_gradients(name, old, new, blamed, words, form, tmp_path):
    """Not on the columns that say what the network is: a_h1 with 1 − a_h1² forgotten is no relu, E no cross-entropy."""
    layout = SHORT[name]
    formulas = {k: re.sub(old, new, v, count=9) if k.startswith("∂") else v for k, v in layout.formulas.items()}
    file = layouts.write(dataclasses.replace(layout, formulas=formulas), tmp_path / "a.xlsx")
    found = checker.check(file if form == "formulas" else as_numbers(file))
    assert found.tables[0].settings == "sigmoid hidden, sigmoid output, ½ squared error, no biases"
    assert set(wrong(found)) == set(blamed)
    for column, told in words.items():
        assert told in wrong(found)[column].findings[0].slip


def test_the_slope_of_the_sigmoid_under_tanh_is_blamed_on_the_gradients(tmp_path):
    formulas = SHORT["era"].formulas | {f"a_h{j}": f"TANH({{h{j}}})" for j in (1, 2)}
    found = checker.check(layouts.write(dataclasses.replace(SHORT["era"], formulas=formulas), tmp_path / "a.xlsx"))
    assert found.tables[0].settings.startswith("tanh hidden")
    assert set(wrong(found)) == set(layouts.GRADIENTS[:4])
    assert "has a_h1·(1 − a_h1) where 1 − a_h1², the slope of tanh, belongs" in wrong(found)["∂E/∂w1"].findings[0].slip


def test_a_half_forgotten_in_both_errors_is_blamed_on_them(tmp_path):
    formulas = {k: v.replace("0.5*", "") for k, v in SHORT["era"].formulas.items()}
    found = checker.check(layouts.write(dataclasses.replace(SHORT["era"], formulas=formulas), tmp_path / "a.xlsx"))
    assert set(wrong(found)) == {"E1", "E2"}


def table_of(rows, file):
    """A table of plain numbers with η = 0.5 beside it."""
    book = openpyxl.Workbook()
    book.active["A1"].value, book.active["B1"].value = "η =", 0.5
    for column, name in enumerate(rows[0], 1):
        for line, value in enumerate([name, *(row[name] for row in rows)], 3):
            book.active.cell(line, column).value = value
    book.save(file)
    return file


def epochs(count, **options):
    """The rows of the second report's network, or of one with other options, at the rate 0.5."""
    return [
        quantities.values(epoch)
        for epoch in small_network.descend(small_network.build("eva7-s4", **options), 0.5, count)
    ]


@pytest.mark.parametrize("absent", ["a_h", "E", "∂E", "h"])
@pytest.mark.parametrize("options", [{"hidden": "tanh"}, {"loss": "cross_entropy"}, {}])
def test_settings_are_recognised_from_other_columns_where_their_own_are_absent(options, absent, tmp_path):
    rows = [
        {name: number for name, number in row.items() if not re.fullmatch(f"{absent}(_tot|/∂w)?\\d*", name)}
        for row in epochs(8, **options)
    ]
    found = checker.check(table_of(rows, tmp_path / "a.xlsx"))
    assert found.right, wrong(found)
    assert found.tables[0].settings.startswith(options.get("hidden", "sigmoid"))
    assert ("cross-entropy" in found.tables[0].settings) == ("loss" in options)


# Numbers typed or pasted


def rounded(rows, how):
    """The same rows, everything computed rounded."""
    start = {**rows[0]}
    rows = [{name: number if name[0] in "it" else how(number) for name, number in row.items()} for row in rows]
    rows[0] |= {name: start[name] for name in start if name[0] == "w"}
    return rows


ROUNDED = {
    "3 decimals": lambda number: round(number, 3),
    "4 decimals": lambda number: round(number, 4),
    "4 figures": lambda number: float(f"{number:.4g}"),
    "32 bits": lambda number: float(np.float32(number)),
    "32 bits, printed": lambda number: float(str(np.float32(number))),
}


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("how", ROUNDED)
def test_rounded_numbers_pass_in_short_tables_too(how, count, tmp_path):
    """With 3 decimals the gradients of w1 … w4, about 0.0003, are 0.000 throughout."""
    found = checker.check(table_of(rounded(epochs(count), ROUNDED[how]), tmp_path / "a.xlsx"))
    assert found.right, wrong(found)


@pytest.mark.parametrize("how", ROUNDED)
@pytest.mark.parametrize("name", ["h2", "a_h1", "o2", "a_o1", "E2", "E_tot", "∂E/∂w5", "w7"])
def test_a_wrong_number_among_rounded_ones_is_found_in_a_table_of_two_rows(name, how, tmp_path):
    rows = rounded(epochs(2), ROUNDED[how])
    rows[1][name] = ROUNDED[how](rows[1][name] + 0.02)
    assert list(wrong(checker.check(table_of(rows, tmp_path / "a.xlsx")))) == [name]


@pytest.mark.parametrize("count", [2, 60])
def test_what_pytorch_computes_in_32_bits_passes(count, tmp_path):
    weights = [torch.tensor([[0.15, 0.20], [0.25, 0.30]]), torch.tensor([[0.40, 0.45], [0.50, 0.55]])]
    inputs, targets, rows = torch.tensor([0.05, 0.10]), torch.tensor([0.01, 0.99]), []
    for _ in range(count):
        below, above = (weight.clone().requires_grad_() for weight in weights)
        h = below @ inputs
        o = above @ h.sigmoid()
        errors = 0.5 * (targets - o.sigmoid()) ** 2
        errors.sum().backward()
        units = {"i": inputs, "t": targets, "h": h, "a_h": h.sigmoid(), "o": o, "a_o": o.sigmoid(), "E": errors}
        row = {f"{name}{unit}": values[unit - 1].item() for name, values in units.items() for unit in (1, 2)}
        row["E_tot"] = errors.sum().item()
        for name, matrices in (("w", (below, above)), ("∂E/∂w", (below.grad, above.grad))):
            numbers = [number.item() for matrix in matrices for number in matrix.flatten()]
            row |= {f"{name}{index}": number for index, number in enumerate(numbers, 1)}
        rows.append(row)
        weights = [(weight - 0.5 * weight.grad).detach() for weight in (below, above)]
    found = checker.check(table_of(rows, tmp_path / "a.xlsx"))
    assert found.right, wrong(found)
    rows[1]["a_h2"] += 1e-5
    assert set(wrong(checker.check(table_of(rows, tmp_path / "a.xlsx")))) == {"a_h2"}


def test_a_learning_rate_in_a_column_of_its_own_is_taken_as_it_is_typed(tmp_path):
    """Not as if 0.5 could be 0.45: an update by another rate is wrong."""
    rows = [{**row, "η": 0.5} for row in epochs(8)]
    assert checker.check(table_of(rows, tmp_path / "a.xlsx")).right
    rows[4]["w5"] = rows[3]["w5"] - 0.47 * rows[3]["∂E/∂w5"]
    assert "w5" in wrong(checker.check(table_of(rows, tmp_path / "a.xlsx")))


def test_a_reference_that_moved_with_the_row_is_named(tmp_path):
    layout = SHORT["era"]
    moved = {("w3", row): f"={{^w3}}-C{row + 1}*{{^∂E/∂w3}}" for row in range(1, layout.rows)}
    found = wrong(checker.check(layouts.write(layout, tmp_path / "a.xlsx", moved)))
    assert list(found) == ["w3"]
    assert found["w3"].findings[0].slip == (
        "G38 takes η from C3, which is empty, because the reference is not fixed and moved with the row; "
        "η stands in C2: write $C$2"
    )


def test_a_rate_typed_into_the_updates_is_held_against_the_one_on_the_sheet(tmp_path):
    layout = SHORT["era"]
    typed = {(f"w{n}", row): f"={{^w{n}}}-0.8*{{^∂E/∂w{n}}}" for n in range(1, 9) for row in range(1, layout.rows)}
    found = wrong(checker.check(layouts.write(layout, tmp_path / "a.xlsx", typed)))
    assert set(found) == set(layouts.WEIGHTS)
    assert found["w1"].findings[0].slip == "E37 has 0.8 where η = 0.5 (C2) belongs"


def test_a_series_filled_down_and_a_changed_target_are_found(tmp_path):
    layout = SHORT["era"]
    series = {("i1", row): round(0.05 + 0.01 * row, 2) for row in range(layout.rows)}
    found = wrong(checker.check(layouts.write(layout, tmp_path / "a.xlsx", series)))
    assert list(found) == ["i1"]
    assert found["i1"].findings[0].slip == "C37 holds 0.06 where 0.05 belongs: a series was filled down"
    found = wrong(checker.check(layouts.write(layout, tmp_path / "a.xlsx", {("t1", ROW): 0.02})))
    assert list(found) == ["t1"]


def test_a_sheet_that_starts_from_other_weights_than_all_others_is_wrong(tmp_path):
    book = openpyxl.Workbook()
    for rate in (2.0, 1.0, 0.5):
        layout = dataclasses.replace(SHORT["era"], rate=rate, sheet=f"LR {rate}")
        planted = {("w2", 0): 0.02} if rate == 1.0 else None
        layouts.write(layout, tmp_path / "a.xlsx", planted, book)
    found = checker.check(tmp_path / "a.xlsx")
    assert [table.right for table in found.tables] == [True, False, True]
    assert wrong(found)["w2"].findings[0].slip == "F36 starts at 0.02 where all other sheets start at 0.2"


def test_what_is_right_only_by_chance_is_a_remark(tmp_path):
    layout = dataclasses.replace(SHORT["era"], targets=(0.5, 0.5))
    found = checker.check(layouts.write(layout, tmp_path / "a.xlsx", {("E2", ROW): "=0.5*({t1}-{a_o2})^2"}))
    assert found.right
    assert found.tables[0].remarks == [
        "V42 uses t1 (column A) where t2 (column B) belongs; the number is right only because both are equal here"
    ]


def test_stale_values_and_typed_but_right_numbers_are_remarks(tmp_path):
    file = tmp_path / "a.xlsx"
    layout = SHORT["era"]
    right = layouts.values(layout)[ROW]["h1"]
    found = checker.check(layouts.write(layout, file, {("h1", ROW): right}))
    assert found.right
    assert found.tables[0].remarks == ["I42 holds a number typed over its formula (h1); the number is right"]
    written_workbook.write(small_network.build(), [0.5], 5, file)
    with zipfile.ZipFile(file) as archive:
        text = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    text[sheet], count = re.subn(rb'(<c r="J37"[^>]*><f>[^<]*</f><v>)[^<]*', rb"\g<1>7", text[sheet])
    assert count == 1
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in text.items():
            archive.writestr(name, content)
    found = checker.check(file)
    assert found.right
    assert found.tables[0].remarks == ["1 cells, first J37, store other values than their formulas give; recalculate"]


def test_the_check_as_json_round_trips(tmp_path):
    layout = SHORT["eva"]
    file = layouts.write(layout, tmp_path / "a.xlsx", {("h1", ROW): 0.5})
    document = json.loads(json.dumps(checker.as_json(checker.check(file))))
    assert document["right"] is False
    (table,) = document["tables"]
    blamed = [column for column in table["columns"] if column["verdict"] == "wrong"]
    assert blamed[0]["first_wrong"]["cell"] == layout.address("h1", ROW)
    assert blamed[0]["first_wrong"]["should_be_formula"].startswith("=")


# Headers


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *[(text, "∂E/∂w1") for text in ("∂E/∂w1", "dE/dw1", "dw1", "δE_total/δw1", "∂E_T / ∂w1", "ΔE/Δw1", "grad w1")],
        *[(text, "∂E/∂w1") for text in ("\\frac{\\partial E}{\\partial w_1}", "dE/dW1", "∂E_Total/∂w₁")],
        *[(text, "E_tot") for text in ("E_tot", "E_TOTAL", "Total Error", "E", "Loss", "E_total (MSE)", "e_t")],
        *[(text, "a_h1") for text in ("a_h1", "out_h1", "h1_out", "σ(h1)", "sigmoid(h1)", "a-h1", "ah1")],
        *[(text, "h1") for text in ("h1", "net_h1", "H1", "h1 = w1*i1 + w2*i2")],
        *[(text, "η") for text in ("η", "LR", "Learning Rate (η)", "alpha", "ղ")],
        *[(text, "a_o2") for text in ("a_o2", "a_02", "out_o2", "output2")],
        *[(text, "t1") for text in ("t1", "Target 1", "target_o1")],
        *[(text, "new w1") for text in ("w1_new", "new w1", "w1'", "w1+")],
        *[(text, "∂E/∂o1") for text in ("∂E/∂o1", "delta_o1", "δo1")],
        *[(text, None) for text in ("epoch", "w", "chart", "", "weights", "Graphs", None, 3.0)],
        ("∂a_o1/∂o1", "∂a_o1/∂o1"),
        ("h2_1", "h2_1"),
        ("i1[2]", "i1[2]"),
    ],
)
def test_headers_as_people_write_them(written, name):
    assert headers.quantity_named(written) == name


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_any_header_is_read_without_a_fault(text):
    headers.quantity_named(text)
    headers.rate_in(text)
    headers.is_rate_label(text)
    headers.setting_named(text)


# Files that are not what they seem


def sentence(file):
    with pytest.raises(UserError) as caught:
        checker.check(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_broken_and_foreign_files_get_one_sentence(tmp_path):
    file = tmp_path / "a.xlsx"
    assert sentence(file) == f"there is no file {file}"
    file.write_bytes(b"not a workbook")
    assert sentence(file).endswith("is not an .xlsx workbook, or is damaged")
    file.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "is an old .xls file that is damaged, or a workbook that is locked with a password" in sentence(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert sentence(file).endswith("is not an .xlsx workbook")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    assert "cannot be read as an .xlsx workbook" in sentence(file)
    openpyxl.Workbook().save(file)
    assert "holds no table to check: a row of headers such as" in sentence(file)
    whole = layouts.write(SHORT["era"], file).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in sentence(file)
    assert sentence(tmp_path) == f"{tmp_path} is not a regular file, so it is not read"


def test_hostile_files_are_refused_before_they_are_read(tmp_path):
    file = layouts.write(SHORT["era"], tmp_path / "a.xlsx")
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def rewritten(**changed):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in (parts | changed).items():
                archive.writestr(name, content)
        return file

    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    name = "xl/worksheets/sheet1.xml"
    assert "declares entities of its own" in sentence(rewritten(**{name: entities + parts[name]}))
    assert "unpacks to more than" in sentence(rewritten(**{name: parts[name] + b" " * 41_000_000}))
    assert "holds more than 3,000 parts" in sentence(rewritten(**{f"xl/{index}.bin": b"" for index in range(3001)}))


def test_a_far_away_cell_costs_nothing(tmp_path):
    file = layouts.write(SHORT["era"], tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(file)
    book.active["XFD1048576"].value = "=1+1"
    book.active["XFC1"].value = '=WEBSERVICE("http://example.org")'
    book.save(file)
    assert checker.check(file).right


def test_columns_that_make_no_network_are_told(tmp_path):
    layout = dataclasses.replace(
        SHORT["era"], order=[name for name in SHORT["era"].order if name not in ("w8", "∂E/∂w8")]
    )
    file = layouts.write(layouts.numbers_only(layout), tmp_path / "a.xlsx")
    assert "the columns make no network: 7 weights, where 2-2-2 units need 8" in sentence(file)


CLUTTER = [
    None,
    "abc",
    "=A1",
    "=1/0",
    "=SUM(A:A)",
    "=Sheet9!A1",
    "={1,2}",
    "=VLOOKUP(1,A1:B2,2)",
    0.0,
    1e308,
    "=EXP(1E9)",
]
CLUTTER += ["w1", "∂E/∂w1", "η =", "LR 5", True, "=-", "=(((", "1,5", "=E36:E40", "=SQRT(-1)", "nan", "=#N/A", "=A0"]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_stands_in_a_workbook_the_check_answers(seed, tmp_path):
    random = Random(seed)
    for layout in layouts.LAYOUTS.values():
        layout = dataclasses.replace(layout, rows=random.choice([1, 2, 5]))
        layout = layouts.numbers_only(layout) if random.random() < 0.3 else layout
        file = layouts.write(layout, tmp_path / "a.xlsx")
        book = openpyxl.load_workbook(file)
        for _ in range(random.choice([1, 10, 60])):
            row, column = random.randint(1, layout.row + layout.rows + 2), random.randint(1, layout.column + 32)
            book.active.cell(row, column).value = random.choice(CLUTTER)
        book.save(file)
        try:
            json.dumps(checker.as_json(checker.check(file)))
        except UserError as told:
            assert "\n" not in str(told)
