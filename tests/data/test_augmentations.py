"""Every augmentation against Pillow or SciPy on single images, and by the properties that all of them share."""

import colorsys
import inspect
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage, stats

from classlab import lookup
from classlab.data import augmentations
from classlab.data.affine import AffineMaps, resample
from classlab.data.augment import augment, bind
from classlab.data.draws import ImageKeys
from classlab.errors import UserError
from classlab.experiment import Choice

# name -> options at work, options of strength zero
OPTIONS = {
    "rotate": ({"degrees": 15.0}, {"degrees": 0.0}),
    "shift": ({"pixels": 2.0}, {"pixels": 0.0}),
    "zoom": ({"percent": 10.0}, {"percent": 0.0}),
    "stretch": ({"percent": 20.0}, {"percent": 0.0}),
    "shear": ({"degrees": 15.0}, {"degrees": 0.0}),
    "horizontal_flip": ({}, {"probability": 0.0}),
    "vertical_flip": ({}, {"probability": 0.0}),
    "crop": ({"size": 24}, {"size": 28}),
    "center_crop": ({"size": 22, "probability": 0.5}, {"size": 22, "probability": 0.0}),
    "pad_and_crop": ({"pixels": 4}, {"pixels": 0}),
    "random_resized_crop": ({}, {"min_area": 1.0, "max_area": 1.0, "min_ratio": 1.0, "max_ratio": 1.0}),
    "erase": ({}, {"probability": 0.0}),
    "gaussian_noise": ({"std": 0.1}, {"std": 0.0}),
    "uniform_noise": ({"high": 0.2}, {"high": 0.0}),
    "brightness": ({"percent": 20.0}, {"percent": 0.0}),
    "contrast": ({"percent": 20.0}, {"percent": 0.0}),
    "cutout": ({"size": 8, "holes": 2}, {"size": 8, "holes": 0}),
    "saturation": ({"percent": 20.0}, {"percent": 0.0}),
    "hue": ({"degrees": 20.0}, {"degrees": 0.0}),
    "greyscale": ({"probability": 0.5}, {"probability": 0.0}),
}
COLOURS = {"saturation", "hue", "greyscale"}  # of images with three channels
NAMES = sorted(OPTIONS)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def random(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def pictures(count=64, channels=1, size=28, seed=0):
    """Smooth pictures, so that interpolation has something to do, with content up to the edges."""
    noise = np.random.default_rng(seed).random((count, channels, size, size))
    smooth = ndimage.gaussian_filter(noise, (0, 0, 1.5, 1.5))
    low, high = smooth.min(), smooth.max()
    return torch.tensor((smooth - low) / (high - low), dtype=torch.float32)


def bound(name, **options):
    return bind([Choice(name=name, **(options or OPTIONS[name][0]))])


def call(name, images, seed=0, **options):
    return getattr(augmentations, name)(images, random(seed), **(options or OPTIONS[name][0]))


def seen_by_pillow(image, matrix, nudge):
    """One channel of one image through one map, the nearest pixel, by Pillow, which counts from the corner."""
    height, width = image.shape
    (a, b, c), (d, e, f) = matrix.tolist()
    x, y = width / 2, height / 2
    data = (a, b, c + nudge[0] + x - a * x - b * y, d, e, f + nudge[1] + y - d * x - e * y)
    picture = Image.fromarray(image.numpy(), mode="F")
    return np.asarray(picture.transform((width, height), Image.Transform.AFFINE, data, Image.Resampling.NEAREST))


def seen_by_scipy(image, matrix, around):
    """The same by SciPy, whose axes are rows first and whose places are counted from the first pixel's centre."""
    middle = (np.array(image.shape) - 1) / 2
    whole = matrix.numpy().astype(float)
    linear, shift = whole[::-1, 1::-1], whole[::-1, 2]
    return ndimage.affine_transform(image.numpy(), linear, middle + shift - linear @ middle, order=1, mode=around)


def test_every_augmentation_is_tested_here():
    assert set(NAMES) == set(lookup.names("augmentation"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_shape_type_range_and_device_are_kept_and_the_input_is_untouched(name, channels, device):
    channels = 3 if name in COLOURS else channels
    images = pictures(32, channels).to(device)
    before = images.clone()
    changed = augment(images, bound(name), random(device=device))
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.device == images.device
    assert torch.equal(images, before)
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
    assert not torch.equal(changed, images)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_batch_and_another_seed_another(name):
    images = pictures(32, 3 if name in COLOURS else 1)
    first, again, other = (augment(images, bound(name), random(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", NAMES)
def test_the_session_s_own_random_state_plays_no_part(name):
    images = pictures(8, 3 if name in COLOURS else 1)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = augment(images, bound(name), random())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(augment(images, bound(name), random()), first)


@pytest.mark.parametrize("name", NAMES)
def test_strength_zero_does_nothing_and_draws_nothing(name):
    generator = random()
    before = generator.get_state()
    images = pictures(4)
    assert getattr(augmentations, name)(images, generator, **OPTIONS[name][1]) is None
    assert torch.equal(generator.get_state(), before)
    assert augment(images, bound(name, **OPTIONS[name][1]), generator) is images


@pytest.mark.parametrize("name", NAMES)
def test_with_image_keys_an_image_is_changed_in_the_same_way_in_any_company(name):
    images = pictures(16, 3 if name in COLOURS else 1)
    which = torch.arange(100, 116)
    together = augment(images, bound(name), ImageKeys(7, which))
    backwards = augment(images.flip(0), bound(name), ImageKeys(7, which.flip(0)))
    alone = augment(images[5:6], bound(name), ImageKeys(7, which[5:6]))
    assert torch.equal(together, backwards.flip(0))
    assert torch.equal(together[5:6], alone)
    assert not torch.equal(together, augment(images, bound(name), ImageKeys(8, which)))


GEOMETRIC = [name for name in NAMES if "AffineMaps" in str(inspect.signature(lookup.find("augmentation", name)))]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_ones_match_scipy(name):
    images = pictures(24)
    maps = call(name, images)
    assert isinstance(maps, AffineMaps)
    ours = resample(images, maps)
    for image, seen, matrix in zip(images[:, 0], ours[:, 0], maps.matrices, strict=True):
        theirs = seen_by_scipy(image, matrix, "nearest" if maps.inside else "grid-constant")
        assert np.abs(seen.numpy() - theirs).max() < 1e-4


@pytest.mark.parametrize("name", ["rotate", "crop", "center_crop", "random_resized_crop"])
def test_the_nearest_pixel_is_pillow_s(name):
    images = pictures(24)
    maps = call(name, images, **OPTIONS[name][0], interpolation="nearest")
    ours = resample(images, maps)[:, 0].numpy()
    for image, seen, matrix in zip(images[:, 0], ours, maps.matrices, strict=True):
        # A point half way between two pixels has two nearest ones, hence the nudges.
        nudges = [(x, y) for x in (-1e-3, 1e-3) for y in (-1e-3, 1e-3)]
        theirs = np.stack([seen_by_pillow(image, matrix, nudge) for nudge in nudges])
        assert np.abs(theirs - seen).min(axis=0).max() < 1e-6


def test_rotate_turns_as_pillow_does_and_within_its_limit():
    images = pictures(48)
    maps = call("rotate", images, degrees=30.0)
    ours, angles = resample(images, maps), []
    rows, columns = np.mgrid[:28, :28] - 13.5
    disc = rows**2 + columns**2 < 13**2  # what no corner is turned into
    for image, seen, matrix in zip(images[:, 0], ours[:, 0], maps.matrices, strict=True):
        angles.append(math.degrees(math.atan2(matrix[0, 1], matrix[0, 0])))
        picture = Image.fromarray(image.numpy(), mode="F").rotate(-angles[-1], Image.Resampling.BILINEAR)
        assert np.abs(seen.numpy() - np.asarray(picture))[disc].max() < 1e-4
    assert max(map(abs, angles)) <= 30
    assert stats.kstest(angles, stats.uniform(-30, 60).cdf).pvalue > 1e-3


def test_shift_matches_scipy():
    images = pictures(16)
    maps = call("shift", images, pixels=3.0)
    ours = resample(images, maps)
    for index in range(len(images)):
        across, down = maps.matrices[index, :, 2].tolist()
        theirs = ndimage.shift(images[index, 0].numpy(), (-down, -across), order=1, mode="nearest")
        assert np.abs(ours[index, 0].numpy() - theirs)[4:-4, 4:-4].max() < 1e-4
        assert abs(across) <= 3
        assert abs(down) <= 3


def test_zoom_matches_scipy():
    images = pictures(16)
    maps = call("zoom", images, percent=20.0)
    ours = resample(images, maps)
    for index in range(len(images)):
        inverse = maps.matrices[index, 0, 0].item()
        assert 0.8 <= 1 / inverse <= 1.2
        offset = 13.5 * (1 - inverse)
        theirs = ndimage.affine_transform(images[index, 0].numpy(), [inverse, inverse], (offset, offset), order=1)
        assert np.abs(ours[index, 0].numpy() - theirs)[4:-4, 4:-4].max() < 1e-4


def test_stretch_takes_a_factor_for_each_axis_as_scipy_does():
    images = pictures(32)
    maps = call("stretch", images, percent=20.0)
    ours = resample(images, maps)
    for index in range(len(images)):
        across, down = (maps.matrices[index, axis, axis].item() for axis in range(2))
        assert 0.8 <= 1 / across <= 1.2 and 0.8 <= 1 / down <= 1.2 and across != down
        offset = (13.5 * (1 - down), 13.5 * (1 - across))
        theirs = ndimage.affine_transform(images[index, 0].numpy(), [down, across], offset, order=1)
        assert np.abs(ours[index, 0].numpy() - theirs)[4:-4, 4:-4].max() < 1e-4


def test_shear_slants_upright_lines_by_its_angle_as_pillow_does():
    images = pictures(64)
    maps = call("shear", images, degrees=20.0)
    ours, angles = resample(images, maps), []
    for image, seen, matrix in zip(images[:, 0], ours[:, 0], maps.matrices, strict=True):
        slope = matrix[0, 1].item()
        angles.append(math.degrees(math.atan(slope)))
        picture = Image.fromarray(image.numpy(), mode="F").transform(
            (28, 28), Image.Transform.AFFINE, (1, slope, -14 * slope, 0, 1, 0), Image.Resampling.BILINEAR
        )
        assert np.abs(seen.numpy() - np.asarray(picture))[6:-6, 6:-6].max() < 1e-4
    assert stats.kstest(angles, stats.uniform(-20, 40).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "reference"), [("horizontal_flip", ImageOps.mirror), ("vertical_flip", ImageOps.flip)]
)
def test_flips_are_exact_and_as_frequent_as_asked(name, reference):
    images = pictures(400)
    ours = augment(images, bound(name, probability=0.25), random())
    flipped = 0
    for image, changed in zip(images[:, 0], ours[:, 0], strict=True):
        theirs = np.asarray(reference(Image.fromarray(image.numpy(), mode="F")))
        assert torch.equal(image, changed) or np.array_equal(changed.numpy(), theirs)
        flipped += not torch.equal(image, changed)
    assert stats.binomtest(flipped, 400, 0.25).pvalue > 1e-3


def test_pad_and_crop_is_exact_and_meets_every_place():
    images = pictures(400, channels=3, size=12)
    maps = call("pad_and_crop", images, pixels=2)
    ours, places = resample(images, maps), set()
    for index, image in enumerate(images.numpy()):
        left, top = (2 + maps.matrices[index, :, 2]).int().tolist()
        padded = np.pad(image, ((0, 0), (2, 2), (2, 2)))
        assert np.array_equal(ours[index].numpy(), padded[:, top : top + 12, left : left + 12])
        places.add((left, top))
    assert places == {(left, top) for left in range(5) for top in range(5)}


def window(matrix, size):
    """Left, top, width and height of the window that a map shows, in pixels."""
    width, height = matrix[0, 0].item() * size, matrix[1, 1].item() * size
    left = matrix[0, 2].item() + (size - width) / 2
    top = matrix[1, 2].item() + (size - height) / 2
    return left, top, width, height


@pytest.mark.parametrize("name", ["crop", "center_crop", "random_resized_crop"])
def test_crops_match_pillow_s_resize_of_the_same_window(name):
    images = pictures(48)
    maps = call(name, images)
    ours = resample(images, maps)
    for index in range(len(images)):
        left, top, width, height = window(maps.matrices[index], 28)
        box = (left, top, left + width, top + height)
        box = tuple(min(28.0, max(0.0, round(edge, 3))) for edge in box)
        picture = Image.fromarray(images[index, 0].numpy(), mode="F")
        theirs = np.asarray(picture.resize((28, 28), Image.Resampling.BILINEAR, box=box))
        assert np.abs(ours[index, 0].numpy() - theirs).max() < 1e-3


def test_crop_meets_every_place_and_center_crop_is_as_frequent_as_asked():
    images = pictures(600)
    places = {window(matrix, 28)[:2] for matrix in call("crop", images, size=25).matrices}
    assert {(round(left, 3), round(top, 3)) for left, top in places} == {(x, y) for x in range(4) for y in range(4)}
    cut = (call("center_crop", images, size=22, probability=0.1).matrices[:, 0, 0] < 1).sum().item()
    assert stats.binomtest(cut, 600, 0.1).pvalue > 1e-3


def test_random_resized_crop_keeps_its_limits():
    windows = [window(matrix, 32) for matrix in call("random_resized_crop", pictures(500, size=32)).matrices]
    for left, top, width, height in windows:
        assert left > -1e-3
        assert top > -1e-3
        assert left + width < 32 + 1e-3
        assert top + height < 32 + 1e-3
        assert 0.07 <= width * height / 1024 <= 1.001
        assert 0.65 <= width / height <= 1.5
    assert np.std([width * height for _, _, width, height in windows]) > 100
    wide = call("random_resized_crop", pictures(8, size=32), min_ratio=4.0, max_ratio=4.0, min_area=0.9)
    assert all(round(width / height) == 4 for *_, width, height in (window(matrix, 32) for matrix in wide.matrices))


def test_erase_zeroes_one_window_of_the_area_and_the_ratio_asked_for():
    images = torch.ones(500, 3, 32, 32)
    erased = call("erase", images, probability=0.5)
    hit = 0
    for image in erased:
        holes = image[0] == 0
        assert torch.equal(image, image[:1].expand(3, -1, -1))
        if holes.any():
            rows, columns = holes.any(1).sum().item(), holes.any(0).sum().item()
            assert holes.sum() == rows * columns
            assert 0.015 <= rows * columns / 1024 <= 0.35
            assert 0.25 <= columns / rows <= 4
            hit += 1
    assert stats.binomtest(hit, 500, 0.5).pvalue > 1e-3


@pytest.mark.parametrize(
    ("name", "options", "law"),
    [
        ("gaussian_noise", {"std": 0.3, "clip": False}, stats.norm(0, 0.3)),
        ("uniform_noise", {"low": -0.2, "high": 0.5, "clip": False}, stats.uniform(-0.2, 0.7)),
    ],
)
@pytest.mark.parametrize("keyed", [False, True])
def test_noise_follows_its_law(name, options, law, keyed):
    images = pictures(64)
    generator = ImageKeys(1, torch.arange(64)) if keyed else random()
    noise = (augment(images, bound(name, **options), generator) - images).numpy()
    assert stats.kstest(noise.ravel(), law.cdf).pvalue > 1e-3
    next_to_it = np.corrcoef(noise[:, 0, :, 1:].ravel(), noise[:, 0, :, :-1].ravel())[0, 1]
    another_image = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]
    assert abs(next_to_it) < 0.02
    assert abs(another_image) < 0.02


def test_clipped_noise_is_the_noise_clipped():
    images = pictures(8)
    free = augment(images, bound("gaussian_noise", std=0.5, clip=False), random())
    assert free.max() > 1
    assert torch.equal(augment(images, bound("gaussian_noise", std=0.5), random()), free.clamp(0, 1))


@pytest.mark.parametrize(
    ("name", "enhancer"), [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_and_contrast_match_pillow(name, enhancer, channels):
    eighths = (pictures(24, channels) * 255).round()
    ours = call(name, eighths / 255, percent=40.0) * 255
    factors = 1 + 0.4 * (2 * torch.rand(24, generator=random()) - 1)  # the one draw an image that the function makes
    for index in range(24):
        array = eighths[index].byte().permute(1, 2, 0).numpy()
        picture = Image.fromarray(array if channels == 3 else array[:, :, 0])
        theirs = np.asarray(enhancer(picture).enhance(factors[index].item())).astype(float)
        difference = ours[index].permute(1, 2, 0).numpy() - theirs.reshape(28, 28, channels)
        assert np.abs(difference).max() < 1.6  # Pillow rounds the mean and cuts the result to whole numbers


def test_geometric_neighbours_become_one_resampling_equal_to_scipy_s():
    images = pictures(12, seed=1)
    names = ("horizontal_flip", "rotate", "shift", "zoom", "pad_and_crop")
    generator = random(5)
    one_by_one = [getattr(augmentations, name)(images, generator, **OPTIONS[name][0]) for name in names]
    together = augment(images, bind([Choice(name=name, **OPTIONS[name][0]) for name in names]), random(5))
    for index in range(len(images)):
        whole = np.eye(3)
        for maps in one_by_one:
            whole = whole @ np.vstack([maps.matrices[index].numpy(), [0, 0, 1]])
        linear = whole[:2, :2][::-1, ::-1]  # SciPy's axes are rows first
        centre = np.array([13.5, 13.5])
        offset = centre + whole[:2, 2][::-1] - linear @ centre
        theirs = ndimage.affine_transform(images[index, 0].numpy(), linear, offset, order=1, mode="nearest")
        inside = ndimage.affine_transform(np.ones((28, 28)), linear, offset, order=0, mode="constant") > 0
        inside = ndimage.binary_erosion(inside, iterations=2)
        assert np.abs(together[index, 0].numpy() - theirs)[inside].max() < 1e-3


def test_different_interpolations_are_not_mixed():
    images = pictures(8)
    chain = [Choice(name="rotate", degrees=10.0, interpolation="nearest"), Choice(name="crop", size=24)]
    generator = random(2)
    first = resample(images, augmentations.rotate(images, generator, degrees=10.0, interpolation="nearest"))
    second = resample(first, augmentations.crop(first, generator, size=24))
    assert torch.equal(augment(images, bind(chain), random(2)), second)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("crop", {"size": 40}, r"crop: size must not exceed the image's 28 × 28 pixels, got 40"),
        ("center_crop", {"size": 29}, r"center_crop: size must not exceed the image's 28 × 28 pixels, got 29"),
        ("uniform_noise", {"low": 1.0, "high": 0.5}, r"uniform_noise: high must not be less than low"),
        ("erase", {"min_area": 0.9}, r"erase: min_area and min_ratio must not exceed max_area and max_ratio"),
    ],
)
def test_impossible_options_are_told_in_one_sentence(name, options, sentence):
    with pytest.raises(UserError, match=sentence):
        call(name, pictures(2), **options)


def test_cutout_fills_squares_with_the_image_s_own_mean_or_a_number():
    images = pictures(200, 3, 12)
    for fill in ("mean", 0.5):
        changed = augmentations.cutout(images, random(), size=4, fill=fill)
        hit = (changed != images).all(1)
        assert hit.any((1, 2)).all()
        for image, seen, mask in zip(images, changed, hit, strict=True):
            (rows, columns), filling = np.nonzero(mask.numpy()), image.mean((1, 2)) if fill == "mean" else fill
            inside = image.clone()
            inside[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = (
                filling[:, None, None] if fill == "mean" else fill
            )
            assert torch.allclose(seen, inside)
            for places in (rows, columns):
                side = places.max() - places.min() + 1
                assert side == 4 or (side < 4 and (places.min() == 0 or places.max() == 11))
    assert torch.equal(augmentations.cutout(images, random(), size=12, probability=1e-9), images)
    two = augmentations.cutout(images, random(), size=2, holes=2, fill=0.0)
    assert 4 < (two == 0).all(1).sum((1, 2)).max() <= 8


def test_saturation_and_greyscale_equal_pillow():
    images = pictures(20, 3)
    changed = augmentations.saturation(images, random(1), percent=50)
    factors = torch.rand(20, generator=random(1)) + 0.5
    grey = augmentations.greyscale(images, random(), probability=1.0)
    for image, seen, factor, light in zip(images, changed, factors, grey, strict=True):
        picture = Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())
        theirs = np.asarray(ImageEnhance.Color(picture).enhance(factor.item())).transpose(2, 0, 1) / 255
        assert np.abs(seen.numpy() - theirs).max() < 2.5 / 255
        assert np.abs(light.numpy() - np.asarray(ImageOps.grayscale(picture)) / 255).max() < 1.5 / 255


def test_hue_equals_the_standard_library_s_conversion():
    images = torch.rand(6, 3, 3, 3, generator=random(2))
    images[0, :, 0, 0] = torch.tensor([0.4, 0.4, 0.4])  # a grey has no hue
    turns = (torch.rand(6, generator=random(3)) * 360 - 180) / 360
    changed = augmentations.hue(images, random(3), degrees=180)
    for image, seen, turn in zip(images, changed, turns.tolist(), strict=True):
        for row in range(3):
            for column in range(3):
                angle, share, value = colorsys.rgb_to_hsv(*image[:, row, column].tolist())
                wanted = colorsys.hsv_to_rgb((angle + turn) % 1, share, value)
                assert seen[:, row, column].tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", sorted(COLOURS))
def test_images_without_colours_are_refused_where_colours_are_changed(name):
    with pytest.raises(UserError, match=f"{name} needs images of 3 channels, red, green and blue; got 1"):
        call(name, pictures(2))
