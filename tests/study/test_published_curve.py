"""A published curve's YAML: what it may hold, how its digits are read, and a clear sentence for each mistake."""

import pytest

from classlab.errors import UserError
from classlab.study import declaration as studies
from classlab.study import published_curve
from classlab.study.published_curve import PublishedCurve
from classlab.study.sweep import variants
from classlab.yaml_text import to_yaml

FIGURES = [
    {"metric": "train_loss", "epoch": 1, "value": 0.4593},
    {"metric": "train_loss", "epoch": 2, "value": 0.2},
    {"metric": "val_accuracy", "epoch": 1, "percent": 93.5},
]
EXPERIMENT = {
    "name": "small",
    "data": {"dataset": "digits", "val_size": 200},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 2, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


def study(**compare):
    return {"name": "which", "experiment": EXPERIMENT, "seeds": 2, "compare": {"metric": "val_accuracy", **compare}}


def test_a_file_beside_the_study_is_found_and_spelled_out(tmp_path):
    (tmp_path / "curve.yaml").write_text(
        "source: a paper\nfigures:\n  - {metric: train_loss, epoch: 1, value: 0.4593}\n", encoding="utf-8"
    )
    (tmp_path / "study.yaml").write_text(to_yaml(study(published="curve.yaml")), encoding="utf-8")
    loaded = studies.load(tmp_path / "study.yaml")
    assert loaded.compare.published.source == "a paper"
    assert studies.load(loaded) == loaded
    assert "curve.yaml" not in loaded.to_yaml()


def test_the_digits_of_a_metric_are_its_precision():
    curve = PublishedCurve(figures=FIGURES)
    assert curve.ends(curve.figures[1]) == pytest.approx((0.19995, 0.20005))
    assert curve.ends(curve.figures[2]) == pytest.approx((0.9345, 0.9355))


@pytest.mark.parametrize(
    ("figure", "measured", "words"),
    [
        ({"metric": "val_loss", "epoch": 3, "value": 1.0}, "val_loss", "validation loss of epoch 3"),
        ({"metric": "test_accuracy", "percent": 96.2}, "test_accuracy", "test accuracy"),
        ({"metric": "test_accuracy", "epoch": "last", "percent": 96.2}, "last_test_accuracy", "last test accuracy"),
        ({"metric": "best_val_accuracy", "percent": 96.2}, "best_val_accuracy", "best validation accuracy"),
        ({"metric": "spread_test_accuracy", "percent": 0.2}, "spread_test_accuracy", "spread test accuracy"),
    ],
)
def test_figures_are_called_as_a_study_calls_them(figure, measured, words):
    (made,) = PublishedCurve(figures=[figure]).figures
    assert (made.measured, made.words) == (measured, words)


MISTAKES = [
    ("figures: []", "figures must have at least 1 entries; got []"),
    ("curve: [{metric: train_loss, epoch: 1, value: 1.0}]", "curve is not a setting; a published curve has: source"),
    (
        "figures: [{metric: train_los, epoch: 1, value: 1.0}]",
        "figures.0: 'train_los' is not a metric; did you mean train_loss? for example: test_accuracy, ",
    ),
    ("figures: [{metric: train_loss, epoch: 1}]", "epoch 1 needs value or percent, one of them; got neither"),
    (
        "figures: [{metric: val_accuracy, epoch: 1, value: 0.9, percent: 90.0}]",
        "validation accuracy of epoch 1 needs value or percent, one of them; got both",
    ),
    (
        "figures: [{metric: train_loss, epoch: 1, percent: 45.93}]",
        "train loss of epoch 1 is not an accuracy; write value: 45.93, not percent",
    ),
    (
        "figures: [{metric: val_accuracy, epoch: 1, value: 93.52}]",
        "validation accuracy of epoch 1 as value must be from 0 to 1; got 93.52; per cents are percent",
    ),
    (
        "figures: [{metric: val_accuracy, epoch: 1, percent: 193.52}]",
        "validation accuracy of epoch 1 as percent must be from 0 to 100; got 193.52",
    ),
    ("figures: [{metric: train_loss, epoch: 0, value: 1.0}]", "figures.0.epoch must be at least 1"),
    ("figures: [{metric: train_loss, epoch: 1, value: '0,4593'}]", "figures.0.value must be a number; got '0,4593'"),
    ("figures: [{metric: train_loss, epoch: 1, value: -0.1}]", "train loss of epoch 1 must be at least 0; got -0.1"),
    (
        "figures: [{metric: best_val_loss, epoch: 1, value: 0.1}]",
        "best_val_loss takes no epoch; got 1",
    ),
    (
        "figures: [{metric: train_loss, epoch: 1, value: 1.0}, {metric: train_loss, epoch: 1, value: 1.1}]",
        "train loss of epoch 1 is given twice; a figure counts once",
    ),
    ("figures: [{metric: parameters, value: 52650.5}]", "parameters must be a whole number from 1, as value; got 52"),
    ("figures: [{metric: parameters, value: 52650}]", "figures needs a loss or an accuracy; what is counted alone"),
    ("[train_loss, 0.4593]", "must hold a published curve (figures: a list), got "),
    ("figures: [{metric: train_loss, epoc: 1, value: 1.0}]", "epoc is not a setting; did you mean figures.0.epoch?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_each_mistake_is_one_clear_sentence(text, sentence, tmp_path):
    file = tmp_path / "curve.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        published_curve.load(file)
    assert str(error.value).startswith(str(file)) and sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        (
            [{"metric": "test_accuracy", "epoch": 1, "percent": 90.0}],
            "compare.published, test accuracy of epoch 1: variant small is tested at the end only; "
            "set protocol.test_each_epoch=true",
        ),
        (
            [{"metric": "train_loss", "epoch": 3, "value": 1.0}],
            "compare.published has no figure that these runs reach: they train 2 epochs",
        ),
    ],
)
def test_figures_that_no_run_can_have_are_refused_before_training(figures, sentence):
    with pytest.raises(UserError) as error:
        variants(studies.load(study(published={"figures": figures})))
    assert str(error.value) == sentence


def test_a_curve_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"there is no file .*nowhere\.yaml"):
        studies.load(study(published="nowhere.yaml"))


def test_a_split_that_the_study_names_itself_is_kept():
    curve = {"figures": FIGURES}
    (own_split,) = variants(studies.load({**study(published=curve), "set": {"data.split_seed": 7}}))
    (plain,) = variants(studies.load(study()))
    (published,) = variants(studies.load(study(published=curve)))
    seeds = [made.experiment.data.split_seed for made in (own_split, plain, published)]
    assert seeds == [7, 0, "seed"]
