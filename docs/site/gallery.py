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
GALLERY = """# Gallery

Everything here was written by classlab while this site was built: one run of `digits-quick`, which took {seconds:.1f} seconds
of training, and a study of 12 shorter runs. Each page is one file that needs no network; open it, resize it, switch your
system to dark.

| open | what it is | made by |
|---|---|---|
| <a href="live/report.html">The report of a run</a> | contract rule by rule, curves, confusion matrix, mistakes, what the figures mean | `classlab run digits-quick --report` |
| <a href="live/report.pdf">The same on paper</a> | PDF with page numbers and selectable text | `classlab run digits-quick --pdf` |
| <a href="live/study.html">The report of a study</a> | 4 variants, 3 seeds each, every test and every run | `classlab study width-and-rate.yaml`, then `classlab report studies/width-and-rate` |
| <a href="live/demo.html">A demo of the trained network</a> | draw a digit: the network itself runs in the page | `classlab export RUN --to demo` |
| <a href="live/lesson.html">The lesson</a> | back-propagation by hand: step forward and back, change any number | `classlab lesson page --out lesson.html` |

The network in the demo reached {accuracy} on 360 test images; it was trained on 8×8 digits, so it sees what you draw as
8×8 pixels. The demo was written only after a JavaScript engine had given the same answers as PyTorch on every test image.

The [lab in a browser](ui.md) shows runs while they train; it needs a running classlab, so here are only its pictures.
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
    words = GALLERY.format(seconds=run.summary["seconds"], accuracy=percent(run.summary["test_accuracy"]))
    (sources / "gallery.md").write_text(words, encoding="utf-8")


def _draw(report: Document, name: str, stem: Path) -> None:
    """Write a chart of a document as SVG, for light and for dark pages."""
    figure = next(figure for figure in _figures(report) if figure.name == name)
    for palette, ending in ((LIGHT, "light"), (DARK, "dark")):
        text = render.svg(figure.draw(palette), figure.description)
        stem.with_name(f"{stem.name}-{ending}.svg").write_text(text, encoding="utf-8")


def _figures(report: Document) -> Iterator[Figure]:
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Figures):
                yield from block.figures
