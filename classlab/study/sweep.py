"""The variants of a study, each with its name and its experiment, and short names for what they change."""

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classlab import experiment as experiments
from classlab import limits, own_code
from classlab.errors import UserError, did_you_mean
from classlab.experiment import Experiment
from classlab.formats import count
from classlab.study.declaration import Named, Step, Study
from classlab.study.published_curve import PublishedCurve
from classlab.study.results import TAKEN
from classlab.study.space import Space, space
from classlab.yaml_text import value_at

SPLIT_SEED = "data.split_seed"
MOST_LETTERS = 28  # of a value in a name
COLUMNS_SHOWN = 5  # settings in a report's table of variants


@dataclass(frozen=True)
class Variant:
    """One variant. `changes`: what it sets in its experiment, dotted key to value."""

    name: str
    experiment: Experiment
    changes: Mapping[str, Any]


def variants(study: Study, trust: bool = False) -> list[Variant]:
    """Return the variants in the order of the file. Raises UserError where one cannot be, naming it.

    trust: whether code of the reader's own that they name may run, see own_code.trusting.
    """
    with own_code.trusting(trust):
        return _variants(study)


def _variants(study: Study) -> list[Variant]:
    grid, search = study.sweep.grid, study.sweep.search
    if search and not study.sweep.variants:  # those of a study's folder were checked when they were found
        space_of(study)
    asked = max(1, len(study.sweep.variants), len(study.steps))
    for values in grid.values():
        asked *= len(values)
    if asked > limits.VARIANTS:
        raise UserError(f"a study has at most {limits.VARIANTS:,} variants; {study.name} asks for {asked:,}")
    if asked * len(study.seed_list) > limits.RUNS:
        raise UserError(
            f"a study has at most {limits.RUNS:,} runs; {study.name} asks for {asked * len(study.seed_list):,}"
        )
    keys, texts = short_keys(list(grid)), {key: short_values(values) for key, values in grid.items()}
    made = []
    for named in accumulated(study.steps) or study.sweep.variants or [None]:
        for places in itertools.product(*(range(len(values)) for values in grid.values())):
            point = dict(zip(grid, places, strict=True))
            parts = [f"{keys[key]}={texts[key][place]}" for key, place in point.items()]
            chosen = {key: grid[key][place] for key, place in point.items()}
            base = named.experiment if named and named.experiment is not None else study.experiment
            changes = {**(named.set if named else {}), **chosen}
            assert base is not None, "Study has checked that every variant has an experiment"
            name = ", ".join([*([named.name] if named else []), *parts]) or base["name"]
            experiment = _experiment(name, base, {**study.set, **changes})
            if study.compare.published and _shares_a_split(experiment, {**study.set, **changes}):
                experiment = _experiment(name, base, {**study.set, **changes, SPLIT_SEED: "seed"})
            made.append(Variant(name, experiment, changes))
    _check_distinct(made)
    _check_baseline(study, made)
    for variant in made:
        _check_metric(study.compare.metric, variant)
        if search:
            _check_metric(search.metric, variant, f"sweep.search.metric {search.metric}")
    if study.compare.published:
        _check_published(study.compare.published, made)
    return made


def accumulated(steps: Sequence[Step]) -> list[Named]:
    """Return steps as variants: each with every change since the last that named an experiment of its own.

    A setting that is set again takes the place of what was set of it and inside it before.
    """
    found: list[Named] = []
    experiment: dict[str, Any] | None = None
    changes: dict[str, Any] = {}
    for step in steps:
        if step.experiment is not None:
            experiment, changes = step.experiment, {}
        inside = tuple(f"{key}." for key in step.set)
        kept = {key: value for key, value in changes.items() if key not in step.set and not key.startswith(inside)}
        changes = {**kept, **step.set}
        found.append(Named(name=step.name, experiment=experiment, set=changes))
    return found


def space_of(study: Study, pairs: bool = False) -> Space:
    """Return what a study's search may try. Raises UserError where a setting is none of the experiment's.

    pairs: see space.space.
    """
    assert study.sweep.search and study.experiment, "a study with a search has an experiment"
    return space(study.sweep.search, study.experiment, study.set, pairs)


def _experiment(name: str, base: Mapping[str, Any], changes: Mapping[str, Any]) -> Experiment:
    try:
        return experiments.load(base, changes=changes)
    except own_code.Untrusted as error:
        raise own_code.named(error, f"variant {name}") from None
    except UserError as error:
        raise UserError(f"variant {name}: {error}") from None


def _shares_a_split(experiment: Experiment, changes: Mapping[str, Any]) -> bool:
    """Say whether all seeds are validated on the same images without the study's saying so.

    Whoever published a curve held out other images than ours, which moves every figure measured on them. So one more
    run falls where a run on other images falls, and the seeds must have other ones too.
    """
    return experiment.protocol.validate_on == "val" and experiment.data.split_seed == 0 and SPLIT_SEED not in changes


def _check_distinct(made: Sequence[Variant]) -> None:
    by_name: dict[str, Variant] = {}
    by_digest: dict[tuple[str, str], Variant] = {}
    for variant in made:
        if variant.name in by_name:
            raise UserError(f"two variants are named {variant.name}; every variant needs a name of its own")
        same = by_digest.get((variant.experiment.name, variant.experiment.digest()))
        if same:
            raise UserError(f"variants {same.name} and {variant.name} are the same experiment; leave one out")
        by_name[variant.name] = by_digest[variant.experiment.name, variant.experiment.digest()] = variant


