"""Drawing in a notebook: a paper whose strokes are answered while they grow, by the reader that `predict` uses.

The paper's script lies in the notebook and the answer comes from its kernel: no network and no server.
"""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab.data.bounded_files import BadFile
from classlab.errors import UserError

if TYPE_CHECKING:
    from classlab.runs.finished import FinishedRun

SCRIPT = Path(__file__).with_suffix(".js")


def paper(run: "FinishedRun") -> Any:
    """Return a paper that shows itself in a notebook. Raises UserError without anywidget, and for a run of no class."""
    from classlab.use.predict import Reader

    try:
        import anywidget  # pyrefly: ignore[missing-import]
        import traitlets
    except ImportError:
        raise UserError(
            "drawing in a notebook needs the package anywidget: pip install 'classlab[notebook]'; "
            "`classlab ui` draws without it"
        ) from None
    reader = Reader(run)

    class Paper(anywidget.AnyWidget):
        """picture: the drawing as a PNG file in base64. answer: what the page shows of the prediction."""

        _esm = SCRIPT.read_text(encoding="utf-8")
        picture = traitlets.Unicode("").tag(sync=True)
        answer = traitlets.Dict({}).tag(sync=True)

        @traitlets.observe("picture")
        def _answer(self, change: Any) -> None:
            self.answer = answer(reader, change["new"]) if change["new"] else {}

    return Paper()


def answer(reader: Any, picture: str) -> dict[str, Any]:
    """Return the prediction for a drawing, a PNG file in base64, with what the network saw as an address."""
    from PIL import Image

    from classlab.drawing.grids import data_uri
    from classlab.use.picture_file import from_python

    try:
        opened = Image.open(io.BytesIO(base64.b64decode(picture)))
        (found,) = reader.picture("drawing", from_python("drawing", opened))
    except (BadFile, OSError, ValueError) as error:
        return {"error": str(error)}
    return {**found.document(), "sentence": found.sentence(), "seen": data_uri(found.seen)}
