"""What every command prints with: words and tables on standard output, JSON for programs."""

import json
import sys
from typing import Any

from classlab.json_text import to_json
from classlab.terminal import console, takes

__all__ = ["console", "print_json"]


def print_json(document: Any) -> None:
    """Print exactly one JSON document on standard output, in ASCII where its encoding takes no more."""
    text = to_json(document)
    sys.stdout.write((text if takes(text) else json.dumps(json.loads(text), indent=2)) + "\n")
