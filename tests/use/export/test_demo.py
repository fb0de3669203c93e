"""The demo: its script computes what PyTorch computes, and its page is used in a real browser with the network off."""

import base64
import io
import json
import sys
import time

import numpy as np
import pytest
import strokes
import torch
from PIL import Image
from torch import nn

import classlab as cl
from classlab import lookup
from classlab.errors import UserError
from classlab.experiment import load
from classlab.runs.finished import load as finished
from classlab.use.export import demo, javascript
from classlab.use.export.carried import carried
from classlab.use.export.network_steps import steps_of
from classlab.use.export.proof import Differs, prove
from classlab.use.predict import predict

SHAPES = {"mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28), "cifar10": (3, 32, 32), "digits": (1, 8, 8)}


class InPlace(nn.Module):
    """An in-place operation on a tensor that is read again later."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.linear = nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Linear(4 * 36, 10)

    def forward(self, x):
        x = self.conv(x)
        kept = self.relu(x)
        x += 1  # the very tensor that `kept` names
        return torch.log_softmax(self.linear((kept * 2 - x).view(len(x), -1)), 1)


class Gated(nn.Module):
    """Branches that meet, and a parameter for each map."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 3, 5, padding=2, stride=2), nn.Conv2d(1, 2, 1, stride=2)
        self.gate, self.linear = nn.Parameter(torch.rand(5, 1, 1)), nn.Linear(5, 10)

    def forward(self, x):
        both = torch.cat([self.wide(x), self.narrow(x)], 1) * self.gate
        return self.linear(nn.functional.adaptive_max_pool2d(both, 1).flatten(1))


def depthwise():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, dilation=2, padding=2), nn.GELU(), nn.Conv2d(4, 4, 3, groups=4, stride=2, bias=False),
        nn.BatchNorm2d(4), nn.SiLU(), nn.AvgPool2d(2, ceil_mode=True, padding=1), nn.Flatten(), nn.LazyLinear(10),
    )  # fmt: skip


def group_norm():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ELU(), nn.BatchNorm2d(4), nn.MaxPool2d(3, 2, 1), nn.PReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10, bias=False), nn.BatchNorm1d(10), nn.Softmax(1),
    )  # fmt: skip


def computed(network, images, every=False):
    """What forward.js computes for images with the network's steps, and the steps."""

    class Given:
        shape, mean, std = images.shape[1:], (0.0,) * images.shape[1], (1.0,) * images.shape[1]

        def __init__(self):
            self.network, self.images = network, images

        def normalised(self, values):
            return torch.from_numpy(values)

    document = demo.network_json(Given())
    script = (demo.HERE / "forward.js").read_text(encoding="utf-8")
    return np.concatenate([*javascript.outputs(script, json.dumps(document), images, every)]), document["steps"]


def used(network, shape):
    """The network after some batches, so that its norms have statistics, and images for it."""
    torch.manual_seed(0)
    network(torch.rand(2, *shape))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return network.eval(), torch.rand(2, *shape).numpy()


def shipped():
    """Each network of a shipped experiment once, but the one that takes a second an image's hundred."""
    found = {}
    for name in lookup.names("experiment"):
        experiment = load(name)
        if name != "fashion-cnn":
            found.setdefault(str(experiment.model), (experiment.model, SHAPES[experiment.data.dataset.name]))
    return found


@pytest.mark.parametrize("name", shipped())
def test_the_script_computes_every_shipped_network(name):
    choice, shape = shipped()[name]
    options = {"input_shape": shape} if choice.name == "autoencoder" else {"input_shape": shape, "classes": 10}
    network, images = used(choice.call("model", **options), shape)
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    found, steps = computed(network, images)
    assert found.reshape(expected.shape) == pytest.approx(expected, abs=1e-5)
    assert not {"norm"} & {step["kind"] for step in steps if "eva7" not in name}  # all folded, but those behind a ReLU


