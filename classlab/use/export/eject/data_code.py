"""The data in a script: read from the official files or from data.npz; then cut down, split and normalised."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import files
from classlab.data import idx
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import code, literal

if TYPE_CHECKING:
    from classlab.data.dataset import Dataset

IDX = '''
    FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    ADDRESS = "$address"  # the official one
    $digest

    def load(folder):
        """Return $splits: (images, uint8 (count, 1, 28, 28); labels) each."""
        arrays = []
        for name in FILES:
            file = folder / f"{name}-ubyte.gz"
            if not file.exists():
                print("downloading", ADDRESS + file.name)
                folder.mkdir(parents=True, exist_ok=True)
                file.write_bytes(urllib.request.urlopen(ADDRESS + file.name).read())
            raw = bytearray(gzip.decompress(file.read_bytes()))
            arrays.append(np.frombuffer(raw, np.uint8, offset=16 if "images" in name else 8))
        images, test_images = (array.reshape(-1, 1, 28, 28) for array in arrays[::2])
        labels, test_labels = (array.astype(np.int64) for array in arrays[1::2])
        $rest
'''
CIFAR = '''
    FILE = "cifar-10-binary.tar.gz"
    ADDRESS = "$address"  # the official one
    $digest

    def load(folder):
        """Return $splits: (images, uint8 (count, 3, 32, 32); labels) each.

        A row of the files is a label and 1,024 values of red, of green and of blue.
        """
        if not (folder / FILE).exists():
            print("downloading", ADDRESS + FILE)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FILE).write_bytes(urllib.request.urlopen(ADDRESS + FILE).read())
        with tarfile.open(folder / FILE) as tar:
            names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
            batches = [tar.extractfile(f"cifar-10-batches-bin/{name}.bin").read() for name in names]
        rows = np.frombuffer(bytearray().join(batches), np.uint8).reshape(60_000, 3073)
        images, test_images = np.split(rows[:, 1:].reshape(-1, 3, 32, 32), [50_000])
        labels, test_labels = np.split(rows[:, 0].astype(np.int64), [50_000])
        $rest
'''
NPZ = '''
    def load(folder):
        """Return $splits: (images, $kind; labels) each, of data.npz."""
        data = np.load(folder / "data.npz")
        images, labels, test_images, test_labels = (
            data[name] for name in ("images", "labels", "test_images", "test_labels")
        )
        $rest
'''
REST = """
    $check
    $subset
    $split
    $parts
    return {name: [torch.as_tensor(x).to(DEVICE) for x in pair] for name, pair in parts.items()}
"""
PARTS = """
    parts = {"train": (images, labels), "test": (test_images, test_labels)}
"""
PARTS_WITH_VAL = """
    parts = {"train": (images[train], labels[train]), "val": (images[val], labels[val])}
    parts["test"] = test_images, test_labels
"""
CHECK = """
    text = [f"{array.shape} {array.dtype.str};".encode() + array.tobytes()
            for array in (images, labels, test_images, test_labels)]
    assert hashlib.sha256(b"".join(text)).hexdigest() == SHA256, "these are other images"
