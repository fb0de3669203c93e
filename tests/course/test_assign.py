"""Tasks as files: report 4's own, every task that can come out, identical bytes, and no birth date in any of them."""

import hashlib
import random
import re

import pytest
from typer.testing import CliRunner

from classlab import experiment as experiments
from classlab.cli import main as shell
from classlab.course import assign as courses
from classlab.course import task_sheet
from classlab.course.derive import derive
from classlab.course.details import Details, details
from classlab.course.rules import load
from classlab.errors import UserError
from classlab.experiment import Contract, Experiment
from classlab.yaml_text import to_yaml

NAME, RULES = load("dl-minor-1")
OWN = details("18/03/02", "B20AI052")
SHIPPED = {
    "cnn": "fashion-cnn",
    "autoencoder": "fashion-autoencoder",
    "encoder-classifier": "fashion-encoder-classifier",
}


def some_student(draw):
    """Any day that exists, any roll number."""
    month = draw.randint(1, 12)
    day = draw.randint(1, {2: 28, 4: 30, 6: 30, 9: 30, 11: 30}.get(month, 31))
    return Details((day, month, draw.randint(0, 99)), f"B{draw.randint(10, 30)}AI{draw.randint(0, 999):03d}")


def key(task):
    return to_yaml([task.experiments, task.contracts])


def reachable():
    """Return every different task that can come out, found by going through the parities and digits that decide it."""
    tasks = {}
    for day in (1, 2):
        for month in (1, 2):
            for year in (0, 1):
                for roll in range(100):
                    task = derive(RULES, Details((day, month, year), f"B20AI{roll:03d}"))
                    tasks[key(task)] = task
    return tasks


TASKS = reachable()


def test_the_report_s_own_details_give_the_report_s_own_task():
    task = derive(RULES, OWN)
    assert [str(line) for line in task.lines] == [
        "ABC = 052, even → Fashion-MNIST",
        "MM odd → He initialisation",
        "DD even → flip and noise",
        "MM odd → max pooling",
        "DD+MM+YY = 23, odd → classes 1, 3, 5, 7, 9",
        "last digit of ABC = 2, less than 6, and ABC = 052, even → 4 convolution layers and 1 pooling layer",
        "ABC = 052, even → 10 filters in the first layer",
        "digit sum of ABC = 7, odd → one fully connected layer of 256",
        "ABC = 052, even → 4 encoding and 4 decoding layers",
        "MM odd → one fully connected layer of 256",
    ]
    assert not any(line.ours for line in task.lines)


def told_by_hand(day, month, year, a, b, c):
    """The report's rules written down once more, as plain Python."""
    even = c % 2 == 0
    return {
        "dataset": "fashion-mnist" if even else "mnist",
        "initialise": {"name": "he_normal" if month % 2 else "xavier_normal", "biases": "default"},
        "pooling": "max" if month % 2 else "average",
        "classes": [1, 3, 5, 7, 9] if (day + month + year) % 2 else [0, 2, 4, 6, 8],
        "convolutions": 4 if c < 6 and even else 3,
        "first_filters": 10 if even else 16,
        "hidden": 256 if (a + b + c) % 2 else 128,
        "widths": [392, 196, 98, 32] if even else [392, 98, 32],
        "classifier": 256 if month % 2 else 128,
        "changed": "horizontal_flip" if day % 2 == 0 else "rotate",
    }


def test_the_rules_are_those_of_the_report_for_anybody():
    draw = random.Random(2)
    for _ in range(500):
        student = some_student(draw)
        decided = derive(RULES, student).decisions
        found = {**decided, "changed": decided["copies"][1][0]["name"]}
        wanted = told_by_hand(*student.born, *map(int, student.roll[-3:]))
        assert {key: found[key] for key in wanted} == wanted


@pytest.mark.parametrize("name", SHIPPED)
def test_the_report_s_experiments_are_those_that_are_shipped(name, tmp_path):
    written = courses.assign(NAME, RULES, OWN, tmp_path)
    assigned, shipped = (
        experiments.load(source).model_dump(exclude={"name", "description"})
        for source in (written.folder / f"{name}.yaml", SHIPPED[name])
    )
    assert assigned == shipped


def test_only_the_report_s_branches_are_not_ours():
    for decision in RULES.decisions.values():
        if decision.about:
            assert [branch.ours for branch in decision.branches] == [False, True]


