"""Search course: what a search tried, in the order of its proposals, and its result in words."""

from functools import partial

from classlab import metrics
from classlab.drawing import best_so_far
from classlab.drawing.blocks import Block, Figure, Figures, Number, Numbers, Words
from classlab.report import words
from classlab.report.material import Material
from classlab.study.found import Found


def blocks(material: Material) -> list[Block]:
    """Return the sentences and the chart; nothing of a study whose variants were stated."""
    found = material.study.found if material.study else None
    if material.study is None or found is None:
        return material.lacking("These runs are not a study that searched its variants.")
    sentences: list[Block] = [
        Words(f"{words.capital(text)}.") for text in found.sentences(material.study.search_verdict)
    ]
    sentences = [*_numbers(found), *sentences]
    if not found.standing.means:
        return sentences
    rows = course(found)
    caption = (
        f"{words.capital(metrics.words(found.metric))} of each variant, the mean over the search's own seeds, in "
        "the order of their proposal; the line is the best one so far"
    )
    caption += "; hollow: given up after two seeds." if found.standing.given_up else "."
    described = f"{caption} The last best is {found.standing.best}." if found.standing.best else caption
    draw = partial(best_so_far.best_so_far, rows, found.metric)
    return [*sentences, Figures((Figure("search", caption, described, draw),))]


def _numbers(found: Found) -> list[Block]:
    """Return what was found, what was confirmed and what was luck; nothing before the confirmation."""
    confirmed = found.confirmed(found.winner) if found.winner else None
    if confirmed is None or found.luck is None or found.winner is None:
        return []
    (luck,) = found.scale.gaps(found.luck)
    ground = metrics.words(found.metric)
    numbers = (
        Number("Found", found.scale.value(found.standing.means[found.winner]), f"{ground}, by which it was chosen"),
        Number("Confirmed", found.scale.value(confirmed.mean), f"the same on {len(found.fresh)} fresh seeds"),
        Number("Luck", f"{luck}{found.scale.gap_unit}", "what was found less what was confirmed"),
    )
    return [Numbers(numbers)]


def course(found: Found) -> list[dict[str, object]]:
    """Return a row for each variant that has a value: variant, place, value, best so far, given_up."""
    means, given_up, rows = found.standing.means, found.standing.given_up, list[dict[str, object]]()
    best: float | None = None
    for place, name in enumerate(found.names):
        if name not in means:
            continue
        whole = name not in given_up and name not in found.standing.failed
        better = best is None or (means[name] > best) == found.scale.higher_is_better
        best = means[name] if whole and better else best
        rows.append({"variant": name, "place": place, "value": means[name], "best": best, "given_up": not whole})
    return rows
