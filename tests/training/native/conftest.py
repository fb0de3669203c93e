"""Libraries of the tests' networks go into a folder of their own, not into the cache of whoever runs the tests."""

import pytest

from classlab.training.fast.native import library


@pytest.fixture(autouse=True)
def cache_of_the_tests(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp() / "native"
    monkeypatch.setattr(library, "folder", lambda: folder)
