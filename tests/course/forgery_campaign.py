"""Forgeries that take a training: made, handed in, and what catches each, counted.

python tests/course/forgery_campaign.py --count 50 --out /tmp/forgeries
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import classes

STATE = (".safetensors",)


def trained(task_folder, seed, place, changes=None, **given):
    """Return the files of a hand-in trained under the task's experiment with changes, as the forger has them."""
    from classlab.course import hand_in, task_file
    from classlab.experiment import load
    from classlab.runs import execute

    experiment = load(task_folder / "net.yaml", changes=changes or {})
    run = execute.train(experiment, seed=seed, out=place, verbose=False, **given)
    return hand_in.contents({"net": run.path}, task_file.read(task_folder), {}, {})


def moved(made, by, epochs):
    """Return the checkpoints of epochs by+0 … by+epochs under the names 0 … epochs, their losses cut to that many."""
    import safetensors.torch

    forged = {name: content for name, content in made.items() if not name.startswith("net/epochs/")}
    for epoch in range(epochs + 1):
        content = made[f"net/epochs/{epoch + by}.safetensors"]
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__")
        state = safetensors.torch.load(content)
        if "losses" in state:
            state["losses"] = state["losses"][by:]
        forged[f"net/epochs/{epoch}.safetensors"] = safetensors.torch.save(state, metadata)
    forged["net/last.safetensors"] = forged[f"net/epochs/{epochs}.safetensors"]
    forged["net/best.safetensors"] = forged["net/last.safetensors"]
    return forged


def mixed(first, second, share):
    """Return the tensors of `first` moved towards those of `second` by a share, where they have one shape."""
    import safetensors.torch

    other = safetensors.torch.load(second)

    def change(name, value):
        theirs = other.get(name)
        if theirs is None or theirs.shape != value.shape or not value.is_floating_point():
            return value
        return (1 - share) * value + share * theirs

    return classes.changed(first, change)


def fine_tuned(made, number):
    """Return a hand-in whose last weights went on for 20 plain steps on training images."""
    import safetensors.torch
    import torch

    from classlab.data import loading
    from classlab.experiment import Data

    data = loading.prepare(Data(dataset="digits"))
    images = torch.from_numpy(data.images).float().flatten(1) / 255
    labels = torch.from_numpy(data.labels)
    state = safetensors.torch.load(made["net/last.safetensors"])
    names = [name for name in state if name.startswith("model.")]
    weights = {name: state[name].clone().requires_grad_() for name in names}
    first, second = sorted(name for name in names if name.endswith("weight"))
    drawn = torch.Generator().manual_seed(number)
    for _ in range(20):
        batch = torch.randint(len(labels), (64,), generator=drawn)
        hidden = torch.relu(images[batch] @ weights[first].T + weights[first.replace("weight", "bias")])
        loss = torch.nn.functional.cross_entropy(
            hidden @ weights[second].T + weights[second.replace("weight", "bias")], labels[batch]
        )
        gradients = torch.autograd.grad(loss, list(weights.values()))
        with torch.no_grad():
            for weight, gradient in zip(weights.values(), gradients, strict=True):
                weight -= 0.01 * gradient
    tuned = classes.changed(made["net/last.safetensors"], lambda name, value: weights[name].detach() if name in weights
                            else value)  # fmt: skip
    last = ("net/last.safetensors", "net/best.safetensors", "net/epochs/5.safetensors")
    return {**made, **dict.fromkeys(last, tuned)}


