"""Donors: healthy runs, a study and a workbook, made once for a campaign; cases copy and damage them.

`python -m tests.hostile.donors FOLDER` makes them, and notes which modules their making has loaded.
"""

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import layouts

from classlab.yaml_text import to_yaml

RUN = ["digits-quick", "--set", "training.epochs=1"]  # what the runs of digits-quick are trained by
DIGITS = {"dataset": "digits", "val_size": 200}
TRAINING = {"epochs": 1, "batch_size": 128, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
TINY: dict[str, Any] = {
    "name": "tiny",
    "description": "A perceptron on small digits.",
    "data": {
        **DIGITS,
        "augmentations": [{"name": "rotate", "degrees": 10}],
        "expansion": [[], [{"name": "shift", "pixels": 1}]],
    },
    "model": {"name": "perceptron", "widths": [16]},
    "training": {**TRAINING, "epochs": 2, "schedule": "one_cycle", "early_stopping": {"patience": 2}},
    "protocol": {"select": "best", "test_each_epoch": True},
    "contract": {"max_parameters": 20000, "max_epochs": 20, "min_test_accuracy_percent": 10},
}
AUTOENCODER = {
    "name": "auto",
    "data": DIGITS,
    "model": {"name": "autoencoder", "widths": [16, 8]},
    "training": {**TRAINING, "loss": "reconstruction"},
}
ENCODER = {
    "name": "on-encoder",
    "data": DIGITS,
    "model": {"name": "encoder_classifier", "widths": [16, 8], "hidden": [8], "encoder": None},
    "training": TRAINING,
}
CUT = {**TINY, "name": "cut", "training": {**TRAINING, "epochs": 40}, "protocol": {}, "contract": {}}
RATES = {
    "name": "rates",
    "question": "Which rate?",
    "experiment": {
        "name": "swept",
        "data": DIGITS,
        "model": {"name": "perceptron", "widths": [8]},
        "training": TRAINING,
    },
    "sweep": {"grid": {"training.optimizer.learning_rate": [0.1, 0.01]}},
    "seeds": 2,
    "place": "one by one",
}


def names(folder: Path) -> dict[str, str]:
    """Return what every donor is called and where it lies in the folder."""
    return json.loads((folder / "donors.json").read_text())


def make(folder: Path) -> None:
    """Make all donors in a folder, which is this process's working folder meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    made = {"cut": _cut_off("cut", CUT)}
    for name, document in (("tiny", TINY), ("auto", AUTOENCODER)):
        made[name] = _run(name, _file(name, document))
    encoder = {**ENCODER["model"], "encoder": made["auto"]}  # type: ignore[dict-item]
    made["encoder"] = _run("on-encoder", _file("on-encoder", {**ENCODER, "model": encoder}))
    made["run"] = _run("digits-quick", *RUN)
    made["seed"] = _run("digits-quick", *RUN, "--seed", "1")
    _classlab("study", _file("rates", RATES), "--out", "studies", "--jobs", "1")
    made |= {"study": "studies/rates", "cut study": _cut_study("studies/rates")}
    layout = replace(layouts.ERA, rows=5, row=6)
    made["workbook"] = layouts.write(layout, Path("book.xlsx")).name
    made["numbers"] = layouts.write(
        layouts.numbers_only(replace(layouts.OWN_WAY, rows=4), 6), Path("numbers.xlsx")
    ).name
    _try_the_rest(made)
    Path("donors.json").write_text(json.dumps(made))


def _try_the_rest(made: dict[str, str]) -> None:
    """Run every other command once, so that what they load is known."""
    _classlab("report", made["run"], "--pdf", "--figures", "scrap/figures", "--out", "scrap/report.html")
    _classlab("check", made["tiny"], "--contract", "under-20k")
    _classlab("compare", made["run"], made["tiny"], "--images", "scrap/images.png")
    _classlab("data", "show", "digits", "--out", "digits.png")
    _classlab("predict", made["run"], "digits.png", "--explain", "scrap/explained.png", "--csv", "scrap/answers.csv")
    _classlab("inspect", "digits-quick", "--sanity")
    _classlab("lesson", "check", made["workbook"])
    _classlab("assign", "dl-minor-1", "--born", "18/03/02", "--roll", "B20AI052", "--out", "scrap")
    shutil.rmtree("scrap", ignore_errors=True)


def _classlab(*words: str) -> int:
    """Run a command in this process; return its exit code."""
    from classlab.cli.main import main

    Path("scrap").mkdir(exist_ok=True)
    sys.argv = ["classlab", *words]
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
        if code == 2:
            raise RuntimeError(f"the donors need {words}, and that ended with 2") from None
        return code
    return 0


def _file(name: str, document: dict[str, Any]) -> str:
    Path(f"{name}.yaml").write_text(to_yaml(document))
    return f"{name}.yaml"


def _run(name: str, *words: str) -> str:
    """Train an experiment and return its newest run folder."""
    before = set(Path("runs").glob(f"{name}/*"))
    _classlab("run", *words)
    (folder,) = set(Path("runs").glob(f"{name}/*")) - before
    return str(folder)


def _cut_off(name: str, document: dict[str, Any]) -> str:
    """Kill a run in its first epochs and return its folder."""
    words = ["run", _file(name, document)]
    process = os.fork()
    if not process:
        _classlab(*words)
        os._exit(0)
    metrics: list[Path] = []
    while not any(file.read_bytes().count(b"\n") >= 3 for file in metrics):
        time.sleep(0.002)
        metrics = list(Path("runs").glob(f"{name}/*/metrics.csv"))
        if os.waitpid(process, os.WNOHANG)[0]:
            raise RuntimeError(f"{name} ended before it could be killed")
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    (folder,) = {file.parent for file in metrics}
    for lock in folder.parent.glob(".*"):
        lock.unlink()
    return str(folder)


def _cut_study(whole: str) -> str:
    """Copy a study as it would be found after a kill: a run that has not begun and one without its summary."""
    shutil.copytree(whole, "cut-studies/rates")
    first, second, *_ = sorted(Path("cut-studies/rates/runs").glob("*/*"))
    shutil.rmtree(first)
    for name in ("summary.json", "predictions.npz", "calibration.safetensors"):
        (second / name).unlink(missing_ok=True)
    return "cut-studies/rates"


def main() -> None:
    """Make the donors, and note what had to be loaded for it."""
    folder = Path(sys.argv[1])
    make(folder / "donors")
    if "vl_convert" in sys.modules:
        from classlab.drawing import render

        (folder / "bundle.js").write_text(render.script_bundle())
    (folder / "modules.json").write_text(json.dumps([*sys.modules]))


if __name__ == "__main__":
    main()
