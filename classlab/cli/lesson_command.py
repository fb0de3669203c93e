"""`classlab lesson`: back-propagation by hand. Workbook, walk, page, check of other workbooks, PyTorch beside it."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from classlab import limits
from classlab.cli.options import Json
from classlab.cli.output import console, print_json
from classlab.errors import UserError
from classlab.plain_text import on_a_line

if TYPE_CHECKING:
    from classlab.lesson.checker import Check, Column, TableCheck
    from classlab.lesson.small_network import Network

app = typer.Typer(no_args_is_help=True, help="Back-propagation by hand: workbook, walk, page, check, compare.")

MOST_PARTS = 2_000  # of a list in an option
Rates = Annotated[
    str | None, typer.Option("--learning-rates", metavar="A,B,…", help="default: those of the report that --like names")
]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="default: the first of --like's report")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="rows, the first with the initial weights")]


def _network(
    like: Annotated[str, typer.Option("--like", help="whose numbers to start from: era-s6 or eva7-s4")] = "era-s6",
    sizes: Annotated[str, typer.Option("--sizes", metavar="A,B,…", help="units of each layer")] = "2,2,2",
    inputs: Annotated[
        str | None, typer.Option("--inputs", metavar="A,B;…", help="numbers; a semicolon opens the next example")
    ] = None,
    targets: Annotated[str | None, typer.Option("--targets", metavar="A,B;…", help="like --inputs")] = None,
    weights: Annotated[str | None, typer.Option("--weights", metavar="A,B,…", help="w1, w2, … of all layers")] = None,
    biases: Annotated[str | None, typer.Option("--biases", metavar="A,B,…", help="b1, b2, …; 0: all are 0")] = None,
    hidden: Annotated[str, typer.Option("--hidden", help="sigmoid, tanh or relu")] = "sigmoid",
    output: Annotated[str, typer.Option("--output", help="sigmoid or softmax")] = "sigmoid",
    loss: Annotated[str, typer.Option("--loss", help="squared_error or cross_entropy")] = "squared_error",
    seed: Annotated[int, typer.Option("--seed", help="which weights, where --sizes asks for others than 2,2,2")] = 0,
) -> "Network":
    """Build the network that the options describe."""
    from classlab.lesson import small_network

    given = _numbers("--biases", biases) if biases is not None else None
    return small_network.build(
        like,
        sizes=[_whole("--sizes", size) for size in _parts("--sizes", sizes)],
        inputs=_examples("--inputs", inputs),
        targets=_examples("--targets", targets),
        weights=_numbers("--weights", weights) if weights is not None else None,
        biases=True if given == [0.0] else given or False,
        hidden=hidden,
        output=output,
        loss=loss,
        seed=seed,
    )


def _takes_network(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_network` in place of its parameter `network`; it also learns `settings`.

    So the options stand once, and every command of the lesson has them all.
    """
    options = inspect.signature(_network).parameters
    kept = {
        name: parameter
        for name, parameter in inspect.signature(command).parameters.items()
        if name not in ("network", "settings")
    }

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        from classlab.lesson.small_network import settings

        chosen = {name: given.pop(name) for name in options}
        known = settings(chosen["like"])
        command(network=_network(**chosen), settings=known, **given)

    parameters = [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in (*kept.values(), *options.values())]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {part.name: part.annotation for part in parameters}
    return wrapped


@app.command()
@_takes_network
def workbook(
    network: "Network",
    settings: Mapping[str, Any],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.xlsx", help="the file to write")],
    learning_rates: Rates = None,
    epochs: Epochs = None,
) -> None:
    """Write a workbook: a sheet per learning rate, every cell a live formula, derivation, drawing and charts.

    Example: classlab lesson workbook --like era-s6 --learning-rates 2,1,0.5 --epochs 68 --out backprop.xlsx
    """
    from classlab.lesson import written_workbook as workbooks

    rates = _rates(learning_rates, settings)
    rows = epochs if epochs is not None else settings["epochs"]
    workbooks.write(network, rates, rows, out)
    _say(f"{out}: {len(rates)} sheets of {rows:,} rows, and Graphs")


