"""The reader's own pictures: a folder with one folder of pictures for each class."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from classlab import limits
from classlab.data.bounded_files import BadFile, at_home, is_folder
from classlab.data.dataset import Dataset, statistics_of
from classlab.data.pictures import Background, Fit, pictures_below, read_picture
from classlab.data.splits import split
from classlab.errors import UserError, did_you_mean, listing
from classlab.files import reason
from classlab.plain_text import on_a_line
from classlab.progress import progress
from classlab.terminal import say

Side = Annotated[int, Field(ge=1, le=4096)]
NAMED = 5  # unreadable files named in full; the others are counted


def load(
    path: str,
    size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)] | None = None,
    channels: Literal[1, 3] | None = None,
    fit: Fit = "crop",
    background: Background = "white",
    unreadable: Literal["skip", "refuse"] = "skip",
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2,
) -> Dataset:
    """Return the pictures in `path`/CLASS/…, or in `path`/train/CLASS/… and `path`/test/CLASS/….

    Classes are in the order of their folders' names, files in the order of their paths. Each class is called as its
    folder; a name that is not plain text is spelled in plain text.
    size: pixels of a side, or [height, width]; needed unless all pictures have one size.
    fit: how a picture of another shape gets there (crop its middle, pad with background, stretch).
    channels: 1 or 3; None takes 1 where no picture has a coloured pixel.
    background: what shows through transparent places.
    unreadable: files that are not complete images are named, counted and skipped, or refused.
    test_share: of every class, where there is no folder test.
    Raises UserError.
    """
    root = at_home(path)
    if not is_folder(root):
        raise UserError(f"there is no folder {root} of pictures")
    sides = None if size is None else (size, size) if isinstance(size, int) else (size[0], size[1])
    train, test = _folders(root)
    folders = _class_folders(train)
    names = _class_names(folders)
    files = [*_files(train, folders, False), *(_files(test, folders, True) if test else [])]
    pictures, files = _read(
        root, files, lambda file: read_picture(file, sides, fit, background), unreadable == "refuse"
    )
    images = _stacked(pictures, channels)
    labels = np.array([file.label for file in files], np.int64)
    held_out = np.array([file.test for file in files], bool)
    _check_every_class(root, names, labels[~held_out])
    if test is None:
        held_out[split(labels, test_share, seed=0, stratified=True, option="test_share")[1]] = True
    mean, std = statistics_of(images[~held_out])
    return Dataset(
        name=on_a_line(root.resolve().name),
        images=images[~held_out],
        labels=labels[~held_out],
        test_images=images[held_out],
        test_labels=labels[held_out],
        class_names=names,
        mean=mean,
        std=std,
        source=f"the folder {root}",
    )


class _File(NamedTuple):
    path: Path
    label: int
    test: bool


def _folders(root: Path) -> tuple[Path, Path | None]:
    """Return the folder of training pictures and, where the reader made one, that of test pictures."""
    train, test = root / "train", root / "test"
    if not is_folder(train):
        return root, None
    for other in ("val", "valid", "validation"):
        if is_folder(root / other):
            say(f"{root / other} is left out: images for validation are held out of train by data.val_size")
    return train, test if is_folder(test) else None


def _class_folders(folder: Path) -> list[str]:
    """Return the names of the folders of pictures, sorted."""
    folders = _folders_in(folder)
    if len(folders) < 2:
        held = listing(folders) or "none"
        raise UserError(f"{folder} must hold a folder of pictures for each of at least two classes; it holds {held}")
    return folders


def _folders_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as places:
            names = [place.name for place in places if not place.name.startswith(".")]
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be read: {reason(error)}") from None
    return sorted(name for name in names if is_folder(folder / name))


def _class_names(folders: Sequence[str]) -> tuple[str, ...]:
    """Return a name in plain text for each class; two folders of one such name get different numbers."""
    names: dict[str, str] = {}  # name -> folder
    taken = set(folders)
    for folder in folders:
        name = plain = on_a_line(folder)
        number = 1
        while name != folder and (name in taken or name in names):
            number += 1
            name = f"{plain} ({number})"
        names[name] = folder
    return tuple(names)


def _files(folder: Path, folders: Sequence[str], test: bool) -> list[_File]:
    """Return the picture files of each class."""
    strange = sorted(set(_folders_in(folder)) - set(folders))
    if strange:
        raise UserError(
            f"{folder} holds the class {strange[0]!r}, which train does not{did_you_mean(strange[0], folders)}"
        )
    files: list[_File] = []
    others = 0
    for label, name in enumerate(folders):
        if not is_folder(folder / name):  # of test pictures a class may have none
            continue
        pictures, rest = pictures_below(folder / name, say)
        files += [_File(file, label, test) for file in pictures if not file.name.startswith(".")]
        others += rest
    if others:
        say(f"{folder}: {others:,} file{'s' * (others > 1)} left out, not named as pictures are")
    return files


def _read(
    root: Path, files: Sequence[_File], read: Callable[[Path], np.ndarray], refuse: bool
) -> tuple[np.ndarray, list[_File]]:
    """Read the files; name and count those that are not complete images.

    Returns the pictures, uint8 (count, 3, height, width), and the file of each.
    """
    from rich.markup import escape

    pictures, whole, bad = np.empty((0, 3, 1, 1), np.uint8), list[_File](), list[str]()
    with progress(escape(f"reading {on_a_line(str(root))}"), len(files), "images") as advance:
        for file in files:
            try:
                picture = read(file.path)
            except BadFile as error:
                if refuse:
                    raise
                bad.append(str(error))
                continue
            finally:
                advance(1)
            if not whole:
                _check_room(root, len(files), picture.nbytes)
                pictures = np.empty((len(files), 3, *picture.shape[:2]), np.uint8)
            if picture.shape[:2] != pictures.shape[2:]:
                first, other = (f"{height} × {width}" for height, width in (pictures.shape[2:], picture.shape[:2]))
                raise UserError(
                    f"the pictures in {root} differ in size ({whole[0].path} is {first}, {file.path} {other}); "
                    "give data.dataset.size, for example 32"
                )
            pictures[len(whole)] = picture.transpose(2, 0, 1)
            whole.append(file)
    if bad:
        more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
        say(f"{root}: {len(bad):,} of {len(files):,} pictures left out: {'; '.join(bad[:NAMED])}{more}")
    return pictures[: len(whole)], whole


def _check_room(root: Path, count: int, each: int) -> None:
    if count * each > limits.ARRAYS_BYTES:
        raise UserError(
            f"the {count:,} pictures in {root} would take {count * each:,} bytes, and at most "
            f"{limits.ARRAYS_BYTES:,} are read; give data.dataset.size, for example 32"
        )


def _stacked(pictures: np.ndarray, channels: int | None) -> np.ndarray:
    """Return the pictures as uint8 (count, channels, height, width). The luma is that of ITU-R BT.601, as in Pillow."""
    grey = all((picture[:1] == picture[1:]).all() for picture in pictures)
    if channels == 3 or (channels is None and not grey):
        return pictures
    if grey:
        return pictures[:, :1].copy()
    luma = np.array([299, 587, 114])
    return np.stack([np.tensordot(luma, picture, 1) // 1000 for picture in pictures])[:, None].astype(np.uint8)


def _check_every_class(root: Path, names: tuple[str, ...], labels: np.ndarray) -> None:
    counts = np.bincount(labels, minlength=len(names))
    if counts.min() < 2:
        name = names[int(counts.argmin())]
        raise UserError(
            f"every class needs at least two pictures; {name!r} in {root} has {counts.min()} that can be read"
        )
