"""Whether a change of the code changed what comes out: weights after 50 steps, and the text of every kind of report.

Record with the code before and with the code after, on one machine, then compare:

    python -m tests.sameness record /tmp/before --python /path/of/the/code/before/.venv/bin/python
    python -m tests.sameness record /tmp/after --runs /tmp/before
    python -m tests.sameness compare /tmp/before /tmp/after

The second record writes its reports from the first one's runs, so that nothing in them differs but what the code says.
"""

import argparse
import difflib
import hashlib
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[1] / "classlab" / "experiments"
STEPS, CLASSES = 50, 10
AUTOENCODER = "fashion-autoencoder --set data.max_per_class=60 --set data.max_test_per_class=40 --set training.epochs=2"
STUDY = """\
name: rates
question: Which learning rate is best on the small digits?
experiment: digits-quick
sweep: {grid: {training.optimizer.learning_rate: [0.001, 0.1, 0.5]}}
seeds: 3
"""


class Text(HTMLParser):
    """The words of a page, one piece a line, with what its pictures are described as."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self.inside.append(tag)
        self.pieces += [f"[{name}] {value}" for name, value in attrs if name in ("alt", "aria-label", "title")]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.inside:
            self.pieces.append(" ".join(data.split()))


def record(folder: Path, python: str, runs: Path | None) -> None:
    """Write weights.txt and the text of the reports into a folder; the runs of the reports lie below it too."""

    def classlab(*words: str) -> None:
        print("classlab", *words, flush=True)
        done = subprocess.run(
            [python, "-m", "classlab.cli.main", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode == 2:
            raise SystemExit(done.stderr)

    folder.mkdir(parents=True)
    digests = []
    for file in sorted(EXPERIMENTS.glob("*.yaml")):
        if "encoder-classifier" in file.name:  # which starts from another run
            continue
        text = file.read_text()
        images = STEPS * int(re.search(r"batch_size: (\d+)", text)[1])
        images += int((re.search(r"val_size: (\d+)", text) or [0, 0])[1])
        few = [f"data.max_per_class={max(20, images // CLASSES)}", "training.epochs=1", "contract={}"]
        options = [word for change in few for word in ("--set", change)]
        classlab("run", file.stem, "--seed", "3", "--out", "weights", *options)
        weights = next((folder / "weights" / file.stem).glob("s3-*/last.safetensors"))
        digests.append(f"{file.stem} {hashlib.sha256(weights.read_bytes()).hexdigest()}\n")
    (folder / "weights.txt").write_text("".join(digests))
    if runs is not None:  # the same paths, for reports name them
        for name in ("runs", "studies", "quick"):
            shutil.copytree(runs / name, folder / name, symlinks=True)
    (folder / "rates.yaml").write_text(STUDY)
    classlab("run", "digits-quick", "--report")
    classlab("run", *AUTOENCODER.split(), "--report")
    classlab("study", "rates.yaml")
    for report in ("runs/digits-quick", "runs/fashion-autoencoder", "studies/rates"):
        home = folder / report if report.startswith("studies") else next((folder / report).glob("s0-*"))
        classlab("report", str(home.relative_to(folder)), "--out", f"{home.parent.name}-{home.name}.html")
    classlab("reproduce", "all", "--quick", "--out", "quick")
    for page in [*folder.glob("*.html"), *(folder / "quick").glob("*.html")]:
        text = Text()
        text.feed(page.read_text(encoding="utf-8"))
        name = "-".join(page.relative_to(folder).with_suffix("").parts)
        (folder / f"{name}.text").write_text("\n".join(text.pieces) + "\n", encoding="utf-8")


def compare(before: Path, after: Path) -> int:
    """Print every difference, and return how many files differ."""
    names = sorted({file.name for place in (before, after) for file in (*place.glob("*.text"), place / "weights.txt")})
    differ = 0
    for name in names:
        old, new = (
            (place / name).read_text(encoding="utf-8").splitlines() if (place / name).exists() else []
            for place in (before, after)
        )
        lines = [
            line for line in difflib.unified_diff(old, new, lineterm="", n=0) if not line.startswith(("---", "+++"))
        ]
        differ += bool(lines)
        print(f"{name}: {len(old)} lines, {'the same' if not lines else 'differs'}")
        print("".join(f"    {line}\n" for line in lines), end="")
    return differ


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--python", default=sys.executable, help="the python whose classlab is recorded")
    recording.add_argument("--runs", type=Path, help="an earlier record, whose runs are reported on")
    comparing = commands.add_parser("compare")
    comparing.add_argument("folders", type=Path, nargs=2)
    given = parser.parse_args()
    if given.command == "record":
        record(given.folder.resolve(), given.python, given.runs)
    else:
        if missing := [folder for folder in given.folders if not (folder / "weights.txt").is_file()]:
            parser.error(f"{missing[0]} is no record: it has no weights.txt; make one with record")
        raise SystemExit(compare(*given.folders) > 0)


if __name__ == "__main__":
    main()
