"""Pictures of any name and shape, on a small network: an answer or one sentence, and nothing lost on a full disk."""

import csv
import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from cost import full_disk, put_in_the_way, within
from PIL import Image, ImageDraw
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError
from classlab.experiment import load
from classlab.use import explain
from classlab.use.ink import otsu
from classlab.use.picture_file import files_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of digits-quick, one epoch: it need not be right here."""
    changes = ["training.epochs=1", "contract={}"]
    return cl.train(load("digits-quick", changes), out=tmp_path_factory.mktemp("runs"), verbose=False)


def digit(side=60):
    image = Image.new("L", (side, side), 255)
    ImageDraw.Draw(image).line([(side // 2, side // 8), (side // 2, side - side // 8)], fill=0, width=side // 10)
    return image


def filled(shape, kind):
    """A picture of that shape that is empty, full of noise, or holds next to nothing."""
    random = np.random.default_rng(0)
    pixels = np.full((*shape, 3), 255 if kind in ("white", "dot") else 0, np.uint8)
    if kind == "noise":
        pixels[:] = random.integers(0, 256, pixels.shape)
    if kind == "dot":
        pixels[shape[0] // 2, shape[1] // 2] = 0
    if kind == "line":
        pixels[:] = 200
        pixels[:, shape[1] // 2] = 10
    if kind == "sparse":
        pixels[random.random(shape) < 0.02] = 255
    return pixels


SHAPES = [(1, 1), (1, 2), (3, 3), (1, 2000), (2000, 1), (2, 900), (2000, 9), (8, 8), (28, 28), (5, 5), (7, 3)]


@pytest.mark.parametrize("kind", ["black", "white", "noise", "dot", "line", "sparse"])
@pytest.mark.parametrize("prepare", ["digits", "plain"])
def test_pictures_of_every_shape_have_an_answer(run, prepare, kind):
    for shape in SHAPES:
        # These are answered, not refused: an answer may take five seconds, as any command may.
        with within(seconds=5), warnings.catch_warnings(action="error", category=RuntimeWarning):
            (answer,) = run.predict(Image.fromarray(filled(shape, kind)), prepare=prepare)
        assert answer.error == "" and 0 <= answer.probability <= 1


def test_values_that_hardly_differ_have_a_threshold_between_them():
    values = np.array([0.5, 0.5 + 2e-6, 0.5 + 4e-6], np.float32)
    assert values.min() <= otsu(values) <= values.max()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.zeros((0, 8), np.uint8), r"array 0 has no pixels: its shape is \(0, 8\)"),
        (np.zeros((5, 0, 3), np.uint8), "array 0 has no pixels"),
        (np.zeros((0, 1, 8, 8), np.uint8), "nothing to predict"),
        (np.full((1, 8, 8), np.nan, np.float32), "array 0 must hold numbers, all of them finite; got float32"),
        (np.full((1, 8, 8), "x"), "array 0 must hold numbers, all of them finite; got <U1"),
        (np.full((1, 8, 8), None), "array 0 must hold numbers, all of them finite; got object"),
        (np.zeros((40, 30), np.float32), "array 0 must be an image of the network's shape"),
        ([], "nothing to predict"),
    ],
)
def test_arrays_that_are_no_pictures_are_told(run, given, sentence):
    with pytest.raises(UserError, match=sentence):
        run.predict(given)


def test_what_python_hands_over_as_a_picture_has_an_answer_or_one_sentence(run, tmp_path):
    digit().save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-30])
    given = [Image.new("RGB", (0, 5)), Image.new("L", (5, 0)), Image.open(tmp_path / "cut.png"), 5, None, digit()]
    answers = run.predict(given)
    assert [bool(answer.error) for answer in answers] == [True] * 5 + [False]
    assert answers[0].error == "picture 0 has no pixels: it is 0 × 5"
    assert answers[2].error.startswith("picture 2 is not a complete image (")
    assert answers[3].error == "picture 3 must be a file, an array or a picture of Pillow's; got int"


def test_a_folder_s_pictures_are_found_past_pipes_and_links_in_a_circle(tmp_path):
    digit().save(tmp_path / "a.png")
    (tmp_path / "around").symlink_to(tmp_path)
    put_in_the_way(tmp_path, ".png")
    with within():
        assert files_of([tmp_path]) == [tmp_path / "a.png"]


NAMES = [b"\xff\xfe.png", b"a\nb.png", b"=1+1.png", b"[bold]x.png", b"a\x1b[31m.png", b"-x.png", b"@x.png", b"\tt.png"]


@pytest.fixture
def odd(tmp_path):
    """A folder of good pictures with odd names."""
    for name in NAMES:
        with (tmp_path / os.fsdecode(name)).open("wb") as file:
            digit().save(file, "PNG")
    return tmp_path


def test_a_sheet_is_drawn_of_names_that_are_no_plain_text_and_written_through_no_link(run, odd):
    answers = run.predict(odd)
    sheet = explain.explain(answers, odd / "sheet.png")
    assert Image.open(sheet).width > 300
    before = sheet.read_bytes()
    with full_disk(), pytest.raises(UserError, match=r"sheet.png cannot be written"):
        explain.explain(answers, sheet)
    assert sheet.read_bytes() == before
    (odd / "linked.png").symlink_to(odd / "outside.png")
    with pytest.raises(UserError, match="is a link, and nothing is written through links"):
        explain.explain(answers, odd / "linked.png")
    assert not (odd / "outside.png").exists()


def command(folder, *words):
    line = [sys.executable, "-m", "classlab.cli.main", "predict", *map(str, words)]
    return subprocess.run(line, capture_output=True, cwd=folder, check=False)


def test_the_table_is_utf_8_without_formulas_and_every_picture_has_its_line(run, odd):
    names = ["./-x.png" if name == b"-x.png" else os.fsdecode(name) for name in NAMES]
    done = command(odd, run.path, *names, "--csv", "a.csv", "--explain", "a.png")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(NAMES) + 3
    for spelled in (r"\udcff\udcfe.png: ", r"a\nb.png: ", "=1+1.png: ", "[bold]x.png: ", r"a\x1b[31m.png: "):
        assert any(line.startswith(spelled) for line in lines)
    with (odd / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [
        *(
            "\\udcff\\udcfe.png",
            "a\nb.png",
            "'=1+1.png",
            "[bold]x.png",
            "a\\x1b[31m.png",
            "'-x.png",
            "'@x.png",
            "'\tt.png",
        )
    ]
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    document = json.loads(command(odd, run.path, *names, "--json").stdout)
    assert [os.fsencode(answer["file"]) for answer in document["predictions"]] == NAMES


@pytest.mark.parametrize("option", ["--csv", "--explain"])
def test_a_table_or_sheet_that_cannot_be_written_loses_no_answer(run, odd, option, monkeypatch):
    ending = "csv" if option == "--csv" else "png"
    (odd / f"link.{ending}").symlink_to(odd / "outside")
    (odd / f"folder.{ending}").mkdir()
    os.mkfifo(odd / f"pipe.{ending}")
    (odd / f"device.{ending}").symlink_to("/dev/full")
    monkeypatch.chdir(odd)
    for place in ("link", "folder", "pipe", "device"):
        done = CliRunner().invoke(app, ["predict", str(run.path), "=1+1.png", option, f"{place}.{ending}"])
        assert isinstance(done.exception, UserError)
        assert str(done.exception).startswith(f"{place}.{ending} is ")
        assert done.stdout.startswith("=1+1.png: ")
    assert not (odd / "outside").exists()


def test_what_is_no_regular_file_has_one_sentence_at_once(run, tmp_path):
    places = put_in_the_way(tmp_path, ".png")
    given = [place for place in places if place.stem != "folder"]
    done = command(tmp_path, run.path, *given, "/dev/zero")
    assert done.returncode == 2
    told = [line for line in done.stderr.decode().splitlines() if line]
    assert len(told) == len(given) + 1
    assert all(
        "is not a regular file" in line or "there is no file" in line or "cannot be read" in line for line in told
    )


def test_a_network_of_infinite_logits_is_unsure_and_warns_of_nothing(run, tmp_path):
    from classlab.runs import store

    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    state = store.read_checkpoint(copy / store.LAST)
    large = {
        name: value * 1e38 if name.startswith("model.") and name.endswith("weight") else value
        for name, value in state.items()
    }
    store.write_checkpoint(copy / store.LAST, large, store.read_about(copy / store.LAST))
    with warnings.catch_warnings(action="error", category=RuntimeWarning):
        (answer,) = cl.load_run(copy).predict(digit())
    assert answer.unsure
