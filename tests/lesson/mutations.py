"""Workbooks that are damaged or made to harm, from a seed: bytes of the file and of its XML, cells, headers, names."""

import re
from random import Random

import layouts
import raw
from openpyxl.utils import get_column_letter

VALUES = [
    ("n", "9" * 400), ("n", "1e400"), ("n", "-1e308"), ("n", "5e-324"), ("n", "nan"), ("n", "inf"), ("n", "1_0"),
    ("n", " 0.5 "), ("n", ""), ("n", "0x10"), ("b", "1"), ("b", "0"), ("b", "x"), ("e", "#DIV/0!"), ("e", "#N/A"),
    ("d", "2024-02-30T00:00:00"), ("d", "0"), ("str", "[red]"), ("str", "[/x]"), ("str", "_x001B_[31m"), ("str", "0,5"),
    ("str", "=1+1"), ("str", "w1"), ("str", "η = 1e999"), ("str", "LR = 0.5"), ("str", "i1 = 3"),
    ("str", "&#10;a&#9;b"), ("str", "\u202e\u0085"), ("str", "x" * 40_000), ("str", "١٢"), ("s", "0"), ("s", "99999"),
    ("s", "-1"), ("inlineStr", ""), ("zz", "1"), ("n", "0.30000001192092896"), ("n", "1e-300"), ("n", "44197"),
    ("n", "1e200"),
]  # fmt: skip
PIECES = [
    "1", "0.5", "1e308", "1e999", '"a"', '""', "TRUE", "A1", "$B$2", "A1:C3", "A1:A20000", "A1:XFD1", "A0",
    "ZZZ9999999", "Sheet1!A1", "'My Sheet'!A1", "Nowhere!A1", "[1]S!A1", "rate", "aa", "#REF!", "#N/A", "A1:B2", "Z99",
    "{1,2}", "A:A", "E36", "F36", "I36", "J36", "W36", "X36", "C2",
]  # fmt: skip
CALLS = [
    "SUM", "IF", "IFERROR", "EXP", "LN", "ROUND", "POWER", "MMULT", "TRANSPOSE", "SUMPRODUCT", "AVERAGE", "PRODUCT",
    "MAX", "SQRT", "LOG", "AND", "NOT", "SUMXMY2", "TANH", "INDEX", "OFFSET", "INDIRECT", "RAND", "_xlfn.LET", "PI",
    "INT",
]  # fmt: skip
HEADERS = [
    *layouts.ERA.order, "η", "new w1", "w1_new", "new w9", "w9", "b1", "b2", "i1[2]", "t1[2]", "h1[2]", "h1[99999999]",
    "h2_1", "a_h2_1", "h99_1", "∂a_o1/∂o1", "∂E/∂a_h1", "∂E/∂o1", "∂h1/∂w1", "∂a_h1/∂h1", "∂E2/∂a_o1", "w١", "w01",
    "w" + "9" * 50, "E7", "o12", "a_o12", "∂E/∂b1", "[red]", "epoch", "w0", "E_tot (MSE)", "x" * 70, "∂E/∂E_tot",
    "∂w1/∂w2",
]  # fmt: skip
NAMES = (
    '<definedName name="rate">Sheet1!$C$2</definedName><definedName name="aa">bb+bb</definedName>'
    '<definedName name="bb">aa*aa</definedName>'
    '<definedName name="_xlnm.Print_Area" localSheetId="7">#REF!</definedName>'
)
TITLES = ["Sheet1", "[red]", "[/x]", "a&#10;b", "LR 0.5", "LR 1e999", "\u202e", "x" * 300, "", "'", "A1!B2"]
JUNK = [
    "<",
    "&",
    "]]>",
    "<!--",
    "\x00",
    '"',
    "<c>",
    "</c>",
    "<f>",
    "</v>",
    "<row>",
    "9" * 30,
    "e",
    "-",
    "\ud7ff",
    "=",
    "$",
]


def formula(random, depth=0):
    """A random formula, without its equals sign."""
    if depth > 3 or random.random() < 0.3:
        return random.choice(PIECES)
    inner = [formula(random, depth + 1) for _ in range(random.randint(1, 3))]
    return random.choice(
        [
            random.choice(["+", "-", "*", "/", "^", "&amp;", "=", "&lt;"]).join(inner),
            f"{random.choice(CALLS)}({','.join(inner)})",
            f"({inner[0]})",
            f"-{inner[0]}%",
            "+".join(inner * random.choice([1, 40, 200] if depth == 0 else [2])),
        ]
    )


