"""The blocks of reports: every one on small runs of every ending, and their numbers by other ways."""

import csv
import json
import math
from statistics import fmean, stdev

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import classlab as cl
from classlab import lookup
from classlab.drawing import page, paper
from classlab.drawing.blocks import (
    Code,
    Document,
    Drawing,
    Facts,
    Figures,
    Heading,
    Numbers,
    Pictures,
    Strips,
    Table,
    Verdict,
    Words,
)
from classlab.drawing.palette import LIGHT, PAGE
from classlab.report import sections, spec
from classlab.report.material import Material
from classlab.report.spec import Part
from classlab.reproduction import published

NAMES = lookup.names("block")
LESSON = ("workbook", "derivation", "loss-of-each-rate", "conclusion")  # these tell of no run
STUDY = (
    "bands",
    "dots",
    "explanations",
    "multiples",
    "search-course",
    "setting-importance",
    "steps",
    "study-runs",
    "study-verdict",
    "variants",
)  # these tell of a study
BASE = {
    "data": {"dataset": "digits", "max_per_class": 60},
    "model": {"name": "perceptron", "widths": [24, 16]},
    "training": {"epochs": 2, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9}},
    "protocol": {"validate_on": "test"},
}
KINDS = {
    "net": {
        "data": {"augmentations": [{"name": "rotate", "degrees": 12}, {"name": "shift", "pixels": 1}]},
        "model": {"name": "squeeze", "width": 8},
        "training": {"epochs": 6},
    },
    "other": {"model": {"name": "squeeze", "width": 6}, "training": {"epochs": 6}},
    "relu": {},
    "no-relu": {"model": {"name": "perceptron", "widths": [24, 16], "activation": None}},
    "mse": {"training": {"loss": "mse"}},
    "diverged": {"training": {"optimizer": {"name": "sgd", "learning_rate": 1e6}}},
    "autoencoder": {
        "data": {
            "normalise": {"mean": [0.5], "std": [0.5]},
            "expansion": [[], [{"name": "uniform_noise", "high": 0.5, "clip": False}]],
        },
        "model": {"name": "autoencoder", "widths": [24, 6], "output_activation": "relu"},
        "training": {"loss": "reconstruction"},
        "protocol": {"validate_on": "none"},
    },
    "sound": {"data": {"val_size": 200}, "training": {"epochs": 3}, "protocol": {"validate_on": "val"}},
}
# Which small run stands in for a run of a report; all others are "net".
STANDS_FOR = {
    "sound": "sound", "net2": "other", "relu": "relu", "no-relu": "no-relu", "linear": "relu", "rate-10": "diverged",
    "mse": "mse", "lenet": "relu", "autoencoder": "autoencoder", "batch-1": "other",
}  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Small runs by kind, those of networks side by side from two seeds."""
    out, found = tmp_path_factory.mktemp("shown"), {}
    for kind, changes in KINDS.items():
        fields = json.loads(json.dumps({"name": kind, **BASE}))
        for section, values in changes.items():
            whole = section == "model"
            fields[section] = values if whole else {**fields[section], **values}
        seeds = (0, 1) if kind in ("net", "other") else (0,)
        found[kind] = [cl.train(fields, seed=seed, out=out, verbose=False) for seed in seeds]
    assert [found[kind][0].status for kind in ("net", "diverged")] == ["finished", "diverged"]
    return found


@pytest.fixture(scope="session")
def era(tmp_path_factory):
    """The network of report 1, hardly trained, on images of its own size."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (120, 28, 28), dtype=np.uint8), np.arange(120) % 10
    fields = cl.load_experiment("era-s6", ["training.epochs=1", "training.batch_size=40"])
    out = tmp_path_factory.mktemp("era")
    return cl.train(fields, data=(images, labels), test=(images[:60], labels[:60]), out=out, verbose=False)


def shown(name, part, runs):
    return lookup.find("block", name)(Material(part, runs))


def part_of(report, title):
    return next(part for part in published.load(report).parts if part.title == title)


def runs_of(part, made):
    return {name: made[STANDS_FOR.get(name, "net")] for name in part.runs}


def words(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Words))


def table(blocks, name=None):
    return next(block for block in blocks if isinstance(block, Table) and name in (None, block.name))


