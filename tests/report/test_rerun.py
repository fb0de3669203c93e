"""What a report says of running it again: on a processor the same bits, on a device that adds in any order not."""

import json

import pytest

import classlab as cl
from classlab.report.blocks.rerun import how_alike
from classlab.runs import store


@pytest.fixture
def run(tmp_path):
    return cl.train("digits-quick", out=tmp_path, verbose=False)


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("cpu", "the same numbers, bit for bit"),
        ("cuda:1", "the same numbers up to rounding, for cuda may add in another order each time"),
        ("mps", "the same numbers up to rounding, for mps may add in another order each time"),
    ],
)
def test_it_depends_on_the_device(run, device, sentence):
    file = run.path / store.ENVIRONMENT
    document = json.loads(file.read_text())
    document["settings"]["device"] = device
    file.write_text(json.dumps(document))
    again = cl.load_run(run.path)
    assert how_alike([again]) == sentence
    assert f"it gives {sentence}." in again.report().read_text()
