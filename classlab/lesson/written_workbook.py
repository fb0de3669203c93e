"""The workbook: a sheet per learning rate with live formulas, the derivation above the table, charts, and `Graphs`.

Every cell also stores its value as lesson/small_network.py computes it, for viewers that do not calculate.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classlab import files
from classlab.errors import UserError
from classlab.lesson import quantities
from classlab.lesson.expression import Name, in_a_cell, text
from classlab.lesson.small_network import Network, check_epochs, check_rate, descend

GRAPHS = "Graphs"
MOST_COLUMNS = 400
MOST_RATES = 24
MOST_CELLS = 1_000_000
LONGEST_RATE = 20  # characters of a rate that is written out
COLUMNS_PER_PAGE = 36
SETTINGS_PER_COLUMN = 16
FIRST_SETTING_ROW = 3
POINTS_COLUMN = 60
HEADING = "#1F4E79"
COLOURS = ("#1F77B4", "#D95F02", "#1B9E77", "#7570B3", "#E7298A", "#666666")
NUMBER_FORMATS = {"target": "0.00##", "input": "0.00##", "error": "0.00000000", "total": "0.00000000"}
WIDTHS = {"target": 6.5, "input": 6.5, "error": 11, "total": 11, "gradient": 12.5, "delta": 12.5}
KIND_COLOURS = {
    "target": "#E8E8E8",
    "input": "#E8E8E8",
    "weight": "#DDEBF7",
    "bias": "#DDEBF7",
    "sum": "#E2EFDA",
    "activation": "#E2EFDA",
    "error": "#FCE4D6",
    "total": "#FCE4D6",
    "delta": "#EADCF4",
    "gradient": "#EADCF4",
}


@dataclass(frozen=True)
class Plan:
    """Where things stand, the same on every sheet: settings by name -> (row, column), counted from 0; the table."""

    shape: quantities.Shape
    settings: Mapping[str, tuple[int, int]]
    columns: Mapping[str, int]
    derivation_lines: Sequence[tuple[str, bool]]
    header_row: int
    epochs: int

    @property
    def first_row(self) -> int:
        """The row of the first epoch."""
        return self.header_row + 1

    @property
    def derivation_column(self) -> int:
        """The column right of the settings."""
        return max(column for _, column in self.settings.values()) + 3

    @property
    def last_row(self) -> int:
        """The row of the last epoch."""
        return self.header_row + self.epochs


def write(network: Network, learning_rates: Sequence[float], epochs: int, file: Path) -> None:
    """Write the workbook: `epochs` rows a sheet, the first with the weights of `network`.

    Raises UserError for rates that are not distinct and positive, too wide a network, or a file that cannot be written.
    """
    import xlsxwriter

    _check(learning_rates, file)
    check_epochs(epochs)
    plan = _plan(network, epochs)
    cells = len(learning_rates) * epochs * len(plan.columns)
    if cells > MOST_CELLS:
        raise UserError(f"a workbook holds at most {MOST_CELLS:,} formulas here; {cells:,} asked for: fewer epochs")
    tables = [[quantities.values(epoch) for epoch in descend(network, rate, epochs)] for rate in learning_rates]
    # Into memory first, so that the file is written whole or not at all.
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"in_memory": True})
    book.set_properties({"title": "Back-propagation by hand", "comments": "Change a blue number: all formulas follow."})
    book.set_calc_mode("auto")
    formats = _formats(book)
    names = [sheet_name(rate) for rate in learning_rates]
    for rate, name, rows in zip(learning_rates, names, tables, strict=True):
        sheet = book.add_worksheet(name)
        _write_settings(book, sheet, formats, plan, rows[0], rate, names[0])
        _write_derivation(sheet, formats, plan, rate)
        _write_table(sheet, formats, plan, rows)
        _insert_drawings(book, sheet, plan, name, rate)
        _set_up_page(sheet, plan)
    _write_graphs(book, formats, plan, names, learning_rates)
    book.close()
    files.write(file, content.getvalue())


def sheet_name(rate: float) -> str:
    """Return "LR 2.0" for 2 and "LR 0.05" for 0.05; a sheet's name has at most 31 characters."""
    short = f"{rate:.1f}"
    return f"LR {short if float(short) == rate and len(short) <= LONGEST_RATE else f'{rate:.12g}'}"


