"""Datasets that somebody sent: folders of pictures, arrays in an .npz file, and the published sets' files."""

import gzip
import io
import os
import pickle
import struct
import tarfile
from pathlib import Path
from random import Random

import forms
import numpy as np
from PIL import Image

from tests.hostile import attacks, commands, damage, donors, pictures, run_folders
from tests.hostile.case import Case, World, often

CLASSES = (
    "cat", "dog", "a b", "[bold]x", "[ ]", "<script>alert('hostile')<", "x\x1b[2Jy", "new\nline", "é", "٣", "..x",
    "-rf", "=1+1", "x" * 250, "{{7}}", "%s", "\\input{x}", "$x", "#", "\u202ex", "a:b", "evil.py:load", "0", "1",
    "true", "null", "con", " ", "'", '"', "\udcff", "train", "test",
)  # fmt: skip


def make(world: World, random: Random) -> Case:
    """Return a case on a damaged dataset."""
    kind = damage.pick(random, {"folder": 40, "npz": 30, "idx": 15, "cifar": 15})
    if kind == "folder":
        place, note = folder_of_pictures(world, random)
        given = {"name": "folder", "path": str(place)} | (
            {"size": random.choice([8, 8, 0, 64, 4097, 10**9])} if often(random, 50) else {}
        )
        words = [commands.placed(world, place, "work")]
    elif kind == "npz":
        place, note = arrays(world, random)
        given, words = {"name": "npz", "path": str(place)}, [commands.placed(world, place, "work")]
    else:
        place, note = published(world, random, kind)
        name = random.choice(["mnist", "fashion-mnist"]) if kind == "idx" else "cifar10"
        given, words = {"name": name, "folder": str(place)}, [name, "--set", f"data.dataset.folder={place}"]
    command = damage.pick(random, {"stats": 40, "show": 30, "run": 30 if kind in ("folder", "npz") else 0})
    writes = ["work/*sheet.*", "work/*-sheet.png"] if command == "show" else []
    if command == "run":
        experiment = {
            **donors.TINY,
            "data": {"dataset": given, "val_size": 0.2},
            "training": donors.TRAINING,
            "protocol": {},
        }
        (world.work / "mine.yaml").write_text(damage.written(experiment), errors="surrogatepass")
        words, writes = ["run", "mine.yaml", *damage.maybe(random, 30, "--report")], ["work/runs", "work/runs/*"]
    else:
        words = [
            "data",
            command,
            *words,
            *(["--out", random.choice(["sheet.png", "sheet.html", "sheet.svg"])] if command == "show" else []),
        ]
    case = Case(
        [*words, *damage.maybe(random, 25, "--json")],
        f"{kind}: {note}",
        "work",
        writes,
        encoding=commands.encoding(random),
        whole=commands.whole(random, note),
    )
    case.megabytes, case.seconds = 2000, 8.0
    return case


