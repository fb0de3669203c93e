"""The zygote: a process that has loaded everything once and forks a child for each case, which costs milliseconds.

`python -m tests.hostile.zygote FOLDER SEED` reads KIND/NUMBER a line and answers each with a result in JSON; with a
case as a third word it tells that case in full. It may run in a place where nothing but FOLDER can be written and no
network is there; see campaign.
"""

import ctypes
import gc
import importlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.hostile import builder, child, verdict
from tests.hostile.builder import Builder, Unbuilt
from tests.hostile.case import World

BECOME_PARENT = 36  # PR_SET_CHILD_SUBREAPER of Linux: whoever loses his parent becomes our child


def main() -> None:
    """Answer until standard input ends."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    building = builder.start(folder, seed)
    prepare(folder)
    if len(sys.argv) > 3:
        sys.exit(tell(result(folder, building, sys.argv[3], keep=True)))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        answers.write(json.dumps(result(folder, building, line.strip())) + "\n")
        answers.flush()


def prepare(folder: Path) -> None:
    """Load what the donors' making loaded, without starting a thread: a fork would lose it."""
    for name in json.loads((folder / "modules.json").read_text()):
        if not name.startswith(("tests", "layouts", "_", "antigravity")) and name not in sys.modules:
            try:
                importlib.import_module(name)
            except Exception as error:  # half imported it would fail in each child anew
                print(f"zygote: {name} was not loaded: {error!r}", file=sys.stderr)
    import torch
    from PIL import Image

    torch.set_num_threads(1)
    Image.init()
    if (folder / "bundle.js").exists():
        import vl_convert

        bundle = (folder / "bundle.js").read_text()  # a second of work that is the same each time
        vl_convert.javascript_bundle = lambda *_, **__: bundle
    # A console script does not look into the folders that a campaign needs.
    sys.path[:] = [
        str(Path(sys.executable).parent),
        *(place for place in sys.path if "site-packages" in place or "lib/python" in place),
    ]
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"{threads} threads run before the first fork"
    ctypes.CDLL(None).prctl(BECOME_PARENT, 1, 0, 0, 0)
    gc.freeze()


def result(folder: Path, building: Builder, name: str, keep: bool = False) -> dict[str, Any]:
    """Build a case, run it, judge it, and return all that is worth keeping. name: KIND/NUMBER."""
    world = World(folder / "worlds" / str(os.getpid()), folder / "donors")
    kind, _, number = name.partition("/")
    about = {"case": name, "kind": kind}
    try:
        case = building.build(world, kind, int(number))
    except Unbuilt as error:
        if not Path(f"/proc/{building.number}").exists():
            vars(building).update(vars(builder.start(folder, building.seed)))
        return {**about, "faults": [{"type": "harness", "detail": str(error)}]}
    before = verdict.snapshot(world.root)
    outcome = child.run(world, case, others=[building.number])
    faults = verdict.faults(world, case, outcome, before)
    if not keep:
        verdict.sweep(world.root)
    more = {"world": str(world.root), "stdout": outcome.out[:3000].decode(errors="backslashreplace")} if keep else {}
    return {
        **about,
        "note": case.note[:300],
        "command": " ".join(case.words)[:300],
        "whole": case.whole,
        "exit": outcome.code,
        "seconds": round(outcome.seconds, 2),
        "wall": round(outcome.wall, 2),
        "megabytes": round(outcome.megabytes),
        "faults": [asdict(fault) for fault in faults],
        "stderr": outcome.err[:1500].decode(errors="backslashreplace"),
        **more,
    }


def tell(found: dict[str, Any]) -> int:
    """Print everything about a case; return 1 where it is faulty."""
    faults = found.pop("faults")
    for key, value in found.items():
        print(f"{key}: {value}" if "\n" not in str(value) else f"{key}:\n    " + str(value).replace("\n", "\n    "))
    for fault in faults:
        print(f"FAULT {fault['type']}: {fault['detail']}")
    return 1 if faults else 0


if __name__ == "__main__":
    main()
