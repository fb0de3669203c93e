"""One training step: forward, backward, update. Eager, or as one compiled graph; both do it in place."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.terminal import errors
from classlab.training import choices
from classlab.training.fast import columns, decompositions, updates
from classlab.training.fast.functional import Functional, take_apart
from classlab.training.fast.updates import Slots, Tensors
from classlab.training.settings import Settings
from classlab.training.task import reconstructs

# (inputs, clean, targets, totals): makes one step; adds the sum of the losses and the right answers to the totals,
# float64, (2,). (Two numbers of no dimension would be constants to torch.compile.)
Step = Callable[[Tensor, Tensor, Tensor, Tensor], None]


def make_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, experiment: Experiment, settings: Settings, inputs: Tensor
) -> tuple[Step, Settings]:
    """Return the step for this model and optimizer, which it changes in place, and the settings that it keeps to.

    inputs: a batch as it will be given.

    Where the settings ask for a compiled step, and the network, the loss or the machine cannot have one, it says so and
    is eager; where the experiment itself asks for it, it raises UserError. Making the step changes nothing.
    """
    eager = _eager(model, optimizer, experiment, settings)
    if not settings.compiled:
        return eager, settings
    slots = {parameter: dict(kept) for parameter, kept in optimizer.state.items()}
    try:
        return _compiled(model, optimizer, experiment, inputs, eager), settings
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


def _eager(model: nn.Module, optimizer: torch.optim.Optimizer, experiment: Experiment, settings: Settings) -> Step:
    loss_function = choices.loss(experiment.training.loss)
    counts = not reconstructs(experiment.training.loss)
    kind, mixed = settings.device.split(":")[0], settings.precision == "bf16"
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]

    def step(inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor) -> None:
        if mixed:
            with torch.autocast(kind, torch.bfloat16):
                outputs = model(inputs).float()
        else:
            outputs = model(inputs)
        loss = loss_function(outputs=outputs, targets=targets, inputs=inputs, clean=clean)
        for parameter in trained:  # what zero_grad does, without its bookkeeping: of small steps a fifteenth
            parameter.grad = None
        loss.backward()
        optimizer.step()
        totals[0] += loss.detach() * len(inputs)
        if counts:
            totals[1] += (outputs.detach().argmax(1) == targets).sum()

    return step


def _compiled(
    model: nn.Module, optimizer: torch.optim.Optimizer, experiment: Experiment, inputs: Tensor, eager: Step
) -> Step:
    """Return a step that is one compiled graph for batches as large as `inputs`; a smaller last one goes eagerly."""
    plan = experiment.training
    taken = take_apart(model, inputs)
    columns.allow(taken.network, decompositions.columns(len(inputs)))
    loss_function, counts = choices.loss(plan.loss), not reconstructs(plan.loss)
    update = updates.bind(plan.optimizer.name, optimizer)
    group = optimizer.param_groups[0]
    names, values = zip(*updates.rates(group).items(), strict=True)
    weights, others = taken.split({name: value.detach() for name, value in model.state_dict().items()})
    slots = _shared_slots(taken, model, optimizer, plan.optimizer.name)

    def whole(
        weights: Tensors, others: Tensors, slots: Slots, rates: Tensor, masks: Tensors,
        inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor,
    ) -> None:  # fmt: skip
        named = dict(zip(names, rates.unbind(), strict=True))
        new = taken.step(loss_function, update, counts, weights, others, slots, masks, named, inputs, targets, clean)
        for old, changed in ((weights, new[0]), (others, new[1]), *((slots[slot], new[2][slot]) for slot in slots)):
            for name, value in changed.items():
                if value is not old[name]:
                    old[name].copy_(value)
        totals.add_(torch.stack([new[3].double() * len(inputs), new[4].double()]))

    rates = torch.tensor(values, dtype=inputs.dtype)
    masks = taken.draw_masks(len(inputs), torch.Generator(), inputs.dtype)
    targets, totals = torch.zeros(len(inputs), dtype=torch.int64), torch.zeros(2, dtype=torch.float64)
    state = (weights, others, slots, rates)
    clean = inputs.clone()  # a tensor of its own, or tracing would take the one for the other
    run = compile_whole(whole, (*state, masks, inputs, clean, targets, totals), decompositions.table(len(inputs)))
    kept, count = pytree.tree_leaves(state), len(inputs)
    random = torch.random.default_generator

    def step(inputs: Tensor, clean: Tensor, targets: Tensor, totals: Tensor) -> None:
        if len(inputs) != count:
            eager(inputs, clean, targets, totals)
            return
        rates[0] = group["lr"]
        masks = taken.draw_masks(count, random, inputs.dtype).values()
        run(*kept, *masks, inputs, clean, targets, totals)

    return step


def compile_whole(
    function: Callable[..., None], example: tuple[Any, ...], table: decompositions.Table
) -> Callable[..., Any]:
    """Compile a function that works in place on the tensors of `example`; the result takes its leaves, one by one.

    The function is traced with tensors and its graph handed to the compiler, without torch.compile's guards, which
    would ask before every step whether something has changed: at batch 1 that costs an eighth of it. table: what is
    computed in another form, see training.fast.decompositions.
    """
    from torch._inductor import compile as compile_graph  # takes a second to import
    from torch.fx.experimental.proxy_tensor import make_fx

    leaves, form = pytree.tree_flatten(example)

    def flat(*leaves: Tensor) -> tuple[()]:
        function(*pytree.tree_unflatten(list(leaves), form))
        return ()

    with torch.no_grad():
        graph = make_fx(flat, table, tracing_mode="fake")(*leaves)
        return compile_graph(graph, leaves, options={"cpp_wrapper": True})


def _shared_slots(taken: Functional, model: nn.Module, optimizer: torch.optim.Optimizer, name: str) -> Slots:
    """Return the optimizer's own tensors by slot and parameter, made where the first step has not made them yet."""
    parameters = dict(model.named_parameters())
    slots: Slots = {slot: {} for slot in updates.slots(name, optimizer.param_groups[0])}
    for parameter_name in taken.trained:
        parameter = parameters[parameter_name]
        kept = optimizer.state[parameter]
        for slot, tensors in slots.items():
            if kept.get(slot) is None:
                kept[slot] = torch.zeros(()) if slot == "step" else torch.zeros_like(parameter)
            tensors[parameter_name] = kept[slot]
    return slots
