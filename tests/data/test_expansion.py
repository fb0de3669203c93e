"""An expansion holds every copy of every image, always the same one."""

import numpy as np
import pytest
import torch

from classlab.data.expansion import expansion
from classlab.experiment import Choice

FLIP = Choice(name="horizontal_flip", probability=1.0)
NOISE = Choice(name="uniform_noise", low=0.0, high=0.5, clip=False)
REPORT_4 = [[], [FLIP], [NOISE], [FLIP, NOISE]]


def pixels(count=50, channels=1):
    return torch.randint(
        0, 256, (count, channels, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_report_4_s_four_copies():
    images = pixels()
    whole = expansion(REPORT_4, seed=0).images(images, torch.arange(200))
    original, flipped, noisy, flipped_noisy = whole.split(50)
    assert torch.equal(original, images / 255)
    assert torch.equal(flipped, original.flip(3))
    for clean, with_noise in ((original, noisy), (flipped, flipped_noisy)):
        noise = with_noise - clean
        assert noise.min() > -1e-6
        assert noise.max() < 0.5 + 1e-6
        assert abs(noise.mean().item() - 0.25) < 0.002
        assert abs(noise.std().item() - 0.5 / 12**0.5) < 0.002
    correlation = np.corrcoef((noisy - original).ravel(), (flipped_noisy - flipped).ravel())[0, 1]
    assert abs(correlation) < 0.02


def test_labels_follow_their_images():
    labels = torch.randint(0, 10, (50,))
    expanded = expansion(REPORT_4, seed=0)
    assert torch.equal(expanded.labels(labels), torch.cat([labels] * 4))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_copy_is_the_same_in_every_order_and_company(channels):
    images = pixels(20, channels)
    copies = [
        [],
        [FLIP, NOISE],
        [Choice(name="rotate", degrees=20.0), Choice(name="erase"), Choice(name="gaussian_noise", std=0.1)],
    ]
    expanded = expansion(copies, seed=3)
    whole = expanded.images(images, torch.arange(60))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    pieces = torch.cat([expanded.images(images, part) for part in order.split(7)])
    assert torch.allclose(pieces, whole[order], atol=1e-6)
    assert torch.equal(expansion(copies, seed=3).images(images, order), expanded.images(images, order))
    assert not torch.equal(expansion(copies, seed=4).images(images, torch.arange(60)), whole)


def test_the_images_given_stay_as_they_are():
    images = pixels() / 255
    before = images.clone()
    expansion(REPORT_4, seed=0).images(images, torch.arange(200))
    assert torch.equal(images, before)


def test_no_copies_is_no_expansion():
    assert expansion([], seed=0) is None


def test_images_alone_are_those_beside_their_clean_ones():
    images, index = pixels(30), torch.randperm(120, generator=torch.Generator().manual_seed(1))[:50]
    copies = [[], [FLIP, NOISE], [NOISE, Choice(name="rotate", degrees=20.0)], [FLIP]]
    expanded = expansion(copies, seed=3)
    noisy, clean = expanded.both(images, index)
    assert torch.equal(expanded.images(images, index), noisy)
    assert torch.equal(noisy[index < 30], clean[index < 30]) and not torch.equal(noisy, clean)
