"""A few of the campaign's kills; the long campaign does two hundred."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
KILLS = 2

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are followed by what Linux says of them")


@pytest.mark.timeout(600)
def test_what_was_killed_goes_on_and_ends_with_the_bytes_of_what_was_not(tmp_path):
    words = ["-m", "tests.hostile", "--kills", str(KILLS), "--resume", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
