"""Contracts: limits are inclusive, accuracies compare exactly, sentences say what was measured and allowed."""

import math
from fractions import Fraction

import pytest
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from typer.testing import CliRunner

from classlab import contract as contracts
from classlab import lookup
from classlab.cli.main import app
from classlab.contract import (
    check_after,
    check_before,
    check_data,
    check_layers,
    check_seeds,
    in_words,
    open_rules,
    verdict,
)
from classlab.errors import UserError
from classlab.experiment import Contract, Data, load, load_contract
from classlab.network.contents import contents
from classlab.network.layer_table import layer_table
from classlab.statistics import over_seeds, wilson

MNIST_20K = Contract(max_parameters=19999, max_epochs=20, min_test_accuracy_percent=99.4)


def test_before_training_parameters_and_epochs_are_checked_inclusively():
    checks = check_before(MNIST_20K, parameters=15790, epochs=20)
    assert [check.sentence for check in checks] == [
        "15,790 parameters, at most 19,999 allowed: kept",
        "20 epochs, at most 20 allowed: kept",
    ]
    assert verdict(checks)
    assert verdict(check_before(MNIST_20K, 19999, 20))
    assert not verdict(check_before(MNIST_20K, 20000, 20))
    assert not verdict(check_before(MNIST_20K, 19999, 21))
    assert check_before(MNIST_20K, 20000, 1)[0].sentence == "20,000 parameters, at most 19,999 allowed: not kept"
    assert check_before(MNIST_20K, 20000, 1)[1].sentence == "1 epoch, at most 20 allowed: kept"


def test_a_contract_without_limits_is_kept():
    assert check_before(Contract(), 10**9, 10**6) == []
    assert verdict(check_after(Contract(), {}))


def test_after_training_every_limit_is_checked():
    contract = Contract(
        max_parameters=100,
        max_epochs=2,
        min_val_accuracy_percent=50.0,
        min_test_accuracy_percent=99.4,
        max_seconds=60.5,
    )
    summary = {"parameters": 100, "epochs": 2, "val_accuracy": 0.5, "test_accuracy": 0.9947, "seconds": 60.5}
    checks = check_after(contract, summary)
    assert [check.rule for check in checks] == [
        "max_parameters",
        "max_epochs",
        "min_val_accuracy_percent",
        "min_test_accuracy_percent",
        "max_seconds",
    ]
    assert verdict(checks)
    assert checks[3].sentence == "test accuracy 99.47 %, at least 99.4 % wanted: kept"
    assert checks[3].measured == 99.47
    assert checks[4].sentence == "60.5 seconds, at most 60.5 allowed: kept"


@pytest.mark.parametrize("accuracy", [None, math.nan, math.inf])
def test_what_was_not_measured_does_not_pass(accuracy):
    check = check_after(Contract(min_test_accuracy_percent=99.4), {"test_accuracy": accuracy})[0]
    assert not check.passed
    assert check.measured is None
    assert check.sentence == "test accuracy not measured, at least 99.4 % wanted: not shown"


def test_the_printed_accuracy_never_contradicts_the_verdict():
    contract = Contract(min_test_accuracy_percent=99.4)
    check = check_after(contract, {"test_correct": 59_639, "test_total": 60_000})[0]
    assert check.sentence == "test accuracy 99.398 % (59,639 of 60,000), at least 99.4 % wanted: not kept"


@given(total=st.integers(1, 10_000), data=st.data())
def test_counts_compare_exactly_and_floats_agree_with_them(total, data):
    correct = data.draw(st.integers(0, total))
    percent = data.draw(st.integers(0, 1_000)) / 10
    contract = Contract(min_test_accuracy_percent=percent)
    passed = Fraction(correct, total) * 100 >= Fraction(str(percent))
    assert check_after(contract, {"test_correct": correct, "test_total": total})[0].passed == passed
    assert check_after(contract, {"test_accuracy": correct / total})[0].passed == passed


@given(st.integers(1, 10_000))
def test_an_accuracy_that_equals_its_limit_meets_it(correct):
    contract = Contract(min_test_accuracy_percent=correct / 100)
    assert check_after(contract, {"test_accuracy": correct / 10_000})[0].passed
    assert not check_after(contract, {"test_accuracy": (correct - 1) / 10_000})[0].passed


