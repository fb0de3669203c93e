"""The range of learning rates: held against a study's best rate, known divergence, and what it must not touch."""

import json
import math

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import classlab as cl
from classlab.cli.main import app
from classlab.errors import UserError
from classlab.study import rate_range

PLAN = {
    "name": "small",
    "data": {"dataset": "digits", "max_per_class": 60, "val_size": 150},
    "model": {"name": "perceptron", "widths": [16], "activation": "relu"},
    "training": {"epochs": 5, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}, "native": False},
}


@pytest.fixture(scope="module")
def found():
    return cl.rate(PLAN, seeds=2, seconds=2)


def test_the_interval_holds_its_best_and_ends_below_divergence(found):
    assert found.low < found.best < found.high
    assert all(rate is not None and found.best < rate for rate in found.diverged)
    assert 0.03 < found.best < 3  # twenty times lower it learns next to nothing in five epochs, at ten it diverges
    assert f"best of those tried {found.best:.2g}" in found.sentence() and "in 2 of 2" in found.sentence()
    again = cl.load_experiment(
        PLAN, [f"training.optimizer.learning_rate={found.to_json()['setting'][rate_range.RATE]}"]
    )
    assert again.training.optimizer.options["learning_rate"] == pytest.approx(found.best, rel=0.05)


def test_it_is_the_same_again_and_changes_no_random_state_and_no_folder(found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    again = cl.rate(PLAN, seeds=2, seconds=2)
    assert torch.equal(before, torch.random.get_rng_state()) and not list(tmp_path.iterdir())
    np.testing.assert_array_equal(again.curve[1], found.curve[1])


def test_smoothing_is_a_gaussian_mean_over_the_logarithm():
    rates = np.geomspace(1e-3, 1, 301)
    line = 2 - 0.3 * np.log10(rates)  # what is straight over the logarithm stays so, but at the ends
    np.testing.assert_allclose(rate_range._smoothed(rates, line)[60:-60], line[60:-60], atol=1e-4)
    noisy = np.random.default_rng(1).normal(size=301)
    share = rate_range._smoothed(rates, noisy)[150:160]
    places = np.log10(rates)
    weights = np.exp(-((places[None] - places[150:160, None]) ** 2) / (2 * 0.1**2))
    np.testing.assert_allclose(share, weights @ noisy / weights.sum(1))


@pytest.mark.parametrize(
    ("losses", "place"),
    [
        ([2.3] * 4 + [1.0] * 4 + [2.3] * 2, 8),  # dead: back to where it began, for good
        ([2.3] * 4 + [1.0] * 4 + [math.inf] * 2, 8),
        ([2.3] * 4 + [3.0, 1.0, 1.0, 1.0, 1.0, 1.0], None),  # it recovered
        ([2.3] * 4 + [1.0] * 6, None),
        ([2.3] * 8 + [math.inf] * 2, 8),  # nothing was learnt before it broke
        ([2.3] * 10, None),
    ],
)
def test_divergence_is_a_loss_that_never_falls_below_its_start_again(losses, place):
    rates = np.geomspace(1e-4, 1, 10)
    assert rate_range._diverged(rates, np.array(losses)) == (None if place is None else pytest.approx(rates[place]))


def test_equal_rates_are_all_kept_and_a_clearly_worse_one_is_not():
    drawn = np.random.default_rng(3)
    luck = drawn.normal(size=3)
    tried = {rate: tuple(0.9 + 0.01 * luck + 0.002 * drawn.normal(size=3)) for rate in (0.1, 0.18, 0.32, 0.56)}
    tried[1.0] = tuple(0.7 + 0.01 * luck)
    tried[1.8] = (0.9, math.nan, 0.9)
    kept = rate_range._kept(tried, lower_is_better=False)
    assert len(kept) >= 3 and 1.0 not in kept and 1.8 not in kept


def test_the_command_prints_one_document_and_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(json.dumps(PLAN))
    done = CliRunner().invoke(app, ["rate", "small.yaml", "--seeds", "2", "--seconds", "1", "--json", "--out", "a.svg"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["low"] < document["best"] < document["high"] and len(document["curve"]["losses"]) == 2
    assert {entry.name for entry in tmp_path.iterdir()} == {"small.yaml", "a.svg"}


def test_the_range_test_trains_on_the_loss_that_the_experiment_states():
    plain = cl.rate(PLAN, seeds=2, seconds=1).curve[1]
    for change in ("training.l1_penalty=0.01", "training.max_gradient_norm=0.1", "training.mixing=mixup"):
        changed = cl.rate(cl.load_experiment(PLAN, [change]), seeds=2, seconds=1).curve[1]
        assert not np.array_equal(changed, plain), change


def test_mistakes_get_one_sentence(tmp_path):
    with pytest.raises(UserError, match="at least 2 seeds"):
        cl.rate(PLAN, seeds=1)
    done = CliRunner().invoke(app, ["rate", "digits-quick", "--out", str(tmp_path / "a.gif")])
    assert "a chart can be written as .svg, .png, .pdf; got 'a.gif'" in str(done.exception)
