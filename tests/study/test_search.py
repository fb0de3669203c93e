"""A search: what it refuses, what it proposes and gives up, that a kill changes nothing, and what it reports."""

import json
import math
import shutil
from statistics import fmean

import jsonschema
import numpy as np
import pytest

import classlab as cl
from classlab import lookup
from classlab.drawing import page
from classlab.errors import UserError
from classlab.report import document
from classlab.statistics.importance import importance
from classlab.study import proposals, standing
from classlab.study.declaration import load, schema
from classlab.study.dry import dry_run
from classlab.study.places import one_by_one
from classlab.study.search import Search
from classlab.study.space import Space
from classlab.study.standing import stand
from classlab.study.sweep import space_of, variants
from classlab.ui import views
from classlab.ui.listing import Listing
from classlab.yaml_text import parse_yaml

pytest.importorskip("optuna", reason="the extra search is not installed")

RATE, WIDTHS = "training.optimizer.learning_rate", "model.widths"
TINY = {
    "name": "tiny", "data": {"dataset": "digits", "val_size": 100, "max_per_class": 40, "max_test_per_class": 10},
    "model": {"name": "perceptron", "widths": [8]},
    "training": {"epochs": 1, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9}},
}  # fmt: skip
SEARCH = {
    RATE: {"from": 0.01, "to": 1, "log": True}, WIDTHS: {"choices": [[8], [16]]},
    "budget": {"runs": 20}, "round": 2, "confirm": 2,
}  # fmt: skip
STUDY = {
    "name": "searched", "question": "Which rate and width?", "experiment": TINY, "sweep": {"search": SEARCH},
    "place": "one by one",
}  # fmt: skip


def changed(key=None, value=None, **more):
    """Return the study with one setting of its search changed, or added."""
    search = {**SEARCH, **({key: value} if key else {})}
    return {**STUDY, "sweep": {"search": {name: part for name, part in search.items() if part is not None}}, **more}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (changed("budget"), "sweep.search.budget is required and was not given"),
        (changed("budgt", {}), "sweep.search: budgt is not a setting; did you mean budget? it has: budget, metric,"),
        (changed("budget", {"run": 3}), "sweep.search.budget.run is not a setting; did you mean sweep.search.budget.r"),
        (changed("budget", {"runs": 9}), "sweep.search.budget.runs must be at least 10: 3 seeds of the baseline and"),
        (changed(RATE, {"from": 1.0, "to": 0.5}), "from must be less than to; got from 1.0 to 0.5"),
        (changed(RATE, {"from": 0.5, "to": 0.5}), "from must be less than to; got from 0.5 to 0.5"),
        (changed(RATE, {"from": 0.0, "to": 1, "log": True}), "from must be more than 0 where log is true; got 0.0"),
        (changed(RATE, {"from": 0.1, "to": 1, "log": 1}), "log must be true or false; got 1"),
        (changed(RATE, {"from": 0.1, "too": 1}), "too is not a setting; did you mean to? it has: from, to, log, cho"),
        (changed(RATE, {"from": 0.1}), f"sweep.search.{RATE}: to is required where there are no choices"),
        (changed(RATE, {"from": "little", "to": 1}), "from must be a finite number; got 'little'"),
        (changed(RATE, [0.1, 1]), f"sweep.search.{RATE}: must be {{from: …, to: …}} or {{choices: […]}}; got [0.1, 1]"),
        (changed(RATE, {"from": 0, "to": 1}), "takes fractions too, and from 0 to 1 only whole numbers are tried"),
        (changed(RATE, {"choices": []}), "choices must be a list of at least two values; got []"),
        (changed(RATE, {"choices": [0.1, 0.10]}), "choices must name each value once; got 0.1 twice"),
        (changed(RATE, {"choices": [0.1, 1], "log": True}), "choices stand alone; got log beside them"),
        (changed("training.batch_size", {"from": 8.0, "to": 64}), "training.batch_size must be a whole number; got 8"),
        (changed("training.batch_siz", {"from": 8, "to": 64}), "did you mean training.batch_size?"),
        (changed("data.val_size", {"from": 8, "to": 64}), "data.val_size cannot be searched: it decides by which"),
        (changed("protocol.select", {"choices": ["best", "last"]}), "protocol.select cannot be searched"),
        ({**STUDY, "sweep": {"search": {"budget": {"runs": 60}}}}, "sweep.search: names no setting to search, as"),
        (changed("training.batch_size", {"choices": list(range(1, 300))}), "at most 20 settings with 200 choices"),
        (changed("metric", "test_accuracy"), "what is chosen by test images is no longer tested by them"),
        (changed("metric", "val_acc"), "a search chooses by validation images; got 'val_acc'; did you mean val_acc"),
        (changed("sampler", "tpee"), "sweep.search.sampler must be one of tpe, gp; got 'tpee'; did you mean tpe?"),
        (changed("confirm", 1), "sweep.search.confirm must be at least 2; got 1"),
        (changed("round", 0), "sweep.search.round must be at least 1; got 0"),
        (changed("seed", -1), "sweep.search.seed must be at least 0; got -1"),
        (changed(seeds=1), "seeds must be at least 2 for a search, which chooses by their mean; got 1"),
        (changed(set={"data.val_size": 0}), "variant tiny has no validation images; set data.val_size and"),
        (changed(set={RATE: 0.1}), f"sweep.search.{RATE} is set by the study too; leave it out of one of them"),
        (changed("training.optimizer", {"choices": ["sgd", "adam"]}), "learning_rate is required"),
        (changed("training.loss", {"choices": ["mse", {"name": "mse"}]}), "two of its values mean the same"),
        (
            {**STUDY, "sweep": {"search": SEARCH, "grid": {"training.epochs": [1, 2]}}},
            "sweep.search finds its variants itself and a grid states them; leave one out",
        ),
        (
            {**STUDY, "sweep": {"search": SEARCH, "variants": [{"name": "other", "experiment": "digits-quick"}]}},
            "sweep.search changes one experiment, and the variant other has another; leave it out",
        ),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_sentence(fields, sentence):
    with pytest.raises(UserError) as caught:
        variants(load(fields))
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_setting_that_is_searched_cannot_be_set_for_every_variant():
    with pytest.raises(UserError, match=f"--set {RATE}: sweep.search of searched sets {RATE} itself"):
        load(STUDY, [f"{RATE}=0.1"])


