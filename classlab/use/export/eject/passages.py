"""Passages of which a script or a notebook is put together, and how Python is written: text in, readable text out."""

import re
import textwrap
from dataclasses import dataclass
from string import Template
from typing import Any

from classlab.plain_text import on_a_line

WIDTH = 99
# Module -> how it is imported; what a passage uses is found by its name and a dot.
IMPORTS = {
    "argparse": "import argparse",
    "copy": "import copy",
    "gzip": "import gzip",
    "hashlib": "import hashlib",
    "importlib": "import importlib",
    "math": "import math",
    "tarfile": "import tarfile",
    "urllib": "import urllib.request",
    "OrderedDict": "from collections import OrderedDict",
    "Path": "from pathlib import Path",
}


@dataclass(frozen=True)
class Passage:
    """A part of the script: its title, and what a notebook says before it, in Markdown."""

    title: str
    story: str
    code: str


def code(text: str, **values: Any) -> str:
    """Return a block of Python without its common indent, its $names filled in, and no blank lines around it.

    A value of several lines is indented as its place is; a line that holds nothing but empty values goes.
    """
    lines = []
    for line in textwrap.dedent(text).strip("\n").splitlines():
        filled = Template(line).substitute({name: _indented(value, line) for name, value in values.items()})
        if filled.strip() or not line.strip():
            lines.append(filled.rstrip())
    return "\n".join(lines)


def _indented(value: Any, line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return str(value).replace("\n", f"\n{indent}")


def imports(text: str, modules: list[str]) -> str:
    """Return the import lines that a text needs. modules: those of the reader's own, as import lines."""
    standard = [line for name, line in IMPORTS.items() if re.search(rf"\b{name}\b[.(]", text)]
    functional = ["import torch.nn.functional as F"] if re.search(r"\bF\.", text) else []
    outside = ["import numpy as np", "import torch", *functional, "from torch import nn"]
    return "\n\n".join("\n".join(part) for part in (standard, outside, modules) if part)


def call(name: str, *values: Any, **options: Any) -> str:
    """Return a call with its arguments as literals."""
    arguments = [literal(value) for value in values] + [f"{key}={literal(value)}" for key, value in options.items()]
    return f"{name}({', '.join(arguments)})"


def literal(value: Any) -> str:
    """Return a value as Python writes it, strings in double quotes."""
    if isinstance(value, str):
        text = repr(value)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def number(value: float) -> str:
    """Return a number as Python writes it, a whole one without its point."""
    return repr(int(value)) if float(value).is_integer() else repr(value)


def assigned(name: str, value: Any) -> str:
    """Return an assignment of a list or tuple, on several lines where one is too short."""
    line = f"{name} = {literal(value)}"
    if len(line) <= WIDTH:
        return line
    opening, closing = line[len(name) + 3], line[-1]
    inside = textwrap.fill(
        ", ".join(map(literal, value)) + ",", WIDTH, initial_indent="    ", subsequent_indent="    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return f"{name} = {opening}\n{inside}\n{closing}"


def said(text: str) -> str:
    """Return a text of the reader's as it may stand in a docstring or a comment: on a line, and unable to end it."""
    return on_a_line(" ".join(text.split())).replace("\\", "/").replace('"', "'")


def filled(text: str, indent: int = 0) -> str:
    """Return a paragraph as lines of the script's width; they will be indented by so many spaces."""
    return textwrap.fill(text, WIDTH - indent, break_long_words=True, break_on_hyphens=False)


def docstring(text: str, indent: int) -> str:
    """Return a sentence or two as a docstring: on a line where it fits, else with its quotes at the ends of lines."""
    if len(text) + 6 + indent <= WIDTH:
        return f'"""{text}"""'
    lines = filled(f'"""{text}', indent).splitlines()
    return "\n".join([*lines[:-1], f'{lines[-1]}"""' if len(lines[-1]) + 3 + indent <= WIDTH else f'{lines[-1]}\n"""'])
