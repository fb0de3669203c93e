"""Export: every network in every format as the network itself, and what is altered is refused with its layer's name."""

import json
from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from networks import OWN, SHIPPED, small_run

import classlab as cl
from classlab.errors import UserError
from classlab.use.export import onnx_graph, torch_program, weights_file
from classlab.use.export.carried import carried
from classlab.use.export.export import export
from classlab.use.export.proof import Differs, prove

FORMATS = ("demo", "onnx", "pt2", "safetensors")
LOSSES = {"autoencoder": "reconstruction", "era_s6": "nll", "net2": "nll", "net3": "nll", "net8": "nll"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_answers_in_every_format_as_it_does(name, folder):
    _, model, shape = SHIPPED[name]
    run = small_run(model, shape, folder / name, LOSSES.get(name))
    for to in FORMATS:
        proof = export(run, to, folder / name / "out").proof
        assert proof.agreeing in (None, 60) and proof.largest <= proof.allowed < 1e-2


@pytest.mark.parametrize("name", OWN)
def test_so_does_a_readers_module(name, folder):
    run = small_run(OWN[name](), (1, 12, 12), folder / name, "nll" if name == "Grouped" else None)
    for to in FORMATS:
        exported = export(run, to, folder / name / "out")
        assert exported.proof.agreeing == 60
    assert {file.suffix for file in (folder / name / "out").iterdir()} == {
        ".html",
        ".onnx",
        ".pt2",
        ".safetensors",
        ".md",
    }


@pytest.fixture(scope="module")
def trained(folder):
    return small_run({"name": "squeeze"}, (1, 28, 28), folder / "altered")


@pytest.fixture(scope="module")
def graph(trained, tmp_path_factory):
    ready = carried(trained)
    return ready, onnx_graph.write(ready, tmp_path_factory.mktemp("graph"))


def node(model, place):
    """Return the node of the graph that belongs to a layer."""
    return next(n for n in model.graph.node if any(f"network.{place}'" in p.value for p in n.metadata_props))


def set_weights(model, name, change):
    import onnx

    tensor = next(t for t in model.graph.initializer if t.name == f"network.{name}" or t.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(change(onnx.numpy_helper.to_array(tensor).copy()), tensor.name))


def set_option(model, place, name, value):
    import onnx

    found = node(model, place)
    kept = [attribute for attribute in found.attribute if attribute.name != name]
    del found.attribute[:]
    found.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


def exchanged(weights):
    weights[[0, 1]] = weights[[1, 0]]
    return weights


def other_kind(model, place, kind, **options):
    node(model, place).op_type = kind
    del node(model, place).attribute[:]
    for name, value in options.items():
        set_option(model, place, name, value)


ALTERED = {
    "padding": ("conv4", lambda m: set_option(m, "conv4", "pads", [1, 1, 1, 1])),
    "lost padding": ("conv2", lambda m: set_option(m, "conv2", "pads", [0, 0, 0, 0])),
    "stride": ("conv1", lambda m: set_option(m, "conv1", "strides", [2, 2])),
    "epsilon": ("norm2", lambda m: set_option(m, "norm2", "epsilon", 1e-3)),
    "stale mean": ("norm3", lambda m: set_weights(m, "norm3.running_mean", np.zeros_like)),
    "stale variance": ("norm1", lambda m: set_weights(m, "norm1.running_var", np.ones_like)),
    "exchanged filters": ("conv3", lambda m: set_weights(m, "conv3.weight", exchanged)),
    "exchanged channels": ("conv4", lambda m: set_weights(m, "conv4.weight", lambda w: w[:, ::-1].copy())),
    "mirrored kernel": ("conv5", lambda m: set_weights(m, "conv5.weight", lambda w: w[..., ::-1].copy())),
    "a weight a little larger": ("conv2", lambda m: set_weights(m, "conv2.weight", lambda w: w * np.float32(1.001))),
    "no activation": ("relu3", lambda m: other_kind(m, "relu3", "Identity")),
    "another pool": (
        "pool1",
        lambda m: other_kind(m, "pool1", "AveragePool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]),
    ),
    "lost bias": ("linear", lambda m: set_weights(m, "linear.bias", np.zeros_like)),
    "exchanged classes": ("linear", lambda m: set_weights(m, "linear.weight", exchanged)),
    "another mean": (
        "the normalisation",
        lambda m: set_weights(m, "normalisation.pixel_mean", lambda v: v + np.float32(0.01)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ALTERED)
def test_an_altered_graph_is_refused_and_the_layer_is_named(kind, graph, tmp_path):
    import onnx

    ready, file = graph
    layer, alter = ALTERED[kind]
    model = onnx.load(str(file))
    alter(model)
    altered = tmp_path / file.name
    onnx.save(model, str(altered))
    with pytest.raises(Differs, match=f"the first layer that differs is {layer}[, ]"):
        prove(ready, onnx_graph, altered)


@pytest.mark.parametrize("form", [torch_program, weights_file], ids=["pt2", "safetensors"])
def test_altered_weights_of_the_other_formats_are_refused_too(form, trained, tmp_path):
    ready = carried(trained)
    altered = carried(trained)
    with torch.no_grad():
        altered.network.get_parameter("conv4.weight").mul_(1.01)
    file = form.write(altered, tmp_path)
    with pytest.raises(Differs, match="the first layer that differs is conv4,"):
        prove(ready, form, file)


def test_nothing_is_written_where_the_answers_differ(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(weights_file, "answers", lambda *_: np.zeros((60, 3)))
    with pytest.raises(Differs, match="is not written: its outputs are up to"):
        export(trained, "safetensors", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_graph_carries_what_is_needed_to_use_it(graph):
    import onnx
    import onnxruntime

    ready, file = graph
    document = {prop.key: prop.value for prop in onnx.load(str(file)).metadata_props}
    assert json.loads(document["class_names"]) == ["0", "1", "2"]
    assert document["weights_sha256"] == ready.weights_digest
    session = onnxruntime.InferenceSession(str(file))
    logits, probabilities = session.run(None, {"images": ready.images[:7]})
    shares = np.exp(logits / ready.temperature)
    np.testing.assert_allclose(probabilities, shares / shares.sum(1, keepdims=True), rtol=1e-4)


def test_a_program_needs_torch_alone(trained, tmp_path):
    import subprocess
    import sys

    file = export(trained, "pt2", tmp_path).path
    np.save(tmp_path / "images.npy", carried(trained).images)
    code = (
        "import sys, torch, numpy; program = torch.export.load(sys.argv[1]).module();"
        "out = program(torch.from_numpy(numpy.load(sys.argv[2])))[0].detach().numpy();"
        "assert 'classlab' not in sys.modules; numpy.save(sys.argv[3], out)"
    )
    paths = [str(file), str(tmp_path / "images.npy"), str(tmp_path / "out.npy")]
    subprocess.run([sys.executable, "-I", "-c", code, *paths], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), carried(trained).expected, atol=1e-4)


def test_the_card_says_what_it_is_and_what_it_is_not_for(trained, tmp_path):
    exported = export(trained, "onnx", tmp_path)
    text = exported.files[-1].read_text()
    for part in (
        "95 % interval",
        "at most",
        "Limits",
        "softmax of logits /",
        'onnxruntime.InferenceSession("small.onnx")',
    ):
        assert part in text


def test_a_file_that_is_there_is_not_written_over(trained, tmp_path):
    first = export(trained, "safetensors", tmp_path)
    assert export(trained, "safetensors", tmp_path).files == first.files  # the same bytes
    first.path.write_bytes(b"mine")
    with pytest.raises(
        UserError, match="is there and holds something else; give another folder with --out, or --again"
    ):
        export(trained, "safetensors", tmp_path)
    assert first.path.read_bytes() == b"mine"
    export(trained, "safetensors", tmp_path, replace=True)
    assert first.path.read_bytes() != b"mine"


class Undecided(torch.nn.Module):
    """Its way depends on what it computes, which no recording holds."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(144, 3)

    def forward(self, x):
        x = x.flatten(1)
        return self.answer(x) if x.sum() > 0 else self.answer(-x)


def test_a_network_that_cannot_be_recorded_says_so(tmp_path):
    run = small_run(Undecided(), (1, 12, 12), tmp_path)
    with pytest.raises(UserError, match="torch cannot record what this network does, so it is not exported: "):
        export(run, "onnx", tmp_path / "out")


class Without(torch.nn.Module):
    """It has an operation that ONNX has not."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(144, 3)

    def forward(self, x):
        return self.answer(torch.special.bessel_j0(x.flatten(1)))


def test_an_operation_that_a_format_lacks_is_named(tmp_path):
    run = small_run(Without(), (1, 12, 12), tmp_path)
    with pytest.raises(UserError, match="ONNX cannot hold this network: it has no operation like torch's bessel_j0"):
        export(run, "onnx", tmp_path / "out")
    assert export(run, "pt2", tmp_path / "out").proof.agreeing == 60


def test_a_wrong_format_is_answered(trained):
    with pytest.raises(UserError, match=r"--to must be onnx, pt2, .*; got 'onx'; did you mean onnx\?"):
        export(trained, "onx")


def test_a_run_that_is_not_at_its_end_is_refused(tmp_path, trained):
    (tmp_path / "s0").mkdir()
    for name in ("experiment.yaml", "environment.json", "metrics.csv", "split.json"):
        (tmp_path / "s0" / name).write_bytes((Path(trained.path) / name).read_bytes())
    with pytest.raises(UserError, match="is incomplete; continue with"):
        export(cl.load_run(tmp_path / "s0"), "onnx", tmp_path / "out")


def test_the_networks_here_are_all_that_ship():
    from classlab.lookup import names

    assert {model["name"] for _, model, _ in networks.SHIPPED.values()} == set(names("model"))
