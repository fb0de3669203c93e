"""The norm as a choice, and what blocks of a network are built of beside it: residuals, squeeze and excitation."""

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from classlab.errors import UserError

Norm = Literal["batch", "layer", "group", "instance", "none"]


def norm_layer(norm: Norm, channels: int, groups: int, model: str) -> nn.Module:
    """Return a norm over maps of so many channels, with a weight and a bias for each; "none": what changes nothing.

    layer: over all channels and pixels of an image, which is group normalisation with one group (Wu and He, 2018).
    instance: over the pixels of each channel. groups: of group. Raises UserError where the channels do not fit them.
    """
    if norm == "group" and channels % groups:
        raise UserError(f"model {model}: groups must divide the channels of every layer; got {groups} for {channels}")
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "none":
        return nn.Identity()
    # An instance norm is a group norm of one channel a group; torch's own does not take an empty batch.
    return nn.GroupNorm({"layer": 1, "group": groups, "instance": channels}[norm], channels)


class Residual(nn.Module):
    """activation(branch(x) + shortcut(x)): He et al., "Deep residual learning for image recognition", 2016."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.activation = branch, shortcut, activation

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the branch's shape."""
        return self.activation(self.branch(maps) + self.shortcut(maps))


class SqueezeExcite(nn.Module):
    """Each channel times a factor of 0 … 1 that depends on the means of all channels: Hu et al., 2018."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            average=nn.AdaptiveAvgPool2d(1),
            squeeze=nn.Conv2d(channels, inner, 1),
            relu=nn.ReLU(),
            excite=nn.Conv2d(inner, channels, 1),
            sigmoid=nn.Sigmoid(),
        )
        self.factors = nn.Sequential(layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the shape given."""
        return maps * self.factors(maps)
