"""The plan: a pure function of the study, frozen, and only ever longer."""

import json
from dataclasses import replace

import pytest

from classlab.errors import UserError
from classlab.study import plan
from classlab.study.declaration import load
from classlab.study.forecast import Work
from classlab.study.plan import Plan, choose_place, extend
from classlab.study.sweep import variants

SMALL = Work(
    variant="x", parameters=10, multiply_adds=10, images=100, epochs=2, batch_size=64, steps=4, threads=1, device="cpu",
    disk=1,
)  # fmt: skip
BIG = replace(SMALL, threads=2)


@pytest.mark.parametrize(
    ("group", "wanted", "place"),
    [
        ([SMALL], "auto", "one by one"),
        ([SMALL, SMALL], "auto", "processes"),
        ([SMALL, SMALL], "one by one", "one by one"),
        ([SMALL, BIG], "auto", "one by one"),
        ([replace(SMALL, device="cuda")] * 2, "auto", "one by one"),
    ],
)
def test_the_path_follows_from_the_work_and_what_the_study_asks_for(group, wanted, place):
    assert choose_place(group, wanted) == place


def study(rates, learning_rates=(0.1, 0.01), seeds=2):
    rates["sweep"] = {"grid": {"training.optimizer.learning_rate": list(learning_rates)}}
    return variants(load(rates, seeds=seeds))


def test_a_plan_grows_by_new_entries_and_keeps_the_old_ones(rates):
    made = study(rates)
    first = extend(Plan(), made, [0, 1], {one.name: SMALL for one in made})
    assert [(entry.place, len(entry.runs)) for entry in first.entries] == [("processes", 4)]
    more = study(rates, (0.1, 0.01, 0.001), 3)
    works = {variant.name: SMALL for variant in more}
    grown = extend(first, more, [0, 1, 2], works)
    assert grown.entries[0] == first.entries[0]
    new = [(run.variant, run.seed) for run in grown.entries[1].runs]
    assert new == [
        ("learning_rate=0.1", 2), ("learning_rate=0.01", 2),
        ("learning_rate=0.001", 0), ("learning_rate=0.001", 1), ("learning_rate=0.001", 2),
    ]  # fmt: skip
    assert extend(grown, more, [0, 1, 2], works) == grown


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


@pytest.mark.parametrize(
    ("threads", "device", "seeds", "place"),
    [
        (1, "cpu", 2, "processes"),
        (1, "cpu", 1, "one by one"),
        (2, "cpu", 2, "one by one"),
        (1, "cuda", 2, "one by one"),
    ],
)
def test_runs_that_an_earlier_version_planned_as_a_population_go_where_such_runs_go_today(
    threads, device, seeds, place, tmp_path
):
    runs = [{"variant": "v", "seed": seed, "run": f"runs/small/s{seed}-00000000"} for seed in range(seeds)]
    entry = {"place": "population", "threads": threads, "device": device, "runs": runs}
    (tmp_path / plan.FILE).write_text(json.dumps({"format": 1, "entries": [entry]}))
    (read,) = plan.read(tmp_path).entries
    assert (read.place, read.threads, read.device) == (place, threads, device)
    assert [run.seed for run in read.runs] == list(range(seeds))
