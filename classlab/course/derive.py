"""Derive a task: quantities from a student's details, decisions from the quantities, files from the decisions.

A part of the birth date is never shown, and neither is what follows from one or two of its parts. The sheet says only
what the rule needs ("MM odd"). A sum over day, month and year is shown with its value.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from classlab import limits
from classlab.course.details import Details
from classlab.course.rules import PARTS, Branch, Decision, Rules, is_place, only
from classlab.errors import UserError

MOST_BITS = 100  # of a product, before it is taken: products of products grow past any memory


@dataclass(frozen=True)
class Quantity:
    """A whole number from the details.

    parts: those of the birth date that it rests on. public: whether its value may be shown.
    """

    value: int
    text: str
    parts: frozenset[str]
    public: bool


@dataclass(frozen=True)
class Line:
    """One line of the derivation: why, what is decided, how. ours: that branch was chosen here, not stated."""

    decision: str
    about: str
    why: str
    means: str
    ours: bool

    def __str__(self) -> str:
        return f"{self.why} → {self.means}"


@dataclass(frozen=True)
class Task:
    """What the details lead to: the decisions' values, the derivation, and the files by name, as plain data."""

    decisions: dict[str, Any]
    lines: tuple[Line, ...]
    experiments: dict[str, dict[str, Any]]
    contracts: dict[str, dict[str, Any]]


def derive(rules: Rules, student: Details) -> Task:
    """Return the task. The same details give the same task. Raises UserError for details that the rules cannot use."""
    quantities: dict[str, Quantity] = {}
    for name, form in rules.quantities.items():
        quantities[name] = _quantity(name, form, student, quantities)
    decisions: dict[str, Any] = {}
    lines = []
    for name, decision in rules.decisions.items():
        branch, why = _decide(name, decision, student, quantities, decisions)
        decisions[name] = branch.value
        if decision.about:
            lines.append(Line(name, decision.about, why, branch.means or str(branch.value), branch.ours))
    return Task(
        decisions,
        tuple(lines),
        {name: _filled(fields, decisions) for name, fields in rules.experiments.items()},
        {name: _filled(fields, decisions) for name, fields in rules.contracts.items()},
    )


def explained(rules: Rules) -> list[str]:
    """Return a sentence for each quantity that comes from the details themselves: "DD is the day of birth"."""
    places = {"letters": "the letters in {}, counted", "first_letter": "the place in A to Z of the first letter of {}"}
    names = {"first": "the first name", "last": "the last name", "programme": "the programme's name"}
    found = []
    for name, form in rules.quantities.items():
        kind, value = only(form)
        if kind == "part":
            what = f"the {value} of birth" if value != "year" else "the last two digits of the year of birth"
        elif kind == "last_digits":
            what = f"the last {value} digits of the roll number" if value > 1 else "the last digit of the roll number"
        elif kind in places:
            what = places[kind].format(names[value])
        else:
            continue
        found.append(f"{name} is {what}")
    return found


def _quantity(name: str, form: Mapping[str, Any], student: Details, known: Mapping[str, Quantity]) -> Quantity:
    kind, value = only(form)
    if kind == "part":
        return Quantity(student.born[PARTS.index(value)], "", frozenset({value}), False)
    if kind == "last_digits":
        digits = student.roll[-value:]
        if len(digits) < value or not digits.isdecimal():
            raise UserError(f"{name} is the last {value} digits of the roll number, and {student.roll} ends otherwise")
        return Quantity(int(digits), digits, frozenset(), True)
    if kind in ("letters", "first_letter"):
        number = _letters(name, value, getattr(student, value), kind == "first_letter")
        return Quantity(number, str(number), frozenset(), True)
    operands = value if isinstance(value, list) else [value]
    numbers = [known[part].value if isinstance(part, str) else part for part in operands]
    used = [known[part] for part in operands if isinstance(part, str)]
    parts = frozenset[str]().union(*(quantity.parts for quantity in used))
    if kind == "sum":
        public = len(parts) in (0, len(PARTS))
    else:  # a product or a difference may give a date away, a digit of a public number does not
        public = not parts or (
            kind in ("digit_sum", "last_digit", "remainder") and all(quantity.public for quantity in used)
        )
    if kind == "product" and sum(abs(number).bit_length() for number in numbers) > MOST_BITS:
        raise UserError(f"{name} is a product of more than {limits.DIGITS} digits, which no task needs")
    result = {
        "sum": sum,
        "product": prod,
        "difference": lambda pair: pair[0] - pair[1],
        "remainder": lambda pair: pair[0] % pair[1],
        "last_digit": lambda numbers: abs(numbers[0]) % 10,
        "digit_sum": lambda numbers: sum(int(digit) for digit in str(abs(numbers[0]))),
    }[kind](numbers)
    return Quantity(result, str(result), parts, public)


