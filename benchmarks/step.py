"""classlab's training against the same training as plain eager fp32 PyTorch with its tensors in memory.

    python -m benchmarks.step [experiment] [images] [pairs]

Both sides take the same images, augmentation, network, loss and optimizer, and start from the same weights.
"""

import copy
import itertools
import sys

import torch

from benchmarks.pairs import alternate, say
from classlab.data.augment import augment, bind
from classlab.experiment import load
from classlab.runs.prepare import place_model, place_splits, prepare
from classlab.training.device import choose
from classlab.training.evaluate import Images
from classlab.training.train import train


def main(name: str = "mnist-20k", images: int = 20_000, pairs: int = 5) -> None:
    """Print one line for the experiment: images a second on both sides, and the ratio."""
    one_epoch = ["training.epochs=1", "protocol.validate_on=none", "contract={}"]
    experiment = load(name, one_epoch)
    prepared = prepare(experiment, seed=0, given={}, test=None)
    plan = experiment.training
    settings = choose("cpu", plan, prepared.model, images, prepared.multiply_adds)
    whole = place_splits(prepared, settings)["train"]
    part = Images(whole.pixels[:images], whole.labels[:images], whole.mean, whole.std)
    start = copy.deepcopy(prepared.model)

    def ours() -> None:
        model = place_model(copy.deepcopy(start), settings)
        for _ in train(model, {"train": part}, experiment, 0, settings):
            pass

    pixels, labels = part.pixels.contiguous(), part.labels
    augmentations, loss = bind(experiment.data.augmentations), plan.loss.bind("loss")

    def plain() -> None:
        model = copy.deepcopy(start).train()
        optimizer = plan.optimizer.call("optimizer", parameters=list(model.parameters()))
        random = torch.Generator().manual_seed(0)
        for index in torch.randperm(len(labels), generator=random).split(plan.batch_size):
            batch = augment(pixels[index].float() / 255, augmentations, random)
            outputs = model((batch - part.mean) / part.std)
            value = loss(outputs=outputs, targets=labels[index], inputs=None, clean=None)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()

    print(say(f"{name}, {settings.precision}, {settings.threads} threads", images, alternate(ours, plain, pairs)))


if __name__ == "__main__":
    arguments = [int(text) if text.isdigit() else text for text in itertools.islice(sys.argv, 1, None)]
    main(*arguments)
