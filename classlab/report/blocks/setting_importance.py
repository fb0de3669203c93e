"""Setting importance: how much each setting of a search explains by itself, and every variant over each setting."""

from functools import partial
from typing import TYPE_CHECKING, Any

from classlab.drawing import importance_bars, slices
from classlab.drawing.blocks import Block, Figure, Figures
from classlab.report import words
from classlab.report.material import Material
from classlab.statistics.importance import importance
from classlab.study.found import Found
from classlab.study.search import Search, ordered
from classlab.study.sweep import Variant, short_keys, short_values
from classlab.yaml_text import value_at

if TYPE_CHECKING:
    import numpy as np


def blocks(material: Material) -> list[Block]:
    """Return the bars and a chart for each setting; nothing of a study whose variants were stated."""
    result = material.study
    found, search = (result.found, result.study.sweep.search) if result else (None, None)
    if result is None or found is None or search is None:
        return material.lacking("These runs are not a study that searched its settings.")
    variants = [variant for variant in result.variants if variant.name in found.standing.means]
    if len(variants) < 2:
        return material.lacking("Too few variants have finished to tell which setting matters.")
    names = short_keys(list(search.settings))
    figures = [_slice(found, search, variants, key, names[key]) for key in search.settings]
    shares = importance(_columns(search, variants), [found.standing.means[variant.name] for variant in variants])
    if shares:
        figures.insert(0, _bars({names[key].replace("_", " "): share for key, share in shares.items()}, len(variants)))
    return [Figures(tuple(figures))]


def _bars(shares: dict[str, float], variants: int) -> Figure:
    rest = max(0.0, 1 - sum(shares.values()))
    caption = (
        f"What each setting explains by itself of the results of the {variants} variants gave, by a forest fitted to "
        f"them; the other {100 * rest:.0f} % are interactions and noise."
    )
    described = words.listed([f"{name} {100 * share:.0f} %" for name, share in shares.items()])
    draw = partial(importance_bars.importance_bars, shares)
    return Figure("importance", caption, f"{caption} {described}.", draw)


def _slice(found: Found, search: Search, variants: list[Variant], key: str, name: str) -> Figure:
    values = [value_at(variant.experiment.model_dump(mode="json"), key) for variant in variants]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        values = _texts(values)
    rows = [
        {"variant": v.name, "setting": value, "value": found.standing.means[v.name], "kind": _kind(found, v.name)}
        for v, value in zip(variants, values, strict=True)
    ]
    kinds = {row["kind"] for row in rows}
    looks = {"winner": "diamond: the winner", "baseline": "square: the baseline", "given up": "hollow: given up"}
    legend = "; ".join(text for kind, text in looks.items() if kind in kinds)
    caption = f"Every variant over {name.replace('_', ' ')}{f'; {legend}' if legend else ''}."
    log = bool(search.settings[key].get("log"))
    draw = partial(slices.slices, rows, name.replace("_", " "), found.metric, log)
    return Figure(f"slice-{name.replace('.', '-').replace('_', '-')}", caption, caption, draw)


def _kind(found: Found, name: str) -> str:
    if name == found.baseline:
        return "baseline"
    if name == found.winner:
        return "winner"
    return "given up" if name in found.standing.given_up else "tried"


def _columns(search: Search, variants: list[Variant]) -> "dict[str, np.ndarray]":
    """Return each setting of the variants as numbers: one column, or one for each value that has no order."""
    import numpy as np

    documents = [variant.experiment.model_dump(mode="json") for variant in variants]
    columns: dict[str, Any] = {}
    for key, setting in search.settings.items():
        values = [value_at(document, key) for document in documents]
        if "choices" in setting and not ordered(setting):
            texts = _texts(values)
            known = sorted(set(texts))
            columns[key] = np.array([[float(text == other) for other in known] for text in texts])
        else:
            columns[key] = np.array([[float(value)] for value in values])
    return columns


def _texts(values: list[Any]) -> list[str]:
    """Return values as short texts, equal ones alike."""
    distinct = list({str(value): value for value in values}.values())
    short = dict(zip(map(str, distinct), short_values(distinct), strict=True))
    return [short[str(value)] for value in values]