@app.command()
@_takes_network
def page(
    network: "Network",
    settings: Mapping[str, Any],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="the file to write")],
    learning_rates: Rates = None,
    epochs: Epochs = None,
) -> None:
    """Write one offline page: step through the network forward and back, change any number, see all curves.

    Example: classlab lesson page --out lesson.html
    """
    from classlab.lesson import walk_page as pages

    pages.write(network, _rates(learning_rates, settings), epochs if epochs is not None else settings["epochs"], out)
    _say(f"{out}: open it in a browser; it needs no network")


@app.command()
@_takes_network
def walk(
    network: "Network",
    settings: Mapping[str, Any],
    learning_rate: Rate = None,
    epoch: Annotated[int, typer.Option("--epoch", help="which epoch, counted from 1")] = 1,
    step: Annotated[bool, typer.Option("--step", help="wait for Enter after each step")] = False,
    json: Json = False,
) -> None:
    """Walk through one epoch: forward pass, errors, every gradient path by path, updates, the numbers in place.

    Example: classlab lesson walk --like era-s6 --epoch 1
    """
    from classlab.lesson.walk import tell

    rate = learning_rate if learning_rate is not None else settings["learning_rates"][0]
    steps = tell(network, rate, epoch)
    if json:
        print_json([asdict(part) for part in steps])
        return
    for number, part in enumerate(steps, 1):
        console.print()
        _say((f"{number}. {part.title}", "bold"))
        _say((part.sentence, "dim"))
        for label, formula, value in part.links:
            _say(f"    {label} = {formula} = {value:.6g}")
        mark = "→" if part.kind == "update" else "="
        _say(f"    {part.result} {mark} {part.formula}")
        _say(f"    {' ' * len(part.result)} = {part.numbers}")
        _say(f"    {' ' * len(part.result)} = {part.value:.10g}")
        if step and number < len(steps):
            try:
                input()
            except EOFError:  # nobody is there to press Enter
                step = False


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.xlsx", help="somebody's workbook")],
    json: Json = False,
) -> None:
    """Check a workbook: which cells are right, which is the first wrong one, and what the likely slip is.

    Nothing in the file is executed. Example: classlab lesson check student.xlsx

    Exit 0: all right. 1: something is wrong or unfinished. 2: the file cannot be read, or holds no table.
    """
    from classlab.lesson import checker as checks

    found = checks.check(file)
    if json:
        print_json(checks.as_json(found))
    else:
        _print_check(found)
    if not found.right:
        raise typer.Exit(1)


@app.command()
@_takes_network
def compare(
    network: "Network",
    settings: Mapping[str, Any],
    learning_rate: Rate = None,
    epochs: Annotated[int, typer.Option("--epochs", help="how many to compare; the first is printed")] = 10,
    json: Json = False,
) -> None:
    """Compare the hand-written gradients with PyTorch's autograd, digit by digit.

    Example: classlab lesson compare --hidden tanh --biases 0

    Exit 0: they agree to 1e-12. 1: they do not.
    """
    from classlab.lesson import autograd as bridge

    rate = learning_rate if learning_rate is not None else settings["learning_rates"][0]
    pairs = bridge.compare(network, rate, epochs)
    worst = max(pairs, key=lambda pair: pair.difference)
    agree = worst.difference <= bridge.AGREE_WITHIN
    if json:
        document = {"agree": agree, "largest_difference": worst.difference, "pairs": [asdict(pair) for pair in pairs]}
        print_json(document)
    else:
        _say(f"{'':8}  {'by hand':>24}  {'autograd, float64':>24}  difference")
        for pair in (pair for pair in pairs if pair.epoch == 1):
            _say(f"{pair.name:8}  {pair.by_hand:24.17g}  {pair.by_autograd:24.17g}  {pair.difference:.1e}")
        verdict = f"agree to {bridge.AGREE_WITHIN:g}" if agree else f"differ by more than {bridge.AGREE_WITHIN:g}"
        place = f"the largest difference is {worst.difference:.1e}, {worst.name} in epoch {worst.epoch}"
        console.print()
        _say(f"over {epochs} epochs at η = {rate:g} both {verdict}; {place}")
    if not agree:
        raise typer.Exit(1)