def derivation_lines(shape: quantities.Shape) -> list[tuple[str, bool]]:
    """Return the derivation as lines of text in numbered steps; True marks the line that opens a step."""
    known = quantities.quantities(shape)
    lines: list[tuple[str, bool]] = []
    number = 0

    def step(title: str, *rest: str) -> None:
        nonlocal number
        number += 1
        lines.append((f"{number}. {title}", True))
        lines.extend((line, False) for line in rest)

    def formulas(kind: str, layer: int) -> list[str]:
        wanted = [quantities.unit(shape, layer, j, e) for e in range(shape.examples) for j in range(shape.sizes[layer])]
        wanted = [f"a_{name}" for name in wanted] if kind == "activation" else wanted
        return _in_twos([f"{name} = {text(known[name].expression)}" for name in wanted])  # type: ignore[arg-type]

    for layer in range(1, shape.last + 1):
        where = (
            "the outputs" if layer == shape.last else f"hidden layer {layer}" if shape.last > 2 else "the hidden layer"
        )
        step(f"Sums of {where}: each unit adds up what arrives, times its weights.", *formulas("sum", layer))
        kind = shape.output if layer == shape.last else shape.hidden
        step(f"Activations of {where}: {ACTIVATIONS[kind]}.", *formulas("activation", layer))
    errors = [
        f"{q.name} = {text(q.expression)}" for q in known.values() if q.kind in ("error", "total") and q.expression
    ]
    step("The errors, and their total.", *_in_twos(errors[:-1]), errors[-1])
    walk = quantities.walk(shape)
    if shape.has_deltas:
        deltas = [f"{q.name} = {text(q.expression)}" for q in known.values() if q.kind == "delta" and q.expression]
        step("The error is handed back from sum to sum, by the chain rule.", *deltas)
    else:
        for example in _first_of_each_layer(shape):
            paths = [path for path in walk if path.kind == "path" and path.result.split(" ")[0] == f"∂E/∂{example}"]
            ways = "one path leads" if len(paths) == 1 else f"{len(paths)} paths lead, and they are added"
            chains = [" · ".join(factor.label for factor in path.factors) for path in paths]
            links = {factor.label: factor.expression for path in paths for factor in path.factors}
            step(
                f"The chain rule for {example}: from the error {ways}.",
                f"∂E/∂{example} = {' + '.join(chains)}",
                *_in_twos([f"{label} = {text(expression)}" for label, expression in links.items()], 4),
            )
    gradients = [f"{q.name} = {text(q.expression)}" for q in known.values() if q.kind == "gradient" and q.expression]
    step("So all gradients are:", *_in_twos(gradients, 4 if shape.has_deltas else 1))
    step("Update: every parameter steps against its gradient; the result is its value in the next row.")
    lines.append((f"w1 ← {text(quantities.update('w1'))}, and so for every parameter", False))
    return lines


ACTIVATIONS = {
    "sigmoid": "σ(x) = 1 / (1 + e^(−x)), with slope σ·(1 − σ)",
    "tanh": "tanh(x), with slope 1 − tanh²",
    "relu": "relu(x) = max(0, x), with slope relu′ = 1 where x > 0, else 0",
    "softmax": "softmax, each power of e over the sum of all",
}


def _in_twos(formulas: Sequence[str], across: int = 2) -> list[str]:
    return ["      ".join(formulas[start : start + across]) for start in range(0, len(formulas), across)]


def _first_of_each_layer(shape: quantities.Shape) -> list[str]:
    """Return the first weight of each layer, the last layer's first: the ones whose chain rule is written out."""
    return [quantities.weight(shape, layer, 0, 0) for layer in range(shape.last, 0, -1)]


def _check(learning_rates: Sequence[float], file: Path) -> None:
    names = [sheet_name(rate) for rate in learning_rates]
    if not 1 <= len(names) <= MOST_RATES:
        raise UserError(f"--learning-rates takes 1 to {MOST_RATES} rates, for example 2,1,0.5; got {len(names)}")
    for rate in learning_rates:
        check_rate(rate)
    if len(set(names)) < len(names):
        raise UserError(f"--learning-rates must all differ; got {', '.join(f'{rate:g}' for rate in learning_rates)}")
    if file.suffix.lower() != ".xlsx":
        raise UserError(f"--out must end in .xlsx; got {file}")
    if not file.parent.is_dir():
        raise UserError(f"{file} cannot be written: there is no folder {file.parent}")


