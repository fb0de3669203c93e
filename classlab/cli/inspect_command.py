"""`classlab inspect`: a network, layer by layer, before any training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from classlab.cli.options import Json, Set
from classlab.cli.output import console, print_json
from classlab.terminal import text_width

if TYPE_CHECKING:
    from rich.table import Table

    from classlab.cli.subject import Subject
    from classlab.contract import Check
    from classlab.network.layer_table import LayerTable
    from classlab.training.sanity import Finding


Named = Annotated[
    str,
    typer.Argument(
        metavar="NAME-OR-FILE",
        help="a shipped experiment, a YAML file, or a network of your own, FILE.py:NAME; code that it names is run",
    ),
]


def inspect(
    name: Named,
    set_: Set = None,
    size: Annotated[
        str | None,
        typer.Option("--input", metavar="CxHxW", help="the images that FILE.py:NAME is given, such as 3x32x32"),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="also write it: .html page, .csv or .tex table, .svg or .png picture; repeatable",
        ),
    ] = None,
    sanity: Annotated[
        bool,
        typer.Option("--sanity", help="also ask: is the first loss right, do gradients arrive, can it learn a batch"),
    ] = False,
    json: Json = False,
) -> None:
    """Show a network: its layers, their sizes, parameters, work and receptive fields.

    Nothing is trained and no dataset is fetched; --sanity learns one batch of made-up images.

    Example: classlab inspect era-s6 --out era-s6.svg

    Example: classlab inspect mynet.py:Net --input 3x32x32

    Exit 0: done. 1: a question of --sanity has the answer no. 2: bad input, or a network that does not fit the data.
    """
    from classlab import readers_code
    from classlab.cli import subject as subjects
    from classlab.errors import UserError
    from classlab.network.layer_table import check_output, table_of

    for file in out or []:
        _check_ending(file)
    if subjects.is_code(name):
        subject = subjects.of_code(name, set_ or [], size)
    elif size is not None:
        raise UserError(f"--input goes with FILE.py:NAME; the images of the experiment {name} are those of its dataset")
    else:
        subject = subjects.of_experiment(name, set_ or [])
    table = table_of(subject.model, subject.input_shape, subject.met)
    problem = None
    try:
        check_output(subject.met, subject.wanted, subject.classes)
    except UserError as error:  # first the table, which shows where it comes from
        problem = error
    checks = _checks(subject, table)
    with readers_code.running():
        findings = _findings(subject) if sanity and problem is None else []
    if json:
        known = subject.experiment.name if subject.experiment else None
        document = {"experiment": known, "network": subject.name, **table.to_json()}
        document["checks"] = [vars(check) for check in checks]
        print_json({**document, "sanity": [vars(finding) for finding in findings]} if sanity else document)
    else:
        _say(subject, table)
        for judged in [*checks, *findings]:
            mark = "[green]✓[/green]" if judged.passed else "[red]✗[/red]"
            console.print(f"{mark} {escape(judged.sentence)}", soft_wrap=True)
    for file in out or []:  # a file that cannot be written must not take the answer with it
        _write(file, subject, table)
    if problem is not None:
        raise problem
    if not all(finding.passed for finding in findings):
        raise typer.Exit(1)


def _checks(subject: "Subject", table: "LayerTable") -> "list[Check]":
    """Judge the limits of an experiment's contract that a network alone can break, and say what training would."""
    from classlab import contract as contracts
    from classlab.network.contents import contents
    from classlab.terminal import say
    from classlab.training.task import softmax_twice

    experiment = subject.experiment
    if experiment is None:
        return []
    if mistake := softmax_twice(table, experiment.training.loss):
        say(mistake)
    checks = contracts.check_before(experiment.contract, table.parameters, experiment.training.epochs)
    checks += contracts.check_data(experiment.contract, experiment.data)
    return checks + contracts.check_layers(experiment.contract, contents(table))


def _findings(subject: "Subject") -> "list[Finding]":
    from classlab.training.sanity import sanity

    classes = subject.classes or subject.met.output.shape[1]
    return sanity(subject.model, subject.input_shape, classes, subject.loss)


ENDINGS = (".html", ".csv", ".tex", ".svg", ".png")


def _check_ending(file: Path) -> None:
    from classlab.errors import UserError, listing

    if file.suffix.lower() not in ENDINGS:
        raise UserError(f"--out writes files that end in {listing(ENDINGS)}; got {file}")


