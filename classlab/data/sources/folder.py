"""The reader's own pictures: a folder with one folder of pictures for each class."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from classlab.data.dataset import Dataset, statistics_of
from classlab.data.pictures import SUFFIXES, Background, Fit, read_picture
from classlab.data.reading import BadFile, say
from classlab.data.splits import split
from classlab.errors import UserError, did_you_mean, listing
from classlab.progress import progress

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

    Classes are in the order of their names, files in the order of their paths.
    size: pixels of a side, or [height, width]; needed unless all pictures have one size.
    fit: how a picture of another shape gets there (crop its middle, pad with background, stretch).
    channels: 1 or 3; None takes 1 where no picture has a coloured pixel.
    background: what shows through transparent places.
    unreadable: files that are no whole pictures are named, counted and skipped, or refused.
    test_share: of every class, where there is no folder test.
    Raises UserError.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UserError(f"there is no folder {root} of pictures")
    sides = None if size is None else (size, size) if isinstance(size, int) else (size[0], size[1])
    train, test = _folders(root)
    names = _class_names(train)
    files = [*_files(train, names, False), *(_files(test, names, True) if test else [])]
    pictures = _read(root, files, lambda file: read_picture(file, sides, fit, background), unreadable == "refuse")
    images = _stacked([picture for picture, _ in pictures], channels)
    labels = np.array([file.label for _, file in pictures], np.int64)
    held_out = np.array([file.test for _, file in pictures], bool)
    _check_every_class(root, names, labels[~held_out])
    if test is None:
        held_out[split(labels, test_share, seed=0, stratified=True, option="test_share")[1]] = True
    mean, std = statistics_of(images[~held_out])
    return Dataset(
        name=root.resolve().name,
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
    if not train.is_dir():
        return root, None
    for other in ("val", "valid", "validation"):
        if (root / other).is_dir():
            say(f"{root / other} is left out: images for validation are held out of train by data.val_size")
    return train, test if test.is_dir() else None


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(place.name for place in folder.iterdir() if place.is_dir() and not place.name.startswith(".")))
    if len(names) < 2:
        held = listing(names) or "none"
        raise UserError(f"{folder} must hold a folder of pictures for each of at least two classes; it holds {held}")
    return names


def _files(folder: Path, names: tuple[str, ...], test: bool) -> list[_File]:
    """Return the picture files of each class."""
    strange = sorted({place.name for place in folder.iterdir() if place.is_dir()} - set(names))
    strange = [name for name in strange if not name.startswith(".")]
    if strange:
        raise UserError(
            f"{folder} holds the class {strange[0]!r}, which train does not{did_you_mean(strange[0], names)}"
        )
    found: list[_File] = []
    others = 0
    for label, name in enumerate(names):
        for file in sorted((folder / name).rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                if file.suffix.lower() in SUFFIXES:
                    found.append(_File(file, label, test))
                else:
                    others += 1
    if others:
        say(f"{folder}: {others:,} file{'s' * (others > 1)} left out, not named as pictures are")
    return found


def _read(
    root: Path, files: Sequence[_File], read: Callable[[Path], np.ndarray], refuse: bool
) -> list[tuple[np.ndarray, _File]]:
    """Read the files; name and count those that are no whole pictures."""
    from rich.markup import escape

    pictures, bad = [], []
    with progress(escape(f"reading {root}"), len(files), "images") as advance:
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
            if pictures and picture.shape != pictures[0][0].shape:
                first, other = (f"{shape[0]} × {shape[1]}" for shape in (pictures[0][0].shape, picture.shape))
                raise UserError(
                    f"the pictures in {root} differ in size ({pictures[0][1].path} is {first}, {file.path} {other}); "
                    "give data.dataset.size, for example 32"
                )
            pictures.append((picture, file))
    if bad:
        more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
        say(f"{root}: {len(bad):,} of {len(files):,} pictures left out: {'; '.join(bad[:NAMED])}{more}")
    return pictures


def _stacked(pictures: Sequence[np.ndarray], channels: int | None) -> np.ndarray:
    """Return the pictures as uint8 (count, channels, height, width). The luma is that of ITU-R BT.601, as in Pillow."""
    if not pictures:
        return np.empty((0, channels or 1, 1, 1), np.uint8)
    images = np.stack([picture.transpose(2, 0, 1) for picture in pictures])
    grey = all((picture[..., :1] == picture[..., 1:]).all() for picture in pictures)
    if channels == 3 or (channels is None and not grey):
        return images
    if grey:
        return images[:, :1].copy()
    luma = np.array([299, 587, 114])
    return np.stack([np.tensordot(luma, image, 1) // 1000 for image in images])[:, None].astype(np.uint8)


def _check_every_class(root: Path, names: tuple[str, ...], labels: np.ndarray) -> None:
    counts = np.bincount(labels, minlength=len(names))
    if counts.min() < 2:
        name = names[int(counts.argmin())]
        raise UserError(
            f"every class needs at least two pictures; {name!r} in {root} has {counts.min()} that can be read"
        )
