"""What a notebook says of each part of an experiment, in Markdown."""

from collections import Counter

from classlab.formats import count, listed
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import said

KINDS = {
    "Conv2d": "convolution", "Linear": "linear layer", "BatchNorm2d": "batch norm", "MaxPool2d": "max pool",
    "AvgPool2d": "average pool", "AdaptiveAvgPool2d": "average pool", "Dropout": "dropout",
}  # fmt: skip


def settings() -> str:
    """Return what is said before the settings."""
    return "All numbers that can be turned stand here. Change one, run the cells below again, and see what it does."


def random_numbers() -> str:
    """Return what is said before the seeds."""
    return (
        "Training uses chance: first weights, the order of the images, their changes. Each use has a generator of "
        "its own, seeded from the run's seed. So the same seed gives the same network, and leaving one use out "
        "changes nothing else."
    )


def data(leaving: Leaving) -> str:
    """Return what is said before the data."""
    name = leaving.published or said(str(leaving.experiment.data.dataset.name).rpartition("/")[2])
    channels, height, width = leaving.shape
    colour = "grey" if channels == 1 else "in colour" if channels == 3 else f"of {channels} channels"
    text = (
        f"{name}: {leaving.train_images:,} images to train on, each {height} × {width} pixels, {colour}. "
        "The network never trains on the test images."
    )
    held = leaving.whole - leaving.train_images
    if held:
        text += f" Of the training images {held:,} are held out, to watch how training goes without touching the test."
    return f"{text} Pixels are shifted and scaled by a fixed mean and standard deviation before the network sees them."


def network(leaving: Leaving) -> str:
    """Return what is said before the network."""
    parameters = sum(parameter.numel() for parameter in leaving.network.parameters())
    kinds = Counter(KINDS.get(type(layer).__name__) for layer in leaving.network.modules())
    parts = [count(number, kind) for kind, number in kinds.items() if kind and kind != "dropout"]
    made = f", {listed(parts)}" if parts else ""
    if leaving.reconstructs:
        end = "It squeezes each image to a short code and draws the image again from the code alone."
    else:
        end = f"It answers with {len(leaving.class_names)} numbers; the largest is the class that it names."
    return f"{parameters:,} parameters{made}. {end} Read the shapes in the comments from top to bottom."


def augmentation(leaving: Leaving) -> str:
    """Return what is said before the augmentation."""
    if leaving.experiment.data.expansion:
        return (
            f"Every training image stands in the training set {leaving.experiment.data.copies} times, some copies "
            "changed. A copy is the same in every epoch, since its noise depends on the image alone."
        )
    return (
        "In every epoch each training image is changed a little by chance, so that the network never sees quite the "
        "same image twice and learns what stays the same. Neighbouring changes are composed as matrices, and the image "
        "is resampled once."
    )


def schedule(leaving: Leaving) -> str:
    """Return what is said before the schedule."""
    name = leaving.experiment.training.schedule.name.replace("_", " ")
    return f"The optimizer's step is not equally long in every step of training: the schedule is {said(name)}."


def loop(leaving: Leaving) -> str:
    """Return what is said before the loop."""
    training = leaving.experiment.training
    steps = training.epochs * leaving.steps_per_epoch
    name = said(training.optimizer.name)
    return (
        "This is all of training. For each batch the network answers (forward), and the loss says how wrong it is. "
        "The gradient says for each weight which direction lowers the loss (backward), and the optimizer takes a "
        f"step that way. {training.epochs} epochs of {leaving.steps_per_epoch:,} batches are {steps:,} steps of "
        f"{name}."
    )


def evaluation(leaving: Leaving) -> str:
    """Return what is said before the evaluation."""
    if leaving.reconstructs:
        return "The loss on images that were not trained on: the mean squared difference of a pixel."
    return "In evaluation nothing is changed and nothing is learnt: the share of images whose largest answer is right."
