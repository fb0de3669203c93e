"""Reproduced reports: a small one of our own, trained once, and the shipped ones without training."""

import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from classlab import experiment
from classlab.drawing.blocks import Code, Table, Verdict
from classlab.errors import UserError
from classlab.report import sections
from classlab.report.spec import Part, Value
from classlab.reproduction import figures, findings, published, reproduce, reproduced_files, verdicts
from classlab.reproduction.measures import Measured
from classlab.reproduction.published import Published, Trained
from classlab.reproduction.reproduced import Reproduced
from classlab.reproduction.reproduced_document import build
from classlab.runs import store
from classlab.runs.finished import load
from classlab.statistics.prediction import predict

SMALL = {"training.epochs": 2, "data.max_per_class": 40, "data.val_size": 100, "data.augmentations": []}
CODE = {"name": "autoencoder", "widths": [16, 8]}
RUNS = {
    "plain": {"set": {**SMALL, "model": {"name": "perceptron", "widths": [16]}}, "seeds": 3},
    "single": {"set": {**SMALL, "model": {"name": "perceptron", "widths": [8]}}},
    "diverged": {
        "set": {**SMALL, "model": {"name": "perceptron", "widths": [16]}, "training.optimizer.learning_rate": 1e30}
    },
    "coder": {
        "set": {**SMALL, "model": CODE, "training.loss": "reconstruction", "contract": {}},
        "quick": {"training.epochs": 1},
    },
    "frozen": {
        "set": {
            **SMALL,
            "model": {**CODE, "name": "encoder_classifier", "hidden": [8]},
            "training.start_from": {"layers": "encoder", "freeze": True},
        },
        "starts_from": "coder",
    },
}


def value(what="figure", of="plain", metric="test_accuracy", **fields):
    return Value(what=what, of=of, metric=metric, source="report", **fields)


