"""What the files of a run folder hold: one typed record for each, so that a damaged or forged file gets one sentence.

A record is checked when it is read, and handed on as plain data. Keys that a record does not name are kept as they are:
a later version may have written them.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic reads typing's own from Python 3.12 on
    TypeVar,
)

import pydantic
from pydantic import Field
from typing_extensions import TypedDict

from classlab import files, limits
from classlab.errors import UserError
from classlab.plain_text import on_a_line, printable
from classlab.validation import FILE_BELOW, sentence

T = TypeVar("T")
Count = Annotated[int, Field(ge=0, le=limits.SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]{1,3})?|mps)$")]
Text = Annotated[str, Field(max_length=4000)]


# Nothing is converted, no number is infinite, and keys that are not known are kept.
OPEN = pydantic.ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
CLOSED = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@pydantic.with_config(OPEN)
class CheckRecord(TypedDict):
    """One limit of a contract as it was judged, see contract.Check."""

    rule: Text
    limit: float | Text
    measured: NotRequired[float | Text | None]
    passed: bool
    sentence: Text
    margin: NotRequired[float | None]


@pydantic.with_config(OPEN)
class ContractRecord(TypedDict):
    """The contract as it was judged. open: rules that several runs decide together. not_judged: set for another run."""

    passed: bool
    checks: list[CheckRecord]
    open: NotRequired[list[Text]]
    not_judged: NotRequired[list[Text]]


@pydantic.with_config(OPEN)
class Summary(TypedDict):
    """summary.json: what a run came to. Losses are None where they were not finite.

    A run that has not finished has no summary.json; runs.finished says of it what is known, with fewer keys.
    """

    run: Text
    experiment: Text
    seed: Count
    status: Literal["finished", "diverged", "did_not_learn"]
    status_sentence: Text
    parameters: Count
    multiply_adds: NotRequired[Count | None]
    epochs: Count
    selected_epoch: Count
    validated_on: NotRequired[Text | None]
    train_loss: NotRequired[float | None]
    train_accuracy: NotRequired[Share | None]
    val_loss: NotRequired[float | None]
    val_accuracy: NotRequired[Share | None]
    val_correct: NotRequired[Count | None]
    val_total: NotRequired[Count | None]
    test_loss: float | None
    test_accuracy: Share | None
    test_correct: NotRequired[Count | None]
    test_total: NotRequired[Count | None]
    test_interval: Annotated[list[Share], Field(min_length=2, max_length=2)] | None
    temperature: NotRequired[float | None]
    seconds: Seconds
    contract: ContractRecord
    imported: NotRequired[Text]  # the file that the weights come from, which were not trained here


@pydantic.with_config(CLOSED)
class SettingsRecord(TypedDict):
    """How the arithmetic of a run was done, see training.settings.Settings."""

    device: Device
    precision: Literal["fp32", "bf16", "fp64"]
    channels_last: bool
    threads: Annotated[int, Field(ge=1, le=1024)]
    compiled: NotRequired[bool]
    native: NotRequired[Text]
    native_evaluation: NotRequired[Text]


@pydantic.with_config(OPEN)
class DatasetRecord(TypedDict):
    """Which images a run was made with."""

    name: Text
    digest: Text
    source: Text


@pydantic.with_config(OPEN)
class NormaliseRecord(TypedDict):
    """The fixed normalisation, per channel."""

    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


Below = Annotated[str, Field(pattern=FILE_BELOW, max_length=limits.PATH)]


@pydantic.with_config(OPEN)
class CopyRecord(TypedDict):
    """A file of the reader's own that a run keeps, see runs.copied_code. digests: SHA-256, of its neighbours too."""

    folder: Annotated[str, Field(pattern=r"^([0-9]{1,3})?$")]
    file: Below
    digests: dict[Below, Text]


@pydantic.with_config(OPEN)
class ImportRecord(TypedDict):
    """Where weights come from that were not trained here, see runs.imported."""

    file: Text
    sha256: Text
    names: NotRequired[Text]


