"""The command: an address on this machine alone, one token a user, and a page beside a run that trains."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from classlab.errors import UserError
from classlab.ui import serving

COMMAND = [sys.executable, "-P", "-m", "classlab.cli.main"]


def started(*arguments, home, cwd=None):
    """Start the page's command; return the process, its address and port."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), "DISPLAY": ""}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=cwd
    )
    for line in process.stderr if arguments[0] == "run" else process.stdout:
        found = re.search(r"the page is at (http://127\.0\.0\.1:(\d+)/\?token=([\w-]{40,}))$", line.strip())
        if found:
            return process, found[1], int(found[2])
    raise AssertionError("no address was printed")


def asked(port, path, cookie=""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    return answer.status, answer.getheader("Set-Cookie", ""), answer.read()


def test_the_command_prints_an_address_and_ctrl_c_ends_it_quietly(tmp_path, folders):
    process, address, port = started("ui", str(folders / "runs"), "--port", "0", "--no-browser", home=tmp_path)
    path = address.partition(str(port))[2]
    status, cookie, _ = asked(port, path)
    assert status == 303 and asked(port, "/")[0] == 401
    cookie = cookie.partition(";")[0]
    assert asked(port, "/", cookie)[0] == 200
    stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    stream.request("GET", "/events/runs", headers={"Cookie": cookie})
    assert stream.getresponse().status == 200  # a page is open
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130) and out == "" and "Ctrl-C ends it" in errors
    assert "Traceback" not in errors and "Error" not in errors and "ERROR" not in errors, errors
    kept = tmp_path / "classlab" / "ui-token"
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.read_text() in address


def test_a_token_is_kept_and_a_damaged_or_open_one_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "user_folder", lambda: tmp_path / "cache")
    first = serving.kept_token()
    assert serving.kept_token() == first and len(first) >= 40
    file = tmp_path / "cache" / "ui-token"
    file.chmod(0o644)  # somebody else may have read it
    second = serving.kept_token()
    assert second != first and file.stat().st_mode & 0o777 == 0o600
    file.write_text("short")
    third = serving.kept_token()
    assert third not in (first, second, "short")
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text("x" * 43)
    (tmp_path / "elsewhere").chmod(0o600)
    assert serving.kept_token() != "x" * 43 and not file.is_symlink()
    monkeypatch.setattr(serving, "user_folder", lambda: None)
    assert serving.kept_token() != serving.kept_token()


def test_only_this_machine_is_listened_for():
    listening = serving._listening(0)
    assert listening.getsockname()[0] == "127.0.0.1"
    with pytest.raises(UserError, match=r"the port \d+ is not available: .*; give another with --port"):
        serving._listening(listening.getsockname()[1])
    listening.close()


def test_what_is_missing_is_said_in_a_sentence(tmp_path, monkeypatch):
    done = subprocess.run([*COMMAND, "ui", str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "there is no folder" in done.stderr and "Traceback" not in done.stderr
    monkeypatch.setattr(serving, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(UserError, match=r"the page needs the package uvicorn; install classlab\[ui\]"):
        serving.check()


def test_a_run_trains_with_its_page_beside_it_and_takes_it_along_at_the_end(tmp_path):
    changes = ["--set", "contract={}", "--set", "training.epochs=3", "--set", "data.max_per_class=40"]
    process, address, port = started(
        "run", "digits-quick", "--ui", "--out", str(tmp_path / "runs"), *changes, home=tmp_path
    )
    assert asked(port, address.partition(str(port))[2])[0] == 303
    out, errors = process.communicate(timeout=250)
    assert process.returncode == 0 and "DONE" in out, errors
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            asked(port, "/")
        except OSError:
            break
        time.sleep(0.2)
    else:
        raise AssertionError("the page is still there")
