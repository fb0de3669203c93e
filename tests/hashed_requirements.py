"""Write requirements-dev.txt: what development installs, with the SHA-256 of each file, from a report of pip.

pip install --dry-run --ignore-installed --report report.json --constraint constraints.txt '.[dev]'
python -m tests.hashed_requirements report.json

The hashes are those of the files for this platform. torch is left out: its build depends on the machine's GPU.
"""

import json
import platform
import sys
from pathlib import Path

FILE = Path(__file__).parents[1] / "requirements-dev.txt"


def text(report: dict) -> str:
    lines = []
    for entry in report["install"]:
        name, version = entry["metadata"]["name"], entry["metadata"]["version"]
        digest = entry["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if name.lower() in ("torch", "classlab"):
            continue
        if digest is None:
            raise SystemExit(f"{name} has no hash in the report")
        lines.append(f"{name.lower()}=={version} --hash=sha256:{digest}")
    where = f"{platform.system()} {platform.machine()}, Python {platform.python_version().rpartition('.')[0]}"
    head = [
        f"# What development installs, with hashes, for {where}. By tests/hashed_requirements.py; after torch:",
        "#   pip install --require-hashes --no-deps --requirement requirements-dev.txt",
        "#   pip install --no-deps --editable .",
    ]
    return "\n".join([*head, *sorted(lines)]) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(f"give the report that pip wrote, an existing JSON file; got {' '.join(sys.argv[1:]) or 'nothing'}")
    FILE.write_text(text(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
