"""A .pt2 file: the network as torch.export records it. It needs torch alone, and no code of classlab's or the reader's.

    program = torch.export.load("mnist-20k.pt2").module()
    logits, probabilities = program(images)          # float32, 0 to 1, (count, channels, height, width)

The program normalises the images itself.
"""

from pathlib import Path

import numpy as np

from classlab.json_text import to_json
from classlab.use.export.carried import Carried
from classlab.use.export.layer_outputs import Outputs, leaves, met, recorded
from classlab.use.export.packed import Packed, packed_layers

SUFFIX = ".pt2"
DOCUMENT = "classlab.json"  # the file inside that says what is carried


def engine() -> str:
    """Return what runs such a file, for the proof."""
    import torch

    return f"torch {torch.__version__}, the exported program"


def write(carried: Carried, folder: Path) -> Path:
    """Write the program into a folder and return its path. Raises UserError for a network that cannot be recorded."""
    import torch

    file = folder / f"{carried.name}{SUFFIX}"
    program = recorded(Packed(carried), torch.from_numpy(carried.images[:2]))
    torch.export.save(program, str(file), extra_files={DOCUMENT: to_json(carried.document())})
    return file


def answers(file: Path, carried: Carried, images: np.ndarray) -> np.ndarray:
    """Return the program's answers, (count, classes), or for reconstruction in the images' shape."""
    import torch

    program = torch.export.load(str(file)).module()
    with torch.no_grad():
        return np.concatenate([program(torch.from_numpy(part))[0].numpy() for part in carried.batches(images)])


def layers(file: Path, carried: Carried, images: np.ndarray) -> Outputs:
    """Return the output of each layer of the program, as far as it runs."""
    import torch

    return packed_layers(met(torch.export.load(str(file)), torch.from_numpy(images)), leaves(carried.network))
