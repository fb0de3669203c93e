"""A script in plain PyTorch: the whole experiment from data to evaluation, with torch and numpy alone.

It trains; with --check it tests weights.npz, what classlab trained; with --steps 20 it prints the first losses.
"""

from pathlib import Path

import numpy as np

from classlab import files
from classlab.use.export import clean_process
from classlab.use.export.carried import Carried
from classlab.use.export.eject import data_code, script
from classlab.use.export.eject.leaving import Leaving, leaving
from classlab.use.export.eject.readers_files import script_name
from classlab.use.export.layer_outputs import Outputs


def engine() -> str:
    """Return what runs such a file, for the proof."""
    import torch

    return f"torch {torch.__version__} with numpy {np.__version__}, in a process without classlab"


def write(carried: Carried, folder: Path) -> Path:
    """Write the script, the weights, and what else it needs, into a folder; return the script's path.

    Raises UserError for a run whose network or functions have no source that can go along.
    """
    plan = leaving(carried)
    write_beside(carried, plan, folder)
    path = folder / f"{script_name(plan.experiment.name, plan.files)}.py"
    files.write(path, script.text(plan))
    return path


def write_beside(carried: Carried, plan: Leaving, folder: Path) -> None:
    """Write weights.npz, and where they are needed data.npz, start.npz and the reader's own files."""
    weights = {name: value.numpy() for name, value in carried.network.state_dict().items()}
    files.write(folder / "weights.npz", data_code.packed(weights))
    if plan.started:
        start = {name: value.numpy() for name, value in plan.started.items()}
        files.write(folder / "start.npz", data_code.packed(start))
    if not plan.published:
        files.write(folder / "data.npz", data_code.npz(carried.run.dataset()))
    for path, content in plan.files.items():
        files.make_folder((folder / path).parent)
        files.write(folder / path, content)


def answers(file: Path, carried: Carried, images: np.ndarray) -> np.ndarray:
    """Return the answers of the script's trained network, computed in a process of its own."""
    return clean_process.run(file, images * leaving(carried).scale)[-1][1]


def layers(file: Path, carried: Carried, images: np.ndarray) -> Outputs:
    """Return the output of each layer of that network, computed in a process of its own."""
    return clean_process.run(file, images * leaving(carried).scale, layers=True)[:-1]