def folder_of_pictures(world: World, random: Random) -> tuple[Path, str]:
    """Write a folder for each class, with odd names or odd pictures."""
    root = world.sent / random.choice(["pictures"] * 5 + ["[bold]x", "x\x1b[2J", "a b", "evil.py:load", "x.npz", "-x"])
    parts = random.choice([[""], [""], ["train"], ["train", "test"], ["train", "test", "val"], ["test"]])
    names = random.sample(CLASSES, random.choice([0, 1, 2, 2, 3, 3, 5]))
    side = random.choice([8, 8, 8, 1, 30])
    for part in parts:
        (root / part).mkdir(parents=True, exist_ok=True)
        for name in names if part != "test" or often(random, 70) else [*names, "stranger"]:
            inner = (
                root
                / part
                / os.fsdecode(os.fsencode(name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")))
            )
            inner.mkdir(exist_ok=True)
            for number in range(random.choice([0, 1, 3, 6, 6, 6])):
                shade = Image.new(random.choice(["L", "L", "L", "RGB"]), (side, side), random.randrange(256))
                shade.save(inner / f"p{number}.png")
    note = f"{parts} {names!a}"
    inner_folders = [folder for folder in root.rglob("*") if folder.is_dir()]
    for _ in range(random.choice([0, 0, 1, 1, 2])):
        if inner_folders:
            note += f"; {pictures.put(world, random.choice(inner_folders), random, 'odd')}"
    if often(random, 15):
        (random.choice([root, *inner_folders]) / "again").symlink_to(
            random.choice(["..", ".", str(world.decoy), "/", "/proc"])
        )
        note += "; a link to a folder"
    if often(random, 15):
        note += f"; beside: {attacks.put_beside(world, random, root)}"
    return root, note[:400]


def arrays(world: World, random: Random) -> tuple[Path, str]:
    """Write arrays that are not what they should be."""
    file = world.sent / random.choice(
        ["arrays.npz"] * 6 + ["[bold].npz", "x\x1b[2J.npz", "a b.npz", "evil.py:load.npz"]
    )
    images, labels, test_images, test_labels = forms.arrays(
        channels=random.choice([1, 3]), side=8, seed=random.randrange(100)
    )
    names = random.choice(
        [
            ("images", "labels", "test_images", "test_labels"),
            ("x_train", "y_train", "x_test", "y_test"),
            ("images", "labels"),
        ]
    )
    held = dict(zip(names, (images, labels, test_images, test_labels), strict=False))
    if often(random, 20):
        label = random.choice(list(held)[1::2])
        held[label] = random.choice(
            [
                held[label] * 10**15,
                held[label].astype(np.int64) - 5,
                np.arange(len(held[label])),
                held[label].astype(bool),
                held[label] % 1,
            ]
        )
        np.savez(file, **held)  # type: ignore[arg-type]
        return file, f"labels {label}"
    if often(random, 15):
        image = names[0]
        scale = random.choice([1e30, np.nan, 1e-300, -1.0, np.inf])
        held[image] = (held[image] * scale).astype(random.choice([np.float32, np.float64]))
        np.savez(file, **held)  # type: ignore[arg-type]
        return file, f"{image} times {scale}"
    note = run_folders.strange_arrays(world, file, held, random)
    if often(random, 10):
        note += f"; {damage.stand_in(world, file, random)}"
    return file, note


def published(world: World, random: Random, kind: str) -> tuple[Path, str]:
    """Write a published set's files in small, and damage some."""
    folder = world.sent / "files"
    folder.mkdir()
    parts = forms.arrays(channels=1 if kind == "idx" else 3, side=28 if kind == "idx" else 32)
    if kind == "idx":
        forms.write_idx(folder, parts, packed=often(random, 50))
    else:
        random.choice([forms.write_batches, forms.write_archive, forms.write_sheets])(folder, parts)
    file = random.choice(sorted(file for file in folder.rglob("*") if file.is_file()))
    way = damage.pick(random, {"flip": 30, "place": 15, "header": 20, "pickle": 20, "bomb": 10, "archive": 10})
    if way == "place":
        return folder, damage.stand_in(world, file, random)
    if way == "flip":
        content, note = damage.flip(file.read_bytes(), random, random.choice([None, 40]))
    elif way == "header" and kind == "idx":
        sizes = struct.pack(
            ">III", *random.choice([(2**32 - 1,) * 3, (0, 0, 0), (60_000, 28, 28), (1, 2**31, 2), (10, 28, 28)])
        )
        content, note = (
            bytes([0, 0, random.choice([8, 8, 9, 13, 14]), random.choice([1, 3, 4, 0, 255])]) + sizes + bytes(900),
            "header",
        )
        content = gzip.compress(content) if file.suffix == ".gz" else content
    elif way in ("pickle", "header") and kind == "cifar":
        content, note = strange_pickle(world, random), "pickle"
    elif way == "bomb":
        zeros = bytes(random.choice([200_000_000, 400_000_000]))
        content, note = gzip.compress(zeros, 1) if file.suffix in (".gz", ".tgz") else zeros[:200_000_000], "bomb"
    else:
        content, note = strange_archive(world, random), "archive"
    file.write_bytes(content)
    return folder, f"{file.name}: {note}"


def strange_pickle(world: World, random: Random) -> bytes:
    """Return a pickle that would run something, or grow without end."""
    place = f"p{random.randrange(10**6)}".encode()
    return random.choice(
        [
            lambda: pickle.dumps(run_folders.Leave(world.canary), protocol=random.choice([0, 2, 4])),
            lambda: b"cos\nsystem\n(S': > " + str(world.canary).encode() + b"'\ntR.",
            lambda: b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x05'1+1'\x85R.",
            lambda: b"(" + b"(l" * 50_000 + b".",
            lambda: b"]" + b"\x94h\x00a" * 20_000 + b".",
            lambda: b"\x80\x02]q\x00(" + b"h\x00" * 300_000 + b"e.",
            lambda: b"T" + struct.pack("<I", 2**31 - 1) + b"x",
            lambda: b"\x8e" + struct.pack("<Q", 2**62) + b"x",
            lambda: b"L" + b"9" * 300_000 + b"L\n.",
            lambda: b"\x8b" + struct.pack("<i", -5) + b".",
            lambda: b"\x8b" + struct.pack("<i", 2**20) + b"\xff" * 2**20 + b".",
            lambda: b"I" + b"9" * 100_000 + b"\n.",
            lambda: b"r" + struct.pack("<I", 2**32 - 1) + b".",
            lambda: b"N" * 2_000_000 + b".",
            lambda: place,
            lambda: pickle.dumps({b"data": list(range(1000)), b"labels": "x"}),
            lambda: pickle.dumps({b"data": np.zeros((12, 3072), np.uint8), b"labels": [10**9] * 12}),
            lambda: b"",
            lambda: b".",
            lambda: b"\x80\xff.",
            lambda: b"F1e999\n.",
            lambda: (
                b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I9999999999\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntRI00\nS''\ntb."
            ),
            lambda: b"\x80\x02}q\x00(h\x00h\x00u.",
            lambda: b"(S'" + b"\\x1b[2J" * 900 + b"'\n.",
        ]
    )()


def strange_archive(world: World, random: Random) -> bytes:
    """Return a tar with members that lead elsewhere, or that are too many."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=random.choice(["w:gz", "w"])) as archive:
        for name in random.sample(
            [
                "../../decoy/thesis.tex",
                "/etc/x",
                "cifar-10-batches-py/data_batch_1",
                "data_batch_1",
                "test_batch",
                "\x1b[2J",
                "x" * 300,
                "a\nb",
            ],
            4,
        ):
            member = tarfile.TarInfo(name)
            member.type = random.choice(
                [
                    tarfile.REGTYPE,
                    tarfile.REGTYPE,
                    tarfile.SYMTYPE,
                    tarfile.LNKTYPE,
                    tarfile.FIFOTYPE,
                    tarfile.CHRTYPE,
                    tarfile.DIRTYPE,
                ]
            )
            member.linkname = str(world.decoy / "thesis.tex")
            content = random.choice([b"", random.randbytes(300), bytes(1_000_000)])
            member.size = len(content) if member.type == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content) if member.size else None)
        for number in range(random.choice([0, 0, 20_000])):
            archive.addfile(tarfile.TarInfo(f"m{number}"))
    content = buffer.getvalue()
    return damage.flip(content, random)[0] if often(random, 40) else content
