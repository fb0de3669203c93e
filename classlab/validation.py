"""What a file may hold, checked by pydantic, and one sentence for the first thing in it that is wrong."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_type_hints, is_typeddict

import pydantic

from classlab.errors import did_you_mean, listing
from classlab.wishes import setting, way_on
from classlab.yaml_text import value_text

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SHORT_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
FREE_NAME = r"^[^\s,][^\n,]{0,59}$"
# Below a folder and nowhere else: no step begins with a full stop, and none names a drive.
FILE_BELOW = r"^([^/\\:.][^/\\:]*/)*[^/\\:.][^/\\:]*\.py$"
_PATTERNS = {
    FILE_BELOW: "must be the path of a .py file below the folder, without .. or a drive",
    NAME: "may hold letters, digits, '.', '_' and '-', up to 100 of them, and begins with a letter or digit",
    SHORT_NAME: "may hold letters, digits, '_' and '-', up to 40 of them, and begins with a letter or digit",
    FREE_NAME: "may hold anything but commas, up to 60 characters, and does not begin with a blank",
}


class Section(pydantic.BaseModel):
    """A group of settings in a file: frozen, unknown keys refused, nothing converted."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, allow_inf_nan=False
    )


def sentence(error: pydantic.ValidationError, model: type, whole: str) -> str:
    """Return one sentence for the first thing that is wrong: the rule, what was given, what is allowed.

    model: what was validated, a pydantic model or a TypedDict.
    """
    problems = error.errors(include_url=False)
    problem = problems[0]
    if problem["type"] == "missing":  # a misspelt key is missing too; the misspelling says more
        problem = next((other for other in problems if other["type"] == "extra_forbidden"), problem)
    kind, (*outer, last) = problem["type"], problem["loc"] or ("",)
    place = [str(step) for step in outer if _is_key(step)]
    place += [str(last)] if kind == "extra_forbidden" or _is_key(last) else []  # whatever the unknown key is
    where = ".".join(place)
    value = problem.get("input")
    limits = problem.get("ctx", {})
    if kind == "extra_forbidden":
        parent = ".".join(place[:-1])
        allowed = _settings(model, place[:-1])
        meant = did_you_mean(place[-1], allowed)
        meant = meant.replace("did you mean ", f"did you mean {parent}." if parent else "did you mean ")
        # Of an option `whole` says no more than "it": a width or a momentum is asked for where there is none, and where
        # there is one is no way on.
        wish = setting(place[-1]).partition("=")[0]
        elsewhere = wish.startswith("model.") or wish.endswith(f".{place[-1]}")
        meant = meant if whole == "it" and elsewhere else way_on(place[-1], meant)
        return f"{where} is not a setting{meant or ';'} {parent or whole} has: {listing(allowed) or 'none'}"
    if kind == "missing":
        return f"{where} is required and was not given"
    if kind == "value_error":
        return f"{where}: {limits['error']}" if where else str(limits["error"])
    if kind == "string_pattern_mismatch":
        return f"{where} {_PATTERNS.get(limits['pattern'], 'is spelt in another way')}; got {value_text(value)}"
    here = [other for other in problems if [str(step) for step in other["loc"] if _is_key(step)] == place]
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", limits["expected"])
        allowed += ["true", "false"] if any(other["type"].startswith("bool_") for other in here) else []
        return f"{where} must be one of {listing(allowed)}; got {value_text(value)}{did_you_mean(str(value), allowed)}"
    rules = [_rule(other["type"], other.get("ctx", {}), other["msg"]) for other in here]
    return f"{where or whole} {' or '.join(dict.fromkeys(rules))}; got {value_text(value)}"


def _rule(kind: str, limits: Mapping[str, Any], otherwise: str) -> str:
    if kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        word = {"greater_than": "more than", "less_than": "less than"}.get(kind)
        word = word or ("at least" if kind == "greater_than_equal" else "at most")
        limit = next(iter(limits.values()))
        return f"must be {word} {int(limit) if limit == int(limit) else limit:,}"
    if kind in {"too_long", "too_short", "string_too_long", "string_too_short"}:
        bound, count = ("most", limits["max_length"]) if kind.endswith("long") else ("least", limits["min_length"])
        return f"must have at {bound} {count:,} {'characters' if kind.startswith('string') else 'entries'}"
    wanted = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "string": "text",
        "list": "a list",
        "tuple": "a list",
        "model": "a name or a group of settings",
        "dict": "a group of settings",
    }
    stem = kind.split("_")[0]
    if kind.endswith(("_type", "_parsing")) and stem in wanted:
        return f"must be {wanted[stem]}"
    if kind == "literal_error":
        return f"must be {limits['expected']}"
    if kind == "finite_number":
        return "must be a finite number"
    return "is not allowed: " + otherwise[0].lower() + otherwise[1:]


def _is_key(step: int | str) -> bool:
    """Pydantic's location also names the branches of a union and its own validators; a reader has no use for those.

    A key may be dotted, as that of a setting in a study.
    """
    return isinstance(step, int) or (
        re.fullmatch(r"[A-Za-z_][\w.-]*", step) is not None and step not in _UNION_BRANCHES
    )


_UNION_BRANCHES = {"int", "float", "bool", "str", "constrained-int", "constrained-float"}


def _settings(model: Any, place: Sequence[str]) -> list[str]:
    """Return the settings known in the section at `place`."""
    for step in place:
        for part in _types(_annotations(model).get(step)):
            if is_typeddict(part) or (isinstance(part, type) and issubclass(part, Section)):
                model = part
    return list(_annotations(model))


def _types(annotation: Any) -> Iterator[Any]:
    """Yield every type in an annotation, however deep: Start in `Annotated[Start, …] | None`."""
    yield annotation
    for part in get_args(annotation):
        yield from _types(part)


def _annotations(model: Any) -> dict[str, Any]:
    """Return the type of each field of a pydantic model or a TypedDict."""
    if issubclass(model, pydantic.BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return get_type_hints(model)