def _letters(name: str, which: str, text: str, first: bool) -> int:
    """Return how many letters a name has, or where its first one stands in the alphabet."""
    letters = [sign for sign in text if sign.isalpha()]
    if not letters:
        raise UserError(f"{name} needs the student's {which} name: give --{which}" if which != "programme" else
                        f"{name} needs the student's programme: give --programme")  # fmt: skip
    if not first:
        return len(letters)
    plain = unicodedata.normalize("NFKD", letters[0])[0].upper()
    if not "A" <= plain <= "Z":
        raise UserError(f"{name} is the place of a letter in A to Z, and {which} begins with {letters[0]!r}")
    return ord(plain) - ord("A") + 1


def _decide(
    name: str, decision: Decision, student: Details, quantities: Mapping[str, Quantity], decisions: Mapping[str, Any]
) -> tuple[Branch, str]:
    """Return the branch taken and why, in words."""
    if decision.of is not None:
        quantity = quantities[decision.of]
        if quantity.value not in decision.table:
            raise UserError(f"decisions.{name}: the table has no row for {decision.of} = {quantity.value}")
        return decision.table[quantity.value], f"{decision.of} = {quantity.text}" if quantity.public else decision.of
    facts: list[str] = []
    for branch in decision.branches:
        if branch.when is None:
            return branch, _joined(facts) or "always"
        holds, why = _judge(branch.when, student, quantities, decisions)
        facts += why
        if holds:
            return branch, _joined(facts)
    raise AssertionError("the last branch has no condition")


def _judge(
    form: Mapping[str, Any], student: Details, quantities: Mapping[str, Quantity], decisions: Mapping[str, Any]
) -> tuple[bool, list[str]]:
    """Return whether a condition holds and the facts that make it so."""
    kind, value = only(form)
    if kind in ("all", "any"):
        judged = [_judge(part, student, quantities, decisions) for part in value]
        results = [result for result, _ in judged]
        holds = all(results) if kind == "all" else any(results)
        # All of them made it so, or the first that did: one false among all, one true among any.
        enough = [why for result, why in judged if result == holds]
        return holds, _flat(enough) if (kind == "all") == holds else enough[0]
    if kind == "not":
        holds, why = _judge(value, student, quantities, decisions)
        return not holds, why
    if kind == "spelled":
        which, wanted = value
        holds = getattr(student, which).casefold() == wanted.casefold()
        return holds, [f"{which} {'is' if holds else 'is not'} {wanted}"]
    if kind == "decided":
        name, wanted = value
        return decisions[name] == wanted, [f"{name} {'is' if decisions[name] == wanted else 'is not'} {wanted}"]
    if kind in ("even", "odd"):
        even = quantities[value].value % 2 == 0
        return even == (kind == "even"), [_fact(value, quantities, "even" if even else "odd")]
    left, right = value
    return _compare(kind, left, right, quantities)


def _compare(
    kind: str, left: str | int, right: str | int, quantities: Mapping[str, Quantity]
) -> tuple[bool, list[str]]:
    a, b = (quantities[side].value if isinstance(side, str) else side for side in (left, right))
    # The words where it holds, and where it does not.
    holds, words = {
        "equal": (a == b, ("equal to", "not equal to")),
        "less_than": (a < b, ("less than", "not less than")),
        "at_most": (a <= b, ("at most", "more than")),
        "more_than": (a > b, ("more than", "at most")),
        "at_least": (a >= b, ("at least", "less than")),
        "divisible": (b != 0 and a % b == 0, ("divisible by", "not divisible by")),
    }[kind]
    other = str(right)
    if isinstance(right, str) and quantities[right].public:
        other = f"{right} = {quantities[right].text}"
    relation = f"{words[0] if holds else words[1]} {other}"
    return holds, [_fact(left, quantities, relation)]


def _fact(name: str | int, quantities: Mapping[str, Quantity], what: str) -> str:
    if isinstance(name, int):
        return f"{name} {what}"
    quantity = quantities[name]
    return f"{name} = {quantity.text}, {what}" if quantity.public else f"{name} {what}"


def _joined(facts: list[str]) -> str:
    return ", and ".join(dict.fromkeys(facts))


def _flat(lists: list[list[str]]) -> list[str]:
    return [fact for facts in lists for fact in facts]


def _filled(fields: Any, decisions: Mapping[str, Any]) -> Any:
    """Return the file with every `{decided: name}` replaced by that decision's value."""
    if isinstance(fields, Mapping):
        if is_place(fields):
            return decisions[fields["decided"]]
        return {key: _filled(part, decisions) for key, part in fields.items()}
    return [_filled(part, decisions) for part in fields] if isinstance(fields, list) else fields
