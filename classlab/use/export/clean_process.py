"""A process of its own for a script that left: it finds torch, numpy and what these need, the script's folder, no more.

What runs there is a script that classlab wrote, and where the network is the reader's own, that; no shell is involved.
"""

import functools
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from classlab.use.export.layer_outputs import NORMALISATION, Outputs

SECONDS = 1800
ALLOWED = ("torch", "numpy")

CHILD = '''
import importlib.abc, importlib.util, json, sys
asked = json.loads(sys.argv[1])

class Nothing(importlib.abc.MetaPathFinder):
    """Refuses whatever is neither Python's own, nor torch's or numpy's, nor beside the script."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"no module named {name!r} in a clean environment", name=name)

allowed = {*sys.stdlib_module_names, *asked["modules"]}
sys.meta_path.insert(0, Nothing())
sys.path.insert(0, asked["folder"])
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("left", asked["script"])
left = importlib.util.module_from_spec(spec)
spec.loader.exec_module(left)

import numpy as np
import torch

images = np.load(asked["images"])
found, seen, net = [], {}, left.trained()

def keep(path):
    def hook(module, inputs, output):
        seen[path] = seen.get(path, 0) + 1
        found.append((path if seen[path] == 1 else f"{path} ({seen[path]})", output.detach().cpu().clone().numpy()))
    return hook

if asked["layers"]:
    for path, module in net.named_modules():
        if path and module.__class__.__module__.partition(".")[0] in ("torch", "left"):
            module.register_forward_hook(keep(path))
parts = []
with torch.no_grad():
    for start in range(0, len(images), 200):
        inputs = left.normalise(torch.from_numpy(images[start : start + 200]).to(left.DEVICE))
        if asked["layers"]:
            found.append(("", inputs.cpu().numpy()))
        parts.append(net(inputs).cpu().numpy())
names = [name for name, _ in found]
arrays = {f"a{place}": values for place, (_, values) in enumerate(found)}
np.savez(asked["out"], answers=np.concatenate(parts), names=np.array(names, dtype=np.str_), **arrays)
'''


def run(script: Path, images: np.ndarray, layers: bool = False) -> Outputs:
    """Return the answers of the script's trained network under the name "answers", last, and its layers before.

    images: float32, as the script's `normalise` takes them. Raises RuntimeError where the script stops.
    """
    with tempfile.TemporaryDirectory(prefix="classlab-script-") as place:
        folder = Path(place)
        np.save(folder / "images.npy", images)
        asked = {
            "script": str(script.resolve()), "folder": str(script.resolve().parent), "layers": layers,
            "images": str(folder / "images.npy"), "out": str(folder / "out.npz"),
            "modules": [*modules(), *_beside(script)],
        }  # fmt: skip
        _run([sys.executable, "-I", "-c", CHILD, json.dumps(asked)])
        with np.load(folder / "out.npz") as out:
            names = [name or NORMALISATION for name in out["names"].tolist()]
            return [*((name, out[f"a{number}"]) for number, name in enumerate(names)), ("answers", out["answers"])]


def _run(command: list[str]) -> None:
    """Run a command to its end. Raises RuntimeError with the last line that it printed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the script did not answer in {SECONDS} seconds") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(lines[-1][:300] if lines else f"the script ended with exit code {done.returncode}")


def _beside(script: Path) -> list[str]:
    """Return the modules that lie beside the script."""
    return [path.stem for path in script.parent.iterdir() if path.suffix == ".py" or path.is_dir()]


@functools.cache
def modules() -> tuple[str, ...]:
    """Return the top modules of torch, numpy and the packages that these require."""
    wanted, found = list(ALLOWED), set()
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found.add(name)
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        plain = (text for text in requires if "extra ==" not in text)
        wanted += [re.split(r"[^\w.-]", text, maxsplit=1)[0].lower().replace("_", "-") for text in plain]
    packages = importlib.metadata.packages_distributions()
    return tuple(
        top for top, names in packages.items() if any(name.lower().replace("_", "-") in found for name in names)
    )
