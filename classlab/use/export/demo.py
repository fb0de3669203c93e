"""A page: one HTML file that runs the network in any browser, on a phone too, from the disk and without a connection.

Open it. It has a paper to draw on where the network knows digits, test images with the mistakes first, and every
feature map of every layer. It computes with its own script, which is plain JavaScript and can be read in the file.
"""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from classlab import files
from classlab.drawing import html_templates
from classlab.drawing.grids import eight_bit
from classlab.errors import UserError
from classlab.formats import capital, count, interval, percent
from classlab.use.export.carried import Carried
from classlab.use.export.layer_outputs import NORMALISATION, Outputs
from classlab.version import __version__

HERE = Path(__file__).parent / "demo_page"
DRAWING = Path(html_templates.__file__).parent
SUFFIX = ".html"
PAGE_BYTES = 150_000  # of all but the weights
MISTAKES, IMAGES = 60, 100  # test images in the gallery, at most


def engine() -> str:
    """Return what runs such a file, for the proof. Raises UserError where there is no JavaScript engine."""
    from classlab.use.export import javascript

    return f"{javascript.engine()}, the page's script"


def write(carried: Carried, folder: Path) -> Path:
    """Write the page into a folder and return its path.

    Raises UserError for a network that the page cannot compute, see network_steps.steps_of.
    """
    file = folder / f"{carried.name}{SUFFIX}"
    files.write(file, html(carried))
    return file


def answers(file: Path, carried: Carried, images: np.ndarray) -> np.ndarray:
    """Return what the page's own script answers to images, float32 (count, *output); see carried.py.

    images: float32 0…1, (count, *shape). Raises UserError where no JavaScript engine is there.
    """
    network = json.loads(_part(file, "network"))
    return _outputs(file, carried, images, every=False).reshape(len(images), *network["steps"][-1]["shape"])


