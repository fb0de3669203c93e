"""Which of torch's layers have a faster form on a processor, and putting the one in the other's place."""

from collections.abc import Sequence
from typing import Any, cast

from torch import nn

from classlab.training.fast import columns, dropout, pooling

# torch's layer, ours, and whether ours can do what a layer of torch's is set to.
Form = tuple[type[nn.Module], type[nn.Module], Any]
DROPOUT: Form = (nn.Dropout, dropout.Dropout, lambda layer: True)
POOLING: Form = (nn.MaxPool2d, pooling.MaxPool2d, pooling.is_plain)
COLUMNS: Form = (nn.Conv2d, columns.Conv2d, columns.is_plain)
FORMS = (DROPOUT, POOLING, COLUMNS)
# An image of one channel lies both ways at once, so that the convolution by columns would turn it channels last.
FORMS_OF_ROWS = (DROPOUT, POOLING)


def quicken(model: nn.Module, forms: Sequence[Form] = FORMS) -> nn.Module:
    """Give torch's own layers the faster form, in place, and return the network; subclasses of them keep theirs."""
    for layer in model.modules():
        for torchs, ours, suits in forms:
            if type(layer) is torchs and suits(layer):
                layer.__class__ = cast(Any, ours)
    return model


def undo(model: nn.Module, forms: Sequence[Form]) -> None:
    """Give the layers torch's own form back, in place."""
    for layer in model.modules():
        for torchs, ours, _ in forms:
            if type(layer) is ours:
                layer.__class__ = cast(Any, torchs)
