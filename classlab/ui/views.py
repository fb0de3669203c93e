"""The pages' HTML, their styles and scripts, and the lists that they are filled from. Read once, from this package."""

import functools
from pathlib import Path
from typing import Any

from classlab import files, lookup
from classlab.drawing import html_templates
from classlab.drawing.palette import COLOURS, DARK, DASHES, LIGHT, css_variables
from classlab.errors import UserError
from classlab.runs import store
from classlab.ui.listing import Listing, Place, key_of, refuse_links

HERE = Path(__file__).parent
PAGES, SCRIPTS = HERE / "pages", HERE / "scripts"
DRAWING, LESSON = HERE.parent / "drawing", HERE.parent / "lesson"
# The views that need no run or study, in the order of the bar: the first is the page that opens.
PLAIN = ("runs", "studies", "compare", "draw", "inside", "data", "start")
# Each file that the page is made of: what it is called in addresses, and where it lies.
STATIC = {
    "page.css": DRAWING / "page.css",
    "ui.css": PAGES / "ui.css",
    "lesson.css": LESSON / "page.css",
    "lesson.js": LESSON / "page.js",
    "strokes.js": DRAWING / "strokes.js",
    **{file.name: file for file in sorted(SCRIPTS.glob("*.js"))},
}
KINDS = {".css": "text/css", ".js": "text/javascript"}


@functools.lru_cache(maxsize=200)
def page(view: str, **given: str) -> str:
    """Return a view's page."""
    choices: dict[str, Any] = {}
    if view == "data":
        choices["datasets"] = [name for name in lookup.names("dataset") if name not in ("folder", "npz")]
    if view == "start":
        choices["experiments"] = lookup.names("experiment")
    return html_templates.template(PAGES / f"{view}.html", PAGES).render(view=view, **choices, **given).strip() + "\n"


@functools.cache
def static(name: str) -> tuple[str, str] | None:
    """Return the text and the media type of a style or a script, None for any other name."""
    if name == "colours.css":
        return _colours(), "text/css"
    if name not in STATIC:
        return None
    return STATIC[name].read_text(encoding="utf-8"), KINDS[STATIC[name].suffix]


def _colours() -> str:
    """Return the palette of the reports as variables, and the looks of lines that stand for names."""
    looks = " ".join(f"--look-{place}: {colour};" for place, colour in enumerate(COLOURS))
    dashes = " ".join(f"--dash-{place}: {' '.join(map(str, dash))};" for place, dash in enumerate(DASHES))
    return (
        f":root {{ {css_variables(LIGHT)} {looks} {dashes} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {css_variables(DARK)} }} }}\n"
    )


def studies(listing: Listing) -> list[dict[str, Any]]:
    """Return every study: how many of its runs have ended, and what is wrong where it cannot be read."""
    return [_study(listing, place) for place in listing.studies.values()]


def _study(listing: Listing, place: Place) -> dict[str, Any]:
    document: dict[str, Any] = {"key": place.key, "name": place.name, "problem": ""}
    try:
        runs = board(place)["runs"]
        begun = [listing.runs[run["key"]].path for run in runs if run["key"] in listing.runs]
        ended = sum((path / store.SUMMARY).exists() for path in begun)
        document |= {"runs": len(runs), "ended": ended, "failed": sum(bool(run["failure"]) for run in runs)}
        document |= {"variants": len({run["variant"] for run in runs})}
    except UserError as error:
        document["problem"] = str(error)
    return document


def board(place: Place) -> dict[str, Any]:
    """Return a study's plan: each run's variant, seed and key, and why it could not be trained where it could not.

    Only plan.json and failures.json are read, which are data. Raises UserError for damaged ones.
    """
    from classlab.study import plan
    from classlab.study.result import FAILURES

    refuse_links(place.path)
    planned = plan.read(place.path)
    failures = _failures(place.path / FAILURES)
    runs = [
        {
            "variant": run.variant,
            "seed": run.seed,
            "path": run.run,
            "key": key_of(place.path / run.run),
            "failure": failures.get(run.run, ""),
        }
        for run in planned.runs
    ]
    return {"key": place.key, "name": place.name, "runs": runs}


def _failures(file: Path) -> dict[str, str]:
    from classlab.runs import records

    try:
        document = records.read_object(file)
    except files.MissingFile:
        return {}
    return {run: sentence for run, sentence in document.items() if isinstance(sentence, str)}
