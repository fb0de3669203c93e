"""A .safetensors file: the weights alone, with what they need to be used in the file's metadata.

    tensors = safetensors.torch.load_file("mnist-20k.safetensors")
    network.load_state_dict(tensors)

The network is given normalised images; mean and std stand in the metadata.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classlab import files
from classlab.data.tensors import read_tensors
from classlab.json_text import to_json
from classlab.use.export.carried import Carried
from classlab.use.export.layer_outputs import NORMALISATION, Outputs, layer_outputs, leaves, recorded

if TYPE_CHECKING:
    from torch import nn

SUFFIX = ".safetensors"
DOCUMENT = "classlab"  # the metadata's entry that says what is carried


def engine() -> str:
    """Return what runs such a file, for the proof."""
    import safetensors
    import torch

    return f"safetensors {safetensors.__version__}, loaded into the network by torch {torch.__version__}"


def write(carried: Carried, folder: Path) -> Path:
    """Write the weights into a folder and return the file's path."""
    from safetensors.torch import save

    tensors = {name: value.detach().clone() for name, value in carried.network.state_dict().items()}
    # One entry, for of several safetensors writes now this and now that one first.
    file = folder / f"{carried.name}{SUFFIX}"
    files.write(file, save(tensors, metadata={DOCUMENT: to_json(carried.document())}))
    return file


def answers(file: Path, carried: Carried, images: np.ndarray) -> np.ndarray:
    """Return the answers of a network built again with the file's weights."""
    import torch

    network = _network(file, carried)
    with torch.no_grad():
        return np.concatenate([network(carried.normalised(part)).numpy() for part in carried.batches(images)])


def layers(file: Path, carried: Carried, images: np.ndarray) -> Outputs:
    """Return the output of each layer of such a network."""
    network, inputs = _network(file, carried), carried.normalised(images)
    outputs = layer_outputs(recorded(network, inputs), inputs, leaves(network))
    return [(NORMALISATION, inputs.numpy()), *outputs]


def _network(file: Path, carried: Carried) -> "nn.Module":
    network = carried.run.built().float()
    network.load_state_dict(read_tensors(file))
    return network
