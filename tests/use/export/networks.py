"""Networks of a reader's own, as an export meets them, and small runs of them and of the shipped ones."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import classlab as cl

SHIPPED = {
    "era_s6": ("era-s6", {"name": "era_s6"}, (1, 28, 28)),
    "net2": ("eva7-net2", {"name": "eva7", "net": "net2"}, (1, 28, 28)),
    "net3": ("eva7-net3", {"name": "eva7", "net": "net3"}, (1, 28, 28)),
    "net8": ("eva7-net8", {"name": "eva7", "net": "net8"}, (1, 28, 28)),
    "net8-notebook": ("eva7-net8", {"name": "eva7", "net": "net8-notebook"}, (1, 28, 28)),
    "block_network": (
        "blocks",
        {
            "name": "block_network",
            "widths": [8, 12],
            "norm": "group",
            "separable": True,
            "residual": True,
            "strides": [2, 1],
            "squeeze_excite": True,
            "pool_after": [],
        },
        (3, 16, 16),
    ),
    "resnet": ("resnet", {"name": "resnet", "width": 2}, (3, 16, 16)),
    "perceptron": ("prml", {"name": "perceptron", "widths": [30, 20]}, (1, 8, 8)),
    "lenet": ("lenet", {"name": "convnet"}, (3, 32, 32)),
    "squeeze": ("squeeze", {"name": "squeeze"}, (1, 28, 28)),
    "convnet": ("convnet", {"name": "convnet", "padding": 1, "pooling": "average", "activation": "tanh"}, (1, 28, 28)),
    "autoencoder": ("autoencoder", {"name": "autoencoder", "widths": [40, 8]}, (1, 12, 12)),
    "encoder_classifier": ("encoder", {"name": "encoder_classifier", "widths": [40, 8], "hidden": [16]}, (1, 12, 12)),
}


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.answer = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.answer(F.relu(x + self.norm(self.second(x))).mean((2, 3)))


class Depthwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.ReLU6(),
            nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6), nn.BatchNorm2d(6), nn.SiLU(),
            nn.Conv2d(6, 12, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.norm = nn.GroupNorm(4, 8)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.answer = nn.Linear(8 * 5 * 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.leaky_relu(self.norm(self.conv(x)), 0.1))
        return F.log_softmax(self.answer(x.view(x.size(0), -1)), dim=1)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(1, 4, 1)
        self.wide = nn.Conv2d(1, 4, 5, padding=2)
        self.relu = nn.ReLU()
        self.answer = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.relu(self.narrow(x)), self.relu(self.wide(x))], dim=1)
        return self.answer(F.adaptive_avg_pool2d(both, 1).flatten(1))


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.answer = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv(x)))
        x = F.avg_pool2d(x, x.shape[2:]).squeeze(3).squeeze(2)
        x += 1
        x.mul_(0.5)
        return self.answer(x)


OWN = {kind.__name__: kind for kind in (Residual, Depthwise, Grouped, Branches, InPlace)}


def images(shape: tuple[int, ...], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures that a network can tell apart a little, and their classes, 0 to 2."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    pixels = random.integers(0, 120, (count, *shape))
    for place, label in enumerate(labels):
        pixels[place, :, 2 * label : 2 * label + 3] += 130
    return pixels.astype(np.uint8), labels


def small_run(model: object, shape: tuple[int, int, int], out: object, loss: object = None) -> "cl.Run":
    """Return a run of some steps on such pictures."""
    training = {"epochs": 2, "batch_size": 16, "optimizer": {"name": "adam", "learning_rate": 0.01}, "native": False}
    document = {"name": "small", "data": {"dataset": "digits"}, "model": "squeeze", "training": training}
    if isinstance(model, dict):
        document["model"] = model
    document["training"] |= {"loss": loss} if loss else {}
    given = {} if isinstance(model, dict) else {"model": model}
    return cl.train(
        cl.Experiment.model_validate(document), seed=0, out=str(out), data=images(shape, 96, 1),
        test=images(shape, 60, 2), **given,
    )  # fmt: skip
