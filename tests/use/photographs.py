"""Photographs and drawings of digits, made up: pencil, ink, marker, chalk, screens and print; paper, light and cameras.

`photograph(digit, random)` returns one picture. Everything is drawn from the generator given, so a seed names a set.
"""

import io
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from strokes import drawn

MEDIA = ("ink", "pencil", "marker", "whiteboard", "chalk", "screen", "print", "transparent")
Random = np.random.Generator


def pictures(count: int, seed: int, fonts: list[Path] | None = None) -> list[tuple[Image.Image, int, str]]:
    """Return (picture, digit, medium) `count` times; digits and media take turns."""
    random = np.random.default_rng(seed)
    return [
        (
            photograph(index % 10, random, MEDIA[index // 10 % len(MEDIA)], fonts),
            index % 10,
            MEDIA[index // 10 % len(MEDIA)],
        )
        for index in range(count)
    ]


def photograph(digit: int, random: Random, medium: str, fonts: list[Path] | None = None) -> Image.Image:
    """Return one picture of the digit in the medium named."""
    size = _size(random, medium)
    coverage, place = (_printed if medium == "print" else _written)(digit, size, random, medium, fonts)
    if medium in ("screen", "transparent") or (medium == "print" and random.random() < 0.5):
        return _screen(coverage, random, medium)
    ground, ink, strength = MATERIALS[medium](random)
    grain = _grain(coverage.shape, random, medium)
    paper = np.full((*coverage.shape, 3), ground) * _texture(coverage.shape, random)[..., None]
    if medium in ("ink", "pencil", "marker", "print"):
        paper = _ruled(paper, place, random)
    picture = paper + (ink - paper) * (coverage * grain * strength)[..., None]
    picture = _specks(picture, ink, random)
    if medium != "chalk" and random.random() < 0.15:
        picture = _page_end(picture, random)
    return _camera(picture * _light(coverage.shape, random, medium)[..., None], random)


def _size(random: Random, medium: str) -> tuple[int, int]:
    if medium in ("screen", "transparent"):
        side = int(random.choice([28, 64, 140, 200, 280, 400, 512]))
        return side, side
    side = int(np.exp(random.uniform(np.log(90), np.log(900))))
    return side, int(side * random.choice([1.0, 0.75, 1.33, random.uniform(0.7, 1.4)]))


def _written(digit: int, size: tuple[int, int], random: Random, medium: str, _: object) -> tuple[np.ndarray, float]:
    """Return the ink's coverage 0…1 (height, width) and the digit's height in pixels."""
    height = min(size) * random.uniform(*{"screen": (0.5, 0.88), "transparent": (0.5, 0.88)}.get(medium, (0.22, 0.8)))
    widths = {
        "ink": (0.02, 0.055), "pencil": (0.018, 0.05), "marker": (0.07, 0.17), "whiteboard": (0.04, 0.1),
        "chalk": (0.04, 0.11), "screen": (0.03, 0.16), "transparent": (0.03, 0.14),
    }  # fmt: skip
    pen = max(1.1, height * random.uniform(*widths[medium]))
    lines = drawn(digit, random)
    reach = np.abs(np.concatenate(lines)).max(0) * height + pen
    free = np.maximum(0, np.array([size[1], size[0]]) / 2 - reach) * 0.85
    centre = np.array([size[1], size[0]]) / 2 + random.uniform(-1, 1, 2) * free
    scale = 3 if max(size) < 600 else 2
    canvas = Image.new("L", (size[1] * scale, size[0] * scale))
    draw = ImageDraw.Draw(canvas)
    for line in lines:
        path = (line * height + centre) * scale
        pressure = 1 + 0.18 * np.sin(np.linspace(0, random.uniform(2, 7), len(path)) + random.uniform(0, 6))
        lift = random.random() < 0.06  # a pen that skips
        skip = random.integers(len(path)) if lift else -10
        for index, (here, there) in enumerate(itertools.pairwise(path)):
            if abs(index - skip) < 2:
                continue
            wide = pen * scale * pressure[index]
            draw.line([tuple(here), tuple(there)], fill=255, width=max(1, round(wide)))
            for x, y in (here, there):
                draw.ellipse([x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2], fill=255)
    return np.asarray(canvas.resize((size[1], size[0]), Image.Resampling.BOX)) / 255.0, height


def _printed(
    digit: int, size: tuple[int, int], random: Random, _: str, fonts: list[Path] | None
) -> tuple[np.ndarray, float]:
    height = int(min(size) * random.uniform(0.3, 0.8))
    font = ImageFont.truetype(fonts[random.integers(len(fonts))], height) if fonts else ImageFont.load_default(height)
    canvas = Image.new("L", (size[1], size[0]))
    left, top, right, bottom = font.getbbox(str(digit))
    x = random.uniform(0.02, 0.98) * max(1, size[1] - (right - left)) - left
    y = random.uniform(0.02, 0.98) * max(1, size[0] - (bottom - top)) - top
    ImageDraw.Draw(canvas).text((x, y), str(digit), fill=255, font=font)
    turned = canvas.rotate(random.normal(0, 4), Image.Resampling.BICUBIC)
    return np.asarray(turned) / 255.0, float(height)


def _screen(coverage: np.ndarray, random: Random, medium: str) -> Image.Image:
    """A drawing or a screenshot: flat colours, no camera; or a canvas whose ground is transparent."""
    if medium == "transparent":
        ink = random.choice([0, 0, 0, 255]) * np.ones(3) if random.random() < 0.7 else random.uniform(0, 160, 3)
        layer = np.concatenate([np.full((*coverage.shape, 3), ink), 255 * coverage[..., None]], axis=2)
        return Image.fromarray(layer.round().astype(np.uint8), "RGBA")
    ground, ink = np.full(3, 255.0), random.choice([0, 0, 30]) * np.ones(3)
    if random.random() < 0.4:
        ground, ink = ink, ground
    elif random.random() < 0.3:
        ink = random.permutation([220.0, random.uniform(0, 90), random.uniform(0, 90)])
    picture = ground + (ink - ground) * coverage[..., None]
    return _jpeg(picture, random) if random.random() < 0.4 else Image.fromarray(picture.round().astype(np.uint8))


def _paper(random: Random) -> np.ndarray:
    if random.random() < 0.65:
        return random.uniform(205, 250) * np.array([1.0, random.uniform(0.96, 1.0), random.uniform(0.86, 1.0)])
    return random.uniform([150, 150, 110], [250, 245, 235])  # coloured


def _ink(random: Random) -> tuple[np.ndarray, np.ndarray, float]:
    ink = np.array([[15, 15, 20], [25, 40, 120], [20, 20, 90], [150, 20, 30]])[random.integers(4)]
    return _paper(random), ink + random.uniform(0, 25, 3), random.uniform(0.75, 1.0)


def _pencil(random: Random) -> tuple[np.ndarray, np.ndarray, float]:
    return _paper(random), np.full(3, random.uniform(50, 100)), random.uniform(0.55, 0.9)


def _marker(random: Random) -> tuple[np.ndarray, np.ndarray, float]:
    inks = [[10, 10, 10], [20, 30, 160], [190, 25, 35], [20, 110, 50], [120, 30, 130]]
    return _paper(random), np.array(inks[random.integers(5)]) + random.uniform(0, 20, 3), random.uniform(0.8, 1.0)


def _whiteboard(random: Random) -> tuple[np.ndarray, np.ndarray, float]:
    inks = [[20, 20, 25], [25, 40, 170], [190, 30, 40], [20, 130, 60]]
    ground = random.uniform(200, 245) * np.array([0.97, 1.0, 1.0])
    return ground, np.array(inks[random.integers(4)], dtype=float), random.uniform(0.6, 1.0)


def _chalk(random: Random) -> tuple[np.ndarray, np.ndarray, float]:
    ground = np.array([[35, 60, 45], [40, 42, 44], [60, 75, 65]])[random.integers(3)] + random.uniform(0, 15, 3)
    return ground, random.uniform([200, 200, 170], [250, 250, 245]), random.uniform(0.6, 0.95)


MATERIALS: dict[str, Callable[[Random], tuple[np.ndarray, np.ndarray, float]]] = {
    "ink": _ink, "pencil": _pencil, "marker": _marker, "whiteboard": _whiteboard, "chalk": _chalk, "print": _ink,
}  # fmt: skip


def _grain(shape: tuple[int, ...], random: Random, medium: str) -> np.ndarray:
    """Pencil and chalk leave gaps where the ground is low."""
    if medium not in ("pencil", "chalk"):
        return np.ones(shape)
    rough = ndimage.gaussian_filter(random.normal(0, 1, shape), random.uniform(0.5, 1.3))
    return np.clip(1 + random.uniform(0.15, 0.5) * (rough / rough.std() - 0.3), 0.15, 1.1)


def _texture(shape: tuple[int, ...], random: Random) -> np.ndarray:
    cloudy = ndimage.zoom(
        random.normal(0, 1, (6, 6)), (shape[0] / 6, shape[1] / 6), order=3, grid_mode=True, mode="nearest"
    )
    return 1 + 0.012 * cloudy[: shape[0], : shape[1]]


def _ruled(paper: np.ndarray, place: float, random: Random) -> np.ndarray:
    kind = random.choice(["plain", "plain", "lined", "squared"])
    if kind == "plain":
        return paper
    height, width = paper.shape[:2]
    gap = max(8.0, place * random.uniform(0.3, 1.1) * (0.5 if kind == "squared" else 1.0))
    colour = random.uniform([90, 120, 170], [150, 180, 225])
    angle, wide = random.normal(0, 0.025), max(0.7, min(place * 0.012, 2.5))
    y, x = np.mgrid[:height, :width]
    lines = np.zeros((height, width))
    directions = [(y, x)] if kind == "lined" else [(y, x), (x, -y)]
    for along, across in directions:
        away = np.abs((along + angle * across + random.uniform(0, gap)) % gap - gap / 2)
        lines = np.maximum(lines, np.clip(wide / 2 + 0.5 - away, 0, 1))
    return paper + (colour - paper) * (lines * random.uniform(0.35, 0.9))[..., None]


def _specks(picture: np.ndarray, ink: np.ndarray, random: Random) -> np.ndarray:
    if random.random() < 0.6:
        return picture
    height, width = picture.shape[:2]
    for _ in range(random.integers(1, 6)):
        y, x, radius = random.integers(height), random.integers(width), max(1, int(min(height, width) * 0.006))
        picture[max(0, y - radius) : y + radius, max(0, x - radius) : x + radius] += 0.6 * (ink - picture[y, x])
    return picture


def _page_end(picture: np.ndarray, random: Random) -> np.ndarray:
    """The table beside the page shows at one side."""
    height, width = picture.shape[:2]
    cut, slope = random.uniform(0.01, 0.05), random.normal(0, 0.03)
    y, x = np.mgrid[:height, :width] / min(height, width)
    distance = [x, y, width / min(height, width) - x, height / min(height, width) - y][random.integers(4)]
    return np.where((distance + slope * (x + y) < cut)[..., None], random.uniform(30, 110, 3), picture)


def _light(shape: tuple[int, ...], random: Random, medium: str) -> np.ndarray:
    """Uneven light 0…1: from one side, a vignette, the shadow of a hand, a lamp's reflection on a board."""
    y, x = np.meshgrid(np.linspace(-1, 1, shape[0]), np.linspace(-1, 1, shape[1]), indexing="ij")
    angle = random.uniform(0, 2 * np.pi)
    light = 1 - random.uniform(0, 0.3) * (1 + np.cos(angle) * x + np.sin(angle) * y) / 2
    if random.random() < 0.4:
        light *= 1 - random.uniform(0, 0.35) * (x**2 + y**2) / 2
    if random.random() < 0.35:
        turn, edge = random.uniform(0, 2 * np.pi), random.uniform(-0.6, 0.6)
        soft = random.uniform(0.02, 0.3)
        light *= 1 - random.uniform(0.15, 0.5) / (1 + np.exp(-(np.cos(turn) * x + np.sin(turn) * y - edge) / soft))
    if medium == "whiteboard" and random.random() < 0.4:
        cx, cy = random.uniform(-1, 1, 2)
        light *= 1 + 0.25 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.15)
    return light


def _camera(picture: np.ndarray, random: Random) -> Image.Image:
    blurred = ndimage.gaussian_filter(picture, (*[random.uniform(0.2, 1.2)] * 2, 0))
    noise = random.normal(0, random.uniform(0, 7), picture.shape)
    return _jpeg(blurred + ndimage.gaussian_filter(noise, (0.5, 0.5, 0)), random)


def _jpeg(picture: np.ndarray, random: Random) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=int(random.uniform(35, 95)))
    return Image.open(io.BytesIO(file.getvalue()))
