"""The plan: a pure function of the study, frozen, and only ever longer."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classlab.errors import UserError
from classlab.study import plan
from classlab.study.declaration import load
from classlab.study.forecast import Work
from classlab.study.plan import Plan, choose_path, extend
from classlab.study.sweep import variants

SMALL = Work(
    variant="x", parameters=10, multiply_adds=10, images=100, epochs=2, batch_size=64, steps=4, threads=1, device="cpu",
    group=None, disk=1,
)  # fmt: skip
BIG = replace(SMALL, threads=2)
MEMBER = replace(SMALL, group="lenet", batch_size=4)


@pytest.mark.parametrize(
    ("group", "wanted", "place"),
    [
        ([SMALL], "auto", "one by one"),
        ([SMALL, SMALL], "auto", "processes"),
        ([SMALL, SMALL], "one by one", "one by one"),
        ([SMALL, SMALL], "population", "processes"),
        ([SMALL, BIG], "auto", "one by one"),
        ([replace(SMALL, device="cuda")] * 2, "auto", "one by one"),
        ([MEMBER], "population", "one by one"),
        ([MEMBER, MEMBER], "auto", "processes"),
        ([MEMBER, MEMBER], "population", "population"),
        ([replace(MEMBER, device="cuda")] * 2, "auto", "population"),
        ([replace(MEMBER, device="cuda")] * 2, "one by one", "one by one"),
        ([MEMBER, replace(MEMBER, group="other")], "population", "processes"),
    ],
)
def test_the_path_follows_from_the_work_and_what_the_study_asks_for(group, wanted, place):
    assert choose_path(group, wanted) == place


def study(rates, learning_rates=(0.1, 0.01), seeds=2):
    rates["sweep"] = {"grid": {"training.optimizer.learning_rate": list(learning_rates)}}
    return variants(load(rates, seeds=seeds))


def test_a_population_holds_the_runs_of_several_variants_and_new_ones_join_a_new_population(rates):
    made = study(rates)
    works = {one.name: MEMBER for one in made}
    first = extend(Plan(), made, [0, 1], works, "population")
    assert [(entry.place, len(entry.runs)) for entry in first.entries] == [("population", 4)]
    more = study(rates, (0.1, 0.01, 0.001), 3)
    works = {one.name: MEMBER for one in more}
    grown = extend(first, more, [0, 1, 2], works, "population")
    assert grown.entries[0] == first.entries[0]
    new = [(run.variant, run.seed) for run in grown.entries[1].runs]
    assert new == [
        ("learning_rate=0.1", 2), ("learning_rate=0.01", 2),
        ("learning_rate=0.001", 0), ("learning_rate=0.001", 1), ("learning_rate=0.001", 2),
    ]  # fmt: skip
    assert extend(grown, more, [0, 1, 2], works, "population") == grown


@given(st.integers(1, 200))
def test_a_large_population_is_cut_into_nearly_equal_ones(count):
    parts = list(plan._parts([plan.Planned("v", seed, f"r{seed}") for seed in range(count)]))
    sizes = [len(part) for part in parts]
    assert sum(sizes) == count and max(sizes) <= plan.MOST_MEMBERS and max(sizes) - min(sizes) <= len(sizes)
    assert [run.seed for part in parts for run in part] == list(range(count))


def test_a_frozen_plan_reads_back_and_a_broken_one_says_so(rates, tmp_path):
    made = study(rates)
    planned = extend(Plan(), made, [0, 5], {made[0].name: SMALL, made[1].name: BIG})
    assert [entry.place for entry in planned.entries] == ["processes", "one by one"]
    assert planned.runs[1].run == f"runs/quick/s5-{made[0].experiment.digest()}"
    plan.write(tmp_path, planned)
    assert plan.read(tmp_path) == planned
    (tmp_path / plan.FILE).write_text('{"entries": [{"place": "moon"}]}')
    with pytest.raises(UserError, match="is not a plan that this version of classlab can read"):
        plan.read(tmp_path)
