"""Predict: what a trained network says of the reader's own pictures, how sure it is, whether with reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from classlab.data.bounded_files import BadFile
from classlab.errors import UserError
from classlab.use.picture_file import Picture, files_of, from_python, read

if TYPE_CHECKING:
    import pandas
    import torch
    from torch import nn

    from classlab.runs.finished import FinishedRun
    from classlab.training.calibration import Calibration
    from classlab.use.centring import FoundDigit

Preparation = Literal["digits", "plain"]
DIGIT_DATASETS = ("mnist", "digits")
TOP = 3
# What is asked of a digit cut out of a picture: times the least lead of logits, and probability.
MORE, LIKELY = 1.35, 0.8
RIM = 4  # the margin's colour is a median over such a part of the rim
UNLIKE = 40  # of 255: a rim's colour that is so far from most of the rims' is of something else
FULL = 220  # of 255: the brightest pixel of every image of MNIST is 254 at least; a fainter picture is none of it
NOTHING_FOUND = "no drawing stands out from its ground"


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    file: its path, or "array 0", "array 1", …. name: the class, None where the file could not be read; probability:
    calibrated. top: the three likeliest classes with theirs. unsure: whether the network has reason to doubt itself.
    why: the reasons, in words. digits: how many stand in the picture in a row.
    prepared: how the picture was made ready: digits, plain, or "as it is". note: what else should be known of it.
    error: why there is no answer, or "". picture: what the file shows, small; seen: what the network saw, uint8
    (channels, height, width).
    """

    file: str
    name: str | None
    probability: float | None
    top: list[tuple[str, float]]
    unsure: bool
    prepared: str = ""
    note: str = ""
    error: str = ""
    why: str = ""
    digits: int = 1
    picture: np.ndarray | None = field(default=None, repr=False)
    seen: np.ndarray | None = field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        """Return what a program reads."""
        fields: dict[str, Any] = {
            "file": self.file,
            "class": self.name,
            "probability": self.probability,
            "top": [{"class": name, "probability": probability} for name, probability in self.top],
            "unsure": self.unsure,
            "prepared": self.prepared,
        }
        more = {"why": self.why, "note": self.note, "error": self.error}
        more |= {"digits": self.digits} if self.digits > 1 else {}
        return fields | {key: value for key, value in more.items() if value}

    def sentence(self) -> str:
        """Return the answer in words, without the file's name."""
        if self.error:
            return self.error
        others = ", ".join(f"{name} {100 * probability:.1f} %" for name, probability in self.top[1:])
        doubt = f" · unsure: {self.why}" if self.unsure else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} {100 * (self.probability or 0):.1f} %{doubt} · then {others}{note}"


class Predictions(list[Prediction]):
    """The answers, in the order of the pictures; shows itself as a table in a notebook. run: whose answers they are."""

    run: "FinishedRun | None" = None

    @property
    def table(self) -> "pandas.DataFrame":
        """One row a picture: file, class, probability, unsure, second, third, prepared, note, error, why."""
        import pandas

        return pandas.DataFrame([row(prediction) for prediction in self], columns=list(COLUMNS))

    def explain(self, out: str | Path) -> Path:
        """Write a picture of what was shown and seen, the answer and where it came from, and return its path."""
        from classlab.use.explain import explain

        return explain(self, Path(out))

    def _repr_html_(self) -> str:
        return self.table.to_html(index=False)


COLUMNS = ("file", "class", "probability", "unsure", "second", "third", "prepared", "note", "error", "why")


def row(prediction: Prediction) -> dict[str, Any]:
    """Return the answer as one row of a table, with the columns of COLUMNS."""
    second, third = ([name for name, _ in prediction.top] + ["", "", ""])[1:3]
    return {
        "file": prediction.file, "class": prediction.name, "probability": prediction.probability,
        "unsure": prediction.unsure, "second": second, "third": third, "prepared": prediction.prepared,
        "note": prediction.note, "error": prediction.error, "why": prediction.why,
    }  # fmt: skip


def predict(
    run: "FinishedRun",
    pictures: Any,
    *,
    prepare: Preparation | None = None,
    each: bool = False,
    advance: Callable[[float], None] | None = None,
    report: Callable[[Prediction], None] | None = None,
) -> Predictions:
    """Return what the run's network says of the pictures.

    pictures: a path, a picture of Pillow's or an array, or a list of them. A folder means the picture files in it. An
    array in the shape of the network's input, or many of them, uint8 or fractions 0…1, is given to it as it is. Any
    other uint8 array, (height, width) or (height, width, 3), is treated like an image file.
    prepare: digits or plain; None takes digits for a run on MNIST or digits, plain for any other.
    each: read several digits of a picture one by one, from left to right, with an answer for each.
    advance: called with 1 for each picture done. report: called with each answer that is an error, when it is met.
    Raises UserError where the run names no class, or no picture is given.
    """
    reader = Reader(run, prepare)
    answers = Predictions()
    answers.run = run
    for name, source in _sources(pictures, reader.shape):
        for answer in _predictions(reader, name, source, each):
            answers.append(answer)
            if answer.error and report:
                report(answer)
        if advance:
            advance(1)
    return answers


