"""The data in a script: read from the official files, or from data.npz beside it; then cut down, split and normalised."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classlab import files
from classlab.data import idx
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import code, literal

if TYPE_CHECKING:
    from classlab.data.dataset import Dataset

IDX = '''
    def arrays(folder):
        """Return images and labels, test images and labels; fetch the files that are not there."""
        found = []
        for name in $names:
            file = folder / f"{name}.gz"
            if not file.exists():
                fetch("$address", file)
            raw = bytearray(gzip.decompress(file.read_bytes()))
            found.append(np.frombuffer(raw, np.uint8, offset=16 if "images" in name else 8))
        images, labels, test_images, test_labels = found
        images, test_images = images.reshape(-1, 1, 28, 28), test_images.reshape(-1, 1, 28, 28)
        return images, labels.astype(np.int64), test_images, test_labels.astype(np.int64)
'''
CIFAR = '''
    def arrays(folder):
        """Return images and labels, test images and labels; fetch the archive if it is not there."""
        archive, found = folder / "cifar-10-binary.tar.gz", []
        if not archive.exists():
            fetch("$address", archive)
        with tarfile.open(archive) as tar:
            for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
                raw = tar.extractfile(f"cifar-10-batches-bin/{name}.bin").read()
                found.append(np.frombuffer(raw, np.uint8).reshape(-1, 3073))  # label, red, green, blue
        train, test = np.concatenate(found[:5]), found[5]
        pairs = [(part[:, 1:].reshape(-1, 3, 32, 32), part[:, 0].astype(np.int64)) for part in (train, test)]
        return *pairs[0], *pairs[1]
'''
FETCH = '''
    def fetch(address, file):
        """Download a file of the dataset from its official address."""
        print("downloading", address + file.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")  # so that half a download is not taken for the file
        urllib.request.urlretrieve(address + file.name, part)
        part.replace(file)
'''
NPZ = '''
    def arrays(folder):
        """Return images and labels, test images and labels of data.npz."""
        data = np.load(folder / "data.npz")
        return [data[name] for name in ("images", "labels", "test_images", "test_labels")]
'''
LOAD = '''
    def load(folder):
        """Return train, val and test: (images, $kind; labels, int64) each, on DEVICE."""
        images, labels, test_images, test_labels = arrays(folder)
        $check
        $subset
        $split
        parts = {"train": (images$train, labels$train), $val"test": (test_images, test_labels)}
        return {name: [torch.as_tensor(array).to(DEVICE) for array in part] for name, part in parts.items()}
'''
ADDRESSES = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "cifar10": "https://www.cs.toronto.edu/~kriz/",
}


def data(leaving: Leaving) -> str:
    """Return the functions that read, cut down, split and normalise the images."""
    name = leaving.published
    if name is None:
        parts = [code(NPZ)]
    elif name == "cifar10":
        parts = [code(CIFAR, address=ADDRESSES[name]), code(FETCH)]
    else:
        names = "(\n        " + ",\n        ".join(literal(file) for file in idx.FILES) + ",\n    )"
        parts = [code(IDX, address=ADDRESSES[name], names=names), code(FETCH)]
    return "\n\n\n".join([code(_load(leaving)), *parts, _normalise(leaving)])


def _load(leaving: Leaving) -> str:
    check, subset, split = "", "", ""
    if leaving.published:
        check = code(
            """
            sha = hashlib.sha256()
            for array in (images, labels, test_images, test_labels):
                sha.update(f"{array.shape} {array.dtype.str};".encode() + array.tobytes())
            assert sha.hexdigest() == (
                "$digest"
            ), "these are other images than $name's"
            """,
            digest=_published_digest(leaving), name=leaving.published,
        )  # fmt: skip
        subset = _subset(leaving)
    held = leaving.whole - leaving.train_images
    if held:
        split = _split(leaving, held)
    return code(
        LOAD,
        kind=f"uint8 (count, {', '.join(map(str, leaving.shape))})" if leaving.bytes else "float32",
        check=check, subset=subset, split=split, train="[train]" if held else "",
        val='"val": (images[val], labels[val]), ' if held else "",
    ).replace("train, val and test: ", "train and test: " if not held else "train, val and test: ")  # fmt: skip


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
    if leaving.scale == 255:
        return code(
            '''
            def normalise(images):
                """Return images of 0 … 255 as the network takes them."""
                return (images.float() - 255 * MEAN) / (255 * STD)
            '''
        )
    return code(
        '''
        def normalise(images):
            """Return images of 0 … 1 as the network takes them."""
            return (images - MEAN) / STD
        '''
    )


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
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()
