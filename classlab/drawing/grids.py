"""Pictures of small images: uint8 arrays in, PNG files out, every pixel of the image a crisp square."""

import base64
import io
import math
from collections.abc import Sequence
from html import escape

import numpy as np

from classlab.drawing.blocks import Picture
from classlab.plain_text import printable

GAP = 1  # pixels of the image between neighbours


class Html(str):
    """HTML text that shows itself in a notebook and passes through a template as it is."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return self

    def __html__(self) -> str:
        return self


def tile(images: np.ndarray, columns: int | None = None, gap: int = GAP, paper: int = 255) -> np.ndarray:
    """Return the images side by side as one, uint8 (channels, height, width).

    images: uint8, (count, channels, height, width), count at least 1. columns: default as near to a square as may be.
    paper: the grey level of the gaps and of places left over.
    """
    count, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((channels, rows * (height + gap) - gap, columns * (width + gap) - gap), paper, dtype=np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def png(image: np.ndarray, scale: int = 1) -> bytes:
    """Return the image as a PNG file, each pixel `scale` × `scale` of the file's.

    image: uint8, (channels, height, width) with 1 or 3 channels; of any other number the first is shown in grey.
    """
    from PIL import Image

    rows = image.transpose(1, 2, 0) if len(image) == 3 else image[0]
    rows = rows.repeat(scale, axis=0).repeat(scale, axis=1)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rows, dtype=np.uint8)).save(file, "PNG", optimize=True)
    return file.getvalue()


def data_uri(image: np.ndarray, scale: int = 1) -> str:
    """Return the image (as for `png`) as the address that a page holds it under, inside itself."""
    return "data:image/png;base64," + base64.b64encode(png(image, scale)).decode()


def gallery(pictures: Sequence[Picture], side: int = 84) -> Html:
    """Return the pictures with their lines below them as HTML that stands by itself, as for a notebook.

    side: the width of a picture on the screen, in CSS pixels.
    """
    figures = "".join(_figure(picture, side) for picture in pictures)
    style = "display:flex;flex-wrap:wrap;gap:12px;font-variant-numeric:tabular-nums"
    return Html(printable(f'<div style="{style}">{figures}</div>'))


def _figure(picture: Picture, side: int) -> str:
    edge = {"good": "#1b7346", "bad": "#b0372b", "plain": "#8a919c"}[picture.tone]
    image = (
        f'<img src="{data_uri(picture.image)}" alt="{escape(picture.description)}" '
        f'style="width:{side}px;image-rendering:pixelated;border-bottom:3px solid {edge}">'
    )
    lines = "<br>".join(escape(line) for line in picture.lines)
    caption = f'<figcaption style="font-size:12px;line-height:1.35">{lines}</figcaption>'
    return f'<figure style="margin:0;width:{side + 16}px">{image}{caption}</figure>'
