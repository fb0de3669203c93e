"""The report as data, against what other libraries say of the same predictions."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix
from torch import nn

import classlab as cl
from classlab.drawing.blocks import Code, Facts, Figures, Numbers, Pictures, Strips, Table, Verdict, Words
from classlab.errors import UserError
from classlab.report import document, outcome
from classlab.report.blocks import rerun
from classlab.runs.finished import load
from tests import prose

TITLES = [
    "Verdict", "Question and method", "Data", "Network", "Training curves", "Confusion matrix", "Predictions",
    "Where the answers came from", "Discussion", "Environment", "Reproduce it",
]  # fmt: skip


def section(run, title):
    return next(one for one in document.build(run).sections if one.title == title)


def blocks(run, title, kind):
    return [block for block in section(run, title).blocks if isinstance(block, kind)]


def words(run, title):
    return " ".join(block.text for block in blocks(run, title, Words))


def facts(run, title):
    return {fact.label: fact.value for block in blocks(run, title, Facts) for fact in block.facts}


def figures(run):
    return {figure.name: figure for block in blocks(run, "Training curves", Figures) for figure in block.figures}


def test_every_section_is_there_in_order(quick):
    built = document.build(quick, author="Ada Lovelace", roll="052", course="Deep Learning")
    assert [one.title for one in built.sections] == TITLES
    assert built.title == "A perceptron on small digits"
    told = {fact.label: fact.value for fact in built.byline}
    assert told["Author"] == "Ada Lovelace" and told["Roll number"] == "052" and told["Course"] == "Deep Learning"


def test_no_sentence_of_the_page_is_over_30_words(quick, tmp_path):
    page = prose.PageText()
    page.feed(document.write(quick, out=tmp_path / "page.html").read_text(encoding="utf-8"))
    found = [sentence for _, text in page.texts for sentence in prose.sentences_of(prose.plain_markdown(text))]
    assert len(found) > 100
    assert [sentence for sentence in found if prose.count_words(sentence) > 30] == []


def test_the_verdict_agrees_with_scipy(quick):
    logits, labels = quick.predictions()
    right = int((logits.argmax(1) == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    (verdict,) = blocks(quick, "Verdict", Verdict)
    assert (verdict.tone, verdict.word) == ("good", "Contract kept")
    assert f"{100 * right / len(labels):.2f} % of 360 test images" in verdict.sentence
    accuracy = next(one for one in blocks(quick, "Verdict", Numbers)[0].numbers if one.label == "Test accuracy")
    assert accuracy.value == f"{100 * right / len(labels):.2f} %"
    assert f"{right} of 360; 95 % interval {100 * interval.low:.2f} to {100 * interval.high:.2f} %" == accuracy.note


def test_the_contract_is_told_rule_by_rule_with_its_margin(train):
    run = train(contract={"max_parameters": 20000, "max_epochs": 20, "min_test_accuracy_percent": 99.9})
    (verdict,) = blocks(run, "Verdict", Verdict)
    assert (verdict.tone, verdict.word) == ("bad", "Contract not kept")
    assert verdict.sentence.startswith("1 of 3 limits is not kept: test accuracy")
    (table,) = blocks(run, "Verdict", Table)
    assert table.rows[0] == ("parameters", "at most 20,000", "2,410", "17,590", True)
    assert table.rows[2][0] == "test accuracy" and table.rows[2][3].startswith("−") and table.rows[2][4] is False


def test_the_confusion_matrix_agrees_with_scikit_learn(quick):
    logits, labels = quick.predictions()
    result = outcome.of_run(quick)
    assert np.array_equal(result.matrix, confusion_matrix(labels, logits.argmax(1)))
    assert np.allclose(result.confidence, softmax(logits.astype(np.float64), axis=1).max(axis=1))
    (table,) = blocks(quick, "Confusion matrix", Table)
    for label, row in enumerate(table.rows):
        assert row[1:4] == (36, result.matrix[label, label], result.matrix[label, label] / 36)
    assert sum(pair.both for pair in result.pairs()) == int((logits.argmax(1) != labels).sum())


def test_the_galleries_show_the_right_images_with_what_was_predicted(quick):
    galleries = blocks(quick, "Predictions", Pictures)
    logits, labels = quick.predictions()
    images = quick.dataset().test_images
    assert [gallery.pictures[0].tone for gallery in galleries] == ["bad", "good", "good"]
    surest = quick.mistakes().iloc[0]
    first = galleries[0].pictures[0]
    assert np.array_equal(first.image, images[surest["index"]])
    assert first.lines == (
        f"predicted {surest['predicted']}", f"true {surest['true']}", f"{100 * surest['confidence']:.1f} % sure",
    )  # fmt: skip
    for picture in galleries[1].pictures + galleries[2].pictures:
        index = int(picture.description.split()[2].rstrip(":"))
        assert labels[index] == logits[index].argmax()
        assert np.array_equal(picture.image, images[index])


def test_confidence_bands_hold_every_test_image_once(quick):
    table = next(one for one in blocks(quick, "Predictions", Table) if one.name == "confidence")
    assert [sum(row[column] for row in table.rows) for column in (1, 2, 3)] == list(table.total[1:4])
    assert table.total[1] == 360


def test_samples_stand_before_and_after_augmentation(quick, train):
    (strips,) = blocks(quick, "Data", Strips)
    assert strips.headings == ("class", "as they are", "augmented")
    labels = quick.dataset().labels[quick.split()["train"]]
    images = quick.dataset().images[quick.split()["train"]]
    for label, (name, (before, after)) in enumerate(strips.rows):
        assert name == str(label)
        assert np.array_equal(before.images, images[labels == label][:6])
        assert after.images.shape == before.images.shape and not np.array_equal(after.images, before.images)
    (plain,) = blocks(train(data={"augmentations": []}), "Data", Strips)
    assert plain.headings == ("class", "as they are")


def test_the_counts_of_each_class_add_up(quick):
    table = next(one for one in blocks(quick, "Data", Table) if one.name == "classes")
    assert table.total == ("together", 1237, 200, 360)
    for column in (1, 2, 3):
        assert sum(row[column] for row in table.rows) == table.total[column]


def test_the_layer_table_is_that_of_inspect(quick):
    layers, memory = blocks(quick, "Network", Table)
    assert "2,410" in layers.total and memory.rows[-1][:2] == ("parameters", 2410)
    assert "2,410 parameters" in words(quick, "Network")


def test_the_curves_are_drawn_and_described(quick):
    drawn = figures(quick)
    assert list(drawn) == ["loss", "accuracy", "accuracy-close"]
    last = quick.history["val_accuracy"].iloc[-1]
    assert f"to {100 * last:.2f} %" in drawn["accuracy"].description
    assert "validation" in drawn["loss"].description and "test" not in drawn["loss"].description
    (table,) = blocks(quick, "Training curves", Table)
    assert [row[0] for row in table.rows] == list(range(1, 9))
    assert [row[1] for row in table.rows] == quick.history["train_loss"].tolist()


def test_a_test_curve_is_labelled_by_what_it_was_used_for(train):
    watched = train(data={"val_size": 0}, protocol={"validate_on": "none", "test_each_epoch": True})
    assert "test, not used for selection" in figures(watched)["loss"].description
    chose = train(data={"val_size": 0}, protocol={"validate_on": "test", "select": "best"})
    assert "test, which chose the epoch" in figures(chose)["loss"].description
    assert "The test set chose the epoch" in words(chose, "Verdict")
    assert "served for validation" in words(chose, "Question and method")


def test_train_accuracy_says_what_it_is(quick, train):
    assert "The train curve is the running one" in words(quick, "Training curves")
    assert "augmented" in words(quick, "Training curves")
    again = train(protocol={"train_metrics": "re-evaluated"})
    assert "at the end of each epoch" in words(again, "Training curves")


def test_a_diverged_run_says_so_and_shows_no_predictions(train):
    run = train(training={"optimizer": {"name": "sgd", "learning_rate": 1e30}, "precision": "fp32"})
    assert run.status == "diverged"
    titles = [one.title for one in document.build(run).sections]
    assert "Confusion matrix" not in titles and "Predictions" not in titles
    (verdict,) = blocks(run, "Verdict", Verdict)
    assert (verdict.tone, verdict.word) == ("bad", "Diverged")
    assert blocks(run, "Verdict", Numbers)[0].numbers[0].value == "none"
    assert "A cross marks where the loss is not finite" in figures(run)["loss"].caption
    assert "not finite in epoch" in words(run, "Discussion")


def test_a_run_that_did_not_learn_is_reported_as_a_result(train):
    run = train(training={"epochs": 2, "optimizer": {"name": "sgd", "learning_rate": 1e-12}})
    assert run.status == "did_not_learn"
    assert blocks(run, "Verdict", Verdict)[0].word == "Did not learn"
    assert "did not learn is its result" in words(run, "Discussion")


def test_a_run_cut_off_is_reported_as_incomplete(quick, tmp_path):
    for file in quick.path.iterdir():
        if file.name not in ("summary.json", "predictions.npz", "report.html"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    run = load(tmp_path)
    (verdict,) = blocks(run, "Verdict", Verdict)
    assert verdict.word == "Incomplete"
    assert "8 of 8 epochs" in verdict.sentence
    assert document.write(run).exists()


def test_a_run_given_in_python_says_what_its_folder_cannot_show(tmp_path):
    images = np.random.default_rng(0).random((60, 3, 8, 8)).astype(np.float32)
    labels = np.arange(60) % 3
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    plan = {"epochs": 2, "batch_size": 20, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
    fields = {"name": "own", "data": {"dataset": "digits"}, "model": "perceptron", "training": plan}
    run = cl.train(
        fields,
        model=network,
        data=(images[:40], labels[:40]),
        test=(images[40:], labels[40:]),
        out=tmp_path,
        verbose=False,
    )
    assert isinstance(section(run, "Data").blocks[-1], Strips)
    assert document.write(run).exists()
    later = load(run.path)
    for title, why in (("Data", "arrays given in Python"), ("Network", "its code is not in its folder")):
        assert words(later, title).startswith("This cannot be shown here: ") and words(later, title).count(why) == 1
    assert "cannot be reproduced from its file" in words(later, "Reproduce it")
    assert document.build(later).title == "own"


def test_the_command_names_the_shipped_experiment_only_where_it_is_that_one(quick):
    assert blocks(quick, "Reproduce it", Code)[0].text == "classlab run quick.yaml --seed 0"
    shipped, changed = (cl.load_experiment("digits-quick", sets) for sets in ([], ["training.epochs=2"]))
    assert rerun.command(Stand(shipped)) == "classlab run digits-quick --seed 3"
    assert rerun.command(Stand(shipped, "a GPU", "cuda")) == "classlab run digits-quick --seed 3"
    assert rerun.command(Stand(shipped, "a GPU")) == "classlab run digits-quick --seed 3 --device cpu"
    assert rerun.command(Stand(changed)) == "classlab run digits-quick.yaml --seed 3"


def test_the_printed_experiment_loads_to_the_same_one(quick, tmp_path):
    file = tmp_path / "quick.yaml"
    file.write_text(blocks(quick, "Reproduce it", Code)[1].text)
    assert cl.load_experiment(file) == quick.experiment


class Stand:
    """A run that was never executed: enough for its command."""

    def __init__(self, experiment, gpu=None, device="cpu"):
        self.experiment, self.seed = experiment, 3
        self.environment = {"gpu": gpu, "settings": {"device": device}}


def test_the_environment_is_that_of_the_run(quick):
    told = facts(quick, "Environment")
    assert told["PyTorch"] == quick.environment["torch"]
    assert told["Seed"] == "0"


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("report.docx", r"a report is written as .html or .pdf; got .*report.docx"),
        ("report.htmk", "did you mean .html?"),
        ("nowhere/report.html", "cannot be written: No such file"),
        ("nowhere/report.pdf", "cannot be written: No such file"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused(quick, tmp_path, out, sentence):
    with pytest.raises(UserError, match=sentence):
        document.write(quick, out=tmp_path / out)


def test_two_reports_of_one_run_are_the_same_bytes(quick, tmp_path):
    first, second = (document.write(quick, out=tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < 3_000_000


def test_the_report_is_also_a_pdf(quick, tmp_path):
    html = document.write(quick, out=tmp_path / "ada.html", author="Ada Lovelace", pdf=True)
    assert html == tmp_path / "ada.html" and html.exists()
    alone = document.write(quick, out=tmp_path / "alone.pdf", author="Ada Lovelace")
    assert (tmp_path / "ada.pdf").read_bytes().startswith(b"%PDF-")
    assert alone.stat().st_size < 1_000_000
    assert not (tmp_path / "alone.html").exists()
