"""The model card: a page of Markdown that goes with an exported network and says what it may be used for."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from classlab.errors import UserError
from classlab.formats import percent
from classlab.use.export.carried import Carried
from classlab.use.export.proof import Proof
from classlab.version import __version__

if TYPE_CHECKING:
    from classlab.data.dataset import Dataset


def card(carried: Carried, to: str, file: Path, form: ModuleType, proof: Proof) -> str:
    """Return the card of an exported file."""
    run = carried.run
    parts = [
        f"# {run.experiment.name}, seed {run.seed}",
        run.experiment.description or "",
        _table(carried, to, file),
        "## What it was trained on",
        _data(carried),
        "## How good it is",
        _accuracy(carried),
        "## What it is given and what it gives",
        _preparation(carried),
        f"## How to use {file.name}",
        _usage(form, file),
        "## Proof",
        f"Before the file was written, its own engine answered all test images. {proof.sentence()}.",
        "## Limits",
        _limits(carried),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(carried: Carried, to: str, file: Path) -> str:
    summary = carried.run.summary
    rows = {
        "file": f"{file.name} ({to}, {file.stat().st_size:,} bytes)",
        "parameters": f"{summary['parameters']:,}",
        "input": f"{' × '.join(map(str, carried.shape))} (channels × height × width), 0 to 1",
        "classes": "none: it reconstructs its input" if carried.reconstructs else ", ".join(carried.class_names),
        "run": f"{carried.run.path.name}, weights SHA-256 `{carried.weights_digest}`",
        "made by": f"classlab {__version__}",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows.items())])


def _data(carried: Carried) -> str:
    run = carried.run
    try:
        data: Dataset = run.dataset()
    except UserError:
        return f"The dataset {run.environment['dataset']['name']}."
    split = run.split()
    sentences = [f"{data.name}: {len(split['train']):,} images to train on, {len(split['val']):,} to validate on, "
                 f"{len(data.test_labels):,} to test on."]  # fmt: skip
    plan = run.experiment.data
    if plan.augmentations:
        sentences.append(f"Augmented by {', '.join(choice.name for choice in plan.augmentations)}.")
    if data.licence:
        sentences.append(f"Licence of the data: {data.licence}.")
    if data.citation:
        sentences.append(f"{data.citation}.")
    return " ".join(sentences)


def _accuracy(carried: Carried) -> str:
    run, summary = carried.run, carried.run.summary
    epochs = f"trained for {summary['epochs']} epochs" if "epochs" in summary else "trained elsewhere"
    if carried.reconstructs:
        return f"{epochs.capitalize()}; test loss {summary['test_loss']:.4f}."
    low, high = summary["test_interval"] or (0.0, 1.0)
    protocol = run.experiment.protocol
    chosen = "the last epoch's weights" if protocol.select == "last" else "the best epoch's weights"
    watched = " The test images were evaluated during training, so the figure may be too good." if (
        protocol.validate_on == "test") else " The test images were evaluated once, at the end."  # fmt: skip
    return (
        f"{percent(summary['test_accuracy'])} of the test images are classified correctly (95 % interval over the "
        f"images: {percent(low)} to {percent(high)}); {epochs}, {chosen}.{watched} Another seed gives another figure."
    )


def _preparation(carried: Carried) -> str:
    mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (carried.mean, carried.std))
    lines = [f"- Pixels from 0 to 1, float32; the mean {mean} is taken off and divided by {std} (in graph formats the "
             "file does this itself)."]  # fmt: skip
    if polarity := carried.document()["polarity"]:
        lines.append(f"- {polarity.capitalize()}: a scan of ink on paper has to be inverted, cut out and centred.")
    if not carried.reconstructs:
        lines.append(f"- Logits; softmax of logits / {carried.temperature:.4f} gives calibrated probabilities.")
    return "\n".join(lines)


def _usage(form: ModuleType, file: Path) -> str:
    """Return the example of the format's own words, with this file's name."""
    lines = (form.__doc__ or "").splitlines()
    code = [line[4:] for line in lines if line.startswith("    ")]
    prose = " ".join(line for line in lines if line and not line.startswith("    "))
    example = "\n".join(code).replace(f"mnist-20k{file.suffix}", file.name)
    return f"{prose}\n\n```python\n{example}\n```" if code else prose


def _limits(carried: Carried) -> str:
    if carried.reconstructs:
        return "It reconstructs images like those it was trained on; of others nothing is known."
    return (
        f"The network has {len(carried.class_names)} classes and names one of them whatever it is shown. Pictures "
        "that differ from those it was trained on, in kind, size of the strokes or lighting, are named worse than "
        "the test images; how much worse was not measured. Trained for teaching and research, not for decisions "
        "about people."
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")  # a name is not markup
