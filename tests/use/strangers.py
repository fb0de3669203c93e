"""Digits by other people, made up otherwise than in photographs.py: other strokes, pens, papers, rims and devices.

Here a digit is arcs and straight lines, as people who print their digits draw them. `strangers(count, seed)` draws all
from the seed, so a seed names a set. `several` and `letters` make what is no single digit.
"""

import io
import itertools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

Random = np.random.Generator
Line = np.ndarray


def arc(x: float, y: float, wide: float, tall: float, start: float, end: float) -> Line:
    """Return points of an ellipse about (x, y); angles in degrees, clockwise from the right."""
    turn = np.deg2rad(np.linspace(start, end, 40))
    return np.stack([x + wide * np.cos(turn), y + tall * np.sin(turn)], axis=1)


def path(*points: tuple[float, float]) -> Line:
    """Return the straight lines from point to point."""
    parts = [np.linspace(here, there, 14) for here, there in itertools.pairwise(points)]
    return np.concatenate(parts)


SHAPES: dict[int, list[list[Line]]] = {
    0: [[arc(0.5, 0.5, wide, 0.5, start, start + 365)] for wide, start in ((0.33, -90), (0.45, -60), (0.24, 200))],
    1: [[path((0.5, 0), (0.5, 1))], [path((0.28, 0.28), (0.55, 0), (0.55, 1))], [path((0.62, 0), (0.42, 1))]],
    2: [
        [arc(0.5, 0.28, 0.36, 0.28, 190, 380), path((0.84, 0.38), (0.12, 1), (0.9, 1))],
        [path((0.1, 0.1), (0.8, 0.02), (0.85, 0.35), (0.1, 0.98), (0.92, 0.95))],
    ],
    3: [
        [arc(0.45, 0.26, 0.34, 0.26, 200, 450), arc(0.45, 0.75, 0.4, 0.25, -90, 160)],
        [path((0.1, 0.02), (0.85, 0.02), (0.42, 0.42)), arc(0.42, 0.7, 0.42, 0.29, -90, 150)],
    ],
    4: [
        [path((0.6, 0), (0.08, 0.62), (0.95, 0.62)), path((0.68, 0.3), (0.68, 1))],
        [path((0.18, 0), (0.15, 0.5), (0.8, 0.5)), path((0.8, 0), (0.8, 1))],
        [path((0.72, 1), (0.72, 0), (0.05, 0.68), (0.98, 0.68))],
    ],
    5: [
        [path((0.85, 0.02), (0.22, 0.02), (0.2, 0.43)), arc(0.45, 0.68, 0.4, 0.31, -125, 140)],
        [path((0.9, 0), (0.2, 0), (0.2, 0.45), (0.8, 0.5), (0.82, 0.9), (0.12, 0.98))],
    ],
    6: [
        [path((0.68, 0), (0.2, 0.55)), arc(0.48, 0.7, 0.33, 0.29, 210, 570)],
        [path((0.75, 0), (0.2, 0.5), (0.2, 0.97), (0.8, 0.97), (0.8, 0.55), (0.22, 0.58))],
        [arc(0.75, 0.6, 0.58, 0.6, 265, 180), arc(0.5, 0.72, 0.33, 0.27, 180, 530)],
    ],
    7: [
        [path((0.08, 0.03), (0.9, 0.03), (0.4, 1))],
        [path((0.1, 0.02), (0.88, 0.02), (0.42, 1)), path((0.35, 0.5), (0.85, 0.5))],
        [path((0.1, 0.2), (0.12, 0.03), (0.9, 0.03), (0.55, 1))],
    ],
    8: [
        [arc(0.5, 0.25, 0.29, 0.25, 90, 450), arc(0.5, 0.74, 0.36, 0.25, -90, 270)],
        [path((0.85, 0.08), (0.2, 0.15), (0.8, 0.8), (0.5, 0.98), (0.18, 0.82), (0.85, 0.1))],
    ],
    9: [
        [arc(0.48, 0.28, 0.33, 0.28, 0, 360), path((0.8, 0.25), (0.72, 1))],
        [arc(0.45, 0.3, 0.33, 0.29, 20, 380), arc(0.35, 0.35, 0.45, 0.63, 0, 95)],
        [path((0.8, 0.35), (0.25, 0.42), (0.2, 0.05), (0.8, 0.03), (0.8, 1))],
    ],
}  # fmt: skip
RULINGS = ("none", "lined", "graph", "dots", "margin", "staves")
RIMS = ("none", "bars", "spiral", "scan", "table", "hand")
DEVICES = ("scanner", "phone", "webcam", "copier", "e-ink")