def count(pictures: Any) -> int:
    """Return how many pictures are meant, for a bar."""
    return sum(1 for _ in _sources(pictures, (0, 0, 0)))


def _sources(pictures: Any, shape: tuple[int, ...]) -> Iterable[tuple[str, Any]]:
    """Yield a name and a path, an array or a picture for each one meant."""
    if isinstance(pictures, str | Path):
        pictures = [Path(pictures)]
    elif isinstance(pictures, np.ndarray) and pictures.ndim == 4:
        pictures = list(pictures)
    elif isinstance(pictures, np.ndarray) or not isinstance(pictures, Sequence):
        pictures = [pictures]
    if pictures and all(isinstance(item, str | Path) for item in pictures):
        yield from ((str(path), path) for path in files_of([Path(str(item)) for item in pictures]))
        return
    if not pictures:
        raise UserError("nothing to predict: give picture files or a folder of them")
    for index, item in enumerate(pictures):
        yield f"array {index}" if isinstance(item, np.ndarray) else f"picture {index}", item


def _predictions(reader: "Reader", name: str, source: Any, each: bool) -> list[Prediction]:
    try:
        if isinstance(source, np.ndarray):
            return reader.array(name, source, each)
        picture = read(Path(source)) if isinstance(source, str | Path) else from_python(name, source)
        return reader.picture(name, picture, each)
    except BadFile as error:
        return [Prediction(name, None, None, [], True, error=str(error))]


