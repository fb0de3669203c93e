"""Workbooks that somebody sent: damaged by zip part, as XML, in their cells and in their formulas."""

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import openpyxl

from tests.hostile import attacks, commands, damage
from tests.hostile.case import Case, World, often

FORMULAS = (
    "=1/0", "=9^9^9^9", "=2^1024", "=EXP(1E308)", '=REPT("a",1000000000)', '=REPT(REPT("ab",30000),30000)', "=SUM(A:A)",
    "=SUM(1:1048576)", "=SUM(A1:XFD1048576)", "=SUMPRODUCT(A1:Z9999,A1:Z9999)", '=WEBSERVICE("http://localhost:9/")',
    "=cmd|' /C calc'!A0", '=HYPERLINK("http://localhost:9")', "=[1]Sheet1!A1", "='C:\\x\\[y.xlsx]S'!A1",
    '=INDIRECT("A"&ROW())', "=OFFSET(A1,1,1,1E9,1E9)", "=Sheet1:Sheet3!A1", "=#REF!", "=NOW()", "=RAND()", "=A1",
    "=ZZZZ99999999", "=A0", "=XFE1", "=" + "(" * 300 + "1" + ")" * 300, "=" + "(" * 20_000 + "1",
    "=" + "-" * 5000 + "1", "=" + "+".join(["1"] * 4000), "=" + "1+" * 200_000 + "1", '="' + "x" * 40_000 + '"',
    "=LET(x,1,x)", "=LAMBDA(x,x(x))(LAMBDA(x,x(x)))", "={1,2;3,4}", "=@A1", "=A1#", "=1E9999", "=0x10", "=1..2",
    "=TRUE", '=""""', "=IF(" * 200 + "1" + ",1,1)" * 200, "=" + "SUM(" * 900 + "1" + ")" * 900, "=nonsense(1,2)", "=",
    "==1", "=+", "=é", "=١+١", "=\x1b[2J".replace("\x1b", "_"), "=SUM(" + ",".join(["A1"] * 3000) + ")",
    "=EXP(EXP(EXP(EXP(9))))", "=FACT(1000000)", "=POWER(10,10^9)", "=LN(0)", "=SQRT(-1)", "=MOD(1,0)",
    "=ROUND(1,1E300)", "=TANH(1E308)", "=1%%%%%", "=A1:B2 B1:C3", "=(A1,B2)", "=SUM((A1:B9,C1:C9))", "=_xlfn.X(1)",
    "=SUM(Z1:A99)", "=$A$1^-9999",
)  # fmt: skip
CELLS = (
    1e308, -1e308, 5e-324, 0.0, -0.0, 2**53 + 1, 10**300, True, False, "", " ", "0,5", "1e5", "٣", "NaN", "inf", "#N/A",
    "'=1", None,
)  # fmt: skip

