"""Rules files: quantities, conditions, tables, the derivation's words, what never leaves the details, and mistakes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classlab.course import task_sheet
from classlab.course.derive import derive, explained
from classlab.course.details import Details, details
from classlab.course.rules import Rules, load
from classlab.errors import UserError
from classlab.yaml_text import parse_yaml, to_yaml

PLAIN = {
    "name": "x",
    "data": {"dataset": "digits"},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 1, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}
ADA = details("18/03/02", "b20ai 052", "Ada", "Lovelace", "B.Tech")


def rules(quantities=None, **decisions):
    experiment = {key: value for key, value in PLAIN.items() if key != "name"}
    given = {"DD": {"part": "day"}, "MM": {"part": "month"}, "YY": {"part": "year"}, "ABC": {"last_digits": 3}}
    return Rules(
        title="T",
        quantities={**given, **(quantities or {})},
        decisions=decisions,
        experiments={"net": experiment},
    )


def choice(when):
    return {"about": "it", "branches": [{"when": when, "value": True, "means": "yes"}, {"value": False, "means": "no"}]}


def told(when, quantities=None, student=ADA):
    (line,) = derive(rules(quantities, it=choice(when)), student).lines
    return str(line)


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ({"last_digits": 2}, 52),
        ({"letters": "first"}, 3),
        ({"letters": "programme"}, 5),
        ({"first_letter": "last"}, 12),
        ({"digit_sum": "ABC"}, 7),
        ({"last_digit": "ABC"}, 2),
        ({"sum": ["DD", "MM", "YY"]}, 23),
        ({"sum": ["ABC", 10]}, 62),
        ({"product": ["MM", "YY"]}, 6),
        ({"difference": ["MM", "DD"]}, -15),
        ({"remainder": ["ABC", 7]}, 3),
    ],
)
def test_every_quantity(quantity, value):
    assert told({"equal": ["Q", value]}, {"Q": quantity}).endswith("→ yes")
    assert told({"equal": ["Q", value + 1]}, {"Q": quantity}).endswith("→ no")


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"even": "ABC"}, "ABC = 052, even → yes"),
        ({"odd": "ABC"}, "ABC = 052, even → no"),
        ({"odd": "MM"}, "MM odd → yes"),
        ({"less_than": ["ABC", 53]}, "ABC = 052, less than 53 → yes"),
        ({"less_than": ["ABC", 52]}, "ABC = 052, not less than 52 → no"),
        ({"at_most": ["ABC", 52]}, "ABC = 052, at most 52 → yes"),
        ({"more_than": ["ABC", 52]}, "ABC = 052, at most 52 → no"),
        ({"at_least": ["DD", "MM"]}, "DD at least MM → yes"),
        ({"at_least": ["MM", "ABC"]}, "MM less than ABC = 052 → no"),
        ({"divisible": ["ABC", 5]}, "ABC = 052, not divisible by 5 → no"),
        ({"not": {"odd": "ABC"}}, "ABC = 052, even → yes"),
        ({"all": [{"even": "ABC"}, {"odd": "MM"}]}, "ABC = 052, even, and MM odd → yes"),
        ({"all": [{"even": "ABC"}, {"even": "MM"}]}, "MM odd → no"),
        ({"any": [{"odd": "ABC"}, {"odd": "MM"}]}, "MM odd → yes"),
        ({"any": [{"odd": "ABC"}, {"even": "MM"}]}, "ABC = 052, even, and MM odd → no"),
        ({"spelled": ["programme", "b.tech"]}, "programme is b.tech → yes"),
        ({"spelled": ["first", "Bob"]}, "first is not Bob → no"),
    ],
)
def test_every_condition_and_its_words(when, words):
    assert told(when) == words


def test_the_first_branch_that_holds_is_taken_and_tables_look_up():
    decisions = {
        "size": {
            "about": "size",
            "branches": [
                {"when": {"less_than": ["ABC", 50]}, "value": 1, "means": "small"},
                {"when": {"less_than": ["ABC", 100]}, "value": 2, "means": "middle"},
                {"value": 3, "means": "large"},
            ],
        },
        "row": {"about": "row", "of": "last", "table": {n: {"value": n, "means": f"row {n}"} for n in range(5)}},
        "both": choice({"decided": ["size", 2]}),
    }
    made = rules({"last": {"last_digit": "ABC"}}, **decisions)
    task = derive(made, ADA)
    assert [str(line) for line in task.lines] == [
        "ABC = 052, not less than 50, and ABC = 052, less than 100 → middle",
        "last = 2 → row 2",
        "size is 2 → yes",
    ]
    with pytest.raises(UserError, match=r"^decisions.row: the table has no row for last = 7$"):
        derive(made, details("18/03/02", "B20AI057"))


def test_decisions_fill_the_files_wherever_they_stand():
    made = rules(width=choice({"even": "ABC"}))
    fields = made.model_dump()
    fields["experiments"]["net"]["model"]["widths"] = [{"decided": "width"}, 3]
    fields["contracts"] = {"net": {"layers": {"decided": "width"}}}
    task = derive(Rules(**fields), ADA)
    assert task.experiments["net"]["model"]["widths"] == [True, 3]
    assert task.contracts["net"] == {"layers": True}


# What is told of the birth date

SECRET = {
    "a sum of two": {"sum": ["DD", "MM"]},
    "a product": {"product": ["DD", "MM", "YY"]},
    "a difference": {"difference": ["DD", "MM"]},
    "a digit of a part": {"last_digit": "DD"},
    "the digits of a part": {"digit_sum": "YY"},
    "a remainder": {"remainder": ["DD", 31]},
}


@pytest.mark.parametrize("quantity", SECRET.values(), ids=SECRET)
def test_what_rests_on_a_part_of_the_birth_date_is_not_told(quantity):
    assert told({"even": "Q"}, {"Q": quantity}) in {"Q even → yes", "Q odd → no"}


def test_a_sum_over_all_parts_is_told_and_so_are_its_digits():
    sums = {"S": {"sum": ["DD", "MM", "YY"]}, "D": {"digit_sum": "S"}}
    assert told({"odd": "S"}, sums) == "S = 23, odd → yes"
    assert told({"odd": "D"}, sums) == "D = 5, odd → yes"


@given(st.integers(1, 28), st.integers(1, 12), st.integers(0, 99), st.integers(0, 999))
def test_dl_minor_1_never_tells_the_birth_date(day, month, year, abc):
    _, made = load("dl-minor-1")
    student = Details((day, month, year), f"B20AI{abc:03d}")
    words = "\n".join(str(line) for line in derive(made, student).lines)
    # Another day and month of the same parities and the same sum tell the same.
    other = Details((day + 2 if day <= 26 else day - 2, month, year - 2 if day <= 26 else year + 2), student.roll)
    if 0 <= other.born[2] <= 99:
        assert "\n".join(str(line) for line in derive(made, other).lines) == words
    assert "Details(…)" in repr(student)


# Mistakes in rules files

BASE = """
title: T
quantities:
  DD: {part: day}
  ABC: {last_digits: 3}