def captions(block):
    """Every text that must say what a block shows: its caption, and descriptions for who cannot see it."""
    match block:
        case Figures(figures):
            return [text for one in figures for text in (one.caption, one.description)]
        case Pictures(caption, pictures):
            return [caption, *(one.description for one in pictures)]
        case Strips(caption, _, rows):
            return [caption, *(strip.description for _, strips in rows for strip in strips)]
        case Table() | Drawing() | Code():
            return [block.caption]
        case Words(text) | Heading(text):
            return [text]
        case Numbers(numbers):
            return [number.label for number in numbers]
        case Facts(facts):
            return [text for fact in facts for text in (fact.label, fact.value)]
        case Verdict(_, word, sentence):
            return [word, sentence]


def check(blocks):
    """Hold what a block returns to what every block promises."""
    assert blocks
    for block in blocks:
        told = captions(block)
        assert told and all(text.strip() for text in told), block
        assert not any(word in text for text in told for word in ("nan", "None", "inf ")), told
        if isinstance(block, Figures):
            for one in block.figures:
                json.dumps(one.draw(PAGE).to_dict(), allow_nan=False)
        if isinstance(block, Drawing):
            assert block.draw(LIGHT).startswith("<svg")
        if isinstance(block, Table):
            assert all(len(row) == len(block.columns) for row in (*block.rows, *([block.total] if block.total else [])))
            numbers = [cell for row in block.rows for cell in row if isinstance(cell, float)]
            assert all(map(math.isfinite, numbers))


def test_every_block_stands_in_a_shipped_report_and_every_report_names_only_blocks():
    specs = [published.load(name) for name in published.names()]
    specs += [spec.read(spec.HOME / f"{kind}.yaml") for kind in ("run", "study")]
    assert {block for report in specs for part in report.parts for block in part.blocks} == set(NAMES)


@pytest.mark.parametrize("report", published.names())
def test_every_part_is_shown_with_small_runs_as_a_page_and_on_paper(report, made):
    found = []
    for part in published.load(report).parts:
        section = sections.section(Material(part, runs_of(part, made)))
        check(section.blocks)
        found.append(section)
    document = Document(report, "", tuple(found))
    if report == "prml-pa6":
        assert page.html(document).count("data-chart=") == 4
        assert paper.document_pdf(document).startswith(b"%PDF")


@pytest.mark.parametrize("name", STUDY)
def test_what_tells_of_a_study_says_so_where_there_is_none(name, made):
    blocks = shown(name, Part(title="Any"), {"relu": made["relu"]})
    check(blocks)
    assert "not a study" in words(blocks) or "not variants of a study" in words(blocks)


def test_a_part_that_is_optional_is_left_out_and_another_says_why():
    assert shown("bars", Part(title="Any", optional=True), {}) == []
    assert words(shown("bars", Part(title="Any"), {})) == "No run has a test accuracy, so there are no bars."


def test_a_sentence_stands_once_under_a_heading():
    once = [Words("a"), Words("b"), Heading("h"), Words("a")]
    assert sections.said_once([Words("a"), Words("b"), Words("a"), Heading("h"), Words("a"), Words("a")]) == once


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*LESSON, *STUDY, "environment")])
@pytest.mark.parametrize("kind", [None, "diverged", "autoencoder"])
def test_a_run_that_is_missing_or_ended_badly_is_told_in_words(name, kind, made):
    runs = {"first": [] if kind is None else made[kind], "second": []}
    blocks = shown(name, Part(title="Any", runs=("first", "second")), runs)
    check(blocks)
    told = words(blocks)
    assert "“second”" in told or "“first” and “second”" in told or name in ("comparisons", "augmentations", "bars")
    if kind is None and name != "comparisons":
        assert all(isinstance(block, Words | Heading) for block in blocks)


def test_charts_beside_each_other_are_joined(made):
    part = part_of("cifar-hw3", "5 · Batch sizes")
    blocks = [block for name in ("loss", "accuracy") for block in shown(name, part, runs_of(part, made))]
    (figures,) = [block for block in sections.side_by_side(blocks) if isinstance(block, Figures)]
    assert [figure.name for figure in figures.figures] == ["loss", "accuracy"]


