"""Export: a trained network in a form that needs no classlab; its own engine proves it before anything is written."""

import dataclasses
import importlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files
from classlab.errors import UserError, did_you_mean, listing
from classlab.use.export.carried import carried, file_name
from classlab.use.export.proof import Proof, prove

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun

# What --to calls a format -> its file in this folder.
FORMATS = {
    "onnx": "onnx_graph",
    "pt2": "torch_program",
    "safetensors": "weights_file",
    "python": "plain_script",
    "notebook": "story_notebook",
    "demo": "demo",
}
MOST_BYTES = 2_000_000_000  # of one exported file


@dataclass(frozen=True)
class Exported:
    """What was written. files: all of it, the one that the format is named after first, the model card last."""

    format: str
    files: list[Path]
    proof: Proof

    @property
    def path(self) -> Path:
        """The exported file."""
        return self.files[0]

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {"format": self.format, "files": [str(file) for file in self.files], "proof": self.proof.to_json()}


def export(
    run: "FinishedRun",
    to: str,
    out: str | Path | None = None,
    *,
    replace: bool = False,
    watch: Callable[[int], Callable[[float], None]] = lambda total: lambda images: None,
) -> Exported:
    """Write a run's network in a format, with a model card beside it, once its own engine has proved it.

    to: one of FORMATS. out: the folder; by default exports/<the run folder's name>. replace: write over files that
    are there and hold something else. watch: takes how many answers the proof needs, returns what is told of each part
    of them.
    Raises UserError for a network that the format cannot hold, proof.Differs where the answers are not the network's.
    """
    from classlab.use.export.card import card

    check_format(to)
    form = importlib.import_module(f"classlab.use.export.{FORMATS[to]}")
    ready = carried(run)
    ready = dataclasses.replace(ready, advance=watch(2 * len(ready.images)))
    folder = Path(out) if out is not None else default_folder(run)
    with tempfile.TemporaryDirectory(prefix="classlab-export-") as place:
        main = form.write(ready, Path(place))
        proof = prove(ready, form, main)
        files.write(main.with_name(f"{main.name}.md"), card(ready, to, main, form, proof))
        written = _move(Path(place), main, folder, replace)
    return Exported(to, written, proof)


def default_folder(run: "FinishedRun") -> Path:
    """Return where a run's exports go when no folder is given."""
    return Path("exports") / file_name(f"{run.experiment.name}-{run.path.name}")


def check_format(to: str) -> None:
    """Raise UserError for what is not a format."""
    if to not in FORMATS:
        raise UserError(f"--to must be {listing(FORMATS)}; got {to!r}{did_you_mean(to, FORMATS)}")


def _move(place: Path, main: Path, folder: Path, replace: bool) -> list[Path]:
    """Put what was written into the folder and return it, the main file first. Raises UserError for what is there."""
    contents = {file.relative_to(place): files.read(file, MOST_BYTES) for file in _in_order(place, main)}
    for name, content in contents.items():
        if not replace and (folder / name).exists() and files.read(folder / name, MOST_BYTES) != content:
            raise UserError(
                f"{folder / name} is there and holds something else; give another folder with --out, or --again to "
                "write over it"
            )
    for name, content in contents.items():
        files.make_folder((folder / name).parent)
        files.write(folder / name, content)
    return [folder / name for name in contents]


def _in_order(place: Path, main: Path) -> list[Path]:
    card = main.with_name(f"{main.name}.md")
    others = sorted(file for file in place.rglob("*") if file.is_file() and file not in (main, card))
    return [main, *others, card]
