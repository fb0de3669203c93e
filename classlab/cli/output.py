"""What every command prints with: words and tables on standard output, JSON for programs."""

import json
import sys
from typing import Any

from classlab.json_text import to_json
from classlab.plain_text import printable
from classlab.terminal import console, takes

__all__ = ["console", "print_json"]


def print_json(document: Any) -> None:
    """Print exactly one JSON document on standard output.

    It is in ASCII where the encoding takes no more, or where a sign in it would steer a terminal.
    """
    text = to_json(document)
    plain = takes(text) and printable(text) == text
    sys.stdout.write((text if plain else json.dumps(json.loads(text), indent=2)) + "\n")
