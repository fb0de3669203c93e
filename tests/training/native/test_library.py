"""Building, keeping and loading a native step's library, and what happens where that is not to be had."""

import os
import stat
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from classlab.errors import UserError
from classlab.experiment import load
from classlab.models import convnet, squeeze
from classlab.runs.preparation import choose_settings, place_model, place_splits, prepare
from classlab.training import choices
from classlab.training.fast import replacements
from classlab.training.fast.native import library, step_source
from classlab.training.fast.native.native_step import NativeStep, lay_out
from classlab.training.fast.native.stages import NotNativeError, read
from classlab.training.fast.native.step_layout import Layout
from classlab.training.settings import Settings
from classlab.training.train import Epoch, train_network

needs_compiler = pytest.mark.skipif(library.compiler() is None, reason="there is no C compiler")
PLAN = ["training.native=true", "training.epochs=3", "data.max_per_class=20", "contract={}", "data.val_size=20"]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "folder", lambda: tmp_path / "native")
    return tmp_path / "native"


def small_layout() -> tuple[Layout, torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = replacements.quicken(squeeze.build((1, 8, 8), 10, width=4)).to(memory_format=torch.channels_last)
    experiment = load("digits-quick", ["training.batch_size=8"])
    optimizer = choices.optimizer(experiment.training.optimizer, model)
    return lay_out(model, experiment, optimizer, Settings("cpu", "fp32", True, 1), (1, 8, 8)), model, optimizer


def prepared(*changes):
    return prepare(load("digits-quick", [*PLAN, *changes]), 0, {}, None)


def trained(ready, settings, state=None):
    model = place_model(ready.model, settings)
    splits = place_splits(ready, settings)
    happened = train_network(model, splits, ready.experiment, 0, settings, state)
    return [epoch for epoch in happened if isinstance(epoch, Epoch)]


@needs_compiler
def test_a_library_is_built_once_and_kept(empty_cache):
    text = step_source.text(small_layout()[0])
    first = library.build(text)
    (kept,) = empty_cache.glob("*.so")
    written = kept.stat().st_ino
    assert library.build(text).digest == first.digest
    assert kept.stat().st_ino == written
    assert kept.name.startswith(first.digest)


@needs_compiler
@pytest.mark.parametrize("damage", ["cut off", "another's"])
def test_a_damaged_library_is_built_again(empty_cache, damage):
    text = step_source.text(small_layout()[0])
    built = library.build(text)
    (kept,) = empty_cache.glob("*.so")
    content = kept.read_bytes()
    kept.unlink()
    if damage == "cut off":
        kept.write_bytes(content[:1000])
    else:  # of another network, under this one's name
        content = content.replace(built.digest.encode(), b"0" * library.LETTERS)
        (empty_cache / library._file_name(built.digest, content)).write_bytes(content)
    again = library.build(text)
    assert again.digest == built.digest
    whole = [file for file in empty_cache.glob("*.so") if built.digest.encode() in file.read_bytes()]
    assert [file.name for file in whole] == [library._file_name(built.digest, whole[0].read_bytes())]


@needs_compiler
def test_a_cache_that_takes_no_file_costs_nothing_but_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(library, "folder", lambda: tmp_path / "file" / "native")
    assert library.build(step_source.text(small_layout()[0])).digest


@needs_compiler
def test_two_processes_may_build_at_once(tmp_path):
    program = (
        "import sys; sys.path.insert(0, 'tests/training/native'); from pathlib import Path\n"
        "from classlab.training.fast.native import library\n"
        f"library.folder = lambda: Path({str(tmp_path)!r})\n"
        "from test_library import small_layout, step_source\n"
        "print(library.build(step_source.text(small_layout()[0])).digest)"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    digests = {process.communicate()[0] for process in both}
    assert len(digests) == 1 and digests.pop().strip()
    assert len([*tmp_path.glob("*.so")]) >= 1 and not [*tmp_path.glob("*.part")]


def test_without_a_compiler_the_step_is_torchs(monkeypatch):
    monkeypatch.setattr(library, "compiler", lambda: None)
    ready = prepared("training.native=auto", "training.epochs=2000")
    settings, step = choose_settings(ready, "cpu")
    assert settings.native == "" and step == "torch's step; a native step is not possible: there is no C compiler"
    with pytest.raises(
        UserError,
        match=r"training.native: a native step is not possible: there is no C compiler; set training.native=auto",
    ):
        choose_settings(prepared(), "cpu")


def test_a_compiler_that_fails_is_one_sentence(tmp_path, monkeypatch, empty_cache):
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'step.c:1: fatal error: no such header' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(library, "compiler", lambda: library.Compiler((str(broken),), "cc 1"))
    with pytest.raises(NotNativeError, match=r"cc fails: step.c:1: fatal error: no such header"):
        library.build(step_source.text(small_layout()[0]))
    settings, step = choose_settings(prepared("training.native=auto", "training.epochs=2000"), "cpu")
    assert settings.native == "" and "fails: step.c:1" in step


def test_a_short_training_stays_with_torch_on_every_machine():
    settings, step = choose_settings(prepared("training.native=auto"), "cpu")
    assert settings.native == "" and step == "torch's step: the training is too short to build a native one"


@needs_compiler
def test_a_run_goes_on_to_the_same_bytes():
    settings, _ = choose_settings(prepared(), "cpu")
    assert settings.native
    whole = trained(prepared(), settings)
    half = trained(prepared(), settings, whole[0].state)
    assert [epoch.row["epoch"] for epoch in half] == [2, 3]
    for name, value in whole[-1].state.items():
        assert torch.equal(value, half[-1].state[name]), name


@needs_compiler
@pytest.mark.parametrize("change", ["training.optimizer={name: adam, learning_rate: 0.001}", "training.batch_size=1"])
def test_a_run_goes_on_to_the_same_bytes_with_other_settings(change):
    changes = [change, 'model={"name": "convnet", "filters": [4], "kernel": 3, "pool_after": [1], "widths": [8]}']
    settings, _ = choose_settings(prepared(*changes), "cpu")
    whole = trained(prepared(*changes), settings)
    half = trained(prepared(*changes), settings, whole[0].state)
    assert all(torch.equal(value, half[-1].state[name]) for name, value in whole[-1].state.items())


@needs_compiler
def test_it_learns_what_torch_learns():
    """Evaluation, checkpoint and metrics see the weights that the step keeps in an order of its own."""
    ready = prepared("training.precision=fp64")
    native, torchs = choose_settings(ready, "cpu")[0], choose_settings(prepared("training.native=false"), "cpu")[0]
    ours = trained(prepared("training.precision=fp64"), native)
    theirs = trained(prepared("training.precision=fp64"), replace(torchs, precision="fp64"))
    for ours_, theirs_ in zip(ours, theirs, strict=True):
        assert {k: v for k, v in ours_.row.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in theirs_.row.items() if k != "seconds"}, rel=1e-9
        )
        assert ours_.state.keys() == theirs_.state.keys()
        for name, value in ours_.state.items():
            assert torch.allclose(value.double(), theirs_.state[name].double(), rtol=1e-9, atol=1e-10), name


@needs_compiler
def test_a_resume_that_cannot_have_the_library_says_so(monkeypatch):
    settings, _ = choose_settings(prepared(), "cpu")
    found = library.compiler()
    monkeypatch.setattr(library, "compiler", lambda: None)
    with pytest.raises(UserError, match=r"begun with the native step \w+, which cannot be built here: there is no C"):
        trained(prepared(), settings)
    monkeypatch.setattr(library, "compiler", lambda: replace(found, version="cc 99"))
    with pytest.raises(UserError, match=r"what cc 99 builds on this processor is another; go on where it was begun"):
        trained(prepared(), settings)


@needs_compiler
def test_the_sources_build_for_processors_without_long_vectors():
    written, model, optimizer = small_layout()
    short = Layout(written.stages, replace(written.form, lanes=8, tile=12))
    results = []
    for layout, machine in ((written, "native"), (short, "x86-64-v3")):
        _, model, optimizer = small_layout()
        built = library.build(step_source.text(layout), machine)
        step = NativeStep(built, Layout(read(model, (1, 8, 8)), layout.form), optimizer)
        inputs = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        for _ in range(10):
            step.step(inputs, torch.arange(8), torch.zeros(2, dtype=torch.float64))
        step.publish()
        results.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*results, strict=True))


