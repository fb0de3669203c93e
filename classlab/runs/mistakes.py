"""The mistakes of a run as a table, which shows their images in a notebook."""

from collections.abc import Callable
from html import escape
from typing import Any, ClassVar

import numpy as np
import pandas

from classlab.drawing import grids
from classlab.drawing.thumbnails import as_pictures
from classlab.errors import UserError

SIDE = 56  # pixels of an image on the screen


class Mistakes(pandas.DataFrame):
    """A table of mistakes. images: returns those of some rows, uint8 or float (count, channels, height, width)."""

    _metadata: ClassVar = ["images"]
    images: "Callable[[np.ndarray], np.ndarray] | None" = None

    @property
    def _constructor(self) -> Any:
        return pandas.DataFrame  # what is made of it is an ordinary table

    def _repr_html_(self) -> str:
        pictures = self._pictures()
        if not pictures:
            return pandas.DataFrame(self).to_html()
        head = "".join(f"<th>{escape(name)}</th>" for name in ["image", *map(str, self.columns)])
        rows = []
        for picture, row in zip(pictures, self.itertuples(index=False), strict=True):
            style = f"width:{SIDE}px;height:{SIDE}px;object-fit:contain;image-rendering:pixelated"
            cells = [f'<img src="{picture}" alt="" style="{style}">']
            cells += [f"{100 * value:.2f} %" if isinstance(value, float) else escape(str(value)) for value in row]
            rows.append("".join(f"<td>{cell}</td>" for cell in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _pictures(self) -> list[str]:
        """Return each row's image as an address; none where the images are gone."""
        if self.images is None or self.empty or "index" not in self:
            return []
        try:
            found = as_pictures(self.images(self["index"].to_numpy()))
        except UserError:
            return []
        return [grids.data_uri(image) for image in found]