def rows_drawn(figure):
    """Every row of every dataset of a chart."""
    spec = figure.draw(LIGHT).to_dict()
    sets = [
        *spec.get("datasets", {}).values(),
        *(one.get("data", {}).get("values", []) for one in (spec, *spec["layer"])),
    ]
    rows = {json.dumps(row, sort_keys=True): row for of in sets for row in of}.values()
    # Rows hold a short key for each curve; the tooltip says whose it is.
    names = {tip["field"]: tip["title"] for tip in spec["layer"][-1]["encoding"].get("tooltip", []) if "title" in tip}
    return [{**row, "variant": names[row["curve"]]} if "curve" in row else row for row in rows]


def test_curves_are_the_mean_of_the_seeds_with_the_published_figures_as_diamonds(made):
    part = part_of("eva7-s4", "Training")
    runs = {"net8": made["net"], "net2": made["other"], "net3": []}
    (accuracy,) = shown("accuracy", part, runs)[0].figures
    drawn = rows_drawn(accuracy)
    means = [row for row in drawn if row.get("variant") == "net8, test" and "mean" in row]
    histories = [run.history["test_accuracy"] for run in made["net"]]
    assert [row["mean"] for row in means] == pytest.approx([100 * fmean(pair) for pair in zip(*histories, strict=True)])
    assert (means[2]["low"], means[2]["high"]) == pytest.approx(tuple(sorted(100 * h[2] for h in histories)))
    diamonds = [row for row in drawn if "low" in row and "mean" not in row]
    longest = max(len(history) for history in histories)
    published = {value.of: value.each_epoch_percent for value in part.values if value.each_epoch_percent}
    assert {(row["variant"], row["epoch"], row["value"]) for row in diamonds} == {
        (f"{name}, test", epoch, figure)
        for name in ("net8", "net2")
        for epoch, figure in enumerate(published[name][:longest], 1)
    }
    assert "diamond" in accuracy.caption and "mean of 2 seeds" in accuracy.caption


def test_a_run_that_diverged_is_a_cross_in_its_chart(made):
    part = part_of("cifar-hw3", "6 · Learning rates")
    blocks = shown("loss", part, {"rate-10": made["diverged"], "rate-0.1": made["relu"]})
    assert "cross marks where a run diverged" in blocks[-1].figures[0].caption
    assert "rate-10 diverged" in words(blocks)


def test_losses_that_cannot_be_compared_have_charts_of_their_own_and_their_likelihoods(made):
    part = part_of("cifar-hw3", "8 · Mean squared error in place of cross-entropy")
    blocks = shown("loss", part, runs_of(part, made))
    (charts,) = [block for block in blocks if isinstance(block, Figures)]
    assert [figure.name for figure in charts.figures] == ["loss-cross-entropy", "loss-mse"]
    rows = table(blocks, "both-losses").rows
    for run, (_, nats, squares, accuracy) in zip((made["relu"][0], made["mse"][0]), rows, strict=True):
        logits, labels = run.predictions()
        logits = logits.astype(np.float64)
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        assert nats == pytest.approx(-np.log(shares[np.arange(len(labels)), labels]).mean())
        assert squares == pytest.approx(((logits - np.eye(10)[labels]) ** 2).mean())
        assert accuracy == run.summary["test_accuracy"]
    told = words(blocks)
    assert "ln 10 = 2.3026" in told and f"σ = {math.sqrt(rows[1][2]):.3f}" in told and "0.0900" in told


def test_epochs_are_those_of_metrics_csv(made):
    part = part_of("prml-pa6", "Training")
    histories = [list(csv.DictReader((run.path / "metrics.csv").open())) for run in made["net"]]
    (several,) = shown("epochs", part, {"published": made["net"]})
    labels = [column.label for column in several.columns]
    assert labels == ["epoch", "train loss", "train accuracy, %", "test loss", "test accuracy, %"]
    losses, accuracies = ([float(history[3][key]) for history in histories] for key in ("test_loss", "train_accuracy"))
    assert several.rows[3][3] == f"{fmean(losses):.4f} ±\u00a0{stdev(losses):.4f}"
    assert several.rows[3][2] == f"{100 * fmean(accuracies):.2f} ±\u00a0{100 * stdev(accuracies):.2f}"
    (one,) = shown("epochs", part, {"published": made["net"][:1]})
    assert one.rows[5][4] == float(histories[0][5]["test_accuracy"]) and len(one.rows) == 6


