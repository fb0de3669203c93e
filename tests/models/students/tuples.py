"""Blocks and networks that give more than one tensor, or take more."""

import torch
import torch.nn.functional as F
from torch import nn


class Down(nn.Module):
    def __init__(self, ins, outs):
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.conv(x))
        return F.max_pool2d(x, 2), x


class UNet(nn.Module):
    """Its blocks give pairs; it gives one image."""

    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.down1, self.down2 = Down(n_channels, 4), Down(4, 8)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.merge = nn.Conv2d(16, 4, 3, padding=1)
        self.last = nn.Upsample(scale_factor=2)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        x, skip1 = self.down1(x)
        x, skip2 = self.down2(x)
        x = self.up(self.middle(x))
        x = self.merge(torch.cat([x, skip2], dim=1))
        return self.out(torch.cat([self.last(x), skip1], dim=1))


class WithIndices(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.out = nn.Linear(4 * 13 * 13, 10)

    def forward(self, x):
        x, indices = self.pool(self.conv(x))
        return self.out(torch.flatten(x, 1))


class LogitsAndFeatures(WithIndices):
    def forward(self, x):
        features = self.pool(self.conv(x))[0]
        return self.out(features.flatten(1)), features


class Dictionary(WithIndices):
    def forward(self, x):
        return {"logits": self.out(self.pool(self.conv(x))[0].flatten(1))}


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x1, x2):
        return (self.conv(x1) - self.conv(x2)).abs().mean((2, 3))


class OptionalMask(WithIndices):
    def forward(self, x, mask=None):
        return super().forward(x if mask is None else x * mask)


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 5, padding=2)
        self.expand = nn.Conv2d(1, 4, 1)
        self.out = nn.Linear(8, 10)

    def forward(self, x):
        a, b = self.expand(x).chunk(2, dim=1)
        x = torch.cat([self.left(a), self.right(b)], 1)
        return self.out(x.mean((2, 3)))


class Rows(nn.Module):
    """A recurrent network over the image's rows."""

    def __init__(self, hidden_size=16, num_layers=2, num_classes=10):
        super().__init__()
        self.lstm = nn.LSTM(28, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, num_classes)

    def forward(self, x):
        out, (h, c) = self.lstm(x.squeeze(1))
        return self.fc(out[:, -1, :])


class Patches(nn.Module):
    def __init__(self, img_size=28, patch_size=7, dim=16, num_classes=10):
        super().__init__()
        self.embed = nn.Conv2d(1, dim, patch_size, stride=patch_size)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.zeros(1, (img_size // patch_size) ** 2 + 1, dim))
        layer = nn.TransformerEncoderLayer(dim, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        return self.head(self.encoder(x)[:, 0])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(784, 32)
        self.decoder = nn.Linear(32, 784)
        self.decoder.weight = nn.Parameter(torch.zeros(784, 32))

    def forward(self, x):
        code = torch.relu(self.encoder(x.flatten(1)))
        return F.linear(code, self.encoder.weight.t(), self.decoder.bias).view(-1, 1, 28, 28)
