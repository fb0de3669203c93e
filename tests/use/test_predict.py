"""Predict: pictures made up for the test, the network's own images, and files that are no pictures."""

import json
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from photographs import pictures
from PIL import Image

import classlab as cl
from classlab.errors import UserError
from classlab.training.batches import Images
from classlab.training.calibration import calibrate, lead, losses, temperature
from classlab.use.centring import find_digits


def right(answers, wanted):
    return np.mean([answer.name == str(digit) for answer, digit in zip(answers, wanted, strict=True)])


def digit(side=200, ink=20, paper=235):
    """A one: a thick line on paper."""
    pixels = np.full((side, side), paper, np.uint8)
    pixels[side // 5 : -side // 5, side // 2 - side // 30 : side // 2 + side // 30] = ink
    return Image.fromarray(pixels)


def test_pictures_of_every_medium_are_read_where_the_naive_way_guesses(mnist_run):
    made = pictures(24, seed=7)
    answers = mnist_run.predict([picture for picture, _, _ in made])
    wanted = [number for _, number, _ in made]
    assert right(answers, wanted) >= 0.93  # a network of two short epochs; benchmarks/pictures.py has the real one
    naive = [np.asarray(picture.convert("L").resize((28, 28))) for picture, _, _ in made]
    assert right(mnist_run.predict(np.stack(naive)[:, None]), wanted) < 0.35


def test_the_polarity_the_place_and_the_paper_make_no_difference(mnist_run):
    off_centre = Image.new("RGB", (500, 300), (230, 210, 160))
    off_centre.paste(digit(120).convert("RGB"), (10, 150))
    for picture in (digit(), digit(ink=235, paper=20), digit(ink=120, paper=180), digit(1200)):
        (answer,) = mnist_run.predict(picture)
        assert answer.name == "1" and answer.prepared == "digits"


def large(ink, paper, side=2000):
    """A one on a photograph of many pixels, the digit a quarter of it high."""
    picture = Image.new("RGB", (side, side * 3 // 4), paper)
    picture.paste(ink, (side // 2, side // 4, side // 2 + side // 40, side // 2))
    return picture


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((225, 225, 215), (40, 60, 50)), ((225, 222, 215), (240, 238, 232)), ((20, 20, 25), (235, 235, 230))],
)
def test_ink_on_a_large_photograph_is_found_whatever_its_colours(mnist_run, ink, paper):
    (answer,) = mnist_run.predict(large(ink, paper))
    assert (answer.name, answer.note) == ("1", "")


@pytest.mark.parametrize(("ink", "paper"), [((225, 225, 215), (40, 60, 50)), ((20, 20, 25), (235, 235, 230))])
def test_the_pixels_of_a_photograph_make_no_difference_to_its_contrast(ink, paper):
    small, *others = (
        find_digits(np.asarray(large(ink, paper, side), np.float32))[0] for side in (360, 1000, 2000, 4000)
    )
    for found in others:
        assert found.ink.contrast == pytest.approx(small.ink.contrast, rel=0.05)
        assert found.plausible


def test_images_like_the_trained_ones_pass_unchanged(mnist_run):
    dataset = mnist_run.dataset()
    images, labels = dataset.test_images[:300], dataset.test_labels[:300]
    logits, _ = mnist_run.predictions()
    for pictures_ in (images, [Image.fromarray(image[0]) for image in images]):
        answers = mnist_run.predict(pictures_)
        assert {answer.prepared for answer in answers} == {"as it is"}
        assert [answer.name for answer in answers] == [str(best) for best in logits[:300].argmax(1)]
    assert right(answers, labels) > 0.95


def test_what_it_was_not_trained_on_leaves_it_unsure(mnist_run):
    random = np.random.default_rng(0)
    blank = Image.new("RGB", (300, 300), (240, 238, 230))
    noise = Image.fromarray(random.integers(0, 256, (200, 200, 3), dtype=np.uint8))
    point = Image.new("L", (1, 1), 255)
    assert all(answer.unsure for answer in mnist_run.predict([blank, noise, point]))
    test = mnist_run.dataset().test_images[:2000]
    assert np.mean([answer.unsure for answer in mnist_run.predict(test)]) <= 0.015
    clothes = cl.experiment.load("fashion-cnn", ["data.classes=null", "data.expansion=[]"]).data
    from classlab.data.loading import prepare

    shown = mnist_run.predict(prepare(clothes).test_images[:1000])
    assert np.mean([answer.unsure for answer in shown]) >= 0.9


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_odd_files(folder):
    one = digit()
    one.save(folder / "good.png")
    whole = (folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "drawing.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>")
    (folder / "empty.png").write_bytes(b"")
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    (folder / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + _chunk(b"IEND", b"")
    )
    one.save(folder / "moving.gif", save_all=True, append_images=[digit(ink=200, paper=10)])
    one.convert("CMYK").save(folder / "print.jpg")
    Image.fromarray(np.asarray(one).astype(np.uint16) * 257).save(folder / "deep.png")
    clear = Image.new("RGBA", one.size, (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=Image.fromarray(255 - np.asarray(one)))
    clear.save(folder / "transparent.png")


def test_odd_files_get_an_honest_answer_or_one_sentence_each(mnist_run, tmp_path):
    write_odd_files(tmp_path)
    answers = {answer.file.rpartition("/")[2]: answer for answer in mnist_run.predict(tmp_path)}
    for name in ("good.png", "moving.gif", "print.jpg", "deep.png", "transparent.png"):
        assert (answers[name].name, answers[name].error) == ("1", ""), name
    assert "first frame" in answers["moving.gif"].note
    for name, reason in {
        "cut.png": "not a complete image",
        "drawing.png": "not a complete image in a format",
        "bomb.png": "too large",
    }.items():
        assert reason in answers[name].error and "\n" not in answers[name].error
        assert answers[name].name is None and answers[name].unsure
    (missing,) = mnist_run.predict(tmp_path / "nowhere.png")
    assert missing.error == f"there is no file {tmp_path / 'nowhere.png'}"
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no picture file"):
        mnist_run.predict(tmp_path / "none")


def test_a_large_picture_takes_little_memory(mnist_run, tmp_path):
    Image.fromarray(np.tile(np.asarray(digit(500)), (16, 16))).save(tmp_path / "large.png")  # 64 million pixels
    mnist_run.predict(digit())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mnist_run.predict(tmp_path / "large.png")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 600


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "classlab.cli.main", "predict", *map(str, words)], capture_output=True, text=True
    )


def test_the_command_prints_one_document_and_tells_of_a_bad_file(mnist_run, tmp_path):
    write_odd_files(tmp_path)
    done = command(
        mnist_run.path, tmp_path / "good.png", tmp_path / "cut.png", "--json", "--csv", tmp_path / "a.csv",
        "--explain", tmp_path / "sheet.png",
    )  # fmt: skip
    assert done.returncode == 1 and "not a complete image" in done.stderr
    good, cut = json.loads(done.stdout)["predictions"]
    assert (good["class"], good["unsure"], len(good["top"])) == ("1", False, 3) and 0 < good["probability"] <= 1
    assert cut["class"] is None and "not a complete image" in cut["error"]
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3
    assert Image.open(tmp_path / "sheet.png").width > 300
    assert command(mnist_run.path, tmp_path / "good.png").returncode == 0
    wrong = command(tmp_path, tmp_path / "good.png")
    assert wrong.returncode == 2 and "is not a run folder" in wrong.stderr and "Traceback" not in wrong.stderr


def test_a_file_that_cannot_be_written_is_refused_at_once_or_after_the_answers(mnist_run, tmp_path):
    digit().save(tmp_path / "good.png")
    for options, told in [
        (["--explain", tmp_path / "sheet.jpg"], "give a name that ends in .png, got"),
        (["--csv", tmp_path / "no" / "a.csv"], f"cannot be written: there is no folder {tmp_path / 'no'}"),
    ]:
        refused = command(tmp_path / "no run", tmp_path / "good.png", *options)  # told before the run is looked at
        assert refused.returncode == 2 and told in refused.stderr
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    done = command(mnist_run.path, tmp_path / "good.png", "--csv", folder, "--json")
    assert done.returncode == 2 and f"{folder} is there and is not a regular file" in done.stderr
    assert json.loads(done.stdout)["predictions"][0]["class"] == "1"
    (tmp_path / "sheet.png").mkdir()
    done = command(
        mnist_run.path, tmp_path / "good.png", "--csv", tmp_path / "a.csv", "--explain", tmp_path / "sheet.png"
    )
    assert done.returncode == 2 and "good.png: 1 " in done.stdout and (tmp_path / "a.csv").is_file()


def test_the_temperature_is_that_of_least_loss_and_the_calibration_travels_with_the_run(mnist_run):
    random = np.random.default_rng(1)
    labels = random.integers(0, 10, 4000)
    honest = random.normal(size=(4000, 10)) * 1.5
    labels = np.array([random.choice(10, p=np.exp(row) / np.exp(row).sum()) for row in honest])
    assert temperature(honest * 3, labels) == pytest.approx(3, rel=0.1)
    assert temperature(honest, labels) == pytest.approx(1, rel=0.1)
    logits, truth = mnist_run.predictions()
    told = mnist_run.summary["temperature"]
    assert losses(logits / told, truth).mean() <= losses(logits.astype(np.float64), truth).mean() + 1e-3
    assert (mnist_run.path / "calibration.safetensors").is_file()


def test_without_validation_images_the_temperature_is_one():
    import torch

    random = np.random.default_rng(2)
    pixels = torch.from_numpy(random.integers(0, 256, (50, 1, 4, 4), dtype=np.uint8))
    images = Images(pixels, torch.zeros(50, dtype=torch.int64), torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))
    logits = random.normal(size=(50, 3)) * 9
    made = calibrate(images, images, logits, fit=False)
    assert (made.temperature, made.fitted) == (1.0, False)
    assert made.least_lead == pytest.approx(np.quantile(lead(logits), 0.002))