decisions:
  dataset: {about: d, branches: [{when: {even: ABC}, value: digits}, {value: digits}]}
experiments:
  net: {data: {dataset: {decided: dataset}}}
"""


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "{part: day}",
            "{part: dya}",
            "quantities.DD.part must be one of day, month, year; got 'dya'; did you mean day?",
        ),
        (
            "{last_digits: 3}",
            "{last_digits: 0}",
            "quantities.ABC.last_digits must be how many digits of the roll number, 1 to 9; got 0",
        ),
        (
            "{last_digits: 3}",
            "{lastdigits: 3}",
            "quantities.ABC: there is no quantity 'lastdigits'; did you mean last_digits? known: part, ",
        ),
        ("{last_digits: 3}", "{sum: [DD, EE]}", "quantities.ABC.sum: there is no quantity 'EE' above it; known: DD"),
        (
            "{last_digits: 3}",
            "{remainder: [DD, 0]}",
            'quantities.ABC.remainder must be a quantity and a whole number from 1; got ["DD", 0]',
        ),
        ("{last_digits: 3}", "3", "quantities.ABC must be a group of settings; got 3"),
        (
            "{even: ABC}",
            "{even: ABD}",
            "decisions.dataset.branches.0.when.even: there is no quantity 'ABD' above it; did you mean ABC? known: DD",
        ),
        (
            "{even: ABC}",
            "{evn: ABC}",
            "decisions.dataset.branches.0.when: there is no condition 'evn'; did you mean even? known: even, odd, ",
        ),
        (
            "{even: ABC}",
            "{less_than: [ABC]}",
            'decisions.dataset.branches.0.when.less_than must be a list of 2 quantities; got ["ABC"]',
        ),
        ("{even: ABC}", "{all: []}", "decisions.dataset.branches.0.when.all must be a list of conditions; got []"),
        (
            "{even: ABC}",
            "{decided: [dataset, 1]}",
            'decisions.dataset.branches.0.when.decided must be one of none; got "dataset"',
        ),
        (
            "{even: ABC}",
            "{spelled: [roll, x]}",
            'decisions.dataset.branches.0.when.spelled must be one of first, last, programme; got "roll"',
        ),
        (
            ", {value: digits}",
            "",
            "decisions.dataset: the last branch must have no condition: it is what holds otherwise",
        ),
        (
            "{decided: dataset}",
            "{decided: datset}",
            "experiments.net asks for the decision 'datset'; did you mean dataset? there is dataset",
        ),
        ("title: T", "titel: T", "titel is not a setting; did you mean title? a rules file has: title, "),
        ("about: d", "abuot: d", "decisions.dataset.abuot is not a setting; "),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path, old, new, sentence):
    assert old in BASE
    file = tmp_path / "mine.yaml"
    file.write_text(BASE.replace(old, new))
    with pytest.raises(UserError) as caught:
        load(file)
    told = str(caught.value)
    assert told.startswith(f"{file}: ") and "\n" not in told
    assert sentence.replace("'", '"') in told.replace("'", '"')


def test_names_and_files_that_are_not_there():
    with pytest.raises(
        UserError, match=r"there is no assignment named 'dl-minor', and no such file; did you mean dl-minor-1"
    ):
        load("dl-minor")
    with pytest.raises(UserError, match=r"there is no rules file no/dl-minor-1.yaml; did you mean dl-minor-1\?"):
        load("no/dl-minor-1.yaml")


def test_nothing_in_rules_is_executed(tmp_path):
    file = tmp_path / "evil.yaml"
    file.write_text(BASE.replace("{last_digits: 3}", "!!python/object/apply:os.system ['touch evil']"))
    with pytest.raises(UserError, match=r"the tag .* is not known here"):
        load(file)
    assert parse_yaml(to_yaml({"a": 1}), "") == {"a": 1}


def test_products_of_products_do_not_grow_past_any_memory(tmp_path):
    file = tmp_path / "grows.yaml"
    text = "title: grows\nquantities:\n  q0: {last_digits: 9}\n"
    text += "".join(f"  q{n}: {{product: [q{n - 1}, q{n - 1}]}}\n" for n in range(1, 40))
    text += "decisions: {d: {branches: [{value: 1}]}}\nexperiments: {e: {data: {dataset: digits}}}\n"
    file.write_text(text)
    with pytest.raises(UserError, match=r"q2 is a product of more than 30 digits, which no task needs"):
        derive(load(file)[1], details("18/03/02", "B20AI999999999"))


def test_what_comes_of_the_details_themselves_is_explained():
    _, found = load("dl-minor-1")
    assert explained(found) == [
        "DD is the day of birth", "MM is the month of birth", "YY is the last two digits of the year of birth",
        "ABC is the last 3 digits of the roll number",
    ]  # fmt: skip


def test_the_sheet_names_the_network_of_each_line_and_explains_its_letters():
    _, found = load("dl-minor-1")
    task = derive(found, details("18/03/02", "B20AI052"))
    sheet = task_sheet.content("dl-minor-1", found, task, "code", {})
    text = task_sheet.markdown(sheet)
    assert "- first layer of the CNN: ABC = 052, even → **10 filters in the first layer**" in text
    assert "DD is the day of birth; MM is the month of birth" in text
    assert len({line["about"] for line in sheet["lines"]}) == len(sheet["lines"])
    assert task_sheet.pdf(sheet).startswith(b"%PDF")
