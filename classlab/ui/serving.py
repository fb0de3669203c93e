"""Starting the page: on this machine alone, under an address whose token opens it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from classlab import files
from classlab.data.cache import user_folder
from classlab.errors import UserError
from classlab.terminal import console, say

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

HOST = "127.0.0.1"
PORT = 8642
TOKEN_BYTES = 200


def check() -> None:
    """Raise UserError where a package of the extra `ui` is missing."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UserError(f"the page needs the package {missing[0]}; install classlab[ui]")


def serve(folders: Sequence[Path], port: int | None = None, trust: bool = False, browser: bool = True) -> None:
    """Serve the page of some folders until Ctrl-C. port: None takes the usual one, or a free one where that is taken.

    Raises UserError where the port is taken, and where a package is missing.
    """
    check()
    from classlab.ui.server import application

    listening = _listening(port)
    number = listening.getsockname()[1]
    token = kept_token()
    address = f"http://{HOST}:{number}/?token={token}"
    console.print(f"the page is at {address}", soft_wrap=True, markup=False)
    say("Ctrl-C ends it; it changes and starts nothing")
    if browser and _has_display():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    app = application(folders, token, number, trust)
    with contextlib.suppress(KeyboardInterrupt):
        server(app).run(sockets=[listening])


def server(app: "Starlette") -> "uvicorn.Server":
    """Return the server of the page."""
    import uvicorn

    class Server(uvicorn.Server):
        """Ends the streams of open pages and the questions first: they would be waited for."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await app.state.lab.end()
            await super().shutdown(sockets)

    return Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, date_header=False, ws="none",
            loop="asyncio", http="h11", proxy_headers=False, timeout_graceful_shutdown=3, lifespan="on",
        )
    )  # fmt: skip


def _listening(port: int | None) -> socket.socket:
    """Return a socket on this machine's loopback. Raises UserError for a port that is taken."""
    for number in (PORT, 0) if port is None else (port,):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two programs have one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((HOST, number))
            made.listen(128)
            made.set_inheritable(False)
        except (OSError, OverflowError) as error:
            made.close()
            if port is not None:
                raise UserError(
                    f"the port {port} is not available: {files.reason(error)}; give another with --port"
                ) from None
            continue
        return made
    raise UserError("no port of this machine is free")


def kept_token() -> str:
    """Return the token of this user, made once and kept where only they can read it.

    It outlives the server, so that a page whose server was started again goes on. Where nothing can be kept it is new.
    """
    from classlab.ui.guard import new_token

    home = user_folder()
    if home is None:
        return new_token()
    file = home / "ui-token"
    try:
        token = files.read_text(file, TOKEN_BYTES).strip()
        private = os.name == "nt" or file.stat().st_mode & 0o077 == 0
        if len(token) >= 40 and private and not file.is_symlink():
            return token
    except (UserError, OSError):
        pass
    token = new_token()
    with contextlib.suppress(UserError, OSError):
        files.make_folder(home)
        file.unlink(missing_ok=True)
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "w") as opened:
            opened.write(token)
    return token


def _has_display() -> bool:
    if os.name == "nt" or sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextlib.contextmanager
def beside(folder: Path, wanted: bool) -> Iterator[None]:
    """Serve the page of a folder from a process of its own while the block lasts, so that training waits for no page.

    Afterwards the page stays until Ctrl-C where a person is at the terminal.
    """
    if not wanted:
        yield
        return
    check()
    files.make_folder(folder)
    command = [sys.executable, "-P", "-m", "classlab.cli.main", "ui", str(folder)]
    # Standard output is the run's. Ctrl-C while training must not end the page before what was kept is said.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, start_new_session=os.name != "nt")
    try:
        yield
        if sys.stderr.isatty() and child.poll() is None:
            say("the page stays until Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                child.wait()
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=5)
        if child.poll() is None:
            child.kill()
