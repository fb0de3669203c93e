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


def test_every_workload_has_the_reports_transforms_and_its_words_in_the_documents():
    from benchmarks import measured, vision, workloads
    from classlab.experiment import load

    for workload in workloads.WORKLOADS:
        assert load(workload.experiment).name in vision.TRANSFORMS and workload.name in measured.WORDS


def test_the_documents_have_the_tables_that_were_measured():
    from benchmarks import measured

    for file, text in measured.documents().items():
        assert file.read_text(encoding="utf-8") == text, f"{file} is stale: python -m benchmarks.measured"
