"""The workbook recalculated by other engines equals lesson/small_network.py, as written and after it is changed."""

import shutil
import subprocess

import openpyxl
import pytest

from classlab.errors import UserError
from classlab.lesson import quantities, small_network, written_workbook

RATES = (2.0, 1.0, 0.8, 0.5, 0.2, 0.1)
SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")


def table(sheet):
    """Return (address of each cell by name and row) of a sheet's table, found by its header."""
    header = next(row for row in sheet.iter_rows() if row[0].value == "epoch")
    columns = {cell.value: cell.column for cell in header[1:] if cell.value}
    rows = range(header[0].row + 1, sheet.max_row + 1)
    return {
        (name, index): sheet.cell(row, column) for name, column in columns.items() for index, row in enumerate(rows)
    }


def place(sheet, label):
    """Return the cell right of the setting's label."""
    for row in sheet.iter_rows(max_row=30, max_col=8):
        for cell in row:
            if cell.value == f"{label} =":
                return sheet.cell(cell.row, cell.column + 1)
    raise AssertionError(label)


def expected(net, rate, epochs):
    rows = [quantities.values(epoch) for epoch in small_network.descend(net, rate, epochs)]
    return {(name, index): row[name] for index, row in enumerate(rows) for name in row}


def by_formulas(file):
    """Recalculate with the `formulas` package; return {(sheet, address): value}."""
    import formulas

    model = formulas.ExcelModel().loads(str(file)).finish()
    found = {}
    for key, ranges in model.calculate().items():
        if "]" in key and ":" not in key:
            sheet, _, address = key.partition("]")[2].partition("'!")
            found[sheet.upper(), address] = ranges.value[0, 0]
    return found


def by_libreoffice(file, folder):
    command = [SOFFICE, "--headless", f"-env:UserInstallation=file://{folder}/profile", "--convert-to", "xlsx"]
    subprocess.run([*command, "--outdir", str(folder), str(file)], check=True, capture_output=True, timeout=120)
    book = openpyxl.load_workbook(folder / file.name, data_only=True)
    return {
        (sheet.title.upper(), cell.coordinate): cell.value
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
    }


def changed(file, copy, weight, rate):
    """Save a copy with another w5 on the first sheet and another rate on the second; it stores no values."""
    book = openpyxl.load_workbook(file)
    place(book["LR 2.0"], "w5").value = weight
    place(book["LR 1.0"], "η").value = rate
    book.save(copy)
    return copy


def assert_equal(found, file, net, rates):
    book = openpyxl.load_workbook(file)
    for sheet, rate in rates.items():
        cells = table(book[sheet])
        wanted = expected(net, rate, max(index for _, index in cells) + 1)
        assert cells.keys() == wanted.keys()
        for key, cell in cells.items():
            assert found[sheet.upper(), cell.coordinate] == pytest.approx(wanted[key], rel=1e-12, abs=1e-12), (
                sheet,
                key,
            )


@pytest.fixture(scope="module")
def era(tmp_path_factory):
    file = tmp_path_factory.mktemp("workbook") / "era.xlsx"
    written_workbook.write(small_network.build(), RATES, 68, file)
    return file


def test_the_stored_values_and_the_rows_are_the_networks(era):
    book = openpyxl.load_workbook(era, data_only=True)
    assert book.sheetnames == ["LR 2.0", "LR 1.0", "LR 0.8", "LR 0.5", "LR 0.2", "LR 0.1", "Graphs"]
    for rate in RATES:
        cells, wanted = table(book[written_workbook.sheet_name(rate)]), expected(small_network.build(), rate, 68)
        assert {key: cell.value for key, cell in cells.items()} == wanted


def test_every_cell_of_the_table_is_a_formula_and_settings_have_names(era):
    book = openpyxl.load_workbook(era)
    for rate in RATES:
        sheet = book[written_workbook.sheet_name(rate)]
        assert all(str(cell.value).startswith("=") for cell in table(sheet).values())
        names = sheet.defined_names
        assert sheet[names["learning_rate"].attr_text.partition("!")[2].replace("$", "")].value == rate
        assert {f"start_w{number}" for number in range(1, 9)} <= set(names)
        assert len(sheet._charts) == 2
    assert len(book["Graphs"]._charts) == 8


