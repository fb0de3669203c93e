"""A published dataset's arrays from the first source that gives them, whatever its form: one digest decides."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from classlab import files
from classlab.data import cache
from classlab.data.bounded_files import BadFile, at_home, is_file
from classlab.data.dataset import Arrays, digest
from classlab.data.origins import Origin, OriginFailed
from classlab.errors import UserError
from classlab.terminal import say

_may_fetch = ContextVar("may_fetch", default=True)


class NotFetched(UserError):
    """A dataset is in no cache, and the network was not to be asked."""


@contextmanager
def offline() -> Iterator[None]:
    """Let no dataset be fetched while the block lasts: `obtain` raises NotFetched for one that would have to be."""
    token = _may_fetch.set(False)
    try:
        yield
    finally:
        _may_fetch.reset(token)


def obtain(
    name: str,
    known_digest: str,
    decode: Callable[[Path], Arrays],
    sources: Sequence[Origin],
    folder: str | None = None,
) -> tuple[Arrays, str]:
    """Return the images, labels, test images and test labels of a published dataset, and where they came from.

    Tried in turn: `folder` where the reader names one, the cache, then each of `sources`. What fails is reported in
    one line on standard error and the next is tried. Arrays whose SHA-256 is not `known_digest` are never taken.
    Raises UserError when nothing gave the dataset, and NotFetched where only a source could, but inside `offline`.
    """
    if folder is not None:
        try:
            return checked(decode(at_home(folder)), known_digest, folder), folder
        except BadFile as error:
            say(f"{name}: {error}; trying the cache next")
    places = cache.folders()
    cached = _from_cache(name, known_digest, places)
    if cached:
        return cached
    if not _may_fetch.get():
        raise NotFetched(f"{name} is not in the cache; `classlab data fetch {name}` brings it")
    home = cache.home()
    with cache.locked(home, name):
        if is_file(cache.file(home, name)):  # another process was faster, or it is damaged, which was reported
            cached = _from_cache(name, known_digest, [home], quiet=True)
            if cached:
                return cached
        arrays, source = _fetch(name, known_digest, decode, sources, home)
        cache.write(cache.file(home, name), arrays, source)
    return arrays, source


def checked(arrays: Arrays, known_digest: str, source: str) -> Arrays:
    """Return `arrays` when their SHA-256 is the known one. Raises BadFile otherwise."""
    if digest(*arrays) != known_digest:
        raise BadFile(f"{source} holds other images or labels than the known ones (their SHA-256 differs)")
    return arrays


def _from_cache(
    name: str, known_digest: str, folders: Sequence[Path], quiet: bool = False
) -> tuple[Arrays, str] | None:
    for path in (cache.file(folder, name) for folder in folders):
        if is_file(path):
            try:
                arrays, _ = cache.read(path, known_digest)
                return arrays, f"cache {path}"
            except BadFile as error:
                if not quiet:
                    say(f"{name}: {error}; fetching it again")
    return None


def _fetch(
    name: str, known_digest: str, decode: Callable[[Path], Arrays], sources: Sequence[Origin], home: Path
) -> tuple[Arrays, str]:
    """Try each source in a private folder beside the cache. The caller holds the lock: old leftovers are nobody's."""
    import shutil

    for leftover in home.glob(f".fetching-{name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in home.glob(f".{cache.file(home, name).name}.*{files.PART}"):
        with suppress(OSError):
            leftover.unlink()
    failures = []
    for source in sources:
        with cache.private_folder(home, f".fetching-{name}-") as private:
            try:
                with _progress(f"{name} from {source}", private, source.bytes):
                    folder = source.get(private)
                arrays = checked(decode(folder), known_digest, "it")
            except (OriginFailed, BadFile) as error:
                reason = str(error).replace(f"{private}/", "")
                failures.append(f"{source}: {reason}")
                say(
                    f"{name}: {source} failed ({reason})"
                    + (", trying the next source" if source != sources[-1] else "")
                )
                continue
        say(f"{name}: fetched from {source}")
        return arrays, str(source)
    raise UserError(
        f"{name} could not be fetched from any of its {len(sources)} sources ({'; '.join(failures)}); "
        f"a folder that holds its files can be named with data.dataset.folder"
    )


@contextmanager
def _progress(description: str, folder: Path, total: int) -> Iterator[None]:
    """Show how many bytes have come into `folder`, with the rate: the one measure that every kind of source shares."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from classlab.progress import followed
    from classlab.terminal import errors

    columns = (TextColumn("{task.description}"), BarColumn(30), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task(description, total=total)

        def look() -> None:
            bars.update(task, completed=min(total, _bytes_in(folder)))

        with followed(look, seconds_between=0.1):
            yield


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except OSError:  # gone again between the listing and the look
            continue
    return total