class Reader:
    """A run made ready to answer: its network, its normalisation, its calibration, and how pictures are prepared."""

    def __init__(self, run: "FinishedRun", prepare: Preparation | None = None) -> None:
        if run.reconstructs:
            raise UserError(f"{run.path} reconstructs images and names no class, so it cannot predict one")
        if prepare not in (None, "digits", "plain"):
            raise UserError(f"prepare must be digits or plain, got {prepare!r}")
        self.run = run
        channels, height, width = run.environment["input_shape"]
        self.shape: tuple[int, int, int] = (channels, height, width)
        self.names: list[str] = run.environment["class_names"]
        self.dataset: str = run.environment["dataset"]["name"]
        self.prepare: Preparation = prepare or ("digits" if self.dataset in DIGIT_DATASETS else "plain")
        if self.prepare == "digits" and (channels != 1 or height != width):
            raise UserError(
                f"prepare: digits needs a network for square grey images; that of {run.path} takes "
                f"{channels} × {height} × {width}"
            )
        if channels not in (1, 3):
            raise UserError(f"a picture has 1 or 3 channels; the network of {run.path} takes {channels}")

    @cached_property
    def model(self) -> "nn.Module":
        """The run's network, in evaluation mode."""
        return self.run.built().float()

    @cached_property
    def network(self) -> Callable[[np.ndarray], "tuple[torch.Tensor, np.ndarray]"]:
        """A function from images, float32 0…1 (count, channels, height, width), to normalised ones and logits."""
        import torch

        model, normalise = self.model, self.run.environment["normalise"]
        mean, std = (torch.tensor(normalise[key]).view(1, -1, 1, 1) for key in ("mean", "std"))

        def run(images: np.ndarray) -> "tuple[torch.Tensor, np.ndarray]":
            with torch.no_grad():
                inputs = (torch.from_numpy(np.ascontiguousarray(images)) - mean) / std
                return inputs, model(inputs).double().numpy()

        return run

    @cached_property
    def calibration(self) -> "Calibration":
        """Temperature and limits: those stored with the run, or fitted now."""
        from classlab.use.calibrated import calibration_of

        return calibration_of(self.run, self.model)

    def array(self, name: str, values: np.ndarray, each: bool = False) -> list[Prediction]:
        """Answer for an image in the network's own shape, or for a picture."""
        if 0 in values.shape:
            raise UserError(f"{name} has no pixels: its shape is {values.shape}")
        if values.dtype.kind not in "biuf" or (values.dtype.kind == "f" and not np.isfinite(values).all()):
            raise UserError(f"{name} must hold numbers, all of them finite; got {values.dtype}")
        if values.shape in (self.shape, self.shape[1:]) and (self.shape[0] == 1 or values.ndim == 3):
            scaled = values.astype(np.float32) / (255 if values.dtype == np.uint8 else 1)
            drawn = Picture(_as_picture(scaled.reshape(self.shape)))
            return [self._answer(name, [scaled.reshape(self.shape)], drawn, "as it is")]
        if values.dtype != np.uint8 or not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3))):
            raise UserError(
                f"{name} must be an image of the network's shape {self.shape} or a picture of uint8, (height, width) "
                f"or (height, width, 3); got {values.dtype} {values.shape}"
            )
        pixels = values[..., None] if values.ndim == 2 else values
        given = Picture(np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))))
        return self.picture(name, given, each)

    def picture(self, name: str, picture: Picture, each: bool = False) -> list[Prediction]:
        """Answer for what a file shows: once, or for each of several digits that stand in a row."""
        from classlab.use.plain import plain

        if self.prepare == "plain":
            return [self._answer(name, [plain(picture.pixels, self.shape)], picture, "plain")]
        if _is_prepared(picture.pixels, self.shape):
            return [self._answer(name, [plain(picture.pixels, self.shape)], picture, "as it is")]
        return self._digits(name, picture, each)

    def _digits(self, name: str, picture: Picture, each: bool) -> list[Prediction]:
        """Answer by the reading of the picture that looks most like a digit to the network; variants of it vote."""
        from classlab.use.centring import find_digits

        best: tuple[float, list[np.ndarray], FoundDigit] | None = None
        pixels = picture.pixels.astype(np.float32)
        for digit in [*find_digits(pixels), *find_digits(_with_margin(pixels))]:
            images = self._variants(digit)
            if images:
                merit = self._merit(images) + 0.5 * float(np.log(digit.ink.evidence))
                if best is None or merit > best[0]:
                    best = merit, images, digit
        if best is None:
            return [self._nothing(name, picture)]
        _, images, digit = best
        row = self._row(digit, images)
        if not row:
            return [self._answer(name, images, picture, "digits", digit.doubts)]
        if not each:
            doubt = f"{len(row)} digits stand in this picture (--each reads them one by one)"
            return [self._answer(name, images, picture, "digits", [doubt], len(row))]
        names = (f"{name}, digit {number} of {len(row)}" for number in range(1, len(row) + 1))
        return [self._answer(part, images, picture, "digits") for part, images in zip(names, row, strict=True)]

    def _row(self, digit: "FoundDigit", images: list[np.ndarray]) -> list[list[np.ndarray]]:
        """Return the variants of each digit in the row beside this one, empty where it stands alone.

        What the network does not take for a digit is none. images: the variants of `digit`. Where that is the whole
        row, as a 0 in two halves is, the network decides by what it is surer of.
        """
        variants = [found for part in digit.row if (found := self._variants(part))]
        merits = [self._merit(found) for found in variants]
        row = [found for found, merit in zip(variants, merits, strict=True) if merit >= self.calibration.least_lead]
        if len(row) < 2 or (digit.holds_row and self._merit(images) >= float(np.mean(merits))):
            return []
        return row

    def _nothing(self, name: str, picture: Picture) -> Prediction:
        """Answer for a page on which nothing stands: every class is as likely as another."""
        even = 1 / len(self.names)
        return Prediction(
            file=name,
            name=self.names[0],
            probability=even,
            top=[(label, even) for label in self.names[:TOP]],
            unsure=True,
            prepared="digits",
            note=picture.note or NOTHING_FOUND,
            why="every class is as likely as another",
            picture=_thumbnail(picture.pixels),
            seen=np.zeros(self.shape, dtype=np.uint8),
        )

    def _variants(self, digit: "FoundDigit") -> list[np.ndarray]:
        from classlab.use.centring import FRAMES, VARIANTS, shrink

        frame = FRAMES["digits" if self.dataset == "digits" else "mnist"]
        images = [shrink(digit, self.shape[1], frame, variant) for variant in VARIANTS]
        return [image[None] for image in images if image is not None]

    def _merit(self, images: list[np.ndarray]) -> float:
        """Return how sure the network is of the variants. Shadows and edges seldom look like a digit to it."""
        from classlab.training.calibration import lead

        return float(lead(self.network(np.stack(images))[1]).mean())

    def _answer(
        self,
        name: str,
        images: list[np.ndarray],
        picture: Picture,
        prepared: str,
        doubts: Sequence[str] = (),
        digits: int = 1,
    ) -> Prediction:
        inputs, logits = self.network(np.stack(images))
        probabilities = self.calibration.probabilities(logits).mean(axis=0)
        doubts = [*doubts, *self._doubts(inputs, logits, probabilities, prepared)]
        order = np.argsort(-probabilities, kind="stable")[:TOP]
        top = [(self.names[index], float(probabilities[index])) for index in order]
        return Prediction(
            file=name,
            name=top[0][0],
            probability=top[0][1],
            top=top,
            unsure=bool(doubts),
            prepared=prepared,
            note=picture.note,
            why="; ".join(doubts),
            digits=max(1, digits),
            picture=_thumbnail(picture.pixels),
            seen=np.rint(images[0] * 255).clip(0, 255).astype(np.uint8),
        )

    def _doubts(self, inputs: "torch.Tensor", logits: np.ndarray, likely: np.ndarray, prepared: str) -> Iterator[str]:
        """Yield why the network has reason to doubt itself, in words."""
        from classlab.training.calibration import lead

        calibration, leads = self.calibration, lead(logits)
        weak = leads < calibration.least_lead
        strange = calibration.strangeness(inputs) > calibration.most_strange
        unfamiliar = (weak | strange).mean() > 0.5
        # Cut out of a picture by rules of ours, something else can pass for a digit: more is asked of it.
        cut = prepared == "digits"
        if (unfamiliar and weak.any()) or (cut and leads.mean() < MORE * calibration.least_lead):
            yield "no class leads the others by as much as is usual"
        if unfamiliar and strange.any():
            yield "it looks unlike the images that the network was trained on"
        if cut and likely.max() < LIKELY:
            first, second = (self.names[index] for index in np.argsort(-likely, kind="stable")[:2])
            yield f"it may be {first} or {second}"


