"""Write the tables of measured figures into the documents, from files that commands wrote.

python -m benchmarks.measured

README.md: the results, from accuracy.json (`python -m benchmarks.accuracy`) and the latest note of `make bench`.
docs/benchmarks.md: the speeds, from that note. A test refuses a document whose tables are not these.
"""

import json
from pathlib import Path

from benchmarks.accuracy import FILE as ACCURACY
from benchmarks.measure import OURS, median, ratios, step_ratios
from benchmarks.note import FOLDER, how, remarks, spread, table

WORDS = {
    "era-s6": "nine convolutions on MNIST, 16,976 parameters, batch 512, augmented",
    "prml-mlp": "perceptron 784-64-32-10 on MNIST, batch 64",
    "lenet-1000": "LeNet on CIFAR-10, batch 1000",
    "lenet-4": "LeNet on CIFAR-10, batch 4",
    "lenet-4-study": "a study of 8 of these",
    "lenet-1": "LeNet on CIFAR-10, batch 1",
    "lenet-1-study": "a study of 8 of these",
    "fashion-cnn": "1.7 million parameters on 120,000 images, batch 100",
    "autoencoder": "autoencoder 784…32…784, batch 100",
    "eva7-net8": "19,310 parameters on MNIST, batch 128",
    "mnist-20k": "14,426 parameters on MNIST, batch 256, augmented",
}
MARK = "<!-- measured: {} -->"


def latest() -> dict:
    """Return the latest note of the benchmarks."""
    return json.loads(max(FOLDER.glob("20*.json")).read_text(encoding="utf-8"))


def speeds(document: dict) -> str:
    """Return the table of speeds as Markdown."""
    headings = ["workload", "images/s", "× torchvision and a DataLoader", "× plain PyTorch", "its step × torch's"]
    rows = []
    for entry in document["workloads"]:
        rates, step = entry["images_per_second"][OURS], step_ratios(entry)
        what = f"{WORDS[entry['name']]} ({how(entry)})"
        each = (spread(ratios(entry, side)) for side in ("reports", "plain"))
        rows.append([what, f"{median(rates):,.0f}", *each, spread(step) if step else ""])
    link = f"[{document['date']}](benchmarks/{document['date']}.md)"
    return "\n\n".join([table(headings, rows), " ".join([*remarks(document), f"The whole note: {link}."])])


def results(accuracies: list[dict], document: dict) -> str:
    """Return the README's table as Markdown: accuracies over seeds, and how fast each trains."""
    headings = ["experiment", "parameters", "epochs", "test accuracy", "× plain PyTorch"]
    speed = {entry["name"]: spread(ratios(entry, "plain")) for entry in document["workloads"]}
    rows = []
    for entry in accuracies:
        each = entry["test_accuracies_percent"]
        spread_of = f", sd {entry['sd_points']:.2f}, {min(each):.2f} to {max(each):.2f}" if len(each) > 1 else ""
        rows.append([
            f"`{entry['experiment']}`", f"{entry['parameters']:,}", f"{entry['epochs']}",
            f"{entry['mean_percent']:.2f} % (n = {entry['seeds']}{spread_of})",
            speed.get(entry["experiment"], ""),
        ])  # fmt: skip
    return table(headings, rows)


def filled(text: str, name: str, content: str) -> str:
    """Return a document's text with a part of it replaced. Raises ValueError where it has no such part."""
    before, found, rest = text.partition(MARK.format(name))
    _, ended, after = rest.partition(MARK.format("end"))
    if not found or not ended:
        raise ValueError(f"there is no part {name}")
    return f"{before}{found}\n{content}\n{ended}{after}"


def documents() -> dict[Path, str]:
    """Return each document with measured tables as it has to be."""
    note = latest()
    tables = {"README.md": ("results", results(json.loads(ACCURACY.read_text(encoding="utf-8")), note)),
              "docs/benchmarks.md": ("speeds", speeds(note))}  # fmt: skip
    return {Path(name): filled(Path(name).read_text(encoding="utf-8"), *part) for name, part in tables.items()}


if __name__ == "__main__":
    for file, text in documents().items():
        file.write_text(text, encoding="utf-8")
