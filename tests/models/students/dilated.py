"""Dilation and groups, alone and together, written in many ways."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


def row(*layers, channels=4):
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def dilated(d=2):
    return row(nn.Conv2d(1, 4, 3, padding=d, dilation=d), nn.ReLU(), nn.Conv2d(4, 4, 3, dilation=2 * d))


def uneven():
    return row(nn.Conv2d(1, 4, (3, 5), stride=(1, 2), padding=(1, 0), dilation=(2, 1)), nn.Conv2d(4, 4, (1, 3)))


def grouped():
    return row(nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2, groups=2))


def depthwise():
    return row(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 7, padding=3, groups=4), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3))


def both():
    return row(nn.Conv2d(2, 4, 3, groups=2, dilation=3), nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, groups=4, dilation=2))


def pooled():
    return row(nn.MaxPool2d(3, stride=1, dilation=2), nn.Conv2d(1, 4, 3), nn.LPPool2d(2, 2), nn.Conv2d(4, 4, 2))


def ceiled():
    return row(
        nn.Conv2d(1, 4, 2), nn.MaxPool2d(2, ceil_mode=True), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    )


def transposed():
    return row(
        nn.Conv2d(1, 4, 3, stride=2), nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=2), nn.Conv2d(4, 4, 3)
    )


def shuffled():
    return row(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.PixelShuffle(2),
        nn.Conv2d(4, 4, 3),
        nn.PixelUnshuffle(2),
        nn.Conv2d(16, 4, 1),
    )


class Pyramid(nn.Module):
    """Three dilations side by side, as DeepLab has them."""

    def __init__(self, num_class=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.branches = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.out = nn.Conv2d(12, num_class, 1)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([F.relu(branch(x)) for branch in self.branches], 1)
        return self.out(x).mean([2, 3])


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 4, 3)
        self.b = nn.Conv2d(4, 4, 3, groups=2)

    def forward(self, x):
        x = F.conv2d(x, self.a.weight, self.a.bias, dilation=2)
        x = F.conv2d(F.relu_(x), self.b.weight, self.b.bias, 2, 1, 1, 2)
        return F.pad(x, (1, 1, 1, 1)).mean((2, 3))


class Cropped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.short = nn.Conv2d(1, 4, 1)
        self.out = nn.Linear(4, 10)

    def forward(self, x):
        y = self.conv(x) + self.short(x)[:, :, 1:-1, 1:-1]
        return self.out(y.flatten(2).max(dim=2).values)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.first = nn.Conv2d(1, 4, 1)

    def forward(self, x):
        x = self.first(x)
        for _ in range(3):
            x = torch.relu(self.conv(x)) + x
        return x.mean((2, 3))


class Shuffle(nn.Module):
    """Channel shuffle by views, as ShuffleNet has it."""

    def __init__(self, groups=2):
        super().__init__()
        self.groups = groups
        self.a, self.b = nn.Conv2d(2, 8, 3, padding=1, groups=groups), nn.Conv2d(8, 8, 3, padding=1, groups=groups)
        self.out = nn.Linear(8, 10)

    def forward(self, x):
        x = self.a(x)
        b, c, h, w = x.size()
        x = x.view(b, self.groups, c // self.groups, h, w).transpose(1, 2).contiguous().view(b, c, h, w)
        return self.out(self.b(x).mean((2, 3)))