def strangers(count: int, seed: int) -> list[tuple[Image.Image, int, str]]:
    """Return (picture, digit, rim) `count` times; digits, rims, rulings and devices take turns."""
    random = np.random.default_rng(seed)
    made = []
    for index in range(count):
        digit, rim = index % 10, RIMS[index // 10 % len(RIMS)]
        ruling, device = RULINGS[index // 3 % len(RULINGS)], DEVICES[index // 7 % len(DEVICES)]
        made.append((page([digit], random, ruling, rim, device), digit, rim))
    return made


def several(count: int, seed: int) -> list[tuple[Image.Image, str]]:
    """Return (picture, digits) of two or three digits side by side."""
    random = np.random.default_rng(seed)
    made = []
    for index in range(count):
        digits = [int(digit) for digit in random.integers(0, 10, 2 + index % 2)]
        made.append((page(digits, random, RULINGS[index % 3], "none", DEVICES[index % 5]), "".join(map(str, digits))))
    return made


def letters(count: int, seed: int) -> list[tuple[Image.Image, str]]:
    """Return (picture, letter) of printed letters that are no digit's double, as O, I, S and Z are."""
    random = np.random.default_rng(seed)
    made = []
    for index in range(count):
        letter = "ABCDEFGHJKLMNPRTUVWXY"[index % 21]
        image = Image.new("L", (200, 200), 235)
        font = ImageFont.load_default(int(random.uniform(80, 150)))
        ImageDraw.Draw(image).text((100, 100), letter, fill=int(random.uniform(10, 70)), font=font, anchor="mm")
        turned = image.rotate(random.normal(0, 5), Image.Resampling.BICUBIC, fillcolor=235)
        made.append((turned.convert("RGB"), letter))
    return made


def page(digits: list[int], random: Random, ruling: str, rim: str, device: str) -> Image.Image:
    """Return a picture of a page with these digits on it, in a row."""
    height = int(random.choice([180, 320, 520, 800]))
    width = int(height * random.choice([0.75, 1.0, 1.4]) * (1 + 0.5 * (len(digits) - 1)))
    paper, ink = _colours(random)
    picture = np.full((height, width, 3), paper, dtype=np.float64)
    picture *= 1 + 0.01 * ndimage.gaussian_filter(random.normal(0, 8, (height, width)), 3)[..., None]
    tall = height * random.uniform(0.35, 0.6)
    _rule(picture, ruling, tall, random)
    cover = _written(digits, (height, width), tall, random)
    picture += (ink - picture) * (cover * random.uniform(0.75, 1))[..., None]
    return _taken(_rimmed(picture, rim, random), device, random)


def _colours(random: Random) -> tuple[np.ndarray, np.ndarray]:
    pairs = [
        ((240, 238, 230), (30, 35, 60)), ((186, 150, 108), (35, 25, 20)), ((250, 236, 130), (40, 60, 150)),
        ((36, 70, 130), (235, 240, 245)), ((214, 212, 206), (60, 60, 60)), ((245, 220, 228), (110, 20, 90)),
    ]  # fmt: skip
    paper, ink = pairs[random.integers(len(pairs))]
    return np.array(paper) + random.normal(0, 4, 3), np.array(ink) + random.normal(0, 6, 3)


def _written(digits: list[int], size: tuple[int, int], tall: float, random: Random) -> np.ndarray:
    """Return the ink's coverage: a nib, a ball pen that goes over its line again, or a brush that thins out."""
    height, width = size
    canvas = Image.new("L", (2 * width, 2 * height))
    draw, pen = ImageDraw.Draw(canvas), tall * random.uniform(0.035, 0.12)
    manner = random.choice(["nib", "ball", "brush"])
    slant, turn = random.normal(0, 0.12), random.normal(0, 0.06)
    step = tall * random.uniform(0.85, 1.05)
    left = (width - step * len(digits)) / 2 + random.normal(0, 0.03 * width)
    top = (height - tall) / 2 + random.normal(0, 0.05 * height)
    for place, digit in enumerate(digits):
        lines = SHAPES[digit][random.integers(len(SHAPES[digit]))]
        for again in range(2 if manner == "ball" else 1):
            for line in lines:
                shaken = line + ndimage.gaussian_filter(random.normal(0, 0.05, line.shape), (4, 0)) + 0.01 * again
                x, y = shaken[:, 0] - slant * (shaken[:, 1] - 0.5), shaken[:, 1] + turn * (shaken[:, 0] - 0.5)
                points = 2 * np.stack([left + step * place + 0.72 * tall * x, top + tall * y], axis=1)
                _stroke(draw, points, 2 * pen * (0.6 if manner == "ball" else 1), str(manner))
    return np.asarray(canvas.resize((width, height), Image.Resampling.BOX)) / 255.0


def _stroke(draw: ImageDraw.ImageDraw, points: np.ndarray, pen: float, manner: str) -> None:
    for index, (x, y) in enumerate(np.concatenate([np.linspace(a, b, 6) for a, b in itertools.pairwise(points)])):
        share = index / (6 * len(points))
        wide, high = (
            (pen, pen)
            if manner == "ball"
            else (pen, 0.55 * pen)
            if manner == "nib"
            else (pen * (1.1 - 0.6 * share),) * 2
        )
        draw.ellipse([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], fill=255)


def _rule(picture: np.ndarray, ruling: str, tall: float, random: Random) -> None:
    height, width = picture.shape[:2]
    gap, thick = max(9, int(tall * random.uniform(0.25, 0.7))), max(1, height // 300)
    colour = np.array([120, 150, 200]) * random.uniform(0.8, 1.1)
    start, faint = int(random.integers(gap)), random.uniform(0.3, 0.8)
    rows = [row for row in range(start, height, gap) for row in range(row, min(row + thick, height))]
    columns = [column for column in range(start, width, gap) for column in range(column, min(column + thick, width))]
    marks = np.zeros((height, width))
    if ruling in ("lined", "graph", "margin"):
        marks[rows] = faint
    if ruling == "graph":
        marks[:, columns] = faint
    if ruling == "dots":
        marks[np.ix_(rows, columns)] = 0.9
    if ruling == "staves":
        for line in range(0, 5 * gap // 6, max(3, gap // 6)):
            marks[[min(row + line, height - 1) for row in range(start, height, 2 * gap)]] = faint
    picture += (colour - picture) * marks[..., None]
    if ruling == "margin":
        at = int(width * 0.12)
        picture[:, at : at + thick] += 0.7 * (np.array([210, 70, 70]) - picture[:, at : at + thick])


def _rimmed(picture: np.ndarray, rim: str, random: Random) -> np.ndarray:
    """Lay something along the picture's rim, as photographs and screenshots have it."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width] / min(height, width)
    if rim == "bars":  # a phone's
        bar = int(height * random.uniform(0.05, 0.1))
        picture[:bar], picture[-bar:] = random.choice([20, 245]), random.choice([20, 60, 250])
        picture[bar // 3 : 2 * bar // 3, int(0.05 * width) : int(0.17 * width)] = 128
    elif rim == "spiral":
        for row in range(height // 24, height, height // 12):
            picture[
                (np.arange(height)[:, None] - row) ** 2 + (np.arange(width) - 0.03 * width) ** 2 < (height / 60) ** 2
            ] = 50
    elif rim == "scan":  # the lid was open: grey towards one side
        picture *= (1 - 0.55 * np.clip(1 - x / 0.12, 0, 1) ** 2)[..., None]
    elif rim == "table":
        grain = 90 + 25 * np.sin(30 * y + 4 * np.sin(9 * x))
        picture[x + 0.1 * y < 0.08] = np.stack([grain, 0.7 * grain, 0.45 * grain], axis=2)[x + 0.1 * y < 0.08]
    elif rim == "hand":
        away = (x - random.uniform(0, 1)) ** 2 + (y - height / min(height, width)) ** 2
        picture *= (1 - 0.5 * np.exp(-away / 0.06))[..., None]
    return picture


def _taken(picture: np.ndarray, device: str, random: Random) -> Image.Image:
    height, width = picture.shape[:2]
    if device == "phone":
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        picture = picture * (1 - 0.25 * (x**2 + y**2) / 2 - 0.1 * x)[..., None] + random.normal(0, 5, picture.shape)
    elif device == "copier":
        grey = picture.mean(axis=2, keepdims=True)
        grey = 128 + 2.2 * (grey - np.median(grey)) + (90 if np.median(grey) > 128 else -90)
        picture = np.repeat(grey + 60 * (random.random(grey.shape) < 0.002) * -1, 3, axis=2)
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    if device == "webcam":
        image = image.resize((max(60, width // 3), max(60, height // 3)), Image.Resampling.BILINEAR)
        image = image.filter(ImageFilter.GaussianBlur(0.6))
    if device == "e-ink":
        return image.convert("L").quantize(8, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(random.uniform(45, 92)))
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")