def test_the_file_and_the_object_are_the_same_and_the_schema_agrees():
    study = load(STUDY)
    assert load(parse_yaml(study.to_yaml(), "")) == study and [v.name for v in variants(study)] == ["tiny"]
    jsonschema.validate(STUDY, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed(RATE, {"from": 0.1}), schema())


def test_without_the_library_a_search_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(proposals.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"a search needs the package optuna; install classlab\[search\]"):
        cl.study(STUDY, out=tmp_path, verbose=False)


def space(**settings):
    search = Search(**settings, budget={"runs": 200})
    return Space(search, {key: list(map(str, part["choices"])) for key, part in settings.items() if "choices" in part})


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_proposals_follow_from_what_is_known_alone_and_none_comes_twice(sampler):
    asked = space(**{"a.rate": {"from": 0.001, "to": 1.0, "log": True}, "a.width": {"from": 4, "to": 9}})
    asked = Space(asked.search.model_copy(update={"sampler": sampler}), {})
    known = []
    for _ in range(3):
        new = proposals.propose(asked, known, 4)
        assert new == proposals.propose(asked, known, 4) and len(new) == 4
        known += [(point, -abs(math.log10(point["a.rate"]) + 1)) for point in new]
    points = [tuple(point.values()) for point, _ in known]
    assert len(set(points)) == 12 and all(isinstance(width, int) and 4 <= width <= 9 for _, width in points)
    assert all(float(f"{rate:.4g}") == rate and 0.001 <= rate <= 1 for rate, _ in points)


def test_a_sampler_learns_where_the_better_values_are():
    asked = space(**{"a.rate": {"from": 0.001, "to": 1.0, "log": True}, "a.width": {"choices": [32, 8, 16]}})
    known = []
    for _ in range(8):
        new = proposals.propose(asked, known, 4)
        known += [(p, -abs(math.log10(p["a.rate"]) + 1) - abs(asked.values(p)["a.width"] - 8) / 16) for p in new]
    early, late = known[:8], known[-8:]
    assert fmean(value for _, value in late) > fmean(value for _, value in early)


def test_a_small_space_is_tried_whole_and_then_the_search_ends():
    asked = space(**{"a.width": {"choices": [32, 8, 16]}, "a.kind": {"choices": ["x", "y"]}})
    points = proposals.propose(asked, [], 9)
    assert len(points) == 6 == asked.size
    now = stand(asked.search, [0, 1], ["base", "p"], {n: {0: 0.5, 1: 0.6} for n in ("base", "p")}, untried=0)
    assert (now.ask, now.ended) == (0, "every combination was tried")


def search_through(search, draw, seeds=(0, 1, 2)):
    """Return how a search stands at its end, its variants being drawn anew each: name -> seed -> value."""
    names, values = ["base"], {}
    for _ in range(10_000):
        now = stand(search, list(seeds), names, values)
        for name in now.due:
            values.setdefault(name, {}).update({seed: draw(name, seed) for seed in now.due_seeds})
        names += [f"p{len(names) + number}" for number in range(now.ask)]
        if not now.due and not now.ask:
            return now, names, values
    raise AssertionError("the search does not end")