"""
ADDRESSES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "cifar10": "https://www.cs.toronto.edu/~kriz/",
}


def data(leaving: Leaving) -> str:
    """Return the functions that read, cut down, split and normalise the images."""
    name, held = leaving.published, leaving.whole - leaving.train_images
    splits = "train, val and test" if held else "train and test"
    kind = f"{'uint8' if leaving.in_bytes else 'float32'} (count, {', '.join(map(str, leaving.shape))})"
    rest = code(
        REST,
        check=code(CHECK) if name else "", subset=_subset(leaving) if name else "",
        split=_split(leaving, held) if held else "", parts=code(PARTS_WITH_VAL if held else PARTS),
    )  # fmt: skip
    if name is None:
        load = code(NPZ, splits=splits, kind=kind, rest=rest)
    else:
        digest = f'SHA256 = "{_published_digest(leaving)}"'
        text = CIFAR if name == "cifar10" else IDX
        load = code(text, address=ADDRESSES[name], digest=digest, splits=splits, rest=rest)
    return f"{load}\n\n{_normalise(leaving)}"


def _published_digest(leaving: Leaving) -> str:
    import sys

    from classlab import lookup

    return sys.modules[lookup.find("dataset", leaving.experiment.data.dataset.name).__module__].DIGEST


def _subset(leaving: Leaving) -> str:
    plan = leaving.experiment.data
    if plan.classes is None and plan.max_per_class is None and plan.max_test_per_class is None:
        return ""
    known = _all_names(leaving)
    numbers = [known.index(label) if isinstance(label, str) else label for label in plan.classes or range(len(known))]
    lines = [f"classes = {literal(numbers) if plan.classes else f'range({len(known)})'}"]
    limits = plan.max_per_class, plan.max_test_per_class
    for prefix, most in zip(("", "test_"), limits, strict=True):
        cut = f"[:{most}]" if most else ""
        some = f"[np.flatnonzero({prefix}labels == label){cut} for label in classes]"
        if most:
            lines.append(f"kept = np.sort(np.concatenate({some}))")
        else:
            lines.append(f"kept = np.isin({prefix}labels, classes)")
        lines.append(f"{prefix}images, {prefix}labels = {prefix}images[kept], {prefix}labels[kept]")
    if plan.labels == "renumber" and plan.classes:
        lines.append("new = {label: place for place, label in enumerate(classes)}")
        lines += [f"{prefix}labels = np.array([new[label] for label in {prefix}labels])" for prefix in ("", "test_")]
    return "\n".join(lines)


def _all_names(leaving: Leaving) -> tuple[str, ...]:
    import sys

    from classlab import lookup

    return sys.modules[lookup.find("dataset", leaving.experiment.data.dataset.name).__module__].CLASS_NAMES


def _split(leaving: Leaving, held: int) -> str:
    plan = leaving.experiment.data
    seed = "SEED % 2**32" if plan.split_seed == "seed" else plan.split_seed
    if not plan.stratified:
        return code(
            """
            order = np.random.RandomState($seed).permutation(len(labels))
            val, train = np.sort(order[:$held]), np.sort(order[$held:])
            """,
            seed=seed, held=f"{held:_}",
        )  # fmt: skip
    return code(
        """
        order = np.random.RandomState($seed).permutation(len(labels))
        exact = np.bincount(labels) * $held / len(labels)  # of each class its share
        take = np.floor(exact).astype(int)
        take[np.argsort(take - exact, kind="stable")[: $held - take.sum()]] += 1
        val = np.concatenate([order[labels[order] == name][:count] for name, count in enumerate(take)])
        train = np.setdiff1d(order, val)
        val = np.sort(val)
        """,
        seed=seed, held=held,
    )  # fmt: skip


def _normalise(leaving: Leaving) -> str:
    layout = ".contiguous(memory_format=torch.channels_last)" if leaving.settings.channels_last else ""
    value = "(images.float() - 255 * MEAN) / (255 * STD)" if leaving.scale == 255 else "(images - MEAN) / STD"
    lines = [f"images = {value}", f"return images{layout}"] if layout else [f"return {value}"]
    return code(
        '''
        def normalise(images):
            """Return images of 0 … $scale as the network takes them."""
            $lines
        ''',
        scale=leaving.scale, lines="\n".join(lines),
    )  # fmt: skip


def write_official(dataset: "Dataset", folder: Path) -> None:
    """Write a published dataset's images as its official files, so that a script finds them and fetches nothing."""
    files.make_folder(folder)
    arrays = dataset.images, dataset.labels, dataset.test_images, dataset.test_labels
    if dataset.name != "cifar10":
        for name, array in zip(idx.FILES, arrays, strict=True):
            sizes = array[:, 0].shape if array.ndim == 4 else array.shape
            header = bytes([0, 0, 8, len(sizes)]) + np.array(sizes, ">u4").tobytes()
            raw = header + array.astype(np.uint8).tobytes()
            files.write(folder / f"{name}.gz", gzip.compress(raw, 1, mtime=0))
        return
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    images, labels = np.concatenate(arrays[::2]), np.concatenate(arrays[1::2])
    rows = np.concatenate([labels[:, None].astype(np.uint8), images.reshape(len(images), -1)], axis=1)
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, part in zip(names, np.array_split(rows, 6), strict=True):
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            entry.size = part.size
            tar.addfile(entry, io.BytesIO(part.tobytes()))


def npz(dataset: "Dataset") -> bytes:
    """Return a dataset's arrays as data.npz holds them."""
    arrays = {name: getattr(dataset, name) for name in ("images", "labels", "test_images", "test_labels")}
    return packed({**arrays, "class_names": np.array(dataset.class_names, dtype=np.str_)})


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as an .npz file holds them; the same arrays are the same bytes."""
    stream = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(stream, **named)
    return stream.getvalue()
