import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from classlab.drawing import charts, confusion_matrix, render
from classlab.drawing.palette import DARK, LIGHT
from classlab.errors import UserError


def history(epochs=6, **columns):
    n = np.arange(1, epochs + 1)
    plain = {"epoch": n, "train_loss": 1.0 / n, "train_accuracy": 1 - 0.3 / n, "learning_rate": 0.1 / n}
    return pd.DataFrame({**plain, **columns})


def drawn(chart):
    """Every value of the definition, flat, as text."""
    return str(chart.to_dict())


def marks(chart, split):
    return [layer for layer in chart.to_dict()["layer"] if split in str(layer.get("mark", {}).get("type"))]


def test_a_row_an_epoch_holds_the_splits_that_were_measured_and_none_where_a_value_is_not_finite():
    table = history(3, val_loss=[0.5, np.nan, np.inf], test_loss=[np.nan] * 3)
    assert charts.curve_rows(table, "loss") == [
        {"epoch": 1, "train": 1.0, "val": 0.5},
        {"epoch": 2, "train": 0.5, "val": None},
        {"epoch": 3, "train": pytest.approx(1 / 3), "val": None},
    ]


def test_epochs_that_broke_are_marked_by_hand():
    table = history(3, train_loss=[1.0, np.nan, np.inf])
    assert charts.broken_rows(table) == [{"epoch": 2}, {"epoch": 3}]
    assert "loss not finite" in drawn(charts.loss(table))
    assert "loss not finite" not in drawn(charts.loss(history()))


def test_the_legend_says_what_the_test_curve_is_for():
    table = history(val_accuracy=0.9, test_accuracy=0.9)
    text = drawn(charts.accuracy(table))
    assert "validation" in text
    assert "test, not used for selection" in text
    assert "test, which chose the epoch" in drawn(
        charts.accuracy(table, labels={"test": "test, which chose the epoch"})
    )


def test_a_screen_reader_is_told_the_curve_by_its_name():
    svg = render.svg(charts.accuracy(history(3, val_accuracy=[0.5, 0.75, 0.75]), selected_epoch=2))
    labels = re.findall('aria-label="([^"]*)"', svg)
    assert "epoch 2, accuracy 75 %, validation" in labels
    assert "epoch 2 of validation is the one selected" in labels
    assert not [label for label in labels if re.search(r"\bc\d\b", label)]


def test_accuracy_is_drawn_in_per_cent_with_the_contracts_limit():
    chart = charts.accuracy(history(2, train_accuracy=[0.5, 0.9943]), limit_percent=99.4)
    assert "'mean': 50.0" in drawn(chart)
    assert "'mean': 99.4" in drawn(chart)
    assert "contract: 99.4 %" in drawn(chart)


def test_the_ring_marks_the_selected_epoch_on_the_curve_that_chose_it():
    chart = charts.loss(history(val_loss=0.4), selected_epoch=4).to_dict()
    assert {"curve": "c1", "epoch": 4, "mean": 0.4} in chart["data"]["values"]
    assert "datum.epoch == 4 && datum.curve == 'c1'" in str(chart)


@pytest.mark.parametrize(("worst", "type_"), [(10.0, "linear"), (1e6, "log")])
def test_the_axis_is_logarithmic_only_where_a_linear_one_would_show_nothing_but_the_largest_loss(worst, type_):
    chart = charts.loss(history(3, train_loss=[worst, 1.0, 0.5])).to_dict()
    scale = chart["layer"][0]["encoding"]["y"]["scale"]
    assert scale.get("type", "linear") == type_


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_a_palette_colours_the_whole_chart(palette):
    text = drawn(charts.loss(history(val_loss=0.3), palette))
    assert palette.train in text and palette.val in text and palette.ink in text


def test_long_histories_pass_altairs_row_limit():
    assert drawn(charts.loss(history(6000))).count("'epoch': ") == 6000


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_confusion_rows_agree_with_scikit_learn(pairs):
    true, predicted = (np.array(side) for side in zip(*pairs, strict=True))
    names = ["a", "b", "c", "d"]
    matrix = metrics.confusion_matrix(true, predicted, labels=range(4))
    shares = metrics.confusion_matrix(true, predicted, labels=range(4), normalize="true")
    for row in confusion_matrix.confusion_rows(matrix, names):
        i, j = names.index(row["true"]), names.index(row["predicted"])
        assert row["count"] == matrix[i, j]
        assert row["share"] == pytest.approx(shares[i, j])
        assert row["right"] == (i == j)


def test_a_chart_becomes_svg_png_and_pdf(tmp_path):
    chart = charts.curves(history(val_loss=0.3, val_accuracy=0.9))
    for ending, start in ((".svg", b"<svg"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        file = tmp_path / f"curves{ending}"
        render.save(chart, file)
        assert file.read_bytes().startswith(start)
    assert ">validation<" in (tmp_path / "curves.svg").read_text()


@pytest.mark.parametrize("table", [history(1), history(1, train_loss=np.nan), history(2, train_loss=[1.0, np.inf])])
def test_the_shortest_and_the_worst_histories_are_drawn(table):
    for chart in (charts.loss(table), charts.accuracy(table, limit_percent=50), charts.learning_rate(table)):
        assert render.svg(chart).startswith("<svg")


def test_an_ending_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a chart can be written as .svg, .png, .pdf; got 'curves.gif'"):
        render.save(charts.loss(history()), tmp_path / "curves.gif")


def test_a_confusion_matrix_of_many_classes_leaves_its_counts_to_the_tooltip():
    few, many = (confusion_matrix.confusion(np.eye(n, dtype=int), [str(i) for i in range(n)]) for n in (10, 30))
    assert len(marks(few, "text")) == 1
    assert len(marks(many, "text")) == 0
    assert drawn(many).count("'predicted': ") == 30


def test_a_later_part_of_a_training_has_its_own_epochs():
    history = pd.DataFrame(
        {"epoch": range(1, 13), "train_accuracy": [0.5 + 0.01 * n for n in range(12)], "val_accuracy": [0.6] * 12}
    )
    spec = charts.accuracy(history[history["epoch"] > 6], selected_epoch=9).to_dict()
    assert {row["epoch"] for row in spec["data"]["values"]} == set(range(7, 13))
    marks = [layer for layer in spec["layer"] if "datum.epoch == 9" in str(layer.get("transform"))]
    assert len(marks) == 1, "the ring stands at its epoch"
    assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [7, 12]
