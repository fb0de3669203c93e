"""Workbooks as students make them, in several layouts, and slips to plant in them.

A formula is a template: {a_h1} is that cell of the same row, {^w1} that of the row above, {η} the learning rate's cell.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import openpyxl
from openpyxl.utils import get_column_letter

from classlab.lesson import quantities, small_network

WEIGHTS = {f"w{n}": w for n, w in enumerate((0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55), 1)}


def usual():
    """The formulas as the derivation has them."""
    formulas = {"h1": "{w1}*{i1}+{w2}*{i2}", "h2": "{w3}*{i1}+{w4}*{i2}"}
    formulas |= {"o1": "{w5}*{a_h1}+{w6}*{a_h2}", "o2": "{w7}*{a_h1}+{w8}*{a_h2}"}
    formulas |= {f"a_{unit}": f"1/(1+EXP(-{{{unit}}}))" for unit in ("h1", "h2", "o1", "o2")}
    formulas |= {f"E{k}": f"0.5*({{t{k}}}-{{a_o{k}}})^2" for k in (1, 2)}
    formulas["E_tot"] = "{E1}+{E2}"
    for k in (1, 2):
        delta = f"({{a_o{k}}}-{{t{k}}})*{{a_o{k}}}*(1-{{a_o{k}}})"
        for j in (1, 2):
            formulas[f"∂E/∂w{4 + 2 * (k - 1) + j}"] = f"{delta}*{{a_h{j}}}"
    d1, d2 = "({a_o1}-{t1})*{a_o1}*(1-{a_o1})", "({a_o2}-{t2})*{a_o2}*(1-{a_o2})"
    for j, (w_up, w_down) in enumerate((("w5", "w7"), ("w6", "w8")), 1):
        for i in (1, 2):
            back = f"({d1}*{{{w_up}}}+{d2}*{{{w_down}}})"
            formulas[f"∂E/∂w{2 * (j - 1) + i}"] = f"{back}*{{a_h{j}}}*(1-{{a_h{j}}})*{{i{i}}}"
    return formulas


def other_algebra():
    """The same in another hand: powers, quotients, minus signs pulled out, factors in another order."""
    formulas = usual()
    formulas |= {f"a_{unit}": f"EXP({{{unit}}})/(1+EXP({{{unit}}}))" for unit in ("h1", "h2")}
    formulas |= {f"a_{unit}": f"(1+EXP(-{{{unit}}}))^-1" for unit in ("o1", "o2")}
    formulas |= {f"E{k}": f"POWER({{t{k}}}-{{a_o{k}}},2)/2" for k in (1, 2)}
    formulas["E_tot"] = "SUM({E1},{E2})"
    for k in (1, 2):
        for j in (1, 2):
            formulas[f"∂E/∂w{4 + 2 * (k - 1) + j}"] = f"-({{t{k}}}-{{a_o{k}}})*{{a_h{j}}}*({{a_o{k}}}-{{a_o{k}}}^2)"
    for j, (w_up, w_down) in enumerate((("w5", "w7"), ("w6", "w8")), 1):
        for i in (1, 2):
            first = f"{{i{i}}}*{{a_h{j}}}*(1-{{a_h{j}}})*({{a_o1}}-{{t1}})*{{a_o1}}*(1-{{a_o1}})*{{{w_up}}}"
            second = f"{{i{i}}}*{{a_h{j}}}*(1-{{a_h{j}}})*({{a_o2}}-{{t2}})*{{a_o2}}*(1-{{a_o2}})*{{{w_down}}}"
            formulas[f"∂E/∂w{2 * (j - 1) + i}"] = f"{first}+{second}"
    return formulas


def with_helpers():
    """With ∂E/∂o1, ∂E/∂o2 and unnamed columns in between."""
    formulas = usual()
    formulas |= {f"∂E/∂o{k}": f"({{a_o{k}}}-{{t{k}}})*{{a_o{k}}}*(1-{{a_o{k}}})" for k in (1, 2)}
    formulas["help1"] = "{∂E/∂o1}*{w5}+{∂E/∂o2}*{w7}"
    formulas["help2"] = "{∂E/∂o1}*{w6}+{∂E/∂o2}*{w8}"
    for k in (1, 2):
        for j in (1, 2):
            formulas[f"∂E/∂w{4 + 2 * (k - 1) + j}"] = f"{{∂E/∂o{k}}}*{{a_h{j}}}"
    for j in (1, 2):
        for i in (1, 2):
            formulas[f"∂E/∂w{2 * (j - 1) + i}"] = f"{{help{j}}}*{{a_h{j}}}*(1-{{a_h{j}}})*{{i{i}}}"
    return formulas


@dataclass
class Layout:
    """Where a table stands, what its headers are called, and its formulas."""

    order: list[str]
    headers: dict[str, str] = field(default_factory=dict)
    formulas: dict[str, str] = field(default_factory=usual)
    sheet: str = "Sheet1"
    row: int = 5
    column: int = 2
    rate: float = 0.5
    rate_label: str = "η ="
    rate_at: tuple[int, int] = (2, 2)
    targets: tuple[float, float] = (0.01, 0.99)
    rows: int = 30
    constants: bool = False  # t1 … i2 beside the table instead of in columns
    as_numbers: bool = False
    digits: int | None = None

    def address(self, name, row):
        return f"{get_column_letter(self.column + self.order.index(name))}{self.row + 1 + row}"


GIVEN = ["t1", "t2", "i1", "i2"]
FORWARD = ["w1", "w2", "w3", "w4", "h1", "a_h1", "h2", "a_h2", "w5", "w6", "w7", "w8", "o1", "a_o1", "o2", "a_o2"]
ERRORS = ["E1", "E2", "E_tot"]
HELPERS = ["∂E/∂o1", "∂E/∂o2", "help1", "help2"]
GRADIENTS = [f"∂E/∂w{n}" for n in range(1, 9)]

ERA = Layout(GIVEN + FORWARD + ERRORS + GRADIENTS, sheet="LR 0.5", row=35, column=1)
EVA = Layout(
    GIVEN + FORWARD + ERRORS + GRADIENTS,
    headers={"E_tot": "E_TOTAL"} | {f"∂E/∂w{n}": f"dw{n}" for n in range(1, 9)},
    formulas=other_algebra(),
    row=12,
    column=4,
    rate=10.0,
    rate_label="LR=",
    rate_at=(3, 9),
    rows=40,
)
OWN_WAY = Layout(
    [
        "epoch",
        *WEIGHTS,
        "h1",
        "h2",
        "a_h1",
        "a_h2",
        "o1",
        "o2",
        "a_o1",
        "a_o2",
        *ERRORS,
        *HELPERS,
        *reversed(GRADIENTS),
    ],
    headers={"epoch": "Iteration", "E_tot": "Total Error", "help1": "", "help2": "tmp", "h1": "net_h1", "h2": "net_h2"}
    | {"a_h1": "out_h1", "a_h2": "out_h2", "o1": "net_o1", "o2": "net_o2", "a_o1": "out_o1", "a_o2": "out_o2"}
    | {f"∂E/∂w{n}": f"dE_total/dw{n}" for n in range(1, 9)},
    formulas=with_helpers(),
    row=20,
    column=3,
    rate=0.8,
    rate_label="Learning Rate (η)",
    rate_at=(9, 12),
    constants=True,
)
LAYOUTS = {"era": ERA, "eva": EVA, "own-way": OWN_WAY}


def constant_cells(layout):
    """The cells beside the table that hold targets and inputs, two rows under each other from A3 on."""
    return {name: (3 + index, 2) for index, name in enumerate(GIVEN)} if layout.constants else {}


def write(layout, file, planted=None, book=None):
    """Write the workbook. `planted`: {(name, row): content}, a template formula, a number, or None for no content."""
    book = book or openpyxl.Workbook()
    sheet = book.active if book.active and book.active.max_row == 1 and book.active.title == "Sheet" else None
    sheet = sheet or book.create_sheet()
    sheet.title = layout.sheet
    sheet.cell(1, 1).value = "Backpropagation assignment"
    row, column = layout.rate_at
    sheet.cell(row, column).value = layout.rate_label
    sheet.cell(row, column + 1).value = layout.rate
    constants = constant_cells(layout)
    given = dict(zip(GIVEN, (*layout.targets, 0.05, 0.10), strict=True))
    for name, (at_row, at_column) in constants.items():
        sheet.cell(at_row, at_column - 1).value = f"{name} ="
        sheet.cell(at_row, at_column).value = given[name]
    for name in layout.order:
        sheet[layout.address(name, -1)].value = layout.headers.get(name, name)
    for (name, index), content in contents(layout, planted or {}).items():
        sheet[layout.address(name, index)].value = content
    book.save(file)
    return Path(file)


def contents(layout, planted):
    """Return {(name, row): what the cell holds}."""
    given = dict(zip(GIVEN, (*layout.targets, 0.05, 0.10), strict=True))
    found = {}
    numbers = values(layout) if layout.as_numbers else None
    for index in range(layout.rows):
        for name in layout.order:
            key = (name, index)
            if key in planted:
                content = planted[key]
            elif numbers:
                content = numbers[index][name]
                content = round(content, layout.digits) if layout.digits else content
            elif name == "epoch":
                content = index + 1
            elif name in given:
                content = given[name]
            elif name in WEIGHTS and index == 0:
                content = WEIGHTS[name]
            elif name in WEIGHTS:
                content = "=" + f"{{^{name}}}-{{η}}*{{^∂E/∂{name}}}"
            else:
                content = "=" + layout.formulas[name]
            found[key] = filled(layout, content, index) if isinstance(content, str) else content
    return found


def filled(layout, template, index):
    """Put addresses in place of the names of a template."""
    constants = constant_cells(layout)

    def address(match):
        marks, name = match[1], match[2]
        if name == "η":
            row, column = layout.rate_at
            return f"${get_column_letter(column + 1)}${row}"
        if name in constants:
            row, column = constants[name]
            return f"${get_column_letter(column)}${row}"
        return layout.address(name, index - len(marks.replace("v", "")) + marks.count("v"))

    return re.sub(r"\{([\^v]*)([^{}]+)\}", address, template)


def values(layout):
    """Return the numbers of the table, row by row, from lesson/small_network.py."""
    net = small_network.build(targets=[layout.targets])
    rows = [quantities.values(epoch) for epoch in small_network.descend(net, layout.rate, layout.rows)]
    return [{"epoch": index + 1, **row} for index, row in enumerate(rows)]


def numbers_only(layout, digits=None):
    """The same layout as plain numbers, as a program would paste them."""
    order = [name for name in layout.order if not name.startswith(("help", "∂E/∂o"))]
    order = (GIVEN if layout.constants else []) + order
    return replace(layout, order=order, as_numbers=True, digits=digits, constants=False)


@dataclass(frozen=True)
class Slip:
    """A slip in one column: its formula with one text replaced (by the first pair that applies), and words it needs."""

    name: str
    edits: tuple[tuple[str, str], ...]
    words: tuple[str, ...]

    def formula(self, layout):
        """Return the slipped formula in a layout, None where the slip cannot be made there."""
        update = f"{{^{self.name}}}-{{η}}*{{^∂E/∂{self.name}}}"
        right = update if self.name in WEIGHTS else layout.formulas[self.name]
        for old, new in self.edits:
            if old in right:
                return "=" + right.replace(old, new, 1)
        return None


def slip(name, *edits_and_words):
    edits = tuple(pair for pair in edits_and_words if isinstance(pair, tuple))
    return Slip(name, edits, tuple(word for word in edits_and_words if isinstance(word, str)))


SLIPS = [
    slip("h1", ("{w2}", "{w3}"), "multiplies by w3", "where w2", "belongs"),
    slip("h2", ("{i2}", "{i1}"), "i1", "where i2", "belongs"),
    slip("h2", ("+", "-"), "subtracts w4", "must be added"),
    slip("h1", ("+{w2}*{i2}", ""), "leaves out w2", "i2"),
    slip("h1", ("{w1}*{i1}", "{w1}+{i1}"), "adds w1", "must multiply"),
    slip("a_h1", ("EXP(-{h1})", "EXP({h1})"), ("EXP({h1})/", "EXP(-{h1})/"), r"EXP\(|minus"),
    slip("a_h2", ("{h2}", "{h1}"), "h1", "where h2", "belongs"),
    slip("a_o1", ("(1+EXP(-{o1}))", "1+EXP(-{o1})"), "brackets"),
    slip("a_o2", ("1/(1+EXP(-{o2}))", "TANH({o2})"), ("(1+EXP(-{o2}))^-1", "TANH({o2})"), "tanh where sigmoid belongs"),
    slip("o1", ("{a_h2}", "{a_h1}"), "multiplies by a_h1", "where a_h2", "belongs"),
    slip("o1", ("{a_h2}", "{h2}"), "multiplies by h2", "where a_h2", "belongs"),
    slip("o2", ("{w8}", "{w6}"), "multiplies by w6", "where w8", "belongs"),
    slip("o2", ("{a_h1}", "{^a_h1}"), "takes a_h1 from"),
    slip("E1", ("0.5*", ""), ("/2", ""), "½"),
    slip("E2", ("^2", ""), (",2)", ",1)"), "square"),
    slip("E2", ("{a_o2}", "{a_o1}"), "a_o1", "where a_o2", "belongs"),
    slip("E1", ("{t1}-{a_o1}", "{t1}+{a_o1}"), "adds a_o1", "must be subtracted"),
    slip("E_tot", ("{E1}+{E2}", "{E1}-{E2}"), ("SUM({E1},{E2})", "{E1}-{E2}"), "subtracts E2", "must be added"),
    slip("E_tot", ("{E1}+{E2}", "{E1}"), ("SUM({E1},{E2})", "{E1}"), "leaves out E2"),
    slip("E_tot", ("{E1}+{E2}", "({E1}+{E2})/2"), ("SUM(", "AVERAGE("), "½"),
    slip("∂E/∂w5", ("{a_h1}", "{a_h2}"), "multiplies by a_h2", "where a_h1", "belongs"),
    slip("∂E/∂w6", ("*{a_h2}", ""), ("{a_h2}*", ""), "lacks the factor a_h2"),
    slip("∂E/∂w6", ("*(1-{a_o1})", ""), "lacks the factor 1 − a_o1"),
    slip("∂E/∂w7", ("{a_o2}-{t2}", "{t2}-{a_o2}"), ("-({t2}", "({t2}"), ("{∂E/∂o2}", "-{∂E/∂o2}"), "wrong sign"),
    slip("∂E/∂w8", ("{a_o2}-{t2}", "{o2}-{t2}"), ("{t2}-{a_o2}", "{t2}-{o2}"), "o2", "where a_o2", "belongs"),
    slip("∂E/∂w8", ("{t2}", "{t1}"), "t1", "where t2", "belongs"),
    slip("∂E/∂w5", ("(1-{a_o1})", "1-{a_o1}"), "brackets around 1 − a_o1"),
    slip("∂E/∂w8", ("{∂E/∂o2}", "{∂E/∂o1}"), "∂E/∂o1", "where ∂E/∂o2", "belongs"),
    slip("∂E/∂o1", ("({a_o1}-{t1})", "({t1}-{a_o1})"), "wrong sign"),
    slip("∂E/∂w1", ("{w7}", "{w8}"), "multiplies by w8", "where w7", "belongs"),
    slip("∂E/∂w1", ("{i1}", "{i2}"), "multiplies by i2", "where i1", "belongs"),
    slip("∂E/∂w2", ("*{i2}", ""), ("{i2}*", ""), "i2"),
    slip("∂E/∂w3", ("*{a_h2}*(1-{a_h2})", ""), ("*{a_h2}*(1-{a_h2})", ""), "a_h2", "lacks"),
    slip("∂E/∂w4", ("{w6}+", "{w6}-"), ("{w6}+", "{w6}-"), "subtracts", "must be added"),
    slip("∂E/∂w4", ("{a_h2}*(1-{a_h2})", "{a_h1}*(1-{a_h1})"), "a_h1", "where a_h2", "belongs"),
    slip("∂E/∂w2", ("{w5}", "{vw5}"), "takes w5 from", "belongs"),
    slip("w5", ("-", "+"), "adds", "must be subtracted"),
    slip("w6", ("{^∂E/∂w6}", "{^∂E/∂w5}"), "∂E/∂w5", "where ∂E/∂w6", "belongs"),
    slip("w7", ("{^w7}", "{^^w7}"), "takes w7 from", "belongs"),
    slip("w8", ("{^∂E/∂w8}", "{^^∂E/∂w8}"), "takes ∂E/∂w8 from", "belongs"),
    slip("w3", ("{η}*", ""), "lacks the factor η"),
    slip("w4", ("{η}", "0.05"), "η"),
    slip("w1", ("{^w1}-", "-"), "leaves out w1"),
    slip("w2", ("{^w2}", "{^w1}"), "uses w1", "where w2", "belongs"),
]
