"""torchvision as a reader has it; only its compiled operators, which no dataset and transform needs, do not load."""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset

from classlab.runs.preparation import Prepared

# Importing torchvision registers shapes for these; without its compiled library they are nowhere declared.
OPERATORS = ("nms", "qnms")


def torchvision() -> ModuleType:
    """Return torchvision, imported beside a torch that its compiled library does not fit."""
    if not hasattr(torchvision, "declared"):
        torchvision.declared = torch.library.Library("torchvision", "DEF")
        for name in OPERATORS:
            if not hasattr(torch.ops.torchvision, name):
                torchvision.declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision as module

    return module


def dataset(prepared: Prepared) -> Dataset:
    """Return the training images as torchvision gives them: one PIL image at a time, transformed into a tensor."""
    images, labels = prepared.dataset.images[prepared.train], prepared.dataset.labels[prepared.train]
    copies = TRANSFORMS[prepared.experiment.name]()
    parts = [_torchvision_dataset(prepared.experiment.data.dataset.name, images, labels, copy) for copy in copies]
    return parts[0] if len(parts) == 1 else ConcatDataset(parts)


def _torchvision_dataset(name: str, images: Any, labels: Any, transform: Any) -> Dataset:
    """Return torchvision's own dataset over our arrays: its constructor alone, which would read files, is left out."""
    kinds = torchvision().datasets
    kind = {"mnist": kinds.MNIST, "fashion-mnist": kinds.FashionMNIST, "cifar10": kinds.CIFAR10}[name]
    made = kind.__new__(kind)
    made.transform, made.target_transform = transform, None
    if name == "cifar10":
        made.data, made.targets = images.transpose(0, 2, 3, 1).copy(), labels.tolist()
    else:
        made.data, made.targets = torch.from_numpy(images[:, 0]), torch.from_numpy(labels)
    return made


def _tensor(mean: float, std: float, channels: int = 1) -> list[Any]:
    transforms = torchvision().transforms
    return [transforms.ToTensor(), transforms.Normalize((mean,) * channels, (std,) * channels)]


def _raw() -> list[Any]:
    return [torchvision().transforms.ToTensor()]


def _mnist() -> list[Any]:
    return [torchvision().transforms.Compose(_tensor(0.1307, 0.3081))]


def _era_s6() -> list[Any]:
    t = torchvision().transforms
    crop = t.RandomApply([t.CenterCrop(22)], p=0.1)
    return [t.Compose([crop, t.Resize((28, 28)), t.RandomRotation((-15.0, 15.0), fill=0), *_tensor(0.1307, 0.3081)])]


def _cifar() -> list[Any]:
    return [torchvision().transforms.Compose(_tensor(0.5, 0.5, channels=3))]


def _fashion() -> list[Any]:
    """Originals, flipped, noisy, flipped and noisy."""
    t = torchvision().transforms
    plain, flip, noise = _raw(), t.RandomHorizontalFlip(p=1.0), t.Lambda(_noisy)
    return [t.Compose(each) for each in (plain, [flip, *plain], [*plain, noise], [flip, *plain, noise])]


def _noisy(image: Tensor) -> Tensor:
    return image + torch.randn_like(image)


def _mnist_20k() -> list[Any]:
    t = torchvision().transforms
    bilinear = t.InterpolationMode.BILINEAR
    moved = t.RandomAffine(10, translate=(2 / 28, 2 / 28), scale=(0.9, 1.1), interpolation=bilinear)
    return [t.Compose([moved, *_tensor(0.1307, 0.3081)])]


TRANSFORMS = {
    "era-s6": _era_s6,
    "eva7-net8": _mnist,
    "prml-mlp": _raw,
    "cifar-lenet": _cifar,
    "fashion-cnn": _fashion,
    "fashion-autoencoder": _fashion,
    "mnist-20k": _mnist_20k,
}
