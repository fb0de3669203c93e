"""The reader's own functions: what they give back is checked at each call, so that a mistake ends in a sentence."""

from collections.abc import Callable, Mapping
from typing import Any

from classlab import own_code
from classlab.errors import UserError
from classlab.experiment import Choice


def bind(kind: str, choice: Choice, right: Callable[[Any, Mapping[str, Any]], bool], wanted: str) -> Callable[..., Any]:
    """Return what `choice` means with its options filled in, as Choice.bind does.

    right: whether what it gives back for what it was handed serves; wanted: that in words. A function of the reader's
    own raises UserError where it does not; shipped ones are tested, and called as they are.
    """
    function = choice.bind(kind)
    if not own_code.is_own_code(choice.name):
        return function

    def checked(**handed_over: Any) -> Any:
        result = function(**handed_over)
        if not right(result, handed_over):
            raise UserError(f"the {kind} {choice.name} must return {wanted}; it returned {kind_of(result)}")
        return result

    return checked


def kind_of(value: Any) -> str:
    """Return what a sentence says of a value: its shape and numbers where it is an array or a tensor, else its type."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{tuple(value.shape)} {value.dtype}"
    return type(value).__name__