@needs_compiler
def test_libraries_that_were_not_used_for_long_go(monkeypatch, empty_cache):
    monkeypatch.setattr(library, "MOST_KEPT", 2)
    network, names = small_layout()[0], []
    for batch in (3, 4, 5):
        layout = Layout(network.stages, replace(network.form, batch=batch))
        names.append(library.build(step_source.text(layout)).digest)
        for file in library.folder().glob("*"):
            os.utime(file, (1000 * batch, 1000 * batch))
        if batch == 4:  # the first is used again, so that the second is the oldest
            library.build(step_source.text(Layout(network.stages, replace(network.form, batch=3))))
    left = {file.name.partition("-")[0] for file in library.folder().glob("*.so")}
    assert left == {names[0], names[2]} and not (library.folder() / f"{names[1]}.c").exists()


DRIVER = """
#include "step.c"
#include <stdio.h>
int main(void) {
    Memory *m = aligned_alloc(64, (sizeof(Memory) + 63) / 64 * 64);
    memset(m, 0, sizeof(Memory));
    unsigned state = 1;
    for (int64_t a = 1; a <= sizes[0]; a++) {
        real *numbers = (real *)((char *)m + offsets[a]);
        for (int64_t i = 0; i < sizes[a] / (int64_t)sizeof(real) - SLACK; i++)
            numbers[i] = (real)((state = state * 1664525u + 1013904223u) >> 8) / (1 << 24) * (real)0.1;
    }
    if (begin(m)) return 2;
    static real images[BATCH * PIXELS];
    static int64_t labels[BATCH];
    for (int i = 0; i < BATCH * PIXELS; i++) images[i] = (real)(i % 17) / 17;
    Rates rates = {.rate = 0.01, .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .size = 0.1,
                   .root = 0.1};
    double totals[2] = {0, 0};
    for (int s = 0; s < 3; s++) step(m, s == 1 ? BATCH - 1 : BATCH, images, labels, s, &rates, totals);
    end(m);
    free(m);
    printf("%g %g\\n", totals[0], totals[1]);
    return 0;
}
"""


