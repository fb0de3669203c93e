"""`classlab inspect`: the network of an experiment, layer by layer, before any training."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from classlab.cli.output import console, print_json

if TYPE_CHECKING:
    from classlab.contract import Check
    from classlab.experiment import Experiment
    from classlab.models.layers import Layer, LayerTable


def inspect(
    name: Annotated[str, typer.Argument(metavar="NAME-OR-FILE", help="a shipped experiment, or a YAML file")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change one setting; repeatable")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document instead of a table")] = False,
) -> None:
    """Show an experiment's network: its layers, their sizes, parameters, work and receptive fields.

    Nothing is trained and no dataset is fetched.

    Example: classlab inspect era-s6
    """
    from classlab import contract as contracts
    from classlab.experiment import load
    from classlab.models.layers import check_shapes, layer_table
    from classlab.models.make import make
    from classlab.training.task import reconstructs

    experiment = load(name, set_ or [])
    input_shape, classes = _shape_and_classes(experiment)
    model = make(experiment.model, experiment.training.initialise, input_shape, classes, seed=0)
    table = layer_table(model, input_shape)
    check_shapes(model, input_shape, None if reconstructs(experiment.training.loss) else classes)
    checks = contracts.check_before(experiment.contract, table.parameters, experiment.training.epochs)
    if json:
        print_json({"experiment": experiment.name, **table.to_json(), "checks": [vars(check) for check in checks]})
    else:
        _say(experiment, table, classes, checks)


def _shape_and_classes(experiment: "Experiment") -> tuple[tuple[int, int, int], int]:
    """Return what the dataset's own file says of its images, or load it where the file does not say."""
    import sys

    from classlab import lookup
    from classlab.data.prepare import prepare

    plan = experiment.data
    module = sys.modules[lookup.find("dataset", plan.dataset.name).__module__]
    if ":" not in plan.dataset.name and hasattr(module, "SHAPE") and hasattr(module, "CLASS_NAMES"):
        renumbered = plan.classes is not None and plan.labels == "renumber"
        return module.SHAPE, len(plan.classes if renumbered else module.CLASS_NAMES)
    dataset = prepare(plan)
    return dataset.input_shape, len(dataset.class_names)


def _say(experiment: "Experiment", table: "LayerTable", classes: int, checks: "list[Check]") -> None:
    from rich import box
    from rich.table import Table

    images = "×".join(str(side) for side in table.input_shape)
    dataset = experiment.data.dataset.name
    console.print(f"[bold]{experiment.name}[/bold]: {experiment.model} on {dataset}, {images}, {classes} classes")
    shown = Table(box=box.SIMPLE, show_footer=True, pad_edge=False, padding=(0, 1, 0, 0), footer_style="bold")
    totals = {"layer": "total", "parameters": f"{table.parameters:,}", "mult-adds": _count(table.multiply_adds)}
    for heading in ("layer", "kind", "kernel", "output", "parameters", "mult-adds", "sees"):
        justify = "right" if heading in {"parameters", "mult-adds"} else "left"
        shown.add_column(heading, totals.get(heading, ""), justify=justify, overflow="fold", no_wrap=heading != "layer")
    for layer in table.layers:
        shown.add_row(*_cells(layer), style=None if layer.parameters or layer.multiply_adds else "dim")
    console.print(shown)
    _say_totals(table)
    for check in checks:
        mark = "[green]✓[/green]" if check.passed else "[red]✗[/red]"
        console.print(f"{mark} {check.sentence}", soft_wrap=True)


def _say_totals(table: "LayerTable") -> None:
    console.print(
        "[dim]kernel, sees (the receptive field): size in pixels, s stride, p padding;\n"
        "all: every output depends on the whole image[/dim]"
    )
    frozen = table.parameters - table.trainable_parameters
    if frozen:
        console.print(f"trainable parameters {table.trainable_parameters:,}, frozen {frozen:,}")
    names = {"input": "input", "forward_backward": "forward and backward", "parameters": "parameters", "total": "total"}
    parts = ", ".join(f"{words} {table.memory[key]:.2f}" for key, words in names.items())
    console.print(f"memory for one image in MiB: {parts}", soft_wrap=True)


def _cells(layer: "Layer") -> tuple[str, ...]:
    kernel = ""
    if layer.kernel is not None:
        kernel = f"{_sides(layer.kernel)} s{_sides(layer.stride)} p{_sides(layer.padding)}"
    parameters = "shared" if layer.repeated and not layer.parameters else f"{layer.parameters:,}"
    return (
        layer.name,
        layer.kind,
        kernel,
        "×".join(str(side) for side in layer.output_shape),
        parameters if parameters != "0" else "",
        _count(layer.multiply_adds) if layer.multiply_adds != 0 else "",
        _field(layer.receptive_field),
    )


def _field(field: dict[str, Any] | None) -> str:
    if field is None:
        return "unknown"
    size = "unknown" if field["size"] is None else f"{_sides(field['size'])} s{_sides(field['stride'])}"
    return f"{size} all" if field["global"] else size


def _sides(value: Any) -> str:
    sides = value if isinstance(value, list | tuple) else [value]
    return "×".join("?" if side is None else f"{side:g}" for side in sides)


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