def layers(file: Path, carried: Carried, images: np.ndarray) -> Outputs:
    """Return (name, output) of each layer in order, output float32 (count, *shape).

    A layer with a norm folded into it stands under the norm's name, whose output it gives.
    """
    network = json.loads(_part(file, "network"))
    steps = network["steps"]
    sizes = [int(np.prod(step["shape"])) for step in steps]
    mean, std = (np.array(network[key], dtype=np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
    found: Outputs = [(NORMALISATION, (images - mean) / std)]
    try:
        rows = _outputs(file, carried, images, every=True).reshape(len(images), sum(sizes))
    except (RuntimeError, ValueError):  # a script that does not run to its end gives nothing
        return found
    parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    seen = Counter[str]()
    for step, part in zip(steps, parts, strict=True):
        if step["kind"] != "constant":
            name = step["names"][-1]
            seen[name] += 1
            name = name if seen[name] == 1 else f"{name} ({seen[name]})"
            found.append((name, part.reshape(len(images), *step["shape"])))
    return found


def _outputs(file: Path, carried: Carried, images: np.ndarray, every: bool) -> np.ndarray:
    from classlab.use.export import javascript

    parts = []
    for part in javascript.outputs(_part(file, "forward"), _part(file, "network"), images, every):
        parts.append(part)
        carried.advance(javascript.AT_ONCE)
    return np.concatenate(parts)


def _part(file: Path, name: str) -> str:
    """Return the text of one of the page's script elements. Raises UserError for a file without it."""
    text = files.read_text(file, most=2_000_000_000)
    _, found, rest = text.partition(f'<script id="{name}"')
    content, ended, _ = rest.partition(">")[2].partition("</script>")
    if not found or not ended:
        raise UserError(f"{file} is not a demo: it has no script {name}")
    return content


def html(carried: Carried) -> str:
    """Return the page as one HTML text. Its gallery takes what PAGE_BYTES leave, up to IMAGES images."""
    network = network_json(carried)
    template = html_templates.template(HERE / "demo.html")
    given = _texts(carried) | {
        "worked": any(step["kind"] == "convolution" for step in network["steps"]),
        "about": html_templates.script_json(_about(carried, network)),
        "network": html_templates.script_json(network),
        "style": html_templates.markup(_source(DRAWING / "page.css") + _source(HERE / "demo.css")),
        "forward": html_templates.markup(_source(HERE / "forward.js")),
        "preparation": html_templates.markup(_source(HERE / "prepared_drawing.js")),
        "strokes": html_templates.markup(_source(DRAWING / "strokes.js")),
        "script": html_templates.markup(_source(HERE / "demo.js")),
    }
    without = template.render(**given, images="", gallery="")
    room = PAGE_BYTES - (len(without.encode()) - len(network["weights"])) - 1_000
    images = gallery(carried, room)
    return template.render(
        **given, images=html_templates.script_json(images), gallery=_gallery_words(carried, images["images"])
    )


def _source(path: Path) -> str:
    """Return a style or a script as it stands in a page of one file, where nothing is exported."""
    return str(html_templates.file(path)).replace("export function", "function")


def network_json(carried: Carried) -> dict[str, Any]:
    """Return the network as forward.js takes it: shape, mean, std, steps, and all weights as one text.

    A step's weights are (first, count) in the row of all numbers, float32. Layers with equal weights share them.
    """
    from classlab.use.export.network_steps import steps_of

    rows: list[np.ndarray] = []
    places: dict[bytes, list[int]] = {}
    steps = []
    for step in steps_of(carried.network, carried.normalised(np.repeat(carried.images[:1], 2, axis=0))):
        weights = {}
        for name, values in step.weights.items():
            row = np.ascontiguousarray(values, dtype=np.float32).ravel()
            if row.tobytes() not in places:
                places[row.tobytes()] = [sum(map(len, rows)), len(row)]
                rows.append(row)
            weights[name] = places[row.tobytes()]
        steps.append(
            {"kind": step.kind, "names": step.names, "inputs": step.inputs, "shape": step.shape}
            | step.settings
            | {"weights": weights}
        )
    numbers = np.concatenate(rows) if rows else np.zeros(0, dtype=np.float32)
    if not np.isfinite(numbers).all():
        raise UserError("the network has weights that are not finite; a page cannot compute with them")
    return {
        "shape": carried.shape,
        "mean": carried.mean,
        "std": carried.std,
        "steps": steps,
        "weights": base64.b64encode(numbers.astype("<f4").tobytes()).decode(),
    }


def gallery(carried: Carried, room: int) -> dict[str, Any]:
    """Return test images, the most confident mistakes first: packed pixels, and each image's index, label and answer.

    room: bytes of the page that they may take. pixels: bytes of all images in a row with zeros counted (a 0, then how
    many, up to 255), in base 64. Of a network that reconstructs images they are the first test images.
    """
    pixels = eight_bit(carried.images)
    labels = None if carried.reconstructs else carried.run.dataset().test_labels
    packed: list[bytes] = []
    chosen: list[dict[str, int]] = []
    for index, predicted in _chosen(carried, labels):
        packed.append(_packed(pixels[index]))
        if sum(map(len, packed)) * 4 / 3 + 60 * len(packed) > room:
            break
        known = {} if labels is None else {"label": int(labels[index]), "predicted": predicted}
        chosen.append({"index": index} | known)
    # The mistakes before the right answers, each in its order.
    order = sorted(range(len(chosen)), key=lambda place: chosen[place].get("predicted") == chosen[place].get("label"))
    content = b"".join(packed[place] for place in order)
    return {"pixels": base64.b64encode(content).decode(), "images": [chosen[place] for place in order]}


def _chosen(carried: Carried, labels: np.ndarray | None) -> list[tuple[int, int]]:
    """Return (index, predicted class) of the gallery's images: confident mistakes, and right answers of every class."""
    if labels is None:
        return [(index, 0) for index in range(min(IMAGES, len(carried.images)))]
    predicted = carried.expected.argmax(axis=1)
    rows = np.arange(len(labels))
    sure = carried.expected[rows, predicted] - carried.expected.mean(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    right = np.flatnonzero(predicted == labels)
    # In turn the first, second, … image of each class.
    turn = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        of_class = right[labels[right] == label]
        turn[of_class] = np.arange(len(of_class))
    right = right[np.lexsort((labels[right], turn[right]))]
    # After every three mistakes a right answer, so that both find room.
    order = []
    for place in range(max(-(-len(wrong) // 3), len(right))):
        order += [*wrong[3 * place : 3 * place + 3], *right[place : place + 1]]
    return [(int(index), int(predicted[index])) for index in order[:IMAGES]]


def _packed(image: np.ndarray) -> bytes:
    """Return an image's bytes with its zeros counted: each run of up to 255 zeros is a 0 and how many they are."""
    packed, zeros = bytearray(), 0
    for value in [*image.ravel().tolist(), None]:
        if value == 0 and zeros < 255:
            zeros += 1
            continue
        if zeros:
            packed += bytes((0, zeros))
        zeros = int(value == 0)
        if value:
            packed.append(value)
    return bytes(packed)


def _about(carried: Carried, network: dict[str, Any]) -> dict[str, Any]:
    """Return what the page knows beside the network: names, calibration, and how a drawing is made ready."""
    from classlab.use.predict import LIKELY, MORE

    dataset = carried.run.environment["dataset"]["name"]
    sizes = [int(np.prod(step["shape"])) for step in network["steps"]]
    return {
        "classes": [] if carried.reconstructs else list(carried.class_names),
        "temperature": carried.temperature,
        "least_lead": carried.least_lead if np.isfinite(carried.least_lead) else None,
        "more": MORE,
        "likely": LIKELY,
        "draws": _draws(carried),
        "by_mass": dataset == "mnist",
        "reconstructs": carried.reconstructs,
        "code": 1 + int(np.argmin(sizes)),
    }


def _draws(carried: Carried) -> bool:
    from classlab.use.predict import DIGIT_DATASETS

    channels, height, width = carried.shape
    digits = carried.run.environment["dataset"]["name"] in DIGIT_DATASETS
    return digits and not carried.reconstructs and channels == 1 and height == width


def _texts(carried: Carried) -> dict[str, Any]:
    """Return what the page says of the network, and what decides which parts it has."""
    run, summary, dataset = carried.run, carried.run.summary, carried.run.dataset()
    parameters = count(summary["parameters"], "parameter")
    facts = [
        ("experiment", f"{run.experiment.name}, seed {run.seed}"),
        ("parameters", f"{summary['parameters']:,}"),
        ("trained on", run.environment["dataset"]["name"]),
    ]
    if (accuracy := summary.get("test_accuracy")) is not None:
        low, high = summary.get("test_interval") or (accuracy, accuracy)
        total = count(len(dataset.test_labels), "test image")
        facts.append(("accuracy", f"{percent(accuracy)} of {total} (95 % interval: {interval(low, high)})"))
    if dataset.licence:
        facts.append(("licence of the data", dataset.licence))
    facts.append(("weights, SHA-256", carried.weights_digest))
    _, height, width = carried.shape
    return {
        "title": f"The network {run.experiment.name}",
        "subtitle": (
            f"{capital(parameters)}. All of it is in this page, which computes every answer here, without a server."
        ),
        "facts": facts,
        "draws": _draws(carried),
        "reconstructs": carried.reconstructs,
        "width": width,
        "height": height,
        "footer": f"Made by classlab {__version__}.",
    }


def _gallery_words(carried: Carried, images: list[dict[str, Any]]) -> str:
    total = f"the {len(carried.images):,} test images"
    if carried.reconstructs:
        return f"The first {len(images)} of {total}."
    wrong = int((carried.expected.argmax(axis=1) != carried.run.dataset().test_labels).sum())
    here = sum(image["label"] != image["predicted"] for image in images)
    return f"{count(wrong, 'mistake')} in {total}, {here} of them here, then {len(images) - here} right answers."
