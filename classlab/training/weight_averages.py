"""Weights beside those that are trained: slow ones (Lookahead), and means that are evaluated in their place.

A state holds the evaluated weights as model.<name>, so that whoever opens a run has them. Where these are means, it
holds the trained ones as trained.<name>, and Lookahead's as slow.<name>.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from classlab.errors import UserError
from classlab.experiment import Training
from classlab.training.state import State

TRAINED, SLOW, EVALUATED = "trained.", "slow.", "model."


class WeightAverages:
    """The slow weights and the means of one training, for what the plan asks of them; else nothing happens here.

    state: of an earlier epoch, to go on from there: then the trained weights are put back into the model.
    """

    def __init__(self, model: nn.Module, plan: Training, state: State | None) -> None:
        self.model, self.lookahead, self.averages = model, plan.lookahead, plan.averages
        self.mean: dict[str, Tensor] = {}
        self.slow: dict[str, Tensor] = {}
        if state is not None and has_mean(plan, len(state["losses"])):
            self.mean = self._copies()
            model.load_state_dict(_named(state, TRAINED))
        elif self.averages and self.averages.ema_decay is not None:
            self.mean = self._copies()
        if self.lookahead:
            kept = self._weights() if state is None else _named(state, SLOW)
            self.slow = {name: value.clone().copy_(kept[name]) for name, value in self._weights().items()}

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Move the slow weights and the mean over the steps. step: how many were made, from 1."""
        if self.lookahead and step % self.lookahead.every_steps == 0:
            for name, weight in self._weights().items():  # Zhang et al., "Lookahead optimizer", 2019
                weight.copy_(self.slow[name].lerp_(weight, self.lookahead.share))
        if self.averages and self.averages.ema_decay is not None:
            self._move(1 - self.averages.ema_decay, buffers=True)

    @contextmanager
    def in_place(self, epoch: int, batches: Iterable[Tensor]) -> Iterator[State]:
        """Have the means in the model while this lasts, and give what a state needs beside them.

        batches: of training images, lazily; through a mean over epochs (Izmailov et al., 2018) they go once, for no
        running statistic of a norm was measured with it.
        """
        beside = _to_cpu(SLOW, self.slow)
        first = self.averages.swa_from_epoch if self.averages else None
        if first is not None and epoch >= first:
            self.mean = self.mean or self._copies()
            self._move(1 / (epoch - first + 1), buffers=False)
        if not self.mean:
            yield beside
            return
        trained = self._copies()
        self.model.load_state_dict(self.mean)
        if first is not None:
            update_bn(batches, self.model)
        yield beside | _to_cpu(TRAINED, trained)
        self.model.load_state_dict(trained)

    def _move(self, share: float, buffers: bool) -> None:
        """Move the mean by a share of its distance to the weights; buffers: running statistics too."""
        weights = self._weights()
        for name, value in self.model.state_dict().items():
            if value.is_floating_point() and (buffers or name in weights):
                self.mean[name].lerp_(value, share)
            else:
                self.mean[name].copy_(value)

    def _weights(self) -> dict[str, Tensor]:
        return {name: weight.detach() for name, weight in self.model.named_parameters() if weight.requires_grad}

    def _copies(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}


def has_mean(plan: Training, epochs: int) -> bool:
    """Say whether the state after so many epochs holds a mean in place of the trained weights."""
    if plan.averages is None:
        return False
    return plan.averages.ema_decay is not None or epochs >= (plan.averages.swa_from_epoch or 0)


def check_beside(model: nn.Module, plan: Training, state: State, where: str) -> None:
    """Raise UserError, before training, where a state lacks weights that stand beside the evaluated ones."""
    everything = {name: value.shape for name, value in model.state_dict().items()}
    trained = {name: weight.shape for name, weight in model.named_parameters() if weight.requires_grad}
    wanted = {TRAINED: everything if has_mean(plan, len(state["losses"])) else {}}
    wanted[SLOW] = trained if plan.lookahead else {}
    for prefix, shapes in wanted.items():
        held = {name: value.shape for name, value in _named(state, prefix).items()}
        if held != shapes:
            raise UserError(f"{where} is the state of another run: its {prefix}* are not this network's weights")


def _to_cpu(prefix: str, weights: State) -> State:
    return {f"{prefix}{name}": value.to("cpu", copy=True).contiguous() for name, value in weights.items()}


def _named(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
