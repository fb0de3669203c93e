"""A page's JavaScript run without a page: by Node where it is installed, else by the engine of the package mini-racer.

Both are V8, the engine of Chromium.
"""

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np

from classlab.errors import UserError

AT_ONCE = 100  # images
# What the network gives for some images, float32 in one row: its answers, or the values of every step.
OUTPUTS = """
function outputs(pixels, every) {
  const size = sizeOf(network.shape), parts = [];
  for (let first = 0; first < pixels.length; first += size) {
    const found = forward(network, pixels.subarray(first, first + size)).slice(1);
    parts.push(...(every ? found : found.slice(-1)).map((part) => part.values));
  }
  const all = new Float32Array(parts.reduce((count, part) => count + part.length, 0));
  parts.reduce((place, part) => { all.set(part, place); return place + part.length; }, 0);
  return all;
}
"""
BY_NODE = """
const fs = require("fs"), network = ready(JSON.parse(fs.readFileSync("network.json", "utf8")));
const images = fs.readFileSync("images"), part = 4 * sizeOf(network.shape) * AT_ONCE;
for (let first = 0; first < images.length; first += part) {
  const pixels = new Float32Array(new Uint8Array(images.subarray(first, first + part)).buffer);
  fs.appendFileSync("outputs", new Uint8Array(outputs(pixels, EVERY).buffer));
  console.log(first);
}
"""


def engine() -> str:
    """Return the engine's name and version. Raises UserError where neither Node nor mini-racer is installed."""
    if node := shutil.which("node"):
        return f"Node {subprocess.run([node, '--version'], capture_output=True, text=True).stdout.strip()}"
    _mini_racer()
    return f"mini-racer {version('mini-racer')}"


def outputs(script: str, network: str, images: np.ndarray, every: bool = False) -> Iterator[np.ndarray]:
    """Yield what a page's script computes for images, float32 in one row, for up to AT_ONCE images at a time.

    script: forward.js as it stands in the page. network: the JSON beside it. images: float32 0…1, (count, *shape).
    every: the values of every step of each image in order, not those of the last alone. Raises UserError where neither
    Node nor mini-racer is installed, RuntimeError for a script that fails.
    """
    node = shutil.which("node")
    return _by_node(node, script, network, images, every) if node else _by_mini_racer(script, network, images, every)


def _by_node(node: str, script: str, network: str, images: np.ndarray, every: bool) -> Iterator[np.ndarray]:
    program = script + OUTPUTS + BY_NODE.replace("AT_ONCE", str(AT_ONCE)).replace("EVERY", json.dumps(every))
    with tempfile.TemporaryDirectory(prefix="classlab-demo-") as folder:
        place = Path(folder)
        (place / "network.json").write_text(network, encoding="utf-8")
        (place / "program.js").write_text(program, encoding="utf-8")
        (place / "images").write_bytes(np.ascontiguousarray(images, dtype=np.float32).tobytes())
        (place / "outputs").touch()
        process = subprocess.Popen(
            [node, "program.js"], cwd=place, stdout=subprocess.PIPE, stderr=(place / "problems").open("wb")
        )
        with process, (place / "outputs").open("rb") as results:
            for _ in process.stdout or ():
                yield np.frombuffer(results.read(), dtype=np.float32)
        if process.returncode:
            raise _failed((place / "problems").read_text(encoding="utf-8", errors="replace"))


def _by_mini_racer(script: str, network: str, images: np.ndarray, every: bool) -> Iterator[np.ndarray]:
    mini_racer = _mini_racer()
    engine = mini_racer.MiniRacer()
    try:
        engine.eval(f"{script}{OUTPUTS}const network = ready(JSON.parse({json.dumps(network)}));")
        for first in range(0, len(images), AT_ONCE):
            part = np.ascontiguousarray(images[first : first + AT_ONCE], dtype=np.float32)
            text = base64.b64encode(part.tobytes()).decode()
            found = engine.eval(f"outputs(floats('{text}'), {json.dumps(every)}).buffer")
            assert isinstance(found, memoryview)
            yield np.frombuffer(found, dtype=np.float32).copy()
    except mini_racer.JSEvalException as error:
        raise _failed(str(error)) from None
    finally:
        engine.close()  # otherwise its thread outlives the program


def _mini_racer() -> ModuleType:
    try:
        import py_mini_racer
    except ImportError:
        raise UserError(
            "a demo is run before it is written, and that needs a JavaScript engine: install Node, or "
            "pip install 'classlab[export]'"
        ) from None
    return py_mini_racer


def _failed(message: str) -> RuntimeError:
    lines = [line.strip() for line in message.splitlines() if "Error" in line]
    return RuntimeError(f"the page's script failed: {lines[0] if lines else message.strip()[:200]}")
