"""The step and the evaluation of a run: in C where its settings say so, else as they are in training/train.py."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.training.fast.native import library, native_evaluation, native_step, step_source
from classlab.training.fast.native.library import Library
from classlab.training.fast.native.stages import NotNativeError
from classlab.training.fast.native.step_layout import Layout
from classlab.training.settings import Settings

# (inputs, clean, targets, totals): makes one step; adds the sum of the losses and the right answers to the totals,
# float64, (2,).
Step = Callable[[Tensor, Tensor, Any, Tensor], None]
BEGUN = "the run was begun with the native step"


class Fast(NamedTuple):
    """How a network is trained and evaluated.

    step: makes one step. publish: to be called before anything else looks at the model or the optimizer. answer: the
    outputs of the network, in evaluation mode, for a batch of images.
    """

    step: Step
    publish: Callable[[], None]
    answer: Callable[[Tensor], Tensor]


def fast_step(
    eager: Step, model: nn.Module, optimizer: Optimizer, experiment: Experiment, settings: Settings, inputs: Tensor
) -> Fast:
    """Return step and evaluation in the form that the settings ask for.

    inputs: a batch as it will be given. Raises UserError where a run was begun with a native step that cannot be built
    here.
    """
    if not settings.native:
        return Fast(eager, lambda: None, model)
    try:
        layout = native_step.lay_out(model, experiment, optimizer, settings, tuple(inputs.shape[1:]))
        native = native_step.NativeStep(_library(layout, settings.native), layout, optimizer)
        evaluation = None
        if settings.native_evaluation:
            layout = native_evaluation.evaluation_layout(layout)
            evaluation = native_evaluation.NativeEvaluation(_library(layout, settings.native_evaluation), layout)
    except NotNativeError as error:
        raise UserError(f"{BEGUN} {settings.native}, which cannot be built here: {error}") from None

    def step(inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor) -> None:
        native.step(inputs, targets, totals)

    def publish() -> None:
        native.publish()
        if evaluation is not None:
            evaluation.take()

    return Fast(step, publish, evaluation or model)


def _library(layout: Layout, digest: str) -> Library:
    """Return the library of a layout. Raises UserError where it is not the one that the run was begun with."""
    built = library.build(step_source.text(layout))
    if built.digest != digest:
        raise UserError(
            f"{BEGUN} {digest}, and what {built.compiler} builds on this processor is another; go on where it was begun"
        )
    return built
