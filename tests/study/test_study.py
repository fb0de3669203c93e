"""The study file: what it means, what it refuses and in which words."""

import importlib
from pathlib import Path

import jsonschema
import pytest

from classlab import lookup, metrics
from classlab.errors import UserError
from classlab.study.declaration import Study, load, schema
from classlab.study.sweep import settings, short_keys, short_values, variants
from classlab.yaml_text import parse_yaml, to_yaml

SCHEMA = schema()


def names(fields, *overrides):
    return [one.name for one in variants(load(fields, overrides))]


@pytest.mark.parametrize("name", lookup.names("study"))
def test_every_shipped_study_loads_and_says_its_question_and_command(name):
    text = lookup.path("study", name).read_text(encoding="utf-8")
    study = load(name)
    assert study.name == name and study.question.endswith("?") and f"# Command: classlab study {name}" in text
    assert "# Cost:" in text and len(variants(study)) >= 2 and len(study.seed_list) >= 3
    assert load(parse_yaml(study.to_yaml(), name)) == study
    jsonschema.validate(parse_yaml(text, name), SCHEMA)


def test_the_schema_refuses_what_the_study_refuses():
    fields = parse_yaml(lookup.path("study", "cifar-depth").read_text(encoding="utf-8"), "it")
    for change in ({"seed": 3}, {"compare": {"metrics": "test_loss"}}, {"sweep": {"grids": {}}}):
        with pytest.raises(UserError, match="did you mean"):
            load({**fields, **change})
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**fields, **change}, SCHEMA)


def test_a_grid_is_every_combination_and_names_say_the_values(rates):
    rates["sweep"]["grid"]["data.augmentations"] = [[], ["horizontal_flip"]]
    assert names(rates) == [
        "learning_rate=0.1, augmentations=none",
        "learning_rate=0.1, augmentations=horizontal_flip",
        "learning_rate=0.01, augmentations=none",
        "learning_rate=0.01, augmentations=horizontal_flip",
    ]
    made = variants(load(rates))
    assert [one.experiment.training.optimizer.options["learning_rate"] for one in made] == [0.1, 0.1, 0.01, 0.01]
    assert [len(one.experiment.data.augmentations) for one in made] == [0, 1, 0, 1]
    columns, values = settings(made)
    assert columns == ["learning_rate", "augmentations"]
    assert values["learning_rate=0.1, augmentations=none"] == {"learning_rate": "0.1", "augmentations": "none"}


def test_named_variants_stand_in_every_combination_of_a_grid_and_may_train_another_experiment(rates):
    rates["sweep"]["variants"] = [
        {"name": "small"},
        {"name": "wide", "set": {"model.widths": [64]}},
        {"name": "shipped", "experiment": "digits-quick", "set": {"training.epochs": 3}},
    ]
    made = variants(load(rates))
    assert [one.name for one in made] == [
        f"{name}, learning_rate={rate}" for name in ("small", "wide", "shipped") for rate in ("0.1", "0.01")
    ]
    assert made[2].experiment.model.options["widths"] == [64]
    assert made[4].experiment.name == "digits-quick" and made[4].experiment.training.epochs == 3
    columns, values = settings(made)
    assert columns == ["experiment", "learning_rate", "widths", "training.epochs"]
    assert values[made[4].name]["experiment"] == "digits-quick" and values[made[0].name]["widths"] == "[16]"


def test_without_a_sweep_there_is_one_variant_named_like_its_experiment(rates):
    del rates["sweep"]
    assert names(rates) == ["quick"]


def test_what_is_validated_on_follows_from_the_val_size_of_each_variant(rates):
    rates["sweep"] = {"grid": {"data.val_size": [0, 200]}}
    study = load(rates)
    assert [one.experiment.protocol.validate_on for one in variants(study)] == ["none", "val"]
    assert load(parse_yaml(study.to_yaml(), "")) == study
    stated = {**rates["experiment"], "protocol": {"validate_on": "test"}}
    made = variants(load({**rates, "experiment": stated}))
    assert [one.experiment.protocol.validate_on for one in made] == ["test", "test"]


def test_set_reaches_the_study_and_every_variant(rates):
    study = load(rates, ["training.epochs=7", "seeds=[4, 9]", "compare.metric=val_loss"])
    assert study.seed_list == [4, 9] and study.compare.metric == "val_loss"
    assert {one.experiment.training.epochs for one in variants(study)} == {7}
    assert load(rates, seeds=5).seed_list == [0, 1, 2, 3, 4]


def test_set_may_change_what_lies_around_a_swept_setting(rates):
    optimizers = [one.experiment.training.optimizer for one in variants(load(rates, ["training.optimizer=adam"]))]
    assert [one.name for one in optimizers] == ["adam", "adam"]
    assert [one.options["learning_rate"] for one in optimizers] == [0.1, 0.01]
    rates["set"] = {"training.optimizer.learning_rate": 1, "training.optimizer.momentum": 0.5}
    made = variants(load(rates, ["training.optimizer.momentum=0.8"]))
    assert [one.experiment.training.optimizer.options["momentum"] for one in made] == [0.8, 0.8]