def test_every_task_that_can_come_out_can_be_inspected_and_keeps_its_own_contract(tmp_path):
    assert len(TASKS) == 48
    inspected = {}
    for task in TASKS.values():
        for name, fields in task.experiments.items():
            contract = Contract(**task.contracts[name])
            whole = Experiment(name=name, **{**fields, "contract": contract})
            inspected[whole.to_yaml()] = whole
    assert 48 < len(inspected) < 3 * 48
    for number, text in enumerate(inspected):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        done = CliRunner().invoke(shell.app, ["inspect", str(file)], catch_exceptions=False)
        assert done.exit_code == 0, text
        assert done.stdout.count("✓") >= 3 and "✗" not in done.stdout, f"{text}\n{done.stdout}"


def test_ten_thousand_students_get_one_of_those_tasks():
    draw = random.Random(0)
    met = {key(derive(RULES, some_student(draw))) for _ in range(100)}
    decided = {to_yaml(task.decisions): text for text, task in TASKS.items()}
    by_values = {str(task.decisions) for task in TASKS.values()}
    assert met <= set(TASKS) and len(decided) == len(by_values) == len(TASKS)
    # The files follow from the decisions alone, so the decisions of the others are enough to look at.
    assert all(str(derive(RULES, some_student(draw)).decisions) in by_values for _ in range(10_000))


def test_the_same_details_give_the_same_bytes(tmp_path):
    first = courses.assign(NAME, RULES, OWN, tmp_path / "a").folder
    again = courses.assign(NAME, RULES, details("18/03/02", " b20ai052", "Ada"), tmp_path / "b").folder
    assert first.name == again.name == "dl-minor-1-ecc926221e"
    assert sorted(file.name for file in first.iterdir()) == [
        "autoencoder-contract.yaml", "autoencoder.yaml", "cnn-contract.yaml", "cnn.yaml",
        "encoder-classifier-contract.yaml", "encoder-classifier.yaml", "task.md", "task.pdf",
        "task.yaml",
    ]  # fmt: skip
    for file in first.iterdir():
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name
    other = courses.assign(NAME, RULES, OWN, tmp_path / "c", salt="only I know").folder
    assert other.name != first.name


def test_no_file_holds_the_birth_date_the_roll_number_or_a_time(tmp_path):
    student = details("27/11/98", "B98XY416", "Ada", "Lovelace", "B.Tech")
    folder = courses.assign(NAME, RULES, student, tmp_path).folder
    for file in folder.iterdir():
        text = (pdf_text(file) if file.suffix == ".pdf" else file.read_text(encoding="utf-8")) + file.name
        assert not re.search(r"27\D{0,3}11\D{0,3}(19)?98|98\D{0,3}11\D{0,3}27|B98XY|Ada|Lovelace", text)
        assert not re.search(r"(?<!\+)\b(DD|MM|YY) =", text)
    assert b"CreationDate" not in (folder / "task.pdf").read_bytes()
    assert "ABC = 416, even" in (folder / "task.md").read_text()


def pdf_text(file):
    """What of a PDF is not compressed; what is compressed comes from the data that the Markdown shows too."""
    return file.read_bytes().decode("latin-1")


def test_the_sheet_is_one_page_and_says_what_the_markdown_says():
    longest = max(TASKS.values(), key=lambda task: len(str(task.lines)) + len(str(task.contracts)))
    limits = {name: Contract(**fields) for name, fields in longest.contracts.items()}
    content = task_sheet.content(NAME, RULES, longest, "0123456789", limits)
    made = task_sheet.pdf(content)
    assert made.startswith(b"%PDF") and made == task_sheet.pdf(content)
    assert re.findall(rb"NPages>(\d+)<", made) == [b"1"]
    text = task_sheet.markdown(content)
    for line in content["lines"]:
        assert f"{line['why']} → **{line['means']}**" in text
    seed = int.from_bytes(hashlib.sha256(b"seed/0123456789").digest()[:8], "big") % 10**9
    assert f"    classlab run cnn.yaml --seed {seed} --report" in text


def test_a_long_sheet_is_set_smaller():
    content = task_sheet.content(NAME, RULES, derive(RULES, OWN), "0123456789", {})
    made = task_sheet.pdf({**content, "lines": content["lines"] * 4})
    assert re.findall(rb"NPages>(\d+)<", made) == [b"1"]


def test_text_in_rules_is_text_on_the_sheet():
    content = task_sheet.content(NAME, RULES, derive(RULES, OWN), "0123456789", {})
    nasty = '#read("/etc/passwd") $x$ *bold* _it_ @ref <label> `raw` \\ "quote"'
    assert task_sheet.pdf({**content, "title": nasty, "about": nasty, "hand_in": [nasty]}).startswith(b"%PDF")


