"""The native step at work: the network's tensors laid out for it, a call a step, and the tensors written back."""

import ctypes
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from classlab.errors import listing
from classlab.experiment import Experiment
from classlab.training.fast.native import library as libraries
from classlab.training.fast.native.library import Library
from classlab.training.fast.native.stages import NotNativeError, Stage, read
from classlab.training.fast.native.step_layout import Form, Layout
from classlab.training.fast.native.step_memory import Memory
from classlab.training.settings import Settings

# Names of the optimizers' slots, torch's and the source's.
SLOTS = {"momentum": "momentum_buffer", "mean": "exp_avg", "square": "exp_avg_sq"}
RATES = ("rate", "decay", "momentum", "beta1", "beta2", "epsilon", "size", "root")
UPDATES = ("sgd", "adam", "adamw")
# Settings of the training that it does not have.
LACKS = ("l1_penalty", "max_gradient_norm", "lookahead", "averages", "mixing")
LOSSES = {"cross_entropy": "cross_entropy", "nll": "cross_entropy", "mse": "squared_error"}


def lay_out(
    model: nn.Module, experiment: Experiment, optimizer: Optimizer, settings: Settings, input_shape: tuple[int, ...]
) -> Layout:
    """Return the layout of a network's step. Raises NotNativeError where the step cannot be native, and says why."""
    plan = experiment.training
    if settings.device != "cpu":
        raise NotNativeError(f"it works on the cpu, not on the device {settings.device}")
    if plan.optimizer.name not in UPDATES:
        raise NotNativeError(f"it has the optimizers {listing(UPDATES)}, not {plan.optimizer.name}")
    if asked := [f"training.{name}" for name in LACKS if getattr(plan, name)]:
        raise NotNativeError(f"it does not have {listing(asked)}")
    if plan.loss.name not in LOSSES:
        raise NotNativeError(f"it has the losses {listing(LOSSES)}, not {plan.loss.name}")
    channels, height, width = input_shape
    stages = read(model, (channels, height, width))
    if stages[-1].log_softmax != (plan.loss.name == "nll") and plan.loss.name != "cross_entropy":
        raise NotNativeError(f"the loss {plan.loss.name} does not fit the network's last layer")
    group, wide = optimizer.param_groups[0], libraries.has_wide_vectors()
    if settings.precision == "bf16" and not libraries.has_bf16():
        raise NotNativeError("the processor cannot multiply bf16 numbers and add them up in float")
    long_numbers = settings.precision == "fp64"
    form = Form(
        precision=settings.precision,
        threads=settings.threads,
        batch=plan.batch_size,
        lanes=16 if wide and not long_numbers else 8,
        # AVX-512 has 32 registers for sums, weights and inputs, AVX2 16 of half the length.
        tile=28 if wide else 6 if long_numbers else 12,
        loss=LOSSES[plan.loss.name],
        smoothing=float(plan.loss.options.get("label_smoothing", 0.0)),
        update=plan.optimizer.name,
        momentum=bool(group.get("momentum")),
        nesterov=bool(group.get("nesterov")),
        image=(channels, height, width),
    )
    return Layout(stages, form)


class NativeStep:
    """One network's step in a library that was built for it.

    library: of the source of `layout`. From here on the step holds the weights, the optimizer's tensors and batch
    norm's running statistics, in the layout of its kernels. `publish` writes them back into the model and the
    optimizer.
    """

    def __init__(self, library: Library, layout: Layout, optimizer: Optimizer) -> None:
        self.form: Form = layout.form
        self.memory, self.optimizer = Memory(library, layout, "step"), optimizer
        self.draws = any(stage.dropout for stage in layout.stages)
        number = ctypes.c_double if self.memory.dtype == torch.float64 else ctypes.c_float
        self.rates = (number * len(RATES))()
        pointer = ctypes.c_void_p
        self.memory.call.argtypes = [pointer, ctypes.c_int, pointer, pointer, ctypes.c_uint64, pointer, pointer]
        self.call, self.address = self.memory.call, self.memory.address
        self.steps, self.unpublished = 0, 0
        self._take()

    def step(self, inputs: Tensor, targets: Tensor, totals: Tensor) -> None:
        """Make one step. inputs: (batch, channels, height, width), lying as `order` says; totals: loss, right; float64.

        Raises ValueError for more images than it was built for, or another order.
        """
        count = self.memory.check(inputs)
        # Each step's masks come of one number of torch's own random state, as those of torch's layers do.
        seed = int(torch.randint(2**63 - 1, ())) if self.draws else 0
        self._set_rates()
        self.unpublished += 1
        # Plain numbers: at batch 1 the objects that ctypes would make of them take a twentieth of the step.
        self.call(self.address, count, inputs.data_ptr(), targets.data_ptr(), seed, self.rates, totals.data_ptr())

    def _set_rates(self) -> None:
        group = self.optimizer.param_groups[0]
        self.rates[0], self.rates[1] = group["lr"], group["weight_decay"]
        if self.form.update == "sgd":
            self.rates[2] = group["momentum"]
            return
        self.steps += 1
        (beta1, beta2), first = group["betas"], 1 - group["betas"][0] ** self.steps
        self.rates[3], self.rates[4], self.rates[5] = beta1, beta2, group["eps"]
        self.rates[6], self.rates[7] = group["lr"] / first, math.sqrt(1 - beta2**self.steps)

    # ---- Between torch's layout and the kernels' ----

    def _places(self) -> Iterator[tuple[str, Tensor, Stage]]:
        """Yield the array, the model's tensor and the stage of every weight and running statistic."""
        yield from self.memory.weights()
        for stage in self.memory.layout.stages:
            norm, name = stage.norm, self.memory.layout.name(stage)
            if norm is not None:
                assert norm.running_mean is not None and norm.running_var is not None
                yield f"{name}_gamma", norm.weight, stage
                yield f"{name}_beta", norm.bias, stage
                yield f"{name}_running_mean", norm.running_mean, stage
                yield f"{name}_running_variance", norm.running_var, stage

    def _slots(self, array: str, tensor: Tensor) -> Iterator[tuple[str, str]]:
        if isinstance(tensor, nn.Parameter):
            for slot in self.form.slots:
                yield f"{array}_{slot}", SLOTS[slot]

    @torch.no_grad()
    def _take(self) -> None:
        for array, tensor, stage in self._places():
            self.memory.take(array, tensor, stage)
            for name, slot in self._slots(array, tensor):
                kept = self.optimizer.state.get(tensor, {}) if isinstance(tensor, nn.Parameter) else {}
                if kept.get(slot) is not None:
                    self.memory.take(name, kept[slot].reshape(tensor.shape), stage)
                if "step" in kept:
                    self.steps = int(kept["step"])

    @torch.no_grad()
    def publish(self) -> None:
        """Write the weights, running statistics and slots into the model and the optimizer."""
        for array, tensor, stage in self._places():
            tensor.copy_(self.memory.seen(array, tensor, stage).reshape(tensor.shape))
            for name, slot in self._slots(array, tensor):
                kept = self.optimizer.state[tensor]
                kept[slot] = torch.empty_like(tensor)
                kept[slot].copy_(self.memory.seen(name, tensor, stage).reshape(tensor.shape))
                if self.form.update != "sgd":
                    kept["step"] = torch.tensor(float(self.steps))
        for stage in self.memory.layout.stages:
            if stage.norm is not None and stage.norm.num_batches_tracked is not None:
                stage.norm.num_batches_tracked += self.unpublished
        self.unpublished = 0
