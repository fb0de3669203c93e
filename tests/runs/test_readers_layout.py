"""A reader's network that makes rows of its maps by `view`, which refuses images that lie channels last."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import classlab as cl


class Classic(nn.Module):
    """As most first courses write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 3)
        self.conv2 = nn.Conv2d(10, 20, 2)
        self.drop = nn.Dropout2d()
        self.fc = nn.Linear(80, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2, stride=1))
        x = F.relu(F.max_pool2d(self.drop(self.conv2(x)), 2))
        return F.log_softmax(self.fc(x.view(-1, 80)), dim=1)


@pytest.mark.parametrize("batch", [16, 128])
def test_it_trains_evaluates_and_predicts(batch, tmp_path):
    experiment = cl.load_experiment("digits-quick")
    training = experiment.training.model_copy(update={"batch_size": batch, "epochs": 2})
    training = type(training).model_validate({**training.model_dump(), "loss": "nll"})
    run = cl.train(experiment.model_copy(update={"training": training}), model=Classic(), seed=0, out=tmp_path)
    assert not run.environment["settings"]["channels_last"]
    assert run.summary["test_accuracy"] > 0.2
    assert torch.equal(
        run.model()(run.normalised(run.dataset().test_images[:5])).argmax(1),
        torch.from_numpy(run.logits()[:5].argmax(1)),
    )