@needs_compiler
@pytest.mark.parametrize(("name", "precision"), [("squeeze", "bf16"), ("lenet", "fp32")])
def test_sanitizers_find_nothing(tmp_path, name, precision):
    if precision == "bf16" and not library.has_bf16():
        pytest.skip("the processor does not multiply bf16 numbers")
    shape = (1, 20, 20) if name == "squeeze" else (3, 16, 16)
    network = squeeze.build(shape, 10, width=12) if name == "squeeze" else convnet.build(shape, 10, widths=[20])
    experiment = load("digits-quick", ["training.batch_size=5"])
    optimizer = choices.optimizer(experiment.training.optimizer, network)
    layout = lay_out(network, experiment, optimizer, Settings("cpu", precision, True, 2), shape)
    (tmp_path / "step.c").write_text(step_source.text(layout))
    driver = DRIVER.replace("BATCH", "5").replace("PIXELS", str(shape[0] * shape[1] * shape[2])).replace("SLACK", "64")
    (tmp_path / "driver.c").write_text(driver)
    compiler = library.compiler()
    command = [*compiler.command, "-O1", "-g", "-march=native", "-pthread", "-w", '-DDIGEST="x"', "-fsanitize=address"]
    command += ["-fsanitize=undefined", "-fno-sanitize-recover=all", "-I", str(library.KERNELS.parent)]
    built = subprocess.run(
        [*command, "-o", "driver", "driver.c", "-lm"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if built.returncode and "asan" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert not built.returncode, built.stderr[:2000]
    # Looking for leaks needs to trace the process, which a container may forbid; all is freed at the end anyway.
    quiet = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(["./driver"], cwd=tmp_path, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0 and "nan" not in done.stdout, done.stdout + done.stderr[:3000]
