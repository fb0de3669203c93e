"""Pictures that somebody sent: every format damaged, bombs, what is no picture, and odd names."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from tests.hostile import attacks, commands, damage
from tests.hostile.case import Case, World, often

FORMATS = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif", "PPM": ".ppm"}
MODES = {
    "PNG": ("1", "L", "P", "RGB", "RGBA", "LA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P"),
    "BMP": ("1", "L", "P", "RGB"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I", "I;16", "LAB"),
    "PPM": ("1", "L", "RGB", "I"),
}
NAMES = (
    "a.png", "a b.jpg", "-rf.png", "=1+1.png", "@x.png", "x\x1b[2J.png", "new\nline.png", "[bold red]x.png",
    "[].png", "<img src=x onerror=alert('hostile')>.png", "\u202egnp.png", "x" * 250 + ".png", "é.png", "%s.png",
    "{}.png", "..png", ".png", "a.PNG", "a.jpg.exe.png", "con.png", "\x9b31m.png", "#.png", "'.png", '".png', "a,b.png",
    "a;b.png", "\\input{x}.png", "$x$.png", "٣.png",
)  # fmt: skip


def make(world: World, random: Random) -> Case:
    """Return a case on pictures of which some are hostile."""
    folder = world.sent / "pictures"
    folder.mkdir()
    notes = [put(world, folder, random, f"p{number}") for number in range(random.choice([1, 1, 1, 2, 4]))]
    if often(random, 8):
        notes.append(crowd(folder, random))
    if often(random, 10):
        notes.append(f"beside: {attacks.put_beside(world, random, folder)}")
    run = str(world.donors / commands.world_name(world, random.choice(["run"] * 12 + ["tiny"] * 3 + ["auto"])))
    files = [
        str(commands.placed(world, file, "work")) for file in sorted(folder.iterdir()) if not file.name.startswith("-")
    ]
    whole = often(random, 50) or not files
    words = ["predict", run, *([commands.placed(world, folder, "work")] if whole else files[:50])]
    words += (
        damage.maybe(random, 25, "--json")
        + damage.maybe(random, 25, "--explain", "why.png")
        + damage.maybe(random, 25, "--csv", "answers.csv")
    )
    words += damage.maybe(random, 30, "--prepare", random.choice(["plain", "digits"]))
    case = Case(
        words,
        "; ".join(notes),
        "work",
        ["work/why.png", "work/answers.csv"],
        encoding=commands.encoding(random),
        whole=commands.whole(random, "; ".join(notes)),
    )
    case.megabytes, case.seconds = 2000, 5.0 + 2.5 * len(notes)
    return case


def put(world: World, folder: Path, random: Random, stem: str) -> str:
    """Put one picture into the folder and say what is the matter with it."""
    kind = random.choice(list(FORMATS))
    name = (
        random.choice(NAMES)
        if often(random, 25)
        else stem + random.choice([FORMATS[kind]] * 6 + list(FORMATS.values()))
    )
    file = folder / name
    ways: dict[str, tuple[int, Callable[[], bytes | None]]] = {
        "flipped": (40, lambda: damage.flip(whole(kind, random), random, random.choice([None, 60, 300]))[0]),
        "whole": (12, lambda: whole(kind, random)),
        "odd chunk": (12, lambda: png_chunks(random)),
        "declared": (12, lambda: declared(random)),
        "bomb": (5, lambda: bomb(random)),
        "frames": (3, lambda: frames(random)),
        "tags": (8, lambda: tiff(random)),
        "no picture": (8, lambda: no_picture(world, random)),
        "strip": (
            4,
            lambda: _saved(
                Image.new("L", random.choice([(1, 1), (65_000, 1), (1, 65_000), (20_000, 3)]), random.choice([0, 255])),
                "PNG",
            ),
        ),
        "place": (7, lambda: None),
    }
    way = random.choices(list(ways), [weight for weight, _ in ways.values()])[0]
    content = ways[way][1]()
    if content is None:
        file.touch()
        return f"{kind}: {damage.stand_in(world, file, random)}"
    file.write_bytes(content)
    return f"{kind} {way} as {name[:40]!a}"


def whole(kind: str, random: Random) -> bytes:
    """Return a small picture of a format, of some mode and with some of the things that cameras add."""
    mode = random.choice(MODES[kind])
    side = random.choice([1, 2, 8, 28, 40])
    grey = Image.fromarray(np.frombuffer(random.randbytes(side * side), np.uint8).reshape(side, side))
    try:
        picture = grey.convert(mode) if mode not in ("I;16", "LAB") else Image.new(mode, (side, side))
    except ValueError:
        picture = grey.convert("L")
    options: dict[str, object] = {}
    if kind in ("JPEG", "PNG", "WEBP", "TIFF") and often(random, 30):
        exif = Image.Exif()
        exif[0x0112] = random.choice([0, 3, 6, 8, 9, 255])
        options["exif"] = exif
    if kind == "TIFF":
        options["compression"] = random.choice(
            ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg" if mode in ("L", "RGB") else "raw"]
        )
    if kind == "JPEG":
        options |= {"progressive": often(random, 30), "quality": random.choice([1, 50, 100])}
    return _saved(picture, kind, **options)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, kind, **options)
    except (OSError, ValueError, KeyError, RuntimeError):
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, kind)
    return buffer.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    width: int, height: int, rows: bytes, more: bytes = b"", depth: int = 8, colour: int = 0, interlaced: int = 0
) -> bytes:
    """Return a PNG of any declared size. rows: its packed pixels. more: chunks before them."""
    head = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + more + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def png_chunks(random: Random) -> bytes:
    """Return a PNG with chunks that unpack to much, or that stand where none should."""
    rows = zlib.compress((b"\0" + bytes(8)) * 8)
    much = zlib.compress(bytes(random.choice([1000, 30_000_000, 100_000_000])), 9)
    more = random.choice(
        [
            _chunk(b"zTXt", b"Comment\0\0" + much),
            _chunk(b"iTXt", b"Comment\0\1\0\0\0" + much),
            _chunk(b"iCCP", b"icc\0\0" + much),
            _chunk(b"tEXt", b"a" * 500_000),
            _chunk(b"tEXt", b"a\0" + b"\x1b[2J" * 100) * 2000,
            _chunk(b"eXIf", random.randbytes(200)),
            _chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + bytes(200)),
            _chunk(b"PLTE", bytes(3 * 300)),
            _chunk(b"tRNS", bytes(300)),
            _chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
            _chunk(b"fcTL", bytes(26)),
            _chunk(b"IHDR", bytes(13)),
            _chunk(b"IDAT", rows),
            _chunk(b"gAMA", b"\0" * 4),
            _chunk(b"sRGB", b"\xff"),
            _chunk(b"\x1b[2J"[:4], b""),
            struct.pack(">I", 2**31) + b"tEXt",
            struct.pack(">I", 2**32 - 1) + b"junk",
            _chunk(b"pHYs", bytes(9)),
            _chunk(b"fdAT", much),
        ]
    )
    return png(
        8,
        8,
        rows,
        more,
        colour=random.choice([0, 0, 3, 4, 6]),
        depth=random.choice([8, 8, 8, 1, 16, 3]),
        interlaced=random.choice([0, 0, 1, 9]),
    )


def declared(random: Random) -> bytes:
    """Return a picture whose declared size is not that of its pixels."""
    width, height = random.choice(
        [
            (2**31, 2**31),
            (2**32 - 1, 1),
            (0, 0),
            (0, 8),
            (100_000, 100_000),
            (10_000, 10_000),
            (30_000, 3333),
            (65_535, 65_535),
            (2**24, 5),
            (12_000, 12_000),
        ]
    )
    rows = zlib.compress(bytes(1000))
    short = min(width, 65_535), min(height, 65_535)
    forms = [
        lambda: png(width, height, rows, depth=random.choice([1, 8, 16]), colour=random.choice([0, 2, 6])),
        lambda: (
            b"BM"
            + struct.pack(
                "<IHHIIiiHHIIiiII",
                1000,
                0,
                0,
                54,
                40,
                min(width, 2**31 - 1),
                random.choice([1, -1]) * min(height, 2**31 - 1),
                1,
                random.choice([1, 8, 24, 32, 7]),
                random.choice([0, 1, 2, 3, 9]),
                0,
                0,
                0,
                random.choice([0, 2**31]),
                0,
            )
            + bytes(900)
        ),
        lambda: (
            b"GIF89a"
            + struct.pack("<HHBBB", *short, 0x80, 0, 0)
            + bytes(6)
            + b","
            + struct.pack("<HHHHB", 0, 0, *short, 0)
            + b"\x02\x02\x4c\x01\x00;"
        ),
        lambda: (
            random.choice([b"P1", b"P2", b"P3", b"P5", b"P6", b"P7", b"Pf", b"PF"])
            + f"\n{width} {height}\n{random.choice([255, 0, -1, 65535, 10**30, 'x'])}\n".encode()
            + bytes(500)
        ),
        lambda: b"P6\n" + b"9" * random.choice([10, 5000]) + b" 1\n255\n",
        lambda: b"P6\n#" + b"c" * 3_000_000 + b"\n1 1\n255\n\0\0\0",
        lambda: b"P2\n3 3\n255\n" + b" " * 3_000_000,
        lambda: (
            b"\xff\xd8\xff\xc0\x00\x11\x08"
            + struct.pack(">HH", short[1], short[0])
            + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
            + b"\xff\xda"
            + bytes(400)
        ),
        lambda: (
            b"RIFF"
            + struct.pack("<I", 100)
            + b"WEBPVP8X"
            + struct.pack("<IB", 10, 2)
            + bytes(3)
            + struct.pack("<I", 0xFFFFFF)[:3] * 2
            + bytes(60)
        ),
        lambda: (
            b"RIFF" + struct.pack("<I", 60) + b"WEBPVP8L" + struct.pack("<I", 40) + b"\x2f\xff\xff\xff\xff" + bytes(40)
        ),
    ]
    return random.choice(forms)()


def bomb(random: Random) -> bytes:
    """Return a small file that is a large picture, within what is read or just above."""
    width, height, colour, channels = random.choice(
        [(9000, 9000, 0, 1), (9990, 9990, 2, 3), (9990, 9990, 6, 4), (10_100, 10_100, 2, 3), (50_000, 1900, 0, 1)]
    )
    packer = zlib.compressobj(1)
    row = b"\0" + bytes(width * channels)
    rows = (
        b"".join([packer.compress(row * 100) for _ in range(height // 100)])
        + packer.compress(row * (height % 100))
        + packer.flush()
    )
    return png(width, height, rows, colour=colour)


def frames(random: Random) -> bytes:
    """Return a moving picture of very many frames."""
    count = random.choice([2, 3000, 100_000])
    frame = (
        b"\x21\xf9\x04\x00\x00\x00\x00\x00,"
        + struct.pack("<HHHHB", 0, 0, 8, 8, 0)
        + b"\x02\x06\x84\x8f\xa9\xcb\xed\x0f\x00"
    )
    return b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * count + b";"


def tiff(random: Random) -> bytes:
    """Return a TIFF whose tags are odd: counts, types, offsets, a circle of directories."""
    order, mark = random.choice([("<", b"II"), (">", b"MM")])
    tags = {
        256: (4, 8),
        257: (4, 8),
        258: (3, 8),
        259: (3, 1),
        262: (3, 1),
        273: (4, 8),
        277: (3, 1),
        278: (4, 8),
        279: (4, 64),
    }
    for _ in range(random.choice([1, 2, 4])):
        tag = random.choice(
            [*tags, *tags, 322, 323, 324, 325, 320, 338, 339, 330, 34665, 700, 34377, 50_000, 0, 274, 347, 317, 266]
        )
        tags[tag] = (
            random.choice([1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 16, 0, 255]),
            random.choice([0, 1, 2, 7, 8, 99, 32_773, 34_712, 50_001, 2**16 - 1, 2**31, 2**32 - 1]),
        )
    count = len(tags) if often(random, 80) else random.choice([0, 65_535, 300])
    directory = struct.pack(f"{order}H", count)
    for tag, (kind, value) in sorted(tags.items()):
        directory += struct.pack(f"{order}HHII", tag, kind, random.choice([1] * 6 + [0, 2, 10**6, 2**32 - 1]), value)
    start = 72
    after = random.choice([0, 0, 8, start, 2**31])
    return (
        mark
        + struct.pack(f"{order}HI", random.choice([42, 42, 42, 43]), start)
        + random.randbytes(64)
        + directory
        + struct.pack(f"{order}I", after)
        + bytes(40)
    )


def no_picture(world: World, random: Random) -> bytes:
    """Return a file of another kind under a picture's name."""
    return random.choice(
        [
            b"",
            b"\0",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999\n("
            + str(world.canary).encode()
            + b") (w) file closefile\n",
            b"%PDF-1.7\n1 0 obj<</JavaScript 1>>",
            b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
            attacks.evil_code(world).encode(),
            b"PK\x03\x04" + bytes(500),
            b"\x7fELF" + bytes(500),
            b"\x89HDF\r\n\x1a\n" + bytes(300),
            b"SIMPLE  =" + b" " * 2000,
            b"8BPS\0\1" + bytes(300),
            b"\0\0\1\0\1\0" + bytes(300),
            b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(200),
            b"\0\0\0 ftypheic" + bytes(300),
            b"\0\0\0 ftypavif" + bytes(300),
            b"icns" + bytes(300),
            b"/* XPM */" + b'"9 9 999999 9",' * 3000,
            b"#define x_width 99999999\n#define x_height 99999999\nstatic char x[] = {",
            b"\xd7\xcd\xc6\x9a" + bytes(300),
            b"\x0a\x05\x01\x08" + bytes(200),
            b"\x59\xa6\x6a\x95" + bytes(200),
            random.randbytes(3000),
            b"qoif" + struct.pack(">II", 2**30, 2**30) + b"\3\0" + bytes(100),
            b"DDS " + bytes(200),
            b"\x01\xda" + bytes(600),
        ]
    )


def crowd(folder: Path, random: Random) -> str:
    """Add very many files, or folders without end."""
    way = random.choice(["files", "loop", "deep"])
    if way == "files":
        content = _saved(Image.new("L", (8, 8)), "PNG")
        for number in range(150):
            (folder / f"many{number}.png").write_bytes(content)
    elif way == "loop":
        (folder / "again").symlink_to(".")
        (folder / "again.png").symlink_to("..")
    else:
        (folder / "/".join(["deep.png"] * 60)).mkdir(parents=True)
    return f"crowd: {way}"