@pytest.mark.parametrize("build", [InPlace, Gated, depthwise, group_norm])
def test_the_script_computes_a_readers_modules(build):
    network, images = used(build(), (1, 8, 8))
    with torch.no_grad():
        expected = network(torch.from_numpy(images)).numpy()
    assert computed(network, images)[0].reshape(expected.shape) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("network", "operation"),
    [
        (nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 10)), "convolution of 0"),
        (nn.Sequential(nn.Upsample(scale_factor=2), nn.Flatten(), nn.Linear(256, 10)), "upsample_nearest2d of 0"),
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (2, 64)), nn.Linear(64, 10)), "view of 0"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2), nn.Flatten(), nn.Linear(72, 10)), "of 1"),
    ],
)
def test_what_a_page_cannot_compute_is_named(network, operation):
    with pytest.raises(UserError, match=f"the demo cannot compute .*{operation}; it knows convolutions, linear layers"):
        steps_of(network.eval(), torch.zeros(2, 1, 8, 8))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    home = tmp_path_factory.mktemp("demo")
    run = cl.train(load("digits-quick", ["training.epochs=2", "contract={}"]), out=home / "runs", verbose=False)
    given = carried(finished(run.path))
    return demo.write(given, home), given


def test_the_file_answers_as_the_network_does_and_each_layer_too(exported):
    file, given = exported
    assert demo.answers(file, given, given.images) == pytest.approx(given.expected, abs=1e-4)
    met = {}
    for name, module in given.network.named_modules():
        module.register_forward_hook(lambda _, inputs, output, name=name: met.update({name: output.detach().clone()}))
    with torch.no_grad():
        given.network(given.normalised(given.images[:3]))
    found = demo.layers(file, given, given.images[:3])
    assert len(found) == 17 and [name for name, _ in found[:2]] == ["the normalisation", "norm1"]
    for name, output in found[1:]:
        assert output == pytest.approx(met[name].numpy(), abs=1e-4), name


def test_the_file_is_small_and_carries_what_is_promised(exported):
    file, given = exported
    assert file.stat().st_size <= 150_000 + 5.5 * given.run.summary["parameters"]
    text = file.read_text(encoding="utf-8")
    assert given.weights_digest in text and "http://" not in text and "https://" not in text
    images = json.loads(demo._part(file, "images"))["images"]
    wrong = [image["predicted"] != image["label"] for image in images]
    assert wrong == sorted(wrong, reverse=True) and 0 < sum(wrong) <= 60


def test_both_engines_give_the_same_numbers(exported, monkeypatch):
    pytest.importorskip("py_mini_racer")
    file, given = exported
    by_node = demo.answers(file, given, given.images[:20])
    monkeypatch.setattr(javascript.shutil, "which", lambda name: None)
    assert (demo.answers(file, given, given.images[:20]) == by_node).all()


def test_without_an_engine_a_sentence_says_what_to_install(exported, monkeypatch):
    file, given = exported
    monkeypatch.setattr(javascript.shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "py_mini_racer", None)
    with pytest.raises(UserError, match=r"install Node, or pip install 'classlab\[export\]'"):
        demo.answers(file, given, given.images[:1])


def test_another_file_is_no_demo(exported, tmp_path):
    (tmp_path / "page.html").write_text("<p>hello</p>")
    with pytest.raises(UserError, match="is not a demo: it has no script network"):
        demo.answers(tmp_path / "page.html", exported[1], exported[1].images[:1])
    file, given = exported
    text = file.read_text(encoding="utf-8").replace("sums.fill(", "sums.fell(")
    (tmp_path / "broken.html").write_text(text, encoding="utf-8")
    with pytest.raises(Differs, match=r"its engine stops: the page's script failed: TypeError: sums\.fell is not a"):
        prove(given, demo, tmp_path / "broken.html")


def until(tab, expression):
    """Wait for an expression to hold; Playwright's own way evaluates text, which the page's policy forbids."""
    end = time.monotonic() + 60
    while not tab.evaluate(expression):
        assert time.monotonic() < end, expression
        tab.wait_for_timeout(50)


