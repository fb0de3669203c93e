"""The report of runs that reconstruct images, and of runs on a part of a dataset in several copies."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import classlab as cl
from classlab.drawing.blocks import Facts, Figures, Numbers, Strips, Table, Verdict, Words
from classlab.drawing.palette import LIGHT
from classlab.report import document, reconstructed
from classlab.runs.finished import load

NOISE = {"name": "uniform_noise", "high": 0.5, "clip": False}
FLIP = {"name": "horizontal_flip", "probability": 1.0}
PUBLISHED = {
    "name": "small-autoencoder",
    "data": {
        "dataset": "digits",
        "classes": [1, 3, 5],
        "normalise": {"mean": [0.5], "std": [0.5]},
        "expansion": [[], [FLIP], [NOISE], [FLIP, NOISE]],
    },
    "model": {"name": "autoencoder", "widths": [24, 6]},
    "training": {
        "epochs": 3,
        "batch_size": 50,
        "loss": "reconstruction",
        "optimizer": {"name": "adam", "learning_rate": 0.003},
    },
    "protocol": {"validate_on": "none"},
}
SOUND = {
    "name": "small-sound",
    "data": {
        "dataset": "digits",
        "val_size": 200,
        "normalise": {"mean": [0.0], "std": [1.0]},
        "augmentations": [NOISE],
        "expansion": [],
    },
    "model": {"name": "autoencoder", "widths": [24, 6], "output_activation": "sigmoid"},
    "training": {**PUBLISHED["training"], "epochs": 8, "loss": {"name": "reconstruction", "denoise": True}},
    "protocol": {"select": "best"},
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def published(out):
    """As report 4 has it: a ReLU output, inputs below 0, noise in the target."""
    return cl.train(PUBLISHED, out=out, verbose=False)


@pytest.fixture(scope="module")
def sound(out):
    return cl.train(SOUND, out=out, verbose=False)


def blocks(run, title, kind):
    found = next(one for one in document.build(run).sections if one.title == title)
    return [block for block in found.blocks if isinstance(block, kind)]


def words(run, title):
    return " ".join(block.text for block in blocks(run, title, Words))


def facts(run, title):
    return {fact.label: fact.value for block in blocks(run, title, Facts) for fact in block.facts}


def table(run, title, name):
    return next(one for one in blocks(run, title, Table) if one.name == name)


def normalised(run):
    """The test images as the network is given them, by hand."""
    return torch.from_numpy(run.dataset().test_images).float().div(255).sub(0.5).div(0.5)


def test_the_report_has_the_sections_of_its_kind_and_speaks_of_losses(published):
    titles = [section.title for section in document.build(published).sections]
    assert titles == [
        "Verdict", "Question and method", "Data", "Network", "Training curves", "Reconstruction", "Environment",
        "Reproduce it",
    ]  # fmt: skip
    loss = published.summary["test_loss"]
    (verdict,) = blocks(published, "Verdict", Verdict)
    images = published.summary["test_total"]
    assert verdict.sentence.startswith(f"{images} test images reconstructed with a mean loss of")
    assert blocks(published, "Verdict", Numbers)[0].numbers[0].value == f"{loss:.4f}"
    assert "reconstruct the images of digits after 3 epochs?" in words(published, "Question and method")
    assert "other curves" not in words(published, "Training curves")
    assert document.write(published).stat().st_size < 3_000_000


def test_the_floors_are_those_of_the_images_used(published):
    dataset = published.dataset()
    clean = dataset.images[published.split()["train"]].astype(np.float64) / 255 * 2 - 1
    found = reconstructed.floors(published)
    assert (found.low, found.high) == (0, math.inf)
    below = np.minimum(normalised(published).double().numpy(), 0)
    assert found.of_each["test"] == pytest.approx((below**2).mean(), rel=1e-6)
    # Noise drawn from 0 … 1 on this scale, integrated over its range; turning left to right changes no mean.
    noise = (np.arange(1000) + 0.5) / 1000
    values, counts = np.unique(clean, return_counts=True)
    noisy = (np.minimum(values[:, None] + noise, 0) ** 2).mean(1) @ counts / counts.sum()
    plain = (np.minimum(values, 0) ** 2) @ counts / counts.sum()
    assert found.of_each["train"] == pytest.approx((plain + noisy) / 2, rel=0.01)
    mean = 1 / 12 + (np.minimum(values + 0.5, 0) ** 2) @ counts / counts.sum()
    assert found.foreseen == pytest.approx((plain + mean) / 2, rel=0.01)
    assert published.history["train_loss"].min() > found.of_each["train"]


def test_the_floor_stands_in_the_chart_in_a_sentence_and_beside_the_losses(published):
    floor = reconstructed.floors(published).of_each["train"]
    text = words(published, "Reconstruction")
    assert f"The floor is {floor:.4f}. The last layer gives nothing below 0" in text
    assert "give the noise's mean instead" in text
    (block,) = blocks(published, "Training curves", Figures)
    assert [figure.name for figure in block.figures] == ["loss"]
    assert f"{floor:.4f}" in block.figures[0].description
    drawn = block.figures[0].draw(LIGHT).to_dict()
    rules = [layer["data"]["values"] for layer in drawn["layer"] if "data" in layer and layer["mark"]["type"] == "rule"]
    assert [{"curve": "c0", "value": floor}] in [rows[:1] for rows in rules]
    rows = {row[0]: row[1:] for row in table(published, "Reconstruction", "floors").rows}
    assert rows["training"][0] == floor
    assert rows["test"][1] == published.summary["test_loss"]
    assert rows["test"][2] == pytest.approx(rows["test"][1] - rows["test"][0])


def test_silent_outputs_and_their_cost_are_told(published):
    model = published.model()
    with torch.no_grad():
        outputs, count = [], 0
        for inputs, _, _ in reconstructed.batches(published, "train"):
            outputs.append(model(inputs))
            count += len(inputs)
    silent = int((torch.cat(outputs).flatten(1) == 0).all(0).sum())
    assert count == 4 * len(published.split()["train"]) < 4000
    start = f"Of the 64 outputs {silent}" if silent else "None of the 64 outputs is silent"
    assert start in words(published, "Reconstruction") and f"{count:,} training images" in words(
        published, "Reconstruction"
    )


def test_the_errors_of_each_class_are_those_of_plain_numpy(published):
    inputs, labels = normalised(published), published.dataset().test_labels
    with torch.no_grad():
        outputs = published.model()(inputs)
    squared = (outputs - inputs).double().square().flatten(1).mean(1).numpy()
    errors = table(published, "Reconstruction", "errors")
    assert [row[0] for row in errors.rows] == ["1", "3", "5"]
    for row in errors.rows:
        assert row[1] == (labels == int(row[0])).sum()
        assert row[2] == pytest.approx(squared[labels == int(row[0])].mean())
        assert row[3] == pytest.approx(1 / 3, rel=0.1)  # the mean square of what is drawn evenly from 0 … 1
    assert errors.total[2] == pytest.approx(published.summary["test_loss"], rel=1e-5)


def test_original_noisy_and_drawn_images_stand_side_by_side(published):
    (strips,) = blocks(published, "Reconstruction", Strips)
    assert strips.headings == ("class", "original", "reconstruction", "with uniform noise", "reconstruction")
    images, labels = published.dataset().test_images, published.dataset().test_labels
    with torch.no_grad():
        outputs = published.model()(normalised(published))
    for name, (original, drawn, noisy, redrawn) in strips.rows:
        first = np.flatnonzero(labels == int(name))[:4]
        assert np.array_equal(original.images, images[first])
        grey = (outputs[first].numpy() * 0.5 + 0.5).clip(0, 1) * 255
        assert np.abs(drawn.images - grey).max() <= 0.5 + 1e-3 and drawn.images.min() >= 127
        assert (noisy.images >= original.images).all() and (noisy.images > original.images).mean() > 0.5
        assert redrawn.images.shape == original.images.shape


def test_the_codes_are_drawn_twice_in_the_colours_of_their_classes(published):
    (block,) = blocks(published, "Reconstruction", Figures)
    assert [figure.name for figure in block.figures] == ["codes-pca", "codes-tsne"]
    assert "A code has 6 numbers" in block.figures[0].caption
    drawn = block.figures[1].draw(LIGHT).to_dict()
    (points,) = drawn["layer"]
    assert len(drawn["data"]["values"]) == published.summary["test_total"]
    assert points["encoding"]["color"]["scale"]["domain"] == ["1", "3", "5"]


def test_a_sound_one_has_no_floor_and_its_epoch_is_chosen_by_the_lowest_loss(sound):
    assert reconstructed.floors(sound).of_each == {"train": 0, "val": 0, "test": 0}
    assert reconstructed.floors(sound).foreseen is None
    assert "The floor is 0: the outputs can reach every value" in words(sound, "Reconstruction")
    assert "the lowest validation loss" in words(sound, "Question and method")
    (block,) = blocks(sound, "Training curves", Figures)
    assert [figure.name for figure in block.figures] == ["loss", "loss-close"]
    assert "floor" not in block.figures[0].caption
    labels = [number.label for number in blocks(sound, "Verdict", Numbers)[0].numbers]
    assert labels[:2] == ["Test loss", "Validation loss"]
    errors = table(sound, "Reconstruction", "errors")
    assert errors.total[3] == pytest.approx(1 / 12, rel=0.05) and document.write(sound).exists()


def test_a_reader_s_own_module_without_an_encoder_says_that_it_has_no_codes(out):
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1))
    fields = {**PUBLISHED, "name": "own", "data": {"dataset": "digits", "max_per_class": 20}}
    run = cl.train(fields, model=network, out=out, verbose=False)
    assert "no part so named" in words(run, "Reconstruction")
    assert "every value of the images" in words(run, "Reconstruction")
    assert [strips.headings for strips in blocks(run, "Reconstruction", Strips)] == [
        ("class", "original", "reconstruction")
    ]
    assert "This cannot be shown here" in words(load(run.path), "Reconstruction")


def test_a_diverged_one_says_so_and_shows_no_pictures(out):
    plan = {**PUBLISHED["training"], "optimizer": {"name": "sgd", "learning_rate": 1e30}, "precision": "fp32"}
    run = cl.train({**PUBLISHED, "name": "burst", "training": plan}, out=out, verbose=False)
    assert run.status == "diverged"
    assert "Reconstruction" not in [section.title for section in document.build(run).sections]
    assert blocks(run, "Verdict", Numbers)[0].numbers[0].value == "none"


def test_a_classifier_on_a_part_of_the_classes_in_copies_shows_only_what_is_there(out):
    fields = {**PUBLISHED, "name": "part", "model": {"name": "perceptron", "widths": [16]}}
    run = cl.train({**fields, "training": {**PUBLISHED["training"], "loss": "cross_entropy"}}, out=out, verbose=False)
    told = facts(run, "Data")
    train, test = len(run.split()["train"]), run.split()["test"]
    assert told["Split"] == f"{train} images for training in 4 copies, {4 * train:,} an epoch; {test} for the test"
    assert told["Classes taken"] == "1, 3 and 5; their labels are as they were, so the network has 10 outputs"
    assert "as it is; horizontal_flip" in facts(run, "Question and method")["Copies of each training image"]
    assert [row[0] for row in table(run, "Data", "classes").rows] == ["1", "3", "5"]
    (strips,) = blocks(run, "Data", Strips)
    assert strips.headings[1:] == (
        "as they are", "horizontal flip", "uniform noise", "horizontal flip, uniform noise",
    )  # fmt: skip
    first = run.dataset().images[run.dataset().labels == 1][:6]
    assert np.array_equal(strips.rows[0][1][1].images, first[:, :, :, ::-1])
    logits, labels = run.predictions()
    met = {*labels.tolist(), *logits.argmax(1).tolist()}
    rows = table(run, "Confusion matrix", "per-class").rows
    assert [row[0] for row in rows] == [str(label) for label in sorted(met)]


def test_the_copies_shown_are_the_ones_that_were_trained_on(out):
    fields = {**PUBLISHED, "name": "held-out", "data": {**PUBLISHED["data"], "val_size": 50}}
    run = cl.train({**fields, "training": {**PUBLISHED["training"], "epochs": 1}}, out=out, verbose=False)
    (strips,) = blocks(run, "Data", Strips)
    images = run.images("train", copies=True)
    count = len(run.split()["train"])
    first = np.flatnonzero(images.labels[:count].numpy() == 1)[:6]
    met = images.batch(torch.from_numpy(first + 2 * count), [], None)[0].numpy() * 0.5 + 0.5
    shown = strips.rows[0][1][2].images.astype(np.float64)
    assert np.corrcoef(shown.ravel(), met.ravel())[0, 1] > 0.999


def test_images_given_in_python_on_their_own_scale_are_drawn(out):
    random = np.random.default_rng(0)
    images = random.normal(0, 3, (60, 1, 8, 8)).astype(np.float32)
    labels = np.arange(60) % 3
    fields = {**PUBLISHED, "name": "arrays", "data": {"dataset": "digits"}}
    run = cl.train(fields, data=(images[:40], labels[:40]), test=(images[40:], labels[40:]), out=out, verbose=False)
    (strips,) = blocks(run, "Reconstruction", Strips)
    assert strips.rows[0][1][0].images.dtype == np.uint8 and document.write(run).exists()
