"""Pictures that are made to be costly, or are none: one sentence at once, or the picture within its memory."""

import io
import struct
import zlib

import numpy as np
import pytest
from cost import put_in_the_way, within
from PIL import Image, ImageDraw

from classlab.data.bounded_files import BadFile
from classlab.data.pictures import pictures_below, read_picture
from classlab.use.picture_file import read

READERS = {"a dataset's": lambda path: read_picture(path, (28, 28)), "a prediction's": lambda path: read(path).pixels}


@pytest.fixture(params=READERS)
def reader(request):
    return READERS[request.param]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits=8, colour=0, before=b"", after=b""):
    """A black PNG, packed row by row; before, after: chunks around its pixels."""
    row = bytes(1 + (width * bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] + 7) // 8)
    packer = zlib.compressobj(1)
    rows = max(1, 1_000_000 // len(row))
    packed = [packer.compress(row * min(rows, height - start)) for start in range(0, height, rows)]
    palette = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)) + palette + before
    pixels = chunk(b"IDAT", b"".join([*packed, packer.flush()]))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + after + chunk(b"IEND", b"")


def saved(kind, mode="RGB", size=(40, 30), **options):
    image = Image.new("RGB", size, (230, 225, 200))
    ImageDraw.Draw(image).line([(10, 5), (20, 25), (30, 4)], fill=(20, 30, 60), width=3)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    stream = io.BytesIO()
    (image if mode in ("RGB", "I;16") else image.convert(mode)).save(stream, kind, **options)
    return stream.getvalue()


JPEG, GIF = saved("JPEG"), saved("GIF", "P")
FIRST_IMAGE = GIF.index(b",\0\0\0\0")  # where the one of a GIF begins
# 65,535 notes, each as long as all of them together.
NOTES = (
    b"II*\0\x08\0\0\0\xff\xff" + b"".join(struct.pack("<HHII", tag, 1, 700_000, 8) for tag in range(65535)) + bytes(4)
)


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def scanned_again(times):
    progressive = saved("JPEG", "L", (4000, 4000), progressive=True)
    last = progressive.rindex(b"\xff\xda")
    return progressive[:-2] + progressive[last:-2] * times + progressive[-2:]


def strips(count):
    """A TIFF of one pixel in a row, each row a strip of its own."""
    place = 8 + 2 + 12 * 9 + 4
    tags = [(256, 1, 1), (257, 1, count), (258, 1, 8), (259, 1, 1), (262, 1, 1), (273, count, place), (277, 1, 1)]
    tags += [(278, 1, 1), (279, count, place + 4 * count)]
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", 9) + b"".join(struct.pack("<HHII", tag, 4, *at) for tag, *at in tags)
    places = np.arange(count, dtype="<u4") + place + 8 * count
    return head + bytes(4) + places.tobytes() + np.ones(count, "<u4").tobytes() + bytes(count)


def bitmap(content):
    head = struct.pack("<IHHI", 0, 0, 0, 1078) + struct.pack(
        "<IiiHHIIiiII", 40, 10_000, 10_000, 1, 8, 1, 0, 0, 0, 256, 0
    )
    return b"BM" + head + bytes(1024) + content


