"""A study against a published curve: made-up ones from plain PyTorch, whose settings are known."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.data.sources import digits
from classlab.drawing.blocks import Figures, Table, Verdict
from classlab.report import document
from classlab.study import arithmetic, conduct
from classlab.study.published_curve import PublishedCurve
from classlab.study.weighing import weigh
from classlab.yaml_text import to_yaml

pytestmark = pytest.mark.timeout(900)  # of the study that all tests ask, also on a busy machine
EPOCHS, HELD_OUT, SEEDS = 4, 200, 5
SETTINGS = {
    "as it is": {},
    "rate 0.02": {"rate": 0.02},
    "no momentum": {"momentum": 0.0},
    "adam": {"adam": True, "rate": 0.002},
    "batch 16": {"batch": 16},
    "raw pixels": {"raw": True},
}
CHANGES = {
    "as it is": {},
    "rate 0.02": {"training.optimizer.learning_rate": 0.02},
    "no momentum": {"training.optimizer.momentum": 0.0},
    "adam": {"training.optimizer": {"name": "adam", "learning_rate": 0.002}},
    "batch 16": {"training.batch_size": 16},
    "raw pixels": {"data.normalise": {"mean": [0.0], "std": [1.0]}},
}
STUDY = {
    "name": "which",
    "question": "Which settings gave the published curve?",
    "experiment": {
        "name": "small",
        "data": {"dataset": "digits", "val_size": HELD_OUT},
        "model": {"name": "perceptron", "widths": [16]},
        "training": {
            "epochs": EPOCHS,
            "batch_size": 64,
            "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
        },
    },
    "sweep": {"variants": [{"name": name, "set": changes} for name, changes in CHANGES.items()]},
    "seeds": SEEDS,
    "compare": {"metric": "val_accuracy"},
}


def curve(seed, rate=0.1, momentum=0.9, adam=False, batch=64, raw=False, factor=1.0, places=4):
    """Train a perceptron on the digits in plain PyTorch, and return what its author would publish."""
    torch.manual_seed(seed)
    dataset = digits.load()
    mean, std = (0.0, 1.0) if raw else (0.3059, 0.3764)
    images, labels = (torch.tensor(dataset.images).float() / 255 - mean) / std, torch.tensor(dataset.labels)
    order = torch.randperm(len(images))
    val, train = order[:HELD_OUT], order[HELD_OUT:]
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    optimizer = (
        torch.optim.Adam(network.parameters(), rate)
        if adam
        else torch.optim.SGD(network.parameters(), rate, momentum=momentum)
    )
    figures = []
    for epoch in range(1, EPOCHS + 1):
        total = right = 0.0
        for index in train[torch.randperm(len(train))].split(batch):
            logits = network(images[index])
            loss = nn.functional.cross_entropy(logits, labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
            right += (logits.argmax(1) == labels[index]).sum().item()
        with torch.no_grad():
            logits = network(images[val])
        val_loss = factor * nn.functional.cross_entropy(logits, labels[val]).item()
        val_right = (logits.argmax(1) == labels[val]).float().mean().item()
        figures += [
            {"metric": "train_loss", "epoch": epoch, "value": round(total / len(train), places)},
            {"metric": "train_accuracy", "epoch": epoch, "percent": round(100 * right / len(train), 2)},
            {"metric": "val_loss", "epoch": epoch, "value": round(val_loss, places)},
            {"metric": "val_accuracy", "epoch": epoch, "percent": round(100 * val_right, 2)},
        ]
    return {"figures": figures}


def asked(figures, **more):
    return {**STUDY, "compare": {**STUDY["compare"], "published": figures}, **more}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The study trained once, against a curve that the first variant gives."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("studies")
    cl.study(asked(curve(1000)), out=out, jobs=1, verbose=False)
    return out


@pytest.fixture(scope="module")
def weighed(out):
    """Return a function that holds the runs of the study against another curve."""
    result = cl.load_study(out / "which")
    rows = {(row["variant"], row["seed"]): row for row in result.rows}
    runs = {
        name: {seed: (folder, rows[name, seed]) for seed, folder in by_seed.items()}
        for name, by_seed in result.folders.items()
    }
    counted = arithmetic.read(out / "which")
    return lambda figures: weigh(PublishedCurve(**figures), runs, counted)


def test_settings_among_the_variants_are_found_and_others_are_not_explained(out):
    first = cl.load_study(out / "which").weighing
    assert "as it is" in (first.best, *first.not_told_apart) and not first.none_explains
    second = cl.study(asked(curve(1001, **SETTINGS["adam"])), out=out, verbose=False)
    assert second.weighing.best == "adam" and not second.weighing.none_explains
    other = cl.study(asked(curve(1002, batch=256, rate=0.01)), out=out, verbose=False)
    assert other.weighing.none_explains
    assert other.sentences()[0].startswith("No variant explains what was published: ")


def test_over_sixty_curves_the_true_settings_are_kept_and_few_others(weighed):
    kept, remaining = 0, []
    for number in range(60):
        true = [*SETTINGS][number % len(SETTINGS)]
        found = weighed(curve(number, **SETTINGS[true]))
        together = {found.best, *found.not_told_apart}
        kept += true in together
        known, place = found.plain.prediction, found.names.index(true)
        apart = np.abs(known.mean - known.mean[place]) / np.sqrt((known.sd**2 + known.sd[place] ** 2) / 2)
        far = {name for name, gap in zip(found.names, apart.max(axis=1), strict=True) if gap >= 3}
        if len(far) == len(SETTINGS) - 1:
            remaining.append(1 + len(together & far))
    assert kept >= 54
    assert remaining and np.mean(remaining) <= 2


def test_one_document_holds_exactly_what_is_promised(out):
    result = cl.study(asked(curve(1001, **SETTINGS["adam"])), out=out, verbose=False)
    published = json.loads(json.dumps(conduct.to_json(result)))["published"]
    assert list(published) == ["best", "not_told_apart", "none_explains", "variants"]
    assert [list(row) for row in published["variants"]] == [["name", "inside", "figures", "misfit"]] * 6
    assert published["best"] == published["variants"][0]["name"] == "adam"
    assert published["variants"][0]["figures"] == 16 and published["variants"][0]["inside"] >= 13
    misfits = [row["misfit"] for row in published["variants"]]
    assert misfits == sorted(misfits) and published["none_explains"] is False


def test_the_command_line_says_the_same(out, tmp_path):
    (tmp_path / "curve.yaml").write_text(to_yaml(curve(1001, **SETTINGS["adam"])), encoding="utf-8")
    (tmp_path / "study.yaml").write_text(to_yaml(asked("curve.yaml")), encoding="utf-8")
    words = ["study", str(tmp_path / "study.yaml"), "--out", str(out)]
    printed = CliRunner().invoke(app, words)
    assert printed.exit_code == 0
    assert "adam explains what was published best, with " in " ".join(printed.stdout.split())
    document = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert document["published"]["best"] == "adam" and document["published"]["none_explains"] is False


def test_a_level_that_none_explains_is_said_with_its_factor(weighed):
    found = weighed(curve(1003, factor=4.0, **SETTINGS["no momentum"]))
    assert found.none_explains and found.best == "no momentum"
    (sentence,) = found.answer()[:1]
    assert "validation loss is " in sentence and " times too large in all 4 figures" in sentence
    factor = float(sentence.split("validation loss is ")[1].split(" times")[0])
    assert factor == pytest.approx(4, rel=0.3)


def test_what_one_figure_more_would_tell_apart_is_named(weighed):
    whole = curve(1004)
    few = {"figures": [figure for figure in whole["figures"] if figure["metric"] == "val_accuracy"][-1:]}
    found = weighed(few)
    assert found.not_told_apart
    sentences = found.answer()
    assert sentences[0].startswith("By what was published ") and "cannot be told apart" in sentences[0]
    assert any(text.startswith("One figure more would tell ") for text in sentences[1:])


def test_arithmetic_comes_first_and_rules_out(weighed):
    figures = curve(1005)["figures"]
    facts = [
        {"metric": "parameters", "value": 1210},
        {"metric": "steps", "value": 20},
        {"metric": "classes", "value": 10},
    ]
    found = weighed({"figures": [*facts, *figures]})
    first, second, third = found.sentences()[:3]
    assert first == "1,210 parameters are published: every variant has as many"
    assert second == "20 steps an epoch are published: batch 16 has 78"
    assert third == "10 classes are published: every variant has as many"
    assert found.verdict("batch 16") == "ruled out by arithmetic" and "batch 16" not in found.names
    assert found.ranked()[-1] == {"name": "batch 16", "inside": None, "figures": 16, "misfit": None}


def test_shortened_runs_are_held_against_the_epochs_that_they_reach(weighed):
    figures = [*curve(1006)["figures"], {"metric": "train_loss", "epoch": 9, "value": 0.01}]
    found = weighed({"figures": [*figures, {"metric": "test_accuracy", "percent": 96.1}]})
    assert len(found.figures) == 16 and not found.none_explains
    assert found.notes == ["2 published figures are of epochs that these runs do not reach, and left out"]


def test_a_single_seed_judges_nothing(tmp_path):
    study = asked(curve(1000), seeds=1, sweep={"variants": STUDY["sweep"]["variants"][:2]}, name="single")
    found = cl.study(study, out=tmp_path, jobs=1, verbose=False).weighing
    assert found.best is None and not found.none_explains and found.not_told_apart == ["as it is", "rate 0.02"]
    assert "cannot be computed with n = 1" in found.answer()[0]


def test_before_any_run_has_ended_nothing_is_said_of_the_curve(weighed, out):
    runs = {name: {} for name in SETTINGS}
    found = weigh(PublishedCurve(**curve(1000)), runs, arithmetic.read(out / "which"))
    assert found.best is None and not found.none_explains and found.to_json()["not_told_apart"] == []
    assert found.answer()[0].startswith("No run of this study has finished")


def test_each_seed_holds_out_other_images_as_another_author_does(out):
    result = cl.load_study(out / "which")
    held_out = {run.split()["digest"] for run in result.runs["as it is"].values()}
    assert len(held_out) == SEEDS
    assert {variant.experiment.data.split_seed for variant in result.variants} == {"seed"}


def test_the_report_begins_with_the_published_curve(out):
    result = cl.study(asked(curve(1001, **SETTINGS["adam"])), out=out, verbose=False)
    section = document.build(result).sections[0]
    assert section.title == "The published curve"
    (verdict,) = (block for block in section.blocks if isinstance(block, Verdict))
    assert verdict.sentence.startswith("adam explains what was published best")
    tables = [block.name for block in section.blocks if isinstance(block, Table)]
    assert tables[0] == "explanations"
    drawn = [figure for block in section.blocks if isinstance(block, Figures) for figure in block.figures]
    assert [figure.name for figure in drawn] == [
        f"published-{name}" for name in ("train-loss", "train-accuracy", "val-loss", "val-accuracy")
    ]
