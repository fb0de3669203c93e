"""JSON as programs want it: a number that is not finite becomes null (RFC 8259 has no NaN)."""

import json
import math
from typing import Any


def to_json(document: Any) -> str:
    """Return the document as indented JSON text."""
    return json.dumps(finite(document), indent=2, ensure_ascii=False)


def finite(value: Any) -> Any:
    """Return plain data with null in the place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
