"""The mistakes of a run as a table that shows itself in a notebook with its pictures."""

import base64
from typing import TYPE_CHECKING

import pandas

from classlab.drawing import grids, render
from classlab.drawing.blocks import Picture, Pictures
from classlab.errors import UserError
from classlab.formats import percent

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun

ACROSS = 8
SCALE = 1.5  # dots a point


class Mistakes(pandas.DataFrame):
    """A table of mistakes; a part of it is a plain table. `pictures` are of its first rows."""

    _metadata = ("run", "split")  # what pandas keeps as attributes and not as columns
    run: "FinishedRun"
    split: str

    def _repr_html_(self) -> str:
        table: str = pandas.DataFrame(self)._repr_html_()  # pyrefly: ignore[not-callable]
        try:
            picture = render.svg_to_png(grids.gallery(self.pictures(), across=ACROSS), SCALE)
        except UserError:  # the images are gone
            return table
        held = base64.b64encode(picture).decode()
        return (
            f'<img alt="The images" style="max-width:100%;background:white" src="data:image/png;base64,{held}">{table}'
        )

    def pictures(self) -> Pictures:
        """Return the images with what they are and what they were taken for. Raises UserError where they are gone."""
        if self.split == "test":
            images = self.run.dataset().test_images[self["index"].to_numpy()]
        else:
            images = self.run.images(self.split).pixels[self["index"].to_numpy()].numpy()
        lines = [
            (f"{row['predicted']}, true {row['true']}", f"{percent(row['confidence'], 1)} sure")
            for row in self.to_dict("records")
        ]
        pictures = [
            Picture(grids.eight_bit(image), ", ".join(words), words, "bad")
            for image, words in zip(images, lines, strict=True)
        ]
        return Pictures("The mistakes, the most confident first", tuple(pictures), "mistakes")