def test_a_variant_as_good_as_the_best_is_hardly_ever_given_up_and_a_bad_one_is():
    random, search = np.random.default_rng(0), Search(**{"a.b": {"from": 0.0, "to": 1.0}}, budget={"runs": 70})
    lost = tried = 0
    for _ in range(60):
        now, names, _ = search_through(search, lambda *_: float(random.normal(0.9, 0.01)))
        lost, tried = lost + len(now.given_up), tried + len(names) - 1
    assert lost / tried < standing.ALPHA
    now, names, values = search_through(
        search, lambda name, _: float(random.normal(0.8 if name[0] == "p" else 0.9, 0.01))
    )
    assert len(now.given_up) > 0.7 * (len(names) - 5) and all(len(values[name]) == 2 for name in now.given_up)


def test_a_search_keeps_to_its_budget_ends_early_and_goes_around_what_fails():
    search = Search(**{"a.b": {"from": 0.0, "to": 1.0}}, budget={"runs": 50}, patience=2)
    now, names, values = search_through(search, lambda name, seed: 0.5 + 0.01 * (hash((name, seed)) % 7))
    assert sum(map(len, values.values())) <= 40 and now.ended and now.best in names
    now, _, _ = search_through(search, lambda *_: 1.0)
    assert now.ended == "nothing is left to gain on the validation images"
    now, names, values = search_through(search, lambda name, seed: 0.5 + 0.001 * seed)
    assert now.ended == "2 rounds brought nothing better" and now.best == "base"
    now, names, _ = search_through(search, lambda name, seed: None if name == "p3" else 0.5 + 0.001 * seed)
    assert now.failed == ["p3"] and now.best == "base"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A small search, trained to its end."""
    return cl.study(STUDY, out=tmp_path_factory.mktemp("search"), verbose=False)


def test_a_search_reports_the_winner_and_the_baseline_on_fresh_seeds_alone(searched):
    found = searched.found
    assert found.winner != "tiny" and [list(of) for of in (searched.compared,)] == [["tiny", found.winner]]
    fresh = {name: [row["seed"] for row in rows] for name, rows in searched.compared.items()}
    assert set(map(tuple, fresh.values())) == {(3, 4)}
    by_hand = {seed: run.summary["test_accuracy"] for seed, run in searched.runs[found.winner].items() if seed > 2}
    estimate = next(it.estimate for it in searched.answer.variants if it.name == found.winner)
    assert estimate.mean == pytest.approx(fmean(by_hand.values())) and estimate.n == 2
    vals = {seed: run.summary["val_accuracy"] for seed, run in searched.runs[found.winner].items()}
    chosen, again = fmean(vals[seed] for seed in (0, 1, 2)), fmean(vals[seed] for seed in (3, 4))
    assert found.luck == pytest.approx(chosen - again)
    said = " ".join(searched.sentences())
    assert f"found {100 * chosen:.2f} %, confirmed {100 * again:.2f} % on 2 fresh seeds" in said
    assert len(searched.rows) <= 20 and len(searched.results) == len(searched.rows)
    assert {"tiny", found.winner} == set(searched.histories("val_accuracy"))


class StopHere(BaseException):
    """As a kill: nothing catches it."""


@pytest.mark.parametrize("ended_runs", [7])
def test_a_search_that_is_stopped_goes_on_with_the_same_proposals_and_bytes(
    searched, ended_runs, tmp_path, monkeypatch
):
    left = ended_runs

    def stopping(jobs, processes, log):
        nonlocal left
        for event in one_by_one.train(jobs, processes, log):
            yield event
            left -= type(event).__name__ == "Ended"
            if left == 0:
                raise StopHere

    with monkeypatch.context() as patch:
        patch.setattr(
            lookup, "find", lambda kind, name, find=lookup.find: stopping if kind == "place" else find(kind, name)
        )
        with pytest.raises(StopHere):
            cl.study(STUDY, out=tmp_path, verbose=False)
    again = cl.study(STUDY, out=tmp_path, resume=True, verbose=False)
    for name in ("study.yaml", "plan.json", "results.csv"):
        assert (again.path / name).read_bytes() == (searched.path / name).read_bytes(), name
    assert again.sentences() == searched.sentences()


def test_a_finished_search_trains_nothing_again_and_another_one_is_refused(searched):
    before = {file: file.stat().st_mtime_ns for file in searched.path.rglob("summary.json")}
    out = searched.path.parent
    assert cl.study(STUDY, out=out, verbose=False).sentences() == searched.sentences()
    assert {file: file.stat().st_mtime_ns for file in searched.path.rglob("summary.json")} == before
    for other in (changed("budget", {"runs": 30}), {**STUDY, "seeds": 4}):
        with pytest.raises(
            UserError, match=r"holds another study: its sweep.search or its seeds are others, and a sear"
        ):
            cl.study(other, out=out, verbose=False)


def test_a_proposal_that_cannot_be_trained_is_a_row_and_the_search_goes_around_it(tmp_path):
    fields = {**STUDY, "experiment": {**TINY, "contract": {"max_parameters": 1000}}}
    fields["sweep"] = {"search": {WIDTHS: {"choices": [[8], [10], [200]]}, "budget": {"runs": 14}, "confirm": 2}}
    result = cl.study(fields, out=tmp_path, seeds=2, verbose=False)
    failed = [row for row in result.rows if row["status"] == "failed"]
    assert failed and all("at most 1,000 allowed" in row["sentence"] for row in failed)
    assert result.found.standing.ended == "every combination was tried" and result.found.winner
    assert "1 variant of which could not be trained" in result.sentences()[0]


def test_the_report_and_the_page_show_a_search(searched):
    made = document.build(searched)
    assert "hollow: given up" in page.html(made) or not searched.found.standing.given_up
    titles = [section.title for section in made.sections]
    assert {"The search", "Which settings matter", "Curves"} <= set(titles)
    names = [
        figure.name for section in made.sections for block in section.blocks for figure in getattr(block, "figures", ())
    ]
    assert {"search", "slice-learning-rate", "slice-widths"} <= set(names)
    listing = Listing([searched.path.parent])
    listing.look()
    (study,) = views.studies(listing)
    assert study["problem"] == "" and study["ended"] == study["runs"] == len(searched.rows)


def test_a_search_in_its_middle_can_be_looked_at(searched, tmp_path):
    folder = tmp_path / "searched"
    shutil.copytree(searched.path, folder)
    plan = json.loads((folder / "plan.json").read_text())
    last = [run["run"] for run in plan["entries"][-1]["runs"]]
    plan["entries"] = plan["entries"][:2]
    (folder / "plan.json").write_text(json.dumps(plan))
    opened = cl.load_study(folder)
    assert opened.found.winner is None and opened.search_verdict == "not confirmed yet" and last
    assert "it goes on" in opened.sentences()[0] and document.build(opened).sections


def test_a_dry_run_says_what_a_search_may_cost(tmp_path, monkeypatch):
    monkeypatch.setattr("classlab.study.forecast.MEASURED_SECONDS", 0.02)
    expected = dry_run(STUDY, out=tmp_path)
    assert (expected.runs, expected.done) == (20, 0) and expected.seconds > 0 and not list(tmp_path.iterdir())
    assert "a search over learning_rate and widths: at most 20 runs in all" in expected.decided[0]
    assert [it.variant for it in expected.variants] == [
        "tiny",
        "every setting at its least",
        "every setting at its most",
    ]


def test_importance_finds_the_setting_that_matters():
    random = np.random.default_rng(0)
    first, second = random.uniform(size=(2, 40, 1))
    shares = importance(
        {"first": first, "second": second}, (3 * first + 0.1 * random.normal(size=(40, 1))).ravel().tolist()
    )
    assert shares["first"] > 0.7 > 0.2 > shares["second"] and sum(shares.values()) <= 1
    assert importance({"first": first[:5]}, [1, 2, 3, 4, 5]) == {} == importance({"first": first}, [1.0] * 40)


def test_the_space_knows_where_the_baseline_lies():
    found = space_of(load(STUDY))
    (baseline,) = variants(load(STUDY))
    assert found.point(baseline.experiment.model_dump(mode="json")) == {RATE: 0.01, WIDTHS: 0}
    outside = variants(load(changed(set={"training.optimizer.momentum": 0.5}, experiment={
        **TINY, "model": {"name": "perceptron", "widths": [9]}})))[0]  # fmt: skip
    assert found.point(outside.experiment.model_dump(mode="json")) is None and found.size is None


def test_two_settings_that_do_not_go_together_are_told_before_anything_trains(tmp_path):
    optimizers = [{"name": name, "learning_rate": 0.1} for name in ("sgd", "adam")]
    search = {
        "training.optimizer": {"choices": optimizers},
        "training.optimizer.nesterov": {"choices": [True, False]},
        "budget": {"runs": 20}, "confirm": 2,
    }  # fmt: skip
    fields = {**STUDY, "sweep": {"search": search}}
    with pytest.raises(UserError, match=r"sweep\.search, .* = .* with training\.optimizer\.nesterov = "):
        cl.study(fields, out=tmp_path, verbose=False)
    assert not list(tmp_path.rglob("*.safetensors"))
