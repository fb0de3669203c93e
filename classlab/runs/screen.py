"""What is seen while a run trains: a bar for the work left, a line that stays for each epoch done. Standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from classlab.progress import progress
from classlab.terminal import errors

Advance = Callable[[float], None]
Show = Callable[[dict[str, float]], None]


@contextmanager
def screen(name: str, epochs: int, images: int, done: int, verbose: bool) -> Iterator[tuple[Advance, Show]]:
    """Yield (advance, show): told how many images were trained on, and the row of each epoch.

    images: how many an epoch has. done: the epochs done before.
    """
    if not verbose:
        yield lambda count: None, lambda row: None
        return
    header = False

    def show(row: dict[str, float]) -> None:
        nonlocal header
        cells = _cells(row, epochs)
        if not header:
            errors.print("".join(f"{title:>12}" for title in cells), style="bold", soft_wrap=True)
            header = True
        errors.print("".join(f"{text:>12}" for text in cells.values()), soft_wrap=True)

    with progress(name, (epochs - done) * images, "images") as advance:
        yield advance, show


def _cells(row: dict[str, float], epochs: int) -> dict[str, str]:
    cells = {"epoch": f"{row['epoch']}/{epochs}"}
    for split in ("train", "val", "test"):
        if f"{split}_loss" in row:
            cells[f"{split} loss"] = f"{row[f'{split}_loss']:.4f}"
        if f"{split}_accuracy" in row:
            cells[f"{split} acc"] = f"{100 * row[f'{split}_accuracy']:.2f} %"
    cells["rate"] = f"{row['learning_rate']:.2g}"
    cells["seconds"] = f"{row['seconds']:.1f}"
    return cells
