"""What a run's network is given: images as the reader has them, normalised; and a look at whether they were."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab.errors import UserError
from classlab.terminal import say

if TYPE_CHECKING:
    from torch import Tensor

FAINT = 63  # of 255: images of which none is brighter are on another scale, as scikit-learn's digits are, from 0 to 16


def normalise(images: Any, shape: Sequence[int], normalise: Mapping[str, Any]) -> "Tensor":
    """Return (x - mean) / std of images on the 0…1 scale, float32; see FinishedRun.normalised."""
    import torch

    values = torch.as_tensor(images)
    channels, height, width = shape
    if values.ndim == 3 and channels == 1:
        values = values[:, None]
    if tuple(values.shape[1:]) != (channels, height, width):
        raise UserError(f"images must be (count, {channels}, {height}, {width}); got {tuple(values.shape)}")
    if values.dtype == torch.uint8:
        if 0 < values.max() <= FAINT:
            say(f"classlab: the brightest pixel of these images is {values.max()} of 255: are they on another scale?")
        values = values.float() / 255
    elif not values.is_floating_point() or not bool(((values >= 0) & (values <= 1)).all()):
        raise UserError("images must be uint8, or fractions from 0 to 1; what is normalised already is given as it is")
    mean, std = (torch.tensor(normalise[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    return (values.float() - mean) / std


class WantsNormalised:
    """Looks at what a network is given before each call. Raises UserError for images that nobody normalised."""

    def __init__(self, run: str, normalise: Mapping[str, Any]) -> None:
        self.run = run
        self.is_identity = not any(normalise["mean"]) and set(normalise["std"]) == {1.0}

    def __call__(self, module: Any, inputs: tuple[Any, ...]) -> None:
        """Look at the images: whole numbers, or fractions of which none is below 0 or above 1, are as they were read.

        Images that are all one value are left alone: somebody asks for shapes.
        """
        import torch

        images = inputs[0] if inputs else None
        if not isinstance(images, torch.Tensor) and hasattr(images, "__array__"):
            raise UserError(
                f"the network of {self.run} takes a tensor of normalised images, and got {type(images).__name__}; "
                "give it run.normalised(images)"
            )
        if self.is_identity or not isinstance(images, torch.Tensor) or torch.compiler.is_compiling():
            return
        if torch.jit.is_tracing() or not images.numel() or images.device.type == "meta":
            return
        low, high = images.min().item(), images.max().item()
        if not images.is_floating_point() or (0 <= low < high <= 1):
            raise UserError(
                f"the network of {self.run} takes normalised images, and these lie in {low:g} … {high:g} as they were "
                "read; give it run.normalised(images)"
            )
