"""`classlab data`, through the command line's own face."""

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cost import full_disk, put_in_the_way, within
from PIL import Image
from typer.testing import CliRunner

from classlab.cli.main import app
from classlab.data import cache
from classlab.errors import Refused, UserError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def data(*arguments):
    result = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["data", *arguments], catch_exceptions=False)
    return result.stdout


def document(*arguments):
    return json.loads(data(*arguments, "--json"))


def test_list_names_every_dataset_with_its_facts():
    facts = {fact["name"]: fact for fact in document("list")}
    assert set(facts) >= {"cifar10", "digits", "fashion-mnist", "mnist"}
    for fact in facts.values():
        assert re.fullmatch("[0-9a-f]{64}", fact["digest"])
        assert len(fact["mean"]) == len(fact["std"]) == fact["shape"][0]
        assert len(fact["class_names"]) >= 2
        assert fact["licence"]
        assert fact["citation"]
        assert fact["sources"]
    assert facts["mnist"]["cached"] is False
    assert facts["digits"]["cached"] is None
    shown = data("list")
    assert re.search(r"fashion-mnist +1 × 28 × 28 +10 +60,000 +10,000 +no", shown)


def test_every_command_has_an_example():
    for command in ("list", "fetch", "verify", "where", "remove", "show", "stats"):
        assert f"Example: classlab data {command}" in " ".join(data(command, "--help").split())


def test_fetch_and_verify_what_needs_no_network():
    (fetched,) = document("fetch", "digits")
    (verified,) = document("verify", "digits")
    assert fetched["digest"] == verified["digest"]
    assert fetched["source"] == "scikit-learn"
    assert verified["ok"]
    assert "digits: ok " in data("verify", "digits")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fetch"], "name at least one dataset, or --all; known: cifar10, digits, "),
        (["fetch", "mnits"], r"there is no dataset named 'mnits'; did you mean mnist\?"),
        (["fetch", "folder"], "folder is read from your own files and is not fetched; to fetch there are: cifar10"),
        (["show"], "name a dataset, or an experiment with --like; datasets: "),
        (["show", "digits", "--out", "sheet.doc"], "--out writes files that end in .png, .svg, .html; got sheet.doc"),
        (["show", "digits", "--out", "no/where.png"], "no/where.png cannot be written: No such file"),
        (
            ["show", "digits", "--set", "data.clases=[1,2]"],
            r"data.clases is not a setting; did you mean data.classes\?",
        ),
        (["show", "--like", "digits-quik"], r"there is no experiment named 'digits-quik'.*did you mean digits-quick\?"),
        (["stats", "digits", "--set", "data.val_size=5000"], "data.val_size must leave images to train on"),
        (["stats", "nowhere.npz"], "there is no file nowhere.npz"),
        (["show", "nowhere/"], "there is no dataset named 'nowhere/'"),
    ],
)
def test_mistakes_are_told_in_one_sentence(arguments, sentence):
    with pytest.raises(UserError, match=sentence) as told:
        data(*arguments)
    assert "\n" not in str(told.value)


def test_verify_says_no_where_a_dataset_is_missing_or_damaged(home):
    with pytest.raises(Refused, match="not as they should be: mnist"):
        data("verify", "mnist")
    packaged = {result["name"] for result in document("verify")}
    assert "digits" in packaged and "mnist" not in packaged
    home.mkdir()
    (home / "mnist.safetensors").write_bytes(b"damaged")
    with pytest.raises(Refused, match="not as they should be: mnist"):
        data("verify")


