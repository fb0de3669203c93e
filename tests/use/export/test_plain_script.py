"""Ejected scripts: readable, free of classlab, and the same losses to the last digit as classlab's own training."""

import ast
import copy
import inspect
import json
import subprocess
import sys
from dataclasses import replace

import networks
import numpy as np
import pytest
import torch
from networks import OWN

import classlab as cl
from classlab import lookup
from classlab.data.dataset import Dataset
from classlab.data.loading import prepare as prepare_data
from classlab.errors import UserError
from classlab.experiment import load
from classlab.network.memory_layout import takes_channels_last
from classlab.runs.preparation import place_model, place_splits, prepare
from classlab.training import choices
from classlab.training.settings import Settings
from classlab.training.train import Epoch, train_network
from classlab.use.export import clean_process, plain_script
from classlab.use.export.carried import carried
from classlab.use.export.eject import data_code, script
from classlab.use.export.eject.leaving import NO_CHOICES, Leaving, _missing
from classlab.use.export.eject.readers_files import readers_files, script_name
from classlab.use.export.proof import Differs, prove

SHIPPED = lookup.names("experiment")
STEPS = 20
TRAINS = """
import importlib.util, json, sys
from pathlib import Path
sys.path.insert(0, "")
found = {}
for name in json.loads(sys.argv[1]):
    folder = Path(name).parent
    sys.path[0] = str(folder)
    spec = importlib.util.spec_from_file_location("left", name)
    left = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(left)
    left.torch.set_num_threads(1)
    net, data = left.network(left.SEED), left.load(left.DATA)
    losses, rows = left.train(net, data, left.SEED, None)
    found[name] = losses, rows, {key: value.double().sum().item() for key, value in net.state_dict().items()}
    for module in [module for module in sys.modules if module.startswith("mine")]:
        del sys.modules[module]
assert "classlab" not in sys.modules
print(json.dumps(found))
"""


def settings(prepared):
    """Return fp32 on one thread, by torch's own step."""
    convolves = any(isinstance(layer, torch.nn.Conv2d) for layer in prepared.model.modules())
    last = convolves and takes_channels_last(prepared.model, prepared.dataset.input_shape)
    precision = "fp64" if prepared.experiment.training.precision == "fp64" else "fp32"
    return Settings("cpu", precision, last, 1)


def leave(prepared):
    """Return what is known of an experiment before it is trained."""
    dataset = prepared.dataset
    return Leaving(
        prepared.experiment, prepared.seed, copy.deepcopy(prepared.model).eval(), dataset.input_shape,
        dataset.class_names, tuple(prepared.mean), tuple(prepared.std), len(prepared.train), len(dataset.labels),
        settings(prepared), dataset.images.dtype == np.uint8, files=readers_files(prepared.experiment),
    )  # fmt: skip


def by_classlab(prepared, monkeypatch):
    """Return every loss of a training, its rows, and a sum of each weight."""
    found, rows, bind = [], [], choices.loss

    def recording(choice):
        function = bind(choice)

        def loss(**given):
            value = function(**given)
            if torch.is_grad_enabled():
                found.append(value.item())
            return value

        return loss

    with monkeypatch.context() as patch:
        patch.setattr(choices, "loss", recording)
        chosen = settings(prepared)
        splits, model = place_splits(prepared, chosen), place_model(prepared.model, chosen)
        best = None
        for event in train_network(model, splits, prepared.experiment, prepared.seed, chosen):
            if isinstance(event, Epoch):
                rows.append(event.row)
                best = event.state if event.improved or best is None else best
    selected = best if prepared.experiment.protocol.select == "best" else event.state
    weights = {name.removeprefix("model."): value.double().sum().item() for name, value in selected.items()}
    return found, rows, weights


