"""How well an MNIST run reads pictures that are not MNIST's: report 1's naive way, the same mended, and predict.

    python -m benchmarks.pictures RUN [count] [seed]

Three sets: photographs and drawings made up (tests/use/photographs.py; another seed, other pictures), other people's
(tests/use/strangers.py: other strokes, pens, papers, rulings, rims and devices), and scikit-learn's digits enlarged, by
other writers, which nothing here was tuned on. Then rows of digits and letters, of which no answer should be sure.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from classlab import load_run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "use"))
from photographs import pictures
from strangers import letters, several, strangers


def main(run: str, count: int = 400, seed: int = 99) -> None:
    """Print a line for each set: the share each way reads rightly."""
    opened = load_run(run)
    made = pictures(count, seed)
    sets = {"made up": ([picture for picture, _, _ in made], [digit for _, digit, _ in made])}
    others = strangers(count, seed)
    sets["other people's"] = ([picture for picture, _, _ in others], [digit for _, digit, _ in others])
    digits = load_digits()
    ink = [np.rint(255 - image / 16 * 255).astype(np.uint8) for image in digits.images[::3]]
    enlarged = [Image.fromarray(pixels).resize((160, 160), Image.Resampling.BICUBIC) for pixels in ink]
    sets["scikit-learn's digits, enlarged"] = (enlarged, digits.target[::3].tolist())
    for name, (shown, wanted) in sets.items():
        grey = np.stack([np.asarray(picture.convert("L").resize((28, 28))) for picture in shown])[:, None]
        light = np.median(grey, axis=(1, 2, 3), keepdims=True) > 127
        ways = {
            "naive": _naive(opened, grey),
            "normalised and inverted": opened.predict(np.where(light, 255 - grey, grey).astype(np.uint8)),
            "predict": opened.predict(shown),
        }
        shares = [f"{way} {100 * _right(answers, wanted):.1f} %" for way, answers in ways.items()]
        doubt = np.mean([answer.unsure for answer in ways["predict"]])
        wrong = sum(
            not answer.unsure and answer.name != str(digit)
            for answer, digit in zip(ways["predict"], wanted, strict=True)
        )
        doubts = f"{100 * doubt:.1f} % unsure, {wrong} wrong and not unsure"
        print(f"{name}, {len(shown)} pictures: {', '.join(shares)} ({doubts})")
    for name, made in (("rows of digits", several(count // 3, seed)), ("letters", letters(63, seed))):
        answers = opened.predict([picture for picture, _ in made])
        said = sum(getattr(answer, "digits", 1) > 1 for answer in answers)
        unsure = sum(answer.unsure for answer in answers)
        print(f"{name}, {len(made)} pictures: {unsure} unsure, {said} said to be several")


def _naive(run, grey):
    """Return the classes' names by report 1's way, which divides by 255 and forgets the normalisation."""
    import torch

    with torch.no_grad():
        best = run.built()(torch.from_numpy(grey.astype(np.float32) / 255)).argmax(1)
    return [run.environment["class_names"][index] for index in best]


def _right(answers, wanted) -> float:
    names = [getattr(answer, "name", answer) for answer in answers]
    return float(np.mean([name == str(digit) for name, digit in zip(names, wanted, strict=True)]))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