BOMBS = {
    "more pixels than are read.png": lambda: png(13_000, 13_000),
    "a hundred million rows.png": lambda: png(1, 100_000_000),
    "a million chunks.png": lambda: png(8, 8, before=chunk(b"abCd", b"") * 1_000_000),
    "a million chunks behind.png": lambda: png(8, 8, after=chunk(b"abCd", b"") * 1_000_000),
    "a million empty parts.png": lambda: png(8, 8, after=chunk(b"IDAT", b"") * 1_000_000),
    "texts.png": lambda: png(8, 8, before=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) * 2000),
    "a colour profile.png": lambda: png(8, 8, before=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(99_000_000)))),
    "a million segments.jpg": lambda: JPEG[:2] + segment(0xEF, b"") * 1_000_000 + JPEG[2:],
    "notes in many parts.jpg": lambda: JPEG[:2] + segment(0xE1, b"Exif\0\0" + NOTES[:60_000]) * 400 + JPEG[2:],
    "nothing.jpg": lambda: b"\xff\xd8\xff" + bytes(20_000_000),
    "a thousand scans.jpg": lambda: scanned_again(1000),
    "remarks.gif": lambda: GIF[:FIRST_IMAGE] + b"!\xfe" + b"\x01x" * 10_000_000 + b"\0" + GIF[FIRST_IMAGE:],
    "extensions.gif": lambda: GIF[:FIRST_IMAGE] + b"!\xf9\x04\0\0\0\0\0" * 2_000_000 + GIF[FIRST_IMAGE:],
    "a large screen.gif": lambda: GIF[:6] + b"\xff\xff\xff\xff" + GIF[10:],
    "pixels byte by byte.gif": lambda: GIF[: FIRST_IMAGE + 11] + b"\x01\x01" * 5_000_000 + b"\0;",
    "pieces.tiff": lambda: strips(300_000),
    "tags.tiff": lambda: NOTES,
    "remarks.ppm": lambda: b"P3\n3 2\n255\n" + b"#\n" * 3_000_000,
    "remarks in front.ppm": lambda: b"P3\n" + b"#\n" * 5_000_000 + b"3 2\n255\n",
    "cut short.ppm": lambda: b"P6\n10000 10000\n65535\n" + bytes(6_000_000),
    "cut short too.ppm": lambda: b"P2\n10000 10000\n255\n" + b"1 " * 3_000_000,
    "cut short.bmp": lambda: bitmap(b"\xff\x01" * 100 + b"\0\1"),
    "empty lines.bmp": lambda: bitmap(b"\0\0" * 3_000_000 + b"\0\1"),
    "for a printer.png": lambda: saved("EPS"),
    "for a printer.jpg": lambda: saved("PDF"),
    "other.jpg": lambda: saved("JPEG2000") if "JPEG2000" in Image.SAVE else saved("ICO"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_picture_that_would_cost_far_more_than_its_size_is_refused_at_once(name, reader, tmp_path):
    Image.init()  # every reader that Pillow has is known, so it is our list that refuses some of them
    path = tmp_path / name
    path.write_bytes(BOMBS[name]())
    with within(), pytest.raises(BadFile) as told:
        reader(path)
    assert str(told.value).startswith(f"{path} is ") and "\n" not in str(told.value) and len(str(told.value)) < 400


HUNDRED_MILLION = {
    "black and white": (1, 0),
    "16 bits": (16, 0),
    "colour": (8, 2),
    "palette": (8, 3),
    "half clear": (8, 6),
}


@pytest.mark.parametrize("name", HUNDRED_MILLION)
def test_a_picture_of_a_hundred_million_pixels_takes_less_than_two_gigabytes(name, reader, tmp_path):
    (tmp_path / "x.png").write_bytes(png(10_000, 10_000, *HUNDRED_MILLION[name]))
    with within(20, 1_700):
        assert reader(tmp_path / "x.png").shape[2] == 3


@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1), (1, 1), (3, 100_000)])
def test_strips_are_pictures(size, reader, tmp_path):
    (tmp_path / "x.png").write_bytes(png(*size, 8, 2))
    with within():
        assert reader(tmp_path / "x.png").max() == 0


