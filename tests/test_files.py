"""Reading and writing: regular files alone, bounded; whole or not at all, and never through a link."""

import errno
import os
import subprocess
import sys
import time

import pytest

from classlab import files
from classlab.errors import UserError


@pytest.fixture
def strange(tmp_path):
    """Things by a name that are no regular files, by kind."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "to-pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    return tmp_path


@pytest.mark.parametrize("name", ["pipe", "folder", "zero", "to-pipe", "itself"])
def test_what_is_no_regular_file_is_refused_at_once(strange, name):
    began = time.monotonic()
    with pytest.raises(UserError, match=r"is not a regular file|it is a link|cannot be read"):
        files.read(strange / name, 10)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("name", ["none", "none/inside", "a" * 300, "null\0character"])
def test_a_name_that_no_file_has_gets_one_sentence(tmp_path, name):
    with pytest.raises(UserError) as caught:
        files.read(tmp_path / name, 10)
    assert "\n" not in str(caught.value) and "Errno" not in str(caught.value)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(UserError, match=r"holds 1,000,000,000,000 bytes, and of such a file at most 5 are read"):
        files.read(tmp_path / "sparse", 5)
    (tmp_path / "five").write_bytes(b"12345")
    assert files.read(tmp_path / "five", 5) == b"12345"


@pytest.mark.parametrize("write", [files.write, files.append])
def test_nothing_is_written_through_links_or_over_what_is_no_file(strange, write):
    thesis = strange / "thesis.tex"
    thesis.write_text("ten years of work")
    (strange / "report.html").symlink_to(thesis)
    (strange / "dangling").symlink_to(strange / "nowhere")
    for name in ("report.html", "dangling", "pipe", "folder", "zero"):
        with pytest.raises(UserError, match=r"is a link, and nothing is written|is not a regular file"):
            write(strange / name, "new")
    assert thesis.read_text() == "ten years of work" and not (strange / "nowhere").exists()


def test_names_of_half_written_files_cannot_be_foreseen(tmp_path):
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("ten years of work")
    for name in ("report.html.part", ".report.html.part", ".write-test"):
        (tmp_path / name).symlink_to(thesis)
    files.write(tmp_path / "report.html", "new")
    files.check_writable(tmp_path)
    assert thesis.read_text() == "ten years of work" and (tmp_path / "report.html").read_text() == "new"


@pytest.mark.parametrize("fails", ["fsync", "open", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new_one(tmp_path, monkeypatch, fails):
    files.write(tmp_path / "report.html", "old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_, **__):
        raise full

    monkeypatch.setattr(os, fails, refuse)
    with pytest.raises(UserError, match=r"report.html cannot be written: No space left on device$"):
        files.write(tmp_path / "report.html", "new")
    monkeypatch.undo()
    assert (tmp_path / "report.html").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_what_is_left_half_written_can_be_cleared(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living = f".metrics.csv.{os.getpid()}-0123abcd{files.PART}"
    for name in ("kept.part", ".report.html.part", living, f".metrics.csv.{dead.pid}-0123abcd{files.PART}"):
        (tmp_path / name).write_text("half")
    files.write(tmp_path / "new", "whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([living, ".report.html.part", "kept.part", "new"])


def test_what_a_killed_process_left_of_its_probe_goes_with_the_next_one(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left = tmp_path / f".probe.{process.pid}-0123abcd.part"
    left.touch()
    files.check_writable(tmp_path)
    assert not left.exists()
