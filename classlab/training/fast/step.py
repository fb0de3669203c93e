"""A whole training step, forward, backward and update, compiled as one graph. The eager step is in training/train.py.

Most of a small network's step is not arithmetic but some sixty calls from Python into torch. One graph is one call: it
reads and writes the network's weights and the optimizer's tensors where they lie.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils import _pytree as pytree

from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.terminal import errors
from classlab.training import choices
from classlab.training.fast import columns, decompositions, updates
from classlab.training.fast.functional import Functional, take_apart
from classlab.training.fast.native import library, native_evaluation, native_step, step_source
from classlab.training.fast.native.library import Library
from classlab.training.fast.native.stages import NotNativeError
from classlab.training.fast.native.step_layout import Layout
from classlab.training.fast.updates import Slots, Tensors
from classlab.training.settings import Settings
from classlab.training.task import reconstructs

# (inputs, clean, targets, totals): makes one step; adds the sum of the losses and the right answers to the totals,
# float64, (2,). They are one tensor because a float64 tensor of no dimension would be a constant to the tracer: what is
# added to it is lost without a word.
Step = Callable[[Tensor, Tensor, Tensor, Tensor], None]


class Fast(NamedTuple):
    """How a network is trained and evaluated.

    step: makes one step. publish: to be called before anything else looks at the model or the optimizer. answer: the
    outputs of the network, in evaluation mode, for a batch of images. settings: how the steps are made.
    """

    step: Step
    publish: Callable[[], None]
    answer: Callable[[Tensor], Tensor]
    settings: Settings


def fast_step(
    eager: Step, model: nn.Module, optimizer: Optimizer, experiment: Experiment, settings: Settings, inputs: Tensor
) -> Fast:
    """Return step and evaluation in the form that the settings ask for.

    inputs: a batch as it will be given. Raises UserError where a run was begun with a native step that cannot be built
    here.
    """
    if settings.native:
        return _native(model, optimizer, experiment, settings, inputs)
    step, settings = compile_step(eager, model, optimizer, experiment, settings, inputs)
    return Fast(step, lambda: None, model, settings)


def _native(model: nn.Module, optimizer: Optimizer, experiment: Experiment, settings: Settings, inputs: Tensor) -> Fast:
    begun = "the run was begun with the native step"
    try:
        layout = native_step.lay_out(model, experiment, optimizer, settings, tuple(inputs.shape[1:]))
        native = native_step.NativeStep(_library(layout, settings.native, begun), layout, optimizer)
        answer: Callable[[Tensor], Tensor] = model
        publish = native.publish
        if settings.native_evaluation:  # runs of earlier versions have none
            layout = native_evaluation.evaluation_layout(layout)
            answer = native_evaluation.NativeEvaluation(_library(layout, settings.native_evaluation, begun), layout)
            publish = _both(native.publish, answer.take)
    except NotNativeError as error:
        raise UserError(f"{begun} {settings.native}, which cannot be built here: {error}") from None

    def step(inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor) -> None:
        native.step(inputs, targets, totals)

    return Fast(step, publish, answer, settings)


def _library(layout: Layout, digest: str, begun: str) -> Library:
    """Return the library of a layout. Raises UserError where it is not the one that the run was begun with."""
    built = library.build(step_source.text(layout))
    if built.digest != digest:
        raise UserError(
            f"{begun} {digest}, and what {built.compiler} builds on this processor is another; go on where it was begun"
        )
    return built


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        first()
        second()

    return call


def compile_step(
    eager: Step, model: nn.Module, optimizer: Optimizer, experiment: Experiment, settings: Settings, inputs: Tensor
) -> tuple[Step, Settings]:
    """Return the compiled form of the eager step, and the settings; the eager step itself where it is not compiled.

    inputs: a batch as it will be given.

    Where the settings ask for a compiled step, and the network, the loss or the machine cannot have one, it says so and
    stays eager; where the experiment itself asks for it, it raises UserError. Compiling changes no tensor.
    """
    if not settings.compiled:
        return eager, settings
    slots = {parameter: dict(kept) for parameter, kept in optimizer.state.items()}
    try:
        return _compiled(eager, model, optimizer, experiment, inputs), settings
    except UserError:
        raise
    except Exception as error:  # a compiler without headers, a loss that looks at its numbers: torch has many kinds
        if experiment.training.compile is True:
            raise UserError(f"the step cannot be compiled: {_reason(error)}; set training.compile=false") from None
        errors.print(f"the step is not compiled: {_reason(error)}", soft_wrap=True, markup=False)
    optimizer.state.clear()
    optimizer.state.update(slots)
    return eager, replace(settings, compiled=False)


def _reason(error: Exception) -> str:
    """Return the line of the error that says most: of a compiler's report the one that names what it lacks."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line for line in lines if "fatal error:" in line), lines[0])[:200]


