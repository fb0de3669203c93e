import importlib

import pytest

from classlab.errors import UserError


@pytest.mark.parametrize("module", ["measure", "note", "session", "sides", "workloads"])
def test_the_benchmarks_find_what_they_measure(module):
    importlib.import_module(f"benchmarks.{module}")


def test_an_unknown_workload_is_told_the_known_ones():
    from benchmarks import workloads

    with pytest.raises(UserError, match="no workload 'lenet4'; did you mean lenet-4"):
        workloads.find("lenet4")
