"""Somebody else's workbook can neither hang nor fill the machine: refusals in a sentence, at once, and bounded work."""

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from random import Random

import layouts
import mutations
import numpy as np
import openpyxl
import pytest
import raw
import students
from openpyxl.utils import get_column_letter

from classlab import limits
from classlab.errors import UserError
from classlab.lesson import book as books
from classlab.lesson import book_tables, checker, recognise, small_network, workbook_file, written_workbook
from classlab.lesson.formula import Address
from classlab.lesson.meter import Meter
from classlab.lesson.reading import MissingQuantity, held
from classlab.lesson.whole_columns import right_cells

SHEET = "xl/worksheets/sheet1.xml"
ONE = raw.sheet(raw.row(1, raw.cell("A1", 1)))


def sentence(file, seconds=2.0):
    """The refusal of a workbook; it comes at once."""
    start = time.process_time()
    with pytest.raises(UserError) as caught:
        checker.check(file)
    assert time.process_time() - start < seconds
    assert "\n" not in str(caught.value)
    return str(caught.value)


def checked(file, seconds=5.0):
    """The check of a workbook, within the time that any workbook may take."""
    start = time.process_time()
    found = checker.check(file)
    json.dumps(checker.as_json(found))
    assert time.process_time() - start < seconds
    return found


def wrong(found):
    return {column.name: column for table in found.tables for column in table.columns if column.verdict == "wrong"}


def table(rows, content, names="", after=""):
    """The parts of a workbook with the reports' table; `content(name, row, columns)` is a number, a formula or None."""
    header, columns = raw.header()
    lines = [header]
    for row in range(2, rows + 2):
        cells = []
        for name, column in columns.items():
            held = content(name, row, columns)
            formula, value = (held, None) if isinstance(held, str) else (None, held)
            cells.append("" if held is None else raw.cell(f"{column}{row}", value, formula))
        lines.append(raw.row(row, *cells))
    return raw.parts(raw.sheet("".join(lines), after), names=names)


# The file


def refused(case, folder):
    """A workbook that is refused, by what is wrong with it."""
    file = folder / "a.xlsx"
    parts = raw.parts(ONE)
    match case:
        case "parts":
            parts |= {f"x{index}": b"" for index in range(20_000)}
        case "two parts of one name":
            with zipfile.ZipFile(file, "w") as archive, pytest.warns(UserWarning):
                for name, content in [*parts.items(), (SHEET, raw.sheet())]:
                    archive.writestr(name, content)
            return file
        case "a packing that unpacks without a bound":
            return raw.write(file, parts, zipfile.ZIP_LZMA)
        case "a size that is not true":
            parts[SHEET] = raw.sheet("<row>" + "<c/>" * 1_000_000 + "</row>")
            content = bytearray(raw.write(file, parts).read_bytes())
            entry = content.rfind(b"PK\1\2", 0, content.rfind(SHEET.encode()))
            struct.pack_into("<I", content, entry + 24, 1000)
            file.write_bytes(content)
            return file
        case "a file of gigabytes":
            with file.open("wb") as stream:
                stream.truncate(5_000_000_000)
            return file
        case "text":
            parts[SHEET] = raw.sheet(after=" " * 60_000_000)
        case "tags":
            parts[SHEET] = raw.sheet('<row r="1">' + "<c/>" * 9_500_000 + "</row>")
        case "one sheet read two hundred times":
            parts[SHEET] = raw.sheet("<row/>" * 200_000)
            sheets = "".join(f'<sheet name="S{index}" r:id="rId1"/>' for index in range(150))
            parts["xl/workbook.xml"] = f"<workbook {raw.MAIN} {raw.LINKS}><sheets>{sheets}</sheets></workbook>"
        case "attributes":
            parts[SHEET] = "<worksheet>" + ("<a " + " ".join(f'a{i}=""' for i in range(20)) + "/>") * 100_000
        case "attributes of one element":
            parts[SHEET] = "<worksheet><a " + " ".join(f'a{i}=""' for i in range(1_200_000)) + "/></worksheet>"
        case "levels":
            parts[SHEET] = "<worksheet>" + "<a>" * 2_000_000
        case "entities":
            parts[SHEET] = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + ONE
        case "entities in UTF-16":
            text = f'<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE x [<!ENTITY a "aaaa">]>{ONE}'
            parts[SHEET] = text.encode("utf-16")
        case "sheets":
            parts = raw.parts(*[ONE] * 300)
        case "sheets of one name":
            parts = raw.parts(ONE, ONE, titles=["a", "a"])
        case "names":
            parts = raw.parts(ONE, names='<definedName name="n">1</definedName>' * 200_000)
        case "cells":
            cells = [f"<c><v>{column}</v></c>" for column in range(200)]
            parts[SHEET] = raw.sheet("".join(raw.row(row, *cells) for row in range(1, 1800)))
        case "texts":
            cells = [raw.cell(f"A{row}", f"text {row}", kind="str") for row in range(1, 25_000)]
            parts[SHEET] = raw.sheet("".join(raw.row(row, cell) for row, cell in enumerate(cells, 1)))
        case "tables":
            parts[SHEET] = raw.sheet("".join(raw.header(line)[0] for line in range(1, 300)))
        case "an area":
            names = [f"w{index}" for index in range(1, 1000)] + ["h1"]
            header = [raw.cell(f"{get_column_letter(at)}1", name, kind="str") for at, name in enumerate(names, 1)]
            lines = [raw.row(row, raw.cell(f"A{row}", 1), raw.cell(f"B{row}", 1)) for row in range(2, 20_000)]
            parts[SHEET] = raw.sheet(raw.row(1, *header) + "".join(lines))
        case "a place outside":
            parts[SHEET] = raw.sheet('<row r="1"><c r="XFE1"><v>1</v></c></row>')
        case "a row outside":
            parts[SHEET] = raw.sheet('<row r="1048577"/>')
        case "a text that is not there":
            parts[SHEET] = raw.sheet(raw.row(1, raw.cell("A1", 7, kind="s")))
        case "no sheets":
            del parts["xl/workbook.xml"]
        case "a part cut short":
            parts[SHEET] = ONE[:-20]
        case "examples":
            changed = parts = table(2, lambda name, row, columns: 0.5)
            parts = {name: text.replace("<v>i1</v>", "<v>i1[99999999]</v>") for name, text in changed.items()}
        case "layers":
            names = ["i1", *(f"w{index}" for index in range(1, 201)), *(f"h{layer}_1" for layer in range(1, 200)), "o1"]
            header = [raw.cell(f"{get_column_letter(at)}1", name, kind="str") for at, name in enumerate(names, 1)]
            numbers = [raw.cell(f"{get_column_letter(at)}2", 0.5) for at in range(1, len(names) + 1)]
            parts[SHEET] = raw.sheet(raw.row(1, *header) + raw.row(2, *numbers))
    return raw.write(file, parts)


