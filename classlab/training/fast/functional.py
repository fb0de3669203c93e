"""A network's whole training step as a pure function of tensors, so that it can be compiled into one graph.

A graph knows nothing but tensors that go in and tensors that come out. What a layer does to itself while it trains, and
what it draws at random, would happen once, while the graph is made, and never again. So copies of the layers that do
such things take their place: batch norm returns its new running statistics, dropout takes masks drawn beforehand.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.nn.modules.batchnorm import _BatchNorm

from classlab.training.fast import dropout, replacements
from classlab.training.fast.updates import Slots, Tensors

FEATURE_DROPOUTS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class NotFunctionalError(Exception):
    """This network's training step is no pure function of tensors; the message says what stands in the way."""


class _NormByBatch(_BatchNorm):
    """Batch norm while training; what its running mean and variance become is left in `statistics`.

    torch's own writes them into its buffers, in place, which a pure function must not.
    """

    statistics: tuple[Tensor, Tensor] | None = None

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # the layer whose place this takes has checked it

    def forward(self, input: Tensor) -> Tensor:
        dims = [0, *range(2, input.ndim)]
        count = input.numel() // input.shape[1]
        share = self.momentum  # of the new batch, in torch's sense of the word
        assert share is not None and self.running_mean is not None and self.running_var is not None
        variance, mean = torch.var_mean(input.detach(), dims, correction=0)
        unbiased = variance * (count / max(count - 1, 1))
        self.statistics = (
            (1 - share) * self.running_mean + share * mean,
            (1 - share) * self.running_var + share * unbiased,
        )
        return F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)


