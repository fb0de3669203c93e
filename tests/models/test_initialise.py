import math

import pytest
import torch
from torch import nn

from classlab import lookup


def drawn(name, module, seed=0, **options):
    lookup.bind("initialisation", name, options)(module=module, generator=torch.Generator().manual_seed(seed))
    return module


# Layer, numbers that one output reads (fan in), outputs that one number reaches (fan out)
LAYERS = [
    (nn.Linear(300, 200), 300, 200),
    (nn.Conv2d(32, 64, 3), 32 * 9, 64 * 9),
    (nn.ConvTranspose2d(64, 32, 3), 64 * 9, 32 * 9),
]
VARIANCES = {
    "he_normal": lambda fan_in, fan_out: 2 / fan_in,
    "he_uniform": lambda fan_in, fan_out: 2 / fan_in,
    "xavier_normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "xavier_uniform": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
}


@pytest.mark.parametrize("name", VARIANCES)
@pytest.mark.parametrize(("layer", "fan_in", "fan_out"), LAYERS)
def test_variances_and_shapes_of_distributions(name, layer, fan_in, fan_out):
    weight = drawn(name, layer).weight.detach()
    variance = VARIANCES[name](fan_in, fan_out)
    assert weight.var().item() == pytest.approx(variance, rel=0.05) and abs(weight.mean()) < 0.05 * variance**0.5
    assert not layer.bias.any()
    fourth = float((weight**4).mean() / weight.var() ** 2)  # 3 for a normal, 1.8 for a uniform distribution
    assert fourth == pytest.approx(1.8 if "uniform" in name else 3, abs=0.15)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_orthogonal(shape):
    weight = drawn("orthogonal", nn.Linear(*shape), gain=2.0).weight.detach()
    small = min(shape)
    product = weight @ weight.T if weight.shape[0] == small else weight.T @ weight
    assert torch.allclose(product, 4 * torch.eye(small), atol=1e-4)


@pytest.mark.parametrize("name", [name for name in lookup.names("initialisation") if name not in {"default", "keep"}])
def test_the_generator_alone_decides_and_norms_are_reset(name):
    def made(seed, session):
        torch.manual_seed(session)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
        nn.init.constant_(model[1].weight, 7)
        return drawn(name, model, seed)

    first, again, other = made(1, 1), made(1, 2), made(2, 1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first[0].weight, other[0].weight)
    assert torch.equal(first[1].weight, torch.ones(4))


def test_gain_is_a_setting():
    wide = drawn("he_normal", nn.Linear(1000, 100), gain=1.0).weight.detach().std()
    assert float(wide) == pytest.approx(1 / math.sqrt(1000), rel=0.05)
