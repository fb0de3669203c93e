"""PDF from a typst template and data. The data travel as a file of their own and are never pasted into the template."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classlab.errors import UserError
from classlab.files import reason
from classlab.plain_text import printable_within

# Writing that typst's own fonts do not have: Hebrew to Indic and other scripts, and everything from CJK on.
OTHER_SCRIPTS = re.compile("[\u0590-\u1dff\u2e80-\ud7ff\uf900-\ufaff\U00010000-\U0010ffff]")


def compile(template: Path, data: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> bytes:
    """Return what a typst template makes of the data as a PDF file: the same data, the same bytes, and no network.

    data: what JSON can hold; the template reads it with `json("data.json")`. files: name -> bytes, pictures for the
    most part, which the template reads by name. The template may import its neighbours, other .typ files of its folder.
    The fonts are typst's own and stand in the file; the system's are asked only where the data need other scripts.
    Raises UserError where there is no room for the files while it is made.
    """
    return _compiled(template, data, files or {}, format="pdf")


def pages(
    template: Path, data: Mapping[str, Any], files: Mapping[str, bytes] | None = None, pixels_per_inch: float = 72
) -> list[bytes]:
    """Return the pages of the same document as PNG files, to count them or to look at them."""
    made = _compiled(template, data, files or {}, format="png", ppi=pixels_per_inch)
    return made if isinstance(made, list) else [made]


def _compiled(template: Path, data: Mapping[str, Any], files: Mapping[str, bytes], **options: Any) -> Any:
    """Lay everything in a folder of its own: handed over in memory, typst takes text only."""
    import typst

    text = json.dumps(printable_within(data), ensure_ascii=False, allow_nan=False)
    neighbours = {file.name: file.read_bytes() for file in template.parent.glob("*.typ")}
    try:
        with tempfile.TemporaryDirectory(prefix="classlab-pdf-") as folder:
            for name, content in {**neighbours, **files, "data.json": text.encode()}.items():
                (Path(folder) / name).write_bytes(content)
            return typst.compile(
                Path(folder) / template.name,
                root=Path(folder),
                ignore_system_fonts=not OTHER_SCRIPTS.search(text),
                timestamp=0,
                **options,
            )
    except OSError as error:
        raise UserError(f"a PDF cannot be made in {tempfile.gettempdir()}: {reason(error)}") from None
