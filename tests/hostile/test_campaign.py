"""A bounded share of the campaign: hostile files of all kinds with every command that reads them, and kills."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CASES, KILLS = 12, 1

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cases are judged by what Linux says of processes")


@pytest.mark.timeout(600)
def test_nothing_of_somebody_elses_runs_or_hangs_and_what_was_killed_goes_on_to_the_same_bytes(tmp_path):
    # Both in one campaign, which makes its runs and studies once.
    words = ["-m", "tests.hostile", "--cases", str(CASES), "--kills", str(KILLS), "--resume", str(tmp_path), "--quiet"]
    done = subprocess.run([sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-3000:]}"
