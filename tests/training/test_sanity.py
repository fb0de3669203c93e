import pytest
import torch
from torch import nn

from classlab.experiment import Choice
from classlab.models import autoencoder, convnet, perceptron
from classlab.training.sanity import sanity

GREY = (1, 12, 12)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def answers(model, loss="cross_entropy", **options):
    torch.manual_seed(0)
    return {finding.question: finding for finding in sanity(model, GREY, 10, Choice(name=loss, **options))}


def test_a_sound_network_passes():
    found = answers(convnet.build(GREY, 10, filters=[6], kernel=3, pool_after=[1], widths=[20]))
    assert all(finding.passed for finding in found.values())
    assert "near ln(10) = 2.303" in found["first_loss"].sentence
    assert found["gradients"].sentence == "gradients reach all 6 parameter tensors"


def test_wild_initial_weights_are_noticed():
    model = perceptron.build(GREY, 10)
    nn.init.normal_(model.linear3.weight, std=10)
    found = answers(model)["first_loss"]
    assert not found.passed and "far from ln(10)" in found.sentence and found.measured > 5


class Cut(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(144, 20), nn.Linear(20, 10)

    def forward(self, images):
        return self.last(self.first(images.flatten(1)).detach().relu())


def test_a_cut_graph_is_noticed_by_its_parameter():
    found = answers(Cut())["gradients"]
    assert not found.passed and found.sentence == "no gradient reaches first.weight and 1 more"


class Blind(nn.Module):
    """It never looks at the image."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(10))

    def forward(self, images):
        return self.bias.expand(len(images), 10)


def test_a_network_that_cannot_learn_a_batch_is_noticed():
    found = answers(Blind())["overfit"]
    assert not found.passed and "not memorised in 400 steps" in found.sentence


def test_autoencoders_are_asked_to_draw_the_batch():
    found = answers(autoencoder.build(GREY, widths=[64, 16]), "reconstruction", denoise=False)
    assert set(found) == {"gradients", "overfit"} and all(finding.passed for finding in found.values())


def test_frozen_parameters_need_no_gradient_and_the_session_is_untouched():
    model = perceptron.build(GREY, 10)
    model.linear1.requires_grad_(False)
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    found = {finding.question: finding for finding in sanity(model, GREY, 10, Choice(name="cross_entropy"))}
    assert found["gradients"].passed and torch.equal(state, torch.random.get_rng_state())
