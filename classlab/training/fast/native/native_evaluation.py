"""The native evaluation: a network's outputs for images, by the same kernels as its native step."""

import ctypes
from dataclasses import replace

import torch
from torch import Tensor

from classlab.training.evaluate import EVALUATION_BATCH
from classlab.training.fast.native.library import Library
from classlab.training.fast.native.step_layout import Layout
from classlab.training.fast.native.step_memory import Memory


def evaluation_layout(step: Layout) -> Layout:
    """Return the layout of the evaluation beside a step: in fp32, or fp64 where the step is."""
    precision = "fp64" if step.form.precision == "fp64" else "fp32"
    form = replace(step.form, precision=precision, batch=EVALUATION_BATCH, update="none", trains=False)
    stages = [
        replace(stage, dropout=0.0, done=[part for part in stage.done if part != "dropout"]) for stage in step.stages
    ]
    return Layout(stages, form)


class NativeEvaluation:
    """One network's evaluation, with its weights and running statistics as they were at the last `take`."""

    def __init__(self, library: Library, layout: Layout) -> None:
        self.memory = Memory(library, layout, "evaluate")
        pointer = ctypes.c_void_p
        self.memory.call.argtypes = [pointer, ctypes.c_int, pointer, pointer]
        self.classes = layout.stages[-1].outputs

    @torch.no_grad()
    def take(self) -> None:
        """Take over the network's weights, and of its norms what they do: v = u * scale + shift."""
        memory = self.memory
        for array, tensor, stage in memory.weights():
            memory.take(array, tensor, stage)
        for stage in memory.layout.stages:
            norm = stage.norm
            if norm is None:
                continue
            assert norm.running_mean is not None and norm.running_var is not None
            scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            shift = norm.bias.double() - norm.running_mean.double() * scale
            memory.take(f"{memory.layout.name(stage)}_scale", scale, stage)
            memory.take(f"{memory.layout.name(stage)}_shift", shift, stage)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the network's outputs, (count, classes), for inputs (count, channels, height, width)."""
        memory = self.memory
        inputs = inputs.to(memory.dtype).contiguous(memory_format=memory.order)
        outputs = torch.empty(len(inputs), self.classes, dtype=memory.dtype)
        memory.call(memory.address, memory.check(inputs), inputs.data_ptr(), outputs.data_ptr())
        return outputs.log_softmax(1) if memory.layout.stages[-1].log_softmax else outputs
