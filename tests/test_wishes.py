"""What people ask for by another name points at what exists, and what it points at is true."""

import sys

import pytest
from typer.testing import CliRunner

from classlab import wishes
from classlab.cli import main
from classlab.cli.list_command import KINDS
from classlab.errors import UserError
from classlab.experiment import Contract, Data, Protocol, Training, load
from classlab.lookup import names

ANOTHER_MEANING = {"augment", "compile"}  # of a setting by this name it is less likely


@pytest.mark.parametrize("setting", wishes._WISHES)
def test_every_setting_that_is_pointed_at_exists(setting):
    if not setting.startswith("training.start_from"):
        changes = [setting, "data.val_size=100"] if not setting.startswith("data.val_size") else [setting]
        dropout = ["contract={}"] if "contract" not in setting else []
        assert load("digits-quick", [*changes, *dropout])


def test_no_word_has_two_meanings():
    words = [word for words in wishes._WISHES.values() for word in words.split()]
    assert len(words) == len(set(words)) and all(word == wishes._plain(word) for word in words)


@pytest.mark.parametrize(("section", "key"), [
    (section, key) for section, prefix in ((Training, "training"), (Data, "data"), (Protocol, "protocol"))
    for key in section.model_fields if key not in ANOTHER_MEANING
])  # fmt: skip
def test_every_setting_is_found_without_its_section(section, key):
    assert wishes.setting(key).startswith(f"{section.__name__.lower()}.{key}"), key


@pytest.mark.parametrize("key", ["max_parameters", "max_epochs", "min_test_accuracy_percent"])
def test_limits_are_found_without_their_section(key):
    assert key in Contract.model_fields and wishes.setting(key).startswith(f"contract.{key}")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--epochs", "3"], "--epochs is not an option; it is a setting: --set training.epochs=3 "),
        (["--epochs=7"], "--set training.epochs=7 "),
        (["--lr", "0.05"], "--set training.optimizer.learning_rate=0.05 "),
        (["--learning-rate", "1e-3"], "--set training.optimizer.learning_rate=1e-3 "),
        (["--batch_size"], "--set training.batch_size=64 "),
        (["--label-smoothing", "0.2"], '--set "training.loss={name: cross_entropy, label_smoothing: 0.1}" '),
        (["--early-stopping", "5"], '--set "training.early_stopping={patience: 5}" '),
        (["--gpu"], "here that is --device cuda"),
        (["--epochs", "--resume"], "--set training.epochs=3 "),
    ],
)
def test_an_option_that_is_a_setting_says_so(words, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["classlab", "run", "digits-quick", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and sentence in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "mnist-20k", "--seed", "abc"], "--seed must be a whole number; got 'abc' (see "),
        (
            ["study", "cifar-depth", "--jobs=many"],
            "--jobs must be a whole number; got 'many' (see ",
        ),
        (["predict", "x", "y", "--prepare", "quick"], "--prepare must be one of 'digits', 'plain'; got 'quick' (see "),
        (["runs", "--sort", "best"], "--sort must be one of 'path', 'date', "),
        (
            ["run", "digits-quick", "--set", "training.epochs", "3"],
            "Got unexpected extra argument(s) (3); a setting is ",
        ),
        (["run", "net.py"], "net.py is code and no experiment; an experiment names it: model: {name: net.py:Net}"),
        (
            ["run", "nets.py:Big"],
            "nets.py:Big is code and no experiment; an experiment names it: model: {name: nets.py:Big}",
        ),
        (["run", "."], ". is a folder and no experiment; name a YAML file, or what is shipped: "),
        (["run", "cifar-depth"], "cifar-depth is a study and no experiment; shipped: "),
        (["study", "digits-quick"], "digits-quick is an experiment and no study; shipped: "),
        (["report", "lastest"], "there is no folder lastest; did you mean latest?"),
        (["predict", __file__, "latest"], f"{__file__} is a file, not a run folder"),
        (["ui", "--port", "99999"], "--port must be at most 65535; got '99999' (see "),
    ],
)
def test_what_a_command_cannot_take_is_answered_by_the_rule_and_the_way_on(words, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["classlab", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith(f"classlab: {sentence}") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("data.augmentations=[randomerasing]", "here that is data.augmentations=[{name: erase}]; known: "),
        ("training.label_smoothing=0.1", "here that is training.loss={name: cross_entropy, label_smoothing: 0.1};"),
        ("training.warmup=2", "did you mean training.warmup_epochs?"),
        ("training.schedule=warmup", "did you mean warm_up?"),
        ("training.patience=5", "here that is training.early_stopping={patience: 5};"),
        ("training.early_stop=5", "did you mean training.early_stopping?"),
        ("epochs=5", "here that is training.epochs=3;"),
        ("training.optimizer.lr=5", "here that is training.optimizer.learning_rate=0.1;"),
        ("training.epoch=5", "did you mean training.epochs?"),
    ],
)
def test_a_wish_points_at_what_exists(setting, sentence):
    with pytest.raises(UserError) as caught:
        load("digits-quick", [setting])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("word", "command"), [("train", "run"), ("evaluate", "check"), ("version", "--version")])
def test_a_command_by_another_name(word, command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["classlab", word])
    with pytest.raises(SystemExit):
        main.main()
    assert f"here that is classlab {command} " in capsys.readouterr().err


def test_version_list_and_completion():
    ask = lambda *words, **more: CliRunner().invoke(main.app, list(words), catch_exceptions=False, **more)  # noqa: E731
    assert ask("--version").stdout.startswith("classlab 0.")
    for heading, (kind, _) in KINDS.items():
        heads, *lines = ask("list", heading).stdout.splitlines()
        assert heads.startswith(heading) and tuple(line.split()[0] for line in lines) == names(kind)
        assert all(len(line.split(maxsplit=1)[1]) > 10 for line in lines)
    assert all(heading in ask("list").stdout for heading in KINDS)
    assert "digits-quick" not in ask("list", "models").stdout
    with pytest.raises(UserError, match=r"knows no 'modles'; did you mean models\?"):
        ask("list", "modles")
    words = {"_CLASSLAB_COMPLETE": "complete_bash", "COMP_WORDS": "classlab run digits", "COMP_CWORD": "2"}
    assert "digits-quick" in ask(env=words, prog_name="classlab").stdout
