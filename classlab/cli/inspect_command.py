"""`classlab inspect`: the network of an experiment, layer by layer, before any training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from classlab.cli.options import ExperimentName, Json, Set
from classlab.cli.output import console, print_json
from classlab.terminal import text_width

if TYPE_CHECKING:
    from classlab.experiment import Experiment
    from classlab.network.layer_table import LayerTable


def inspect(
    name: ExperimentName,
    set_: Set = None,
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
    """Show an experiment's network: its layers, their sizes, parameters, work and receptive fields.

    Nothing is trained and no dataset is fetched; --sanity learns one batch of made-up images.

    Example: classlab inspect era-s6 --out era-s6.svg

    Exit 0: done. 1: a question of --sanity has the answer no. 2: bad input.
    """
    from classlab import contract as contracts
    from classlab.experiment import load
    from classlab.models.make import make
    from classlab.network.contents import contents
    from classlab.network.layer_table import check_shapes, layer_table
    from classlab.runs.start import freeze
    from classlab.training.sanity import sanity as ask
    from classlab.training.task import reconstructs

    for file in out or []:
        _check_ending(file)
    experiment = load(name, set_ or [], trust=True)  # what is named on the command line is the reader's own
    input_shape, classes = _shape_and_classes(experiment)
    model = make(experiment.model, experiment.training.initialise, input_shape, classes, seed=0)
    freeze(model, experiment.training.start_from)
    table = layer_table(model, input_shape)
    check_shapes(model, input_shape, None if reconstructs(experiment.training.loss) else classes)
    checks = contracts.check_before(experiment.contract, table.parameters, experiment.training.epochs)
    checks += contracts.check_data(experiment.contract, experiment.data)
    checks += contracts.check_layers(experiment.contract, contents(table))
    findings = ask(model, input_shape, classes, experiment.training.loss) if sanity else []
    if json:
        document = {"experiment": experiment.name, **table.to_json(), "checks": [vars(check) for check in checks]}
        print_json({**document, "sanity": [vars(finding) for finding in findings]} if sanity else document)
    else:
        _say(experiment, table, classes)
        for judged in [*checks, *findings]:
            mark = "[green]✓[/green]" if judged.passed else "[red]✗[/red]"
            console.print(f"{mark} {escape(judged.sentence)}", soft_wrap=True)
    for file in out or []:  # a file that cannot be written must not take the answer with it
        _write(file, experiment, table)
    if not all(finding.passed for finding in findings):
        raise typer.Exit(1)


def _shape_and_classes(experiment: "Experiment") -> tuple[tuple[int, int, int], int]:
    """Return what the dataset's own file says of its images, or load it where the file does not say."""
    import sys

    from classlab import lookup
    from classlab.data.loading import prepare

    plan = experiment.data
    module = sys.modules[lookup.find("dataset", plan.dataset.name).__module__]
    if ":" not in plan.dataset.name and hasattr(module, "SHAPE") and hasattr(module, "CLASS_NAMES"):
        renumbered = plan.classes if plan.labels == "renumber" else None
        return module.SHAPE, len(renumbered or module.CLASS_NAMES)
    dataset = prepare(plan, fetch=False)
    return dataset.input_shape, len(dataset.class_names)


ENDINGS = (".html", ".csv", ".tex", ".svg", ".png")


def _check_ending(file: Path) -> None:
    from classlab.errors import UserError, listing

    if file.suffix.lower() not in ENDINGS:
        raise UserError(f"--out writes files that end in {listing(ENDINGS)}; got {file}")


def _write(file: Path, experiment: "Experiment", table: "LayerTable") -> None:
    from classlab import files
    from classlab.drawing import layer_columns, render, written
    from classlab.drawing.network_diagram import architecture

    ending = file.suffix.lower()
    if ending == ".html":
        content = _page(experiment, table)
    elif ending == ".csv":
        content = written.csv_text(layer_columns.for_programs(table))
    elif ending == ".tex":
        content = written.latex(layer_columns.for_readers(table))
    else:
        content = architecture(table)
    files.write(file, render.svg_to_png(content, scale=2) if ending == ".png" else content)


def _page(experiment: "Experiment", table: "LayerTable") -> str:
    from classlab.drawing import layer_columns
    from classlab.drawing.blocks import Document, Drawing, Section, Words
    from classlab.drawing.network_diagram import architecture
    from classlab.drawing.page import html

    caption = "Each box is a map: its front the size, its depth the channels. Right: what one place of it sees."
    picture = Drawing("architecture", caption, lambda palette: architecture(table, palette))
    memory = Words(_memory(table))
    sections = (Section("Picture", (picture,)), Section("Layers", (layer_columns.for_readers(table), memory)))
    return html(Document(f"The network of {experiment.name}", str(experiment.model), sections))


def _say(experiment: "Experiment", table: "LayerTable", classes: int) -> None:
    from rich import box
    from rich.table import Table

    from classlab.drawing import layer_columns

    dataset, images = experiment.data.dataset.name, layer_columns.sides(table.input_shape)
    model, narrow = escape(str(experiment.model)), text_width(console) < 100
    console.print(f"[bold]{escape(experiment.name)}[/bold]: {model} on {escape(dataset)}, {images}, {classes} classes")
    layers = Table(box=box.SIMPLE, show_footer=True, pad_edge=False, padding=(0, 1, 0, 0), footer_style="bold")
    for heading, total in zip(layer_columns.HEADINGS, layer_columns.total(table), strict=True):
        number = heading in {"parameters", "multiply-adds"}
        short = {"multiply-adds": "mult-adds", "receptive field": "sees", "parameters": "params"}
        heading = short.get(heading, heading) if narrow else heading
        layers.add_column(
            heading, total, justify="right" if number else "left", overflow="fold", no_wrap=heading != "layer"
        )
    for layer in table.layers:
        name, kind, *figures = layer_columns.cells(layer)
        kind = kind.removesuffix("2d") if narrow else kind
        style = None if layer.parameters or layer.multiply_adds else "dim"
        layers.add_row(escape(name), escape(kind), *figures, style=style)
    console.print(layers)
    console.print(
        f"[dim]kernel, {'sees (the receptive field)' if narrow else 'receptive field'}: size in pixels, s stride, "
        "p padding;\nall: every output depends on the whole image[/dim]"
    )
    frozen = table.parameters - table.trainable_parameters
    if frozen:
        console.print(f"trainable parameters {table.trainable_parameters:,}, frozen {frozen:,}")
    console.print(_memory(table), soft_wrap=True)


def _memory(table: "LayerTable") -> str:
    names = {"input": "input", "forward_backward": "forward and backward", "parameters": "parameters", "total": "total"}
    parts = ", ".join(f"{words} {table.memory[key]:.2f}" for key, words in names.items())
    return f"Memory for one image in MiB: {parts}."
