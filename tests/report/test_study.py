"""The report of a study, on a small one with a variant that diverges, against its own results."""

import shutil

import pytest

import classlab as cl
from classlab.drawing import figure_files, paper
from classlab.drawing.blocks import Code, Facts, Figures, Table, Verdict, Words
from classlab.report import document
from classlab.study import declaration as studies

STUDY = {
    "name": "rates",
    "question": "Which learning rate is best?",
    "experiment": {
        "name": "rates",
        "data": {"dataset": "digits", "val_size": 200},
        "model": {"name": "perceptron", "widths": [16]},
        "training": {"epochs": 3, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
    },
    "sweep": {"grid": {"training.optimizer.learning_rate": [0.1, 0.02, 1e30]}},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return cl.study(STUDY, out=tmp_path_factory.mktemp("studies"), jobs=1)


def blocks(result, title, kind):
    section = next(one for one in document.build(result).sections if one.title == title)
    return [block for block in section.blocks if isinstance(block, kind)]


def test_every_section_is_there_in_order(result):
    built = document.build(result, author="Ada Lovelace")
    assert built.title == STUDY["question"]
    titles = ["Answer", "Question and method", "Curves", "Runs", "Environment", "Reproduce it"]
    assert [one.title for one in built.sections] == titles
    assert {fact.label for fact in built.byline} == {"Author", "Trained"}


def test_the_table_holds_the_figures_of_the_results(result):
    variants = next(one for one in blocks(result, "Answer", Table) if one.name == "variants")
    means = result.results.groupby("variant", sort=False)["test_accuracy"].mean()
    assert [row[0] for row in variants.rows] == list(means.index)
    assert [row[2] for row in variants.rows] == pytest.approx(list(means))
    assert variants.rows[2][-1] == "2 diverged"


def test_every_comparison_is_told_in_a_row_and_a_sentence(result):
    comparisons = next(one for one in blocks(result, "Answer", Table) if one.name == "comparisons")
    told = [block.text for block in blocks(result, "Answer", Words)]
    for row, comparison in zip(comparisons.rows, result.answer.comparisons, strict=True):
        assert row[0] == comparison.variant
        assert row[1].replace("−", "-") == f"{100 * comparison.effect:+.2f}"
        assert f"{comparison.sentence}." in told
    (verdict,) = blocks(result, "Answer", Verdict)
    worse = [one.variant for one in result.answer.comparisons if one.different]
    assert all(name in verdict.sentence for name in worse)


def test_no_run_is_left_out(result):
    (table,) = blocks(result, "Runs", Table)
    assert len(table.rows) == 6
    assert [row[-1] for row in table.rows] == ["finished"] * 4 + ["diverged"] * 2


def test_curves_are_drawn_for_what_was_measured(result):
    drawn = [figure for block in blocks(result, "Curves", Figures) for figure in block.figures]
    names = ["dots", "train-loss", "train-accuracy", "val-loss", "val-accuracy", "multiples"]
    assert [figure.name for figure in drawn] == names
    loss = next(figure for figure in drawn if figure.name == "train-loss")
    assert "learning_rate=1e+30 (2 runs)" in loss.caption


def test_what_the_variants_share_leaves_out_what_they_change(result):
    (facts,) = blocks(result, "Question and method", Facts)
    told = {fact.label: fact.value for fact in facts.facts}
    assert told["Dataset"] == "digits" and told["Epochs planned"] == "3"
    assert told["Optimizer"] == "sgd; learning rate as each variant says"
    assert told["Images"] == "1,237 training, 200 validation, 360 test; of 8 × 8 pixels, 1 channel"


def test_variants_that_train_several_experiments_say_how_each_was_trained(tmp_path):
    other = {**STUDY["experiment"], "name": "adam", "model": {"name": "perceptron", "widths": [8]}}
    other["training"] = {**other["training"], "optimizer": {"name": "adam", "learning_rate": 0.01}}
    variants = [{"name": "sgd"}, {"name": "adam", "experiment": other}]
    study = {**STUDY, "seeds": 1, "sweep": {"variants": variants}}
    shared, *apart = blocks(cl.study(study, out=tmp_path, jobs=1), "Question and method", Facts)
    assert "Dataset" in {fact.label for fact in shared.facts} and [facts.caption for facts in apart] == ["sgd", "adam"]
    trained = {fact.label: fact.value for fact in apart[1].facts}
    assert trained == {
        "Model": "perceptron (widths 8, activation relu)",
        "Optimizer": "adam (learning rate 0.01, beta1 0.9, beta2 0.999)",
    }


def test_the_printed_study_loads_to_the_same_one(result, tmp_path):
    command, printed = blocks(result, "Reproduce it", Code)
    assert command.text == "classlab study rates.yaml"
    (tmp_path / "rates.yaml").write_text(printed.text)
    assert studies.load(tmp_path / "rates.yaml") == result.study


def test_it_is_written_as_html_pdf_and_files(result, tmp_path):
    html = document.write(result, out=tmp_path / "rates.html", pdf=True)
    assert html.stat().st_size < 3_000_000
    assert (tmp_path / "rates.pdf").read_bytes().startswith(b"%PDF-")
    names = {file.name for file in figure_files.write(document.build(result), tmp_path / "figures")}
    assert {"dots.svg", "multiples.pdf", "variants.csv", "comparisons.tex", "runs.csv"} <= names


def test_a_study_cut_off_says_what_is_missing(result, tmp_path):
    folder = tmp_path / "rates"
    shutil.copytree(result.path, folder)
    for file in (folder / "runs").glob("*/s1-*/summary.json"):
        file.unlink()
    from classlab.study.result import load

    (verdict,) = blocks(load(folder), "Answer", Verdict)
    assert "3 runs of 6 are still missing" in verdict.sentence
    for file in (folder / "runs").glob("*/*"):
        shutil.rmtree(file)
    (verdict,) = blocks(load(folder), "Answer", Verdict)
    assert verdict.word == "Not begun"
    assert paper.document_pdf(document.build(load(folder))).startswith(b"%PDF-")


def test_the_verdict_answers_a_question_of_equivalence(result):
    asked = {**STUDY, "compare": {"equivalent_within": 95}}
    told = cl.study(asked, out=result.path.parent, jobs=1)
    (verdict,) = blocks(told, "Answer", Verdict)
    near, diverged = told.answer.equivalences
    assert near.equivalent and verdict.word in ("Equivalent", "Partly equivalent")
    if not diverged.equivalent:
        assert f"{near.variant} differs by less than 95 points from learning_rate=0.1" in verdict.sentence
    sentences = [block.text for block in blocks(told, "Answer", Words)]
    assert f"{near.sentence}." in sentences and f"{diverged.sentence}." in sentences
    never = cl.study({**asked, "compare": {"equivalent_within": 0.001}}, out=result.path.parent, jobs=1)
    (verdict,) = blocks(never, "Answer", Verdict)
    assert verdict.word == "Not shown to be equivalent"
    assert "have not been shown to differ by less than 0.001 points from learning_rate=0.1" in verdict.sentence