def _check_baseline(study: Study, made: Sequence[Variant]) -> None:
    names, wanted = [variant.name for variant in made], study.compare.baseline
    if wanted is not None and wanted not in names:
        raise UserError(
            f"compare.baseline {wanted!r} is not a variant of {study.name}{did_you_mean(wanted, names) or ';'} "
            f"its variants are {'; '.join(names[:12])}{' …' if len(names) > 12 else ''}"
        )


def _check_published(curve: PublishedCurve, made: Sequence[Variant]) -> None:
    """Raise UserError where the runs of a variant will never have a published figure."""
    reached = curve.reached([variant.experiment.training.epochs for variant in made])
    if not reached:
        most = max(variant.experiment.training.epochs for variant in made)
        raise UserError(f"compare.published has no figure that these runs reach: they train {count(most, 'epoch')}")
    for figure in reached:
        metric = f"first_{figure.base}" if isinstance(figure.at, int) else figure.measured
        for variant in made:
            _check_metric(metric, variant, f"compare.published, {figure.words}")


def _check_metric(metric: str, variant: Variant, setting: str = "") -> None:
    """Raise UserError where no run of the variant will ever have the metric. setting: which asks for it."""
    from classlab.training.task import reconstructs

    protocol, problem = variant.experiment.protocol, None
    of_an_epoch = metric.startswith(("first_", "best_", "last_", "spread_"))
    if metric.endswith("accuracy") and reconstructs(variant.experiment.training.loss):
        problem = "reconstructs images, so it has losses and no accuracies; compare.metric=test_loss for example"
    elif "val_" in metric and protocol.validate_on != "val":
        problem = "has no validation images; set data.val_size and protocol.validate_on=val"
    elif "test_" in metric and of_an_epoch and protocol.validate_on != "test" and not protocol.test_each_epoch:
        problem = "is tested at the end only; set protocol.test_each_epoch=true"
    if problem:
        raise UserError(f"{setting or f'compare.metric {metric}'}: variant {variant.name} {problem}")


def baseline(study: Study, names: Sequence[str]) -> str:
    """Return the name of the variant that the others are compared with."""
    return study.compare.baseline or names[0]


def short_keys(keys: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Return for every dotted key its last step, or as many more as tell it from the others and from `taken` names."""
    short: dict[str, str] = {}
    for key in keys:
        steps = key.removesuffix(".name").split(".")
        others = [other.removesuffix(".name").split(".") for other in keys if other != key]
        length = 1
        while length < len(steps) and (
            any(other[-length:] == steps[-length:] for other in others) or ".".join(steps[-length:]) in taken
        ):
            length += 1
        short[key] = ".".join(steps[-length:])
    return short


def short_values(values: Sequence[Any]) -> list[str]:
    """Return a short text for each value: names for choices, their options only where names do not tell them apart."""
    short = [_short(value) for value in values]
    if len(set(short)) < len(short):
        short = [spelled(value) for value in values]
    short = [text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…" for text in short]
    return [text if short.count(text) == 1 else f"{text} #{place + 1}" for place, text in enumerate(short)]


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value["name"]) if "name" in value else spelled(value)
    if isinstance(value, list):
        named = all(isinstance(part, str) or (isinstance(part, Mapping) and "name" in part) for part in value)
        return "+".join(map(_short, value)) if named and value else "none" if not value else spelled(value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def spelled(value: Any) -> str:
    """Return a value as text, "perceptron widths [120 84]": no commas, for they stand between the parts of a name."""
    if isinstance(value, Mapping):
        options = " ".join(f"{key} {spelled(part)}" for key, part in value.items() if key != "name")
        return f"{value.get('name', '')} {options}".strip()
    if isinstance(value, list):
        return f"[{' '.join(map(spelled, value))}]"
    return _short(value)


def flat(document: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return a resolved experiment as dotted key to value; lists are values, for their parts have no names."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        dotted = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            found.update(flat(value, dotted))
        else:
            found[dotted] = value
    return found


def settings(made: Sequence[Variant]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the keys that the variants change, and for every variant what each of them is, as short text.

    They are columns of results.csv, and as short as its other columns allow: training.epochs, for epochs is taken.
    The experiment's name is one of them where variants train several experiments.
    """
    keys = list(dict.fromkeys(key for variant in made for key in variant.changes))
    found: dict[str, dict[str, str]] = {variant.name: {} for variant in made}
    columns = []
    if len({variant.experiment.name for variant in made}) > 1:
        columns.append("experiment")
        for variant in made:
            found[variant.name]["experiment"] = variant.experiment.name
    for key, column in short_keys(keys, TAKEN).items():
        columns.append(column)
        texts = short_values_each([value_at(variant.experiment.model_dump(mode="json"), key) for variant in made])
        for variant, text in zip(made, texts, strict=True):
            found[variant.name][column] = text
    return columns, found


def short_values_each(values: Sequence[Any]) -> list[str]:
    """Return a short text for each value, the same one for equal values."""
    spelled = [json.dumps(value, sort_keys=True) for value in values]
    distinct = dict(zip(spelled, values, strict=True))
    texts = dict(zip(distinct, short_values(list(distinct.values())), strict=True))
    return [texts[text] for text in spelled]
