"""What every command prints with: words and tables on standard output, JSON for programs."""

import sys
from typing import Any

from rich.console import Console

from classlab.json_text import to_json

console = Console(highlight=False)


def print_json(document: Any) -> None:
    """Print exactly one JSON document on standard output."""
    sys.stdout.write(to_json(document) + "\n")
