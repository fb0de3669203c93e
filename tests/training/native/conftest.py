"""Libraries of the tests' networks go into a folder of their own, not into the cache of whoever runs the tests."""

import pytest

from classlab.training.fast.native import library

# Built as for a reader; the others are built with less care for speed, in half the time.
AS_FOR_A_READER = {"test_weights_after_50_steps_are_torchs_in_double_precision", "test_outputs_are_torchs"}


@pytest.fixture(autouse=True)
def cache_of_the_tests(request, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp() / "native"
    monkeypatch.setattr(library, "folder", lambda: folder)
    if request.node.originalname not in AS_FOR_A_READER:
        monkeypatch.setattr(library, "FLAGS", ("-O1", *library.FLAGS[1:]))
