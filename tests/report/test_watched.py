"""Where the test images were watched, or chose the epoch, every table and figure that comes of it says so."""

from classlab.drawing.blocks import Figures, Table
from classlab.experiment import load
from classlab.report import curves_of_parts, galleries, watched
from classlab.report.published import Part
from classlab.report.sections import confusion, curves, question
from classlab.report.shown import comparisons, last_epochs

CHOSE = {"validate_on": "test", "select": "best"}
NONE = {"val_size": 0}


def captions(blocks):
    found = [block.caption for block in blocks if isinstance(block, Table)]
    return found + [figure.caption for block in blocks if isinstance(block, Figures) for figure in block.figures]


def test_what_the_test_images_decided():
    plain = load("digits-quick")
    seen, chosen, stopped = (
        load("digits-quick", ["protocol.validate_on=test", *more])
        for more in ([], ["protocol.select=best"], ["training.early_stopping={patience: 2}"])
    )
    assert [watched.note(one) for one in (plain, seen)] == ["", watched.WATCHED]
    assert watched.note(chosen) == watched.note(stopped) == watched.CHOSE
    assert watched.notes({"a": chosen, "b": stopped}) == watched.CHOSE
    assert watched.notes({"a": chosen, "b": plain}) == f"{watched.CHOSE} of a"
    assert watched.notes({"a": chosen, "b": seen}) == f"{watched.CHOSE} of a; {watched.WATCHED} of b"
    assert plain.chosen_on is None
    assert load("digits-quick", ["training.early_stopping={patience: 2}"]).chosen_on == "val"


def test_every_caption_of_test_figures_says_that_they_chose_the_epoch(train):
    run, other = train(protocol=CHOSE, data=NONE), train(protocol=CHOSE, data=NONE, training={"epochs": 3})
    runs = {"one": [run], "two": [other]}
    part = Part(title="Part")
    told = captions(confusion.section(run).blocks) + captions(comparisons.blocks(part, runs)[:1])
    told += captions(last_epochs.blocks(part, runs))
    told.append(curves_of_parts.figure(part, runs, "accuracy", [*runs]).caption)
    assert len(told) == 7
    assert all("the test images chose the epoch" in caption.lower() for caption in told)
    (words, *_) = galleries.galleries({"one": [run]}, lambda *given: [], "right")
    assert "The test images chose the epoch." in words.text


def test_nothing_is_said_of_test_images_seen_once(quick):
    told = " ".join(captions(confusion.section(quick).blocks))
    assert "chose" not in told and "watched" not in told
    told = " ".join(getattr(one, "text", "") for one in question.section(quick).blocks)
    assert "The result is the last epoch; validation accuracy chose nothing." in told


def test_early_stopping_chooses_the_last_epoch(train):
    stopped = {"epochs": 8, "early_stopping": {"patience": 1}}
    told = " ".join(getattr(one, "text", "") for one in question.section(train(training=stopped)).blocks)
    assert "The result is the last epoch, which early stopping chose by the validation accuracy." in told
    own = train(training=stopped, protocol={"validate_on": "test"}, data=NONE)
    told = " ".join(getattr(one, "text", "") for one in question.section(own).blocks)
    assert "and the result is the last epoch, which early stopping chose by the test accuracy." in told


def test_re_evaluated_train_figures_on_augmented_images_are_not_like_the_others(train):
    again = {"train_metrics": "re-evaluated"}
    assert curves.reading(train(protocol=again)).endswith("of each epoch, the other curves on images as they are.")
    everywhere = train(protocol={**again, "augment": "all"})
    assert curves.reading(everywhere).endswith("of each epoch, like the other curves.")
