"""What the child process answers about pictures: what a network says of one, and what it looks like inside.

The answer is that of `classlab predict`, by the same reader; the feature maps are what the layers really gave.
"""

import base64
import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab.errors import UserError
from classlab.formats import capital
from classlab.ui import opening
from classlab.ui.states import signature

if TYPE_CHECKING:
    from classlab.network.feature_maps import LayerOutput
    from classlab.use.evidence import Network
    from classlab.use.predict import Prediction, Reader

MOST_MAPS = 256  # of a layer
MOST_FILTERS = 64
LONGEST_SIDE = 96  # pixels of a feature map as it is sent
MOST_IMAGES = 24
KINDS = ("mistakes", "right", "all")


@functools.lru_cache(maxsize=4)
def _reader(path: str, changed: tuple[int, ...]) -> "Reader":
    """Return a run made ready to answer; it is kept while its folder does not change."""
    import torch

    from classlab.use.predict import Reader

    torch.set_num_threads(1)
    return Reader(opening.run(path))


def reader_of(path: str) -> "Reader":
    """Return the reader of the run in a folder. Raises UserError for one that names no class, or is not trusted."""
    return _reader(path, signature(Path(path)))


def predict(path: str, picture: str) -> dict[str, Any]:
    """Return the answer for a picture file, in base64: class, probability, whether unsure, what the network saw."""
    return _document(reader_of(path), _predicted(reader_of(path), picture))


def _predicted(reader: "Reader", picture: str) -> "Prediction":
    """Answer for a picture as `predict` does for a file, which it is for a moment."""
    from classlab.data.bounded_files import BadFile
    from classlab.use.picture_file import read

    try:
        content = base64.b64decode(picture, validate=True)
    except ValueError:
        raise UserError("a picture is sent as a file of it") from None
    with tempfile.TemporaryDirectory(prefix="classlab-ui-") as folder:
        file = Path(folder) / "picture"
        file.write_bytes(content)
        try:
            return reader.picture("picture", read(file))[0]
        except BadFile as error:
            raise UserError(str(error).replace(str(file), "the picture")) from None


def _document(reader: "Reader", answer: "Prediction") -> dict[str, Any]:
    from classlab.drawing.grids import data_uri

    assert answer.seen is not None
    seen = answer.seen
    sentence = answer.sentence()
    return {
        **answer.document(),
        "sentence": sentence,
        "seen": data_uri(seen),
        "size": f"{seen.shape[2]} × {seen.shape[1]}",
        "classes": reader.names,
    }


def test_images(path: str, kind: str, place: int) -> dict[str, Any]:
    """Return test images of a run with its answers: the most confident mistakes or right answers, or all in order."""
    from classlab.drawing.grids import data_uri
    from classlab.drawing.thumbnails import as_pictures
    from classlab.report import outcome

    if kind not in KINDS:
        raise UserError(f"images are mistakes, right or all; got {kind}")
    run = opening.run(path)
    found = outcome.of_run(run)
    if found is None:
        raise UserError(f"there are no predictions of {run.path.name} to choose from: the run {run.sentence()}")
    sure = np.argsort(-found.confidence, kind="stable")
    order = {"mistakes": found.mistakes(), "right": sure[found.right[sure]], "all": np.arange(len(found.labels))}[kind]
    chosen = order[place : place + MOST_IMAGES]
    pictures = as_pictures(run.dataset().test_images[chosen]) if len(chosen) else []
    return {
        "count": len(order),
        "images": [
            {
                "index": int(index),
                "picture": data_uri(picture),
                "true": found.class_names[found.labels[index]],
                "predicted": found.class_names[found.predicted[index]],
                "confidence": float(found.confidence[index]),
            }
            for index, picture in zip(chosen, pictures, strict=True)
        ],
    }


def _asked(reader: "Reader", picture: str | None, index: int | None) -> "Prediction":
    """Return the answer for a picture, or for a test image by its index. Raises UserError where that is not there."""
    if picture is not None:
        return _predicted(reader, picture)
    images = reader.run.dataset().test_images
    if index is None or not 0 <= index < len(images):
        raise UserError(f"there are test images 0 to {len(images) - 1:,}; got {index}")
    return reader.array(f"test image {index}", images[index])[0]


