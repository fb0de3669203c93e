"""Nobody else gets in: no route without the token, no foreign name, no foreign page, no path, nothing executed."""

import json
import random
import shutil
import socket
import subprocess
import sys

import pytest

from classlab.ui.listing import key_of
from classlab.ui.server import ROUTES
from classlab.ui.views import STATIC
from tests.ui.conftest import served

PATHS = {"key": "0123456789abcdef", "kind": "run", "name": "digits"}


def path_of(route, **given):
    return route.path.format(**{**PATHS, **given})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_no_route_answers_without_the_token(page, route):
    method = "POST" if "POST" in route.methods else "GET"
    for cookie in ("", f"classlab-{page.port}=wrong", f"classlab-{page.port}={page.token}", f"other={page.token}"):
        for path in (path_of(route), path_of(route) + "?token=wrong", path_of(route) + "?token="):
            status, headers, content = page.ask(path, method, cookie=cookie or "none=1", body=b"{}")
            assert status == 401, (path, cookie)
            assert "set-cookie" not in headers and len(content) < 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/static/frame.js", "/static/../../../etc/passwd", "/docs", "/openapi.json"]
)
def test_what_is_no_route_needs_the_token_too(page, path):
    assert page.ask(path, cookie="none=1")[0] == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(page):
    status, headers, _ = page.ask(f"/compare?run=a&token={page.token}&run=b", cookie="none=1")
    assert status == 303 and headers["location"] == "/compare?run=a&run=b"
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and "Path=/" in cookie
    assert page.token not in cookie
    status, headers, _ = page.ask(f"//evil.example/?token={page.token}", cookie="none=1")
    assert status == 303 and headers["location"] == "/evil.example/"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "evil.example:8642",
        "",
        "127.0.0.1:",
        "[::1",
        "localhost:99999999",
        "127.0.0.1:80@evil.example",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "[::ffff:7f00:1]",
        "localhost.",
    ],
)
def test_a_foreign_host_is_turned_away_whatever_it_knows(page, host):
    assert page.ask("/", host=host)[0] in (400, 403)
    assert page.ask(f"/?token={page.token}", host=host)[0] in (400, 403)
    assert "set-cookie" not in page.ask(f"/?token={page.token}", host=host)[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost:80", "[::1]", "[::1]:8642", "127.0.0.1:65535"])
def test_the_names_of_this_machine_are_let_in(page, host):
    assert page.ask("/", host=host)[0] == 200


def test_host_comes_before_the_token(page):
    assert page.ask("/", host="evil.example", cookie="none=1")[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "nonsense"},
    ],
    ids=str,
)
def test_another_sites_page_changes_nothing(page, headers):
    for route in ROUTES:
        if "POST" in route.methods:
            assert page.ask(path_of(route), "POST", headers, b"{}")[0] == 403, route.path


def test_another_sites_page_reads_nothing(page):
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
    ):
        assert page.ask("/api/runs", headers=headers)[0] == 403
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert page.ask("/", headers=followed)[0] == 200
    status, headers, _ = page.ask("/api/runs")
    assert status == 200 and headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


def test_the_policy_lets_no_foreign_source_in(page):
    for path in ("/", "/api/runs", "/static/frame.js", "/nothing", "/lesson"):
        _, headers, _ = page.ask(path)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';") and "unsafe-eval" not in policy
        assert "unsafe-inline" not in policy.replace("style-src-attr 'unsafe-inline'", "" if path == "/lesson" else "!")
        assert "http" not in policy and "*" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