def test_the_files_a_study_names_are_looked_for_beside_it(rates, tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(to_yaml(rates["experiment"]), encoding="utf-8")
    rates["experiment"] = "mine.yaml"
    (tmp_path / "study.yaml").write_text(to_yaml(rates), encoding="utf-8")
    monkeypatch.chdir("/")
    assert load(tmp_path / "study.yaml").experiment["name"] == "quick"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["sweep.gird={}"], "sweep.gird is not a setting; did you mean sweep.grid?"),
        (["sedes=3"], "sedes is not a setting of a study or its experiments; did you mean seeds?"),
        (["trainin.epochs=3"], "did you mean training?"),
        (
            ["training.epoch=3"],
            "variant learning_rate=0.1: training.epoch is not a setting; did you mean training.epochs?",
        ),
        (["seeds=0"], "study: seeds must be at least 1"),
        (["seeds=[1, 1]"], "study: seeds must name each seed once; got [1, 1]"),
        (["name=a/b"], "study: name may hold letters, digits"),
        (["compare.metric=tset_accuracy"], "did you mean test_accuracy?"),
        (["compare.equivalent_within=0"], "compare.equivalent_within must be more than 0; got 0"),
        (["compare.equivalent_within=little"], "compare.equivalent_within must be a number"),
        (["compare.baseline=learning_rate=0.2"], "did you mean learning_rate=0.1?"),
        (["experiment=digit-quick"], "did you mean digits-quick?"),
        (["sweep={grid: {training.optimizer.learning_rate: [0.1, 0.10]}}"], "are the same experiment; leave one out"),
        (["sweep={variants: [{name: a}, {name: a}]}"], "two variants are named a"),
        (["sweep={grid: {training.epochs: []}}"], "sweep.grid: training.epochs needs at least one value"),
        (["experiment=null"], "experiment is required where a variant does not name one"),
        (["training.epochs"], "--set takes key=value"),
        (
            ["compare.metric=val_loss", "data.val_size=0"],
            "learning_rate=0.1 has no validation images; set data.val_size",
        ),
        (["compare.metric=best_test_loss"], "is tested at the end only; set protocol.test_each_epoch=true"),
        (["model=autoencoder", "training.loss=reconstruction"], "so it has losses and no accuracies"),
        (["set=[a]", "training.epochs=3"], '--set training.epochs: the study\'s own set is ["a"]; it must be'),
        (["set=a", "training.epochs=3"], "the study's own set is 'a'; it must be a mapping of settings"),
        (
            ["training.optimizer.learning_rate=0.5"],
            "--set training.optimizer.learning_rate: sweep.grid of rates sets training.optimizer.learning_rate itself "
            "and would undo this; change it there",
        ),
        (
            ["training.optimizer={name: adam, learning_rate: 0.5}"],
            "--set training.optimizer: sweep.grid of rates sets training.optimizer.learning_rate itself",
        ),
        (
            ["sweep={grid: {training.optimizer: [sgd, adam]}}", "training.optimizer.learning_rate=0.5"],
            "--set training.optimizer.learning_rate: sweep.grid of rates sets training.optimizer itself",
        ),
        (
            ["sweep={grid: {training.optimizer.name: [sgd, adam]}}", "training.optimizer=adam"],
            "--set training.optimizer: sweep.grid of rates sets training.optimizer.name itself",
        ),
        (
            ["sweep={variants: [{name: a}, {name: b, set: {training.epochs: 3}}]}", "training.epochs=1"],
            "--set training.epochs: the variant b of rates sets training.epochs itself and would undo this",
        ),
    ],
)
def test_a_mistake_gets_one_sentence(rates, change, sentence):
    with pytest.raises(UserError) as caught:
        names(rates, *change)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_study_that_is_not_there_is_told_with_a_suggestion():
    with pytest.raises(UserError, match="did you mean cifar-depth"):
        load("cifar-dept")
    with pytest.raises(UserError, match="there is no study file nosuch"):
        load("nosuch.yaml")
    with pytest.raises(UserError, match="a study holds names, numbers"):
        load({"name": "x", "experiment": object()})


def test_short_names_tell_apart_what_they_are_given():
    assert short_keys(["a.b.rate", "c.rate"]) == {"a.b.rate": "b.rate", "c.rate": "c.rate"}
    assert short_keys(["training.optimizer.name"]) == {"training.optimizer.name": "optimizer"}
    assert short_values([True, None, 1e-4, "x"]) == ["true", "none", "0.0001", "x"]
    two = [{"name": "perceptron", "widths": [8]}, {"name": "perceptron", "widths": [16, 8]}]
    assert short_values(two) == ["perceptron widths [8]", "perceptron widths [16 8]"]
    long = short_values(["a" * 50 + "1", "a" * 50 + "2"])
    assert len(set(long)) == 2


def test_every_metric_named_in_help_is_one():
    assert all(metrics.PATTERN.fullmatch(metric) for metric in metrics.NAMES)
    assert Study(name="x", experiment="digits-quick").compare.metric == "test_accuracy"


def test_the_study_in_the_documentation_is_one():
    text = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")
    whole, part = (block.partition("```")[0] for block in text.split("```yaml\n")[1:3])
    fields = parse_yaml(whole, "docs")
    assert "learning_rate=0.1, width=16" in names(fields) and len(names(fields)) == 4
    fields = {**fields, **parse_yaml(part.replace("my-deeper-network.yaml", "mnist-20k"), "docs"), "compare": {}}
    assert names(fields) == ["as they are", "augmented", "deeper"]
    assert all(f"`{name}`" in text for name in lookup.names("study"))


def test_a_study_called_by_its_room_can_write_its_report(monkeypatch):
    from classlab import lab

    monkeypatch.setattr(lab, "study", lambda *arguments, **options: (arguments, options))
    assert importlib.import_module("classlab.study")("rates.yaml", seeds=3) == (("rates.yaml",), {"seeds": 3})
