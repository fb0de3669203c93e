"""YAML 1.2 in and out, and `key=value` changes to what was read."""

import io
import json
import math
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import YAMLError

from classlab.errors import UserError

MAX_FILE_BYTES = 1_000_000


def read_yaml(file: Path) -> Any:
    """Read one YAML 1.2 document. 1e-3 is a float; 052, yes and 2001-01-01 are text; a key given twice is refused."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{file} is larger than {MAX_FILE_BYTES:,} bytes; that is no experiment file")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not a text file in UTF-8") from None
    return parse_yaml(text, str(file))


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML text; `where` names it in the sentence of the UserError that broken YAML raises."""
    reader = YAML(typ="safe", pure=True)
    reader.Constructor = _Constructor
    try:
        return reader.load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        key = re.search(r'duplicate key "([^"]*)"', str(error))
        raise UserError(f"{where}, line {line}: the key {key.group(1) if key else ''} is given twice") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{where}{place}: this is not YAML ({problem})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: this is not YAML ({error})") from None


class _Constructor(SafeConstructor):
    """YAML 1.2, except that a whole number with leading zeros is text: a roll number stays as it is."""

    def construct_yaml_int(self, node: Any) -> Any:
        value = self.construct_scalar(node)
        if re.fullmatch(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+", value):
            return super().construct_yaml_int(node)
        return value

    def construct_yaml_float(self, node: Any) -> Any:
        value = self.construct_scalar(node)
        if "_" in value or ":" in value or re.match(r"[-+]?0[0-9]", value):
            return value
        return super().construct_yaml_float(node)

    def construct_yaml_timestamp(self, node: Any, values: Any = None) -> Any:
        return self.construct_scalar(node)


_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)
_Constructor.add_constructor("tag:yaml.org,2002:float", _Constructor.construct_yaml_float)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)


def set_value(fields: dict[str, Any], override: str) -> None:
    """Set one `key=value` in place. The key is dotted and reaches into lists by number; the value is read as YAML."""
    key, equals, text = override.partition("=")
    steps = key.strip().split(".")
    if not equals or not all(steps):
        raise UserError(f"--set takes key=value, for example training.epochs=3; got {override!r}")
    value = parse_yaml(text, f"--set {key}")
    place: Any = fields
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        if isinstance(place, list):
            if not step.isdigit() or int(step) >= len(place):
                where = ".".join(steps[:depth])
                raise UserError(f"--set {key}: {where} is a list of {len(place)}; count from 0, got {step!r}")
            step = int(step)
        elif not isinstance(place, dict):
            raise UserError(f"--set {key}: {'.'.join(steps[:depth])} is {shown(place)} and has nothing inside it")
        if last:
            place[step] = value
            return
        if isinstance(place, dict) and place.get(step) is None:
            place[step] = {}
        if isinstance(place[step], str):
            place[step] = {"name": place[step]}
        place = place[step]


def to_yaml(document: Any) -> str:
    """Return plain data as YAML that reads back to the same data."""
    stream = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.representer.ignore_aliases = lambda *_: True
    writer.dump(document, stream)
    return stream.getvalue()


def shown(value: Any) -> str:
    """Return a value as a sentence shows it: short, text in quotes."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."
