"""Writes the same small images in each form that a published dataset comes in, independently of the code that reads."""

import gzip
import io
import json
import pickle
import struct
import tarfile

import numpy as np
from PIL import Image

PER_BATCH = 12
TRAIN_BATCHES = 5
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def arrays(channels=3, side=32, seed=0):
    """Images, labels, test images and test labels: as many as six small batches hold."""
    random = np.random.default_rng(seed)
    count = PER_BATCH * (TRAIN_BATCHES + 1)
    images = random.integers(0, 256, (count, channels, side, side), dtype=np.uint8)
    labels = random.integers(0, 10, count)
    train = PER_BATCH * TRAIN_BATCHES
    return images[:train], labels[:train], images[train:], labels[train:]


def write_idx(folder, parts, packed=False):
    images, labels, test_images, test_labels = parts
    for part, x, y in (("train", images, labels), ("t10k", test_images, test_labels)):
        x = x[:, 0] if x.shape[1] == 1 else x
        for name, array in ((f"{part}-images-idx3-ubyte", x), (f"{part}-labels-idx1-ubyte", y)):
            content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            content += array.astype(np.uint8).tobytes()
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                (folder / name).write_bytes(content)


def batches(parts):
    """The six batches by name: images as (count, 3072) and labels."""
    images, labels = np.concatenate(parts[::2]), np.concatenate(parts[1::2])
    for index, name in enumerate(NAMES):
        place = slice(index * PER_BATCH, (index + 1) * PER_BATCH)
        yield name, images[place].reshape(PER_BATCH, -1), labels[place].tolist()


def write_batches(folder, parts, protocol=2):
    (folder / "cifar-10-batches-py").mkdir()
    for name, data, labels in batches(parts):
        content = {
            b"batch_label": name.encode(),
            b"labels": labels,
            b"data": data,
            b"filenames": [b"a.png"] * PER_BATCH,
        }
        (folder / "cifar-10-batches-py" / name).write_bytes(pickle.dumps(content, protocol=protocol))


def write_archive(folder, parts):
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz", compresslevel=1) as archive:
        for name, data, labels in batches(parts):
            content = pickle_of_python_2(name, data, labels)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def pickle_of_python_2(name, data, labels):
    """The original's instructions, one by one: Python 2 strings are BINSTRING, which Python 3 no longer writes."""

    def text(value):
        value = value if isinstance(value, bytes) else value.encode()
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<I", len(value)) + value

    def number(value):
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    shape = number(data.shape[0]) + number(data.shape[1]) + b"\x86"
    byte_type = (
        b"cnumpy\ndtype\nq\x07" + text("u1") + b"K\x00K\x01\x87Rq\x08(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xff"
    )
    byte_type += b"J\xff\xff\xff\xffK\x00tb"
    start = b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85" + text("b") + b"\x87R"
    array = start + b"(K\x01" + shape + byte_type + b"\x89" + text(data.tobytes()) + b"tb"
    items = text("batch_label") + b"q\x02" + text(f"batch {name}") + text("labels") + b"]q\x03("
    items += b"".join(number(label) for label in labels) + b"e" + text("data") + array
    items += text("filenames") + b"]q\x09(" + b"".join(text(f"{i}.png") for i in range(len(labels))) + b"e"
    return b"\x80\x02}q\x01(" + items + b"u."


def write_sheets(folder, parts):
    for name, data, _ in batches(parts):
        pixels = data.reshape(PER_BATCH, 3, 1024).transpose(0, 2, 1)
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(json.dumps(parts[1].tolist()))
    (folder / "test_lables.json").write_text(json.dumps(parts[3].tolist()))