TRAVERSALS = [
    "/static/../server.py",
    "/static/..%2f..%2fserver.py",
    "/static/%2e%2e/%2e%2e/pyproject.toml",
    "/static/....//server.py",
    "/run/..%2f..%2f..%2fetc",
    "/run/../../../../etc/passwd",
    "/report/run/..%2f..%2f",
    "/report/run/%2fetc%2fpasswd/file",
    "/api/run/..%5c..%5c/curves?metric=loss",
    "/api/study/../../etc/passwd",
    "/api/sections/run/%00",
    "/static/%00",
    "/api/dataset/..%2f..%2fetc",
    "/api/form/..%2f..%2fsecret.yaml",
    "/api/form/%2fetc%2fpasswd",
    "/events/rows?run=../../etc",
    "/static/page.css%00.js",
    "//etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/api/comparison?run=/etc/passwd&run=..",
    "/lesson?like=../../../etc/passwd",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_path_reaches_nothing(page, folders, path):
    (folders / "secret.yaml").write_text("name: root:x:0:0\n")
    status, _, content = page.ask(path)
    assert status in (200, 400, 404, 422), content
    assert b"root:" not in content and b"import" not in content.replace(b"important", b"")


def test_only_the_listed_files_are_static(page):
    assert all(page.ask(f"/static/{name}")[0] == 200 for name in STATIC)
    for name in ("server.py", "shell.html", "__init__.py", "PAGE.CSS", "page.css/"):
        assert page.ask(f"/static/{name}")[0] == 404


def test_links_lead_nowhere(tmp_path, run):
    outside, home = tmp_path / "outside", tmp_path / "home"
    shutil.copytree(run, outside / "quick" / "s7-aaaaaaaa")
    home.mkdir()
    (home / "linked").symlink_to(outside)
    shutil.copytree(run, home / "quick" / "s8-bbbbbbbb")
    metrics = home / "quick" / "s8-bbbbbbbb" / "metrics.csv"
    metrics.unlink()
    metrics.symlink_to(outside / "quick" / "s7-aaaaaaaa" / "metrics.csv")
    with served([home]) as page:
        status, runs = page.json("/api/runs")
        assert status == 200 and [found["name"] for found in runs] == ["quick/s8-bbbbbbbb"]
        assert "metrics.csv" in runs[0]["problem"] and "is a link" in runs[0]["problem"] and not runs[0]["done"]
        key = runs[0]["key"]
        for path in (
            f"/api/run/{key}/curves?metric=loss&epochs=3",
            f"/api/sections/run/{key}",
            f"/api/comparison?run={key}",
        ):
            status, answer = page.json(path)
            assert status == 422 and "is a link, and this page reads nothing through links" in answer["sentence"]
        other = key_of(outside / "quick" / "s7-aaaaaaaa")
        assert page.ask(f"/run/{other}")[0] == 404


CODE = "import pathlib\npathlib.Path({trace!r}).write_text('ran')\n\n\ndef build(*given):\n    raise SystemExit\n"
CHANGES = {
    "code of a model": ("  name: perceptron", "  name: '{source}:build'"),
    "images of a folder": ("    name: digits", "    name: folder\n    path: {folder}"),
    "a contract in a file": ("contract:", "description2: x\ncontract: {folder}/secret.yaml\nold:"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_nothing_that_a_folder_names_is_run_or_read(tmp_path, run, what):
    trace, source = tmp_path / "trace", tmp_path / "evil.py"
    source.write_text(CODE.format(trace=str(trace)))
    (tmp_path / "secret.yaml").write_text("root-secret: 1\n")
    copy = tmp_path / "runs" / "quick" / "s9-cccccccc"
    shutil.copytree(run, copy)
    file, (old, new) = copy / "experiment.yaml", CHANGES[what]
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new.format(source=source, folder=tmp_path), 1))
    with served([tmp_path / "runs"]) as page:
        key = key_of(copy)
        assert page.ask(f"/run/{key}")[0] == 200
        for path in (f"/api/sections/run/{key}", f"/api/run/{key}/images", f"/report/run/{key}"):
            status, _, content = page.ask(path)
            assert status == 422, content
            assert b"--trust" in content and b"root-secret" not in content
        drawing = {"run": key, "picture": None, "index": 3}
        status, answer = page.json("/api/inside", drawing)
        assert status == 422 and "--trust" in answer["sentence"]
    assert not trace.exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": "evil.py:build"}, "takes code from evil.py:build"),
        ({"contract": "/etc/passwd"}, "takes its contract from the file"),
        ({"training.epochs": "0"}, "training.epochs must be at least 1; got 0"),
        ({"trainin.epochs": "3"}, "did you mean training"),
    ],
)
def test_the_command_builder_runs_and_reads_nothing(page, settings, sentence):
    asked = {"experiment": "digits-quick", "settings": settings, "seeds": 1, "first_seed": 0, "report": False}
    status, answer = page.json("/api/command", asked)
    assert status == 422 and sentence in answer["sentence"]


def test_the_server_loads_no_torch(page):
    code = (
        "import sys; from pathlib import Path; from classlab.ui.server import application;"
        "application([Path('runs')], 't' * 43, 1);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'altair', 'pandas', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Generated requests.

PIECES = [
    "..",
    "%2e%2e",
    "%2f",
    "%00",
    "%ff%fe",
    "etc",
    "passwd",
    "run",
    "study",
    "static",
    "api",
    "events",
    "rows",
    "report",
    "file",
    "0123456789abcdef",
    "a" * 300,
    "{key}",
    "\u00e9",
    "%u0041",
    "'",
    '"',
    "<script>",
    "?",
    "#",
    ";",
    "\\",
    "curves",
    "images",
    "form",
    "digits",
    "digits-quick",
    "page.css",
    "-1",
    "1e9",
    "null",
    "%0d%0aSet-Cookie:x=1",
    " ".replace(" ", "%20"),
    "__proto__",
    "token",
]
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**70,
    1e308,
    "",
    "x" * 5000,
    "\u0000",
    [],
    {},
    [[]] * 50,
    {"a": {"b": []}},
    "NaN",
    "0.5",
    "../x",
]
NAMES = [
    "run",
    "picture",
    "index",
    "variants",
    "metric",
    "epochs",
    "dataset",
    "choices",
    "seed",
    "experiment",
    "settings",
    "seeds",
    "first_seed",
    "report",
]