@pytest.mark.browser
def test_the_page_is_used_with_the_network_off(browser, exported):
    from axe_playwright_python.sync_playwright import Axe

    file, given = exported
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    tab, complaints = context.new_page(), []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: complaints.append(request.url) if request.url != file.as_uri() else None)
    tab.goto(file.as_uri())
    given_answers = tab.evaluate(
        "rows => rows.map(row => [...forward(network, Float32Array.from(row))[last].values])",
        given.images[:20].reshape(20, -1).tolist(),
    )
    assert np.array(given_answers) == pytest.approx(given.expected[:20], abs=1e-4)
    tab.focus("#paper")  # a 1, by keyboard: up, pen down, down, pen up
    for key in ("Shift+ArrowUp", "Shift+ArrowUp", " ", *["Shift+ArrowDown"] * 4, " "):
        tab.keyboard.press(key)
    until(tab, "document.querySelector('#word').textContent !== '–'")
    assert tab.locator("#layers canvas").count() > 50 and tab.locator("#bars li").count() == 3
    tab.click("#choices button >> nth=0")
    assert "in truth" in tab.inner_text("#sentence")
    tab.fill("#row", "2")
    assert "row 2, column 1, reads a window of 5 × 5 numbers in one map of the image" in tab.inner_text("#number")
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        for width in (390, 1200):
            tab.set_viewport_size({"width": width, "height": 844})
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in Axe().run(tab).response["violations"]] == []
    tab.click("#wipe")
    until(tab, "document.querySelector('#word').textContent === '–'")
    assert complaints == []
    context.close()


@pytest.mark.browser
def test_a_drawing_is_prepared_and_answered_as_predict_does_it(browser, exported):
    file, given = exported
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    tab = context.new_page()
    tab.goto(file.as_uri())
    box, random = tab.locator("#paper").bounding_box(), np.random.default_rng(0)
    for digit, high in ((5, 260), (2, 180), (0, 90)):  # made smaller, a little smaller, larger
        tab.click("#wipe")
        for line in strokes.drawn(digit, random):
            points = (line * high + 168) * (box["width"] / 336) + [box["x"], box["y"]]
            tab.mouse.move(*points[0])
            tab.mouse.down()
            for point in points[1::6]:
                tab.mouse.move(*point)
            tab.mouse.up()
        until(tab, "document.querySelector('#word').textContent !== '–'")
        tab.wait_for_timeout(300)
        png, name, image = tab.evaluate("""() => {
          const paper = byId("paper"), points = paper.getContext("2d").getImageData(0, 0, 336, 336).data;
          const images = preparedDrawing(mapped(grid(336, 336), (_, place) => points[4 * place]), 8, about.by_mass);
          return [paper.toDataURL(), byId("word").textContent, [...images[0]]];
        }""")
        picture = Image.open(io.BytesIO(base64.b64decode(png.partition(",")[2]))).convert("RGB")
        answer = predict(given.run, np.asarray(picture))[0]
        assert np.abs(answer.seen.ravel() / 255 - image).max() < 0.15
        assert answer.name == name
    context.close()


ALTERED = {
    "padding": ("norm2", lambda steps, weights: steps["norm2"].update(padding=[0, 0])),
    "stride": ("norm5", lambda steps, weights: steps["norm5"].update(stride=[2, 2])),
    "no activation": ("relu3", lambda steps, weights: steps["relu3"].update(function="tanh")),
    "another pool": ("average", lambda steps, weights: steps["average"].update(kind="adaptiveMax")),
    "exchanged weights": ("norm4", lambda steps, weights: exchange(weights, *steps["norm4"]["weights"]["weight"])),
    "a lost bias": ("linear", lambda steps, weights: steps["linear"]["weights"].pop("bias")),
}


def exchange(weights, first, count):
    weights[first : first + count] = weights[first : first + count][::-1]


@pytest.mark.parametrize("kind", ALTERED)
def test_an_altered_page_is_refused_and_the_layer_is_named(kind, exported, tmp_path):
    file, given = exported
    layer, alter = ALTERED[kind]
    text = demo._part(file, "network")
    document = json.loads(text)
    weights = np.frombuffer(base64.b64decode(document["weights"]), dtype=np.float32).copy()
    alter({step["names"][-1]: step for step in document["steps"]}, weights)
    document["weights"] = base64.b64encode(weights.tobytes()).decode()
    altered = tmp_path / "altered.html"
    altered.write_text(file.read_text(encoding="utf-8").replace(text, json.dumps(document)), encoding="utf-8")
    with pytest.raises(Differs, match=f"the first layer that differs is {layer}[, ]"):
        prove(given, demo, altered)