def _compiled(eager: Step, model: nn.Module, optimizer: Optimizer, experiment: Experiment, inputs: Tensor) -> Step:
    """Return a step that is one compiled graph for batches as large as `inputs`; a smaller last one goes eagerly."""
    plan = experiment.training
    functional = take_apart(model, inputs)
    columns.allow(functional.network, decompositions.columns(len(inputs)))
    loss_function, counts = choices.loss(plan.loss), not reconstructs(plan.loss)
    update = updates.bind(plan.optimizer.name, optimizer)
    group = optimizer.param_groups[0]
    names, values = zip(*updates.rates(group).items(), strict=True)
    # The tensors of the model and the optimizer themselves, not copies: the eager step of a smaller last batch, the
    # evaluation and the checkpoint all find what the graph wrote.
    weights, others = functional.split({name: value.detach() for name, value in model.state_dict().items()})
    slots = _shared_slots(functional, model, optimizer, plan.optimizer.name)

    def whole_step(
        weights: Tensors, others: Tensors, slots: Slots, rates: Tensor, masks: Tensors,
        inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor,
    ) -> None:  # fmt: skip
        named_rates = dict(zip(names, rates.unbind(), strict=True))
        new_weights, new_others, new_slots, loss, correct = functional.step(
            loss_function, update, counts, weights, others, slots, masks, named_rates, inputs, targets, clean
        )
        _copy(new_weights, weights)
        _copy(new_others, others)
        for slot, tensors in slots.items():
            _copy(new_slots[slot], tensors)
        totals.add_(torch.stack([loss.double() * len(inputs), correct.double()]))

    # A tensor, because the graph would take numbers for constants, and the schedule changes the learning rate.
    rates = torch.tensor(values, dtype=inputs.dtype)
    state = (weights, others, slots, rates)
    masks = functional.draw_masks(len(inputs), torch.Generator(), inputs.dtype)
    targets, totals = torch.zeros(len(inputs), dtype=torch.int64), torch.zeros(2, dtype=torch.float64)
    clean = inputs.clone()  # a tensor apart, or the tracer would take inputs and clean for one and the same
    example = (*state, masks, inputs, clean, targets, totals)
    run = compile_in_place(whole_step, example, decompositions.table(len(inputs)))
    state_leaves, batch_size = pytree.tree_leaves(state), len(inputs)

    def step(inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor) -> None:
        if len(inputs) != batch_size:  # shapes are constants of the graph
            eager(inputs, clean, targets, totals)
            return
        rates[0] = group["lr"]
        # Drawn outside the graph, from torch's own generator and in the layers' order: the draws of the eager step.
        masks = functional.draw_masks(batch_size, torch.random.default_generator, inputs.dtype)
        run(*state_leaves, *masks.values(), inputs, clean, targets, totals)

    return step


def _copy(new: Tensors, old: Tensors) -> None:
    """Write what a pure step returned into the tensors that it was given; what it passed through is there already."""
    for name, value in new.items():
        if value is not old[name]:
            old[name].copy_(value)


def compile_in_place(
    function: Callable[..., None], example: tuple[Any, ...], table: decompositions.Table
) -> Callable[..., Any]:
    """Compile a function that works in place on the tensors of `example`; the result takes its leaves, each by itself.

    table: what is computed in another form, see training.fast.decompositions.

    The function is traced with tensors and its graph handed to the compiler. torch.compile would do the same, but put
    guards around it, which ask before every step whether something has changed: at batch 1 an eighth of the step. Here
    nothing can have changed, since the loop alone calls it, with batches of one size.
    """
    from torch._inductor import compile as compile_graph  # takes a second to import
    from torch.fx.experimental.proxy_tensor import make_fx

    leaves, form = pytree.tree_flatten(example)

    def flat(*leaves: Tensor) -> tuple[()]:
        function(*pytree.tree_unflatten(list(leaves), form))
        return ()

    with torch.no_grad():
        graph = make_fx(flat, table, tracing_mode="fake")(*leaves)
        # What calls the graph's kernels one after the other is C++ too: in Python it cost LeNet at batch 4 a tenth.
        return compile_graph(graph, leaves, options={"cpp_wrapper": True})


def _shared_slots(functional: Functional, model: nn.Module, optimizer: Optimizer, name: str) -> Slots:
    """Return the optimizer's own tensors by slot and parameter, made where the first step has not made them yet."""
    parameters = dict(model.named_parameters())
    slots: Slots = {slot: {} for slot in updates.slots(name, optimizer.param_groups[0])}
    for parameter_name in functional.trained:
        parameter = parameters[parameter_name]
        kept = optimizer.state[parameter]
        for slot, tensors in slots.items():
            if kept.get(slot) is None:
                kept[slot] = torch.zeros(()) if slot == "step" else torch.zeros_like(parameter)
            tensors[parameter_name] = kept[slot]
    return slots
