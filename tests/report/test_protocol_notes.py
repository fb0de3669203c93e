"""Where the test images were watched, or chose the epoch, every table and figure that comes of it says so."""

from classlab.drawing.blocks import Figures, Table
from classlab.experiment import load
from classlab.report import curve_figures, protocol_notes
from classlab.report.blocks import comparisons, confusion, last_epochs, question, right
from classlab.report.material import Material
from classlab.report.spec import Part

CHOSE = {"validate_on": "test", "select": "best"}
NONE = {"val_size": 0}


def material(**runs):
    """The material of a part with one run of each name."""
    return Material(Part(title="Part"), {name: [run] for name, run in runs.items()})


def captions(blocks):
    found = [block.caption for block in blocks if isinstance(block, Table)]
    return found + [figure.caption for block in blocks if isinstance(block, Figures) for figure in block.figures]


def test_what_the_test_images_decided():
    plain = load("digits-quick")
    seen, chosen, stopped = (
        load("digits-quick", ["protocol.validate_on=test", *more])
        for more in ([], ["protocol.select=best"], ["training.early_stopping={patience: 2}"])
    )
    assert [protocol_notes.note(one) for one in (plain, seen)] == ["", protocol_notes.WATCHED]
    assert protocol_notes.note(chosen) == protocol_notes.note(stopped) == protocol_notes.CHOSE
    assert protocol_notes.notes({"a": chosen, "b": stopped}) == protocol_notes.CHOSE
    assert protocol_notes.notes({"a": chosen, "b": plain}) == f"{protocol_notes.CHOSE} of a"
    assert (
        protocol_notes.notes({"a": chosen, "b": seen}) == f"{protocol_notes.CHOSE} of a; {protocol_notes.WATCHED} of b"
    )
    assert plain.chosen_on is None
    assert load("digits-quick", ["training.early_stopping={patience: 2}"]).chosen_on == "val"


def test_every_caption_of_test_figures_says_that_they_chose_the_epoch(train):
    run, other = train(protocol=CHOSE, data=NONE), train(protocol=CHOSE, data=NONE, training={"epochs": 3})
    both = material(one=run, two=other)
    told = captions(confusion.blocks(material(one=run))) + captions(comparisons.blocks(both)[:1])
    told += captions(last_epochs.blocks(both))
    told.append(curve_figures.figure(both, "accuracy").caption)
    assert len(told) == 7
    assert all("the test images chose the epoch" in caption.lower() for caption in told)
    (words, *_) = right.blocks(material(one=run))
    assert "The test images chose the epoch." in words.text


def test_nothing_is_said_of_test_images_seen_once(quick):
    told = " ".join(captions(confusion.blocks(material(one=quick))))
    assert "chose" not in told and "watched" not in told
    told = " ".join(getattr(one, "text", "") for one in question.blocks(material(one=quick)))
    assert "The result is the last epoch; validation accuracy chose nothing." in told


def test_early_stopping_chooses_the_last_epoch(train):
    stopped = {"epochs": 8, "early_stopping": {"patience": 1}}
    told = " ".join(getattr(one, "text", "") for one in question.blocks(material(one=train(training=stopped))))
    assert "The result is the last epoch, which early stopping chose by the validation accuracy." in told
    own = train(training=stopped, protocol={"validate_on": "test"}, data=NONE)
    told = " ".join(getattr(one, "text", "") for one in question.blocks(material(one=own)))
    assert "and the result is the last epoch, which early stopping chose by the test accuracy." in told


def test_re_evaluated_train_figures_on_augmented_images_are_not_like_the_others(train):
    again = {"train_metrics": "re-evaluated"}
    assert curve_figures.reading(train(protocol=again)).endswith(
        "of each epoch, the other curves on images as they are."
    )
    everywhere = train(protocol={**again, "augment": "all"})
    assert curve_figures.reading(everywhere).endswith("of each epoch, like the other curves.")
