"""The page: one offline file in which the walk can be stepped through and every number changed."""

from collections.abc import Sequence
from pathlib import Path

from classlab import files
from classlab.drawing import html_templates
from classlab.errors import UserError
from classlab.lesson import quantities, walk
from classlab.lesson.expression import as_data
from classlab.lesson.small_network import Network, check_epochs, descend

HERE = Path(__file__).parent
MOST_STEPS = 400
MOST_ROWS = 20_000


def html(network: Network, learning_rates: Sequence[float], epochs: int, shell: Path | None = None) -> str:
    """Return the page as one HTML text: the first rate is walked through, the curves of all are drawn.

    The page computes by itself, in double precision, from the same formulas as the workbook. shell: a folder whose
    shell.html takes the place of ours, with style and script of its own. Raises UserError for a network or a table too
    large to walk through.
    """
    check_epochs(epochs)
    shape = quantities.shape_of(network)
    steps = quantities.walk(shape)
    if len(steps) > MOST_STEPS:
        raise UserError(f"this network takes {len(steps)} steps an epoch; a page can be walked with up to {MOST_STEPS}")
    if len(learning_rates) * epochs > MOST_ROWS:
        raise UserError(f"a page computes up to {MOST_ROWS:,} rows; {len(learning_rates) * epochs:,} asked for")
    for rate in learning_rates:
        descend(network, rate, epochs)  # refuses what does not stay finite
    known = quantities.quantities(shape)
    start = quantities.values(descend(network, learning_rates[0], 1)[0])
    data = {
        "sizes": shape.sizes,
        "examples": shape.examples,
        "rates": list(learning_rates),
        "epochs": epochs,
        "settings": f"{shape.hidden} hidden units, {shape.output} outputs, {shape.loss.replace('_', ' ')}",
        "given": {name: start[name] for name, quantity in known.items() if quantity.expression is None},
        "quantities": [
            {"name": name, "kind": quantity.kind, "expression": as_data(quantity.expression)}
            for name, quantity in known.items()
            if quantity.expression is not None
        ],
        "parameters": {name: list(place) for name, place in quantities.parameters(shape).items()},
        "units": _units(shape),
        "steps": [
            {
                "kind": step.kind,
                "title": step.title,
                "sentence": walk.explain(step, shape),
                "result": step.result,
                "expression": as_data(step.expression),
                "lit": step.lit,
                "factors": [
                    {"label": factor.label, "expression": as_data(factor.expression)} for factor in step.factors
                ],
            }
            for step in steps
        ],
    }
    return html_templates.template(HERE / "page.html", shell).render(
        title=f"Back-propagation by hand: a {'-'.join(map(str, shape.sizes))} network",
        data=html_templates.script_json(data),
        style=html_templates.file(HERE / "page.css"),
        script="" if shell else html_templates.file(HERE / "page.js"),
    )


def write(network: Network, learning_rates: Sequence[float], epochs: int, file: Path) -> None:
    """Write the page. Raises UserError also for a file that cannot be written."""
    if file.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out must end in .html; got {file}")
    files.write(file, html(network, learning_rates, epochs))


def _units(shape: quantities.Shape) -> list[list[str]]:
    """Return the units' names layer by layer, those of the first example where there are several."""
    return [
        [quantities.unit(shape, layer, index).removesuffix("[1]") for index in range(size)]
        for layer, size in enumerate(shape.sizes)
    ]
