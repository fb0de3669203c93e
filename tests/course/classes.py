"""A class of generated hand-ins, trained small, with forgeries. Run as a script it makes an example class:

python tests/course/classes.py --students 12 --out /tmp/class    (two copies, a forger, a late one, a broken archive)
"""

import argparse
import os
import random
import shutil
import time
from pathlib import Path

RULES = """title: Small digits
keep_epochs: true
quantities:
  roll: {last_digits: 3}
decisions:
  width:
    about: width
    branches:
      - {when: {even: roll}, value: 24, means: 24 units}
      - {value: 32, means: 32 units}
experiments:
  net:
    description: One hidden layer.
    data: {dataset: digits, val_size: 200}
    model: {name: perceptron, widths: [{decided: width}], activation: relu}
    training: {epochs: 5, batch_size: 64, optimizer: {name: adam, learning_rate: 0.003}, native: false}
contracts:
  net: {dataset: digits, max_epochs: 5, min_test_accuracy_percent: 80}
points:
  items:
    - {about: the network as asked, run: net, rule: all, points: 5}
    - {about: test accuracy, run: net, accuracy_percent: [60, 90], points: 4}
    - {about: the report, report: true, points: 1}
  late: {points_per_day: 1, days: 3}
  caps: [{when: rule broken, run: net, rule: dataset, most: 3}]
"""


def make_class(out, students):
    """Write rules, class list and an honest hand-in of each student; return (rules, class list, archive paths)."""
    from classlab.course import assign, hand_in, hand_in_archive, rules, task_file
    from classlab.course.details import read_class_list
    from classlab.runs import execute

    out.mkdir(parents=True, exist_ok=True)
    (out / "digits-task.yaml").write_text(RULES)
    draw = random.Random(7)
    rows = [f"{draw.randint(1, 28):02d}/{draw.randint(1, 12):02d}/0{draw.randint(1, 5)},B{number:04d}\n"
            for number in range(students)]  # fmt: skip
    (out / "class.csv").write_text("born,roll\n" + "".join(rows))
    name, read = rules.load(out / "digits-task.yaml")
    archives = []
    (out / "hand-ins").mkdir(exist_ok=True)
    for written in assign.assign_class(name, read, read_class_list(out / "class.csv"), out / "tasks"):
        task = task_file.read(written.folder / task_file.FILE)
        archive = out / "hand-ins" / f"{written.roll}.zip"
        if not archive.is_file():
            run = execute.train(written.folder / "net.yaml", seed=task.seed, out=out / "runs", verbose=False)
            made = hand_in.contents({"net": run.path}, task, {}, {})
            archive.write_bytes(hand_in_archive.packed(made))
        archives.append(archive)
    return out / "digits-task.yaml", out / "class.csv", archives


def contents(archive):
    """Return an archive's files by name."""
    import zipfile

    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def write(archive, made):
    from classlab.course import hand_in_archive

    archive.write_bytes(hand_in_archive.packed(made))


def changed(content, change):
    """Return a checkpoint's bytes after `change(name, tensor) -> tensor`."""
    import safetensors.torch

    state = safetensors.torch.load(content)
    length = int.from_bytes(content[:8], "little")
    import json

    metadata = json.loads(content[8 : 8 + length]).get("__metadata__")
    return safetensors.torch.save({name: change(name, value) for name, value in state.items()}, metadata)


def copied(mine, theirs, change=lambda name, value: value):
    """Return a hand-in with another student's weights under one's own name, digest and seed."""
    import json

    import safetensors.torch

    made = dict(mine)
    for file in [name for name in mine if name.endswith(".safetensors") and name in theirs]:
        length = int.from_bytes(mine[file][:8], "little")
        metadata = json.loads(mine[file][8 : 8 + length]).get("__metadata__")
        state = safetensors.torch.load(theirs[file])
        made[file] = safetensors.torch.save({name: change(name, value) for name, value in state.items()}, metadata)
    for file in ("net/metrics.csv", "net/summary.json", "net/predictions.npz"):
        made[file] = theirs[file]
    return made


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--students", type=int, default=12)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    _, _, archives = make_class(given.out, given.students)
    pairs = [(2, 0), (3, 1)]  # two copies, from students with the same width
    for copy, source in pairs:
        write(archives[copy], copied(contents(archives[copy]), contents(archives[source])))
    forged = contents(archives[4])  # an invented epoch: noise on one checkpoint
    forged["net/epochs/3.safetensors"] = changed(
        forged["net/epochs/3.safetensors"], lambda name, value: value * 1.01 if name.startswith("model.") else value
    )
    write(archives[4], forged)
    late = time.time() + 1.5 * 86400
    os.utime(archives[5], (late, late))
    archives[6].write_bytes(archives[6].read_bytes()[:5000])
    shutil.rmtree(given.out / "runs", ignore_errors=True)
    print(f"{given.students} students: copies {pairs}, forger 4, late 5, broken 6")


if __name__ == "__main__":
    main()
