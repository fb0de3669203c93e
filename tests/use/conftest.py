"""One network for all tests of predict: MNIST learnt in seconds, well enough to tell good preparation from bad."""

import pytest

import classlab as cl
from classlab.experiment import load


@pytest.fixture(scope="session")
def mnist_run(tmp_path_factory):
    """A run of mnist-20k cut to 20,000 images and two epochs."""
    changes = ["data.max_per_class=2500", "data.val_size=3000", "training.epochs=2", "contract={}"]
    return cl.train(load("mnist-20k", changes), out=tmp_path_factory.mktemp("runs"), verbose=False)
