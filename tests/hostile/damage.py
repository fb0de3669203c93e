"""Damage: to a document field by field, to a file byte by byte, and to a folder by what stands where a file should."""

import copy
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.attacks import Raw
from tests.hostile.case import World, often

Odd = Callable[[], Any]
SAMPLED = 3  # of the items of a long list


class Pairs(list):
    """A mapping as a list of pairs, so that a key may stand in it twice."""


def written(value: Any) -> str:
    """Return a document as JSON, which YAML reads as well; what is Raw stands there as it is."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict | Pairs):
        pairs = value.items() if isinstance(value, dict) else value
        return "{" + ", ".join(f"{_key(key)}: {written(part)}" for key, part in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    return json.dumps(value)


def _key(key: Any) -> str:
    return str(key) if type(key) is int else json.dumps(str(key))


def fields(document: Any, random: Random, odd: Odd, times: int = 1) -> tuple[Any, str]:
    """Return the document with some of its fields damaged, and what was done."""
    notes = []
    for _ in range(times):
        places = list(_places(document, random))
        if not places:
            return odd(), "all of it"
        holder, key, name = random.choice(places)
        if isinstance(holder, Pairs):
            continue
        notes.append(_damage_field(holder, key, name, random, odd, places))
    return document, "; ".join(notes)


def _places(value: Any, random: Random, name: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Yield (holder, key, dotted name) for every value; of a long list only some."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list) and not isinstance(value, Pairs):
        keys = list(range(len(value))) if len(value) <= SAMPLED else random.sample(range(len(value)), SAMPLED)
    for key in keys:
        inner = f"{name}.{key}" if name else str(key)
        yield value, key, inner
        yield from _places(value[key], random, inner)


def _damage_field(holder: Any, key: Any, name: str, random: Random, odd: Odd, places: list[Any]) -> str:
    """Damage one field in place and say how."""
    value = holder[key]
    ways = {
        "replace": 10,
        "delete": 3,
        "wrap": 1,
        "nest": 1,
        "swap": 2,
        "type": 3,
        "scale": 2,
        "repeat": 1,
        "rename": 2,
    }
    ways |= {"duplicate": 1, "add": 1}
    way = random.choices(list(ways), list(ways.values()))[0]
    if way == "delete":
        del holder[key]
    elif way == "wrap":
        holder[key] = [value]
    elif way == "nest":
        holder[key] = {str(key): value, "name": value}
    elif way == "swap":
        other, place, _ = random.choice(places)
        with suppress(KeyError, IndexError, TypeError):
            holder[key] = copy.deepcopy(other[place])  # which may hold this place itself
    elif way == "type":
        holder[key] = _other_type(value, random)
    elif way == "scale" and isinstance(value, int | float):
        holder[key] = value * random.choice([-1, 0, 2, -0.5, 1e12, 10**20])
    elif way == "repeat" and isinstance(value, list) and value:
        holder[key] = value * (random.choice([2, 3, 300]) if len(written(value)) < 5000 else 2)
    elif way == "rename" and isinstance(holder, dict):
        holder[
            random.choice([f"{key} ", str(key).upper(), f"{key}.x", f"x.{key}", str(key)[:-1], str(odd())[:3000]])
        ] = holder.pop(key)
    elif way == "duplicate" and isinstance(value, dict) and value:
        twice = random.choice(list(value))
        holder[key] = Pairs([*value.items(), (twice, odd())])
    elif way == "add" and isinstance(holder, dict):
        holder[random.choice(["extra", "", "name", "__class__", "run", "0", str(odd())[:3000]])] = odd()
    else:
        holder[key] = odd()
    return f"{way} {name}"


def _other_type(value: Any, random: Random) -> Any:
    """Return the same value as another type."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return random.choice([float(value), str(value), value + 0.5, bool(value)])
    if isinstance(value, float):
        return random.choice([str(value), [value], round(value) if abs(value) < 1e9 else 0])
    if isinstance(value, str):
        return random.choice([list(value[:100]), {value: value}, len(value), value.encode().hex(), f"{value} "])
    if isinstance(value, list):
        return random.choice(
            [{str(place): part for place, part in enumerate(value[:50])}, str(value)[:500], len(value), None]
        )
    return random.choice([list(value), str(value)[:500], None, [value]])