def both(experiments, folder, monkeypatch):
    """Return name -> (losses, rows, weights) by classlab, and by its script: all scripts in one process without it."""
    files, ours = {}, {}
    for name, experiment in experiments.items():
        prepared = prepare(experiment, 3, {}, None)
        plan = leave(prepared)
        place = folder / name
        place.mkdir(parents=True)
        files[name] = place / "script.py"
        files[name].write_text(script.text(plan))
        (place / "data.npz").write_bytes(data_code.npz(prepared.dataset))
        for path, content in plan.files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        ours[name] = by_classlab(prepared, monkeypatch)
    asked = json.dumps([str(file) for file in files.values()])
    done = subprocess.run([sys.executable, "-I", "-c", TRAINS, asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = json.loads(done.stdout.splitlines()[-1])
    return {name: (ours[name], theirs[str(file)]) for name, file in files.items()}


def check(name, ours, theirs):
    losses, rows, weights = ours
    assert theirs[0] == losses, name
    assert len(theirs[1]) == len(rows), name
    for row, other in zip(rows, theirs[1], strict=True):
        assert other == pytest.approx({key: row[key] for key in other}, rel=1e-5, abs=1e-6), name
        assert {key for key in row if key not in ("seconds", "learning_rate")} == set(other), name
    assert theirs[2] == pytest.approx({key: weights[key] for key in theirs[2]}, rel=1e-6, abs=1e-6), name


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return shape -> an npz file of images of that shape, in ten classes."""
    random, files = np.random.default_rng(0), {}
    for shape in ((1, 28, 28), (3, 32, 32)):
        files[shape] = tmp_path_factory.mktemp("pictures") / "random.npz"
        labels = np.arange(400) % 10
        images = random.integers(0, 256, (400, *shape), dtype=np.uint8)
        np.savez(files[shape], images=images[:360], labels=labels[:360], test_images=images[360:],
                 test_labels=labels[360:])  # fmt: skip
    return files


def test_every_shipped_experiment_has_the_same_losses(pictures, tmp_path, monkeypatch):
    experiments = {}
    for name in SHIPPED:
        experiment = load(name)
        dataset = experiment.data.dataset.name
        shape = {"cifar10": (3, 32, 32), "digits": None}.get(dataset, (1, 28, 28))
        changes = {
            "training.batch_size": 12,
            "training.epochs": 1,
            "data.val_size": 60 * bool(experiment.data.val_size),
        }
        changes |= {"protocol.train_loss_steps": None, "contract": {}}
        if shape:
            changes |= {"data.dataset": {"name": "npz", "path": str(pictures[shape])}}
            changes |= {"data.max_per_class": 24 if not experiment.data.expansion else 12}
        else:
            changes |= {"data.max_per_class": 24}
        experiments[name] = load(name, changes=changes)
    for name, (ours, theirs) in both(experiments, tmp_path, monkeypatch).items():
        assert len(ours[0]) >= STEPS - 6
        check(name, ours, theirs)


DIGITS = {
    "name": "digits-changed",
    "data": {"dataset": "digits", "max_per_class": 12, "max_test_per_class": 4, "val_size": 30},
    "model": {"name": "convnet", "filters": [4], "kernel": 3, "pool_after": [1], "widths": [8]},
    "training": {"epochs": 2, "batch_size": 15, "optimizer": {"name": "sgd", "learning_rate": 0.1}, "native": False},
}
MLP = {"name": "perceptron", "widths": [12]}
ENCODER = {"name": "autoencoder", "widths": [24, 6]}
NOISE = {"name": "gaussian_noise", "std": 0.2}
AUGMENTATIONS = {
    "moves": [{"name": "rotate", "degrees": 20}, {"name": "shear", "degrees": 9}, {"name": "stretch", "percent": 12}],
    "zooms": [{"name": "zoom", "percent": 20}, {"name": "rotate", "degrees": 9, "interpolation": "nearest"}],
    "flips": ["horizontal_flip", "vertical_flip", {"name": "shift", "pixels": 1.5}],
    "mirror": [{"name": "horizontal_flip", "probability": 0.3}, NOISE],
    "pads": ["horizontal_flip", {"name": "pad_and_crop", "pixels": 2}],
    "crops": [{"name": "crop", "size": 6}, {"name": "center_crop", "size": 6, "probability": 0.5}],
    "resized": [{"name": "random_resized_crop", "min_area": 0.3}],
    "erased": [{"name": "erase", "probability": 0.8}, {"name": "uniform_noise", "low": -0.1, "high": 0.3}],
    "light": [{"name": "brightness", "percent": 30}, {"name": "contrast", "percent": 30}],
}
COPIES = [
    [], [{"name": "rotate", "degrees": 20}, NOISE], ["horizontal_flip"],
    [{"name": "pad_and_crop", "pixels": 1}, {"name": "vertical_flip", "probability": 1.0}, {"name": "erase"}],
]  # fmt: skip
CHANGES = {
    **{name: {"data.augmentations": parts} for name, parts in AUGMENTATIONS.items()},
    "all are augmented": {"data.augmentations": AUGMENTATIONS["moves"], "protocol.augment": "all"},
    "train is evaluated": {"data.augmentations": AUGMENTATIONS["mirror"], "protocol.train_metrics": "re-evaluated"},
    "copies": {"data.expansion": COPIES, "data.val_size": 0},
    "copies and changes": {"data.expansion": COPIES, "data.augmentations": AUGMENTATIONS["moves"]},
    "many seeds": {"data.expansion": [[], [NOISE]], "data.expansion_seed": 70000, "data.split_seed": "seed"},
    "much noise": {"data.augmentations": [NOISE], "training.batch_size": 1000, "data.max_per_class": 110},
    "stratified": {"data.stratified": True, "data.val_size": 0.25, "model": MLP},
    "adam": {"training.optimizer": {"name": "adam", "learning_rate": 0.01, "beta1": 0.8}, "training.loss": "mse"},
    "adamw": {"training.optimizer": "adamw", "training.loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    "rmsprop": {"training.optimizer": {"name": "rmsprop", "momentum": 0.5, "weight_decay": 1e-4}},
    "fp64": {"training.precision": "fp64", "model": MLP},
    "cosine": {"training.schedule": "cosine", "training.initialise": "xavier_normal"},
    "warm up": {"training.schedule": {"name": "warm_up", "warmup_epochs": 0.5, "then": "cosine"},
                "training.initialise": {"name": "he_uniform", "gain": 1.5}},
    "warm line": {"training.schedule": {"name": "warm_up", "then": "linear"}, "training.initialise": "xavier_uniform"},
    "steps": {"training.schedule": {"name": "step", "every_epochs": 1}, "training.initialise": "orthogonal"},
    "no warm-up": {"training.schedule": {"name": "one_cycle", "warmup_percent": 0}, "protocol.test_each_epoch": True},
    "plateau": {"training.schedule": {"name": "plateau", "patience_epochs": 0, "threshold_percent": 90},
                "training.epochs": 4, "model": MLP},
    "stops": {"training.early_stopping": {"patience": 1}, "protocol.select": "best", "training.epochs": 9},
    "last steps": {"protocol.train_loss_steps": 2, "protocol.validate_on": "none", "data.val_size": 0},
    "reconstructs": {"model": ENCODER, "training.loss": "reconstruction", "protocol.select": "best"},
    "cleans": {"model": ENCODER, "training.loss": {"name": "reconstruction", "denoise": True},
               "data.augmentations": [{"name": "rotate", "degrees": 20}, NOISE]},
    "cleans copies": {"model": ENCODER, "training.loss": {"name": "reconstruction", "denoise": True},
                      "data.expansion": COPIES, "data.augmentations": [{"name": "shift", "pixels": 1}]},
}  # fmt: skip


def test_every_setting_has_the_same_losses(tmp_path, monkeypatch):
    experiments = {name: load(DIGITS, changes=changes) for name, changes in CHANGES.items()}
    for name, (ours, theirs) in both(experiments, tmp_path, monkeypatch).items():
        check(name, ours, theirs)


@pytest.mark.parametrize("kind", ["augmentation", "initialisation", "loss", "optimizer", "schedule"])
def test_every_choice_of_a_kind_is_among_them(kind):
    said = json.dumps([DIGITS, list(CHANGES.values()), [load(name).model_dump(mode="json") for name in SHIPPED]])
    assert [name for name in lookup.names(kind) if f'"{name}"' not in said and name not in ("keep", *NO_CHOICES)] == []


@pytest.mark.parametrize("change", [
    "training.warmup_epochs=1", "training.l1_penalty=0.1", "training.max_gradient_norm=1", "training.lookahead={}",
    "training.averages={ema_decay: 0.9}", "training.schedule={name: one_cycle, shape: linear}",
    "training.optimizer=muon", "data.augmentations=[{name: cutout, size: 2}]",
])  # fmt: skip
def test_what_a_script_has_not_is_named(change):
    missing = _missing(load(DIGITS, [change]))
    assert len(missing) == 1 and missing[0].rpartition(".")[2] in change and _missing(load(DIGITS)) == []


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """Return the folder of a reader's own networks, one with a neighbour, and their own functions."""
    folder = tmp_path_factory.mktemp("mine")
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n\n\n"
    kinds = [kind for name, kind in OWN.items() if name not in ("Residual", "InPlace")]
    (folder / "mine_parts.py").write_text(head + inspect.getsource(networks.Residual))
    rest = """
class Changing(nn.Module):
    def __init__(self, num_classes, in_channels=1, width=8):
        super().__init__()
        self.conv = nn.LazyConv2d(width, 3, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.3)
        self.answer = nn.Linear(width, num_classes)

    def forward(self, x):
        x = self.norm(self.conv(x))
        x += 1
        x = F.dropout(self.drop(self.pool(self.relu(x))), 0.2, self.training)
        return self.answer(x.mean((2, 3)))


def gray(images, generator, amount: float = 0.1):
    return images + amount * torch.rand(len(images), generator=generator).view(-1, 1, 1, 1)


def hinge(outputs, targets, margin: float = 1.0):
    return F.multi_margin_loss(outputs, targets, margin=margin)


def climbing(parameters, rate: float):
    return torch.optim.SGD(parameters, lr=rate, momentum=0.5)


def falling(step, steps):
    return 1 - step / steps
"""
    text = head + "from mine_parts import Residual\n\n\n" + "\n\n".join(map(inspect.getsource, kinds)) + rest
    (folder / "mine.py").write_text(text)
    images, labels = networks.images((1, 12, 12), 96, 1)
    np.savez(
        folder / "pictures.npz", images=images, labels=labels, test_images=images[:12] // 2, test_labels=labels[:12]
    )
    return folder


def own(mine, name, **training):
    """Return an experiment with a network of the reader's own."""
    optimizer = {"name": "adam", "learning_rate": 0.01}
    return load({
        "name": "mine", "data": {"dataset": {"name": "npz", "path": str(mine / "pictures.npz")}},
        "model": {"name": f"{mine / 'mine.py'}:{name}"},
        "training": {"epochs": 2, "batch_size": 16, "optimizer": optimizer, "native": False, **training},
    }, trust=True)  # fmt: skip


def test_a_readers_own_network_and_functions_have_the_same_losses(mine, tmp_path, monkeypatch):
    names = {"Changing", *OWN} - {"InPlace"}
    experiments = {name: own(mine, name, loss="nll" if name == "Grouped" else "cross_entropy") for name in names}
    code = str(mine / "mine.py")
    functions = {"loss": f"{code}:hinge", "schedule": f"{code}:falling", "initialise": "he_normal",
                 "optimizer": {"name": f"{code}:climbing", "rate": 0.05}}  # fmt: skip
    changed = own(mine, "Branches", **functions)
    experiments["functions"] = load(changed, changes={"data.augmentations": [{"name": f"{code}:gray", "amount": 0.2}]},
                                    trust=True)  # fmt: skip
    for name, (ours, theirs) in both(experiments, tmp_path, monkeypatch).items():
        check(name, ours, theirs)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_experiments_script_can_be_read(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path))  # nothing is there, so that black images stand in
    experiment = load(name)
    stand_in = prepare_data(experiment.data, fetch=False)
    text = script.text(leave(prepare(experiment, 0, {}, None, stand_in)))
    lines = text.splitlines()
    assert len(lines) <= 245
    assert max(map(len, lines)) <= 99
    tree = ast.parse(text)
    imported = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import)
                for alias in node.names}  # fmt: skip
    imported |= {node.module.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - set(sys.stdlib_module_names) == {"numpy", "torch"}
    compile(text, name, "exec")
    # Nothing stands there that is not used: every function is called, or is what the command line calls.
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            assert text.count(node.name) > 1, node.name


def test_the_official_files_are_read_as_classlab_reads_them(tmp_path):
    random = np.random.default_rng(1)
    for name, shape in (("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))):
        images = random.integers(0, 256, (120, *shape), dtype=np.uint8)
        labels = random.integers(0, 10, 120)
        parts = images[:100], labels[:100], images[100:], labels[100:]
        whole = Dataset(name, *parts, tuple("0123456789"), (0.5,) * shape[0], (0.5,) * shape[0], "random")
        folder = tmp_path / name
        data_code.write_official(whole, folder)
        changes = {"data.classes": [3, 5, 8, 1], "data.labels": "renumber", "data.max_per_class": 8, "data.val_size": 6}
        experiment = load({**DIGITS, "data": {"dataset": name, "stratified": True}}, changes=changes)
        cut = prepare_data(experiment.data, whole)
        prepared = prepare(experiment, 0, {}, None, cut)
        text = script.text(leave(prepared)).replace("60_000", "120").replace("50_000", "100")
        known = __import__(f"classlab.data.sources.{name}", fromlist=["DIGEST"]).DIGEST
        scope = {"__name__": "read", "__file__": str(tmp_path / "script.py")}
        exec(compile(text.replace(known, whole.digest), name, "exec"), scope)
        found = scope["load"](folder)
        wanted = {"train": prepared.train, "val": prepared.val}
        for split, index in wanted.items():
            assert np.array_equal(found[split][0].numpy(), cut.images[index])
            assert np.array_equal(found[split][1].numpy(), cut.labels[index])
        assert np.array_equal(found["test"][1].numpy(), cut.test_labels)
        with pytest.raises(AssertionError, match="other images"):
            exec(compile(text, name, "exec"), scope)
            scope["load"](folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory, mine):
    experiment = own(mine, "Residual")
    return cl.train(experiment, seed=0, out=str(tmp_path_factory.mktemp("runs")), verbose=False, threads=1)


def test_a_script_answers_as_the_network_does_and_an_altered_one_is_refused(run, tmp_path):
    ready = carried(run)
    file = plain_script.write(ready, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "train_mine.py", "mine.py", "mine_parts.py", "weights.npz", "data.npz"
    }  # fmt: skip
    proof = prove(ready, plain_script, file)
    assert proof.agreeing == 12 and proof.largest <= proof.allowed
    source = tmp_path / "mine_parts.py"
    source.write_text(source.read_text().replace("self.norm = nn.BatchNorm2d(8)", "self.norm = nn.BatchNorm2d(8, 0.1)"))
    with pytest.raises(Differs, match="the first layer that differs is norm"):
        prove(ready, plain_script, file)
    file.write_text("import scipy\n" + file.read_text())
    with pytest.raises(RuntimeError, match="no module named 'scipy' in a clean environment"):
        clean_process.run(file, ready.images)


def test_code_that_needs_classlab_or_has_no_source_stays(mine, tmp_path, run):
    file = tmp_path / "needs.py"
    file.write_text("from torch import nn\n\nimport classlab\n\n\ndef build(): return nn.Sequential(nn.Flatten())\n")
    experiment = load(own(mine, "Branches"), changes={"model": {"name": f"{file}:build"}}, trust=True)
    with pytest.raises(UserError, match=r"needs\.py imports classlab, so that it cannot leave"):
        readers_files(experiment)
    given = networks.small_run(OWN["Branches"](), (1, 12, 12), tmp_path)
    with pytest.raises(UserError, match="needs the source of its network, and this run was given a module in Python"):
        plain_script.write(carried(given), tmp_path)


def test_a_hostile_text_cannot_leave_its_docstring(tmp_path):
    description = 'End """\nimport os\nos.system("touch x") \\'
    experiment = load({**DIGITS, "description": description})
    plan = replace(leave(prepare(experiment, 0, {}, None)), run='a"""b\n', class_names=('"""', "'\n", *"23456789"))
    tree = ast.parse(script.text(plan))
    assert isinstance(tree.body[0], ast.Expr)
    assert "os" not in {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    named = next(node for node in assigned if ast.unparse(node.targets[0]) == "CLASSES")
    assert ast.literal_eval(named.value) == plan.class_names


def test_a_script_takes_no_name_that_it_imports():
    assert script_name("mnist-20k", {}) == "mnist_20k"
    assert script_name("torch", {}) == "train_torch" and script_name("gzip", {}) == "train_gzip"
    assert script_name("net", {"net.py": b""}) == "train_net"
