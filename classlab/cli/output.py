"""What every command prints with: words and tables on standard output, JSON for programs."""

import json
import math
import sys
from typing import Any

from rich.console import Console

console = Console(highlight=False)


def print_json(document: Any) -> None:
    """Print exactly one JSON document (RFC 8259: a number that is not finite becomes null)."""
    sys.stdout.write(json.dumps(_finite(document), indent=2, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