def test_the_shell_is_told_by_exit_codes(home):
    for arguments, code, printed in (
        (["verify", "mnist"], 1, "classlab: not as they should be: mnist\n"),
        (["fetch", "mnits"], 2, "classlab: there is no dataset named 'mnits'; did you mean mnist?"),
    ):
        command = [sys.executable, "-m", "classlab.cli.main", "data", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == code
        assert ended.stderr.startswith(printed)
        assert "Traceback" not in ended.stderr


def test_where_and_remove(home):
    parts = (
        np.zeros((2, 1, 2, 2), np.uint8),
        np.zeros(2, np.int64),
        np.zeros((1, 1, 2, 2), np.uint8),
        np.zeros(1, np.int64),
    )
    home.mkdir()
    cache.write(cache.file(home, "mnist"), parts, "a test")
    (place,) = document("where")
    assert place["folder"] == str(home)
    assert list(place["datasets"]) == ["mnist"]
    assert "mnist: 0.0 MB" in data("where")
    assert document("remove", "mnist", "cifar10") == {"mnist": [str(home / "mnist.safetensors")], "cifar10": []}
    assert "mnist: was not in the cache" in data("remove", "mnist")


def picture(path):
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def test_show_writes_a_picture_a_drawing_and_a_page(tmp_path):
    assert document("show", "digits") == {"dataset": "digits", "file": "digits-sheet.png"}
    plain = picture(tmp_path / "digits-sheet.png")
    assert plain.shape[0] > 500
    assert plain[0, 0].tolist() == [255, 255, 255]
    like = ("--like", "digits-quick", "--per-class", "4")
    assert data("show", "digits", *like, "--out", "sheet.svg") == "contact sheet: sheet.svg\n"
    drawing = (tmp_path / "sheet.svg").read_text()
    assert drawing.count("<image ") == 20
    assert "Augmented differently in every epoch: rotate (degrees 10" in drawing
    data("show", "digits", *like, "--out", "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("<img ") == 80
    assert not re.search(r"(src|href)=.https?:", page)


def test_show_draws_images_that_are_trained_on_and_not_those_held_out(tmp_path):
    data("show", "digits", "--out", "all.png")
    data("show", "digits", "--set", "data.val_size=500", "--out", "some.png")
    assert (tmp_path / "all.png").read_bytes() != (tmp_path / "some.png").read_bytes()
    copies = ["--set", "data.expansion=[[], [horizontal_flip]]", "--set", "data.val_size=500"]
    data("show", "digits", *copies, "--out", "sheet.html")
    assert "stands in the set 2 times: 2 × 937 = 1,874 images." in (tmp_path / "sheet.html").read_text()


def test_show_has_the_original_beside_each_copy(tmp_path):
    copies = "data.expansion=[[], [{name: horizontal_flip, probability: 1.0}], [{name: uniform_noise, high: 0.5}]]"
    data("show", "digits", "--set", copies, "--set", "data.classes=[3, 7]", "--out", "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert page.count(">as they are</th>") == 2
    assert page.count("<img ") == 2 * 2 * 2 * 6
    assert "Every image that is trained on stands in the set 3 times: 3 × 290 = 870 images" in page
    data("show", "digits", "--set", copies, "--out", "a.png")
    data("show", "digits", "--set", copies, "--out", "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    data("show", "digits", "--set", copies, "--set", "data.expansion_seed=1", "--out", "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_stats_count_every_split():
    facts = document("stats", "digits", "--set", "data.val_size=0.1", "--set", "data.stratified=true")
    assert facts["sizes"] == {"train": 1293, "val": 144, "test": 360}
    assert sum(row["val"] for row in facts["classes"]) == 144
    assert facts["known_mean"] == [0.3059]
    shown = data("stats", "digits", "--set", "data.expansion=[[], [vertical_flip]]")
    assert re.search(r"together +1,437 +360", shown)
    assert "training images with their copies: 1,437 × 2 copies = 2,874" in shown
    assert facts["digest"] in shown


def test_the_reader_s_own_pictures_and_arrays(tmp_path):
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(6):
            pixels = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{index}.png")
    assert document("stats", "pets")["sizes"] == {"train": 10, "val": 0, "test": 2}
    assert document("stats", "pets", "--set", "data.dataset.size=8")["image"] == [3, 8, 8]
    data("show", "pets", "--out", "pets.png")
    np.savez(
        tmp_path / "mine.npz", images=random.integers(0, 256, (20, 8, 8), dtype=np.uint8), labels=np.arange(20) % 2
    )
    assert document("stats", "mine.npz")["sizes"] == {"train": 16, "val": 0, "test": 4}


def pets(root):
    for number, name in enumerate((b"[bold]x", b"[red", b"a\x1b[31mx", b"b\nc", b"=1+1", b"\xff\xfe", b"z" * 250)):
        folder = root / os.fsdecode(name)
        folder.mkdir(parents=True)
        for index in range(5):
            Image.new("L", (8, 8), 20 * number + index).save(folder / f"{index}.png")
    return root


def test_classes_of_any_name_are_counted_and_drawn(tmp_path):
    folder = str(pets(tmp_path / "[bold]\x1bpets"))
    shown = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["data", "stats", folder], catch_exceptions=False)
    for name in ("[bold]x", "[red", r"a\x1b[31mx", r"b\nc", "=1+1", r"\udcff\udcfe"):
        assert f"\n{name} " in shown.stdout
    assert "\x1b" not in shown.stdout
    for ending in ("png", "svg", "html"):
        assert data("show", folder, "--out", f"sheet.{ending}") == f"contact sheet: sheet.{ending}\n"
    assert "\x1b" not in (tmp_path / "sheet.html").read_text() + (tmp_path / "sheet.svg").read_text()
    assert data("show", folder) == "contact sheet: [bold]\\x1bpets-sheet.png\n"


def test_a_sheet_is_written_through_no_link_and_on_a_full_disk_the_old_one_stays(tmp_path):
    (tmp_path / "link.svg").symlink_to(tmp_path / "outside.svg")
    with pytest.raises(UserError, match=r"link.svg is a link, and nothing is written through links"):
        data("show", "digits", "--out", "link.svg")
    data("show", "digits", "--out", "sheet.svg")
    before = (tmp_path / "sheet.svg").read_bytes()
    for name in ("sheet.svg", "new.html"):
        with full_disk(), pytest.raises(UserError, match=rf"^{name} cannot be written: File too large$"):
            data("show", "digits", "--out", name)
    assert (tmp_path / "sheet.svg").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"link.svg", "sheet.svg", "data"}


def test_datasets_whose_files_are_pipes_or_devices_end_at_once(tmp_path):
    for path in put_in_the_way(tmp_path, ".npz"):
        with within(), pytest.raises(UserError, match=r"is not a regular file|there is no file|cannot be read"):
            data("stats", path.name)
    for path in put_in_the_way(tmp_path, ""):
        if path.name != "folder":
            with within(), pytest.raises(UserError, match=f"there is no dataset named '{path.name}'"):
                data("stats", path.name)


@pytest.fixture
def homeless(monkeypatch):
    monkeypatch.delenv("CLASSLAB_DATA")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: f"~/.cache/{name}")


def test_without_a_home_what_needs_no_cache_works(homeless, tmp_path):
    assert document("where") == []
    assert data("where") == "nowhere: there is no home folder; CLASSLAB_DATA may name a folder\n"
    assert {fact["name"]: fact["cached"] for fact in document("list")}["mnist"] is False
    assert document("fetch", "digits")[0]["source"] == "scikit-learn"
    assert document("remove", "mnist") == {"mnist": []}
    with pytest.raises(UserError, match=r"^there is no home folder to keep datasets in"):
        data("fetch", "mnist")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", [("where",), ("list",), ("fetch", "mnist"), ("remove", "mnist"), ("verify", "mnist")]
)
def test_a_file_as_the_folder_of_datasets_is_told(command, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path / "file"))
    with pytest.raises(
        UserError, match=r"^CLASSLAB_DATA names the folder of the datasets, and .*file is not a folder$"
    ):
        data(*command)


def test_neither_list_nor_where_nor_inspect_asks_the_network(home, monkeypatch):
    import socket

    from classlab.data import fetch

    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(fetch, "_fetch", refuse)
    for words in (["data", "list"], ["data", "where"], ["inspect", "mnist-20k"], ["inspect", "cifar-lenet"]):
        assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0


def test_names_in_the_cache_are_printed_as_they_are(home):
    home.mkdir()
    (home / "[bold]x.safetensors").write_bytes(b"")
    os.mkfifo(home / "pipe.safetensors")
    assert "  [bold]x: 0.0 MB\n" in data("where")
    assert "pipe" not in data("where")