def forged(kind, mine, theirs, task_folder, task, number, place):
    """Return the files of one forgery."""
    import numpy as np

    from classlab.data import loading
    from classlab.experiment import Data

    if kind == "summary edited":
        better = {**json.loads(mine["net/summary.json"]), "test_accuracy": 0.999}
        return {**mine, "net/summary.json": json.dumps(better).encode()}
    if kind == "curve edited":
        return {**mine, "net/metrics.csv": mine["net/metrics.csv"].replace(b"0.", b"0.0")}
    if kind == "predictions edited":
        import io

        def right(content):
            with np.load(io.BytesIO(content)) as held:
                arrays = {name: held[name] for name in held.files}
            logits = next(name for name in arrays if arrays[name].ndim == 2)
            labels = next(name for name in arrays if arrays[name].ndim == 1)
            arrays[logits] = np.eye(arrays[logits].shape[1], dtype=arrays[logits].dtype)[arrays[labels]]
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)
            return buffer.getvalue()

        return {**mine, "net/predictions.npz": right(mine["net/predictions.npz"])}
    if kind == "fine-tuned copy":
        return fine_tuned(classes.copied(mine, theirs), number)
    if kind == "average of two":
        return {**mine, **{name: mixed(content, theirs[name], 0.5) for name, content in mine.items()
                           if name.endswith(STATE) and name in theirs}}  # fmt: skip
    if kind == "epochs interpolated":
        ends = mine["net/epochs/0.safetensors"], mine["net/epochs/5.safetensors"]
        return {**mine, **{f"net/epochs/{epoch}.safetensors": mixed(mine[f"net/epochs/{epoch}.safetensors"], ends[1],
                                                                    0.5) for epoch in range(1, 5)}}  # fmt: skip
    if kind == "another seed":
        return classes.copied(mine, trained(task_folder, task.seed + 1 + number, place))
    if kind == "more epochs":
        made = trained(task_folder, task.seed, place, {"training.epochs": 10})
        return classes.copied(mine, moved(made, 5, 5))
    if kind == "another network":
        return classes.copied(mine, trained(task_folder, task.seed, place, {"model.widths": [48]}))
    if kind == "trained on test images":
        data = loading.prepare(Data(dataset="digits"))
        images, labels = (
            np.concatenate([data.images, data.test_images]),
            np.concatenate([data.labels, data.test_labels]),
        )
        made = trained(task_folder, task.seed, place, data=(images, labels), test=(data.test_images, data.test_labels))
        return classes.copied(mine, made)
    if kind == "another learning rate":
        return classes.copied(mine, trained(task_folder, task.seed, place, {"training.optimizer.learning_rate": 0.01}))
    raise ValueError(kind)


KINDS = ("summary edited", "curve edited", "predictions edited", "fine-tuned copy", "average of two",
         "epochs interpolated", "another seed", "more epochs", "another network", "trained on test images",
         "another learning rate")  # fmt: skip


def judged(archive, place, name, task, others):
    """Return what catches a hand-in: a rule not kept, a note of edited files, a proof that fails, a likeness."""
    from classlab.course import copies, hand_in, training_proof, weighing_room

    root = hand_in.unpacked(archive, place / name, archive.name)
    (run,) = hand_in.weigh(root, task)
    if run.problem or not all(check.passed for check in run.checks):
        return {"a rule not kept"}
    caught = {"a note: files and weights disagree"} if run.notes else set()
    proof = training_proof.prove(root / "net", "net", task.seed, "secret", name, 2)
    caught |= {"not proved"} if proof.word == "not proved" else set()
    taken, about = weighing_room._traits(root / "net"), weighing_room._about(root / "net")
    part = copies.Traits("forger", "net", about["seed"], task.seed, str(taken["shapes"]), run.weights, taken["weights"],
                         taken["answers"], taken["labels"], tuple(about["curve"]), frozenset())  # fmt: skip
    return caught | ({"alike"} if copies.find([part, *others], {}) else set())


def traits_of(archive, place, name):
    from classlab.course import copies, hand_in, task_file, weighing_room

    root = hand_in.unpacked(archive, place / name, archive.name)
    task = task_file.read(root)
    taken, about = weighing_room._traits(root / "net"), weighing_room._about(root / "net")
    return copies.Traits(name, "net", about["seed"], task.seed, str(taken["shapes"]), name, taken["weights"],
                         taken["answers"], taken["labels"], tuple(about["curve"]), frozenset())  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    import torch

    from classlab.course import task_file

    torch.set_num_threads(1)
    _, _, archives = classes.make_class(given.out, 12)
    folders = {task_file.read(folder).task: folder for folder in (given.out / "tasks").iterdir() if folder.is_dir()}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        sizes = {}
        for archive in archives:
            sizes.setdefault(len(classes.contents(archive)["net/last.safetensors"]) // 500, []).append(archive)
        group = max(sizes.values(), key=len)
        everybody = {archive: traits_of(archive, place, archive.stem) for archive in group}
        for kind in given.kinds.split(","):
            counted = Counter()
            for number in range(given.count):
                mine, theirs = group[number % len(group)], group[(number + 1 + number // len(group)) % len(group)]
                if theirs == mine:
                    theirs = group[(number + 1) % len(group)]
                opened = classes.contents(mine)
                (place / "task.yaml").write_bytes(opened["task.yaml"])
                task = task_file.read(place / "task.yaml")
                made = forged(kind, opened, classes.contents(theirs), folders[task.task], task, number,
                              place / f"runs-{kind}-{number}".replace(" ", "-"))  # fmt: skip
                classes.write(place / "forged.zip", made)
                others = [part for archive, part in everybody.items() if archive != mine]
                name = f"{kind}-{number}".replace(" ", "-")
                caught = judged(place / "forged.zip", place, name, task, others)
                counted.update(caught or {"not caught"})
            print(json.dumps({"forgery": kind, "of": given.count, **counted}), flush=True)


if __name__ == "__main__":
    main()
