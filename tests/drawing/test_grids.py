import base64
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from classlab.drawing import grids
from classlab.drawing.blocks import Picture, Pictures, Strip, Strips
from classlab.drawing.palette import LIGHT


def images(count=5, channels=1, height=4, width=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, channels, height, width), dtype=np.uint8)


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_decodes_to_the_same_pixels(channels):
    image = images(channels=channels)[0]
    pixels = decoded(grids.png(image))
    assert np.array_equal(pixels, image[0] if channels == 1 else image.transpose(1, 2, 0))


def test_scaling_makes_every_pixel_a_square():
    image = images()[0]
    assert np.array_equal(decoded(grids.png(image, scale=3)), np.kron(image[0], np.ones((3, 3), dtype=np.uint8)))


def test_of_two_channels_the_first_is_shown():
    image = images(channels=2)[0]
    assert np.array_equal(decoded(grids.png(image)), image[0])


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 9), columns=st.integers(1, 5), gap=st.integers(0, 2))
def test_a_sheet_holds_every_image_in_reading_order_and_paper_elsewhere(count, columns, gap):
    given_images = images(count)
    sheet = grids.tile(given_images, columns=columns, gap=gap, paper=7)
    seen = np.zeros(sheet.shape, dtype=bool)
    for index, image in enumerate(given_images):
        top, left = index // columns * (4 + gap), index % columns * (3 + gap)
        assert np.array_equal(sheet[:, top : top + 4, left : left + 3], image)
        seen[:, top : top + 4, left : left + 3] = True
    assert (sheet[~seen] == 7).all()


def embedded(drawing):
    """The images inside an SVG drawing, and where each stands and how large: (x, y, width, height)."""
    root = ElementTree.fromstring(drawing)
    found = []
    for image in root.iter("{http://www.w3.org/2000/svg}image"):
        place = tuple(float(image.get(name)) for name in ("x", "y", "width", "height"))
        found.append((place, decoded(base64.b64decode(image.get("href").split("base64,")[1]))))
    return root, found


def texts(root):
    return [(text.text, text.get("fill")) for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_gallery_holds_each_image_and_its_lines_in_their_tones():
    pictures = [
        Picture(image, "said", ("true <b>4</b>", "A 9"), tone="bad", line_tones=("plain", "good"))
        for image in images(9)
    ]
    root, found = embedded(grids.gallery(Pictures("told", tuple(pictures)), title="Nine", notes=["A: a network"]))
    assert len(found) == 9
    scale = 84 // 4
    for (_, pixels), picture in zip(found, pictures, strict=True):
        assert np.array_equal(pixels, np.kron(picture.image[0], np.ones((scale, scale), dtype=np.uint8)))
    assert len({place for place, _ in found}) == 9 and len({place[1] for place, _ in found}) == 2
    assert texts(root)[:4] == [
        ("Nine", LIGHT.ink), ("A: a network", LIGHT.muted), ("true <b>4</b>", LIGHT.ink), ("A 9", LIGHT.good),
    ]  # fmt: skip
    assert root.get("aria-label") == "Nine"


def test_no_pictures_are_a_title_alone():
    root, found = embedded(grids.gallery(Pictures("", ()), title="0 test images"))
    assert found == [] and texts(root) == [("0 test images", LIGHT.ink)]


def test_strips_stand_under_their_headings_beside_their_names():
    rows = tuple((name, (Strip(images(3), "first"), Strip(images(2, seed=1), "second"))) for name in ("cat", "dog"))
    root, found = embedded(grids.strips(Strips("told", ("class", "as they are", "turned"), rows)))
    assert len(found) == 4
    heads = {text: float(node.get("x")) for node in root.iter() for text in [node.text] if text and text.strip()}
    assert [place[0] for place, _ in found] == [heads["as they are"], heads["turned"]] * 2
    assert heads["cat"] == heads["dog"] < heads["as they are"]
    assert root.get("aria-label") == "told"


def test_floats_between_0_and_1_become_eight_bits():
    assert grids.eight_bit(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])).tolist() == [0, 0, 128, 255, 255]
    assert grids.eight_bit(images()) is not None and grids.eight_bit(images()).dtype == np.uint8
