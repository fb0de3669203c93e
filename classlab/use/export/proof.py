"""The proof of an export: its own engine answers all test images, and the answers are compared with the network's.

Engines add in different orders, so that equal networks differ in the last digits. How far is allowed is measured: ten
times what the network itself in fp32 lies away from fp64. A wrong padding, an ε, a statistic lies far beyond it.
"""

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from classlab.errors import Refused
from classlab.use.export.carried import Carried
from classlab.use.export.layer_outputs import NORMALISATION, Outputs, layer_outputs, leaves, recorded

TIMES = 10  # what another order of adding may add to the error of fp32
SAMPLE = 500  # images by which the error of fp32 is measured
LOOKED_AT = 8  # images by which a layer that differs is found
LEAST = 1e-6  # of the largest value: below it nothing counts, where fp32 happens to be exact


class Differs(Refused):
    """What was exported does not answer as the network does, so nothing is written."""


@dataclass(frozen=True)
class Proof:
    """How an export answers all test images.

    agreeing: how many images are given the same class; None for a network that reconstructs images. largest: the
    largest difference of an output from the network's in fp32; allowed: up to where it may go. recorded_agreeing,
    recorded_largest: the same against the answers that the run stored, made in its own precision.
    """

    engine: str
    images: int
    agreeing: int | None
    largest: float
    allowed: float
    precision: str
    recorded_agreeing: int | None
    recorded_largest: float

    def sentence(self) -> str:
        """Return the proof in words."""
        what = "outputs" if self.agreeing is None else "logits"
        same = "" if self.agreeing is None else f"the same class on {self.agreeing:,} of {self.images:,} test images, "
        said = "" if self.recorded_agreeing is None else f"{self.recorded_agreeing:,} of {self.images:,} the same, "
        return (
            f"{self.engine}: {same}{what} at most {self.largest:.1e} apart (allowed {self.allowed:.1e}); against "
            f"what the run stored (trained in {self.precision}): {said}at most {self.recorded_largest:.1e} apart"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return asdict(self)


def prove(carried: Carried, form: ModuleType, file: Path) -> Proof:
    """Hold what a format wrote against the network. Raises Differs, which names the first layer that differs."""
    expected, allowed = carried.expected, _allowed(carried)
    try:
        found = np.asarray(form.answers(file, carried, carried.images), dtype=np.float64).reshape(expected.shape)
    except Refused:
        raise
    except (RuntimeError, ValueError) as error:  # the engine cannot even run it
        raise Differs(_refusal(file, _broken_layer(carried, form, file), f"its engine stops: {error}")) from None
    largest = largest_difference(found, expected)
    agreeing = None if carried.reconstructs else int((found.argmax(1) == expected.argmax(1)).sum())
    count = len(expected)
    if not largest <= allowed or agreeing not in (None, count):
        said = f"its outputs are up to {largest:.1e} apart, and {allowed:.1e} is allowed"
        if agreeing is not None:
            said += f"; the same class on {agreeing:,} of {count:,} test images"
        raise Differs(_refusal(file, _broken_layer(carried, form, file), said))
    return Proof(
        engine=form.engine(),
        images=count,
        agreeing=agreeing,
        largest=largest,
        allowed=allowed,
        precision=carried.run.environment["settings"]["precision"],
        recorded_agreeing=None if agreeing is None else int((found.argmax(1) == carried.recorded.argmax(1)).sum()),
        recorded_largest=largest_difference(found, carried.recorded),
    )


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of two arrays of a shape; infinite where one is not a number and the other is."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    apart = np.where((found == expected) | (np.isnan(found) & np.isnan(expected)), 0.0, apart)
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def _allowed(carried: Carried) -> float:
    import torch

    inputs = carried.normalised(carried.images[:SAMPLE])
    exact = copy.deepcopy(carried.network).double()
    with torch.no_grad():
        apart = largest_difference(carried.network(inputs).numpy(), exact(inputs.double()).numpy())
    finite = np.abs(carried.expected[np.isfinite(carried.expected)])
    return max(TIMES * apart, LEAST * float(finite.max(initial=1.0)))


def _refusal(file: Path, layer: str, said: str) -> str:
    return f"{file.name} does not answer as the network does, so it is not written: {layer}{said}"


def _broken_layer(carried: Carried, form: ModuleType, file: Path) -> str:
    """Return a clause that names the first layer whose output differs, "" where none is found."""
    images = carried.images[:LOOKED_AT]
    expected, exact = _layers_of(carried, images)
    found = dict(form.layers(file, carried, images))
    for name, values in expected:
        if name not in found:
            continue
        given = found[name].reshape(-1)
        if given.size != values.size:
            return (
                f"the first layer that differs is {name}, which gives {_shape(found[name])} and not {_shape(values)}; "
            )
        apart = largest_difference(given, values.reshape(-1))
        allowed = max(TIMES * largest_difference(values, exact[name]), LEAST * float(np.abs(values).max(initial=0.0)))
        if apart > allowed:
            return f"the first layer that differs is {name}, by up to {apart:.1e}; "
    return ""


def _layers_of(carried: Carried, images: np.ndarray) -> tuple[Outputs, dict[str, np.ndarray]]:
    """Return each layer's output in fp32, and the same in fp64 by name."""
    inputs, network = carried.normalised(images), carried.network
    exact = copy.deepcopy(network).double()
    paths = leaves(network)
    outputs = layer_outputs(recorded(network, inputs), inputs, paths)
    return [(NORMALISATION, inputs.numpy()), *outputs], {
        NORMALISATION: inputs.numpy(),
        **dict(layer_outputs(recorded(exact, inputs.double()), inputs.double(), paths)),
    }


def _shape(values: np.ndarray) -> str:
    return " × ".join(map(str, values.shape[1:]))