def test_the_lower_bound_is_judged_where_it_is_asked_for():
    low = wilson(995, 1000)[0]
    for limit, passed in ((100 * low - 0.01, True), (100 * low + 0.01, False)):
        contract = Contract(min_test_accuracy_percent=limit, judged_by="lower_bound")
        (check,) = check_after(contract, {"test_correct": 995, "test_total": 1000})
        assert check.passed == passed and check.measured == 100 * low and check.margin == check.measured - limit
        assert check.sentence.startswith("test accuracy 99.50 % (995 of 1,000), lower bound of its 95 % interval 98.8")
    contract = Contract(min_test_accuracy_percent=50, judged_by="lower_bound")
    assert not check_after(contract, {"test_accuracy": 0.99})[0].passed


def runs(*correct, seeds=range(9)):
    pairs = zip(correct, seeds, strict=False)
    return [{"seed": seed, "test_correct": count, "test_total": 1000} for count, seed in pairs]


def test_several_seeds_are_judged_together():
    contract = Contract(min_test_accuracy_percent=99, seeds=3)
    assert check_after(contract, {"test_correct": 1, "test_total": 1000}) == []
    assert open_rules(contract) == ["at least 99 % test accuracy over 3 seeds, by the mean"]
    assert open_rules(Contract(min_test_accuracy_percent=99)) == []
    kept = check_seeds(contract, runs(980, 990, 1000))
    assert [check.sentence for check in kept] == [
        "3 seeds (0, 1, 2), 3 wanted: kept",
        "test accuracy over 3 seeds: mean 99.00 %, at least 99 % wanted: kept",
    ]
    assert not verdict(check_seeds(contract, runs(980, 990, 999)))
    few = check_seeds(contract, runs(1000, 1000))
    assert few[0].sentence == "2 seeds (0, 1), 3 wanted: not kept" and few[1].passed
    assert not verdict(check_seeds(contract, runs(1000, 1000, 1000, seeds=[0, 0, 0])))
    assert not verdict(check_seeds(contract, []))
    assert check_seeds(Contract(min_test_accuracy_percent=99), runs(1)) == []


def test_the_seeds_may_be_named_and_then_no_others_count():
    contract = Contract(min_test_accuracy_percent=99, seeds=[0, 1])
    assert verdict(check_seeds(contract, runs(990, 990, 1)))
    others = check_seeds(contract, runs(990, 990, seeds=[5, 6]))
    assert [check.sentence for check in others] == [
        "seeds 5, 6; wanted 0, 1: not kept",
        "test accuracy not measured with every seed, at least 99 % wanted: not shown",
    ]


def test_a_seed_counts_once_however_often_it_is_handed_in():
    for seeds, handed_in in ((3, [0, 1, 2, 2]), ([0, 1, 2], [0, 1, 2, 2]), (2, [0, 0])):
        contract = Contract(min_test_accuracy_percent=99, seeds=seeds)
        checks = check_seeds(contract, runs(990, 990, 990, 990, seeds=handed_in))
        assert not verdict(checks) and not checks[0].passed
        assert checks[0].sentence == f"2 runs with seed {handed_in[-1]}, and a seed counts once: not kept"
    named = Contract(min_test_accuracy_percent=99, seeds=[0, 1])
    assert verdict(check_seeds(named, runs(990, 990, 1, 1, seeds=[0, 1, 7, 7])))
    nameless = check_seeds(Contract(min_test_accuracy_percent=99, seeds=2), runs(980, 980, 1000, seeds=[0, 1, None]))
    assert nameless[0].passed and not nameless[1].passed


def test_the_lower_bound_over_seeds_is_that_of_the_t_interval():
    values = [990, 992, 994]
    low = 100 * over_seeds([value / 1000 for value in values]).low
    for limit, passed in ((low - 0.01, True), (low + 0.01, False)):
        contract = Contract(min_test_accuracy_percent=limit, seeds=3, judged_by="lower_bound")
        check = check_seeds(contract, runs(*values))[1]
        assert check.passed == passed and check.measured == low
    same = [{"seed": seed, "test_correct": 9941, "test_total": 10_000} for seed in (0, 1)]
    close = Contract(min_test_accuracy_percent=99.4, seeds=2, judged_by="lower_bound")
    assert not verdict(check_seeds(close, same))
    assert verdict(check_seeds(Contract(min_test_accuracy_percent=99.4, seeds=2), same))
    one = check_seeds(Contract(min_test_accuracy_percent=1, seeds=[0], judged_by="lower_bound"), runs(990))
    assert not verdict(one) and "whose interval over seeds is not known" in one[1].sentence


