"""Digits by other people: several in a picture, why an answer is unsure, uneven rims, and what is no digit."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from strangers import letters, several, strangers
from typer.testing import CliRunner

from classlab.cli.main import app
from classlab.use.predict import _is_prepared, _with_margin
from classlab.use.several import digit_masks


def drawn(lines, size=(300, 200), paper=(238, 236, 228), ink=(30, 30, 50), width=12):
    picture = Image.new("RGB", size, paper)
    for line in lines:
        ImageDraw.Draw(picture).line(line, fill=ink, width=width, joint="curve")
    return picture


SPIRAL = [(slice(at, at + 5), slice(10, 15)) for at in range(10, 90, 10)]
SEVEN = [(30, 40), (100, 40), (55, 160)]
ONE = [(190, 40), (190, 160)]


def test_most_digits_by_other_people_are_read(mnist_run):
    made = strangers(24, seed=3)
    answers = mnist_run.predict([picture for picture, _, _ in made])
    right = [answer.name == str(digit) for answer, (_, digit, _) in zip(answers, made, strict=True)]
    assert np.mean(right) >= 0.85  # a network of two short epochs; docs/log.md has the real one
    assert all(bool(answer.why) == answer.unsure for answer in answers)


def test_several_digits_are_said_and_read_one_by_one(mnist_run, tmp_path):
    picture = drawn([SEVEN, ONE])
    (answer,) = mnist_run.predict(picture)
    assert answer.unsure and answer.digits == 2 and answer.document()["digits"] == 2
    assert answer.why.startswith("2 digits stand in this picture (--each reads them one by one)")
    each = mnist_run.predict(picture, each=True)
    assert [part.name for part in each] == ["7", "1"]
    assert [part.file for part in each] == ["picture 0, digit 1 of 2", "picture 0, digit 2 of 2"]
    picture.save(tmp_path / "two.png")
    done = CliRunner().invoke(app, ["predict", str(mnist_run.path), str(tmp_path / "two.png"), "--each"])
    assert "two.png, digit 2 of 2: 1 " in done.stdout
    assert [part.digits for part in mnist_run.predict(drawn([SEVEN]), each=True)] == [1]


def test_rows_of_digits_leave_it_unsure(mnist_run):
    made = several(8, seed=4)
    answers = mnist_run.predict([picture for picture, _ in made])
    assert np.mean([answer.digits == len(text) for answer, (_, text) in zip(answers, made, strict=True)]) > 0.6
    assert np.mean([answer.unsure for answer in answers]) > 0.8


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([(slice(20, 80), slice(20, 40)), (slice(20, 80), slice(60, 80))], 2),
        ([(slice(20, 80), slice(20, 40)), (slice(70, 80), slice(60, 70))], 1),  # a dot
        ([(slice(20, 50), slice(20, 60)), (slice(60, 90), slice(30, 50))], 1),  # one above the other
        ([(slice(20, 80), slice(20, 40)), (slice(0, 100), slice(90, 100))], 1),  # along the edge
        (
            [(slice(20, 80), slice(60, 80)), *((slice(at, at + 5), slice(10, 15)) for at in range(10, 90, 10))],
            1,
        ),  # a spiral
        ([], 0),
    ],
)
def test_what_stands_in_a_row_and_is_as_tall_is_a_digit_of_its_own(pieces, count):
    strength = np.zeros((100, 100), np.float32)
    for piece in pieces:
        strength[piece] = 1
    assert len(digit_masks(strength)) == count


def test_the_margin_goes_on_with_the_colours_along_the_rim():
    pixels = np.full((120, 90, 3), 230, np.float32)
    pixels[60:] = 90  # a page above, a table below
    pixels[:60, 40:44] = 10  # a stroke that ends at the rim
    wide = _with_margin(pixels)
    assert wide.shape == (160, 130, 3) and np.array_equal(wide[20:140, 20:110], pixels)
    assert (wide[:60, :20] == 230).all() and (wide[100:, :20] == 90).all(), "no seam"
    assert (wide[:20] == 230).all(), "the stroke does not go on"
    flat = np.full((8, 8, 3), 77, np.float32)
    assert (_with_margin(flat) == 77).all()


def test_a_digit_that_fills_its_picture_is_not_taken_for_its_paper(mnist_run):
    ring = np.full((160, 110, 3), 235, np.float32)
    y, x = np.mgrid[:160, :110]
    away = ((x - 55) / 50) ** 2 + ((y - 80) / 90) ** 2  # cut off by the rims above and below
    ring[(away < 1) & (away > 0.45)] = 25
    wide = _with_margin(ring)
    assert (wide[:20] > 200).all() and (wide[-20:] > 200).all()
    (answer,) = mnist_run.predict(Image.fromarray(ring.astype(np.uint8)))
    assert answer.name == "0"
    shadow = np.full((160, 110, 3), 235, np.float32)
    shadow[130:, 30:80] = 90  # on one rim alone
    assert (_with_margin(shadow)[-1, 60:100] == 90).all()


def test_a_faint_picture_of_the_network_s_size_is_not_taken_as_prepared(mnist_run):
    image = mnist_run.dataset().test_images[0][0]
    for strength, prepared in ((1.0, True), (0.8, False), (0.55, False)):
        pixels = np.repeat((image * strength).astype(np.uint8)[..., None], 3, axis=2)
        assert _is_prepared(pixels, (1, 28, 28)) == prepared
    (answer,) = mnist_run.predict(Image.fromarray((image * 0.55).astype(np.uint8)))
    assert answer.prepared == "digits" and answer.name == "7"


def test_unsure_says_why(mnist_run):
    blank = Image.new("RGB", (300, 300), (240, 238, 230))
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (200, 200, 3), dtype=np.uint8))
    for picture in (blank, noise):
        (answer,) = mnist_run.predict(picture)
        assert answer.unsure and answer.why and f"unsure: {answer.why}" in answer.sentence()
    (sure,) = mnist_run.predict(drawn([SEVEN]))
    assert not sure.unsure and sure.why == "" and "why" not in sure.document()


def test_some_letters_are_refused(mnist_run):
    answers = mnist_run.predict([picture for picture, _ in letters(42, seed=5)])
    assert np.mean([answer.unsure for answer in answers]) > 0.2  # docs/predict.md says which cannot be