EVERYWHERE = "A1:XFD1048576"
VALIDATION = (
    f'<dataValidations count="1"><dataValidation type="list" sqref="{EVERYWHERE}"><formula1>1</formula1>'
    "</dataValidation></dataValidations>"
)
CONDITIONAL = (
    f'<conditionalFormatting sqref="{EVERYWHERE}"><cfRule type="expression" priority="1"><formula>1</formula></cfRule>'
    "</conditionalFormatting>"
)


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged workbook."""
    content = (
        world.donors / commands.world_name(world, random.choice(["workbook", "workbook", "numbers"]))
    ).read_bytes()
    name = random.choice(
        ["book.xlsx"] * 9
        + ["book.xls", "[bold].xlsx", "x\x1b[2J.xlsx", "book.xlsm", "book", "-.xlsx", "é b.xlsx", "book.csv"]
    )
    file = world.sent / name
    ways: dict[str, tuple[int, Callable[[], tuple[bytes, str]]]] = {
        "cells": (30, lambda: damage_cells(world, content, random)),
        "formula": (20, lambda: damage_formulas(content, random)),
        "xml": (25, lambda: damage_xml(world, content, random)),
        "part": (12, lambda: damage_parts(content, random)),
        "bytes": (10, lambda: damage.flip(content, random)),
        "bomb": (6, lambda: bomb(content, random)),
        "other": (3, lambda: (other(random), "no workbook")),
    }
    way = random.choices(list(ways), [weight for weight, _ in ways.values()])[0]
    changed, note = ways[way][1]()
    file.write_bytes(changed)
    if often(random, 3):
        note = damage.stand_in(world, file, random)
    words = ["lesson", "check", commands.placed(world, file, "work"), *damage.maybe(random, 30, "--json")]
    return Case(
        words, f"{way}: {note}", "work", [], encoding=commands.encoding(random), whole=commands.whole(random, note)
    )


def _opened(content: bytes) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return openpyxl.load_workbook(io.BytesIO(content))


def _saved(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def damage_cells(world: World, content: bytes, random: Random) -> tuple[bytes, str]:
    """Put odd values into cells, or change what a sheet is."""
    book = _opened(content)
    sheet = book.active
    cells = [cell for row in sheet.iter_rows() for cell in row if cell.value is not None]
    notes = []
    for _ in range(random.choice([1, 1, 3, 20])):
        cell = random.choice(cells)
        value = random.choice([*CELLS, random.choice(attacks.NUMBERS), attacks.odd_text(world, random)])
        value = (
            re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]", "_", value)[:32_000]
            if isinstance(value, str)
            else value
        )
        notes.append(f"{cell.coordinate} is {str(value)[:30]!a}")
        cell.value = value
    way = random.choice(["", "", "", "merge", "far", "title", "sheets", "rows", "hide", "name", "valid"])
    text = re.sub(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff]", "_", attacks.odd_text(world, random))[:31] or "x"
    if way == "merge":
        sheet.merge_cells("A1:D40")
    elif way == "far":
        sheet.cell(1_048_576, 16_384).value = random.choice([1, "w1", "=A1"])
    elif way == "title":
        sheet.title = text
    elif way == "sheets":
        for number in range(random.choice([5, 200])):
            book.create_sheet(f"s{number}").append([f"w{place}" for place in range(1, 9)])
    elif way == "rows":
        for row in range(100, random.choice([400, 3000])):
            for column in range(1, 30):
                sheet.cell(row, column).value = row * column
    elif way == "name":
        from openpyxl.workbook.defined_name import DefinedName

        book.defined_names["rate"] = DefinedName(
            "rate", attr_text=random.choice(["rate", "Sheet1!$A$1", "1/0", "nonsense(", "'x'!#REF!", "SUM(A:XFD)"])
        )
        cells[0].value = "=rate"
    return _saved(book), "; ".join([way, *notes])[:200]


def damage_formulas(content: bytes, random: Random) -> tuple[bytes, str]:
    """Put odd formulas into cells, or chains and circles of many."""
    book = _opened(content)
    sheet = book.active
    cells = [
        cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str) and cell.value.startswith("=")
    ]
    cells = cells or [cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, float)]
    way = random.choice(["one"] * 6 + ["all", "circle", "chain", "fan", "wide", "squares", "texts"])
    note = way
    if way == "one":
        for _ in range(random.choice([1, 2, 8])):
            cell = random.choice(cells)
            cell.value = random.choice(FORMULAS)
            note = f"{cell.coordinate} is {cell.value[:60]!a}"
    elif way == "all":
        formula = random.choice(FORMULAS)
        for cell in cells:
            cell.value = formula
        note = f"all are {formula[:60]!a}"
    elif way == "circle":
        for cell in random.sample(cells, min(3, len(cells))):
            cell.value = f"={random.choice(cells).coordinate}+{cell.coordinate}"
    elif way == "chain":
        length = random.choice([300, 20_000])
        for row in range(1, length):
            sheet.cell(row + 200, 60).value = f"=BH{row + 201}+1"
        cells[0].value = "=BH201"
    elif way == "fan":  # each cell needs the one before it twice
        sheet.cell(200, 60).value = 1
        for row in range(201, 300):
            sheet.cell(row, 60).value = f"=BH{row - 1}+BH{row - 1}*SUM(BH$200:BH{row - 1})"
        cells[0].value = "=BH299"
    elif way == "wide":
        for cell in cells:
            cell.value = f"=SUM(A1:XFD{random.choice([10, 1_048_576])})"
    elif way == "squares":
        sheet["BH200"] = 1.5
        for row in range(201, 260):
            sheet.cell(row, 60).value = f"=BH{row - 1}*BH{row - 1}"
        cells[0].value = "=BH259"
    else:
        sheet["BH200"] = "ab"
        for row in range(201, 240):
            sheet.cell(row, 60).value = f"=BH{row - 1}&BH{row - 1}"
        cells[0].value = "=BH239"
    return _saved(book), note


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(parts: dict[str, bytes], random: Random, level: int = 6) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def damage_parts(content: bytes, random: Random) -> tuple[bytes, str]:
    """Remove, swap, rename, add or damage parts of the archive."""
    parts = _parts(content)
    name = random.choice(list(parts))
    way = random.choice(
        ["remove", "swap", "rename", "add", "flip", "empty", "twice", "many", "stored", "encrypted", "comment"]
    )
    if way == "remove":
        del parts[name]
    elif way == "swap":
        other = random.choice(list(parts))
        parts[name], parts[other] = parts[other], parts[name]
    elif way == "rename":
        parts[
            random.choice(
                [name.upper(), f"/{name}", f"../{name}", name.replace("/", "\\"), f"{name}.bak", "x" * 60_000]
            )
        ] = parts.pop(name)
    elif way == "add":
        more = random.choice(
            [
                "../../decoy/thesis.tex",
                "/etc/x",
                "xl/vbaProject.bin",
                "xl/externalLinks/externalLink1.xml",
                "xl/embeddings/a.bin",
                "\x1b[2J.xml",
                "xl/calcChain.xml",
                "docProps/custom.xml",
                "xl/connections.xml",
            ]
        )
        parts[more] = random.choice([b"", b"<x/>", random.randbytes(300), content])
    elif way == "flip":
        parts[name], _ = damage.flip(parts[name], random)
    elif way == "empty":
        parts[name] = b""
    elif way == "many":
        parts |= {f"xl/x{number}.xml": b"<x/>" for number in range(random.choice([100, 4000]))}
    packed = _packed(parts, random)
    if way == "twice":
        buffer = io.BytesIO(packed)
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr(name, random.choice([b"", b"<x/>", parts[name][: len(parts[name]) // 2]]))
        packed = buffer.getvalue()
    elif way == "encrypted":
        packed = re.sub(rb"(PK\x01\x02.{4})..", lambda found: found[1] + struct.pack("<H", 1), packed, flags=re.DOTALL)
    elif way == "comment":
        packed = packed[:-2] + struct.pack("<H", 60_000) + b"x" * 60_000
    return packed, f"{way} {name}"


def damage_xml(world: World, content: bytes, random: Random) -> tuple[bytes, str]:
    """Change the XML of a part: values, structure, declarations, sizes."""
    parts = _parts(content)
    name = random.choice(
        [name for name in parts if name.endswith((".xml", ".rels"))] + ["xl/worksheets/sheet1.xml"] * 6
    )
    text = parts[name].decode()
    odd = re.sub('[\x00-\x08\x0b-\x1f\ud800-\udfff<>&"]', "_", attacks.odd_text(world, random))[:5000]
    number = random.choice(
        ["0", "-1", "99999999", "1e308", "nan", "", "1048577", "4294967296", "9" * 400, "x", "1.5", odd]
    )
    sheet_end = "</sheetData>"
    ways: dict[str, Callable[[], str]] = {
        "attribute": lambda: _once(r'="([^"]*)"', f'="{number}"', text, random),
        "value": lambda: _once(r"<v>([^<]*)</v>", f"<v>{number}</v>", text, random),
        "type": lambda: _once(
            r' t="\w+"', f' t="{random.choice(["s", "str", "b", "e", "d", "inlineStr", "n", "x"])}"', text, random
        ),
        "formula": lambda: _once(
            r"<f>([^<]*)</f>",
            random.choice(
                [
                    f"<f>{odd}</f>",
                    '<f t="shared" si="99"/>',
                    '<f t="shared" ref="A1:XFD1048576" si="0">A1</f>',
                    '<f t="array" ref="A1:XFD1048576">1</f>',
                    '<f t="dataTable" ref="A1" r1="B1"/>',
                    "<f/>",
                    "<f>" + "(" * 9000 + "</f>",
                ]
            ),
            text,
            random,
        ),
        "element": lambda: _once(
            r"<(\w+)([^>]*)>",
            random.choice(["", "<x>", "</row>", "<c r='A1'>", "<!-- -->", "<![CDATA[", "<?x?>"]),
            text,
            random,
        ),
        "reference": lambda: _once(
            r' r="[A-Z]+\d+"',
            f' r="{random.choice(["A1", "XFE1", "A0", "", "ZZZZZZ9", "1A", "A1048577", "$A$1", "A99999999999"])}"',
            text,
            random,
        ),
        "row": lambda: _once(
            r'<row r="\d+"', f'<row r="{random.choice([0, -1, 1048577, 10**9, "x", 1])}"', text, random
        ),
        "doctype": lambda: text.replace(
            "<", '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><', 1
        ),
        "external entity": lambda: text.replace("?>", '?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>', 1),
        "deep": lambda: text.replace(
            sheet_end, "<x>" * (depth := random.choice([200, 50_000])) + "</x>" * depth + sheet_end
        ),
        "long attribute": lambda: text.replace(">", f' z="{"x" * 1_000_000}">', 2).replace(
            f' z="{"x" * 1_000_000}">', ">", 1
        ),
        "attributes": lambda: text.replace(
            sheet_end, f"<x {' '.join(f'a{place}=' + repr('1') for place in range(20_000))}/>{sheet_end}"
        ),
        "merge": lambda: text.replace(
            sheet_end, sheet_end + '<mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>'
        ),
        "merge some": lambda: text.replace(
            sheet_end, sheet_end + '<mergeCells count="1"><mergeCell ref="A1:Z20000"/></mergeCells>'
        ),
        "many merges": lambda: text.replace(
            sheet_end,
            sheet_end
            + "<mergeCells>"
            + "".join(f'<mergeCell ref="A{row}:H{row + 3}"/>' for row in range(1, 9000))
            + "</mergeCells>",
        ),
        "dimension": lambda: re.sub(r"<dimension [^>]*>", '<dimension ref="A1:XFD1048576"/>', text),
        "validation": lambda: text.replace(sheet_end, sheet_end + VALIDATION),
        "conditional": lambda: text.replace(sheet_end, sheet_end + CONDITIONAL),
        "columns": lambda: text.replace(
            "<sheetData>", '<cols><col min="1" max="2000000000" width="1"/></cols><sheetData>'
        ),
        "link": lambda: text.replace(
            sheet_end, sheet_end + '<hyperlinks><hyperlink ref="A1:XFD1048576" r:id="rId99" location="x"/></hyperlinks>'
        ),
        "encoding": lambda: text.replace(
            "UTF-8", random.choice(["UTF-16", "UTF-7", "ascii", "x", "idna", "rot13", "zip"])
        ),
        "same cell": lambda: text.replace(
            sheet_end, '<row r="1">' + '<c r="A1"><v>1</v></c>' * 30_000 + "</row>" + sheet_end
        ),
        "cells": lambda: text.replace(
            sheet_end,
            "".join(
                f'<row r="{row}"><c r="A{row}"><v>1</v></c></row>'
                for row in range(2000, 2000 + random.choice([50_000, 150_000]))
            )
            + sheet_end,
        ),
        "text": lambda: text.replace(
            sheet_end, f'<row r="900"><c r="A900" t="inlineStr"><is><t>{odd * 50}</t></is></c></row>{sheet_end}'
        ),
    }
    way = random.choice(list(ways))
    parts[name] = ways[way]().encode(random.choice(["utf-8"] * 12 + ["utf-16"]), "replace")
    return _packed(parts, random), f"{way} in {name}"


def _once(pattern: str, new: str, text: str, random: Random) -> str:
    """Replace one of the places that a pattern finds, chosen by chance."""
    found = list(re.finditer(pattern, text))
    if not found:
        return text
    place = random.choice(found)
    return text[: place.start()] + new + text[place.end() :]


def bomb(content: bytes, random: Random) -> tuple[bytes, str]:
    """Return a small archive that unpacks to much."""
    parts = _parts(content)
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    way = random.choice(["blanks", "shared", "media", "rows", "styles", "comment"])
    if way == "blanks":
        parts["xl/worksheets/sheet1.xml"] = sheet.replace(
            "<sheetData>", "<sheetData>" + " " * random.choice([30_000_000, 90_000_000])
        ).encode()
    elif way == "shared":
        parts["xl/sharedStrings.xml"] = (
            b"<sst>" + b"<si><t>x</t></si>" * random.choice([300_000, 2_000_000]) + b"</sst>"
        )
    elif way == "media":
        parts["xl/media/image1.png"] = bytes(random.choice([100_000_000, 300_000_000]))
    elif way == "rows":
        parts["xl/worksheets/sheet1.xml"] = sheet.replace(
            "</sheetData>", "<row/>" * random.choice([100_000, 1_000_000]) + "</sheetData>"
        ).encode()
    elif way == "styles":
        parts["xl/styles.xml"] = parts["xl/styles.xml"].replace(b"<cellXfs", b"<x/>" * 1_000_000 + b"<cellXfs", 1)
    else:
        parts["xl/worksheets/sheet1.xml"] = sheet.replace(
            "<sheetData>", "<!--" + "x" * 30_000_000 + "--><sheetData>"
        ).encode()
    return _packed(parts, random, level=1), way


def other(random: Random) -> bytes:
    """Return a file of another kind."""
    return random.choice(
        [
            b"",
            b"\xd0\xcf\x11\xe0" + bytes(600),
            b"a,b\n1,2\n",
            b"<html><table>",
            b"PK\x05\x06" + bytes(18),
            b"PK\x03\x04",
            b"%PDF-1.7",
            random.randbytes(5000),
            b"\x1f\x8b" + bytes(50),
        ]
    )
