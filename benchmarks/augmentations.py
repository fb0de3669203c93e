"""Images a second: classlab's batched augmentations beside Pillow, one image at a time, both in one run and in turns.

A batch is 512 MNIST-sized images, uint8 to augmented float32. Pillow's side does what a dataset of single images does:
an Image from the array, the same change with its own draws, back to an array, and 512 of these stacked.

    python -m benchmarks.augmentations [--device cuda]
"""

import argparse
import math
import random
import time

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

from classlab.data.augment import augment, bind
from classlab.experiment import Choice

BATCH, SIDE, ROUNDS, SECONDS = 512, 28, 25, 0.06
BILINEAR = Image.Resampling.BILINEAR

OURS = {
    "rotate": {"degrees": 10.0},
    "shift": {"pixels": 2.0},
    "zoom": {"percent": 10.0},
    "stretch": {"percent": 20.0},
    "shear": {"degrees": 15.0},
    "horizontal_flip": {},
    "vertical_flip": {},
    "crop": {"size": 24},
    "center_crop": {"size": 22},
    "pad_and_crop": {"pixels": 2},
    "random_resized_crop": {},
    "gaussian_noise": {"std": 0.1},
    "uniform_noise": {"high": 0.2},
    "erase": {},
    "brightness": {"percent": 20.0},
    "contrast": {"percent": 20.0},
}


def _affine(image: Image.Image, a: float, b: float, c: float, d: float, e: float, f: float) -> Image.Image:
    middle = SIDE / 2
    data = (a, b, c + middle * (1 - a - b), d, e, f + middle * (1 - d - e))
    return image.transform(image.size, Image.Transform.AFFINE, data, BILINEAR)


def _shift(image: Image.Image) -> Image.Image:
    return _affine(image, 1, 0, random.uniform(-2, 2), 0, 1, random.uniform(-2, 2))


def _zoom(image: Image.Image) -> Image.Image:
    inverse = 1 / random.uniform(0.9, 1.1)
    return _affine(image, inverse, 0, 0, 0, inverse, 0)


def _stretch(image: Image.Image) -> Image.Image:
    return _affine(image, 1 / random.uniform(0.8, 1.2), 0, 0, 0, 1 / random.uniform(0.8, 1.2), 0)


def _shear(image: Image.Image) -> Image.Image:
    return _affine(image, 1, math.tan(math.radians(random.uniform(-15, 15))), 0, 0, 1, 0)


def _crop(image: Image.Image) -> Image.Image:
    left, top = random.randrange(5), random.randrange(5)
    return image.crop((left, top, left + 24, top + 24)).resize((SIDE, SIDE), BILINEAR)


def _center_crop(image: Image.Image) -> Image.Image:
    return image.crop((3, 3, 25, 25)).resize((SIDE, SIDE), BILINEAR)


def _pad_and_crop(image: Image.Image) -> Image.Image:
    left, top = random.randrange(5), random.randrange(5)
    return ImageOps.expand(image, 2).crop((left, top, left + SIDE, top + SIDE))


def _random_resized_crop(image: Image.Image) -> Image.Image:
    for _ in range(10):
        area, ratio = random.uniform(0.08, 1) * SIDE**2, math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= SIDE and 0 < height <= SIDE:
            left, top = random.randint(0, SIDE - width), random.randint(0, SIDE - height)
            return image.crop((left, top, left + width, top + height)).resize((SIDE, SIDE), BILINEAR)
    return image


def _erase(image: Image.Image) -> Image.Image:
    if random.random() < 0.5:
        width, height = random.randint(4, 16), random.randint(4, 16)
        left, top = random.randint(0, SIDE - width), random.randint(0, SIDE - height)
        image.paste(0, (left, top, left + width, top + height))
    return image


def _noisy(image: Image.Image, noise: np.ndarray) -> Image.Image:
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


PILLOW = {
    "rotate": lambda image: image.rotate(random.uniform(-10, 10), BILINEAR),
    "shift": _shift,
    "zoom": _zoom,
    "stretch": _stretch,
    "shear": _shear,
    "horizontal_flip": lambda image: ImageOps.mirror(image) if random.random() < 0.5 else image,
    "vertical_flip": lambda image: ImageOps.flip(image) if random.random() < 0.5 else image,
    "crop": _crop,
    "center_crop": _center_crop,
    "pad_and_crop": _pad_and_crop,
    "random_resized_crop": _random_resized_crop,
    "gaussian_noise": lambda image: _noisy(image, np.random.normal(0, 25.5, (SIDE, SIDE))),
    "uniform_noise": lambda image: _noisy(image, np.random.uniform(0, 51, (SIDE, SIDE))),
    "erase": _erase,
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(random.uniform(0.8, 1.2)),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(random.uniform(0.8, 1.2)),
}


def measure(names: list[str], device: str) -> tuple[float, float]:
    """Return the images a second of ours and of Pillow's, the best of several turns: what the machine allows."""
    pixels = torch.randint(0, 256, (BATCH, 1, SIDE, SIDE), dtype=torch.uint8)
    arrays = [image[0].numpy() for image in pixels]
    on_device = pixels.to(device)
    bound = bind([Choice(name=name, **OURS[name]) for name in names])
    generator = torch.Generator(device).manual_seed(0)

    def ours() -> None:
        augment(on_device.float().div_(255), bound, generator)

    def pillow() -> None:
        images = []
        for array in arrays:
            image = Image.fromarray(array)
            for name in names:
                image = PILLOW[name](image)
            images.append(np.asarray(image, dtype=np.float32) / 255)
        torch.from_numpy(np.stack(images))

    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for side, work in enumerate((ours, pillow)):
            rates[side].append(_rate(work, device if side == 0 else "cpu"))
    return max(rates[0]), max(rates[1])


def _rate(work, device: str) -> float:
    work()
    batches, began = 0, _now(device)
    while _now(device) - began < SECONDS:
        work()
        batches += 1
    return batches * BATCH / (_now(device) - began)


def _now(device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    """Print one row for each augmentation and one for all of them composed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    print(
        f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, batch {BATCH}, {SIDE} × {SIDE} grey\n"
    )
    print("| augmentation | images a second | Pillow, one at a time | ratio |")
    print("|---|---:|---:|---:|")
    for label, names in [*((name, [name]) for name in OURS), ("all composed", list(OURS))]:
        ours, pillow = measure(names, device)
        print(f"| {label} | {ours:,.0f} | {pillow:,.0f} | {ours / pillow:.1f} |", flush=True)


if __name__ == "__main__":
    main()