REFUSED = {
    "parts": "holds more than 3,000 parts",
    "two parts of one name": "holds two parts of one name",
    "a packing that unpacks without a bound": "is packed in a way in which no spreadsheet packs",
    "a size that is not true": "is damaged",
    "a file of gigabytes": "holds 5,000,000,000 bytes, and of such a file at most 100,000,000 are read",
    "text": "unpacks to more than 40,000,000 bytes",
    "tags": "holds more than 2,400,000 tags of XML",
    "one sheet read two hundred times": "holds more than 2,400,000 tags of XML",
    "attributes": "holds more than 1,300,000 equals signs",
    "attributes of one element": "holds a longer piece of XML than any cell can",
    "levels": "cannot be read as an .xlsx workbook: xl/worksheets/sheet1.xml: no element found",
    "entities": "declares entities of its own",
    "entities in UTF-16": "declares entities of its own",
    "sheets": "has more than 200 sheets",
    "sheets of one name": "has two sheets named 'a'",
    "names": "defines more than 20,000 names",
    "cells": "has more than 330,000 cells",
    "texts": "holds more than 20,000 different texts",
    "tables": "has more than 100 header rows of tables",
    "an area": "the tables have 19,978,002 cells, empty ones among them; at most 330,000 are checked",
    "a place outside": "names a cell 'XFE1'",
    "a row outside": "names a row '1048577'",
    "a text that is not there": "a cell names a text '7' that is not there",
    "no sheets": "there is no xl/workbook.xml in it",
    "a part cut short": "unclosed token",
    "examples": "8 weights with 99,999,999 examples; the two multiplied may be up to 5,000",
    "layers": "the columns make no network",
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_limit_has_a_sentence_of_its_own_and_holds_at_once(case, tmp_path):
    assert REFUSED[case] in sentence(refused(case, tmp_path))


@pytest.mark.parametrize("case", ["tags", "levels", "attributes", "names", "cells", "text", "an area"])
def test_a_refusal_takes_little_memory(case, tmp_path):
    file = refused(case, tmp_path)
    code = (
        "import pathlib, resource, sys; from classlab.lesson import checker\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "try: checker.check(pathlib.Path(sys.argv[1]))\n"
        "except Exception: print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500


def test_only_regular_files_are_opened(tmp_path):
    pipe, link = tmp_path / "pipe.xlsx", tmp_path / "link.xlsx"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for file in (pipe, link, Path("/dev/zero"), tmp_path):
        assert sentence(file) == f"{file} is not a regular file, so it is not read"


COSTLY = {
    "a merged range": '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>',
    "merged ranges": "<mergeCells>" + '<mergeCell ref="A1:XFD1048576"/>' * 100_000 + "</mergeCells>",
    "conditional formats": '<conditionalFormatting sqref="A1:XFD1048576"><cfRule/></conditionalFormatting>' * 100_000,
    "validations": "<dataValidations>" + '<dataValidation sqref="A1:XFD1048576"/>' * 100_000 + "</dataValidations>",
    "links": "<hyperlinks>" + '<hyperlink ref="A1:XFD1048576" r:id="rId1"/>' * 100_000 + "</hyperlinks>",
    "columns": "<cols>" + '<col min="1" max="16384" width="9"/>' * 100_000 + "</cols>",
    "a picture": '<drawing r:id="rId1"/><legacyDrawing r:id="rId2"/><tableParts><tablePart r:id="rId3"/></tableParts>',
}


@pytest.mark.parametrize("case", COSTLY)
def test_what_is_costly_in_a_spreadsheet_costs_nothing_here(case, tmp_path):
    """Nothing of it is needed, so that nothing is made of it; the table beside it is checked."""
    parts = raw.read(layouts.write(layouts.ERA, tmp_path / "a.xlsx"))
    parts[SHEET] = parts[SHEET].replace(b"</sheetData>", f"</sheetData>{COSTLY[case]}".encode())
    parts["xl/styles.xml"] = b"<styleSheet><cellXfs>" + b"<xf/>" * 4_000_000 + b"</cellXfs></styleSheet>"
    parts["xl/media/image1.png"] = bytes(300_000_000)
    parts["xl/externalLinks/externalLink1.xml"] = b"<!DOCTYPE x>"
    assert checked(raw.write(tmp_path / "a.xlsx", parts), seconds=2.0).right


def test_formulas_over_giant_ranges_are_read_cell_by_cell(tmp_path):
    shared = '<c r="A1"><f t="shared" ref="A1:XFD1048576" si="0">1+1</f></c><c r="B1"><f t="shared" si="0"/></c>'
    array = '<c r="C1"><f t="array" ref="C1:XFD1048576">A1:A2*2</f><v>4</v></c>'
    book = books.read(raw.write(tmp_path / "a.xlsx", raw.parts(raw.sheet(raw.row(1, shared, array)))))
    assert len(book.cells) == 3
    assert book.value(Address("Sheet1", 1, 2)) == 2


# Honest workbooks in unusual dress


def test_the_reader_reads_what_another_reader_reads(tmp_path):
    files = [layouts.write(layout, tmp_path / f"{name}.xlsx") for name, layout in layouts.LAYOUTS.items()]
    written_workbook.write(small_network.build(), [0.5, 0.1], 20, tmp_path / "own.xlsx")
    for file in [*files, tmp_path / "own.xlsx"]:
        found, other = workbook_file.read(file), openpyxl.load_workbook(file)
        stored = openpyxl.load_workbook(file, data_only=True)
        assert found.sheets == other.sheetnames
        expected = {}
        for sheet in other:
            for cell in (cell for row in sheet.iter_rows() for cell in row if cell.value is not None):
                formula = cell.value if cell.data_type == "f" else None
                value = stored[sheet.title].cell(cell.row, cell.column).value if formula else cell.value
                expected[Address(sheet.title, cell.row, cell.column)] = value, formula
        assert {address: (cell.value, cell.formula) for address, cell in found.cells.items()} == expected
        local = {f"{sheet.title}!{name}" for sheet in other for name in sheet.defined_names if name[0] != "_"}
        assert {name for name in found.names if "_xlnm" not in name} == local


def dressed(parts, how):
    """The same workbook as another program may write it."""
    parts = {name: content.decode() for name, content in parts.items()}
    match how:
        case "prefixes":
            for name in (SHEET, "xl/workbook.xml", "xl/sharedStrings.xml"):
                parts[name] = re.sub(r"<(/?)(?=[a-zA-Z])", r"<\1x:", parts[name]).replace("xmlns=", "xmlns:x=")
        case "UTF-16":
            text = re.sub(r"^<\?xml.*?\?>", "", parts[SHEET])
            return parts | {SHEET: f'<?xml version="1.0" encoding="UTF-16"?>{text}'.encode("utf-16")}
        case "no addresses":
            parts[SHEET] = re.sub(r'<c r="[A-Z]+(3[5-9]|4\d)"', "<c", parts[SHEET])
            parts[SHEET] = re.sub(r'<row r="(3[6-9]|4\d)"', "<row", parts[SHEET])
        case "absolute links and another name":
            parts["xl/workbook2.xml"] = parts.pop("xl/workbook.xml")
            parts["xl/_rels/workbook2.xml.rels"] = parts.pop("xl/_rels/workbook.xml.rels").replace(
                'Target="worksheets', 'Target="/xl/worksheets'
            )
            parts["_rels/.rels"] = raw.links(("officeDocument", "/xl/workbook2.xml"))
        case "inline texts":
            texts = re.findall(r"<si>(.*?)</si>", parts["xl/sharedStrings.xml"])
            spoken = "<rPh><t>spoken</t></rPh>"

            def inline(match):
                return f'{match[1]} t="inlineStr"><is>{texts[int(match[2])]}{spoken}</is></c>'

            parts[SHEET] = re.sub(r'(<c r="\w+"[^>]*) t="s"><v>(\d+)</v></c>', inline, parts[SHEET])
        case "shared formulas":
            parts[SHEET] = shared(parts[SHEET])
    return parts


def shared(text):
    """The formulas below each column's second one named by it, as some programs write what is filled down."""
    for index, column in enumerate([get_column_letter(at) for at in range(5, 32)]):
        first = re.search(rf'<c r="{column}37"[^>]*><f>', text)
        if first:
            master = first[0].replace("<f>", f'<f t="shared" ref="{column}37:{column}65" si="{index}">')
            text = text.replace(first[0], master)
            rest = rf'(<c r="{column}(?:3[89]|[456]\d)"[^>]*>)<f>[^<]*</f>'
            text = re.sub(rest, rf'\1<f t="shared" si="{index}"/>', text)
    return text


@pytest.mark.parametrize(
    "how",
    ["prefixes", "UTF-16", "no addresses", "absolute links and another name", "inline texts", "shared formulas"],
)
def test_a_workbook_as_other_programs_write_it_is_read(how, tmp_path):
    file = tmp_path / "a.xlsx"
    if how in ("prefixes", "inline texts"):  # whose workbook has texts that are shared
        written_workbook.write(small_network.build(), [0.5], 12, file)
    else:
        layouts.write(layouts.Layout(**{**vars(layouts.ERA), "rows": 14}), file)
    before = checked(file)
    found = checked(raw.write(file, dressed(raw.read(file), how)))
    assert found.right
    assert found.tables == before.tables


def test_a_wrong_cell_of_a_shared_formula_is_told_as_it_reads_there(tmp_path):
    file = layouts.write(
        layouts.ERA, tmp_path / "a.xlsx", {("h1", row): "={w1}*{i1}-{w2}*$D$36" for row in range(1, 30)}
    )
    found = wrong(checked(raw.write(file, dressed(raw.read(file), "shared formulas"))))["h1"]
    assert found.wrong_cells == 29
    assert found.findings[0].formula == "=E37*C37-F37*$D$36"
    assert "subtracts w2" in found.findings[0].slip


def test_a_table_of_ten_thousand_rows_is_checked_whole(tmp_path):
    right = layouts.Layout(layouts.ERA.order, row=1, column=1, rate_at=(1, 40), rows=10_000)
    contents = layouts.contents(layouts.Layout(**{**vars(right), "rows": 3}), {})

    def content(name, row, columns):
        held = contents[name, min(row - 2, 2)]
        if not isinstance(held, str):
            return held
        return re.sub(r"(?<![$\d])(?<=[A-Z])(\d+)", lambda digits: str(int(digits[0]) + max(row - 4, 0)), held[1:])

    parts = table(10_000, content)
    rate = raw.cell("AN1", "η =", kind="str") + raw.cell("AO1", 0.5)
    parts[SHEET] = parts[SHEET].replace("</row>", f"{rate}</row>", 1)
    found = checked(raw.write(tmp_path / "a.xlsx", parts), seconds=15.0)
    assert found.right
    assert found.tables[0].rows == 10_000
    assert found.tables[0].remarks == []


# Formulas


HEAVY = {
    "sums of sums": lambda name, row, columns: "SUM($A$1:$A$1000)" if name != "t1" else 0.5,
    "a column of texts that double": lambda name, row, columns: (
        (f"{columns[name]}{row - 1}&amp;{columns[name]}{row - 1}" if row > 2 else '"x"') if name != "t1" else 0.5
    ),
    "long texts": lambda name, row, columns: f'"{"x" * 3000}"&amp;{row}' if name == "h1" else 0.5,
    "formulas that all differ": lambda name, row, columns: (
        f"A{row}*0.{row}7+{len(name)}.{row}" if name != "t1" else 0.5
    ),
    "names within names": lambda name, row, columns: "in_2+in_1+in_2" if name != "t1" else 0.5,
    "names in a circle": lambda name, row, columns: "aa" if name != "t1" else 0.5,
    "a circle down each column": lambda name, row, columns: f"{columns[name]}{row % 1000 + 2}" if name != "t1" else 0.5,
    "chains up each column": lambda name, row, columns: f"{columns[name]}{row + 1}+1" if name != "t1" else 0.5,
    "a column times a row": lambda name, row, columns: "SUM(A2:A142*A2:EK2)" if name != "t1" else 0.5,
    "errors": lambda name, row, columns: "1/0" if name != "t1" else 0.5,
    "numbers of no network": lambda name, row, columns: (row * 7919 * len(name) % 1000) / 1000,
}
WITHIN = "".join(f'<definedName name="in_{i}">in_{i - 1}+in_{i - 1}</definedName>' for i in range(1, 100))
AROUND = '<definedName name="aa">bb+bb</definedName><definedName name="bb">aa+aa</definedName>'


@pytest.mark.parametrize("case", HEAVY)
def test_no_workbook_takes_long(case, tmp_path, monkeypatch):
    """A sixth of the work that is allowed takes a sixth of five seconds; on a busy machine it may take more."""
    monkeypatch.setattr(limits, "WORKBOOK_STEPS", limits.WORKBOOK_STEPS // 6)
    file = raw.write(tmp_path / "a.xlsx", table(1000, HEAVY[case], WITHIN + AROUND))
    with contextlib.suppress(UserError):
        checked(file, seconds=2.0)


def test_what_is_not_calculated_for_want_of_work_is_unchecked_and_said(tmp_path, monkeypatch):
    heavy = {("h2", row): "={w3}*{i1}+{w4}*{i2}+0*SUM($AZ$1:$AZ$19000)" for row in range(60)}
    long = layouts.Layout(**{**vars(layouts.ERA), "rows": 60})
    file = layouts.write(long, tmp_path / "a.xlsx", heavy)
    monkeypatch.setattr(limits, "WORKBOOK_STEPS", 4_000_000)
    found = checked(file)
    assert found.right
    (remark,) = [remark for remark in found.tables[0].remarks if "more work" in remark]
    assert re.fullmatch(r"[\d,]+ cells are not checked: the workbook asks for more work than a check does", remark)
    file = layouts.write(long, file, heavy | {("h1", 1): "={w1}*{i1}-{w2}*{i2}"})
    assert list(wrong(checked(file))) == ["h1"]


def test_a_formula_too_deep_to_be_calculated_is_unchecked_not_wrong(tmp_path):
    for deep in ("=" + "=".join("9" * 1990), "=" + "+".join("1" * 1990), "=" + "-" * 1000 + "1", "=1" + "%" * 1000):
        for name in ("h1", "a_h1", "∂E/∂w1", "w3"):
            found = checked(
                layouts.write(layouts.ERA, tmp_path / "a.xlsx", {(name, row): deep for row in range(1, 30)})
            )
            assert found.right, (deep[:9], name, wrong(found))
            assert any(name in remark for remark in found.tables[0].remarks if remark.startswith("not checked"))


# Values


@pytest.mark.parametrize(("kind", "value"), mutations.VALUES)
def test_any_value_of_any_type_is_read(kind, value, tmp_path):
    parts = raw.read(layouts.write(layouts.numbers_only(layouts.ERA), tmp_path / "a.xlsx"))
    text = re.sub(r'<c r="J40"[^>]*>.*?</c>', "CELL", parts[SHEET].decode())
    for formula in (None, "1/0", "A1:B2", "J40"):
        parts[SHEET] = text.replace("CELL", raw.cell("J40", value, formula, kind))
        file = raw.write(tmp_path / "a.xlsx", parts)
        if kind == "s":  # this workbook has no shared texts
            assert "names a text" in sentence(file)
        else:
            assert set(wrong(checked(file))) <= {"a_h1"}


def test_a_number_too_large_for_a_number_is_a_text(tmp_path):
    parts = raw.read(layouts.write(layouts.numbers_only(layouts.ERA), tmp_path / "a.xlsx"))
    parts[SHEET] = re.sub(r'<c r="J40"[^>]*>.*?</c>', raw.cell("J40", "9" * 400), parts[SHEET].decode())
    found = wrong(checked(raw.write(tmp_path / "a.xlsx", parts)))["a_h1"].findings[0]
    assert found.slip == f"J40 holds the text '{'9' * 40}' where a number belongs"
    assert found.holds == "9" * 80 + "…"


# Whole columns


@pytest.mark.parametrize("seed", range(6))
def test_cells_found_right_all_at_once_are_those_found_right_one_by_one(seed, tmp_path):
    random = Random(seed)
    layout = random.choice(list(layouts.LAYOUTS.values()))
    layout = random.choice([layout, layouts.numbers_only(layout), layouts.numbers_only(layout, 4)])
    planted = {}
    for _ in range(60):
        content = random.choice([None, 0.5, "text", 1e308, "=1/0", "={h1}*1", 0.123456])
        planted[random.choice(layout.order), random.randrange(layout.rows)] = content
    book = books.read(layouts.write(layout, tmp_path / "a.xlsx", planted))
    (found,) = book_tables.find(book)
    read = recognise.read(book, found, held(book, found), book_tables.rates(book, found), [], Meter(10**9))
    at_once = right_cells(read)
    assert sum(map(np.sum, at_once.values())) > 20
    missed = 0
    for name, right in at_once.items():
        for row in range(layout.rows):
            try:
                singly = read.agrees(name, row, read.expected(name, row)) if read.held[name].cells[row] else False
            except MissingQuantity:
                singly = False
            if right[row]:
                assert singly, (name, row)
            else:
                missed += singly
    assert missed < 20  # those that read what no number stands for, but is computed where it is wanted


# Anything


def good_workbooks(folder):
    small = [layouts.Layout(**{**vars(layout), "rows": 6}) for layout in layouts.LAYOUTS.values()]
    found = [raw.read(layouts.write(layout, folder / "a.xlsx")) for layout in small]
    found += [raw.read(layouts.write(layouts.numbers_only(layout, 4), folder / "a.xlsx")) for layout in small]
    for options in ({}, {"sizes": (3, 4, 2), "biases": True}, {"output": "softmax"}):
        written_workbook.write(small_network.build(**options), [0.5], 4, folder / "a.xlsx")
        found.append(raw.read(folder / "a.xlsx"))
    return found


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_whatever_a_workbook_holds_there_is_a_check_or_a_sentence(first, tmp_path):
    good = good_workbooks(tmp_path)
    for seed in range(first, first + 20):
        random = Random(seed)
        file = mutations.mutated(random, random.choice(good), tmp_path / "a.xlsx")
        try:
            found = checked(file)
        except UserError as refusal:
            assert "\n" not in str(refusal), seed
        else:
            remarks = [*found.remarks, *(remark for table in found.tables for remark in table.remarks)]
            assert not any("\n" in remark for remark in remarks), seed


@pytest.mark.parametrize("ending", ["xls", "ods"])
def test_whatever_a_workbook_of_another_format_holds_there_is_a_check_or_a_sentence(ending, tmp_path):
    layout = layouts.Layout(**{**vars(layouts.ERA), "rows": 4})
    file = tmp_path / f"a.{ending}"
    if ending == "xls":
        good = students.old_workbook(layouts.numbers_only(layout), file).read_bytes()
    else:
        good = raw.read(students.open_document(file, layouts.write(layout, tmp_path / "a.xlsx")))
    for seed in range(40):
        random = Random(seed)
        if isinstance(good, bytes):
            file.write_bytes(mutations.with_damaged_bytes(random, good))
        else:
            raw.write(file, good | {"content.xml": mutations.with_damaged_bytes(random, good["content.xml"])})
        try:
            checked(file)
        except UserError as refusal:
            assert "\n" not in str(refusal), seed


def test_an_old_workbook_of_many_bytes_is_refused_at_once(tmp_path):
    file = tmp_path / "a.xls"
    file.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(11_000_000))
    assert "is an old .xls file of more than 10,000,000 bytes" in sentence(file)
