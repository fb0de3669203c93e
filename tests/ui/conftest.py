"""A page on a port of its own, and a way to ask it that sends exactly the headers it is given."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest

import classlab as cl

QUICK = {
    "name": "quick",
    "data": {"dataset": "digits", "val_size": 200, "augmentations": [{"name": "rotate", "degrees": 10}]},
    "model": {"name": "perceptron", "widths": [16]},
    "training": {"epochs": 3, "batch_size": 64, "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}},
    "contract": {"max_parameters": 20000, "min_test_accuracy_percent": 50},
}


class Page:
    """A page that is served. port: where. token: what opens it."""

    def __init__(self, port, token, lab):
        self.port, self.token, self.lab = port, token, lab
        self.host = f"127.0.0.1:{port}"
        self.cookie = ""
        _, headers, _ = self.ask("/?token=" + token)
        self.cookie = headers["set-cookie"].partition(";")[0]

    @property
    def address(self):
        return f"http://{self.host}"

    def ask(self, path, method="GET", headers=None, body=None, cookie=None, host=None, timeout=60):
        """Return status, headers by lowercase name, and the body. headers: beside Host and the cookie."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self.host if host is None else host)
        cookie = self.cookie if cookie is None else cookie
        sent = {**({"Cookie": cookie} if cookie else {}), **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Length", str(len(body)))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        stream = found.get("content-type", "").startswith("text/event-stream") and response.status == 200
        content = b"" if stream else response.read()
        connection.close()
        return response.status, found, content

    def json(self, path, body=None):
        """Return the status and the document of a question; with a body it is sent as the page's scripts do."""
        given = {"Content-Type": "application/json", "Origin": self.address, "Sec-Fetch-Site": "same-origin"}
        content = None if body is None else json.dumps(body).encode()
        status, _, text = self.ask(path, "GET" if body is None else "POST", given if body is not None else {}, content)
        return status, json.loads(text)


@contextmanager
def served(folders, port=0, token="t" * 43, **options):
    """Serve the page of some folders from a thread while the block lasts."""
    from classlab.ui import serving
    from classlab.ui.server import application

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    number = listening.getsockname()[1]
    app = application(folders, token, number, **options)
    server = serving.server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Page(number, token, app.state.lab)
    finally:
        app.state.lab.watch.ending = True
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Two finished runs and one that diverged, in runs, and a small study, in studies."""
    home = tmp_path_factory.mktemp("lab")
    for seed in (0, 1):
        cl.train(QUICK, seed=seed, out=home / "runs", verbose=False)
    wild = {**QUICK, "training": {**QUICK["training"], "optimizer": {"name": "sgd", "learning_rate": 1e9}}}
    cl.train(wild, seed=0, out=home / "runs", verbose=False)
    study = {
        "name": "rates", "question": "Which rate?", "experiment": QUICK, "seeds": 2, "place": "one by one",
        "sweep": {"grid": {"training.optimizer.learning_rate": [0.1, 0.03]}},
    }  # fmt: skip
    cl.study(study, out=home / "studies", jobs=1, verbose=False)
    return home


@pytest.fixture(scope="session")
def page(folders):
    with served([folders / "runs", folders / "studies"]) as opened:
        yield opened


@pytest.fixture(scope="session")
def run(folders):
    """The folder of a finished run."""
    return next(path.parent for path in sorted((folders / "runs").rglob("calibration.safetensors")))


@pytest.fixture(scope="session")
def study(folders):
    """The folder of the study."""
    return folders / "studies" / "rates"
