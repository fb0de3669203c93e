"""Columns whose headers mean nothing to us, read by what they are used for: the gradient that the updates subtract."""

from contextlib import suppress
from dataclasses import replace

from classlab.lesson import formula as formulas
from classlab.lesson.book import Book
from classlab.lesson.book_tables import Table
from classlab.lesson.formula import DefinedName, Literal, Node, Operation, Range, Reference
from classlab.lesson.functions import FormulaError
from classlab.lesson.meter import WorkSpent
from classlab.lesson.quantities import RATE

ROWS = 3  # of updates that must agree


def adopted(book: Book, table: Table) -> Table:
    """Return the table with gradients read by their use.

    A column is ∂E/∂w where each of the first updates of w takes it, times something, from w.
    """
    gradients: dict[str, int] = {}
    with suppress(WorkSpent):
        for name in table.columns:
            if name[0] in "wb" and f"∂E/∂{name}" not in table.columns and table.unread:
                places = {_subtracted(book, table, name, row) for row in range(min(ROWS, len(table.lines) - 1))}
                place = places.pop() if len(places) == 1 else None
                if place is not None:
                    gradients[f"∂E/∂{name}"] = place
    places = list(gradients.values())
    gradients = {name: place for name, place in gradients.items() if places.count(place) == 1}
    unread = [column for column in table.unread if column not in gradients.values()]
    return replace(table, columns={**table.columns, **gradients}, unread=unread, by_use=gradients)


def _subtracted(book: Book, table: Table, name: str, row: int) -> int | None:
    """Return the unread column that the update of a parameter takes in a row, where it is an update: w − η·column."""
    at = table.address(f"new {name}", row) if f"new {name}" in table.columns else table.address(name, row + 1)
    tree = book.tree(at)
    if not isinstance(tree, Operation) or tree.sign != "-" or len(tree.operands) != 2:
        return None
    whole, step = tree.operands
    try:
        taken = [ref.at(at) for ref in formulas.references(step) if isinstance(ref, Reference)]
        itself = isinstance(whole, Reference) and table.key(whole.at(at)) == (name, row)
    except FormulaError:
        return None
    places = [table.unread_column(address) for address in taken if table.key(address) is None]
    unread = [place for place in places if place is not None and place in table.unread]
    lines = {address.column if table.turned else address.row for address in taken if table.unread_column(address)}
    return (
        unread[0] if itself and _is_scaled(step, table) and len(unread) == 1 and lines == {table.lines[row]} else None
    )


def _is_scaled(node: Node, table: Table) -> bool:
    """Say whether a formula multiplies by a second thing: a number, a cell or a name."""
    things = [part for part in formulas.references(node) if isinstance(part, Reference | DefinedName)]
    return not isinstance(node, Reference | Range) and (len(things) > 1 or _has_number(node) or RATE in table.columns)


def _has_number(node: Node) -> bool:
    match node:
        case Literal(float()):
            return True
        case Operation(_, inner):
            return any(map(_has_number, inner))
    return False
