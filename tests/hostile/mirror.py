"""A mirror of MNIST's plain address, slow enough that a kill can come while it is fetched; asked as a proxy is.

`python -m tests.hostile.mirror FOLDER` says where it listens, or an empty line where FOLDER's cache holds no MNIST to
serve, and ends when standard input does.
"""

import http.server
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import forms

PIECE = 500_000  # bytes
SECONDS_BETWEEN = 0.01


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves files by the last step of whatever address is asked for."""

    files: dict[str, bytes] = {}  # noqa: RUF012 - the same for all requests

    def do_GET(self) -> None:
        """Send a file piece by piece."""
        content = self.files.get(re.sub(r".*/", "", self.path), b"")
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            for start in range(0, len(content), PIECE):
                self.wfile.write(content[start : start + PIECE])
                time.sleep(SECONDS_BETWEEN)
        except OSError:  # who asked was killed
            self.close_connection = True

    def log_message(self, *given: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until standard input ends."""
    folder = Path(sys.argv[1])
    cached = folder / "data" / "mnist.safetensors"
    if not cached.exists():
        print("", flush=True)
        return
    Mirror.files = _packed(folder / "idx", cached)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()


def _packed(place: Path, cached: Path) -> dict[str, bytes]:
    """Return MNIST's four files by name, packed, from the arrays in the cache."""
    from safetensors.numpy import load_file

    if not place.exists():
        arrays = load_file(cached)
        place.mkdir()
        forms.write_idx(place, [arrays[key] for key in ("images", "labels", "test_images", "test_labels")], packed=True)
    return {file.name: file.read_bytes() for file in place.iterdir()}


if __name__ == "__main__":
    main()
