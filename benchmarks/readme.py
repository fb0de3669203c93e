"""Print the README's table of speeds from a note: `python -m benchmarks.readme [docs/benchmarks/DATE.json]`."""

import json
import sys
from pathlib import Path

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


def section(document: dict) -> str:
    """Return the section as Markdown."""
    headings = ["workload", "images/s", "× torchvision and a DataLoader", "× plain PyTorch", "its step × torch's"]
    rows = []
    for entry in document["workloads"]:
        rates, step = entry["images_per_second"][OURS], step_ratios(entry)
        what = f"{WORDS[entry['name']]} ({how(entry)})"
        each = (spread(ratios(entry, side)) for side in ("reports", "plain"))
        rows.append([what, f"{median(rates):,.0f}", *each, spread(step) if step else ""])
    link = f"[{document['date']}](docs/benchmarks/{document['date']}.md)"
    return "\n\n".join([table(headings, rows), " ".join([*remarks(document), f"The whole note: {link}."])])


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else max(FOLDER.glob("*.json"))
    print(section(json.loads(file.read_text(encoding="utf-8"))))
