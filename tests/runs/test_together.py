"""Populations as run folders: equal to runs one by one, and gone on with after a stop."""

import numpy as np
import pytest

from classlab.errors import UserError
from classlab.experiment import load
from classlab.runs import store
from classlab.runs.execute import train
from classlab.runs.together import STATE, group_key, train_together

SHORT = ["training.epochs=3", "training.batch_size=32", "contract={}"]


def quick(rate: float, *more: str):
    return load("digits-quick", [*SHORT, f"training.optimizer.learning_rate={rate}", *more])


MEMBERS = [(quick(rate, "training.precision=fp64"), seed) for rate in (0.05, 0.2) for seed in (0, 1)]


def test_each_member_is_the_run_that_it_would_be_alone(tmp_path):
    runs = train_together(MEMBERS, out=tmp_path / "a", folder=tmp_path / "p", verbose=False)
    for run, (experiment, seed) in zip(runs, MEMBERS, strict=True):
        alone = train(experiment, seed=seed, out=tmp_path / "b", verbose=False)
        assert run.path.name == alone.path.name and run.seed == seed
        assert sorted(file.name for file in run.path.iterdir()) == sorted(file.name for file in alone.path.iterdir())
        np.testing.assert_allclose(run.predictions()[0], alone.predictions()[0], rtol=1e-9, atol=1e-9)
        same = {name: run.summary[name] for name in ("status", "test_accuracy", "epochs", "parameters", "contract")}
        assert same == {name: alone.summary[name] for name in same}
        assert list(run.history.columns) == list(alone.history.columns)
    assert not (tmp_path / "p" / STATE).exists()


def test_a_population_that_was_stopped_ends_with_the_same_bytes(tmp_path):
    class Stopped(Exception):
        pass

    def stop(epoch: int) -> None:
        if epoch == stops[0]:
            stops.pop(0)
            raise Stopped

    whole = train_together(MEMBERS, out=tmp_path / "a", folder=tmp_path / "p", verbose=False)
    stops = [1, 2]
    for _ in (1, 2):
        with pytest.raises(Stopped):
            train_together(MEMBERS, out=tmp_path / "b", folder=tmp_path / "q", verbose=False, on_epoch=stop)
    stops = [0]
    again = train_together(MEMBERS, out=tmp_path / "b", folder=tmp_path / "q", verbose=False, on_epoch=stop)
    for one, other in zip(whole, again, strict=True):
        for name in (store.LAST, store.PREDICTIONS, store.EXPERIMENT, store.SPLIT):
            assert (one.path / name).read_bytes() == (other.path / name).read_bytes()
        assert one.history.drop(columns="seconds").equals(other.history.drop(columns="seconds"))


def test_only_seeds_names_contracts_and_rates_may_differ(tmp_path):
    assert group_key(quick(0.1)) == group_key(quick(0.2, "name=other", "contract.max_parameters=99999"))
    assert group_key(quick(0.1)) != group_key(quick(0.1, "training.batch_size=64"))
    assert group_key(quick(0.1, "training.optimizer={name: rmsprop}")) is None
    with pytest.raises(UserError, match="must differ in nothing but seed, name, contract and rates"):
        train_together(
            [(quick(0.1), 0), (quick(0.1, "training.epochs=4"), 0)], out=tmp_path, folder=tmp_path / "p", verbose=False
        )