class _Masked(nn.Module):
    """Dropout by the mask that stands in the buffer `mask`, already divided by the share that is kept."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones(()), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return input * self.mask


@dataclass(frozen=True)
class Mask:
    """One dropout layer's mask: the layer's name, its shape after the batch, its layout, and the share dropped.

    quick: whether the layer is training.fast.dropout.Dropout, whose draws are other than those of torch's own layers.
    """

    name: str
    shape: tuple[int, ...]
    channels_last: bool
    probability: float
    quick: bool

    def draw(self, count: int, random: Generator, dtype: torch.dtype) -> Tensor:
        """Return the mask of a batch of `count` images, from the same draws as the layer itself makes."""
        if self.quick and random.device.type == "cpu":
            mask = dropout.draw((count, *self.shape), self.probability, dtype, random)
            return dropout.channels_last(mask) if self.channels_last else mask
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        mask = torch.empty((count, *self.shape), dtype=dtype, device=random.device).to(memory_format=layout)
        return mask.bernoulli_(1 - self.probability, generator=random).div_(1 - self.probability)


@dataclass(frozen=True)
class Functional:
    """A network taken apart.

    network: a copy whose own weights are never read. trained: names of the parameters that are trained.
    norms: names of the batch norm layers. masks: of the dropout layers, in the order in which they draw.
    """

    network: nn.Module
    trained: tuple[str, ...]
    norms: tuple[str, ...]
    masks: tuple[Mask, ...]

    def split(self, state: Tensors) -> tuple[Tensors, Tensors]:
        """Return the tensors of a state_dict that are trained, and the others."""
        weights = {name: state[name] for name in self.trained}
        return weights, {name: value for name, value in state.items() if name not in weights}

    def draw_masks(self, count: int, random: Generator, dtype: torch.dtype) -> Tensors:
        """Return the masks of a batch of `count` images, by buffer name."""
        return {f"{mask.name}.mask": mask.draw(count, random, dtype) for mask in self.masks}

    def step(
        self,
        loss_function: Callable[..., Tensor],
        update: Callable[..., tuple[Tensors, Slots]],
        counts: bool,
        weights: Tensors,
        others: Tensors,
        slots: Slots,
        masks: Tensors,
        rates: Tensors,
        inputs: Tensor,
        targets: Tensor,
        clean: Tensor,
    ) -> tuple[Tensors, Tensors, Slots, Tensor, Tensor]:
        """Return the weights, other tensors and slots after one step, the loss before it, and the right answers.

        counts: whether there are right answers to count. rates: learning_rate, weight_decay, momentum.
        """
        norms = [cast(_NormByBatch, self.network.get_submodule(name)) for name in self.norms]

        def forward(weights: Tensors) -> tuple[Tensor, tuple[Tensor, list[tuple[Tensor, Tensor]]]]:
            outputs = functional_call(self.network, {**weights, **others, **masks}, (inputs,))
            loss = loss_function(outputs=outputs, targets=targets, inputs=inputs, clean=clean)
            # The statistics are handed out as a result: what only lies in the layers belongs to the inside of
            # grad_and_value and is no tensor any more once it has returned.
            statistics: list[Any] = [norm.statistics for norm in norms]
            return loss, (outputs.detach(), statistics)

        gradients, (loss, (outputs, statistics)) = grad_and_value(forward, has_aux=True)(weights)
        others = dict(others)
        for name, norm, (mean, variance) in zip(self.norms, norms, statistics, strict=True):
            norm.statistics = None  # else a tensor of this step would outlive it
            others[f"{name}.running_mean"], others[f"{name}.running_var"] = mean, variance
            others[f"{name}.num_batches_tracked"] = others[f"{name}.num_batches_tracked"] + 1
        weights, slots = update(weights, gradients, slots, **rates)
        correct = (outputs.argmax(1) == targets).sum() if counts else outputs.new_zeros((), dtype=torch.int64)
        return weights, others, slots, loss, correct


def take_apart(model: nn.Module, inputs: Tensor) -> Functional:
    """Return the network taken apart. inputs: a batch such as it is trained on, in its layout.

    Raises NotFunctionalError for a network with randomness of its own or buffers that change.
    """
    network = copy.deepcopy(model).train()
    masks = _dropouts(network, inputs)
    norms = []
    for name, layer in list(network.named_modules()):
        if not layer.training:
            raise NotFunctionalError(f"the layer {name} stays in evaluation mode while training")
        if isinstance(layer, _BatchNorm):
            if layer.momentum is None or layer.running_mean is None or type(layer).forward is not _BatchNorm.forward:
                raise NotFunctionalError(f"the batch norm {name} does not keep the usual running statistics")
            layer.__class__ = _NormByBatch
            norms.append(name)
    for mask in masks:
        _replace(network, mask.name, _Masked())
    # torch.func cannot differentiate our max pooling, whose backward pass is written by hand; torch's it can.
    replacements.undo(network, (replacements.POOLING,))
    trained = tuple(name for name, parameter in network.named_parameters() if parameter.requires_grad)
    _check_pure(network, model, inputs, norms)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return Functional(network, trained, tuple(norms), tuple(masks))


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, layer)


def _dropouts(network: nn.Module, inputs: Tensor) -> list[Mask]:
    """Return the masks of all dropout layers, in the order in which one forward pass draws them.

    Raises NotFunctionalError for a dropout layer or a batch norm that the pass meets twice: there is one mask for the
    layer, and one pair of running statistics is returned, which the second use would have to go on from.
    """
    masks: list[Mask] = []
    handles = []
    norms_met: set[str] = set()
    names = {id(layer): name for name, layer in network.named_modules()}

    def meet_norm(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if names[id(layer)] in norms_met:
            raise NotFunctionalError(f"the batch norm {names[id(layer)]} is used twice")
        norms_met.add(names[id(layer)])

    def meet_dropout(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        values, probability = given[0], float(getattr(layer, "p", 0.0))
        if any(mask.name == names[id(layer)] for mask in masks):
            raise NotFunctionalError(f"the dropout layer {names[id(layer)]} is used twice")
        if 0 < probability < 1:
            shape = tuple(values.shape[1:])
            if isinstance(layer, FEATURE_DROPOUTS):
                shape = (shape[0], *(1 for _ in shape[1:]))
            # A layer fills its mask in the order in which the mask lies in memory. To give every pixel the draw that
            # the layer itself would have given it, ours must lie as the layer's does.
            last = values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last)
            last = last and not values.is_contiguous() and not isinstance(layer, FEATURE_DROPOUTS)
            masks.append(Mask(names[id(layer)], shape, last, probability, isinstance(layer, dropout.Dropout)))

    for layer in network.modules():
        if type(layer) in (nn.Dropout, dropout.Dropout, *FEATURE_DROPOUTS):
            handles.append(layer.register_forward_pre_hook(meet_dropout))
        elif isinstance(layer, _BatchNorm):
            handles.append(layer.register_forward_pre_hook(meet_norm))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network(inputs)
    for handle in handles:
        handle.remove()
    return masks


def _check_pure(network: nn.Module, model: nn.Module, inputs: Tensor, norms: list[str]) -> None:
    """Raise NotFunctionalError where the network, its layers replaced, still draws numbers or changes a buffer.

    A graph would go on with the numbers drawn while it was made, and never change the buffer.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.random.get_rng_state()
        network(inputs)
        if not torch.equal(before, torch.random.get_rng_state()):
            raise NotFunctionalError("it draws random numbers of its own")
    running = {f"{name}.{part}" for name in norms for part in ("running_mean", "running_var", "num_batches_tracked")}
    after = dict(network.named_buffers())
    for name, value in model.named_buffers():
        if name not in running and not torch.equal(after[name], value):
            raise NotFunctionalError(f"it changes its buffer {name} while training")
    for name in norms:
        cast(_NormByBatch, network.get_submodule(name)).statistics = None
