"""Networks of blocks that stand in neighbouring files."""

import torch
import torch.nn.functional as F
from helpers import DepthwiseSeparable, Swish, conv_bn
from parts import Bottleneck, Residual
from torch import nn


def group_norm(channels):
    return nn.GroupNorm(4, channels)


class ResNet(nn.Module):
    def __init__(self, in_channels=3, num_classes=10, widths=(8, 16, 16), norm=nn.BatchNorm2d):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, widths[0], 3, 1, 1, bias=False)
        self.bn = norm(widths[0])
        pairs = zip((widths[0], *widths), widths)
        self.layers = nn.ModuleList([Residual(a, b, 2 if a != b else 1, norm) for a, b in pairs])
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        for layer in self.layers:
            x = layer(x)
        x = F.adaptive_avg_pool2d(x, 1)
        return self.fc(torch.flatten(x, 1))


class GroupNormed(ResNet):
    def __init__(self, in_channels=3):
        super().__init__(in_channels, norm=group_norm)


class InstanceNormed(ResNet):
    def __init__(self):
        super().__init__(norm=lambda channels: nn.InstanceNorm2d(channels, affine=True))


class Forked(nn.Module):
    def __init__(self, groups=2, dilation=2):
        super().__init__()
        self.first = conv_bn(3, 8)
        self.a = Bottleneck(8, 4, 16, groups=groups)
        self.b = Bottleneck(16, 8, 16, groups=4, dilation=dilation)
        self.c = Bottleneck(16, 8, 16, dilation=3)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.c(self.b(F.max_pool2d(self.a(self.first(x)), 2)))
        return self.head(x).mean(dim=(2, 3))


class Mobile(nn.Module):
    def __init__(self, in_chans=1, n_classes=10):
        super().__init__()
        self.stem = conv_bn(in_chans, 8, stride=2)
        self.body = nn.Sequential(
            DepthwiseSeparable(8, 16), Swish(), DepthwiseSeparable(16, 32, 2), Swish(), DepthwiseSeparable(32, 32)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(32, n_classes))

    def forward(self, x):
        x = self.pool(self.body(self.stem(x)))
        return self.classifier(x.squeeze(-1).squeeze(-1))


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleDict({f"d{i}": nn.Conv2d(4 + 4 * i, 4, 3, padding=1) for i in range(3)})
        self.stem = nn.Conv2d(1, 4, 3, stride=2)
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        for conv in self.convs.values():
            x = torch.cat((x, torch.relu(conv(x))), 1)
        return self.out(x.mean(-1).mean(-1))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = conv_bn(1, 4, 1)
        self.three = conv_bn(1, 4, 3)
        self.five = conv_bn(1, 4, 5)
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(1, 4, 1))
        self.mix = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = torch.cat([branch(x) for branch in (self.one, self.three, self.five, self.pool)], dim=1)
        x = self.mix(x)
        return F.avg_pool2d(x, x.size()[2:]).view(x.size(0), -1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels=8, num_classes=10):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(channels, 2), nn.Linear(2, channels)
        self.out = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.conv(x).relu()
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3))))))
        x = x * gate.unsqueeze(-1).unsqueeze(-1)
        return self.out(x.amax((2, 3)))


class Auxiliary(ResNet):
    """A second head that runs in training only, and blocks that nothing calls."""

    def __init__(self):
        super().__init__()
        self.aux = nn.Linear(8, 10)
        self.later = Residual(16, 16)

    def forward(self, x):
        y = F.relu(self.bn(self.stem(x)))
        if self.training:
            return super().forward(x), self.aux(y.mean((2, 3)))
        return super().forward(x)
