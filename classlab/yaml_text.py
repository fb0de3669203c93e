"""YAML 1.2 in and out, and `key=value` changes to what was read."""

import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent

from classlab import files, limits
from classlab.errors import UserError
from classlab.plain_text import on_a_line, printable


def read_yaml(file: Path) -> Any:
    """Read one YAML 1.2 document. 1e-3 is a float; 052, yes and 2001-01-01 are text; a key given twice is refused.

    Raises MissingFile and UserError, also for a file that is too large or would unfold to too much.
    """
    return parse_yaml(files.read_text(file, limits.YAML_BYTES), str(file))


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML text; `where` names it in the sentence of the UserError that broken YAML raises."""
    if printable(text) != text.replace("\r\n", "\n"):
        raise UserError(f"{where}: this is not YAML (it holds control characters)")
    reader = YAML(typ="safe", pure=True)
    reader.Composer, reader.Constructor = _Composer, _Constructor
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
        raise UserError(f"{where}{place}: this is not YAML ({echoed(problem)})") from None
    except UserError as error:
        raise UserError(f"{where}, {error}") from None
    except (ValueError, LookupError, TypeError, AttributeError, NotImplementedError, RecursionError) as error:
        raise UserError(f"{where}: this is not YAML ({echoed(str(error))})") from None


class _Composer(Composer):
    """Counts values as they will be when aliases are unfolded, and how deep they lie, and stops before it is too much.

    A few hundred bytes of aliases of aliases unfold to more than any memory holds.
    """

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.depth = 0
        self.values = 0
        self.sizes: dict[int, int] = {}  # id of a node -> the values it unfolds to; a node that is not done has none

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node and everything in it."""
        place = _place(self.loader.parser.peek_event())
        before, alias = self.values, self.loader.parser.check_event(AliasEvent)
        self.depth += 1
        if self.depth > limits.YAML_DEPTH:
            raise UserError(f"{place}: lists and mappings lie in each other at most {limits.YAML_DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if alias and id(node) not in self.sizes:
            raise UserError(f"{place}: this stands for something that it is a part of itself")
        self.values += self.sizes[id(node)] if alias else 1
        if self.values > limits.YAML_VALUES:
            raise UserError(f"{place}: there are more than {limits.YAML_VALUES:,} values up to here")
        if not alias:
            self.sizes[id(node)] = self.values - before
        return node


class _Constructor(SafeConstructor):
    """YAML 1.2, except that a whole number with leading zeros is text: a roll number stays as it is."""

    def construct_yaml_int(self, node: Any) -> Any:
        value = self.construct_scalar(node)
        if re.fullmatch(r"[-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+", value):
            if len(value) > limits.DIGITS:
                raise UserError(
                    f"{_place(node)}: a whole number has at most {limits.DIGITS} digits, got {len(value):,}"
                )
            return super().construct_yaml_int(node)
        return value

    def construct_yaml_float(self, node: Any) -> Any:
        value = self.construct_scalar(node)
        if "_" in value or ":" in value or re.match(r"[-+]?0[0-9]", value):
            return value
        return super().construct_yaml_float(node)

    def construct_yaml_timestamp(self, node: Any, values: Any = None) -> Any:
        return self.construct_scalar(node)

    def construct_yaml_str(self, node: Any) -> str:
        value = self.construct_scalar(node)
        if printable(value) != value:
            raise UserError(f"{_place(node)}: a text holds the control character in {value_text(value)}")
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:merge"):
                raise UserError(f"{_place(key)}: a key is text or a whole number")
        return super().construct_mapping(node, deep=deep)

    def construct_unknown(self, node: Any) -> Any:
        """Refuse a tag: files hold numbers, texts, lists and mappings."""
        tag = echoed(str(node.tag).replace("tag:yaml.org,2002:", "!!"))
        raise UserError(f"{_place(node)}: the tag {tag} is not known here; leave it out")


def _place(node: Any) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"


_Constructor.add_constructor("tag:yaml.org,2002:str", _Constructor.construct_yaml_str)
_Constructor.add_constructor("tag:yaml.org,2002:int", _Constructor.construct_yaml_int)
_Constructor.add_constructor("tag:yaml.org,2002:float", _Constructor.construct_yaml_float)
_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)
for _tag in ("binary", "omap", "pairs", "set"):
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_tag}", _Constructor.construct_unknown)
_Constructor.add_constructor(None, _Constructor.construct_unknown)


def set_value(fields: dict[str, Any], override: str) -> None:
    """Set one `key=value` in place. The key is dotted and reaches into lists by number; the value is read as YAML."""
    key, equals, text = override.partition("=")
    if not equals:
        raise UserError(f"--set takes key=value, for example training.epochs=3; got {value_text(override)}")
    set_at(fields, key.strip(), parse_yaml(text, f"--set {echoed(key)}"))


def set_all(fields: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Set every dotted key of `changes` in place to its value."""
    for key, value in changes.items():
        set_at(fields, key, value)


def set_at(fields: dict[str, Any], key: str, value: Any) -> None:
    """Set what stands under a dotted key in place. Raises UserError for a key that leads nowhere."""
    steps = key.split(".")
    where = f"--set {echoed(key)}"
    if not all(steps):
        raise UserError(f"{where}: a key is names with dots between them, for example training.epochs")
    if len(steps) > limits.YAML_DEPTH:
        raise UserError(f"{where}: a key has at most {limits.YAML_DEPTH} steps, got {len(steps):,}")
    place: Any = fields
    for depth, step in enumerate(steps):
        above = ".".join(steps[:depth])
        if isinstance(place, list):
            if not re.fullmatch("[0-9]{1,9}", step) or int(step) >= len(place):
                raise UserError(f"{where}: {above} is a list of {len(place)}; count from 0, got {value_text(step)}")
            step = int(step)
        elif not isinstance(place, dict):
            raise UserError(f"{where}: {above} is {value_text(place)} and has nothing inside it")
        if depth == len(steps) - 1:
            place[step] = value
            return
        if isinstance(place, dict) and place.get(step) is None:
            place[step] = {}
        if isinstance(place[step], str):
            place[step] = {"name": place[step]}
        place = place[step]


def value_at(document: Any, key: str) -> Any:
    """Return what a document has at a dotted key, which reaches into lists; None where there is nothing."""
    for step in key.split("."):
        if isinstance(document, list):
            inside = re.fullmatch("[0-9]{1,9}", step) and int(step) < len(document)
            document = document[int(step)] if inside else None
        else:
            document = document.get(step) if isinstance(document, Mapping) else None
    return document


def to_yaml(document: Any) -> str:
    """Return plain data as YAML that reads back to the same data."""
    stream = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.representer.ignore_aliases = lambda *_: True
    writer.dump(document, stream)
    return stream.getvalue()


def value_text(value: Any) -> str:
    """Return a value as a sentence shows it: short, text in quotes."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return repr(echoed(value))
    return echoed(json.dumps(value, default=str, ensure_ascii=False))


def echoed(text: str, most: int = limits.ECHO) -> str:
    """Return what a sentence repeats of a text that was given: on one line, and not all of a long one."""
    cut = text if len(text) <= most else text[: most - 3] + "..."
    return on_a_line(cut)