def _say(*parts: str | tuple[str, str]) -> None:
    """Print a line of parts, each a text or (text, style): what a file or an option holds is never taken for markup."""
    plain = [(part, "") if isinstance(part, str) else part for part in parts]
    console.print(Text.assemble(*((on_a_line(text), style) for text, style in plain)), soft_wrap=True)


def _print_check(found: "Check") -> None:
    for table in found.tables:
        _print_table(table)
    for remark in found.remarks:
        _say(f"remark: {remark}")
    like_it = sum(table.verdict == found.verdict for table in found.tables)
    count = f", {like_it} of {len(found.tables)} tables" if not found.right and len(found.tables) > 1 else ""
    console.print()
    _say(f"{found.file}: {found.verdict}{count}")


def _print_table(table: "TableCheck") -> None:
    console.print()
    _say((table.sheet, "bold"), f" {table.cells}")
    if table.rows:
        like = f", as in {table.like}" if table.like else ""
        rate = f"η {table.learning_rate:g}" if table.learning_rate is not None else "η from its column"
        at = f" ({table.learning_rate_cell})" if table.learning_rate_cell else ""
        _say(f"  {table.network} network{like}: {table.settings}; {rate}{at}; {table.rows:,} rows")
    for verdict in ("right", "unchecked"):
        names = [column.name for column in table.columns if column.verdict == verdict]
        if names:
            _say(f"  {verdict}: {', '.join(names)}")
    for verdict, sentence in (("unfinished", "cells are missing"), ("not read", "no name that is known")):
        places = [_place(column) for column in table.columns if column.verdict == verdict]
        if places:
            _say(
                "  ", (verdict, "bold red" if verdict == "unfinished" else "bold"), f", {sentence}: {', '.join(places)}"
            )
    for column in table.columns:
        if column.verdict == "wrong":
            cells = "1 cell" if column.wrong_cells == 1 else f"{column.wrong_cells:,} cells"
            _say("  ", (f"wrong: {column.name}", "bold red"), f", {cells}")
            for finding in column.findings:
                _print_finding(finding)
    for remark in table.remarks:
        _say(f"  remark: {remark}")


def _place(column: "Column") -> str:
    """Return where a column stands, and what its header says."""
    return f"{column.column} ({column.name or column.header or 'no header'})"


def _print_finding(finding: Any) -> None:
    _say(f"    {finding.slip}")
    if finding.known_slip:
        _say(f"      this is {finding.known_slip}")
    holds = (
        f"{finding.holds:.10g}"
        if isinstance(finding.holds, float)
        else "nothing"
        if finding.holds is None
        else finding.holds
    )
    formula = f" ({finding.formula})" if finding.formula else ""
    _say(f"      holds {holds}{formula}")
    if finding.should_hold is not None:
        right = f" ({finding.should_be_formula})" if finding.should_be_formula else ""
        _say(f"      should hold {finding.should_hold:.10g}{right}")


def _rates(given: str | None, settings: Mapping[str, Any]) -> Sequence[float]:
    return _numbers("--learning-rates", given) if given is not None else settings["learning_rates"]


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in _parts(option, text)]
    except ValueError:
        raise UserError(
            f"{option} takes numbers with commas between them, for example 0.1,0.2; got {_quoted(text)}"
        ) from None


def _whole(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(
            f"{option} takes whole numbers with commas between them, for example 2,2,2; got {_quoted(text)}"
        ) from None


def _examples(option: str, text: str | None) -> list[list[float]] | None:
    return None if text is None else [_numbers(option, example) for example in _parts(option, text, ";")]


def _parts(option: str, text: str, between: str = ",") -> list[str]:
    """Return the parts of a list. Raises UserError for more of them than any network takes."""
    if (count := text.count(between) + 1) > MOST_PARTS:
        raise UserError(f"{option} takes up to {MOST_PARTS:,} numbers; got {count:,}")
    return text.split(between)


def _quoted(text: str) -> str:
    return repr(text) if len(text) <= limits.ECHO else f"{text[: limits.ECHO]!r}…"