def _plan(network: Network, epochs: int) -> Plan:
    shape = quantities.shape_of(network)
    known = quantities.quantities(shape)
    if len(known) > MOST_COLUMNS:
        raise UserError(f"this network needs {len(known)} columns; a sheet that can be read has at most {MOST_COLUMNS}")
    setting_names = [quantities.RATE, *(name for name, quantity in known.items() if quantity.expression is None)]
    places = {
        name: (FIRST_SETTING_ROW + index % SETTINGS_PER_COLUMN, 3 * (index // SETTINGS_PER_COLUMN))
        for index, name in enumerate(setting_names)
    }
    lines = derivation_lines(shape)
    header = FIRST_SETTING_ROW + max(len(lines), min(len(setting_names), SETTINGS_PER_COLUMN), 22) + 3
    return Plan(shape, places, {name: 1 + index for index, name in enumerate(known)}, lines, header, epochs)


def _formats(book: Any) -> dict[str, Any]:
    formats = {
        "title": book.add_format({"bold": True, "font_size": 16, "font_color": HEADING}),
        "note": book.add_format({"italic": True, "font_color": "#595959"}),
        "step": book.add_format({"bold": True, "font_color": HEADING}),
        "line": book.add_format({"indent": 1}),
        "label": book.add_format({"bold": True, "align": "right"}),
        "setting": book.add_format(
            {"font_color": "#0000FF", "bg_color": "#FFF9DB", "border": 1, "border_color": "#BFBFBF"}
        ),
        "epoch": book.add_format({"bold": True, "align": "center", "bg_color": "#F2F2F2"}),
    }
    for kind, colour in KIND_COLOURS.items():
        look = {"bold": True, "align": "center", "bg_color": colour, "bottom": 2, "border_color": "#7F7F7F"}
        formats[f"head {kind}"] = book.add_format(look)
        number = NUMBER_FORMATS.get(kind, "0.00000000" if kind in ("gradient", "delta") else "0.000000")
        formats[f"cell {kind}"] = book.add_format({"num_format": number})
    return formats


def _write_settings(
    book: Any, sheet: Any, formats: Any, plan: Plan, row: Mapping[str, float], rate: float, first: str
) -> None:
    """Write the numbers to play with. Those other than η are typed on the first sheet and followed by all others."""
    for name, (line, column) in plan.settings.items():
        sheet.write_string(line, column, f"{name} =", formats["label"])
        cell = _cell(line, column + 1)
        if name == quantities.RATE:
            sheet.write_number(line, column + 1, rate, formats["setting"])
        elif sheet.name == first:
            sheet.write_number(line, column + 1, row[name], formats["setting"])
        else:
            sheet.write_formula(line, column + 1, f"='{first}'!{cell}", formats["setting"], row[name])
        book.define_name(f"'{sheet.name}'!{_defined(name)}", f"='{sheet.name}'!{cell}")


def _defined(name: str) -> str:
    """A defined name may not look like a cell (W1 is one), so settings are called learning_rate, start_w1, input_1."""
    if name == quantities.RATE:
        return "learning_rate"
    kind = {"i": "input_", "t": "target_"}.get(name[0])
    number = name[1:].replace("[", "_of_example_").replace("]", "")
    return f"{kind}{number}" if kind else f"start_{name}"


def _write_derivation(sheet: Any, formats: Any, plan: Plan, rate: float) -> None:
    sizes = "-".join(map(str, plan.shape.sizes))
    sheet.write_string(0, 0, f"Back-propagation by hand: a {sizes} network, learning rate {rate:g}", formats["title"])
    note = (
        "Every number in the table is a live formula. Change a blue one (the rate, a weight, an input) and all follow"
    )
    note += "; the other sheets follow the first one's weights, inputs and targets."
    sheet.write_string(1, 0, note, formats["note"])
    for index, (line, opens) in enumerate(plan.derivation_lines):
        where = FIRST_SETTING_ROW + index, plan.derivation_column
        sheet.write_string(*where, line, formats["step" if opens else "line"])


def _write_table(sheet: Any, formats: Any, plan: Plan, rows: Sequence[Mapping[str, float]]) -> None:
    known = quantities.quantities(plan.shape)
    sheet.write_string(plan.header_row, 0, "epoch", formats["head input"])
    sheet.set_column(0, 0, 7)
    for name, quantity in known.items():
        column = plan.columns[name]
        sheet.write_string(plan.header_row, column, name, formats[f"head {quantity.kind}"])
        sheet.set_column(column, column, WIDTHS.get(quantity.kind, 10))
    for index, row in enumerate(rows):
        line = plan.first_row + index
        sheet.write_number(line, 0, index + 1, formats["epoch"])
        for name, quantity in known.items():
            formula = _formula(plan, quantity, line)
            sheet.write_formula(line, plan.columns[name], formula, formats[f"cell {quantity.kind}"], row[name])
    sheet.freeze_panes(0, 1)


def _formula(plan: Plan, quantity: quantities.Quantity, line: int) -> str:
    """Return the formula of one cell; settings are named by fixed addresses, all else by the row's own cells."""

    def address(name: Name) -> str:
        if name.name == quantities.RATE:
            return _cell(plan.settings[name.name][0], plan.settings[name.name][1] + 1)
        return _cell(line + name.row, plan.columns[name.name], fixed=False)

    setting = quantity.kind in ("target", "input") or line == plan.first_row
    if quantity.expression is not None:
        return "=" + in_a_cell(quantity.expression, address)
    if setting:
        row, column = plan.settings[quantity.name]
        return "=" + _cell(row, column + 1)
    return "=" + in_a_cell(quantities.update(quantity.name), address)


def _insert_drawings(book: Any, sheet: Any, plan: Plan, name: str, rate: float) -> None:
    """Put the network and the loss chart above the table, to the right of the derivation."""
    height = min(20 * (plan.header_row - FIRST_SETTING_ROW - 1), 480)
    right_of_text = 6.2 * max(len(line) for line, _ in plan.derivation_lines) + 30
    loss = _loss_chart(book, plan, [(name, rate)], f"Total error, η = {rate:g}")
    for chart, width, offset in ((_drawing(book, plan), 560, 0), (loss, 640, 590)):
        chart.set_size({"width": width, "height": height})
        sheet.insert_chart(FIRST_SETTING_ROW, plan.derivation_column, chart, {"x_offset": right_of_text + offset})


def _points(
    shape: quantities.Shape,
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], list[tuple[str, int, int]]]:
    """Return the drawing's points: those of the units, those of the weights' names; the weights (name, from, to)."""
    spread = 1.6 if shape.last < 3 else 1.2
    units, number = [], {}
    for layer, size in enumerate(shape.sizes):
        for j in range(size):
            number[layer, j] = len(units)
            units.append((layer * spread, (size - 1) / 2 - j))
    labels, links = [], []
    for name, (layer, j, k) in quantities.parameters(shape).items():
        if k is None:
            continue
        start, end = number[layer - 1, k], number[layer, j]
        share = 0.3 if (j + k) % 2 else 0.36
        labels.append(tuple(a + (b - a) * share for a, b in zip(units[start], units[end], strict=True)))
        links.append((name, start, end))
    return units, labels, links


def _write_points(sheet: Any, formats: Any, plan: Plan) -> None:
    """Write the points of the drawing far to the right on `Graphs`: one block for units, one per weight, one for names.

    A chart with numbers of its own would need no cells, but not every program draws it.
    """
    units, labels, links = _points(plan.shape)
    ends = [units[unit] for _, *pair in links for unit in pair]
    sheet.write_string(0, POINTS_COLUMN, "points of the drawing of the network", formats["note"])
    for row, (across, up) in enumerate([*units, *labels, *ends], 1):
        sheet.write_number(row, POINTS_COLUMN, across)
        sheet.write_number(row, POINTS_COLUMN + 1, up)


def _drawing(book: Any, plan: Plan) -> Any:
    """Return the network as a native scatter chart: a line per weight, a marker per unit, names as labels."""
    shape, chart = plan.shape, book.add_chart({"type": "scatter", "subtype": "straight"})
    units, labels, links = _points(shape)
    no_marker, no_line = {"type": "none"}, {"none": True}

    def series(first: int, count: int, **look: Any) -> None:
        rows = [[GRAPHS, 1 + first, column, first + count, column] for column in (POINTS_COLUMN, POINTS_COLUMN + 1)]
        chart.add_series({"categories": rows[0], "values": rows[1], **look})

    for index in range(len(links)):
        line = {"color": "#9A9A9A", "width": 1.25}
        series(len(units) + len(labels) + 2 * index, 2, line=line, marker=no_marker)
    if len(links) <= 24:
        custom = [{"value": name, "font": {"size": 10, "color": HEADING}} for name, _, _ in links]
        look = {"value": True, "custom": custom, "position": "above"}
        series(len(units), len(labels), line=no_line, marker=no_marker, data_labels=look)
    first = 0
    for layer, size in enumerate(shape.sizes):
        colour = KIND_COLOURS["input" if layer == 0 else "sum" if layer < shape.last else "error"]
        marker = {"type": "circle", "size": 34 if max(shape.sizes) < 5 else 20}
        marker |= {"fill": {"color": colour}, "border": {"color": "#595959", "width": 1.25}}
        names = [quantities.unit(shape, layer, j).removesuffix("[1]") for j in range(size)]
        custom = [{"value": name, "font": {"size": 11, "bold": True}} for name in names]
        look = {"value": True, "custom": custom, "position": "center"}
        series(first, size, line=no_line, marker=marker, data_labels=look)
        first += size
    chart.set_title({"name": "The network: each line is a weight", "name_font": {"size": 12}})
    chart.set_legend({"none": True})
    right, most = units[-1][0] + 0.5, max(shape.sizes) / 2 + 0.1
    chart.set_x_axis({"visible": False, "min": -0.5, "max": right, "major_gridlines": {"visible": False}})
    chart.set_y_axis({"visible": False, "min": -most, "max": most, "major_gridlines": {"visible": False}})
    return chart


def _loss_chart(book: Any, plan: Plan, sheets: Sequence[tuple[str, float]], title: str, log: bool = False) -> Any:
    chart = book.add_chart({"type": "scatter", "subtype": "straight"})
    column = plan.columns[quantities.TOTAL]
    for index, (name, rate) in enumerate(sheets):
        colour = COLOURS[index % len(COLOURS)] if len(sheets) > 1 else COLOURS[0]
        dash = "solid" if index < len(COLOURS) else "dash"
        chart.add_series(
            {
                "name": f"η = {rate:g}",
                "categories": [name, plan.first_row, 0, plan.last_row, 0],
                "values": [name, plan.first_row, column, plan.last_row, column],
                "line": {"color": colour, "width": 2, "dash_type": dash},
            }
        )
    chart.set_title({"name": title, "name_font": {"size": 12}})
    chart.set_x_axis(
        {
            "name": "epoch",
            "min": 0,
            "max": max(plan.epochs, 2),
            "major_gridlines": {"visible": False},
            "name_font": {"bold": False},
        }
    )
    scale = {"log_base": 10, "num_format": "0E+0", "crosses": "min"} if log else {"min": 0, "num_format": "General"}
    look = {"major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}}, "name_font": {"bold": False}}
    chart.set_y_axis({"name": "E_tot", **look, **scale})
    chart.set_legend({"position": "right"} if len(sheets) > 1 else {"none": True})
    return chart


def _write_graphs(book: Any, formats: Any, plan: Plan, names: Sequence[str], rates: Sequence[float]) -> None:
    sheet = book.add_worksheet(GRAPHS)
    sheet.write_string(
        0, 0, "The total error over the epochs, one chart per learning rate and all on one", formats["title"]
    )
    sheets = list(zip(names, rates, strict=True))
    for place, log in enumerate((False, True)):
        title = "All learning rates" + (", logarithmic" if log else "")
        chart = _loss_chart(book, plan, sheets, title, log)
        chart.set_size({"width": 760, "height": 420})
        sheet.insert_chart(2, 12 * place, chart)
    for index, (name, rate) in enumerate(sheets):
        chart = _loss_chart(book, plan, [(name, rate)], f"η = {rate:g}")
        chart.set_size({"width": 500, "height": 300})
        sheet.insert_chart(24 + 16 * (index // 3), 8 * (index % 3), chart)
    _write_points(sheet, formats, plan)
    sheet.set_landscape()
    sheet.set_paper(8)
    sheet.fit_to_pages(1, 1)
    sheet.print_area(0, 0, 24 + 16 * ((len(sheets) + 2) // 3), 24)
    sheet.hide_gridlines(2)


def _set_up_page(sheet: Any, plan: Plan) -> None:
    sheet.set_landscape()
    sheet.set_paper(8)  # A3; a printer with A4 scales it down
    sheet.fit_to_pages(-(-len(plan.columns) // COLUMNS_PER_PAGE), 0)
    sheet.repeat_columns(0)
    sheet.repeat_rows(plan.header_row)
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.5)
    sheet.set_footer("&L&A&Rpage &P of &N")
    sheet.print_area(0, 0, plan.last_row, len(plan.columns))
    sheet.hide_gridlines(2)


def _cell(row: int, column: int, fixed: bool = True) -> str:
    from xlsxwriter.utility import xl_rowcol_to_cell

    return xl_rowcol_to_cell(row, column, row_abs=fixed, col_abs=fixed)