def weird_cell(random, address):
    """A cell that no spreadsheet program writes, or none that a student's table needs."""
    kind, value = random.choice(VALUES)
    which = random.random()
    if which < 0.4:
        return raw.cell(address, value, kind=kind)
    if which < 0.5:
        return (
            f'<c r="{address}" t="inlineStr"><is><r><t>w</t></r><rPh><t>no</t></rPh><r><t>{value[:50]}</t></r></is></c>'
        )
    attributes = random.choice(
        ["", ' t="shared" si="0"', ' t="shared" si="0" ref="A1:B9"', ' t="array" ref="A1:XFD1048576"']
    )
    text = random.choice([formula(random), formula(random), "", "=1"])
    stored = f"<v>{value}</v>" if random.random() < 0.5 else ""
    return f'<c r="{address}" t="{kind}"><f{attributes}>{text}</f>{stored}</c>'


def table(random):
    """The XML of a sheet with a table of random headers over random numbers and formulas."""
    names = [random.choice(HEADERS) for _ in range(random.choice([8, 20, 40]))]
    names = [*layouts.ERA.order, *names[:5]] if random.random() < 0.5 else names
    random.shuffle(names)
    rows = [raw.row(3, *(raw.cell(f"{get_column_letter(at)}3", name, kind="str") for at, name in enumerate(names, 1)))]
    for line in range(4, 4 + random.choice([1, 3, 8])):
        cells = []
        for at in range(1, len(names) + 1):
            address, which = f"{get_column_letter(at)}{line}", random.random()
            if which < 0.6:
                cells.append(raw.cell(address, round(random.uniform(-1, 1), random.choice([2, 17]))))
            elif which < 0.8:
                other = f"{get_column_letter(random.randint(1, len(names)))}{line - random.randint(0, 1)}"
                cells.append(raw.cell(address, formula=f"{other}*0.5+{random.choice(PIECES[:9])}"))
            elif which < 0.9:
                cells.append(weird_cell(random, address))
        rows.append(raw.row(line, *cells))
    return raw.sheet("".join(rows))


def with_weird_cells(random, text):
    """A sheet's XML with some of its cells replaced, and one added far away."""
    found = list(re.finditer(r'<c r="([A-Z]+[0-9]+)"[^>]*?(?:/>|>.*?</c>)', text))
    for match in sorted(
        random.sample(found, min(len(found), random.choice([1, 3, 20]))), key=lambda match: -match.start()
    ):
        text = text[: match.start()] + weird_cell(random, match[1]) + text[match.end() :]
    far = random.choice(["XFD1048576", "A1048577", "AAAA1", "B0", "c5", "$A$1", "A1:B2", "9", ""])
    return text.replace("</sheetData>", f'<row r="7">{weird_cell(random, far)}</row></sheetData>')


def with_damaged_bytes(random, content):
    """Bytes with a few of them changed, left out, doubled or replaced by junk."""
    content = bytearray(content)
    for _ in range(random.choice([1, 2, 10])):
        at, length = random.randrange(len(content) + 1), random.choice([0, 1, 5, 200])
        content[at : at + length] = random.choice(
            [b"", bytes(content[at : at + length] * 2), random.choice(JUNK).encode(), random.randbytes(length)]
        )
    return bytes(content)


def mutated(random: Random, good, file):
    """Write a workbook made from a good one, its parts by name, or from nothing."""
    which = random.random()
    if which < 0.25:
        title = random.choice(TITLES)
        found = raw.parts(table(random), names=NAMES, titles=[title], strings="<sst><si><t>w1</t></si></sst>")
        return raw.write(file, found)
    found = dict(good)
    sheet = "xl/worksheets/sheet1.xml"
    if which < 0.6:
        text = with_weird_cells(random, found[sheet].decode())
        found[sheet] = text.encode("utf-16") if random.random() < 0.05 else text.encode()
        names = f"<definedNames>{NAMES}</definedNames></workbook>"
        found["xl/workbook.xml"] = re.sub(
            rb"(<definedNames ?/>|<definedNames>.*</definedNames>)?(<calcPr[^>]*/>)?</workbook>",
            names.encode(),
            found["xl/workbook.xml"],
        )
        return raw.write(file, found)
    if which < 0.9:
        name = random.choice([sheet, sheet, sheet, *found])
        found[name] = with_damaged_bytes(random, found[name])
        return raw.write(file, found)
    raw.write(file, found)
    file.write_bytes(with_damaged_bytes(random, file.read_bytes()))
    return file
