"""Workbooks written as raw XML, as no spreadsheet program would write them."""

import zipfile
from pathlib import Path

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LINKS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'


def links(*kinds_and_targets):
    found = "".join(
        f'<Relationship Id="rId{number}" Type="{TYPE}{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(kinds_and_targets, 1)
    )
    return f"<Relationships {PACKAGE}>{found}</Relationships>"


def types(*parts_and_kinds):
    """The part that says what each part is; some readers need it."""
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    found = "".join(f'<Override PartName="/{part}" ContentType="{main}.{kind}+xml"/>' for part, kind in parts_and_kinds)
    return f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{found}</Types>'


def sheet(rows="", after=""):
    """A sheet's XML around the XML of its rows."""
    return f"<worksheet {MAIN}><sheetData>{rows}</sheetData>{after}</worksheet>"


def row(number, *cells):
    return f'<row r="{number}">{"".join(cells)}</row>'


def cell(address, value=None, formula=None, kind=None):
    held = (f"<f>{formula}</f>" if formula else "") + (f"<v>{value}</v>" if value is not None else "")
    return f'<c r="{address}"{f""" t="{kind}" """ if kind else ""}>{held}</c>'


def parts(*sheets, names="", strings=None, titles=None, attributes=""):
    """The parts of a workbook of these sheets by name; `names` is the XML of its defined names."""
    titles = titles or [f"Sheet{number}" for number in range(1, len(sheets) + 1)]
    listed = "".join(
        f'<sheet name="{title}" sheetId="{number}" r:id="rId{number}"/>' for number, title in enumerate(titles, 1)
    )
    targets = [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1)]
    if strings is not None:
        targets.append(("sharedStrings", "sharedStrings.xml"))
    kinds = [("xl/workbook.xml", "sheet.main"), *((f"xl/{target}", kind) for kind, target in targets)]
    found = {
        "[Content_Types].xml": types(*kinds),
        "_rels/.rels": links(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f"<workbook {MAIN} {LINKS} {attributes}><sheets>{listed}</sheets>"
        f"<definedNames>{names}</definedNames></workbook>",
        "xl/_rels/workbook.xml.rels": links(*targets),
    }
    found |= {f"xl/worksheets/sheet{number}.xml": text for number, text in enumerate(sheets, 1)}
    return found if strings is None else found | {"xl/sharedStrings.xml": strings}


def write(file, found, packing=zipfile.ZIP_DEFLATED):
    """Write a workbook from its parts."""
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    return Path(file)


def read(file):
    """Return a workbook's parts."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def header(line=1, first=1):
    """The header row of the reports' table as cells with texts of their own; and the names with their columns."""
    from layouts import ERA
    from openpyxl.utils import get_column_letter

    columns = {name: get_column_letter(first + index) for index, name in enumerate(ERA.order)}
    return row(line, *(cell(f"{column}{line}", name, kind="str") for name, column in columns.items())), columns
