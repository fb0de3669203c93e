"""A campaign of generated networks: each is trained natively and by torch, or the native step says why it cannot.

    python -m tests.training.native.campaign --count 500 --seed 1

Each network takes some seconds of a compiler; `make long` runs it. Exit code 1 where a network differs.
"""

import argparse
import random
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import nn

from classlab.training.fast.native import library, step_source
from classlab.training.fast.native.native_evaluation import NativeEvaluation, evaluation_layout
from classlab.training.fast.native.stages import NotNativeError
from tests.training.native.test_native_step import ADAM, ADAMW, PLAIN_SGD, SGD, generated, pair, train_both

STEPS, LARGEST = 10, 1e-9
# What the native step does not have, or not in this place.
STRANGE = (
    lambda width: nn.Conv2d(width, width, 3, stride=2, padding=1),
    lambda width: nn.Conv2d(width, width, 3, dilation=2, padding=2),
    lambda width: nn.Conv2d(width, width, 1, groups=width),
    lambda width: nn.Conv2d(width, width, (1, 3), padding=(0, 1)),
    lambda width: nn.Conv2d(width, width, 3, padding="same"),
    lambda width: nn.GroupNorm(1, width),
    lambda width: nn.BatchNorm2d(width, affine=False),
    lambda width: nn.BatchNorm2d(width, track_running_stats=False),
    lambda width: nn.MaxPool2d(2, stride=1),
    lambda width: nn.AvgPool2d(3, padding=1),
    lambda width: nn.Dropout2d(0.2),
    lambda width: nn.GELU(),
    lambda width: nn.LeakyReLU(),
    lambda width: nn.Identity(),
    lambda width: nn.ReLU(),
)


def network(seed: int) -> tuple[nn.Module, tuple[int, int, int], int, int, dict]:
    """A random network; every third has something that the native step does not have, or not in this place."""
    made, shape = generated(seed)
    draw = random.Random(f"strange {seed}")
    batch, threads = draw.choice([1, 2, 5, 9, 18, 40]), draw.choice([1, 1, 2, 3])
    layers = [*made.children()]
    maps = [place for place, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    if maps and draw.random() < 1 / 3:
        place = draw.choice(maps)
        layers.insert(place + 1, draw.choice(STRANGE)(layers[place].out_channels))
        made = nn.Sequential(*layers)
    if any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in layers):
        batch = max(batch, 3)  # a norm of a single image has no variance
    if any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in layers):
        # A bias before a norm has a gradient of zero, which differs by its rounding alone; Adam divides it by itself.
        optimizer = draw.choice([SGD, PLAIN_SGD | {"learning_rate": 0.05}])
    else:
        optimizer = draw.choice([SGD, PLAIN_SGD | {"learning_rate": 0.05}, ADAM, ADAMW])
    return made, shape, batch, threads, optimizer


def tried(seed: int) -> tuple[int, str]:
    """Return the seed, and `agrees`, `refused: …` or what is wrong."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        library.folder = lambda: Path(folder)  # nothing of it is left behind
        made, shape, batch, threads, optimizer = network(seed)
        try:
            with torch.no_grad():
                made(torch.zeros(2, *shape))
        except (RuntimeError, ValueError):
            return seed, "is no network: torch refuses it"
        try:
            both = pair(made, shape, batch=batch, threads=threads, optimizer=optimizer)
        except NotNativeError as error:
            return seed, f"refused: {error}"
        largest = train_both(*both, steps=STEPS)
        if not largest < LARGEST:
            return seed, f"differs by {largest:.1e}"
        layout = evaluation_layout(both[1].memory.layout)
        evaluated = NativeEvaluation(library.build(step_source.text(layout)), layout)
        evaluated.take()
        images = torch.randn(37, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            expected = both[0].eval()(images)
        difference = (evaluated(images) - expected).abs().max().item()
        return seed, "agrees" if difference < LARGEST else f"evaluation differs by {difference:.1e}"


def main() -> int:
    """Try networks; print what is wrong, and how many agree and are refused why."""
    options = argparse.ArgumentParser()
    for name, default in (("count", 500), ("seed", 1), ("jobs", 2)):
        options.add_argument(f"--{name}", type=int, default=default)
    asked = options.parse_args()
    said: Counter[str] = Counter()
    wrong = 0
    with ProcessPoolExecutor(asked.jobs) as processes:
        seeds = range(asked.seed * 1_000_000, asked.seed * 1_000_000 + asked.count)
        for number, (seed, answer) in enumerate(processes.map(tried, seeds), 1):
            said[answer.partition(":")[0]] += 1
            if "differs" in answer:
                wrong += 1
                print(f"network {seed} {answer}", flush=True)
            if number % 50 == 0:
                print(f"{number} of {asked.count}: {dict(said)}", flush=True)
    print(f"{asked.count} networks: {dict(said)}")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
