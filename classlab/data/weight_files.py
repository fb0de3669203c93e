"""A state dict from elsewhere: weights by name out of a .safetensors or a .pt file. Nothing in the file is executed.

A .pt file is a zip of a pickle and of the numbers. A pickle is a program, so what it names is listed before it is read.
It may name only what torch's state dicts are made of. Torch's own restricted reader, which calls nothing else, then
reads it. Sizes are looked at before anything is unpacked.
"""

import io
import pickletools
import zipfile
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files, limits
from classlab.data.tensors import read_tensors
from classlab.errors import UserError, listing
from classlab.plain_text import on_a_line
from classlab.yaml_text import echoed

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")
# Under which names programs keep the weights in a file that holds more, such as the optimizer's state.
HOLDERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module")
_HARMLESS = ("torch", "collections.OrderedDict", "numpy", "_codecs.encode", "builtins.")
_TORCHS = "torch.nn.modules"  # whole layers: not weights, and code has to be imported for them


def read_state(file: Path) -> "tuple[dict[str, Tensor], list[str]]":
    """Return the weights of a file by their names, and the names of what stood beside them and is left aside.

    Raises UserError for a file that holds no weights, is damaged, or holds a whole module instead of its weights. The
    same goes for one that names code to run, or is larger than any network here.
    """
    if file.suffix not in SUFFIXES:
        ending = echoed(file.suffix) or "no ending"
        raise UserError(f"{file} must be a file of weights: {listing(SUFFIXES)}; got {ending}")
    if file.suffix == ".safetensors":
        return _weights_in(read_tensors(file, most=limits.WEIGHTS_BYTES), file)
    return _weights_in(_read_pickle(file), file)


def _read_pickle(file: Path) -> Any:
    import torch

    content = files.read(file, limits.WEIGHTS_BYTES)
    for program in _programs(content, file):
        _look_at(program, file)
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch and zipfile raise many kinds for what is damaged or hostile
        raise UserError(f"{file} cannot be read as weights: {_reason(error)}") from None


def _programs(content: bytes, file: Path) -> list[bytes]:
    """Return the pickles of a file: of a zip the one that it holds, else the file, an older form. Raises UserError."""
    if not content.startswith(b"PK"):
        return [content]
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > limits.ARCHIVE_MEMBERS:
                raise UserError(f"{file} has {len(parts):,} parts; at most {limits.ARCHIVE_MEMBERS:,} are read")
            if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
                raise UserError(f"{file} is packed, which torch's files are not; save it again by torch.save")
            if sum(part.file_size for part in parts) > len(content):
                raise UserError(f"{file} says that it unpacks to more bytes than it has, so it is not read")
            programs = [part for part in parts if part.filename.endswith("data.pkl")]
            if len(programs) != 1:
                raise UserError(f"{file} is a zip file and none of torch's: it holds no data.pkl")
            return [archive.read(programs[0])]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise UserError(f"{file} is damaged: {_reason(error)}") from None


def _look_at(program: bytes, file: Path) -> None:
    """List what a pickle names, without carrying out anything. Raises UserError for what is not of a state dict."""
    texts: list[str] = []
    try:
        steps = pickletools.genops(program)
        for step, argument, _ in islice(steps, limits.WEIGHTS_STEPS):
            if isinstance(argument, str) and step.name not in ("GLOBAL", "INST"):
                texts = [*texts[-1:], argument]
            named = str(argument).replace(" ", ".") if step.name in ("GLOBAL", "INST") else ""
            named = ".".join(texts) if step.name == "STACK_GLOBAL" else named
            if named and (not named.startswith(_HARMLESS) or named.startswith(_TORCHS)):
                raise UserError(_refusal(named, file))
        if next(steps, None):
            raise UserError(f"{file} is refused: its pickle has more than {limits.WEIGHTS_STEPS:,} instructions")
    except ValueError as error:
        raise UserError(f"{file} is damaged, or no file of torch's: {_reason(error)}") from None


def _refusal(named: str, file: Path) -> str:
    kind = named.rpartition(".")[2]
    if kind[:1].isupper() or named.startswith((_TORCHS, "__main__")):
        return (
            f"{file} holds a whole module ({echoed(named)}), and to read it its code would have to run; save its "
            "weights alone: torch.save(model.state_dict(), 'weights.pt')"
        )
    return f"{file} names code that would be run to read it ({echoed(named)}), so it is not read"


def _weights_in(found: Any, file: Path) -> "tuple[dict[str, Tensor], list[str]]":
    """Return the state dict that a file holds, by itself or under one of the usual names, and what stands beside it."""
    import torch

    if isinstance(found, Mapping):
        holders = [name for name in HOLDERS if isinstance(found.get(name), Mapping)]
        inside = found[holders[0]] if holders else found
        weights = {name: value for name, value in inside.items() if isinstance(value, torch.Tensor)}
        if weights and all(isinstance(name, str) for name in inside):
            aside = [name for name in inside if name not in weights]
            aside += [str(name) for name in found if holders and name != holders[0]]
            _check_size(weights, file)
            return weights, aside
    kinds = type(found).__name__
    raise UserError(
        f"{file} holds no weights by their names, as torch.save(model.state_dict(), …) writes them; it holds: {kinds}"
    )


def _check_size(weights: "Mapping[str, Tensor]", file: Path) -> None:
    """Raise UserError where the tensors are larger than the file: one number can be seen as many."""
    size = sum(value.numel() * value.element_size() for value in weights.values())
    if size > limits.WEIGHTS_BYTES:
        raise UserError(f"{file} describes tensors of {size:,} bytes, and at most {limits.WEIGHTS_BYTES:,} are read")


def _reason(error: BaseException) -> str:
    return on_a_line(str(error)).split(". ")[0][:160] or type(error).__name__
