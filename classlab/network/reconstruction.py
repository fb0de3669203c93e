"""What is to be known of a network that reconstructs its input: what it can reach, its errors, its codes."""

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from classlab.errors import UserError
from classlab.network.layer_table import LayerTable

# What an activation can give: the lowest and the highest number.
RANGES = {
    **dict.fromkeys(("ReLU", "Softplus"), (0.0, math.inf)),
    **dict.fromkeys(("Sigmoid", "Hardsigmoid", "Softmax"), (0.0, 1.0)),
    **dict.fromkeys(("Tanh", "Hardtanh", "Softsign"), (-1.0, 1.0)),
    "ReLU6": (0.0, 6.0),
    "ELU": (-1.0, math.inf),
}
SHAPING = {"Unflatten", "Flatten", "view", "reshape", "squeeze", "unsqueeze", "Identity", "Dropout"}
CODES_BATCH = 1000


def reachable(table: LayerTable) -> tuple[float, float]:
    """Return the lowest and highest number that the network's last layer can give; infinities where there is no end."""
    kinds = [layer.kind for layer in table.layers if layer.kind not in SHAPING]
    return RANGES.get(kinds[-1], (-math.inf, math.inf)) if kinds else (-math.inf, math.inf)


def floor(targets: Iterable[Tensor], low: float, high: float) -> float:
    """Return the mean squared error that remains however well a network is trained whose outputs lie in low … high.

    It is the mean over all numbers of the squared distance to that range. targets: batches of images as the loss sees
    them, normalised and with their noise, (batch, channels, height, width). Raises UserError where there is no image.
    """
    total, count = 0.0, 0
    for images in targets:
        images = images.double()
        total += float((images - images.clamp(low, high)).square().sum())
        count += images.numel()
    if not count:
        raise UserError("the floor of a reconstruction error needs at least one image, got none")
    return total / count


def floor_without_noise(
    clean: Iterable[Tensor], noise_mean: float, noise_variance: float, low: float, high: float
) -> float:
    """Return the floor for noisy targets of a network that can tell the image but not the noise, which has no pattern.

    The best it can give is the mean of the noisy pixel, put into its range: E(x + u - y)² = var u + (x + E u - y)².
    clean: batches of normalised images; the noise's mean and variance are on the same scale.
    """
    return noise_variance + floor((images.double() + noise_mean for images in clean), low, high)


def silent_outputs(outputs: Tensor, targets: Tensor, low: float) -> tuple[int, float]:
    """Return how many output numbers are at `low` for every image, and what these cost of the mean squared error.

    A ReLU that gives 0 for every image has no gradient and never wakes. The cost is that above the floor, part of the
    mean over all numbers. outputs, targets: (count, channels, height, width), a few thousand images suffice.
    """
    flat, wanted = outputs.flatten(1), targets.flatten(1).double()
    silent = (flat <= low).all(dim=0)
    cost = (wanted[:, silent] - low).clamp(min=0).square().sum() / wanted.numel()
    return int(silent.sum()), float(cost)


def floor_sentence(value: float, low: float, high: float) -> str:
    """Say where the floor comes from."""
    if value == 0:
        return "The floor is 0: the outputs can reach every value of the images."
    ends = [f"below {low:g}"] * math.isfinite(low) + [f"above {high:g}"] * math.isfinite(high)
    lie = " or ".join(ends)
    return (
        f"The floor is {value:.4f}. The last layer gives nothing {lie}, so the parts of the images {lie} cannot be "
        "reconstructed. Their squared distance remains in the error however long the training."
    )


def errors_by_class(outputs: Tensor, targets: Tensor, labels: Tensor, classes: int) -> list[float | None]:
    """Return the mean squared error of the images of each class; None for a class without images.

    outputs, targets: (count, channels, height, width); labels: int64, (count,).
    """
    errors = (outputs.double() - targets.double()).square().flatten(1).mean(1)
    return [
        float(errors[labels == label].mean()) if bool((labels == label).any()) else None for label in range(classes)
    ]


@torch.no_grad()
def codes(model: nn.Module, images: Tensor) -> Tensor:
    """Return the codes of normalised images, float32, (count, size): what the model's `encoder` makes of them.

    Raises UserError for a model without an encoder.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UserError(f"codes are what a model's encoder gives, and this {type(model).__name__} has no part so named")
    training = model.training
    model.eval()
    parts = [encoder(part).flatten(1).float() for part in images.split(CODES_BATCH)]
    model.train(training)
    return torch.cat(parts)


LARGEST = 1e100  # of a code that is drawn: squares of larger ones are not finite


def in_two_dimensions(codes: Tensor, kind: Literal["pca", "tsne"] = "pca", seed: int = 0) -> np.ndarray:
    """Return a place in the plane for each code, float64, (count, 2).

    pca: along the two directions in which the codes differ most, each turned so that its largest weight is positive.
    tsne: neighbours stay neighbours, distances mean little (van der Maaten and Hinton, 2008); `seed` decides it.
    """
    points = codes.double().cpu().numpy()
    if min(points.shape) < 2 or len(points) < 3:
        raise UserError(
            f"a picture of codes needs at least 3 of at least 2 numbers, got {len(points)} of {points.shape[1]}"
        )
    if not np.isfinite(points).all() or np.abs(points).max() > LARGEST:
        raise UserError("a picture of codes needs codes that are finite and below 1e100; the network gives others")
    if kind == "pca":
        centred = points - points.mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        directions = directions[:2]
        strongest = np.abs(directions).argmax(axis=1)
        return centred @ (directions * np.sign(directions[[0, 1], strongest])[:, None]).T
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(points) - 1) / 3)
    method = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    with threadpool_limits(1):  # sums in another order would give another picture
        return np.asarray(method.fit_transform(points), dtype=np.float64)
