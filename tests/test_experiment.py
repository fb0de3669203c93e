"""The experiment file and the Python object are one thing; what is wrong in it is said in one sentence."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import classlab as cl
from classlab import lookup, own_code
from classlab.experiment import Experiment, load, schema
from classlab.yaml_text import parse_yaml

SHIPPED = lookup.names("experiment")
SCHEMA = schema()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_experiment_resolves_and_reads_back_to_itself(name, tmp_path):
    experiment = load(name)
    assert experiment.name == name
    file = tmp_path / "resolved.yaml"
    file.write_text(experiment.to_yaml(), encoding="utf-8")
    assert load(file) == experiment
    assert load(json.loads(experiment.model_dump_json())).digest() == experiment.digest()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_experiment_says_its_command_in_its_head_comment(name):
    text = lookup.path("experiment", name).read_text(encoding="utf-8")
    head = text.partition("\nname:")[0]
    assert f"classlab run {name}" in head
    assert all(line.startswith("#") or not line for line in head.splitlines())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_schema_takes_every_shipped_experiment(name):
    jsonschema.validate(json.loads(load(name).model_dump_json()), SCHEMA)
    jsonschema.validate(parse_yaml(lookup.path("experiment", name).read_text(encoding="utf-8"), name), SCHEMA)


def test_the_schema_refuses_what_the_experiment_refuses():
    fields = json.loads(load("digits-quick").model_dump_json())
    fields["training"]["optimizer"]["momentun"] = 0.9
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(fields, SCHEMA)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.epoch=3", "training.epoch is not a setting; did you mean training.epochs?"),
        ("trainin.epochs=3", "trainin is not a setting; did you mean training? an experiment has: name, "),
        ("training.epochs=three", "training.epochs must be a whole number; got 'three'"),
        ("training.epochs=0", "training.epochs must be at least 1; got 0"),
        ("training.epochs=2.0", "training.epochs must be a whole number; got 2.0"),
        ("training.epochs=", "training.epochs must be a whole number; got null"),
        ("data.dataset=mnits", "there is no dataset named 'mnits'; did you mean mnist?"),
        ("model=squeezy", "there is no model named 'squeezy'; did you mean squeeze?"),
        ("training.loss=crossentropy", "there is no loss named 'crossentropy'; did you mean cross_entropy?"),
        ("training.optimizer.momentun=0.9", "optimizer sgd: momentun is not a setting; did you mean momentum?"),
        ("training.optimizer.momentum=2", "optimizer sgd: momentum must be less than 1; got 2"),
        ("training.optimizer.learning_rate=.inf", "learning_rate must be a finite number; got inf"),
        ("data.augmentations.0.degres=4", "augmentation rotate: degres is not a setting; did you mean degrees?"),
        ("data.augmentations.9.degrees=4", "data.augmentations is a list of 2; count from 0, got '9'"),
        ("data.augmentations.0=rotate", "augmentation rotate: degrees is required and was not given"),
        ("protocol.select=bset", "protocol.select must be one of last, best; got 'bset'; did you mean best?"),
        ("training.compile=perhaps", "training.compile must be one of auto, true, false; got 'perhaps'"),
        ("protocol.test_each_epoch=yes", "protocol.test_each_epoch must be true or false; got 'yes'"),
        ("data.val_size=yes", "data.val_size must be a whole number or must be a number; got 'yes'"),
        ("contract.min_test_accuracy_percent=101", "contract.min_test_accuracy_percent must be at most 100"),
        ("training=3", "training must be a name or a group of settings; got 3"),
        ("name=a/b", "name may hold letters, digits, '.', '_' and '-', up to 100 of them, and begins with"),
        ("training.batch size=3", "training.batch size is not a setting; did you mean training.batch_size?"),
        ("training.optimizer.learning rate=3", "optimizer sgd: learning rate is not a setting; did you mean learning"),
        ("épochs=3", "épochs is not a setting; an experiment has: name, description, data"),
        ("data.5=3", "data.5 is not a setting; data has: "),
        ("training.epochs", "--set takes key=value, for example training.epochs=3; got 'training.epochs'"),
        ("training.epochs=[", "--set training.epochs, line 1, column 2: this is not YAML"),
        ("model=nosuch.py:Net", "there is no file nosuch.py to take code from"),
        ("model=nosuchmodule:Net", "there is no module named 'nosuchmodule' to take code from"),
        ("model=math:Net", "math defines no function or class 'Net' to use as model"),
        ("data.val_size=0", "protocol.validate_on is val but data.val_size is 0: hold out some images, or say none"),
        ("protocol.validate_on=none", "training.early_stopping needs validation images"),
    ],
)
def test_a_mistake_gets_one_sentence(override, sentence):
    more = ["training.early_stopping={patience: 2}"] if "early_stopping" in sentence else []
    with pytest.raises(cl.UserError) as caught:
        load("digits-quick", [override, *more], trust=True)
    if sentence != "--set name.first: a text has no settings":
        assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1\nb: 2", "line 2, column 2: this is not YAML"),
        (b"just text", "must hold an experiment (name, data, model, training), got 'just text'"),
        (b"", "must hold an experiment (name, data, model, training), got null"),
        (b"name: x\nname: y", "line 2: the key name is given twice"),
        (b"\xff\xfe\x00", "is not a text file in UTF-8"),
        (b"name: x", "data is required and was not given"),
        (b"#" * 1_000_001, "at most 1,000,000 are read"),
    ],
)
def test_a_broken_file_gets_one_sentence(content, sentence, tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(cl.UserError) as caught:
        load(file)
    assert sentence in str(caught.value)


def test_a_missing_file_and_a_missing_name(tmp_path):
    with pytest.raises(cl.UserError, match=r"there is no experiment file .*mnist-2k.yaml; did you mean mnist-20k"):
        load(tmp_path / "mnist-2k.yaml")
    with pytest.raises(cl.UserError, match=r"there is no experiment named 'mnist20k'.* did you mean mnist-20k"):
        load("mnist20k")


def test_overrides_reach_into_lists_and_bare_names():
    changed = load(
        "digits-quick", ["data.augmentations.0.degrees=5", "training.schedule=constant", "data.val_size=0.1"]
    )
    assert changed.data.augmentations[0].options["degrees"] == 5
    assert changed.training.schedule.name == "constant" and changed.data.val_size == 0.1
    assert changed.digest() != load("digits-quick").digest()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("052", "052"), ("-07", "-07"), ("yes", "yes"), ("off", "off"), ("2001-01-01", "2001-01-01"),
        ("1_000", "1_000"), ("12:30", "12:30"), ("0x1f", 31), ("0o17", 15), (".5", 0.5), ("010.5", "010.5"),
        ("true", True), ("null", None), ("~", None), ("0", 0), ("-3", -3),
    ],
)  # fmt: skip
def test_values_are_read_as_yaml_1_2_and_leading_zeros_stay(text, value):
    read = parse_yaml(f"key: {text}", "here")["key"]
    assert read == value and type(read) is type(value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_sentence(text):
    try:
        parse_yaml(text, "here")
    except cl.UserError as error:
        assert str(error).startswith("here") and "\n" not in str(error)


def test_the_object_is_frozen_and_shows_itself():
    experiment = Experiment(**json.loads(load("digits-quick").model_dump_json()))
    with pytest.raises(Exception, match="frozen"):
        experiment.name = "other"
    assert "digits-quick" in experiment._repr_html_()
    assert str(experiment.training.optimizer).startswith("sgd (learning_rate 0.1")


@pytest.mark.parametrize("raised", ["ValueError", "AssertionError", "KeyError", "SyntaxError"])
def test_what_the_reader_s_own_code_raises_is_not_taken_for_a_wrong_setting(raised, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def build(:\n" if raised == "SyntaxError" else f"raise {raised}('my own mistake')\n")
    with pytest.raises(Exception, match="invalid syntax" if raised == "SyntaxError" else "my own mistake") as caught:
        load("digits-quick", [f"model={file}:build"], trust=True)
    assert not isinstance(caught.value, cl.UserError)


def test_a_default_that_no_file_can_hold_stays_in_the_code_and_what_is_given_so_is_refused(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def build(input_shape, classes, layer=print, width: int = 3):\n    pass\n")
    assert load("digits-quick", [f"model={file}:build"], trust=True).model.options == {"width": 3}
    document = load("digits-quick").model_dump() | {"model": {"name": f"{file}:build", "layer": print}}
    with (
        own_code.trusting(),
        pytest.raises(cl.UserError, match=r"mine.py:build: the option layer is <built-in .*, which no file can hold"),
    ):
        cl.Experiment.model_validate(document)
    again = load("digits-quick", [f"model={{name: '{file}:build', layer: relu}}"], trust=True)
    assert again.model.options["layer"] == "relu"