def test_sizes_fields_and_memory_of_the_published_network_are_the_known_ones(era):
    part = part_of("era-s6", "Network")
    fields = table(shown("receptive-fields", part, {"published": [era]}))
    assert [row[3] for row in fields.rows] == [str(size) for size in part.sizes]
    assert [row[2] for row in fields.rows] == [row[3] for row in fields.rows]
    assert [row[6] for row in fields.rows] == ["1", "3", "5", "7", "8", "8", "12", "16", "20", "24", "28", "36"]
    assert [row[5] for row in fields.rows] == [None] * 4 + ["14"] + [None] * 7
    told = words(shown("receptive-fields", part, {"published": [era]}))
    assert "12 of the 12 sizes that the report states agree" in told
    assert "states a receptive field of 14; it is 8: 7 + (2 − 1) · 1. 14 is 2 · 7" in told
    memory = table(shown("memory", part, {"published": [era]}))
    assert [f"{row[2]:.2f}" for row in (*memory.rows, memory.total)] == ["0.00", "0.81", "0.06", "0.88"]
    assert [row[1] for row in memory.rows][::2] == [784, 16976]


def test_networks_of_one_kind_are_shown_once(made):
    runs = {"one": made["relu"], "same": made["mse"], "else": made["no-relu"]}
    blocks = shown("layers", Part(title="Any", runs=tuple(runs)), runs)
    tables = [block for block in blocks if isinstance(block, Table)]
    assert [one.caption.partition(".")[0] for one in tables] == ["The layers of one and same", "The layers of else"]


def test_one_map_is_the_matrices_multiplied(made):
    part = part_of("cifar-hw3", "3 · Three layers, with ReLU and without")
    blocks = shown("one-map", part, {"relu": made["relu"], "no-relu": made["no-relu"]})
    for row, kind in zip(table(blocks).rows, ("relu", "no-relu"), strict=True):
        run = made[kind][0]
        linears = [layer for layer in run.model().modules() if isinstance(layer, nn.Linear)]
        (one_w, a), (two_w, b), (three_w, c) = (
            (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()) for layer in linears
        )
        dataset, scale = run.dataset(), run.environment["normalise"]
        x = (dataset.test_images.reshape(360, -1) / 255 - scale["mean"][0]) / scale["std"][0]
        one = x @ (three_w @ two_w @ one_w).T + three_w @ (two_w @ a + b) + c
        cut = (lambda z: np.maximum(z, 0)) if kind == "relu" else (lambda z: z)
        network = cut(cut(x @ one_w.T + a) @ two_w.T + b) @ three_w.T + c
        same = float((one.argmax(1) == network.argmax(1)).mean())
        of_matrix = float((one.argmax(1) == dataset.test_labels).mean())
        assert row[1:3] == (3, 2 if kind == "relu" else 0)
        assert row[5:] == pytest.approx((same, run.summary["test_accuracy"], of_matrix), abs=1 / 360)
        if kind == "relu":
            assert float(row[4]) == pytest.approx(np.abs(one - network).max(), rel=0.05)
        else:
            assert float(row[4]) < 1e-12 and same == 1
    told = words(blocks)
    assert "one matrix of 10 × 64 and 10 offsets, 650 numbers" in told
    assert "It is not one linear map." in told and told.endswith("It is one linear map.")


def test_own_drawings_are_dark_on_light_and_the_published_way_neither_inverts_nor_normalises(made):
    from classlab.report.blocks import own_image

    run = made["net"][0]
    blocks = shown("own-image", part_of("era-s6", "A picture of the reader's own"), {"published": [run]})
    drawings = own_image.drawings(run)
    assert [one.name for one in drawings] == [str(digit) for digit in range(10)]
    for one in drawings:
        assert one.pixels.min() >= own_image.INK and np.median(one.pixels) == own_image.PAPER
    rows, model = table(blocks, "own-image").rows, run.built().float()
    answers = run.predict([one.pixels for one in drawings[:2]])
    assert [(row[1], row[2]) for row in rows[:2]] == [(one.name, one.probability) for one in answers]
    for one, row in zip(drawings, rows, strict=True):
        small = np.asarray(Image.fromarray(one.pixels).resize((8, 8)), dtype=np.float32) / 255
        with torch.no_grad():
            logits = model(torch.tensor(small)[None, None])[0].numpy()
        assert row[4] == str(logits.argmax())
        assert row[5] == pytest.approx(float(np.exp(logits).max() / np.exp(logits).sum()), rel=1e-5)
    right, theirs = (sum(row[0] == row[column] for row in rows) for column in (1, 4))
    assert f"classifies {right} of 10 correctly. The report's" in words(blocks)
    assert f"classifies {theirs} of 10 correctly." in words(blocks)