OWN = Published(
    name="own",
    title="A small report",
    question="Does it hold?",
    runs={name: Trained(experiment="digits-quick", **fields) for name, fields in RUNS.items()},
    parts=(
        Part(title="By hand", lesson="era-s6", values=(value("rows", "lesson", "rows", claim="exact", published=68),)),
        Part(
            title="Training",
            runs=("plain", "single", "diverged"),
            blocks=("loss",),
            values=(
                value("parameters", metric="parameters", claim="exact", published=1210),
                value("test accuracy", epoch="best", published_percent=50),
                value("test accuracy", epoch="last", published_percent=50, reading="sound"),
                value("train loss", metric="train_loss", each_epoch=(2.0, 1.5)),
                value("loss", "diverged", "train_loss", epoch="last", published=19, digits=0),
                value("seconds an epoch", metric="seconds", claim="machine", published=15),
            ),
        ),
    ),
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The runs of OWN, trained once: the folder and what was needed."""
    out = tmp_path_factory.mktemp("own")
    needed = reproduce.needed([OWN], out)
    assert reproduce.train(needed, out, jobs=2, device="cpu", verbose=False) == {}
    return out, needed


@pytest.fixture(scope="module")
def runs(own):
    return {name: [load(one.folder) for one in own[1] if one.run == name] for name in OWN.runs}


@pytest.fixture
def made(own, runs):
    return Reproduced(OWN, runs, own[0], "classlab reproduce own")


def judge(runs, quick=False, **fields):
    return verdicts.judge(value(**fields), OWN.parts[1], runs, quick)


# What is trained


def test_every_run_has_its_seeds_and_what_starts_from_an_encoder_waits_for_its_run(own):
    _, needed = own
    assert [(one.run, one.seed) for one in needed] == [
        *(("plain", seed) for seed in range(3)), ("single", 0), ("diverged", 0), ("coder", 0), ("frozen", 0)
    ]  # fmt: skip
    coder, frozen = needed[-2:]
    assert frozen.after == coder.folder and all(one.after is None for one in needed[:-1])
    assert all(reproduce.finished(one) for one in needed)


def test_a_frozen_encoder_is_the_one_of_the_run_before_it(runs):
    coder, frozen = (runs[name][0].model().state_dict() for name in ("coder", "frozen"))
    shared = [name for name in frozen if name.startswith("encoder.")]
    assert shared and all((coder[name] == frozen[name]).all() for name in shared)


def test_finished_runs_are_not_trained_again_and_one_cut_off_goes_on(own, monkeypatch):
    out, needed = own
    asked = []

    def train(order, *_):
        asked.extend(order)
        yield from ()

    monkeypatch.setattr(reproduce, "_train", train)
    assert reproduce.train(needed, out, verbose=False) == {} and asked == []
    kept = (needed[0].folder / store.SUMMARY).read_bytes()
    (needed[0].folder / store.SUMMARY).unlink()
    reproduce.train(needed, out, verbose=False)
    (needed[0].folder / store.SUMMARY).write_bytes(kept)
    assert asked == [needed[0]]


def test_what_two_reports_share_is_trained_once(tmp_path):
    other = OWN.model_copy(update={"name": "other"})
    both = reproduce.needed([OWN, other], tmp_path)
    assert len(both) == 14 and len({one.folder for one in both}) == 7


def test_seeds_are_changed_for_all_runs_but_the_long_ones(tmp_path, monkeypatch):
    from classlab.study.forecast import Seconds

    monkeypatch.setattr(reproduce, "named", lambda name: [OWN])
    seconds = {"single": 301.0}
    monkeypatch.setattr(
        reproduce,
        "times",
        lambda found, device, fetch: {one.folder: Seconds(seconds.get(one.run, 1.0), "") for one in found},
    )

    def counted():
        return Counter(one.run for one in reproduce.wanted("own", tmp_path, seeds=2))

    assert counted() == {"plain": 2, "single": 1, "diverged": 2, "coder": 2, "frozen": 2}
    decided = {one.experiment.digest(): False for one in reproduce.needed([OWN], tmp_path)}
    store.write_json(tmp_path / reproduce.LONG, decided)
    assert counted() == {"plain": 2, "single": 2, "diverged": 2, "coder": 2, "frozen": 2}  # as it was decided before


def test_the_longest_run_is_begun_first_and_an_encoder_counts_with_what_waits_for_it(tmp_path):
    waiting = {one.folder: one for one in reproduce.needed([OWN], tmp_path)}

    def order(**minutes):
        return [one.run for one in reproduce.longest_first(waiting, {f: minutes[w.run] for f, w in waiting.items()})]

    assert order(plain=5, single=2, diverged=1, coder=3, frozen=4) == [
        "coder", "plain", "plain", "plain", "frozen", "single", "diverged"
    ]  # fmt: skip
    assert order(plain=9, single=5, diverged=1, coder=1, frozen=3) == [
        "plain", "plain", "plain", "single", "coder", "frozen", "diverged"
    ]  # fmt: skip


def test_a_chain_is_begun_at_its_first_run_and_what_is_started_from_has_its_seeds(tmp_path):
    chain = {
        "first": Trained(experiment="digits-quick", set=SMALL, seeds=2),
        "second": Trained(experiment="digits-quick", set=SMALL, seeds=2, starts_from="first"),
        "third": Trained(experiment="digits-quick", set=SMALL, seeds=2, starts_from="second"),
    }
    report = OWN.model_copy(update={"runs": chain})
    needed = reproduce.needed([report], tmp_path, seeds=1, keep={("own", "third")})
    assert [(need.run, need.seed) for need in needed] == [(run, seed) for run in chain for seed in (0, 1)]
    seconds = {need.folder: {"first": 1.0, "second": 1.0, "third": 9.0}[need.run] for need in needed}
    order = [need.run for need in reproduce.longest_first({need.folder: need for need in needed}, seconds)]
    assert order == ["first", "first", "second", "second", "third", "third"]


def test_by_the_clock_one_process_takes_the_longest():
    assert reproduce.by_the_clock([5, 4, 3, 2], 2) == 7
    assert reproduce.by_the_clock([], 2) == 0


@pytest.mark.parametrize(
    ("name", "seeds", "told"),
    [
        ("era-s7", None, r"there is no report named .era-s7., and no such file; did you mean era-s6"),
        ("prml-pa6", 0, "seeds must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_made_is_refused(name, seeds, told, tmp_path):
    with pytest.raises(UserError, match=told):
        reproduce.reproduce(name, seeds=seeds, out=tmp_path)


# What was measured, and what becomes of it


@pytest.mark.parametrize("metric", ["train_loss", "val_accuracy"])
def test_figures_are_those_of_the_history(runs, metric):
    histories = [run.history[metric] for run in runs["plain"]]
    best = max if metric.endswith("accuracy") else min
    for epoch, read in (("first", lambda h: h.iloc[0]), (2, lambda h: h.iloc[1]), ("last", lambda h: h.iloc[-1])):
        one = judge(runs, metric=metric, epoch=epoch, published=1)
        assert one.mean == pytest.approx(sum(map(read, histories)) / 3)
    assert judge(runs, metric=metric, epoch="best", published=1).mean == pytest.approx(sum(map(best, histories)) / 3)


def test_over_seeds_the_published_figure_holds_in_the_interval_of_one_more_run(runs, monkeypatch):
    monkeypatch.setattr(verdicts, "ENOUGH", 3)
    figures_of = [run.summary["test_accuracy"] for run in runs["plain"]]
    mean, sd = sum(figures_of) / 3, stats.tstd(figures_of)
    half = stats.t.ppf(0.975, 2) * sd * (4 / 3) ** 0.5
    one = judge(runs, epoch="selected", published_percent=round(100 * mean, 2))
    assert (one.word, one.n, one.mean) == ("holds", 3, pytest.approx(mean))
    assert one.sd == pytest.approx(sd) and one.method == "one more run"
    assert one.interval == pytest.approx((max(0, mean - half), min(1, mean + half)))
    inside, outside = 100 * (mean + half) - 0.02, 100 * (mean + half) + 0.02
    if outside < 100:
        assert judge(runs, epoch="selected", published_percent=round(inside, 2)).word == "holds"
        assert judge(runs, epoch="selected", published_percent=round(outside, 2)).word == "below"


def test_one_run_is_not_judged_and_of_few_the_spread_is_pooled(runs, monkeypatch):
    for fields in (
        {"epoch": "selected", "published_percent": 50},
        {"metric": "train_loss", "epoch": 1, "published": 9.0},
    ):
        single = judge(runs, of="single", **fields)
        assert (single.word, single.because, single.interval) == ("not judged", "n = 1 is too few", None)
        few = judge(runs, **fields)  # three seeds of two epochs, and no other run of their kind has several
        assert (few.word, few.because) == ("not judged", "n = 3 is too few")
    monkeypatch.setattr(verdicts, "FREEDOM", 2)
    pooled = judge(runs, metric="train_loss", epoch=2, published=9.0)
    assert (pooled.word, pooled.method) == ("above", "one more run, the spread pooled") or pooled.word == "below"
    curves = [[run.history["train_loss"].iloc[epoch] for epoch in (1, 0)] for run in runs["plain"]]
    expected = predict([np.array(curves)], ["train_loss"] * 2, [None] * 2, 2)
    low, high = expected.interval()
    assert pooled.interval == pytest.approx((low[0, 0], high[0, 0]))


def test_what_is_exact_is_equal_as_printed(runs):
    assert judge(runs, metric="parameters", claim="exact", published=1210).word == "holds"
    other = judge(runs, metric="parameters", claim="exact", published=1211)
    assert other.word == "does not hold" and figures.gap(other) == "1,210 instead of 1,211"
    memory = judge(runs, metric="memory_input", claim="exact", published=0.0, digits=2)
    assert memory.word == "holds" and figures.measured(memory) == "0.00"


def test_a_limit_is_kept_by_the_mean_or_missed_within_chance(runs, monkeypatch):
    monkeypatch.setattr(verdicts, "ENOUGH", 3)
    mean = judge(runs, epoch="last", published_percent=1).mean
    for limit, word in ((100 * mean - 0.01, "holds"), (100 * mean + 0.01, "within chance"), (100, "does not hold")):
        assert judge(runs, epoch="last", claim="at_least", published_percent=limit).word == word
    assert judge(runs, metric="epochs", claim="at_most", published=2).word == "holds"
    assert value(claim="at_least", published_percent=99.4).limit == 9940 / 10_000
    missed = judge(runs, epoch="last", claim="at_least", published_percent=100, missed=True)
    assert missed.because == "the report missed it too"


def test_of_several_runs_those_that_diverged_are_counted_and_not_averaged(runs):
    class Lost:
        seed, status = 9, "diverged"
        path, summary, split = runs["plain"][0].path, runs["plain"][0].summary, runs["plain"][0].split

    mixed = {"plain": [*runs["plain"], Lost()]}
    one, without = (judge(some, epoch="selected", published_percent=50) for some in (mixed, runs))
    assert (one.mean, one.n, one.runs, one.left_out) == (without.mean, 3, 4, "1 of 4 diverged")
    assert figures.measured(one).endswith("n = 3; 1 of 4 diverged")
    lost = judge({"plain": [Lost()]}, epoch="selected", published_percent=50)
    assert lost.n == 1  # where all diverged, what they are left with is the figure


def test_a_limit_that_one_run_misses_is_not_judged_without_an_interval(runs):
    one = judge(runs, of="single", metric="train_loss", epoch="last", claim="at_most", published=0.0)
    assert (one.word, one.because) == ("not judged", "n = 1 is too few")
    unseen = judge(runs, of="single", metric="lowest_last_five", claim="at_least", published=0.99)
    assert (unseen.word, unseen.because) == ("not judged", "not measured")  # the test images are met at the end


def test_similar_is_what_cannot_be_told_apart(runs):
    same = judge(runs, of=("plain", "plain"), epoch="last", claim="similar")
    assert same.word == "holds" and "cannot be told apart" in same.because
    one = judge(runs, of=("single", "single"), epoch="last", claim="similar")
    assert one.word == "holds" and "McNemar" in one.because
    apart = judge(runs, of=("single", "diverged"), epoch="last", claim="similar")
    assert apart.word == "not judged"


def test_a_run_that_diverged_is_a_result(runs):
    assert runs["diverged"][0].status == "diverged"
    one = judge(runs, of="diverged", metric="train_loss", epoch="last", published=19, digits=0)
    assert (one.word, one.because, one.n, one.runs) == ("does not hold", "diverged", 0, 1)


def test_the_accuracy_of_a_diverged_run_is_told_as_one(runs):
    one = judge(runs, of="diverged", epoch="last", published_percent=10)
    assert figures.measured(one).endswith("n = 1; diverged")
    assert "diverged" not in figures.measured(judge(runs, of="diverged", metric="parameters", published=1210))


def test_a_spread_of_accuracies_is_told_in_points(runs, monkeypatch):
    monkeypatch.setattr(verdicts, "measure", lambda *given: Measured({0: 0.0032}, 1))
    one = judge(runs, metric="spread_last_five", published_percent=0.19)
    assert (figures.published(one.value), figures.measured(one)) == ("0.19 points", "0.32 points, n = 1")


def test_shortened_runs_are_judged_only_by_what_training_does_not_decide(runs):
    assert judge(runs, True, metric="parameters", claim="exact", published=1211).word == "does not hold"
    for fields in (
        {"published_percent": 50, "epoch": "last"},
        {"metric": "train_images", "claim": "exact", "published": 1},
    ):
        one = judge(runs, True, **fields)
        assert (one.word, one.because) == ("not judged", "shortened")
    missing = judge(runs, True, metric="val_accuracy", epoch=16, published_percent=99)
    assert (missing.word, missing.because) == ("not judged", "ended after epoch 2")


def test_the_lesson_is_measured_too():
    part = published.load("era-s6").parts[0]
    rows, falls = (verdicts.judge(one, part, {}) for one in part.values)
    assert (rows.word, rows.mean, falls.word) == ("holds", 68, "holds")


# The document


def test_the_document_holds_the_parts_in_their_order_between_what_holds_and_how(made):
    document = build(made, author="Ada Lovelace")
    titles = ["What holds", "By hand", "Training", "Runs", "Environment", "Reproduce it"]
    assert [section.title for section in document.sections] == titles
    assert document.mark == "" and document.byline[0].value == "Ada Lovelace"
    verdict = next(block for block in document.sections[0].blocks if isinstance(block, Verdict))
    words = [one.word for _, one in made.figures]
    asked = [word for word in words if word != "not judged"]
    assert verdict.word == f"{asked.count('holds')} of {len(asked)} judged figures hold"
    missed = next(block for block in document.sections[0].blocks if isinstance(block, Table))
    assert len(missed.rows) == len(asked) - asked.count("holds")
    marked = build(Reproduced(OWN, made.runs, made.out, "", quick=True))
    assert "Shortened" in marked.mark


def test_limits_of_one_name_are_told_with_their_parts(made, monkeypatch):
    monkeypatch.setattr(verdicts, "ENOUGH", 3)
    limit = value("the target", epoch="last", claim="at_least", published_percent=1)
    parts = tuple(Part(title=title, runs=("plain",), values=(limit,)) for title in ("Result", "Soundly"))
    alone, both = (
        findings.limits(replace(made, report=OWN.model_copy(update={"parts": parts[:count]})).figures)
        for count in (1, 2)
    )
    assert [sentence.split(":")[0] for sentence in alone] == ["The target, last epoch"]
    assert [sentence.split(":")[0] for sentence in both] == [
        "The target, last epoch (part “Result”)", "The target, last epoch (part “Soundly”)"
    ]  # fmt: skip


def test_every_figure_is_a_row_of_its_parts_table(made):
    (table,) = [block for block in build(made).sections[2].blocks if isinstance(block, Table)][:1]
    assert [row[0] for row in table.rows] == [
        "parameters",
        "test accuracy, best epoch",
        "test accuracy, last epoch, by a sound protocol",
        "train loss, epoch 1",
        "train loss, epoch 2",
        "loss, last epoch",
        "seconds an epoch",
    ]
    last = next(row for row in table.rows if "last epoch, by a sound protocol" in row[0])
    assert re.fullmatch(r"50\.00 % \(the report\)", last[1]) and re.search(r"± \d+\.\d\d %, n = 3$", last[2])


def test_the_commands_make_each_run_again(made, runs):
    command, alone = (block for block in build(made).sections[-1].blocks if isinstance(block, Code))
    assert command.text == "classlab reproduce own"
    for name, line in zip(OWN.runs, alone.text.splitlines(), strict=True):
        given = shlex.split(line)
        changes = [word for before, word in pairwise(given) if before == "--set"]
        assert experiment.load(given[2], changes) == runs[name][0].experiment


def test_files_are_written_and_agree_with_each_other(made, tmp_path):
    here = replace(made, out=tmp_path)
    reproduced_files.write(here, author="Ada Lovelace")
    reproduced_files.write_tables([here], tmp_path)
    assert (tmp_path / "own.pdf").read_bytes().startswith(b"%PDF-")
    document = json.loads((tmp_path / "own.json").read_text())
    assert len(document["figures"]) == len(here.figures) == 8 and len(document["runs"]) == 7
    assert document["figures"][2]["published"] == 0.5
    tables = (tmp_path / "tables.md").read_text()
    assert all(one["what"] in tables and one["verdict"] in tables for one in document["figures"])
    page = (tmp_path / "own.html").read_text()
    assert all(one["what"] in page for one in document["figures"])


def test_the_tables_of_other_reports_in_the_folder_stay(made, tmp_path):
    other = replace(made, report=OWN.model_copy(update={"name": "other"}))
    reproduced_files.write_tables([made], tmp_path)
    alone = (tmp_path / "tables.md").read_text()
    reproduced_files.write_tables([other], tmp_path)
    both = (tmp_path / "tables.md").read_text()
    assert both.startswith(alone) and re.findall(r"^## ([\w-]+):", both, re.MULTILINE) == ["own", "other"]
    reproduced_files.write_tables([made, other], tmp_path)
    assert (tmp_path / "tables.md").read_text() == both


def test_a_shortened_report_does_not_take_a_full_one_s_place(made, tmp_path):
    reproduced_files.write(replace(made, out=tmp_path, quick=True))
    reproduced_files.refuse_to_replace([OWN], tmp_path)
    reproduced_files.write(replace(made, out=tmp_path))
    with pytest.raises(UserError, match=r"holds own in full, .* name another folder with --out"):
        reproduced_files.refuse_to_replace([OWN], tmp_path)
    store.write_json(tmp_path / "era-s6.json", {"quick": False})
    with pytest.raises(UserError, match="holds era-s6 in full"):
        reproduce.reproduce("era-s6", quick=True, out=tmp_path)
    assert not (tmp_path / "runs").exists()


def test_every_arithmetic_of_the_runs_is_told(made):
    (section,) = [one for one in build(made).sections if one.title == "Environment"]
    facts = {fact.label: fact.value for fact in section.blocks[0].facts}
    assert facts["Device"] == "cpu" and facts["Arithmetic"].startswith("fp32, channels first, 1 thread")
    ways = {run.path: "fp32" for run in made.every}
    assert sum(map(int, re.findall(r"\((\d+) runs?\)", facts["Arithmetic"]))) in (0, len(ways))


def test_a_run_that_could_not_be_trained_is_told(runs, tmp_path):
    failed = Reproduced(OWN, {**runs, "plain": []}, tmp_path, "", failures={"plain, seed 0": "memory may have run out"})
    words = "".join(map(str, build(failed).sections))
    assert "plain, seed 0 could not be trained: memory may have run out" in words
    assert {one.because for _, one in failed.figures if one.value.of == "plain"} == {"not trained"}


# REPORTS, written down a second time: sections, figures and blocks that each document must hold.

CONTENTS = {
    "era-s6": {
        "A network worked by hand": "workbook derivation loss-of-each-rate conclusion",
        "Data": "samples",
        "Network": "method layers architecture receptive-fields memory",
        "Training": "loss accuracy epochs",
        "Result": "confusion wrong right",
        "The same limits, soundly": "sound-accuracy",
        "A picture of the reader's own": "own-image",
    },
    "eva7-s4": {
        "A network worked by hand": "workbook derivation loss-of-each-rate conclusion",
        "Data": "samples",
        "Networks": "method layers architecture",
        "Training": "loss accuracy epochs",
        "How steady are the last epochs?": "last-epochs comparisons",
        "Result": "confusion wrong right",
    },
    "prml-pa6": {
        "Data": "samples classes",
        "Network": "method layers architecture",
        "Training": "loss accuracy epochs",
        "Test": "confusion",
        "Predictions": "right wrong",
        "What the words say, and what the code does": "accuracy comparisons",  # ours
        "Soundly, only the training images are augmented": "comparisons",
    },
    "dl-minor-1": {
        "The task, derived": "derivation",
        "Data": "samples classes",
        "Convolutional network": "method layers architecture loss accuracy confusion",
        "Autoencoder": "method layers loss floors reconstructions",
        "Classifier on the encoder": "method layers loss accuracy confusion",
        "Fresh, frozen or fine-tuned": "comparisons",
        "The two against each other": "bars comparisons",
    },
    "cifar-hw3": {
        "1 · The tutorial as it is": "method samples loss accuracy confusion right wrong",
        "2 · One linear layer": "layers loss accuracy",
        "3 · Three layers, with ReLU and without": "layers loss accuracy one-map comparisons",
        "4 · LeNet": "layers architecture loss accuracy",
        "5 · Batch sizes": "loss accuracy",
        "6 · Learning rates": "loss accuracy",
        "7 · Augmentation": "augmented loss accuracy comparisons",
        "8 · Mean squared error in place of cross-entropy": "loss accuracy comparisons",
    },
}
FIGURES = {
    "era-s6": "16,976 0.00 0.81 0.06 0.88 14 68 98.80 99.43 99.46 83.21 99.47 24",
    "eva7-s4": "19,310 14,026 19,174 200 97.57 97.05 95.31 99.47 99.44 99.28 99.39 99.30 99.35 99.40",
    "prml-pa6": "48,000 12,000 10,000 750 52,650 0.4593 93.51 0.2728 93.52 0.2025 94.76 0.2279 94.44 0.1536 96.38 "
    "0.1770 95.68 0.1244 96.96 0.1596 95.97 0.1008 97.38 0.1515 96.34 0.1287 96.15 15",
    "dl-minor-1": "120,000 30,000 5,000 1,730,610 815,196 418,240 0.3539 0.2275 0.1977 0.1720 0.1412 0.1076 0.0795 "
    "0.0621 0.0524 0.0472 0.0434 0.0389 0.0365 0.0353 0.0330 86.98 91.24 92.28 93.30 94.57 95.85 97.00 97.69 98.05 "
    "98.27 98.45 98.61 98.72 98.76 98.85 97.91 0.5443 0.5272 0.5230 0.5163 0.3695 0.0402 85.77 98.56 97.12 0.79",
    "cifar-hw3": "30,730 379,774 62,006 38 48 47.5 45 1.55 1.6 1.7 35 70 1.5 0.1 0.7 60 80 87 63 10 18.5 19.5 2.358 "
    "2.360 2.3080 2.3085 2.25 0.50",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_sections_figures_and_blocks_of_each_report_are_in_its_document(name, tmp_path, monkeypatch):
    report, asked = published.load(name), []

    def find(kind, block):
        return lambda material: asked.append((material.part.title, block)) or []

    monkeypatch.setattr(sections.lookup, "find", find)
    document = build(Reproduced(report, {name: [] for name in report.runs}, tmp_path, ""))
    titles = [section.title for section in document.sections]
    assert titles[1 : 1 + len(CONTENTS[name])] == list(CONTENTS[name])
    asked = [(title, block) for title, block in asked if title in CONTENTS[name]]  # and not the environment
    assert asked == [(title, block) for title, blocks in CONTENTS[name].items() for block in blocks.split()]
    tables = [block for section in document.sections[1:] for block in section.blocks if isinstance(block, Table)]
    printed = " ".join(
        row[1] for table in tables if table.name.startswith(("figures-", "curve-")) for row in table.rows
    )
    assert set(FIGURES[name].split()) <= set(re.findall(r"[\d.,]*\d", printed))
