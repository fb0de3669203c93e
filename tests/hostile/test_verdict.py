"""The verdict itself: what the campaign has to see is seen, and what is right is no fault."""

import subprocess
import sys

import pytest

from tests.hostile import attacks, damage, verdict
from tests.hostile.case import Case, World, random_of
from tests.hostile.child import Outcome

QUIET = Outcome(0, 0.1, 0.1, 10.0, False, 0, b"done\n", b"", "")


@pytest.fixture
def world(tmp_path):
    (tmp_path / "home").mkdir()
    world = World(tmp_path / "world", tmp_path / "donors")
    world.lay_out(tmp_path / "home")
    return world


def types(world, case, before, **changes):
    found = verdict.faults(world, case, Outcome(**{**vars(QUIET), **changes}), before)
    return [fault.type for fault in found]


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, []),
        ({"code": 2, "err": b"classlab: the rule, what was given, what is allowed\n"}, []),
        ({"code": 1, "out": b"CONTRACT NOT KEPT\n"}, []),
        ({"code": 2}, ["silent"]),
        ({"code": 1, "out": b""}, ["silent"]),
        ({"code": 2, "err": b"Error: no\n"}, ["sentence"]),
        ({"code": 2, "err": b"classlab: " + b"x" * 3000}, ["sentence"]),
        ({"code": 130}, ["exit"]),
        ({"code": -11}, ["exit"]),
        ({"code": -9, "hung": True}, ["hung"]),
        ({"code": 1, "err": b"Traceback (most recent call last):\n  File x\nKeyError: 'a'\n"}, ["traceback"]),
        ({"out": b"\x1b[2J"}, ["control"]),
        ({"out": "\u202e".encode()}, ["control"]),
        ({"out": b"\xff"}, ["control"]),
        ({"err": b"a/b.py:3: UserWarning: x\n"}, ["warning"]),
        ({"seconds": 6.0}, ["time"]),
        ({"megabytes": 1001.0}, ["memory"]),
        ({"left": 1}, ["processes"]),
        ({"audit": "os.system (b'id',)\n"}, ["audit"]),
    ],
)
def test_how_a_command_ends_is_judged(world, changes, faults):
    assert types(world, Case(["runs"], ""), verdict.snapshot(world.root), **changes) == faults


def test_a_program_is_given_one_json_document(world):
    case, before = Case(["runs", "--json"], ""), verdict.snapshot(world.root)
    assert types(world, case, before, out=b'{"a": null}') == []
    assert types(world, case, before, out=b'{"a": NaN}') == ["json"]
    assert types(world, case, before, out=b"{} {}") == ["json"]


@pytest.mark.parametrize("change", ["write_text", "touch", "unlink"])
def test_whatever_is_changed_is_seen_unless_the_command_may_write_it(world, change):
    file, before = world.sent / "report.html", {}
    if change != "touch":
        file.write_text("old")
    before = verdict.snapshot(world.root)
    getattr(file, change)(*(["new"] if change == "write_text" else []))
    assert types(world, Case(["runs"], ""), before) == ["touched"]
    allowed = Case(["report"], "", writes=["sent/report.html"])
    assert types(world, allowed, before) == (["touched"] if change == "unlink" else [])


def test_a_write_through_a_link_is_seen(world):
    link = world.sent / "report.html"
    link.symlink_to(world.decoy / "thesis.tex")
    before = verdict.snapshot(world.root)
    link.write_text("gone")
    assert types(world, Case(["report"], "", writes=["sent/report.html"]), before) == ["touched"]


def test_half_written_files_and_living_markup_are_seen(world):
    before = verdict.snapshot(world.root)
    (world.sent / ".report.html.a1.part").touch()
    (world.sent / "report.html").write_text(f"<p>{attacks.SCRIPT}</p>")
    assert types(world, Case(["report"], "", writes=["sent/*"]), before) == ["left", "markup"]


def test_the_senders_code_leaves_a_trace_when_it_is_imported_and_when_it_is_called(world):
    before = verdict.snapshot(world.root)
    (world.sent / "evil.py").write_text(attacks.evil_code(world))
    imported = [sys.executable, "-c", "import evil; evil.load()"]
    subprocess.run(imported, cwd=world.sent, check=True)
    assert world.canary.read_text().count("evil was executed") == 2
    assert "executed" in types(world, Case(["report"], "", writes=["sent/*"]), before)


def test_the_same_seed_kind_and_number_damage_in_the_same_way(world):
    def damaged(number):
        random = random_of(1, "run", number)
        document = {"a": [1, 2, {"b": "text"}], "c": 0.5, "d": None}
        return damage.written(damage.fields(document, random, lambda: attacks.odd(world, random), 3)[0])

    assert [damaged(number) for number in range(20)] == [damaged(number) for number in range(20)]
    assert len({damaged(number) for number in range(20)}) > 15