@pydantic.with_config(OPEN)
class Environment(TypedDict):
    """environment.json: with what a run was made."""

    seed: Count
    given_in_python: list[Literal["model", "data"]]
    settings: SettingsRecord
    step: NotRequired[str]
    input_shape: Annotated[list[Annotated[int, Field(ge=1, le=100_000)]], Field(min_length=3, max_length=3)]
    classes: Annotated[int, Field(ge=1, le=1_000_000)]
    class_names: list[Text]
    dataset: DatasetRecord
    normalise: NormaliseRecord
    epoch_images: NotRequired[Count]  # that an epoch trains on, every copy counted; earlier versions did not note it
    code: NotRequired[dict[str, str]]
    copies: NotRequired[dict[str, CopyRecord]]
    imported: NotRequired[ImportRecord]
    started_from: NotRequired[Text]  # the SHA-256 of the weights taken over from another run
    python: NotRequired[Text | None]
    torch: NotRequired[Text | None]
    platform: NotRequired[Text | None]
    processor: NotRequired[Text | None]
    cores: NotRequired[Count | None]
    gpu: NotRequired[Text | None]


@pydantic.with_config(OPEN)
class Split(TypedDict):
    """split.json: the indices of the training and validation images, and how many test images there are."""

    digest: Text
    train: list[Count]
    val: list[Count]
    test: Count


def figure(summary: Mapping[str, Any], name: str) -> float | None:
    """Return the number that a summary has under a name: test_accuracy, val_loss; None where it has none."""
    value = summary.get(name)
    return value if isinstance(value, int | float) else None


def read_summary(file: Path) -> Summary:
    """Return summary.json. Raises UserError for a damaged or contradictory one, and MissingFile without a file."""
    summary = read(file, Summary)
    if (summary["test_accuracy"] is None) != (summary["test_interval"] is None):
        raise UserError(f"{file}: test_accuracy and test_interval stand together or not at all")
    if summary["status"] == "finished" and summary["test_accuracy"] is None and summary["test_loss"] is None:
        raise UserError(f"{file}: a finished run has a test accuracy or a test loss")
    if summary["test_accuracy"] is not None and (summary.get("test_correct") or 0) > (summary.get("test_total") or 0):
        raise UserError(f"{file}: test_correct must be at most test_total")
    return summary


def read_environment(file: Path) -> Environment:
    """Return environment.json. Raises UserError for a damaged or contradictory one, and MissingFile without a file."""
    found = read(file, Environment)
    if len(found["class_names"]) != found["classes"]:
        names = f"class_names must be {found['classes']} names, as classes says; got {len(found['class_names'])}"
        raise UserError(f"{file}: {names}")
    channels, normalise = found["input_shape"][0], found["normalise"]
    for name, values in (("mean", normalise["mean"]), ("std", normalise["std"])):
        if len(values) != channels:
            raise UserError(f"{file}: normalise.{name} must be {channels} numbers, one a channel; got {len(values)}")
    return found


def read_split(file: Path) -> Split:
    """Return split.json. Raises UserError for a damaged one, and MissingFile without a file."""
    return read(file, Split, limits.SPLIT_BYTES)


def read(path: Path, record: type[T], most: int = limits.RECORD_BYTES) -> T:
    """Return a JSON file that holds such a record as plain data. Raises UserError, and MissingFile without a file."""
    document = read_object(path, most)
    try:
        return _validator(record).validate_python(document)
    except pydantic.ValidationError as error:
        raise UserError(f"{path}: {sentence(error, record, 'it')}") from None
    except RecursionError:
        raise UserError(f"{path} cannot be read: it is nested too deep") from None


@functools.cache
def _validator(record: type[T]) -> pydantic.TypeAdapter[T]:
    return pydantic.TypeAdapter(record)


def read_object(path: Path, most: int = limits.RECORD_BYTES) -> dict[str, Any]:
    """Return a JSON file that holds an object, its texts printable. Raises UserError, and MissingFile."""
    try:
        document = _printable(json.loads(files.read_text(path, most), parse_constant=_refuse_constant))
    except files.MissingFile:
        raise files.MissingFile(f"{path.parent} has no {path.name}: that is not a whole run folder") from None
    except RecursionError:
        raise UserError(f"{path} cannot be read: it is nested too deep") from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {on_a_line(str(error))[:200]}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path} must hold a JSON object")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _printable(value: Any) -> Any:
    """Return the document with every text as plain_text.printable shows it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(part) for part in value]
    if isinstance(value, dict):
        return {printable(key): _printable(part) for key, part in value.items()}
    return value
