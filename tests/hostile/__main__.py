"""Hostile input against the command line, and kills at any moment.

python -m tests.hostile --cases 10000 --seed 1                 # all kinds; a table, and every fault
python -m tests.hostile --cases 300 --kinds run,workbook
python -m tests.hostile --cases 10000 --resume FOLDER          # goes on where it stopped
python -m tests.hostile --case run/17                          # one case again; its folders are kept
python -m tests.hostile --kills 200                            # kill, resume, compare bytes

Exit 0: no faults. 1: some.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.hostile import campaign, kinds


def main() -> None:
    """Run what the command line asks for, print the report and say where it is."""
    given = _arguments()
    folder = (given.resume or Path(tempfile.gettempdir()) / f"classlab-hostile-{given.seed}-{os.getpid()}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if given.case:
        sys.exit(_again(folder, given.seed, given.case))
    text, faulty = "", False
    if given.kills:
        from tests.hostile import kills

        text, faulty = kills.run(folder, given.seed, given.kills)
    if given.cases:
        found = campaign.run(folder, given.seed, kinds.shares(given.cases, given.kinds), given.jobs, given.quiet)
        text += campaign.report(found)
        faulty = faulty or any(result["faults"] for result in found)
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"\n{folder / 'report.md'}", file=sys.stderr)
    sys.exit(1 if faulty else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=_number, default=0, help="how many, over all kinds")
    parser.add_argument("--seed", type=_number, default=1, help="which cases")
    parser.add_argument("--kinds", type=_kinds, default=list(kinds.KINDS), help=f"some of {', '.join(kinds.KINDS)}")
    parser.add_argument("--jobs", type=_number, default=1, help="zygotes at a time")
    parser.add_argument(
        "--resume", type=Path, metavar="FOLDER", help="where results are kept; what is there is not done again"
    )
    parser.add_argument("--case", type=_case, metavar="KIND/NUMBER", help="one case, told in full")
    parser.add_argument("--kills", type=_number, default=0, help="how many processes to kill")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    given = parser.parse_args()
    if not (given.cases or given.case or given.kills):
        parser.error("say what to do: --cases, --case or --kills")
    if not given.jobs:
        parser.error("--jobs must be at least 1; got 0")
    return given


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0; got {text}")
    return int(text)


def _case(text: str) -> str:
    kind, _, number = text.partition("/")
    if kind not in kinds.KINDS or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a kind and a number, as run/17; got {text}")
    return text


def _kinds(text: str) -> list[str]:
    chosen = text.split(",")
    unknown = [kind for kind in chosen if kind not in kinds.KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no kind {unknown[0]}; known: {', '.join(kinds.KINDS)}")
    return chosen


def _again(folder: Path, seed: int, case: str) -> int:
    """Run one case, print what it printed and what is wrong, and keep its folders."""
    campaign.ready(folder, seed)
    words = [*campaign.shield(folder), sys.executable, "-m", "tests.hostile.zygote", str(folder), str(seed), case]
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(words, cwd=campaign.REPOSITORY, env=campaign.environment(folder) | path).returncode


if __name__ == "__main__":
    main()
