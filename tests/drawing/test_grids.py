import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from classlab.drawing import grids
from classlab.drawing.blocks import Picture


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


def test_a_gallery_shows_itself_in_a_notebook_and_escapes_what_it_is_told():
    picture = Picture(images()[0], description='a "4"', lines=("predicted <b>9</b>",), tone="bad")
    html = grids.gallery([picture])._repr_html_()
    assert "predicted &lt;b&gt;9&lt;/b&gt;" in html
    assert 'alt="a &quot;4&quot;"' in html
    data = html.split("base64,")[1].split('"')[0]
    assert np.array_equal(decoded(base64.b64decode(data)), picture.image[0])