def by_hand(rate, targets, epochs):
    """The 2-2-2 network as its workbook has it: returns w5's gradient and E_tot of every epoch."""
    w, (i1, i2), found = [0, 0.15, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.55], (0.05, 0.1), []

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    for _ in range(epochs):
        a1, a2 = sigmoid(w[1] * i1 + w[2] * i2), sigmoid(w[3] * i1 + w[4] * i2)
        o1, o2 = sigmoid(w[5] * a1 + w[6] * a2), sigmoid(w[7] * a1 + w[8] * a2)
        d1, d2 = (o1 - targets[0]) * o1 * (1 - o1), (o2 - targets[1]) * o2 * (1 - o2)
        h1, h2 = (d1 * w[5] + d2 * w[7]) * a1 * (1 - a1), (d1 * w[6] + d2 * w[8]) * a2 * (1 - a2)
        found.append((d1 * a1, ((targets[0] - o1) ** 2 + (targets[1] - o2) ** 2) / 2))
        slopes = [0, h1 * i1, h1 * i2, h2 * i1, h2 * i2, d1 * a1, d1 * a2, d2 * a1, d2 * a2]
        w = [weight - rate * slope for weight, slope in zip(w, slopes, strict=True)]
    return found


@pytest.mark.parametrize(
    ("report", "rate", "targets", "epochs", "total", "slope"),
    [
        ("era-s6", 2.0, (0.5, 0.5), 68, "E_tot", "∂E/∂w5"),
        ("eva7-s4", 10.0, (0.01, 0.99), 200, "E_TOTAL", "dw5"),
    ],
)
def test_the_lesson_is_the_network_worked_by_hand(report, rate, targets, epochs, total, slope):
    part = part_of(report, "A network worked by hand")
    wanted = by_hand(rate, targets, epochs)
    sheets = shown("workbook", part, {})
    columns = {column.label: [row[place] for row in one.rows]
               for one in sheets if isinstance(one, Table) for place, column in enumerate(one.columns)}  # fmt: skip
    assert columns["epoch"] == [1, 2, 3, 4, 5, 6, epochs]
    assert len(columns) - 1 == 31
    assert columns[total] == pytest.approx([wanted[epoch - 1][1] for epoch in columns["epoch"]])
    assert columns[slope] == pytest.approx([wanted[epoch - 1][0] for epoch in columns["epoch"]])
    assert f"--like {report}" in sheets[-1].text
    walked = shown("derivation", part, {})
    paths = table(walked, "paths").rows
    assert len(paths) == 12 and paths[0][3] == pytest.approx(wanted[0][0])
    assert "agree with those of PyTorch's autograd" in words(walked)
    chart = shown("loss-of-each-rate", part, {})[0].figures[0]
    drawn = [row["mean"] for row in rows_drawn(chart) if row.get("variant") == f"η = {rate:g}" and "mean" in row]
    assert drawn == pytest.approx([error for _, error in wanted])
    concluded = shown("conclusion", part, {})
    told = words(concluded)
    assert (
        f"in {epochs - 1} of {epochs - 1} epochs" in told and "falls faster with a larger rate over this range" in told
    )
    first = next(row for row, (_, error) in enumerate(by_hand(rate, targets, 100), 1) if error <= 0.01 * wanted[0][1])
    assert table(concluded).rows[0][-1] == first


