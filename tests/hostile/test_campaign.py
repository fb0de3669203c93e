"""A bounded share of the campaign of hostile input: files of all kinds, and every command that reads them."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CASES = 20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cases are judged by what Linux says of processes")


@pytest.mark.timeout(600)
def test_nothing_of_somebody_elses_is_executed_hangs_the_machine_or_ends_in_a_traceback(tmp_path):
    words = ["-m", "tests.hostile", "--cases", str(CASES), "--resume", str(tmp_path), "--quiet"]
    done = subprocess.run([sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-3000:]}"
