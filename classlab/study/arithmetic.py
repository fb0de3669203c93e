"""What arithmetic decides of a published curve, without training: what is counted, and what no training gets under."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic
from typing_extensions import TypedDict

from classlab.formats import count, listed
from classlab.runs import records, store
from classlab.study import forecast
from classlab.study.published_curve import PublishedCurve
from classlab.study.sweep import Variant

if TYPE_CHECKING:
    from classlab.runs.preparation import Prepared

FILE = "arithmetic.json"
MOST_NAMES = 6  # of variants in a sentence
THINGS = {"parameters": "parameter", "steps": "step", "classes": "class", "epochs": "epoch"}


@dataclass(frozen=True)
class Counted:
    """What is known of a variant before it is trained.

    steps: of an epoch. images: that an epoch trains on, every copy counted. floor: the training loss that a network
    that reconstructs cannot get under; foreseen: the same where it cannot foresee the noise; None where there is none.
    """

    parameters: int
    steps: int
    classes: int
    epochs: int
    images: int
    floor: float | None = None
    foreseen: float | None = None


@pydantic.with_config(records.CLOSED)
class CountedRecord(TypedDict):
    """A variant in arithmetic.json."""

    parameters: records.Count
    steps: records.Count
    classes: records.Count
    epochs: records.Count
    images: records.Count
    floor: float | None
    foreseen: float | None


@pydantic.with_config(records.CLOSED)
class ArithmeticRecord(TypedDict):
    """arithmetic.json: a variant's name and what is counted of it."""

    variants: dict[str, CountedRecord]


def counted(variants: Sequence[Variant], fetch: bool = True) -> dict[str, Counted]:
    """Return what is known of every variant before it is trained. fetch: whether data may be fetched.

    Raises UserError or Refused for the first variant that cannot be trained, naming it.
    """
    return {variant.name: _counted(variant, forecast.prepared_for(variant, fetch)) for variant in variants}


def _counted(variant: Variant, prepared: "Prepared") -> Counted:
    from classlab.runs import attainable

    plan, images = variant.experiment.training, prepared.epoch_images
    floor, foreseen = attainable.before_training(prepared) or (None, None)
    steps, classes = -(-images // plan.batch_size), len(prepared.dataset.class_names)
    return Counted(prepared.parameters, steps, classes, plan.epochs, images, floor, foreseen)


def write(folder: Path, known: Mapping[str, Counted]) -> None:
    """Keep what was counted in the study's folder."""
    store.write_json(folder / FILE, {"variants": {name: asdict(part) for name, part in known.items()}})


def read(folder: Path) -> dict[str, Counted]:
    """Return what was counted of the study in a folder; nothing where no file holds it. Raises UserError."""
    if not (folder / FILE).is_file():
        return {}
    document = records.read(folder / FILE, ArithmeticRecord)
    return {name: Counted(**fields) for name, fields in document["variants"].items()}


def decide(curve: PublishedCurve, known: Mapping[str, Counted]) -> tuple[list[str], dict[str, str]]:
    """Return what arithmetic says of a curve, in sentences, and the variants that it rules out, each with why."""
    sentences, ruled_out = list[str](), dict[str, str]()
    for fact, published in curve.facts.items():
        got = {name: getattr(part, fact) for name, part in known.items()}
        other = {name: f"{name} has {figure:,}" for name, figure in got.items() if figure != published}
        each = " an epoch" if fact == "steps" else ""
        opening = f"{_count(published, fact)}{each} {'is' if published == 1 else 'are'} published"
        sentences.append(f"{opening}: {_listed(list(other.values())) or 'every variant has as many'}")
        ruled_out = {**other, **ruled_out}
    floors = {
        name: part.floor for name, part in known.items() if part.floor is not None and (part.floor or part.foreseen)
    }
    losses = [curve.ends(figure)[1] for figure in curve.trained if figure.base == "train_loss"]
    if floors and losses:
        under = {name: f"{name} cannot get under {floor:.4f}" for name, floor in floors.items() if min(losses) < floor}
        texts = [_floor(name, floor, known[name].foreseen) for name, floor in floors.items() if name not in under]
        opening = f"The published train loss goes down to {min(losses):.4f}"
        sentences.append(f"{opening}: {_listed([*under.values(), *texts])}")
        ruled_out = {**under, **ruled_out}
    return sentences, ruled_out


def _floor(name: str, floor: float, foreseen: float | None) -> str:
    """Say what a variant's training loss cannot get under."""
    if foreseen is None:
        return f"{name} can come down to {floor:.4f}"
    return f"{name} can come down to {foreseen:.4f} without foreseeing the noise"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - MOST_NAMES
    return listed(list(texts)) if more <= 0 else f"{', '.join(texts[:MOST_NAMES])} and {more} more"


def _count(figure: int, fact: str) -> str:
    return count(figure, THINGS[fact], "classes" if fact == "classes" else None)
