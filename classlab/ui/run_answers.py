"""What the child process answers about runs and studies: charts, sections of reports, what may be believed."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classlab import files, metrics
from classlab.errors import UserError
from classlab.runs import store
from classlab.ui import opening
from classlab.ui.listing import refuse_links

if TYPE_CHECKING:
    from classlab.drawing.blocks import Block, Document, Table
    from classlab.drawing.line_chart import Curve
    from classlab.study.answer import Answer

SCRIPT_BYTES = 10_000_000
SHELL = Path(__file__).parent / "pages"
MOST_LABELS = 5  # curves whose names are written on them
ROWS = "rows"  # what the rows of a live chart are called in its definition
LIVE = "Training curves"  # the section of a report that the page draws itself, while the run trains


def ready() -> str:
    """Load what charts and reports need, before anybody asks for one."""
    import altair  # noqa: F401
    import torch  # noqa: F401

    from classlab.report import document  # noqa: F401

    return "ready"


def vega() -> str:
    """Return the script that draws charts, made from the library's files on this machine, and kept: it takes long."""
    from importlib.metadata import version

    from classlab.data.cache import user_folder
    from classlab.drawing import render

    home = user_folder()
    file = home / f"vega-{version('vl-convert-python')}.js" if home else None
    with suppress(UserError):
        if file:
            return files.read_text(file, SCRIPT_BYTES)
    script = render.script_bundle()
    with suppress(UserError):
        if file:
            files.make_folder(file.parent)
            files.write(file, script)
    return script


def run_curves(path: str, metric: str, epochs: int) -> dict[str, Any]:
    """Return the chart of a run's loss or accuracy, its axis as long as the training; the page adds rows as they come.

    metric: loss or accuracy. epochs: how many are trained in all. Raises UserError where no epoch measured it.
    """
    from classlab.drawing import charts
    from classlab.drawing.line_chart import Curve
    from classlab.drawing.palette import PAGE

    refuse_links(Path(path))
    rows = store.read_metrics(Path(path) / store.METRICS)
    splits = [split for split in charts.SPLITS if any(f"{split}_{metric}" in row for row in rows)]
    if not splits:
        raise UserError(f"no epoch has measured the {metric} yet")
    drawn = {
        f"{split}_{metric}": Curve(
            charts.LABELS[split],
            {0: _padded([row.get(f"{split}_{metric}", math.nan) for row in rows], epochs)},
            getattr(PAGE, split),
            charts.DASHES[split],
        )
        for split in splits
    }
    broken = [int(row["epoch"]) for row in rows if not math.isfinite(row["train_loss"])]
    columns = [{"column": column, "runs": [0]} for column in drawn]
    return _live([*drawn.values()], columns, metric, epochs, broken if metric == "loss" else [])


def variant_curves(runs: Mapping[str, Mapping[str, str]], metric: str, epochs: int) -> dict[str, Any]:
    """Return the chart of several variants, each the mean of its seeds and their band.

    runs: variant -> the key by which the page knows a run -> the run's folder. metric: a column of metrics.csv.
    """
    from classlab.drawing.line_chart import Curve
    from classlab.drawing.palette import look

    curves, columns = [], []
    for place, (name, folders) in enumerate(runs.items()):
        seeds, diverged = {}, []
        for number, folder in enumerate(folders.values()):
            refuse_links(Path(folder))
            rows = store.read_metrics(Path(folder) / store.METRICS)
            seeds[number] = _padded([row.get(metric, math.nan) for row in rows], epochs)
            if any(not math.isfinite(row["train_loss"]) for row in rows):
                diverged.append(number)
        curves.append(Curve(name, seeds, *look(place), diverged=diverged))
        kept = [key for number, key in enumerate(folders) if number not in diverged]
        columns.append({"column": metric, "runs": kept})
    if not any(math.isfinite(value) for curve in curves for values in curve.seeds.values() for value in values):
        raise UserError(f"no run has measured the {metrics.words(metric)} yet")
    return _live(curves, columns, metric, epochs)


def _padded(values: Sequence[float], epochs: int) -> list[float]:
    """Return a curve as long as the training, so that the axis does not move while it grows."""
    return [*values, *[math.nan] * (epochs - len(values))]


