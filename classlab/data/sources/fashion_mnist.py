"""Fashion-MNIST: 60,000 + 10,000 pictures of clothing, 28 × 28, grey."""

from classlab.data import idx
from classlab.data.dataset import Dataset
from classlab.data.fetch import obtain
from classlab.data.origins import Debian, Web

CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
MEAN, STD = (0.2860,), (0.3530,)
SHAPE = (1, 28, 28)
SIZES = {"train": 60_000, "test": 10_000}
DIGEST = "ba305932df13b9f587d31a8247c1af78e6ce1ac2f966b6798a1147a5cd2ad732"
LICENCE = "MIT"
CITATION = (
    "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning "
    "algorithms, arXiv:1708.07747, 2017"
)
_GZIPPED = tuple(f"{name}.gz" for name in idx.FILES)
SOURCES = (
    Web("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", _GZIPPED, 30_900_000),
    Debian("dataset-fashion-mnist", _GZIPPED, 109_000_000),
)
read_folder = idx.folder_reader("FashionMNIST/raw", "raw", "fashion-mnist", "data/fashion")


def load(folder: str | None = None) -> Dataset:
    """Return Fashion-MNIST. `folder`, where given, is looked in first: IDX files, raw or gzipped, torchvision's layout.

    Raises UserError when neither the folder, nor the cache, nor any source gives it.
    """
    arrays, source = obtain("fashion-mnist", DIGEST, read_folder, SOURCES, folder)
    return Dataset("fashion-mnist", *arrays, CLASS_NAMES, MEAN, STD, source, LICENCE, CITATION)
