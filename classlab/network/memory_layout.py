"""Whether a network can be given images that lie in memory channels last, in which convolutions are fastest."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from classlab import readers_code
from classlab.network.trace import blank, evaluating


def takes_channels_last(model: nn.Module, input_shape: tuple[int, int, int]) -> bool:
    """Say whether the network runs with its images channels last.

    One that makes rows of maps by `x.view(len(x), -1)`, as many do, does not: a view follows the order in memory, and
    torch refuses it there. Weights, mode and random state stay as they were.
    """
    images = blank(model, input_shape).contiguous(memory_format=torch.channels_last)
    with _lying(model), evaluating(model), torch.no_grad(), torch.random.fork_rng(devices=[]), readers_code.running():
        try:
            model(images)
        except RuntimeError as error:
            if "view size is not compatible" not in str(error):
                raise
            return False
    return True


@contextmanager
def _lying(model: nn.Module) -> Iterator[None]:
    """Have the weights lie channels last while the block runs."""
    tensors = [*model.parameters(), *model.buffers()]
    before = [tensor.data for tensor in tensors]
    # torch's types do not know the keyword that its documentation gives for changing the layout.
    model.to(memory_format=torch.channels_last)  # pyrefly: ignore[no-matching-overload]
    try:
        yield
    finally:
        # Put back as they were, not turned back: of one channel the strides would stay, and convolutions go by them.
        for tensor, values in zip(tensors, before, strict=True):
            tensor.data = values