def _live(
    curves: "Sequence[Curve]", columns: Sequence[dict[str, Any]], metric: str, epochs: int, broken: Sequence[int] = ()
) -> dict[str, Any]:
    """Return a chart's definition, the name of its rows, and what each curve is made of."""
    from classlab.drawing import render
    from classlab.drawing.line_chart import line_chart
    from classlab.drawing.palette import PAGE
    from classlab.json_text import finite

    title = f"{metrics.words(metric)} over {epochs} epochs"
    chart = line_chart(curves, metric, PAGE, "container", height=280, not_finite=broken)
    definition: dict[str, Any] = finite(render.specification(chart, title))
    definition["data"] = {"name": ROWS, "values": []}  # the page has the rows, and gives them
    if 1 < len(curves) <= MOST_LABELS:
        definition["layer"] += _labels(definition, [curve.name for curve in curves])
    keyed = [
        {"key": f"c{place}", "name": curve.name, **column}
        for place, (curve, column) in enumerate(zip(curves, columns, strict=True))
    ]
    scale = metrics.scale(metric)
    return {
        "definition": definition, "rows": ROWS, "curves": keyed, "factor": scale.factor,
        "unit": scale.unit, "metric": metric, "title": title,
    }  # fmt: skip


def _labels(definition: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return layers that write each curve's name on it, each at another epoch, so that names do not meet."""
    line = next(layer["encoding"] for layer in definition["layer"] if layer["mark"]["type"] == "line")
    text = json.dumps({f"c{place}": name for place, name in enumerate(names)})
    share = json.dumps({f"c{place}": (place + 1) / (len(names) + 1) for place in range(len(names))})
    where = [
        {"filter": "isValid(datum.mean)"},
        {"joinaggregate": [{"op": "max", "field": "epoch", "as": "last"}], "groupby": ["curve"]},
        {"filter": f"datum.epoch == max(min(2, datum.last), round(datum.last * ({share})[datum.curve]))"},
        {"calculate": f"({text})[datum.curve]", "as": "name"},
    ]
    mark = {"type": "text", "dy": -9, "fontSize": 11, "aria": False}  # a screen reader is told each point's curve
    encoding = {"x": line["x"], "y": line["y"], "text": {"field": "name", "type": "nominal"}}
    ground = {"mark": {**mark, "stroke": "var(--paper)", "strokeWidth": 3}, "encoding": encoding, "transform": where}
    return [ground, {"mark": mark, "encoding": {**encoding, "color": line["color"]}, "transform": where}]


def run_sections(path: str) -> list[dict[str, str]]:
    """Return the sections of a run's report as HTML, but its curves, which the page draws live."""
    from classlab.report import document

    run = opening.run(path)
    said = run.counted_again()
    differences = said.counted.differences if said.counted else ()
    sections = _sections(document.build(run))
    if differences:
        sections.insert(0, {"title": "What the summary says otherwise", "html": _html(_words(differences), "summary")})
    return [section for section in sections if section["title"] != LIVE]


def study_sections(path: str) -> list[dict[str, str]]:
    """Return the sections of a study's report as HTML."""
    from classlab.report import document

    return _sections(document.build(opening.study(path)))


def _sections(document: "Document") -> list[dict[str, str]]:
    return [
        {"title": section.title, "html": _html(section.blocks, f"part-{place}")}
        for place, section in enumerate(document.sections)
    ]


def _html(blocks: "Sequence[Block]", prefix: str) -> str:
    from classlab.drawing import page

    return page.fragment(blocks, prefix)


def _words(sentences: Sequence[str]) -> "list[Block]":
    from classlab.drawing.blocks import Words

    # Most begin with a name, which is spelt as it is.
    return [Words(f"{sentence.rstrip('.')}.") for sentence in sentences]


def report(path: str, kind: str) -> str:
    """Return the report of a run or a study as a page of the lab. kind: run or study."""
    from classlab.drawing import page
    from classlab.report import document

    return page.html(document.build(opening.run(path) if kind == "run" else opening.study(path)), SHELL)


def report_file(path: str, kind: str) -> str:
    """Return the report as the file that stands alone, to be saved."""
    from classlab.drawing import page
    from classlab.report import document

    return page.html(document.build(opening.run(path) if kind == "run" else opening.study(path)))


def study_answer(path: str) -> dict[str, Any]:
    """Return a study's answer so far: how far it is, and the sentences of the study itself."""
    opened = opening.study(path)
    done = {variant.name: variant.n for variant in opened.answer.variants}
    asked = max((variant.runs for variant in opened.answer.variants), default=0)
    whole = all(row["status"] in ("finished", "diverged", "did_not_learn", "failed") for row in opened.rows)
    fewest = min(done.values(), default=0)
    if opened.found is not None and not opened.found.winner:
        whole = False
    word = "The answer" if whole else f"Too early to tell: {fewest} of {asked} seeds"
    tested = opened.answer.tested() if fewest else []
    first = tested[0] if tested else "no variant beside the baseline has a value yet"
    if opened.found is not None:
        searched = opened.found.sentences(opened.search_verdict)
        word, first = word if whole else "The search goes on", "; ".join(searched[:3])
    blocks = _answer_blocks(opened.answer, word, first)
    return {
        "question": opened.study.question,
        "metric": opened.curve_metric,
        "whole": whole,
        "html": _html(blocks, "answer"),
        "sentence": f"{word}: {first}",
    }


def comparison(paths: Sequence[str]) -> dict[str, Any]:
    """Return what may be believed of runs side by side: `compare`'s sentences, its table, and what differs."""
    from classlab.study.compare import compare

    for path in paths:
        refuse_links(Path(path))
    compared = compare([Path(path) for path in paths])
    sentences = compared.answer.tested() or [variant.sentence for variant in compared.answer.variants]
    blocks = _answer_blocks(compared.answer, "What may be believed", sentences[0])
    if compared.both_answer and compared.metric.endswith("accuracy"):
        blocks += _words([f"The two give different answers on {len(compared.disagreements()):,} test images"])
    keys = {Path(path): str(path) for path in paths}
    variants = {name: [keys[folder] for folder in by_seed.values()] for name, by_seed in compared.folders.items()}
    return {
        "html": _html(blocks, "compared"),
        "differences": _html([_differences(compared.differences, compared.folders)], "differences"),
        "sentence": sentences[0],
        "variants": variants,
    }


def _answer_blocks(answer: "Answer", word: str, first: str) -> "list[Block]":
    """Return the verdict, each variant's mean with its interval, and every other sentence."""
    from classlab.drawing.blocks import Verdict

    others = [sentence for sentence in answer.tested() if sentence != first]
    notes = [f"{variant.name}: {variant.note}" for variant in answer.variants if variant.note]
    verdict = Verdict("plain", word, f"{first.rstrip('.')}.")
    return [verdict, _means(answer), *_words([*others, *notes, *answer.notes])]


def _means(answer: "Answer") -> "Table":
    from classlab.drawing.blocks import Column, Table

    scale = answer.scale
    rows = []
    for variant in answer.variants:
        estimate = variant.estimate
        mean = interval = None
        if estimate is not None:
            mean = scale.value(estimate.mean) + ("" if estimate.sd is None else f" ± {scale.gaps(estimate.sd)[0]}")
            if estimate.low is not None and estimate.high is not None:
                interval = " to ".join(
                    scale.value(end).removesuffix(scale.unit) for end in (estimate.low, estimate.high)
                )
        seeds = f"{variant.n}" if variant.n == variant.runs else f"{variant.n} of {variant.runs}"
        rows.append((variant.name, seeds, mean, interval))
    columns = (
        Column("variant"), Column("seeds", "figure"), Column(metrics.short(answer.metric), "figure"),
        Column("95 % interval", "figure"),
    )  # fmt: skip
    return Table("means", "Each variant, the mean of its seeds ± the standard deviation", columns, tuple(rows))


def _differences(differing: Mapping[str, Mapping[str, str]], variants: Mapping[str, Any]) -> "Block":
    from classlab.drawing.blocks import Column, Table, Words

    if not differing:
        return Words("The experiments are the same; only the seeds differ.")
    named = {("experiment" if key == "name" else key): values for key, values in differing.items()}
    columns = (Column("setting", "code"), *(Column(name) for name in variants))
    rows = tuple((key, *(values[name] for name in variants)) for key, values in named.items())
    return Table("differences", "What differs, and nothing else", columns, rows)


def settings(groups: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what differs among groups of runs. groups: its key -> the folder of one of its runs.

    Answers, for each group of an experiment that has several, setting -> value, both short; of the others nothing.
    """
    from classlab.study.compare import differing_settings
    from classlab.study.sweep import short_keys
    from classlab.yaml_text import read_yaml

    documents: dict[str, dict[str, dict[str, Any]]] = {}
    for key, folder in groups.items():
        try:
            refuse_links(Path(folder))
            document = read_yaml(Path(folder) / store.EXPERIMENT)
        except UserError:
            continue
        if isinstance(document, dict):
            documents.setdefault(str(document.get("name")), {})[key] = document
    found: dict[str, dict[str, str]] = {key: {} for key in groups}
    for several in documents.values():
        differences = {key: values for key, values in differing_settings(several).items() if key != "name"}
        for key, short in short_keys([*differences]).items():
            for group, value in differences[key].items():
                found[group][short] = value
    return found
