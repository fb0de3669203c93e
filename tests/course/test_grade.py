"""Grading: a class of three, trained small, graded twice; forgeries, copies, hostile archives, points."""

import csv
import importlib.util
import io
import itertools
import math
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from classlab.contract import Check
from classlab.course import copies, hand_in, hand_in_archive, rubric, task_file, training_proof, weighing_room
from classlab.course.details import read_class_list
from classlab.course.grade import grade
from classlab.course.rules import load
from classlab.errors import UserError

SPEC = importlib.util.spec_from_file_location("classes", Path(__file__).with_name("classes.py"))
assert SPEC and SPEC.loader
classes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(classes)


@pytest.fixture(scope="module")
def digits_class(tmp_path_factory):
    out = tmp_path_factory.mktemp("class")
    return out, *classes.make_class(out, 3)


def unpacked(archive, place):
    root = hand_in.unpacked(archive, place, archive.name)
    return root, task_file.read(root / task_file.FILE)


def proof_of(archive, place, count=5):
    root, task = unpacked(archive, place)
    return training_proof.prove(root / "net", "net", task.seed, "secret", "digest", count)


def test_a_class_is_graded_and_again_to_the_same_bytes(digits_class):
    out, rules, class_list, _ = digits_class
    name, read = load(rules)
    broken = out / "hand-ins" / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and no more")
    tables = []
    for _ in range(2):
        given = [out / "hand-ins"]
        graded = grade(given, name, read, read_class_list(class_list), out / "graded", spot_checks=1, jobs=1)
        tables.append((out / "graded" / "grades.csv").read_bytes())
    broken.unlink()
    assert tables[0] == tables[1]
    assert [student.proofs["net"]["word"] for student in graded.students] == ["proved"] * 3
    assert not graded.likenesses and graded.pairs == 3
    assert [file for file, _ in graded.strays] == ["broken.zip"] and "damaged" in graded.strays[0][1]
    for student in graded.students:
        page = (out / "graded" / "feedback" / f"{student.code}.html").read_text()
        assert student.roll not in page and (out / "graded" / "feedback" / f"{student.code}.pdf").is_file()


def test_an_honest_training_is_proved_and_an_invented_epoch_is_not(digits_class, tmp_path):
    archive = digits_class[-1][0]
    assert proof_of(archive, tmp_path / "honest").word == "proved"
    made = classes.contents(archive)
    made["net/epochs/3.safetensors"] = classes.changed(
        made["net/epochs/3.safetensors"], lambda name, value: value * 1.5 if name.startswith("model.") else value
    )
    classes.write(tmp_path / "forged.zip", made)
    proof = proof_of(tmp_path / "forged.zip", tmp_path / "forged")
    assert proof.word == "not proved" and "epoch 3, trained again" in proof.sentence
    del made["net/epochs/2.safetensors"]
    classes.write(tmp_path / "gap.zip", made)
    assert proof_of(tmp_path / "gap.zip", tmp_path / "gap").sentence == ("the checkpoint of epoch 2 is not handed in")


def test_a_copy_under_another_seed_has_not_the_seeds_first_weights(digits_class, tmp_path):
    first, second = (classes.contents(archive) for archive in (digits_class[-1][0], digits_class[-1][2]))
    classes.write(tmp_path / "copy.zip", classes.copied(second, first))
    proof = proof_of(tmp_path / "copy.zip", tmp_path / "copy")
    assert proof.word == "not proved" and "not those that the seed draws" in proof.sentence


def traits_of(archive, place, student):
    root, task = unpacked(archive, place)
    taken = weighing_room._traits(root / "net")
    seed = task.seed
    return copies.Traits(student, "net", seed, seed, str(taken["shapes"]), student, taken["weights"],
                         taken["answers"], taken["labels"], (), frozenset())  # fmt: skip


def permuted(name, value):
    """Turn the order of the hidden neurons, and scale each by 3 and its way out by 1/3: the same function."""
    if name in ("model.linear1.weight", "model.linear1.bias"):
        return value.flip(0) * 3
    return value.flip(1).contiguous() / 3 if name == "model.linear2.weight" else value


@pytest.mark.parametrize(
    ("change", "kind"),
    [(lambda name, value: value + 0.001 * (value.dim() == 2), "nearly the same weights"),
     (permuted, "the same answers by other weights")],
)  # fmt: skip
def test_a_changed_copy_is_found_and_an_honest_pair_is_not(digits_class, tmp_path, change, kind):
    honest = classes.contents(digits_class[-1][0])
    classes.write(tmp_path / "copy.zip", classes.copied(honest, honest, change))
    first = traits_of(digits_class[-1][0], tmp_path / "a", "A")
    copy = traits_of(tmp_path / "copy.zip", tmp_path / "b", "B")
    other = traits_of(digits_class[-1][2], tmp_path / "c", "C")
    assert [(part.first, part.second, part.kind) for part in copies.find([first, copy, other], {})] == [
        ("A", "B", kind)
    ]


def test_a_foreign_seed_the_same_curve_and_the_same_text_are_found():
    blank = np.zeros(0, np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.int64)
    text = copies.words_of("<p>" + " ".join(f"word{number}" for number in range(60)))
    curve = ("0.5", "0.25", "0.125")
    first = copies.Traits("A", "net", 1, 1, "", "a", *blank, curve, text)
    second = copies.Traits("B", "net", 1, 2, "", "b", *blank, curve, text)
    kinds = {part.kind for part in copies.find([first, second], {"A": 1, "B": 2})}
    assert kinds == {"the same text", "the same curve", "another student's seed"}


