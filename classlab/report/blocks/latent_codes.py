"""Latent codes: those of some test images in the plane, by PCA and by t-SNE, in the colours of their classes."""

from functools import partial

import numpy as np

from classlab.drawing.blocks import Block, Figure, Figures, Words
from classlab.errors import UserError
from classlab.report import words
from classlab.report.material import Material, excused
from classlab.runs.finished import FinishedRun

CODES = 1000  # test images whose codes are drawn


def blocks(material: Material) -> list[Block]:
    """Return both charts of the first run of each name."""

    def of_run(run: FinishedRun) -> list[Block]:
        if not run.reconstructs or run.status in ("diverged", "incomplete"):
            return material.lacking(f"There are no codes to show: {run.sentence()}.")
        return _codes(run)

    return material.first_of_each(excused(of_run))


def _codes(run: FinishedRun) -> list[Block]:
    """Return the codes of some test images in the plane, by PCA and by t-SNE, in the colours of their classes."""
    import torch

    from classlab.drawing.codes import codes as chart
    from classlab.network.reconstruction import codes, in_two_dimensions

    images = run.images("test")
    index = torch.from_numpy(np.unique(np.linspace(0, len(images) - 1, CODES).round().astype(np.int64)))
    try:
        found = codes(run.built(), images.batch(index, [], None)[0])
        places = {kind: in_two_dimensions(found, kind, run.seed) for kind in ("pca", "tsne")}
    except UserError as error:
        return [Words(f"There is no picture of the codes: {error}.")]
    total = float(found.double().var(dim=0, correction=0).sum())
    share = words.percent(float(places["pca"].var(axis=0).sum()) / total, 0) if total else "none"
    size = found.shape[1]
    unused = int((found == found[:1]).all(dim=0).sum())
    sizes = f"A code has {words.count(size, 'number')}"
    sizes += f"; {unused:,} of them {'is' if unused == 1 else 'are'} the same for all these images." if unused else "."
    captions = {
        "pca": f"The codes of {words.count(len(index), 'test image')} along the two directions in which they vary most "
        f"(PCA), {share} of the variance. {sizes}",
        "tsne": "The same codes by t-SNE: neighbours stay neighbours, distances between groups mean little.",
    }
    labels, names = images.labels[index].numpy(), run.environment["class_names"]
    figures = tuple(
        Figure(
            f"codes-{kind}",
            caption,
            f"{caption} Each point is an image, coloured by class.",
            partial(chart, places[kind], labels, names),
        )
        for kind, caption in captions.items()
    )
    return [Figures(figures)]
