"""The campaign: honest pairs and runs, forgeries and other arithmetic, counted. Counts are options.

python tests/course/grading_campaign.py --runs 46 --forgeries 10 --out /tmp/campaign
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import classes


def noised(share):
    def change(name, value):
        import torch

        drawn = torch.Generator().manual_seed(1)
        return value + share * value.std() * torch.randn(value.shape, generator=drawn) if value.dim() == 2 else value

    return change


def permuted(name, value):
    if name in ("model.linear1.weight", "model.linear1.bias"):
        return value.flip(0) * 3
    return value.flip(1).contiguous() / 3 if name == "model.linear2.weight" else value


def traits_and_proof(archive, place, student, count):
    from classlab.course import copies, hand_in, task_file, training_proof, weighing_room

    root = hand_in.unpacked(archive, place / student, archive.name)
    task = task_file.read(root / task_file.FILE)
    taken = weighing_room._traits(root / "net")
    about = weighing_room._about(root / "net")
    traits = copies.Traits(student, "net", about["seed"], task.seed, str(taken["shapes"]), student, taken["weights"],
                           taken["answers"], taken["labels"], tuple(about["curve"]), frozenset())  # fmt: skip
    proof = training_proof.prove(root / "net", "net", task.seed, "secret", student, count) if count else None
    return traits, proof


def honest(archives, place, proofs):
    """Count false alarms among all pairs, and give the greatest likenesses among the honest."""
    from classlab.course import copies

    traits, words = [], Counter()
    for number, archive in enumerate(archives):
        part, proof = traits_and_proof(archive, place, f"h{number}", 2 if number < proofs else 0)
        traits.append(part)
        words.update([proof.word] if proof else [])
    left = [copies._beyond_labels(part) for part in traits]
    pairs = [(a, b) for a in range(len(traits)) for b in range(a)]
    cosines = [copies.cosine(traits[a].weights, traits[b].weights) for a, b in pairs
               if traits[a].shapes == traits[b].shapes]  # fmt: skip
    answers = [copies.cosine(left[a], left[b]) for a, b in pairs]
    return {"pairs": len(pairs), "alarms": len(copies.find(traits, {})), "greatest cosine": max(cosines),
            "pairs of one shape": len(cosines), "greatest answers": max(answers), "proofs": dict(words)}  # fmt: skip


def forgeries(archives, place, count):
    """Return how often each forgery was caught by the copies, by the proof with two draws."""
    from classlab.course import copies

    kinds = {
        "another's weights": lambda name, value: value,
        "permuted and scaled": permuted,
        "noised by 1 %": noised(0.01),
        "noised by 10 %": noised(0.1),
    }
    table = {}
    by_shape = {}
    for archive in archives:
        size = len(classes.contents(archive)["net/last.safetensors"])
        by_shape.setdefault(size // 500, []).append(archive)
    group = max(by_shape.values(), key=len)
    for kind, change in kinds.items():
        caught = Counter()
        for number in range(count):
            mine, theirs = group[number % len(group)], group[(number + 1) % len(group)]
            forged = place / "forged.zip"
            classes.write(forged, classes.copied(classes.contents(mine), classes.contents(theirs), change))
            label = f"{kind}{number}".replace(" ", "-").replace("'", "").replace("%", "p")
            first, proof = traits_and_proof(forged, place, label, 2)
            second, _ = traits_and_proof(theirs, place, f"{label}-of", 0)
            found = copies.find([first, second], {})
            caught["weights or answers"] += any("weights" in part.kind for part in found)
            caught["curve"] += any("curve" in part.kind for part in found)
            caught["not proved"] += proof.word == "not proved"
        table[kind] = {**caught, "of": count}
    invented = 0
    for number in range(count):
        made = classes.contents(group[number % len(group)])
        made["net/epochs/3.safetensors"] = classes.changed(made["net/epochs/3.safetensors"], noised(0.05))
        classes.write(place / "forged.zip", made)
        invented += traits_and_proof(place / "forged.zip", place, f"epoch{number}", 2)[1].word == "not proved"
    # Epoch 3 is met where epoch 3 or epoch 4, which begins from it, is drawn.
    table["one epoch invented"] = {"not proved": invented, "of": count, "stated": "70 %: epoch 3 or 4 drawn"}
    return table


def other_arithmetic(archives, place, count):
    """Return the distances of honest runs trained again by other arithmetic on this machine."""
    from classlab.course import training_proof

    distances = []
    for number, archive in enumerate(archives[:count]):
        _, proof = traits_and_proof(archive, place, f"other{number}-{os.getpid()}", 5)
        distances += proof.distances
    return {"threshold": training_proof.WITHIN_ROUNDING, "greatest": max(distances, default=None),
            "same bytes": sum(value == 0 for value in distances), "epochs": len(distances)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=46)
    parser.add_argument("--proofs", type=int, default=46)
    parser.add_argument("--forgeries", type=int, default=50)
    parser.add_argument("--others", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only-other", action="store_true")
    given = parser.parse_args()
    import tempfile

    import torch

    torch.set_num_threads(1)
    _, _, archives = classes.make_class(given.out, given.runs)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if given.only_other:
            print(json.dumps(other_arithmetic(archives, place, given.others)))
            return
        print(json.dumps({"honest": honest(archives, place, given.proofs)}), flush=True)
        if given.others:
            environment = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
                           "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}  # fmt: skip
            command = [sys.executable, __file__, "--out", str(given.out), "--runs", str(given.runs), "--others",
                       str(given.others), "--only-other"]  # fmt: skip
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            print(json.dumps({"other arithmetic": json.loads(done.stdout)}), flush=True)
        print(json.dumps({"forgeries": forgeries(archives, place, given.forgeries)}), flush=True)


if __name__ == "__main__":
    main()
