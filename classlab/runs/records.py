"""What the files of a run folder hold: one typed record for each, so that a damaged or forged file gets one sentence.

A record is checked when it is read, and handed on as plain data. Keys that a record does not name are kept as they are:
a later version may have written them.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from classlab import files, limits
from classlab.errors import UserError
from classlab.experiment import sentence
from classlab.plain_text import on_a_line, printable

Count = Annotated[int, Field(ge=0, le=limits.SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]{1,3})?|mps)$")]
Text = Annotated[str, Field(max_length=4000)]


class Record(pydantic.BaseModel):
    """A JSON object with known types; nothing is converted, and no number is infinite."""

    model_config = pydantic.ConfigDict(strict=True, extra="allow", allow_inf_nan=False, protected_namespaces=())


class CheckRecord(Record):
    """One limit of a contract as it was judged, see contract.Check."""

    rule: Text
    limit: float | Text
    measured: float | Text | None = None
    passed: bool
    sentence: Text
    margin: float | None = None


class ContractRecord(Record):
    """The contract as it was judged. open: rules that several runs decide together."""

    passed: bool
    checks: list[CheckRecord]
    open: list[Text] = []


class Summary(Record):
    """summary.json: what a run came to. Losses are None where they were not finite."""

    run: Text
    experiment: Text
    seed: Count
    status: Literal["finished", "diverged", "did_not_learn"]
    status_sentence: Text
    parameters: Count
    multiply_adds: Count | None = None
    epochs: Count
    selected_epoch: Count
    validated_on: Text | None = None
    train_loss: float | None = None
    train_accuracy: Share | None = None
    val_loss: float | None = None
    val_accuracy: Share | None = None
    val_correct: Count | None = None
    val_total: Count | None = None
    test_loss: float | None
    test_accuracy: Share | None
    test_correct: Count | None = None
    test_total: Count | None = None
    test_interval: Annotated[list[Share], Field(min_length=2, max_length=2)] | None
    temperature: float | None = None
    seconds: Seconds
    contract: ContractRecord

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.test_accuracy is None) != (self.test_interval is None):
            raise ValueError("test_accuracy and test_interval stand together or not at all")
        if self.status == "finished" and self.test_accuracy is None and self.test_loss is None:
            raise ValueError("a finished run has a test accuracy or a test loss")
        if self.test_accuracy is not None and (self.test_correct or 0) > (self.test_total or 0):
            raise ValueError("test_correct must be at most test_total")
        return self


class SettingsRecord(Record):
    """How the arithmetic of a run was done, see training.device.Settings."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid")

    device: Device
    precision: Literal["fp32", "bf16", "fp64"]
    channels_last: bool
    threads: Annotated[int, Field(ge=1, le=1024)]
    compiled: bool = False


class DatasetRecord(Record):
    """Which images a run was made with."""

    name: Text
    digest: Text
    source: Text


class NormaliseRecord(Record):
    """The fixed normalisation, per channel."""

    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class Environment(Record):
    """environment.json: with what a run was made."""

    seed: Count
    given_in_python: list[Literal["model", "data"]]
    settings: SettingsRecord
    input_shape: Annotated[list[Annotated[int, Field(ge=1, le=100_000)]], Field(min_length=3, max_length=3)]
    classes: Annotated[int, Field(ge=1, le=1_000_000)]
    class_names: list[Text]
    dataset: DatasetRecord
    normalise: NormaliseRecord
    code: dict[str, str] = {}
    python: Text | None = None
    torch: Text | None = None
    platform: Text | None = None
    processor: Text | None = None
    cores: Count | None = None
    gpu: Text | None = None

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> Self:
        if len(self.class_names) != self.classes:
            raise ValueError(f"class_names must be {self.classes} names, as classes says; got {len(self.class_names)}")
        channels = self.input_shape[0]
        for name, values in (("mean", self.normalise.mean), ("std", self.normalise.std)):
            if len(values) != channels:
                raise ValueError(f"normalise.{name} must be {channels} numbers, one a channel; got {len(values)}")
        return self


class Split(Record):
    """split.json: the indices of the training and validation images, and how many test images there are."""

    digest: Text
    train: list[Count]
    val: list[Count]
    test: Count


def read(path: Path, record: type[Record], most: int = limits.RECORD_BYTES) -> dict[str, Any]:
    """Return a JSON file that holds such a record as plain data. Raises UserError, and MissingFile without a file."""
    document = read_object(path, most)
    try:
        return record.model_validate(document).model_dump(exclude_unset=True)
    except pydantic.ValidationError as error:
        raise UserError(f"{path}: {sentence(error, record, 'it')}") from None
    except RecursionError:
        raise UserError(f"{path} cannot be read: it is nested too deep") from None


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
    raise ValueError(f"{name} is no number of JSON")


def _printable(value: Any) -> Any:
    """Return the document with every text as plain_text.printable shows it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(part) for part in value]
    if isinstance(value, dict):
        return {printable(key): _printable(part) for key, part in value.items()}
    return value