def generated(number, keys):
    """Return the number-th request: method, path, headers, body, cookie or None for the right one."""
    draw = random.Random(number)
    route = draw.choice(ROUTES)
    known = draw.choice(keys)
    path = path_of(route, key=draw.choice([known, known, "nothing"]), kind=draw.choice(["run", "study", "x"]))
    if draw.random() < 0.4:
        path = "/" + "/".join(draw.choice(PIECES) for _ in range(draw.randint(1, 5))).replace("{key}", known)
    if draw.random() < 0.5:
        path += "?" + "&".join(
            f"{draw.choice([*NAMES, 'after', 'from', 'kind', 'like', 'run'])}={draw.choice([known, *PIECES])}"
            for _ in range(draw.randint(1, 4))
        )
    headers = {}
    for name, values in {
        "Origin": ["http://evil", "null", ""],
        "Sec-Fetch-Site": ["cross-site", "none", "?"],
        "Content-Length": ["-1", "99999999999", "x"],
        "Last-Event-ID": ["9,9", "x" * 2000, "-1"],
        "Content-Type": ["text/plain", "application/json"],
        "Range": ["bytes=0-5"],
        "Transfer-Encoding": ["nonsense"],
        "Accept": ["*/*"],
        "X-Forwarded-Host": ["evil"],
        "Expect": ["100-continue"],
    }.items():
        if draw.random() < 0.12:
            headers[name] = draw.choice(values)
    method = draw.choice(
        [*route.methods, *route.methods, "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"]
    )
    body = None
    if draw.random() < 0.7 and method not in ("GET", "HEAD"):
        document = {name: draw.choice([known, *VALUES]) for name in draw.sample(NAMES, draw.randint(0, len(NAMES)))}
        body = json.dumps(document).encode()
        damage = draw.random()
        body = (
            body[: len(body) // 2]
            if damage < 0.1
            else b"\xff\x00" + body
            if damage < 0.2
            else b"[" * 5000
            if damage < 0.25
            else body
        )
    return method, path.encode("ascii", "ignore").decode(), headers, body, draw.choice([None, None, None, "none=1"])


def status_of(page, method, path, headers, body, cookie):
    """Return the status of a request that http.client might refuse to send; 0 where the connection was closed."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {page.host}", f"Cookie: {cookie or page.cookie}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None and "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection(("127.0.0.1", page.port), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + (body or b""))
        if "Content-Length" in headers:  # it may wait for bytes that never come
            connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
        return (int(answer.split()[1]) if answer else 0), answer


def test_generated_requests_find_no_hole(page, folders, run, study):
    (folders / "secret.txt").write_text("root-secret")
    keys = [key_of(run), key_of(study)]
    for number in range(500):
        request = generated(number, keys)
        status, answer = status_of(page, *request)
        assert status < 500, (number, request, answer[:500])
        assert b"root-secret" not in answer and b"Traceback" not in answer, (number, request)
        if request[4]:
            assert status in (0, 400, 401, 403, 405, 414), (number, request, answer[:200])
    assert page.json("/api/runs")[0] == 200


def test_a_name_that_is_no_text_and_a_record_that_is_strange_end_nothing(tmp_path, run):
    import os

    odd = os.fsencode(tmp_path) + b"/odd\xff\x1b[31m"
    shutil.copytree(os.fsencode(run), odd + b"/s0-aaaaaaaa")
    strange = tmp_path / "strange" / "s1-bbbbbbbb"
    shutil.copytree(run, strange)
    (strange / "metrics.csv").write_text("epoch,train_loss,learning_rate,seconds\n" + "1,1e400,0.1,1\n")
    (strange / "environment.json").write_text("[" * 5000)
    (strange / "summary.json").write_text('{"contract": {"passed": true}}')
    with served([tmp_path]) as page:
        status, runs = page.json("/api/runs")
        assert status == 200 and len(runs) == 2
        assert any("\\x1b" in found["name"] and "\x1b" not in found["name"] for found in runs)
        assert page.ask("/studies")[0] == 200 and page.json("/api/studies") == (200, [])
        for found in runs:
            assert page.ask(f"/run/{found['key']}")[0] == 200
            assert page.ask(f"/api/sections/run/{found['key']}")[0] in (200, 422)
