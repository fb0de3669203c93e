"""Proposals: which variants to try next, asked of one of Optuna's samplers. Optuna keeps nothing."""

import hashlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from classlab.errors import UserError
from classlab.study.search import Search, ordered, whole_numbers
from classlab.study.space import Point, Space, rounded

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

ASKED_AGAIN = 20  # times as often as proposals are wanted, where a sampler proposes what was tried


def check() -> None:
    """Raise UserError where the library that proposes is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise UserError("a search needs the package optuna; install classlab[search]")


def propose(space: Space, known: Sequence[tuple[Point, float | None]], count: int) -> list[Point]:
    """Return `count` points that are none of the known ones, fewer only where no more are left.

    A pure function of its arguments. known: the points tried and what each gave, in the order of the study; None where
    it gave nothing.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # of what is new in the library
        study = optuna.create_study(
            direction="maximize" if space.search.higher_is_better else "minimize",
            sampler=_sampler(space.search, len(known)),
        )
        distributions = {key: _distribution(setting) for key, setting in space.search.settings.items()}
        for point, value in known:
            study.add_trial(_trial(space.search, point, value, distributions))
        taken, found = [point for point, _ in known], list[Point]()
        for _ in range(ASKED_AGAIN * count):
            if len(found) == count:
                return found
            trial = study.ask(distributions)
            point = _point(space.search, trial.params)
            if point in taken:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                taken.append(point)
                found.append(point)
    if space.size is not None:  # of a small space the last points, which a sampler may never hit
        left = [point for point in space.every() if point not in taken]
        found += left[: count - len(found)]
    return found


def _sampler(search: Search, known: int) -> "BaseSampler":
    """Return the sampler, whose random numbers follow from the search and from how far it is."""
    import optuna

    seed = int.from_bytes(hashlib.sha256(f"{search.seed} {known}".encode()).digest()[:4], "big")
    if search.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, multivariate=True)


def _distribution(setting: Mapping[str, Any]) -> "BaseDistribution":
    from optuna import distributions

    if "choices" in setting:
        count = len(setting["choices"])
        if ordered(setting):
            return distributions.IntDistribution(0, count - 1)
        return distributions.CategoricalDistribution(list(range(count)))
    low, high, log = setting["from"], setting["to"], setting.get("log", False)
    if whole_numbers(setting):
        return distributions.IntDistribution(low, high, log=log)
    return distributions.FloatDistribution(low, high, log=log)


def _ranks(setting: Mapping[str, Any]) -> list[int]:
    """Return for each rank which choice has it: numbers by their size, other values as they stand."""
    places = list(range(len(setting["choices"])))
    return sorted(places, key=lambda place: setting["choices"][place]) if ordered(setting) else places


def _point(search: Search, parameters: Mapping[str, Any]) -> Point:
    point: Point = {}
    for key, setting in search.settings.items():
        value = parameters[key]
        point[key] = _ranks(setting)[value] if "choices" in setting else rounded(value, setting)
    return point


def _trial(
    search: Search, point: Point, value: float | None, distributions: "Mapping[str, BaseDistribution]"
) -> "FrozenTrial":
    """Return a point as the library knows one that has been tried."""
    from optuna.trial import TrialState, create_trial

    parameters = {
        key: _ranks(setting).index(int(point[key])) if "choices" in setting else point[key]
        for key, setting in search.settings.items()
    }
    state = TrialState.FAIL if value is None else TrialState.COMPLETE
    return create_trial(state=state, value=value, params=parameters, distributions=dict(distributions))