def test_of_very_many_frames_the_first_is_taken_at_once(reader, tmp_path):
    frames = [Image.new("RGB", (8, 8), (number % 255, number // 255, 0)) for number in range(200)]
    for kind in ("TIFF", "WEBP", "GIF", "PNG"):
        path = tmp_path / f"x.{kind.lower()}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
    (tmp_path / "more.gif").write_bytes(GIF[:-1] + GIF[FIRST_IMAGE:-1] * 100_000 + b";")
    for path in tmp_path.iterdir():
        with within(0.5, 100):
            assert reader(path).ndim == 3


@pytest.mark.parametrize(
    "notes",
    [
        b"",
        b"II*\0\x08\0\0\0\xff\xff",
        NOTES[:60_000],
        NOTES,
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0",
    ],
)
def test_notes_of_a_camera_that_are_damaged_are_none_and_the_picture_is_whole(notes, reader, tmp_path):
    (tmp_path / "x.png").write_bytes(png(8, 8, before=chunk(b"eXIf", notes)))
    (tmp_path / "x.jpg").write_bytes(JPEG[:2] + segment(0xE1, b"Exif\0\0" + notes[:60_000]) + JPEG[2:])
    for path in tmp_path.iterdir():
        with within():
            assert reader(path).ndim == 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_a_camera_s_orientation_is_followed_once(kind, orientation, tmp_path):
    upright = Image.new("RGB", (20, 16), "white")
    ImageDraw.Draw(upright).rectangle((0, 0, 4, 4), "red")
    ImageDraw.Draw(upright).rectangle((15, 0, 19, 4), "lime")
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that Pillow's numbering undoes
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turned[orientation]))
    stored.save(tmp_path / f"x.{kind}", exif=exif, lossless=True)
    assert np.array_equal(read_picture(tmp_path / f"x.{kind}"), np.asarray(upright))
    assert np.array_equal(read(tmp_path / f"x.{kind}").pixels, np.asarray(upright))


def test_only_regular_files_are_opened(reader, tmp_path):
    for path in put_in_the_way(tmp_path, ".png"):
        with within(0.5), pytest.raises(BadFile, match=r"is not a regular file|there is no file|cannot be read"):
            reader(path)


def good_pictures():
    notes = Image.Exif()
    notes[0x0112], notes[0x0110], notes[0x011A] = 6, "camera" * 20, 72.0
    frames = {"save_all": True, "append_images": [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]}
    yield from (saved("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"))
    yield from (saved("PNG", "P", transparency=bytes(range(200))), saved("PNG", exif=notes), saved("PNG", **frames))
    yield from (saved("JPEG", mode) for mode in ("L", "CMYK"))
    yield from (saved("JPEG", progressive=True), saved("JPEG", exif=notes), saved("JPEG", icc_profile=b"x" * 3000))
    yield from (saved("GIF", "L"), saved("GIF", **frames, transparency=1, disposal=2))
    yield from (saved("BMP", mode) for mode in ("1", "L", "P", "RGB", "RGBA"))
    yield from (saved("WEBP", "RGBA", lossless=True), saved("WEBP", exif=notes), saved("WEBP", **frames))
    yield from (saved("TIFF", mode) for mode in ("1", "LA", "P", "RGB", "CMYK", "I;16"))
    packed = ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")
    yield from (saved("TIFF", compression=compression) for compression in packed)
    yield from (saved("TIFF", "1", compression="group4"), saved("TIFF", exif=notes), saved("TIFF", **frames))
    yield from (saved("PPM", mode) for mode in ("1", "L", "RGB"))
    yield b"P3\n# c\n3 2\n255\n255 0 0 0 255 0 0 0 255 1 2 3 4 5 6 7 8 9\n"
    yield b"P6\n3 2\n65535\n" + bytes(36)
    yield b"P5\n3 2\n100\n" + bytes(6)


VALUES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\x10\0\0", b"\0\0\x10\0")


def mutated(content, random):
    content = bytearray(content)
    for _ in range(random.integers(1, 6)):
        place = int(random.integers(min(len(content), 120 if random.random() < 0.6 else len(content))))
        match random.integers(6):
            case 0:
                content[place] ^= 1 << int(random.integers(8))
            case 1:
                content[place : place + 4] = VALUES[random.integers(len(VALUES))]
            case 2:
                del content[place : place + int(random.integers(1, 30))]
            case 3:
                content[place:place] = random.bytes(int(random.integers(1, 20)))
            case 4:
                start = int(random.integers(len(content)))
                content[place : place + 20] = content[start : start + 20]
            case 5:
                del content[place + 1 :]
        if not content:
            break
    return bytes(content)


def test_whole_pictures_of_every_kind_are_read_and_900_damaged_ones_end_in_a_picture_or_a_sentence(tmp_path):
    random, path = np.random.default_rng(7), tmp_path / "x.png"
    whole = list(good_pictures())
    for content in whole:
        path.write_bytes(content)
        assert read_picture(path).shape == read(path).pixels.shape
    for case in range(900):
        path.write_bytes(mutated(whole[case % len(whole)], random))
        for name, reader in READERS.items():
            with within(1, 300):
                try:
                    pixels = reader(path)
                    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size, name
                except BadFile as error:
                    assert str(error).startswith(f"{path} is ") and "\n" not in str(error) and len(str(error)) < 400


def test_files_below_a_folder_are_found_once_in_the_order_of_their_paths(tmp_path):
    for name in ("b/2.png", "b.png", "a/x/1.png", "a/0.png", "a-1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a" / "around").symlink_to(tmp_path)
    (tmp_path / "linked.png").symlink_to(tmp_path / "b.png")
    put_in_the_way(tmp_path, ".png")
    expected = sorted(path for path in tmp_path.rglob("*.png") if path.name[0] in "012abl-" and path.is_file())
    told = []
    expected = [path for path in expected if "around" not in str(path)]
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden").touch()
    assert pictures_below(tmp_path, told.append) == (expected, 1)
    assert not told
    with pytest.raises(BadFile, match="nowhere cannot be read: No such file"):
        pictures_below(tmp_path / "nowhere", told.append)


def test_a_folder_below_that_cannot_be_read_is_told_and_the_rest_is_found(tmp_path, monkeypatch):
    import os

    for name in ("a/1.png", "locked/2.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    really = os.scandir

    def scandir(place):
        if str(place).endswith("locked"):
            raise PermissionError(13, "Permission denied", place)
        return really(place)

    monkeypatch.setattr(os, "scandir", scandir)
    told = []
    assert pictures_below(tmp_path, told.append) == ([tmp_path / "a" / "1.png"], 0)
    assert told == [f"the folder {tmp_path / 'locked'} cannot be read: Permission denied"]