def table(text: str, random: Random, odd: Odd) -> tuple[str, str]:
    """Return a CSV text with cells, rows or columns damaged, and what was done."""
    rows = [line.split(",") for line in text.splitlines()]
    way = random.choice(
        ["cell", "cell", "cell", "cell", "row", "twice", "column", "header", "empty", "many", "form", "long", "ragged"]
    )
    row = random.randrange(len(rows))
    column = random.randrange(len(rows[row]))
    value = odd()
    piece = str(value) if isinstance(value, str | int | float) else written(value)
    if way in ("cell", "long"):
        rows[row][column] = piece if way == "cell" else piece * 20
    elif way == "row":
        del rows[row]
    elif way == "twice":
        rows.insert(row, list(rows[row]))
    elif way == "column":
        rows = [[cell for place, cell in enumerate(cells) if place != column] for cells in rows]
    elif way == "header":
        rows[0][min(column, len(rows[0]) - 1)] = random.choice(
            [rows[0][0], piece, "", "epoch", "test_accuracy", "nonsense"]
        )
    elif way == "empty":
        rows = rows[: random.randint(0, 1)]
    elif way == "many":
        rows += [list(rows[-1]) for _ in range(random.choice([200, 20_000, 200_000]))]
    elif way == "ragged":
        rows[row] += [piece] * random.choice([1, 5, 5000])
    changed = "\n".join(",".join(cells) for cells in rows) + "\n"
    if way == "form":
        changed = random.choice(
            [changed.replace(",", ";"), changed.replace("\n", "\r\n"), "\ufeff" + changed, changed.replace("\n", "\r")]
        )
        changed = random.choice(
            [changed, changed.replace(",", ",,"), changed.replace(",", "\t"), f'"{changed}', changed.replace("1", "１")]
        )
    return changed, f"{way} in row {row}, column {column}"


def yaml_text(text: str, random: Random, odd: Odd) -> tuple[str, str]:
    """Return a YAML text damaged as text, and what was done."""
    lines = text.splitlines()
    place = random.randrange(max(1, len(lines)))
    way = random.choice(
        ["line", "indent", "twice", "value", "laughs", "documents", "tag", "start", "merge", "cut", "form"]
    )
    if way == "line":
        del lines[place : place + 1]
    elif way == "indent":
        lines[place] = random.choice([" ", "\t", "   ", ""]) + lines[place].lstrip(random.choice(["", " "]))
    elif way == "twice":
        lines.insert(place, lines[place])
    elif way == "value":
        lines[place] = re.sub(r":.*", lambda _: f": {written(odd())}", lines[place])
    elif way == "laughs":
        lines = [*_laughs(random.choice([3, 7, 9, 30])), *lines]
    elif way == "documents":
        lines.insert(
            place,
            random.choice(["---", "...", "--- {}\n---", "%YAML 1.1\n---", "%YAML 9.9\n---", "%TAG ! tag:x,2000:\n---"]),
        )
    elif way == "tag":
        lines.insert(0, f"hostile: {written(odd())}")
    elif way == "start":
        lines[0] = written(odd()) + lines[0]
    elif way == "merge":
        lines = ["base: &base {name: 'evil.py:load', model: 'evil.py:load'}", *lines, "<<: *base"]
    elif way == "cut":
        return text[: random.randrange(len(text) + 1)], "cut short"
    changed = "\n".join(lines) + "\n"
    if way == "form":
        changed = random.choice(
            [
                "\ufeff" + changed,
                changed.replace("\n", "\r"),
                changed.replace(" ", "\u00a0"),
                changed + "\x00",
                changed * 200,
            ]
        )
    return changed, f"{way} at line {place + 1}"


