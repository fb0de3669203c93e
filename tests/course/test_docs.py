"""What docs/assignments.md and docs/contracts.md show works as shown."""

import re
from pathlib import Path

import pytest

from classlab.course.assign import assign
from classlab.course.derive import derive
from classlab.course.details import details
from classlab.course.rules import CONDITIONS, QUANTITIES, load
from classlab.experiment import Contract, load_contract

DOCS = Path(__file__).parents[2] / "docs"
ASSIGNMENTS = (DOCS / "assignments.md").read_text(encoding="utf-8")
CONTRACTS = (DOCS / "contracts.md").read_text(encoding="utf-8")


def example(text):
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]


def test_the_example_of_rules_is_rules(tmp_path):
    (tmp_path / "mine.yaml").write_text(example(ASSIGNMENTS), encoding="utf-8")
    name, rules = load(tmp_path / "mine.yaml")
    written = assign(name, rules, details("18/03/02", "B20AI052", "Ada"), tmp_path)
    assert [str(line) for line in written.task.lines] == ["DD+MM+YY = 23, odd → ReLU", "last digit = 2 → 16"]


@pytest.mark.parametrize("word", [*QUANTITIES, *CONDITIONS])
def test_every_form_is_explained(word):
    assert f"{{{word}: " in ASSIGNMENTS[ASSIGNMENTS.index("| quantity | is |") :]


def test_the_example_of_a_contract_holds_every_rule(tmp_path):
    (tmp_path / "limits.yaml").write_text(example(CONTRACTS), encoding="utf-8")
    assert load_contract(tmp_path / "limits.yaml").model_fields_set == set(Contract.model_fields)


def test_the_table_of_branches_is_that_of_the_rules():
    _, rules = load("dl-minor-1")
    rows = [row.split(" | ") for row in re.findall(r"^\| (.* \| .* \| .*) \|$", ASSIGNMENTS, re.MULTILINE)]
    told = [decision for decision in rules.decisions.values() if decision.about]
    table = rows[-len(told) :]
    for decision, (_, stated, ours) in zip(told, table, strict=True):
        for branch, cell in zip(decision.branches, (stated, ours), strict=True):
            cell = cell.replace("classification layer", "one fully connected layer").replace(" (both normal)", "")
            assert cell == branch.means


def test_the_report_s_student_gets_the_line_shown():
    _, rules = load("dl-minor-1")
    lines = [str(line) for line in derive(rules, details("18/03/02", "B20AI052")).lines]
    assert "DD+MM+YY = 23, odd → classes 1, 3, 5, 7, 9" in lines and lines[4] in ASSIGNMENTS