def test_another_engine_computes_the_same(tmp_path):
    file = tmp_path / "short.xlsx"
    written_workbook.write(small_network.build(), RATES, 6, file)
    assert_equal(
        by_formulas(file), file, small_network.build(), {written_workbook.sheet_name(rate): rate for rate in RATES}
    )
    copy = changed(file, tmp_path / "changed.xlsx", 0.9, 3.0)
    weights = [0.15, 0.20, 0.25, 0.30, 0.9, 0.45, 0.50, 0.55]
    rates = {written_workbook.sheet_name(rate): rate for rate in RATES} | {"LR 1.0": 3.0}
    assert_equal(by_formulas(copy), copy, small_network.build(weights=weights), rates)


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice is not installed")
def test_libreoffice_computes_the_same_in_every_cell_after_changes(era, tmp_path):
    copy = changed(era, tmp_path / "changed.xlsx", 0.9, 3.0)
    found = by_libreoffice(copy, tmp_path / "recalculated")
    weights = [0.15, 0.20, 0.25, 0.30, 0.9, 0.45, 0.50, 0.55]
    rates = {written_workbook.sheet_name(rate): rate for rate in RATES} | {"LR 1.0": 3.0}
    assert_equal(found, copy, small_network.build(weights=weights), rates)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": "tanh", "biases": True, "loss": "cross_entropy"},
        {"hidden": "relu", "output": "softmax", "loss": "cross_entropy", "targets": [[1.0, 0.0]]},
        {"output": "softmax"},
        {"sizes": (3, 2, 2, 1), "biases": [0.1, -0.2, 0.3, 0.4, -0.5]},
        {"inputs": [[0.05, 0.1], [0.9, -0.4]], "targets": [[0.5, 0.5], [0.1, 0.9]]},
    ],
    ids=["tanh", "relu-softmax", "softmax-squared", "deep", "two-examples"],
)
def test_every_option_gives_formulas_that_another_engine_computes(options, tmp_path):
    net = small_network.build(**options)
    file = tmp_path / "option.xlsx"
    written_workbook.write(net, [0.5], 3, file)
    assert_equal(by_formulas(file), file, net, {"LR 0.5": 0.5})


def test_the_derivation_stands_in_numbered_steps_above_the_table(era):
    lines = [line for line, opens in written_workbook.derivation_lines(quantities.Shape()) if opens]
    assert [line.partition(".")[0] for line in lines] == [str(number) for number in range(1, 10)]
    book = openpyxl.load_workbook(era)
    texts = [cell.value for row in book["LR 2.0"].iter_rows(max_row=34) for cell in row if isinstance(cell.value, str)]
    assert "∂E/∂w5 = ∂E1/∂a_o1 · ∂a_o1/∂o1 · ∂o1/∂w5" in texts
    assert "∂E/∂w5 = (a_o1 − t1)·a_o1·(1 − a_o1)·a_h1" in texts


def test_mistakes_are_told_in_a_sentence(tmp_path):
    def sentence(rates, epochs=3, file=tmp_path / "a.xlsx", **options):
        with pytest.raises(UserError) as caught:
            written_workbook.write(small_network.build(**options), rates, epochs, file)
        return str(caught.value)

    assert sentence([1.0, 1.0]) == "--learning-rates must all differ; got 1, 1"
    assert sentence([]) == "--learning-rates takes 1 to 24 rates, for example 2,1,0.5; got 0"
    assert sentence([1.0], file=tmp_path / "a.xls").startswith("--out must end in .xlsx; got")
    assert "there is no folder" in sentence([1.0], file=tmp_path / "no" / "a.xlsx")
    assert sentence([1.0], sizes=(12, 12, 12, 12)).startswith("this network needs")
    assert "fewer epochs" in sentence([1.0, 2.0, 3.0, 4.0], epochs=10_000)
    (tmp_path / "folder.xlsx").mkdir()
    assert "is not a regular file, so it is not written to" in sentence([1.0], file=tmp_path / "folder.xlsx")