def inside(path: str, picture: str | None = None, index: int | None = None) -> dict[str, Any]:
    """Return every feature map of every layer, the filters, and the answer, for a picture or a test image by its index.

    Raises UserError where the test image is not there.
    """
    from classlab.network.feature_maps import feature_maps

    reader = reader_of(path)
    answer = _asked(reader, picture, index)
    assert answer.seen is not None
    inputs, _ = reader.network(answer.seen[None].astype(np.float32) / 255)
    return {
        "answer": _document(reader, answer),
        "layers": [_layer(found) for found in feature_maps(reader.model, inputs)],
    }


def evidence(path: str, picture: str | None = None, index: int | None = None) -> dict[str, Any]:
    """Return what of a picture speaks for the answer, and of a mistaken test image for the true class, by every method.

    Raises UserError where the test image is not there.
    """
    from classlab.drawing.grids import data_uri
    from classlab.drawing.heat_maps import KEY
    from classlab.use.evidence import METHODS, NOTHING, WORDS

    reader, network = reader_of(path), _network(path, signature(Path(path)))
    answer = _asked(reader, picture, index)
    assert answer.seen is not None and answer.name is not None
    labels = [] if index is None else [int(reader.run.dataset().test_labels[index])]
    classes = dict.fromkeys([answer.name, *(reader.names[label] for label in labels)])
    found = []
    for method in METHODS:
        row: dict[str, Any] = {"method": capital(WORDS[method]), "maps": [], "sentence": ""}
        try:
            made = [network.evidence(answer.seen[None], method, name) for name in classes]
            row["sentence"] = capital(made[0].about())
            row["maps"] = [
                {
                    "class": maps.classes[0],
                    "picture": data_uri(maps.picture(0)),
                    "empty": NOTHING * bool(maps.empty[0]),
                }
                for maps in made
            ]
        except UserError as error:
            row["sentence"] = str(error)
        found.append(row)
    return {"rows": found, "key": KEY}


def map_checks(path: str) -> list[dict[str, str]]:
    """Return whether each method's maps of a run can be believed, by its most confident mistakes, in words."""
    return _map_checks(path, signature(Path(path)))


@functools.lru_cache(maxsize=8)
def _map_checks(path: str, changed: tuple[int, ...]) -> list[dict[str, str]]:
    from classlab.use.evidence import CHECKED, WORDS

    network = _network(path, changed)
    chosen = network.mistakes(CHECKED)
    return [
        {"method": capital(WORDS[method]), "sentence": network.evidence(chosen, method).check.sentence()}
        for method in network.methods()
    ]


@functools.lru_cache(maxsize=4)
def _network(path: str, changed: tuple[int, ...]) -> "Network":
    """Return a run made ready to say where its answers came from; it is kept while its folder does not change."""
    from classlab.use.evidence import Network

    return Network(reader_of(path).run)


def _layer(found: "LayerOutput") -> dict[str, Any]:
    from classlab.drawing.grids import data_uri
    from classlab.network.feature_maps import filter_pictures

    values = found.values
    document: dict[str, Any] = {
        "name": found.path,
        "kind": found.kind,
        "shape": " × ".join(map(str, values.shape)),
        "low": float(values.min()),
        "high": float(values.max()),
        "zero": float((values == 0).mean()),
    }
    if values.ndim == 3:
        document["maps"] = [_map(part) for part in values[:MOST_MAPS]]
        document["left_out"] = max(0, len(values) - MOST_MAPS)
    else:
        document["row"] = _map(values.reshape(1, -1)[:, :1024])
    if found.filters is not None:
        document["filters"] = [data_uri(picture) for picture in filter_pictures(found.filters[:MOST_FILTERS])]
    return document


def _map(values: np.ndarray) -> str:
    """Return a map as a picture: black its smallest value, white its largest."""
    from classlab.drawing.grids import data_uri
    from classlab.network.feature_maps import map_picture

    every = -(-max(values.shape) // LONGEST_SIDE) if values.shape[0] > 1 else 1
    return data_uri(map_picture(values[::every, ::every]))