@pytest.mark.parametrize(
    ("data", "passed"),
    [
        ({}, True),
        ({"max_per_class": 100}, True),
        ({"dataset": {"name": "mnist", "folder": "mine"}}, True),
        ({"classes": list(range(10))}, True),
        ({"dataset": "digits"}, False),
        ({"max_test_per_class": 10}, False),
        ({"classes": [0, 1]}, False),
    ],
)
def test_the_whole_test_set_of_the_dataset_named_counts(data, passed):
    (check,) = check_data(Contract(dataset={"name": "mnist"}), Data(**{"dataset": {"name": "mnist"}, **data}))
    assert check.passed == passed and check.sentence.endswith(
        "mnist wanted: kept" if passed else "mnist wanted: not kept"
    )


def test_classes_are_the_same_by_number_by_name_and_in_any_order():
    contract = Contract(dataset={"name": "fashion-mnist"}, classes=[1, 3])
    for classes, passed in (([3, 1], True), (["Trouser", 3], True), ([1, 5], False), (None, False)):
        (check,) = check_data(contract, Data(dataset={"name": "fashion-mnist"}, classes=classes))
        assert check.passed == passed
    assert not verdict(check_data(contract, None))
    assert check_data(Contract(), None) == []


class Dropped(nn.Module):
    """A network with a dropout as a module or as a function."""

    def __init__(self, how):
        super().__init__()
        self.how, self.last = how, nn.Linear(64, 10)

    def forward(self, images):
        return self.last(self.how(images.flatten(1)))


@pytest.mark.parametrize(
    ("how", "counts"),
    [
        (nn.Dropout(0.1), True), (nn.Dropout(0), False), (nn.Dropout(0.0), False), (nn.AlphaDropout(0.0), False),
        (F.dropout, True), (lambda x: F.dropout(x, 0.0), False), (lambda x: F.alpha_dropout(x, p=0.0), False),
    ],
)  # fmt: skip
def test_a_dropout_that_drops_nothing_does_not_count(how, counts):
    found = contents(layer_table(Dropped(how), (1, 8, 8)))
    (check,) = check_layers(Contract(must_contain=["dropout"]), found)
    assert check.passed == counts


def test_a_shipped_network_without_its_dropout_breaks_its_contract():
    words = ["inspect", "era-s6", "--set", "contract=era-s6"]
    kept, broken = (CliRunner().invoke(app, [*words, "--set", f"model.dropout={p}"]).stdout for p in (0.05, 0))
    assert "6 dropout layers, at least one wanted: kept" in " ".join(kept.split())
    assert "no dropout layers, at least one wanted: not kept" in " ".join(broken.split())


@pytest.mark.parametrize("name", lookup.names("contract"))
def test_every_shipped_contract_can_be_told_in_words_and_put_into_an_experiment(name):
    contract = load_contract(name)
    assert 4 <= len(in_words(contract)) <= 8
    experiment = load("mnist-20k", [f"contract={name}"])
    assert experiment.contract == contract
    assert load({**experiment.model_dump(mode="json")}) == experiment


def test_a_contract_in_words():
    contract = Contract(
        dataset={"name": "mnist"}, max_parameters=19999, max_seconds=90.5, min_test_accuracy_percent=99.4,
        must_contain=["dropout"], must_not_contain=["linear"], layers={"max_pool": 1, "convolution": 4},
        first_layer_filters=10,
    )  # fmt: skip
    assert in_words(contract) == [
        "on mnist", "at least 99.4 % test accuracy", "at most 19,999 parameters", "at most 90.5 seconds of training",
        "at least one dropout layer", "no linear layers", "1 max pool layer", "4 convolution layers",
        "10 filters in the first convolution",
    ]  # fmt: skip


def test_a_contract_file_stands_beside_its_experiment_and_changes_reach_into_it(tmp_path):
    (tmp_path / "limits.yaml").write_text("max_epochs: 3\n")
    (tmp_path / "mine.yaml").write_text(load("digits-quick", ["contract={}"]).to_yaml().replace("contract:", "was:"))
    text = (tmp_path / "mine.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text[: text.index("was:")] + "contract: limits.yaml\n")
    assert load(tmp_path / "mine.yaml").contract == Contract(max_epochs=3)
    changed = load(tmp_path / "mine.yaml", ["contract.max_parameters=7"])
    assert changed.contract == Contract(max_epochs=3, max_parameters=7)
    assert "limits.yaml" not in changed.to_yaml()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max_epoch: 3", "max_epoch is not a setting; did you mean max_epochs? a contract has: max_parameters, "),
        ("max_epochs: 0", "max_epochs must be at least 1; got 0"),
        ("judged_by: median", "judged_by must be one of mean, lower_bound; got 'median'"),
        ("seeds: 0", "seeds must be at least 1 or must be a list; got 0"),
        ("seeds: [1, 1]", "seeds must name each seed once; got [1, 1]"),
        ("classes: [1, 2]", "classes needs dataset: say whose classes they are"),
        ("layers: {conv: 1}", "layers.conv"),
        ("- 3", " must hold a contract (max_parameters, max_epochs, …), got [3]"),
    ],
)
def test_mistakes_in_a_contract_file_are_told_in_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "limits.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_contract(file)
    told = str(caught.value)
    assert told.startswith(str(file)) and sentence in told and "\n" not in told, told


