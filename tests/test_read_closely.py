"""Defects that a close reading of the code found, each with what shows that it is gone."""

import json

import pytest
import torch
from torch import nn

import classlab as cl
from classlab.data import origins
from classlab.data.expansion import expansion
from classlab.experiment import Choice
from classlab.models.make import make
from classlab.runs import store
from classlab.study import forecast, results

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "max_per_class": 10, "max_test_per_class": 5, "val_size": 20},
    "model": {"name": "perceptron", "widths": [4]},
    "training": {"epochs": 2, "batch_size": 32, "optimizer": {"name": "sgd", "learning_rate": 0.1}},
}


def test_expansion_seeds_65536_apart_draw_apart():
    pixels, index = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4)
    copies = [[Choice(name="gaussian_noise", std=1.0)]]
    drawn = [expansion(copies, seed).images(pixels, index) for seed in (0, 1, 65_536, 65_537, 2**32 - 1)]
    for number, images in enumerate(drawn):
        assert not any(torch.equal(images, other) for other in drawn[:number])


class Attentive(nn.Module):
    def __init__(self, bare=False):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(64, 10)
        if bare:
            self.token = nn.Parameter(torch.randn(8))

    def forward(self, images):
        rows = images.flatten(1, 2)
        return self.last(self.attention(rows, rows, rows)[0].flatten(1))


def test_attention_is_drawn_from_the_seed_and_bare_parameters_are_told(capsys):
    made = [make(Attentive(), Choice(name="default"), (1, 8, 8), 10, seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not torch.equal(made[0]["attention.in_proj_weight"], made[2]["attention.in_proj_weight"])
    assert capsys.readouterr().err == ""
    make(Attentive(bare=True), Choice(name="default"), (1, 8, 8), 10, 0)
    assert "the module's token keeps the values given, with every seed" in capsys.readouterr().err
    make(lambda: Attentive(bare=True), Choice(name="default"), (1, 8, 8), 10, 0)
    assert capsys.readouterr().err == ""


def test_a_run_that_diverged_at_once_is_opened_although_it_has_no_best_epoch(tmp_path):
    rate = {"name": "sgd", "learning_rate": 1e30}
    wild = {
        **QUICK, "model": {"name": "autoencoder", "widths": [8]}, "protocol": {"select": "best"},
        "training": {**QUICK["training"], "loss": "reconstruction", "optimizer": rate},
    }  # fmt: skip
    run = cl.train(wild, out=tmp_path, verbose=False)
    assert run.status == "diverged"
    (run.path / store.BEST).unlink()
    assert run.model() is not None and run.report().is_file()
    classifier = {"name": "encoder_classifier", "widths": [8], "hidden": [4], "encoder": str(run.path)}
    assert cl.train({**QUICK, "name": "after", "model": classifier}, out=tmp_path, verbose=False).summary["epochs"] == 2


def test_a_variant_s_name_with_a_colon_is_no_code(tmp_path):
    faster = {"name": "rate: 0.2", "set": {"training.optimizer.learning_rate": 0.2}}
    study = {"name": "two", "experiment": QUICK, "seeds": 1, "sweep": {"variants": [{"name": "rate: 0.1"}, faster]}}
    path = cl.study(study, out=tmp_path, verbose=False).path
    assert "rate: 0.2" in "".join(cl.load_study(path).sentences())


def test_a_study_reads_each_run_that_has_ended_once(tmp_path, monkeypatch):
    read = []
    real = results.row

    def row(folder, *more):
        read.extend([folder.name] if (folder / store.SUMMARY).exists() else [])
        return real(folder, *more)

    monkeypatch.setattr(results, "row", row)
    loaded = []
    whole = forecast._dataset.__wrapped__
    forecast._dataset.cache_clear()
    monkeypatch.setattr(forecast, "_dataset", _cached(whole, loaded))
    study = {"name": "ten", "experiment": QUICK, "seeds": 5, "sweep": {"grid": {"training.batch_size": [16, 32]}}}
    cl.study(study, out=tmp_path, jobs=1, verbose=False)
    assert len(loaded) == 1
    assert len(read) <= 10 * 4  # at its end, and for the results


def _cached(load, loaded):
    import functools

    @functools.lru_cache(maxsize=1)
    def cached(data, fetch):
        loaded.append(json.loads(data)["dataset"]["name"])
        return load(data, fetch)

    return cached


def test_a_download_that_never_ends_is_ended(tmp_path, monkeypatch):
    import http.server
    import threading

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"0" * 65_536)
            except OSError:
                pass

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = origins.Web(f"http://127.0.0.1:{server.server_port}/", ("file",), 1_000_000)
        with pytest.raises(origins.OriginFailed, match=r"sends more than the 2,000,000 bytes"):
            place.get(tmp_path)
        server.shutdown()
    assert (tmp_path / "file").stat().st_size < 4_000_000
