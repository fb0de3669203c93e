"""The published figures, against a list of them written down a second time, and the rules of their files."""

import pytest

from classlab.errors import UserError
from classlab.reproduction import published

# report -> (run, metric, epoch) -> figure as printed; per cents as per cents.
FIGURES = {
    "era-s6": {
        ("published", "parameters", None): 16976,
        ("published", "memory_total", None): 0.88,
        ("published", "memory_forward_backward", None): 0.81,
        ("published", "train_accuracy", "last"): 98.80,
        ("published", "test_accuracy", "last"): 99.43,
        ("published", "test_accuracy", "best"): 99.46,
        ("published", "test_accuracy", "first"): 83.21,
        ("published", "seconds", None): 24,
        ("published", "field_after_pool", None): 14,
        ("lesson", "rows", None): 68,
    },
    "eva7-s4": {
        ("net8", "parameters", None): 19310,
        ("net2", "parameters", None): 14026,
        ("net3", "parameters", None): 19174,
        ("net8", "test_accuracy", 1): 97.57,
        ("net2", "test_accuracy", 1): 97.05,
        ("net3", "test_accuracy", 1): 95.31,
        ("net8", "test_accuracy", "best"): 99.47,
        ("net3", "test_accuracy", "best"): 99.35,
        ("net8", "test_accuracy", 17): 99.44,
        ("net8", "test_accuracy", 18): 99.28,
        ("net8", "test_accuracy", 19): 99.39,
        ("net8", "test_accuracy", 20): 99.30,
        ("lesson", "rows", None): 200,
    },
    "prml-pa6": {
        ("published", "parameters", None): 52650,
        ("published", "train_images", None): 48000,
        ("published", "steps", None): 750,
        ("published", "test_loss", "selected"): 0.1287,
        ("published", "test_accuracy", "selected"): 96.15,
        **{
            ("published", metric, epoch): figure
            for epoch, row in enumerate(
                [
                    (0.4593, 93.51, 0.2728, 93.52),
                    (0.2025, 94.76, 0.2279, 94.44),
                    (0.1536, 96.38, 0.1770, 95.68),
                    (0.1244, 96.96, 0.1596, 95.97),
                    (0.1008, 97.38, 0.1515, 96.34),
                ],
                1,
            )
            for metric, figure in zip(("train_loss", "train_accuracy", "val_loss", "val_accuracy"), row, strict=True)
        },
    },
    "dl-minor-1": {
        ("cnn", "parameters", None): 1730610,
        ("autoencoder", "parameters", None): 815196,
        ("classifier", "parameters", None): 418240,
        ("cnn", "train_images_with_copies", None): 120000,
        ("cnn", "train_loss", 1): 0.3539,
        ("cnn", "train_loss", 15): 0.0330,
        ("cnn", "train_accuracy", 7): 97.00,
        ("cnn", "train_accuracy", 15): 98.85,
        ("cnn", "test_accuracy", "selected"): 97.91,
        ("autoencoder", "train_loss", 1): 0.5443,
        ("autoencoder", "train_loss", 2): 0.5272,
        ("autoencoder", "train_loss", "last"): 0.5163,
        ("classifier", "train_loss", "first"): 0.3695,
        ("classifier", "train_loss", "last"): 0.0402,
        ("classifier", "train_accuracy", "last"): 98.56,
        ("classifier", "test_accuracy", "selected"): 97.12,
    },
    "cifar-hw3": {
        ("linear", "parameters", None): 30730,
        ("relu", "parameters", None): 379774,
        ("lenet", "parameters", None): 62006,
        ("batch-1", "test_accuracy", "best"): 47.5,
        ("batch-1", "test_accuracy", "last"): 45,
        ("batch-1", "train_loss", "last"): (1.6, 1.7),
        ("batch-4", "train_accuracy", "last"): 70,
        ("batch-4", "test_accuracy", "last"): 60,
        ("batch-1000", "test_accuracy", "last"): 63,
        ("rate-10", "train_loss", "last"): (18.5, 19.5),
        ("rate-0.1", "train_loss", "last"): (2.358, 2.360),
        ("rate-0.01", "train_loss", "last"): (2.3080, 2.3085),
        ("rate-0.0001", "train_loss", "last"): 0.50,
        ("rate-0.0001", "train_accuracy", "last"): 60,
    },
}


def values(name):
    return [one for part in published.load(name).parts for value in part.values for one in value.epochs()]


def test_the_shipped_reports_come_in_the_order_of_their_numbers():
    numbers = [published.load(name).number for name in published.names()]
    assert numbers == sorted(numbers) and len(set(numbers)) == len(numbers)
    assert [name for name in published.names() if name in FIGURES] == list(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_there_as_printed(name):
    found = {}
    for value in values(name):
        printed = value.published_percent if value.is_percent else value.published
        found.setdefault((value.of, value.metric, value.epoch), []).append(printed)
    for key, figure in FIGURES[name].items():
        assert figure in found[key], key


@pytest.mark.parametrize("name", FIGURES)
def test_every_run_resolves_in_full_and_shortened(name):
    for run in published.load(name).runs.values():
        full, short = run.resolve(), run.resolve(quick=True)
        assert short.training.epochs < full.training.epochs
        assert short.model == full.model and short.training.optimizer == full.training.optimizer


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_set_in_full_is_the_published_protocol(name):
    """A run named published is the shipped experiment, unchanged."""
    run = published.load(name).runs.get("published")
    assert run is None or run.set == {}


def test_a_printed_figure_stands_for_half_a_unit_either_way():
    value = next(one for one in values("prml-pa6") if one.metric == "test_accuracy" and one.reading == "as published")
    assert value.ends() == pytest.approx((0.96145, 0.96155))
    span = next(one for one in values("cifar-hw3") if one.of == "rate-10" and one.metric == "train_loss")
    assert span.ends() == pytest.approx((18.45, 19.55))


def test_a_name_that_is_none_is_refused_with_a_suggestion():
    with pytest.raises(UserError, match=r"there is no report named .era-s7., and no such file; did you mean era-s6"):
        published.load("era-s7")