def test_the_task_is_derived_as_published():
    blocks = shown("derivation", part_of("dl-minor-1", "The task, derived"), {})
    rows = table(blocks).rows
    assert [row[2] for row in rows[:5]] == [
        "Fashion-MNIST", "He initialisation", "flip and noise", "max pooling", "classes 1, 3, 5, 7, 9",
    ]  # fmt: skip
    assert "cnn is fashion-cnn; autoencoder is fashion-autoencoder; encoder-classifier is fashion-encoder" in words(
        blocks
    )
    every = str(blocks)
    assert "18/03" not in every and "day" not in every


def test_comparisons_say_which_test_the_seeds_allow(made):
    paired = shown("comparisons", Part(title="Any"), {"one": made["net"], "two": made["other"]})
    assert table(paired, "comparisons").rows[0][-1] == "paired t test" and "Wilson" not in words(paired)
    single = shown("comparisons", Part(title="Any"), {"one": made["relu"], "two": made["no-relu"]})
    assert table(single, "comparisons").rows[0][-1] == "exact McNemar test"
    low, high = made["relu"][0].summary["test_interval"]
    assert f"Wilson interval is what other images would change: one {100 * low:.2f} to {100 * high:.2f} %" in words(
        single
    )


def test_the_last_epochs_are_those_of_the_history(made):
    runs = {"net8": made["net"], "net2": made["other"], "net3": []}
    blocks = shown("last-epochs", part_of("eva7-s4", "How steady are the last epochs?"), runs)
    rows = table(blocks).rows
    assert len(rows) == 4
    last = list(made["net"][1].history["test_accuracy"])[-5:]
    assert rows[1] == ("net8", 1, *last, min(last), pytest.approx(100 * (max(last) - min(last))))
    assert [figure.name for block in blocks if isinstance(block, Figures) for figure in block.figures] == [
        "spread", "first-epoch",
    ]  # fmt: skip


def test_bars_carry_the_intervals_of_the_runs(made):
    figures = shown("bars", Part(title="Any"), {"cnn": made["relu"], "classifier": made["net"]})[0].figures
    rows = {row["name"]: row for row in rows_drawn(figures[0])}
    assert (rows["cnn"]["low"], rows["cnn"]["high"]) == pytest.approx(
        tuple(100 * end for end in made["relu"][0].summary["test_interval"])
    )
    assert rows["classifier"]["value"] == pytest.approx(100 * fmean(r.summary["test_accuracy"] for r in made["net"]))


def test_augmented_images_stand_beside_the_image_itself(made):
    run = made["net"][0]
    blocks = shown("augmented", Part(title="Any"), {"lenet": made["relu"], "augmented": [run]})
    (strips,) = [block for block in blocks if isinstance(block, Strips)]
    dataset, train = run.dataset(), run.split()["train"]
    for label, (_, (strip,)) in enumerate(strips.rows):
        first = next(index for index in train if dataset.labels[index] == label)
        assert np.array_equal(strip.images[0], dataset.images[first])
        assert len(strip.images) == 7 and all(not np.array_equal(strip.images[0], one) for one in strip.images[1:])


def test_what_is_drawn_of_noise_is_said_in_numbers(made):
    blocks = shown("reconstructions", part_of("dl-minor-1", "Autoencoder"), {"autoencoder": made["autoencoder"]})
    assert "of the noise comes through" in words(blocks)
    floors = table(shown("floors", part_of("dl-minor-1", "Autoencoder"), {"autoencoder": made["autoencoder"]}))
    images = made["autoencoder"][0].dataset().test_images
    below = np.minimum(images / 255.0 * 2 - 1, 0)
    assert floors.rows[-1][:2] == ("test", pytest.approx((below**2).mean(), rel=1e-6))


def test_a_sound_run_says_what_was_looked_at_and_when(made):
    part = part_of("era-s6", "The same limits, soundly")
    blocks = shown("sound-accuracy", part, {"sound": made["sound"]})
    run = made["sound"][0]
    accuracy = run.summary["test_accuracy"]
    assert "with 200 images held out to watch" in words(blocks) and "evaluated once, at the end" in words(blocks)
    assert f"That is {100 * (0.9947 - accuracy):.2f} points below 99.47 %" in words(blocks)
    watched = words(shown("sound-accuracy", part, {"sound": made["relu"]}))
    assert "were watched every epoch, so this reading is not one of images never looked at" in watched
