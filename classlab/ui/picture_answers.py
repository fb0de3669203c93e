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
from classlab.ui import opening
from classlab.ui.states import signature

if TYPE_CHECKING:
    import torch
    from torch import nn

    from classlab.use.predict import Prediction, Reader

MOST_MAPS = 256  # of a layer
MOST_LAYERS = 60
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


def inside(path: str, picture: str | None = None, index: int | None = None) -> dict[str, Any]:
    """Return every feature map of every layer, the filters, and the answer, for a picture or a test image by its index.

    Raises UserError where the test image is not there.
    """
    reader = reader_of(path)
    if picture is not None:
        answer = _predicted(reader, picture)
    else:
        images = reader.run.dataset().test_images
        if index is None or not 0 <= index < len(images):
            raise UserError(f"there are test images 0 to {len(images) - 1:,}; got {index}")
        answer = reader.array(f"test image {index}", images[index])[0]
    assert answer.seen is not None
    inputs, _ = reader.network(answer.seen[None].astype(np.float32) / 255)
    return {"answer": _document(reader, answer), "layers": _layers(reader.model, inputs)}


def _layers(model: "nn.Module", inputs: "torch.Tensor") -> list[dict[str, Any]]:
    """Run the network once and return what each of its layers gave, in the order in which they were met."""
    import torch
    from torch import Tensor

    met: list[tuple[str, nn.Module, Tensor]] = []

    def watch(name: str) -> Any:
        def note(module: "nn.Module", given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() >= 2 and len(met) < MOST_LAYERS:
                met.append((name, module, output.detach().clone()))  # an in-place layer would change it

        return note

    hooks = [
        module.register_forward_hook(watch(name)) for name, module in model.named_modules() if not [*module.children()]
    ]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return [_layer(name, module, output[0]) for name, module, output in met]


def _layer(name: str, module: "nn.Module", output: "torch.Tensor") -> dict[str, Any]:
    values = output.float().cpu().numpy()
    kind = type(module).__name__
    document: dict[str, Any] = {
        "name": name or kind,
        "kind": kind,
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
    filters = _filters(module)
    return document | ({"filters": filters} if filters else {})


def _map(values: np.ndarray) -> str:
    """Return a map as a picture: black its smallest value, white its largest."""
    from classlab.drawing.grids import data_uri

    every = -(-max(values.shape) // LONGEST_SIDE) if values.shape[0] > 1 else 1
    values = np.nan_to_num(values[::every, ::every])
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / (high - low or 1.0))
    return data_uri(scaled.round().astype(np.uint8)[None])


def _filters(module: "nn.Module") -> list[str]:
    """Return a layer's filters as pictures, grey for 0: in colour over three maps, else the mean over what it reads."""
    from classlab.drawing.grids import data_uri

    weight = getattr(module, "weight", None)
    if weight is None or weight.dim() != 4 or max(weight.shape[2:]) == 1:
        return []
    values = weight.detach().float().cpu().numpy()[:MOST_FILTERS]
    values = values if values.shape[1] == 3 else values.mean(axis=1, keepdims=True)
    largest = np.abs(values).max(axis=(1, 2, 3), keepdims=True) + 1e-12
    pictures = (127.5 + 127.5 * values / largest).round().astype(np.uint8)
    return [data_uri(picture) for picture in pictures]
