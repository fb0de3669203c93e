"""Where an answer came from: each method against captum or plain torch, and checks that broken methods do not pass."""

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import sobel
from scipy.stats import spearmanr
from torch import nn

import classlab as cl
from classlab import lookup
from classlab.errors import UserError
from classlab.models.make import make
from classlab.network import attribution, map_checks
from classlab.network.attribution import map_layer
from classlab.report.blocks import answer_maps
from classlab.report.material import Material
from classlab.report.spec import Part
from classlab.use.evidence import METHODS, NOTHING, Network, random_twin

SHAPE = (1, 8, 8)
GROUND = torch.full((1, 1, 1, 1), -0.5)
DIGITS = {
    "name": "digits-cnn",
    "data": {"dataset": "digits", "val_size": 200},
    "model": {"name": "block_network", "widths": [12, 16], "pool_after": [1]},
    "training": {"epochs": 5, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
}
FAMILIES = {
    "in place": ({"name": "squeeze", "width": 8}, SHAPE),
    "group norm, residual": (
        {"name": "block_network", "widths": [8, 8], "norm": "group", "residual": True, "pool_after": [1]}, SHAPE,
    ),
    "no norm": ({"name": "convnet", "filters": [4, 6], "kernel": 3, "padding": 1, "pool_after": []}, SHAPE),
    "factors": ({"name": "block_network", "widths": [8], "squeeze_excite": True, "pool_after": []}, SHAPE),
    "residual": ({"name": "resnet"}, (3, 16, 16)),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return cl.train(DIGITS, out=tmp_path_factory.mktemp("runs"), verbose=False)


@pytest.fixture(scope="module")
def perceptron(tmp_path_factory):
    model = {"name": "perceptron", "widths": [16]}
    return cl.train({**DIGITS, "model": model}, out=tmp_path_factory.mktemp("runs"), verbose=False)


def built(choice, shape, seed=0):
    fields = {
        "name": "n",
        "data": {"dataset": "digits"},
        "model": choice,
        "training": {**DIGITS["training"], "epochs": 1},
    }
    experiment = cl.Experiment(**fields)
    return make(experiment.model, experiment.training.initialise, shape, 10, seed).eval()


def some_images(shape, count=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape, generator=generator), torch.tensor([3, 7, 0][:count])


@pytest.mark.parametrize("family", FAMILIES)
def test_grad_cam_is_captums_at_the_chosen_layer(family):
    model = built(*FAMILIES[family])
    images, classes = some_images(FAMILIES[family][1])
    layer = map_layer(model, images[:1])
    ours = attribution.grad_cam(model, images, classes, layer)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for module in model.modules():  # captum's hooks and in-place activations do not go together
        if isinstance(module, nn.ReLU):
            module.inplace = False
    theirs = captum.attr.LayerGradCam(model, model.get_submodule(layer.path)).attribute(
        images, classes, relu_attributions=True
    )
    assert theirs.shape[2:] == (layer.height, layer.width)
    enlarged = F.interpolate(theirs, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(ours, enlarged, rtol=1e-4, atol=1e-6)
    assert ours.shape == (3, *images.shape[2:]) and (ours >= 0).all()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("family", ["in place", "group norm, residual"])
def test_integrated_gradients_are_captums_by_the_midpoint_rule(family):
    model = built(*FAMILIES[family])
    images, classes = some_images(FAMILIES[family][1])
    start = torch.full_like(images[:1, :, :1, :1], -0.5)
    ours, sums, wanted = attribution.integrated_gradients(model, images, classes, start, 32)
    theirs = captum.attr.IntegratedGradients(model).attribute(
        images, start.expand_as(images), classes, n_steps=32, method="riemann_middle"
    )
    torch.testing.assert_close(ours, theirs.sum(1), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(sums, ours.sum((1, 2)))
    there = torch.stack(
        [model(images).gather(1, classes[:, None]), model(start.expand_as(images)).gather(1, classes[:, None])]
    )
    torch.testing.assert_close(wanted, (there[0] - there[1])[:, 0].detach(), rtol=1e-4, atol=1e-5)


def test_integrated_gradients_of_a_linear_network_are_its_weights_times_the_pixels():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    images, classes = some_images(SHAPE)
    maps, sums, wanted = attribution.integrated_gradients(model, images, classes, GROUND)
    weights = model[1].weight[classes].view(3, 8, 8)
    torch.testing.assert_close(maps, (weights * (images[:, 0] + 0.5)).detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sums, wanted, rtol=1e-4, atol=1e-5)


def test_occlusion_is_the_mean_fall_over_the_patches_that_hide_a_pixel():
    model = built(*FAMILIES["no norm"])
    images, classes = some_images(SHAPE)
    found = attribution.occlusion(model, images, classes, GROUND)
    score = lambda given: model(given[None])[0, classes[0]].item()  # noqa: E731
    falls = np.zeros((8, 8)), np.zeros((8, 8))
    for top in range(7):  # a patch of 2, by 1
        for left in range(7):
            hidden = images[0].clone()
            hidden[:, top : top + 2, left : left + 2] = -0.5
            falls[0][top : top + 2, left : left + 2] += score(images[0]) - score(hidden)
            falls[1][top : top + 2, left : left + 2] += 1
    np.testing.assert_allclose(found[0].numpy(), falls[0] / falls[1], rtol=1e-4, atol=1e-5)
    assert attribution.window(28) == (7, 3) and attribution.window(32) == (8, 4) and attribution.window(1) == (1, 1)


class Written(nn.Module):
    """As students write: one activation for all layers, in place, functions between, a bare parameter."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3), nn.Conv2d(6, 10, 6)
        self.relu, self.scale = nn.ReLU(inplace=True), nn.Parameter(torch.arange(1.0, 5.0).view(1, 4, 1, 1))

    def forward(self, x):
        x = self.relu(self.first(x)) * self.scale
        x = F.relu_(self.second(x))
        return F.log_softmax(self.third(x * 2).flatten(1), dim=1)


def test_a_students_module_is_explained_at_the_last_maps_that_are_large_enough():
    model, (images, classes) = Written().eval(), some_images(SHAPE)
    layer = map_layer(model, images[:1])  # third gives 1 × 1, and the activation is met twice
    assert (layer.convolution, layer.path, layer.height) == ("second", "second", 6)
    maps = model.second(model.relu(model.first(images)) * model.scale).detach().requires_grad_()
    score = F.log_softmax(model.third(F.relu(maps) * 2).flatten(1), 1).gather(1, classes[:, None]).sum()
    weights = torch.autograd.grad(score, maps)[0].mean((2, 3), keepdim=True)
    by_hand = F.interpolate(F.relu((weights * maps).sum(1, keepdim=True)), (8, 8), mode="bilinear")[:, 0]
    torch.testing.assert_close(
        attribution.grad_cam(model, images, classes, layer), by_hand.detach(), rtol=1e-4, atol=1e-6
    )
    assert map_layer(model, images[:1], "first").height == 8
    twin, before = random_twin(model), torch.get_rng_state()
    assert not torch.equal(twin.first.weight, model.first.weight)
    assert sorted(twin.scale.flatten().tolist()) == [1, 2, 3, 4] and torch.equal(random_twin(model).scale, twin.scale)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [name for name in lookup.names("model") if "autoencoder" not in name])
def test_every_shipped_network_has_maps_or_a_sentence(name):
    if name == "encoder_classifier":
        return  # it needs a trained encoder, and is a convnet then
    model = built({"name": name}, (1, 28, 28))
    images, classes = some_images((1, 28, 28), 1)
    try:
        layer = map_layer(model, images)
    except UserError as error:
        assert name == "perceptron" and "this network has no convolution" in str(error)
    else:
        assert min(layer.height, layer.width) >= attribution.LEAST_SIDE
        assert torch.isfinite(attribution.grad_cam(model, images, classes, layer)).all()


def checked(run, maps_of, count=12):
    """What the checks say of a method, given as a function of a network, images and classes."""
    network = Network(run)
    asked = network.evidence(range(count), "occlusion")
    classes = torch.tensor([network.names.index(name) for name in asked.classes])
    maps = maps_of(network.model, asked.inputs, classes)
    random_maps = np.stack([maps_of(twin, asked.inputs, classes) for twin in network.random_models])
    order = map_checks.orders_of(maps, torch.Generator().manual_seed(0))
    deleted = map_checks.deletion(network.model, asked.inputs, classes, order, network.ground)
    at_random = map_checks.deletion_at_random(network.model, asked.inputs, classes, network.ground)
    return map_checks.check_maps(maps, random_maps, deleted, at_random)


@pytest.mark.parametrize("method", METHODS)
def test_both_checks_pass_on_a_trained_network(run, method):
    found = run.explain(range(24), method)
    assert found.check.passed, found.check.sentence()
    assert "they depend on what was learnt" in found.check.sentence()
    assert "the named pixels matter to the answer" in found.check.sentence()


def edges(model, images, classes):
    """An edge detector: it looks like an explanation, and knows nothing of the network (Adebayo et al. 2018)."""
    return np.stack([np.hypot(sobel(image[0], 0), sobel(image[0], 1)) for image in images.numpy()])


def constant(model, images, classes):
    return np.ones(images[:, 0].shape, dtype=np.float32)


def noise(model, images, classes):
    seed = int(1e6 * abs(next(model.parameters()).sum()))
    return np.random.default_rng(seed).random(images[:, 0].shape)


def turned(model, images, classes):
    """Occlusion with its sign turned: what speaks against the class comes first."""
    return -attribution.occlusion(model, images, classes, GROUND).numpy()


def test_both_checks_fail_on_broken_methods(run):
    of_edges = checked(run, edges)
    assert of_edges.correlation == pytest.approx(1) and not of_edges.depends and not of_edges.passed
    assert "they do not show what was learnt" in of_edges.sentence()
    of_constant = checked(run, constant)
    assert (of_constant.images, of_constant.empty, of_constant.passed) == (0, 12, False)
    assert "nothing to check" in of_constant.sentence()
    for broken in (noise, turned):
        found = checked(run, broken)
        assert found.depends and not found.finds and not found.passed
        assert "have not been shown to matter more than others" in found.sentence()


def by_windows(first, second):
    """SSIM window by window (Wang et al. 2004, equation 13)."""
    a, b = (np.pad(values / np.abs(values).max(), 3, mode="symmetric") for values in (first, second))
    found = []
    for top, left in np.ndindex(*first.shape):
        x, y = (values[top : top + 7, left : left + 7] for values in (a, b))
        both = ((x - x.mean()) * (y - y.mean())).mean()
        top_part = (2 * x.mean() * y.mean() + 0.02**2) * (2 * both + 0.06**2)
        found.append(top_part / ((x.mean() ** 2 + y.mean() ** 2 + 0.02**2) * (x.var() + y.var() + 0.06**2)))
    return np.mean(found)


def test_the_measures_of_the_checks_by_other_ways():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 8, 8)).round(1)  # with ties
    assert map_checks.rank_correlation(first, second) == pytest.approx(
        spearmanr(first.ravel(), second.ravel()).statistic
    )
    assert np.isnan(map_checks.rank_correlation(first, np.ones((8, 8))))
    assert map_checks.similarity(first, 3 * first) == pytest.approx(1)
    assert map_checks.similarity(first, second) == pytest.approx(by_windows(first, second))
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[100.0, 0, 0, 0], [0, 0, 0, 0]]))
    images, classes = torch.ones(1, 1, 2, 2), torch.tensor([0])
    ground = torch.zeros(1, 1, 1, 1)
    orders = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[3, 2, 1, 0]])
    # 4 pixels in 16 parts: the first goes at part 3 (round half to even), the last at part 15
    first, last = (map_checks.deletion(model, images, classes, order, ground)[0] for order in orders)
    assert first == pytest.approx((0.5 + 1 + 1 + 0.5 * 13 + 0.25) / 16) and last == pytest.approx(
        (0.5 + 13 + 0.5 + 0.75) / 16, abs=0.07
    )


def test_an_empty_map_says_so(perceptron):
    network = Network(perceptron)
    layers = [module for module in network.model.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        layers[-1].weight[4], layers[-1].bias[4] = 0, 0
    for method in ("occlusion", "integrated_gradients"):
        found = network.evidence([0, 1], method, "4")
        assert found.empty.all() and found.lines(0) == ("for 4", NOTHING)
        assert f"2 of 2 show {NOTHING}" in found.sentence() and "nothing to check" in found.check.sentence()
        assert (found.pictures()[:, 0] == found.pictures()[:, 1]).all()  # grey: no colour speaks for anything


def test_what_python_is_given(run):
    found = run.explain(5, "integrated_gradients", classes="true")
    assert found.maps.shape == (1, 8, 8) and found.maps.dtype == np.float32 and found.images.shape == (1, 1, 8, 8)
    image = run.dataset().test_images[5]
    again = run.explain(image, "integrated_gradients", classes=found.classes[0])
    np.testing.assert_allclose(again.maps, found.maps, atol=1e-5)
    assert again.true == ("",) and again.indices.tolist() == [-1] and found.true == found.classes
    np.testing.assert_allclose(run.explain(torch.tensor(image / 255.0)[None], "occlusion").maps.shape, (1, 8, 8))
    worst = run.explain()
    assert worst.indices.tolist() == run.mistakes(12)["index"].tolist() and worst.layer.height >= 4
    assert all(answer != truth for answer, truth in zip(worst.predicted, worst.true, strict=True))
    assert "<svg" in worst._repr_html_() and "straight lines" in worst.sentence()
    assert worst.pictures().shape == (len(worst.maps), 3, 8, 8) and worst.pictures().dtype == np.uint8


def test_bad_input_is_one_sentence(run, perceptron):
    for given, sentence in [
        (
            ([0], "gradcam"),
            "method must be grad_cam, occlusion, integrated_gradients; got 'gradcam'; did you mean grad_cam?",
        ),
        (([0, 9999],), "of the test images 0 to 359; got"),
        (([],), "1 to 1,000 images are explained at once; got 0"),
    ]:
        with pytest.raises(UserError, match=r".") as raised:
            run.explain(*given)
        assert sentence in str(raised.value)
    with pytest.raises(UserError, match="layer must be a convolution of this network; got conv9"):
        run.explain([0], layer="conv9")
    with pytest.raises(UserError, match="layer is of grad_cam alone"):
        run.explain([0], "occlusion", layer="block1.conv1")
    with pytest.raises(UserError, match="classes must be predicted, true or a class of the run; got ten"):
        run.explain([0], classes="ten")
    with pytest.raises(UserError, match="the true class of images of your own is not known"):
        run.explain(np.zeros((1, 8, 8), dtype=np.uint8), classes="true")
    with pytest.raises(
        UserError, match="this network has no convolution; occlusion and integrated_gradients need none"
    ):
        perceptron.explain([0])
    assert Network(perceptron).methods() == ["occlusion", "integrated_gradients"]


def test_a_network_that_reconstructs_is_refused_in_a_sentence(tmp_path):
    fields = {
        **DIGITS,
        "model": "autoencoder",
        "training": {**DIGITS["training"], "epochs": 1, "loss": "reconstruction"},
    }
    made = cl.train(fields, out=tmp_path, verbose=False)
    with pytest.raises(
        UserError, match="reconstructs images and names no class, so there is no class to find evidence"
    ):
        made.explain([0])


def test_the_sheet_shows_the_maps_below_each_answer(run, tmp_path):
    answers = run.predict(run.dataset().test_images[:2])
    sheet = np.asarray(Image.open(answers.explain(tmp_path / "sheet.png")).convert("RGB")).astype(int)
    assert sheet.shape[1] > 600 and sheet.shape[0] > 800
    assert (sheet[..., 0] - sheet[..., 2] > 80).any()  # amber, which nothing else here is


def test_the_report_shows_the_maps_of_the_surest_mistakes(perceptron):
    text = str(answer_maps.blocks(Material(Part(title="p"), {"n": [perceptron]})))
    assert "Grad-CAM weighs the maps of a convolution" in text and "Rank correlation" in text
    assert f"Test image {perceptron.mistakes(1)['index'][0]}: predicted" in text
