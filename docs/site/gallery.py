"""The gallery and the start page's pictures: a run and a study on the small digits, made when the site is built."""

from collections.abc import Iterator
from pathlib import Path

from classlab import lab
from classlab.drawing import paper, render
from classlab.drawing.blocks import Document, Figure, Figures
from classlab.drawing.palette import DARK, LIGHT
from classlab.formats import percent
from classlab.lesson import small_network, walk_page
from classlab.report import document

STUDY = {
    "name": "width-and-rate",
    "question": "Does a wider network classify small digits better, and at which learning rate?",
    "experiment": "digits-quick",
    "set": {"training.epochs": 5, "contract": {}},
    "sweep": {"grid": {"model.width": [8, 16], "training.optimizer.learning_rate": [0.02, 0.1]}},
    "seeds": 3,
    "compare": {"baseline": "width=8, learning_rate=0.02"},
}
PAGES = (
    ("report.html", "The report of a run", "limits rule by rule, curves, confusion matrix, mistakes",
     "classlab run digits-quick --report"),
    ("report.pdf", "The same on paper", "PDF with page numbers and selectable text", "classlab run digits-quick --pdf"),
    ("study.html", "The report of a study", "4 variants, 3 seeds each: every test and every run",
     "classlab report studies/width-and-rate"),
    ("demo.html", "A demo of the trained network", "draw a digit: the network itself runs in the page",
     "classlab export RUN --to demo"),
    ("lesson.html", "The lesson", "back-propagation by hand: step forward and back, change any number",
     "classlab lesson page --out lesson.html"),
)  # fmt: skip
GALLERY = """# Gallery

Everything here was written by classlab while this site was built: from one run of `digits-quick` ({seconds:.1f} seconds
of training) and from a study of 12 shorter runs. Each page is one file that needs no network. Open it, resize it, and
switch your system to dark.

| open | what it is | made by |
|---|---|---|
{rows}

The network in the demo reached {accuracy} on 360 test images. It was trained on digits of 8×8 pixels, so your drawing
is made as small before the network classifies it. A JavaScript engine gave the same answers as PyTorch on
every test image before the demo was written.

The [lab in a browser](ui.md) shows runs while they train. It needs a running classlab, so here are only its pictures.

<a href="ui.html"><img src="_static/pictures/runs.png" alt="The list of runs in the browser"></a>
"""


def write_gallery(sources: Path, runs: Path) -> None:
    """Train, and write pictures for the start page, live documents, and the page that leads to them.

    runs: where the run folders lie; finished ones are taken as they are, so that a second build is faster.
    """
    run = lab.train("digits-quick", out=runs / "runs", verbose=False)
    answer = lab.study(STUDY, out=runs / "studies", verbose=False)
    live, pictures = sources / "live" / "live", sources / "_static" / "pictures"
    for folder in (live, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    run.report(live / "report.html", pdf=True)
    answer.report(live / "study.html")
    demo = run.export("demo", runs / "demo", replace=True)
    (live / "demo.html").write_bytes(demo.path.read_bytes())
    walk_page.write(small_network.build(), small_network.settings("era-s6")["learning_rates"], 40, live / "lesson.html")
    report = document.build(run)
    (pictures / "report.png").write_bytes(paper.document_pages(report, 110)[0])
    _draw(report, "loss", pictures / "curves")
    _draw(document.build(answer), "dots", pictures / "study")
    (pictures / "runs.png").write_bytes((sources / "ui" / "runs-light.png").read_bytes())
    rows = "\n".join(f'| <a href="live/{file}">{title}</a> | {what} | `{by}` |' for file, title, what, by in PAGES)
    accuracy = percent(run.summary["test_accuracy"])
    words = GALLERY.format(seconds=run.summary["seconds"], accuracy=accuracy, rows=rows)
    (sources / "gallery.md").write_text(words, encoding="utf-8")


def _draw(report: Document, name: str, stem: Path) -> None:
    """Write a chart of a document as PNG, whose letters are measured where it is drawn, for light and dark pages."""
    figure = next(figure for figure in _figures(report) if figure.name == name)
    for palette, ending in ((LIGHT, "light"), (DARK, "dark")):
        stem.with_name(f"{stem.name}-{ending}.png").write_bytes(render.png(figure.draw(palette)))


def _figures(report: Document) -> Iterator[Figure]:
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Figures):
                yield from block.figures


def write_measured(page: Path, benchmarks: Path) -> None:
    """Fill in the page's table of speed from the latest note of the benchmarks."""
    note = max(benchmarks.glob("20*.md")).read_text(encoding="utf-8")
    table = note.partition("| workload | images/s |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    rows = [f"| {name} | {rate} | {lightning} | {skorch} |" for name, rate, *_, lightning, skorch in cells if lightning]
    head = "| workload | images a second, classlab | × Lightning | × skorch |\n|---|---:|---:|---:|\n"
    text = page.read_text(encoding="utf-8").replace("<!-- the rows of Lightning and skorch -->", head + "\n".join(rows))
    page.write_text(text, encoding="utf-8")