def _with_margin(pixels: np.ndarray) -> np.ndarray:
    """Return the picture with a margin, so that a digit which fills it touches no edge.

    The margin goes on with the colours along the rim, each a median of its surroundings there: a rim that is uneven, as
    of a page in uneven light or a screenshot with bars, makes no seam, and a stroke that ends at the rim ends there.
    So does a wide one, of a digit that fills its picture: it is unlike most of the rims, ends before the corners, and
    stands on two rims that lie opposite. A shadow or a finger stands on one, and goes on.
    """
    from scipy.ndimage import median_filter

    height, width = pixels.shape[:2]
    margin = max(2, max(height, width) // 6)
    calm = pixels.copy()
    for rim in (calm[0], calm[-1], calm[:, 0], calm[:, -1]):
        rim[:] = median_filter(rim, (max(3, len(rim) // RIM) | 1, 1), mode="nearest")
    ground = np.median(np.concatenate([calm[0], calm[-1], calm[:, 0], calm[:, -1]]), axis=0)
    for opposite in ((calm[0], calm[-1]), (calm[:, 0], calm[:, -1])):
        strokes = [_strokes(rim, ground) for rim in opposite]
        for rim, found in zip(opposite, strokes, strict=True):
            for before, last in found if all(strokes) else ():
                rim[before + 1 : last + 1] = np.linspace(rim[before], rim[last + 1], last - before + 2)[1:-1]
    wide = np.pad(calm, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    wide[margin : margin + height, margin : margin + width] = pixels
    return wide


def _strokes(rim: np.ndarray, ground: np.ndarray) -> list[tuple[int, int]]:
    """Return (the last place before, the last place of) each part of a rim, (length, 3), that is unlike the ground.

    A part that reaches a corner is none: a bar, a table.
    """
    unlike = np.abs(rim - ground).max(axis=1) > UNLIKE
    ends = np.flatnonzero(np.diff(unlike.astype(np.int8)))[int(unlike[0]) :].tolist()
    return list(zip(ends[::2], ends[1::2], strict=False))


def _is_prepared(pixels: np.ndarray, shape: tuple[int, int, int]) -> bool:
    """Say whether the picture already is what the network was trained on: its size, grey, light ink on black ground."""
    if pixels.shape[:2] != shape[1:] or np.ptp(pixels, axis=2).max() > 8:
        return False
    grey = pixels[..., 0].astype(np.float32)
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(edge) > 16 or grey.max() < FULL or shape[1] != 28:
        return bool(shape[1] == 8 and grey.max() >= 128 and np.median(edge) < 64)
    rows, columns = np.flatnonzero((grey > 64).any(1)), np.flatnonzero((grey > 64).any(0))
    size = max(np.ptp(rows), np.ptp(columns)) + 1
    middle = [float(np.arange(28) @ grey.sum(axis=1 - axis) / grey.sum()) for axis in (0, 1)]
    return bool(size > 22 or (size >= 17 and max(abs(m - 14) for m in middle) < 2))


def _as_picture(image: np.ndarray) -> np.ndarray:
    """Return an image of fractions (channels, height, width) as a picture, uint8 (height, width, 3)."""
    values = np.rint(image * 255).clip(0, 255).astype(np.uint8)
    return np.stack([values[channel % len(values)] for channel in range(3)], axis=2)


def _thumbnail(pixels: np.ndarray, side: int = 320) -> np.ndarray:
    """Return the picture small enough to keep a thousand of them."""
    step = -(-max(pixels.shape[:2]) // side)
    if step == 1:
        return pixels
    from PIL import Image

    image = Image.fromarray(pixels)
    return np.asarray(image.reduce((min(step, image.width), min(step, image.height))))
