"""Runs to report on: small ones, made once, each with another ending."""

import json

import pytest

import classlab as cl

QUICK = {
    "name": "quick",
    "description": "A perceptron on small digits.",
    "data": {"dataset": "digits", "val_size": 200, "augmentations": [{"name": "rotate", "degrees": 10}]},
    "model": {"name": "perceptron", "widths": [32]},
    "training": {"epochs": 8, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
    "contract": {"max_parameters": 20000, "max_epochs": 20, "min_test_accuracy_percent": 80},
}


@pytest.fixture(scope="session")
def train(tmp_path_factory):
    """Return a function that trains QUICK with some sections changed, each change once a session."""
    out, made = tmp_path_factory.mktemp("runs"), {}

    def trained(model=None, **sections):
        key = json.dumps(sections, sort_keys=True) + repr(model)
        if key not in made:
            fields = json.loads(json.dumps(QUICK))
            for section, values in sections.items():
                fields[section] = {**fields[section], **values} if section in fields else values
            made[key] = cl.train(fields, model=model, out=out, verbose=False)
        return made[key]

    return trained


@pytest.fixture(scope="session")
def quick(train):
    """A run that learned and kept its contract."""
    return train()
