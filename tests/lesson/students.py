"""Workbooks as students fill them in: headers, labels of the rate, and what else differs from hand to hand."""

import dataclasses
import re
import zipfile
from xml.sax.saxutils import quoteattr

import layouts
import openpyxl
import xlwt

# A style gives each quantity its header; what it does not name keeps the plain one.
_FULL = layouts.usual()


def _written(name):
    """The whole formula behind the name, as many write it into the header."""
    formula = re.sub(r"[{}]", "", _FULL.get(name, ""))
    left = name.replace("∂E/", "∂E_total/")
    return f"{left} = {formula}" if formula and name.startswith("∂") else name


def _gradients(template):
    return lambda name: template.format(w=name.removeprefix("∂E/∂")) if name.startswith("∂E/∂w") else name


HEADERS = {
    "as in the first report": lambda name: name,
    "E∂w1": _gradients("E∂{w}"),
    "Edw1": _gradients("Ed{w}"),
    "Etotaldw1": _gradients("Etotald{w}"),
    "E/∂w1": _gradients("E/∂{w}"),
    "E𝜕w1": _gradients("E𝜕{w}"),
    "𝜕𝐸/𝜕𝑤": lambda name: name.replace("∂E/∂w", "𝜕𝐸/𝜕𝑤"),
    "ӘE/Әw1": _gradients("ӘE/Ә{w}"),
    "ƏE/Əw1": _gradients("ƏE/Ə{w}"),
    "ðE_total/ðw1": _gradients("ðE_total/ð{w}"),
    "δE/δw1": _gradients("δE/δ{w}"),
    "ΔE/Δw1": _gradients("ΔE/Δ{w}"),
    "a sign nobody thought of": _gradients("ѲE/Ѳ{w}"),
    "dEt/dw1": _gradients("dEt/d{w}"),
    "∂E_t/∂w1": _gradients("∂E_t/∂{w}"),
    "dE_T / dW1": lambda name: _gradients("dE_T / d{w}")(name).replace("w", "W"),
    "dw1": _gradients("d{w}"),
    "d_w1": _gradients("d_{w}"),
    "dL/dw1": lambda name: {"E_tot": "Loss"}.get(name, _gradients("dL/d{w}")(name)),
    "∂Loss/∂w1": _gradients("∂Loss/∂{w}"),
    "∂(E_total)/∂(w1)": _gradients("∂(E_total)/∂({w})"),
    "grad_w1": _gradients("grad_{w}"),
    "w1 gradient": _gradients("{w} gradient"),
    "E_total wrt w1": _gradients("∂E_total wrt {w}"),
    "in two lines": _gradients("∂E_total/\n∂{w}"),
    "a word, then a line": _gradients("Gradient of {w}\n∂E/∂{w}"),
    "with brackets": _gradients("∂E/∂{w} (gradient)"),
    "LaTeX": _gradients("$\\frac{{\\partial E}}{{\\partial {w}}}$"),
    "the whole formula": _written,
    "subscripts": lambda name: re.sub(r"\d", lambda digit: chr(0x2080 + int(digit[0])), name),
    "capitals and blanks": lambda name: f" {name.upper()} ",
    "net and out": lambda name: re.sub(r"^([ho])(?=\d)", r"net_\1", name).replace("a_", "out_"),
    "a_01": lambda name: name.replace("a_o", "a_0"),
    "words": lambda name: {"E_tot": "Total Error", "t1": "Target 1", "t2": "Target 2"}.get(name, name),
    "E_total (E1+E2)": lambda name: {"E_tot": "E_total (E1+E2)"}.get(name, name),
    "E = E1+E2": lambda name: {"E_tot": "E = E1+E2", "E1": "E1 = ½*(t1-a_o1)²"}.get(name, name),
}

RATE_LABELS = [
    "η =", "η", "LR=", "LR", "lr:", "Learning Rate", "Learning Rate (η)", "Learning Rate eta", "learning_rate", "ɳ =",
    "ͷ", "ⴄ =", "Learing rate", "Learning rate =>", "L.R.", "ETA", "h", "n =", "alpha", "Learning Rate used",
]  # fmt: skip


def dressed(layout, style, rows=8, **changes):
    """A layout with the headers of a style."""
    named = {name: HEADERS[style](layout.headers.get(name, name)) for name in layout.order}
    plain = {name: HEADERS[style](name) for name in layout.order if name not in layouts.HELPERS}
    headers = (
        (named | plain)
        if layout is layouts.ERA
        else named | {name: header for name, header in plain.items() if name.startswith("∂E/∂w")}
    )
    return dataclasses.replace(layout, headers=headers, rows=rows, **changes)


def general(number, width):
    """A number as Excel's General shows it in a column of so many characters."""
    if not number:
        return 0.0
    sign, size = int(number < 0), abs(number)
    if size < 1e-4:
        return float(f"{number:.{min(max(width - sign - 6, 0), 5)}e}")
    return round(number, max(width - sign - len(str(int(size))) - 1, 0))


def google(number):
    """A number as Google Sheets shows it in a column that is wide enough."""
    return float(f"{number:.10g}" if abs(number) >= 1e-4 else f"{number:.2e}")


def swapped(formula, **names):
    """A formula with names taken for others, all at once."""
    return re.sub(r"\{(\w+)\}", lambda match: "{" + names.get(match[1], match[1]) + "}", formula)


def old_workbook(layout, file, planted=None):
    """An .xls file of values."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Sheet1")
    cells = {layout.address(name, -1): layout.headers.get(name, name) for name in layout.order}
    cells |= {layout.address(name, row): held for (name, row), held in layouts.contents(layout, planted or {}).items()}
    cells |= {"B2": layout.rate_label, "C2": layout.rate}
    for address, held in cells.items():
        column, row = openpyxl.utils.cell.coordinate_from_string(address)
        sheet.write(row - 1, openpyxl.utils.column_index_from_string(column) - 1, held)
    book.save(str(file))
    return file


def open_document(file, xlsx, more=""):
    """The sheets of a workbook as an .ods file."""
    tables = []
    for sheet in openpyxl.load_workbook(xlsx):
        rows = []
        for row in sheet.iter_rows():
            cells = "".join(map(open_document_cell, (cell.value for cell in row)))
            blank = '<table:table-cell table:number-columns-repeated="16000"/>'
            rows.append(f"<table:table-row>{cells}{blank}</table:table-row>")
        filler = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
        tables.append(f"<table:table table:name={quoteattr(sheet.title)}>{''.join(rows)}{filler}</table:table>")
    spaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    body = f"<office:body><office:spreadsheet>{''.join(tables)}{more}</office:spreadsheet></office:body>"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", f"<office:document-content {spaces}>{body}</office:document-content>")
    return file


def open_document_cell(value):
    note = "<office:annotation><text:p>w1</text:p></office:annotation>"
    if value is None:
        return "<table:table-cell/>"
    if isinstance(value, str) and value.startswith("="):
        pieces = openpyxl.formula.Tokenizer(value).items
        written = "".join(
            f"[.{token.value}]" if token.subtype == "RANGE" else ";" if token.subtype == "ARG" else token.value
            for token in pieces
        ).replace(":", ":.")
        return f'<table:table-cell table:formula={quoteattr("of:=" + written)} office:value-type="float"/>'
    if isinstance(value, str):
        return f'<table:table-cell office:value-type="string">{note}<text:p>{value}</text:p></table:table-cell>'
    return f'<table:table-cell office:value-type="float" office:value="{value}"><text:p>?</text:p></table:table-cell>'