@pytest.mark.parametrize(("epochs", "forged", "drawn"), [(5, 1, 2), (6, 3, 2), (4, 4, 1), (7, 2, 3)])
def test_the_chance_to_catch_is_that_of_all_draws_counted(epochs, forged, drawn):
    draws = list(itertools.combinations(range(epochs), drawn))
    caught = sum(any(epoch < forged for epoch in epochs_drawn) for epochs_drawn in draws)
    assert math.isclose(training_proof.chance(epochs, forged, drawn), caught / len(draws))


def zipped(*entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


FILE = stat.S_IFREG | 0o644
HOSTILE = {
    "leads out of its folder": [("../../evil", b"", FILE)],
    "leads out of": [("/etc/evil", b"", FILE)],
    "is a link": [("task.yaml", b"/etc/passwd", stat.S_IFLNK | 0o777)],
    "not one that every disk takes": [("net/aux.txt", b"", FILE)],
    "twice": [("task.yaml", b"a", FILE), ("TASK.yaml", b"b", FILE)],
    "unpacks to": [(f"{number}.bin", bytes(40_000_000), FILE) for number in range(8)],
    "at most 2,000 are read": [(f"{number}", b"", FILE) for number in range(2_001)],
    "more files than a hand-in has": [(f"{number}", b"", FILE) for number in range(25_000)],
}  # fmt: skip


@pytest.mark.parametrize("sentence", HOSTILE)
def test_a_hostile_archive_gets_one_sentence_and_writes_nothing_outside(tmp_path, sentence):
    (tmp_path / "hostile.zip").write_bytes(zipped(*HOSTILE[sentence]))
    place = tmp_path / "a" / "b" / "c"
    place.mkdir(parents=True)
    with pytest.raises(UserError, match=sentence) as caught:
        hand_in.unpacked(tmp_path / "hostile.zip", place, "hostile.zip")
    assert "\n" not in str(caught.value) and not list(tmp_path.rglob("evil"))
    assert not list(place.iterdir())


def test_no_time_and_no_order_changes_an_archives_bytes():
    assert hand_in_archive.packed({"a": b"1", "b": b"2"}) == hand_in_archive.packed({"b": b"2", "a": b"1"})


KEPT = Check("dataset", "digits", "digits", True, "dataset digits: kept")
BROKEN = Check("max_epochs", 5, 6, False, "6 epochs, at most 5 allowed: not kept")
POINTS = {
    "items": [
        {"about": "data", "run": "net", "rule": "dataset", "points": 2},
        {"about": "epochs", "run": "net", "rule": "max_epochs", "points": 3},
        {"about": "accuracy", "run": "net", "accuracy_percent": [80, 90], "points": 4},
        {"about": "report", "report": True, "points": 1},
    ],
    "late": {"points_per_day": 1, "days": 2},
    "caps": [{"when": "accuracy below", "run": "net", "percent": 81, "most": 1.5}],
}


@pytest.mark.parametrize(
    ("accuracy", "report", "late", "points"),
    [(0.95, True, 0, 7.0), (0.85, False, 0, 4.0), (0.85, False, 1, 3.0), (0.85, False, 3, 0.0), (0.8, True, 0, 1.5)],
)
def test_points_are_plain_arithmetic(accuracy, report, late, points):
    run = rubric.MeasuredRun((KEPT, BROKEN), accuracy)
    scored = rubric.score(rubric.Points(**POINTS), {"net": run}, report, late)
    assert scored.points == points and scored.most == 10


def test_points_for_a_rule_that_a_run_has_not_are_refused(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(classes.RULES.replace("rule: all", "rule: max_epoch"))
    with pytest.raises(UserError, match=r"points are for the rule 'max_epoch' of net; did you mean max_epochs"):
        load(file)


def test_a_class_with_hostile_and_nested_hand_ins_is_graded_all_the_same(digits_class, tmp_path):
    _, rules, class_list, archives = digits_class
    name, read = load(rules)
    inner = zipped(("course/first student/photo.jpg", archives[0].read_bytes(), FILE))  # an archive under a wrong name
    given = tmp_path / "given"
    given.mkdir()
    (given / "all.zip").write_bytes(zipped(("week 3/half.zip", inner, FILE), ("week 3/notes.txt", b"hello", FILE)))
    (given / "=cmd|'calc'!A1.zip").write_bytes(archives[1].read_bytes())
    (given / "<img src=x onerror=alert(1)>.zip").write_bytes(zipped(("../../evil", b"", FILE)))
    (given / "many.zip").write_bytes(zipped(*((f"{number}", b"", FILE) for number in range(2_001))))
    graded = grade([given], name, read, read_class_list(class_list), tmp_path / "out", spot_checks=0, jobs=1)
    assert sorted(student.source is not None for student in graded.students) == [False, True, True]
    assert len(graded.strays) == 2 and not list(tmp_path.rglob("evil"))
    with open(tmp_path / "out" / "grades.csv", newline="") as file:  # noqa: PTH123
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert any("=cmd" in cell for cell in cells)
    assert "<img" not in (tmp_path / "out" / "class.html").read_text()