def _write(file: Path, subject: "Subject", table: "LayerTable") -> None:
    from classlab import files
    from classlab.drawing import layer_columns, render, written
    from classlab.drawing.network_diagram import architecture

    ending = file.suffix.lower()
    if ending == ".html":
        content = _page(subject, table)
    elif ending == ".csv":
        content = written.csv_text(layer_columns.for_programs(table))
    elif ending == ".tex":
        content = written.latex(layer_columns.for_readers(table))
    else:
        content = architecture(table)
    files.write(file, render.svg_to_png(content, scale=2) if ending == ".png" else content)


def _page(subject: "Subject", table: "LayerTable") -> str:
    from classlab.drawing import layer_columns
    from classlab.drawing.blocks import Document, Drawing, Section, Words
    from classlab.drawing.network_diagram import architecture
    from classlab.drawing.page import html

    caption = (
        "Each box is a map: its front the size, its depth the channels. Right: the receptive field of one position."
    )
    picture = Drawing("architecture", caption, lambda palette: architecture(table, palette))
    notes = tuple(Words(sentence) for sentence in [*layer_columns.unused(table), _memory(table)])
    sections = (Section("Picture", (picture,)), Section("Layers", (layer_columns.for_readers(table), *notes)))
    return html(Document(f"The network of {subject.name}", subject.description or subject.images, sections))


def _say(subject: "Subject", table: "LayerTable") -> None:
    from classlab.drawing import layer_columns

    narrow = text_width(console) < 100
    description = f"{escape(subject.description)} on " if subject.experiment else ""
    console.print(f"[bold]{escape(subject.name)}[/bold]: {description}{escape(subject.images)}", soft_wrap=True)
    if subject.description and not subject.experiment:
        console.print(escape(subject.description), soft_wrap=True)
    layers = _layers(table, narrow)
    free = console.options.update(max_width=1000)
    if console.measure(layers, options=free).maximum > console.width:  # long names need the room of a long kind
        layers = _layers(table, narrow, "Adaptive")
    console.print(layers)
    console.print(_legend(table, narrow))
    for sentence in layer_columns.unused(table):
        console.print(escape(sentence), soft_wrap=True)
    frozen = table.parameters - table.trainable_parameters
    if frozen:
        console.print(f"trainable parameters {table.trainable_parameters:,}, frozen {frozen:,}")
    console.print(_memory(table), soft_wrap=True)


def _layers(table: "LayerTable", narrow: bool, left_out: str = "") -> "Table":
    """Return the table for a terminal, of kinds without a prefix that is left out."""
    from rich import box
    from rich.table import Table

    from classlab.drawing import layer_columns

    layers = Table(box=box.SIMPLE, show_footer=True, pad_edge=False, padding=(0, 1, 0, 0), footer_style="bold")
    for heading, total in zip(layer_columns.HEADINGS, layer_columns.total(table), strict=True):
        number = heading in {"parameters", "multiply-adds"}
        short = {"multiply-adds": "mult-adds", "receptive field": "RF", "parameters": "params"}
        heading = short.get(heading, heading) if narrow else heading
        layers.add_column(
            heading, total, justify="right" if number else "left", overflow="fold", no_wrap=heading != "layer"
        )
    for layer in table.layers:
        name, kind, *figures = layer_columns.cells(layer)
        kind = kind.removesuffix("2d").removeprefix(left_out) if narrow else kind
        style = None if layer.parameters or layer.multiply_adds else "dim"
        layers.add_row(escape(name), escape(kind), *figures, style=style)
    return layers


def _legend(table: "LayerTable", narrow: bool) -> str:
    """Explain the signs that this table has."""
    sees = "RF (the receptive field)" if narrow else "receptive field"
    more = ["d dilation"] if any(layer.dilation not in (None, 1) for layer in table.layers) else []
    more += ["g groups"] if any((layer.groups or 1) > 1 for layer in table.layers) else []
    lines = [f"kernel, {sees}: size in pixels, s stride, p padding;"]
    lines += [f"{', '.join(more)};"] if more else []
    lines.append("all: every output depends on the whole image")
    if any(layer.norm_mixes for layer in table.layers):
        lines[-1] += ";"
        lines.append("+ norm: also on what lies beyond, through a norm over the map")
    return "\n".join(f"[dim]{line}[/dim]" for line in lines)


def _memory(table: "LayerTable") -> str:
    names = {"input": "input", "forward_backward": "forward and backward", "parameters": "parameters", "total": "total"}
    parts = ", ".join(f"{words} {table.memory[key]:.2f}" for key, words in names.items())
    return f"Memory for one image in MiB: {parts}."
