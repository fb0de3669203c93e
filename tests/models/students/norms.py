"""Norms of every kind between convolutions."""

import torch
import torch.nn.functional as F
from torch import nn


class LayerNorm2d(nn.Module):
    """Over the channels of each place, as ConvNeXt has it."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


def stack(norm1, norm2, channels=8):
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        norm1,
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, channels, 3),
        norm2,
        nn.ReLU(),
        nn.Conv2d(channels, 4, 3, stride=2),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


def group():
    return stack(nn.GroupNorm(2, 8), nn.GroupNorm(8, 8))


def layer():
    return stack(nn.LayerNorm([8, 32, 32]), nn.LayerNorm([8, 14, 14]))


def rows():
    return stack(nn.LayerNorm(32), nn.Identity())


def instance():
    return stack(nn.InstanceNorm2d(8), nn.InstanceNorm2d(8, affine=True))


def tracked():
    return stack(nn.InstanceNorm2d(8, track_running_stats=True), nn.BatchNorm2d(8))


def local():
    return stack(nn.LocalResponseNorm(3), LayerNorm2d(8))


def late():
    return stack(nn.BatchNorm2d(8), nn.GroupNorm(1, 8))


class ConvNext(nn.Module):
    def __init__(self, dim=8, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, dim, 4, stride=4)
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.pw1, self.pw2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.ones(dim))
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x):
        x = self.stem(x)
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.pw2(F.gelu(self.pw1(self.norm(y)))) * self.gamma
        x = x + y.permute(0, 3, 1, 2)
        return self.head(x.mean([-2, -1]))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(6, 1, 3, 3))
        self.w2 = nn.Parameter(torch.randn(6, 2, 3, 3))
        self.g = nn.Parameter(torch.ones(6))
        self.out = nn.Linear(6, 10)

    def forward(self, x):
        x = F.group_norm(F.conv2d(x, self.w1, padding=2, dilation=2), 3, weight=self.g)
        x = F.conv2d(F.leaky_relu(x), self.w2, stride=2, groups=3)
        return self.out(F.adaptive_max_pool2d(x, (1, 1)).flatten(1))


class WeightNormed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 5, stride=2))
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 3, dilation=2))
        self.out = nn.Linear(4, 10)

    def forward(self, x):
        return self.out(self.spectral(self.conv(x).relu()).mean((2, 3)))