def test_a_branch_that_gives_no_experiment_is_told_where_it_stands(tmp_path):
    fields = RULES.model_dump()
    fields["experiments"]["cnn"]["training"]["epochs"] = 0
    with pytest.raises(UserError, match=r"^mine, experiments.cnn: training.epochs must be at least 1; got 0$"):
        courses.assign("mine", type(RULES)(**fields), OWN, tmp_path)
    fields = RULES.model_dump()
    fields["contracts"]["cnn"]["max_epoch"] = 3
    with pytest.raises(UserError, match=r"^mine, contracts.cnn: max_epoch is not a setting; did you mean max_epochs"):
        courses.assign("mine", type(RULES)(**fields), OWN, tmp_path)


def test_a_class_is_written_whole_or_not_at_all(tmp_path):
    students = [(2, OWN), (3, details("19/03/02", "NODIGITS"))]
    with pytest.raises(
        UserError, match=r"^line 3: ABC is the last 3 digits of the roll number, and NODIGITS ends otherwise$"
    ):
        courses.assign_class(NAME, RULES, students, tmp_path)
    assert not list(tmp_path.iterdir())
    written = courses.assign_class(NAME, RULES, students[:1], tmp_path)
    table = (tmp_path / "tasks.csv").read_text().splitlines()
    assert table[0].startswith("roll,task,folder,dataset,initial weights,")
    assert table[1].startswith(
        f"B20AI052,{written[0].code},dl-minor-1-{written[0].code},Fashion-MNIST,He initialisation,"
    )


def assign(class_list, out, *words):
    words = ["assign", "dl-minor-1", "--class-list", str(class_list), "--out", str(out), *words]
    assert CliRunner().invoke(shell.app, words, catch_exceptions=False).exit_code == 0


def test_a_second_class_does_not_write_over_the_table_of_the_first(tmp_path):
    for name, rolls in (("first", (52, 53)), ("second", (54,)), ("grown", (53, 52, 54))):
        rows = "".join(f"18/03/02,B20AI{roll:03d}\n" for roll in rolls)
        (tmp_path / f"{name}.csv").write_text("born,roll\n" + rows)

    def give(name, *words):
        assign(tmp_path / f"{name}.csv", tmp_path / "tasks", *words)

    give("first")
    table, folders = tmp_path / "tasks" / "tasks.csv", len(list((tmp_path / "tasks").iterdir()))
    before = table.read_bytes()
    for words in (("second",), ("first", "--salt", "another")):
        with pytest.raises(UserError, match="alone says that task ecc926221e is B20AI052's, and would be lost"):
            give(*words)
    assert table.read_bytes() == before and len(list((tmp_path / "tasks").iterdir())) == folders
    give("first")
    assert table.read_bytes() == before
    give("grown")
    assert [line[:8] for line in table.read_text().splitlines()[1:]] == ["B20AI053", "B20AI052", "B20AI054"]
    table.write_text("mine\n1\n")
    with pytest.raises(UserError, match=r"tasks.csv is in the way, and is no table of tasks; give another folder"):
        give("grown")


def test_a_table_of_tasks_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "class.csv").write_text("born,roll\n18/03/02,B20AI052\n")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "tasks.csv").symlink_to(tmp_path / "nowhere" / "tasks.csv")
    with pytest.raises(UserError, match=r"tasks.csv is a link, and nothing is written through links; give another"):
        assign(tmp_path / "class.csv", tmp_path / "tasks")


def test_how_even_a_class_is():
    draw = random.Random(1)
    tasks = [derive(RULES, some_student(draw)) for _ in range(200)]
    spreads = {one.decision: one for one in courses.spread(RULES, tasks)}
    assert set(spreads["dataset"].counts) == {"Fashion-MNIST", "MNIST"}
    assert all(sum(one.counts.values()) == 200 for one in spreads.values())
    assert spreads["dataset"].p > 0.01
    # Three ABC in ten are even and end below 6; 140 against 60 of 200 is far from even.
    assert spreads["convolutions"].p < 1e-4
    few, many = spreads["convolutions"].counts.values()
    chi_square = (few - 100) ** 2 / 100 + (many - 100) ** 2 / 100
    assert chi_square > 15 and 0.2 < few / 200 < 0.4
    assert courses.distinct(tasks) <= 48 and courses.distinct([tasks[0]] * 5) == 1