def _laughs(levels: int) -> list[str]:
    """Return the lines of aliases of aliases: ten to the power of `levels` values."""
    lines = ["l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    return lines + [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, levels)]


def flip(content: bytes, random: Random, within: int | None = None) -> tuple[bytes, str]:
    """Return bytes that are changed here and there, cut or lengthened, and what was done. within: the first so many."""
    way = random.choice(
        ["bits", "bits", "bits", "cut", "cut", "empty", "insert", "append", "zeros", "random", "double", "head", "runs"]
    )
    changed = bytearray(content)
    reach = max(1, min(len(content), within or len(content)))
    at = random.randrange(reach)
    if way == "bits":
        for _ in range(random.choice([1, 1, 3, 20])):
            place = random.randrange(reach)
            if place < len(changed):
                changed[place] ^= 1 << random.randrange(8)
    elif way == "cut":
        del changed[random.randrange(len(changed) + 1) :]
    elif way == "empty":
        changed.clear()
    elif way == "insert":
        changed[at:at] = random.randbytes(random.choice([1, 8, 500]))
    elif way == "append":
        changed += random.choice([random.randbytes(1000), b"\0" * 1000, bytes(content)])
    elif way == "zeros":
        changed = bytearray(len(changed))
    elif way == "random":
        changed = bytearray(random.randbytes(min(len(changed), 10_000)))
    elif way == "double":
        changed[at:at] = changed[at : at + random.choice([10, 1000])]
    elif way == "head":
        changed[: min(8, len(changed))] = random.choice(
            [b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f\0\0\0\0", b"PK\x03\x04\0\0\0\0", b"\x89PNG\r\n\x1a\n"]
        )
    else:
        changed[at : at + random.choice([2, 4, 8])] = random.choice([b"\xff", b"\0", b"\x7f"]) * 8
    return bytes(changed), f"{way} from byte {at}"


def stand_in(world: World, file: Path, random: Random) -> str:
    """Put something that is no regular file, or a huge one, where a file should stand; say what."""
    kinds = {
        "a link to /dev/zero": lambda: file.symlink_to("/dev/zero"),
        "a link to /dev/random": lambda: file.symlink_to("/dev/random"),
        "a link to /dev/stdin": lambda: file.symlink_to("/dev/stdin"),
        "a link to /dev/full": lambda: file.symlink_to("/dev/full"),
        "a link to /proc/self/mem": lambda: file.symlink_to("/proc/self/mem"),
        "a link to /proc/kmsg": lambda: file.symlink_to("/proc/kmsg"),
        "a link to the thesis": lambda: file.symlink_to(world.decoy / "thesis.tex"),
        "a relative link to the thesis": lambda: file.symlink_to(
            os.path.relpath(world.decoy / "thesis.tex", file.parent)
        ),
        "a link to a file to be made": lambda: file.symlink_to(world.decoy / "new.txt"),
        "a link to the reader's folder": lambda: file.symlink_to(world.decoy),
        "a link to itself": lambda: file.symlink_to(file.name),
        "a link to nothing": lambda: file.symlink_to("nowhere"),
        "a hard link to the thesis": lambda: os.link(world.decoy / "thesis.tex", file),
        "a pipe": lambda: os.mkfifo(file),
        "a folder": lambda: file.mkdir(),
        "a folder that is full": lambda: _full_folder(file),
        "a socket": lambda: _socket(file),
        "a terabyte of nothing": lambda: _sparse(file, 10**12),
        "two gigabytes of nothing": lambda: _sparse(file, 2 * 10**9),
        "nothing": lambda: None,
    }
    name = random.choice(list(kinds))
    remove(file)
    kinds[name]()
    return f"{name} for {file.name}"


def remove(path: Path) -> None:
    """Remove whatever stands there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _full_folder(path: Path) -> None:
    path.mkdir()
    (path / path.name).write_text("x")


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket holds at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def swap(folder: Path, random: Random) -> str:
    """Let two files of a folder change places."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.is_symlink())
    first, second = random.sample(files, 2)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    return f"{first.name} and {second.name} swapped"


def pick(random: Random, weighted: dict[str, float]) -> str:
    """Return one of the names, each as often as its weight says."""
    return random.choices(list(weighted), list(weighted.values()))[0]


def maybe(random: Random, percent: float, *words: str) -> list[str]:
    """Return the words in so many cases of a hundred, else none."""
    return list(words) if often(random, percent) else []