def test_a_contract_that_is_not_there():
    with pytest.raises(
        UserError, match=r"there is no contract named 'under-20', and no such file; did you mean under-20k\?"
    ):
        load("mnist-20k", ["contract=under-20"])
    with pytest.raises(UserError, match=r"there is no contract file no/under-20k.yaml; did you mean under-20k\?"):
        load_contract("no/under-20k.yaml")


CHANGED = [
    (["training.epochs=3"], {"min_test_accuracy_percent"}),
    (["data.max_per_class=50"], {"min_test_accuracy_percent"}),
    (["data.dataset=fashion-mnist"], {"min_test_accuracy_percent"}),
    (["training.epochs=20"], set()),
    (["training.optimizer.learning_rate=0.1"], set()),
    (["training.epochs=3", "contract.min_test_accuracy_percent=50"], set()),
    (["training.epochs=3", "contract={}"], set()),
]


def judged(experiment, rule):
    return getattr(experiment.contract, rule) is not None


@pytest.mark.parametrize(("changes", "rules"), CHANGED)
def test_a_limit_that_was_set_for_another_run_is_said_and_not_judged(changes, rules):
    declared = load("mnist-20k")
    changed = contracts.of_changed(declared, load("mnist-20k", changes))
    assert set(changed.contract.not_judged) == rules
    limits = {rule for rule in ("max_parameters", "max_epochs", "min_test_accuracy_percent") if judged(changed, rule)}
    assert {check.rule for check in check_after(changed.contract, {"parameters": 1, "epochs": 1})} == limits - rules
    assert len(contracts.not_judged(changed.contract)) == len(rules)
    assert load(changed.model_dump(mode="json")) == changed
    assert changed.digest() != declared.digest() or changed == declared


def test_what_is_not_judged_says_why():
    changed = contracts.of_changed(load("mnist-20k"), load("mnist-20k", ["training.epochs=3", "data.classes=[0, 1]"]))
    assert contracts.not_judged(changed.contract) == [
        "at least 99.4 % test accuracy wanted: not judged, since training.epochs is 3 instead of 20 and data.classes "
        "is [0, 1] instead of null"
    ]
    held = {**load("mnist-20k").contract.model_dump(), "dataset": {"name": "mnist"}, "classes": [0, 1]}
    declared = load("mnist-20k", changes={"contract": held})
    other = contracts.of_changed(declared, load(declared, ["data.dataset=fashion-mnist"]))
    assert contracts.not_judged(other.contract)[1] == (
        "dataset mnist, classes 0, 1 wanted: not judged, since data.dataset is fashion-mnist instead of mnist"
    )
    assert check_data(other.contract, other.data) == []


def test_an_accuracy_in_each_of_the_last_epochs_and_not_once():
    rows = [{"epoch": n + 1, "test_accuracy": a} for n, a in enumerate((0.9, 0.994, 0.9951, 0.9939))]
    wanted = {"min_test_accuracy_percent": 99.4}

    def checked(count, rows=rows):
        return contracts.check_last_epochs(Contract(**wanted, in_each_of_last_epochs=count), rows)[0]

    assert checked(2).sentence == (
        "test accuracy in each of the last 2 epochs, lowest 99.39 %, at least 99.4 % wanted: not kept"
    )
    assert checked(2, rows[:3]).passed and checked(2, rows[:3]).measured == 99.4
    assert checked(5).sentence.endswith("last 5 epochs not measured, at least 99.4 % wanted: not shown")
    assert not checked(1, [{"epoch": 1}]).passed
    assert contracts.check_last_epochs(Contract(**wanted), rows) == []
    assert in_words(Contract(**wanted, in_each_of_last_epochs=3))[-1] == "these accuracies in each of the last 3 epochs"
    with pytest.raises(UserError, match="in_each_of_last_epochs needs"):
        load("digits-quick", ["contract={in_each_of_last_epochs: 3}"])
