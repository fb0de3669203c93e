"""Loss: the loss of every run of the part over the epochs; losses that cannot be compared in charts of their own."""

from math import log, sqrt

from classlab.drawing.blocks import Block, Column, Figures, Table, Words
from classlab.report import curve_figures, words
from classlab.report.material import Material, ended_badly, excused
from classlab.report.outcome import PROBABILITY_LOSSES
from classlab.runs.finished import FinishedRun


def blocks(material: Material) -> list[Block]:
    """Return what the train curve is, a chart for each kind of loss, and why two kinds cannot be compared."""
    begun = [name for name, runs in material.present.items() if not runs[0].history.empty]
    kinds: dict[str, list[str]] = {}
    readings: dict[str, list[str]] = {}
    for name in begun:
        kinds.setdefault(_kind(material.runs[name][0]), []).append(name)
        readings.setdefault(curve_figures.reading(material.runs[name][0]), []).append(name)
    found: list[Block] = [
        Words(text if len(readings) == 1 else f"Of {words.listed(names)}: {text[0].lower()}{text[1:]}")
        for text, names in readings.items()
    ]
    sentence = ended_badly(material.present) if len(material.every) > 1 else ""
    found += [Words(sentence)] if sentence else []
    charts = [
        curve_figures.figure(material.only(names), "loss", list(material.runs), f"-{kind}" if len(kinds) > 1 else "")
        for kind, names in kinds.items()
    ]
    found += [Figures(tuple(chart for chart in charts if chart))] if any(charts) else []
    if "mse" in kinds and "cross-entropy" in kinds:
        crossed, squared = (material.runs[kinds[kind][0]][0] for kind in ("cross-entropy", "mse"))
        found += excused(lambda run: _likelihoods(crossed, run))(squared)
    return [*found, *material.missing()]


def _kind(run: FinishedRun) -> str:
    """Cross-entropy of logits and negative log-likelihood of log-shares are one loss."""
    name = run.experiment.training.loss.name
    return "cross-entropy" if name in PROBABILITY_LOSSES else name


def _likelihoods(crossed: FinishedRun, squared: FinishedRun) -> list[Block]:
    """Return the likelihood behind each loss, and both losses of both networks on the same test images.

    Source: C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), sections 1.2.5 and 4.3.4.
    """
    rows = [(name, *_both(run)) for name, run in (("cross-entropy", crossed), ("mean squared error", squared))]
    classes = squared.environment["classes"]
    (_, nats, _, _), (_, other_nats, error, _) = rows
    sentence = (
        "Both losses are negative log-likelihoods, under different models. Cross-entropy takes the softmax of the "
        f"outputs as the probabilities of the {classes} classes. Its value is −ln of the true class's probability: "
        f"{nats:.4f} on average over the test images. Equal probabilities would give ln {classes} = "
        f"{log(classes):.4f}. Mean squared error takes the one-hot target as the outputs plus Gaussian noise of one "
        "variance. Up to a constant, −ln p is then Σ(y − t)² / 2σ², and the maximum-likelihood σ² is the error "
        f"itself. So {error:.4f} means σ = {sqrt(error):.3f}; outputs that are all 1/{classes} have an error of "
        f"{(classes - 1) / classes**2:.4f}. One loss is counted in nats, the other in squares of an output: "
        f"{nats:.4f} and {error:.4f} are not on one scale. The network trained with mean squared error has a "
        f"cross-entropy of {other_nats:.4f}. Accuracy depends only on which output is the largest, so accuracies can "
        "be compared."
    )
    columns = (
        Column("trained with"),
        Column("cross-entropy", "number", 4),
        Column("mean squared error", "number", 4),
        Column("test accuracy", "percent"),
    )
    return [
        Words(sentence),
        Table("both-losses", "Both losses of both networks on the test images", columns, tuple(rows)),
    ]


def _both(run: FinishedRun) -> tuple[float, float, float]:
    """Return cross-entropy, mean squared error and accuracy of a run's outputs on the test images."""
    import torch

    from classlab.training import losses

    logits, labels = (torch.from_numpy(part) for part in run.predictions())
    outputs = logits.double()
    right = float((outputs.argmax(1) == labels).double().mean())
    return float(losses.cross_entropy(outputs, labels)), float(losses.mse(outputs, labels)), right
