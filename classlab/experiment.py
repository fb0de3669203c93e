"""Experiment: a declaration of what to train. The YAML file and the Python object are the same thing."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import pydantic
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticSerializationError, to_jsonable_python

from classlab import limits, lookup, own_code
from classlab.errors import UserError, did_you_mean
from classlab.validation import NAME, Section, sentence
from classlab.yaml_text import echoed, read_yaml, set_all, set_value, to_yaml, value_text


class Choice(pydantic.BaseModel):
    """Something chosen by name with its options: `{name: rotate, degrees: 10}`; a bare string is short for the name."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options without the name."""
        return dict(self.model_extra or {})

    def bind(self, kind: str) -> Callable[..., Any]:
        """Return what this means with its options filled in; it takes what classlab hands over, by keyword."""
        return lookup.bind(kind, self.name, self.options)

    def call(self, kind: str, **handed_over: Any) -> Any:
        """Call what this means, with its options and what it asks for of `handed_over`."""
        return self.bind(kind)(**handed_over)

    def __str__(self) -> str:
        set_options = {key: value for key, value in self.options.items() if value is not None}
        options = ", ".join(
            f"{key} {f'{value:.4g}' if isinstance(value, float) else value}" for key, value in set_options.items()
        )
        return f"{self.name} ({options})" if options else self.name


class _ChoiceOf:
    """Marks a Choice with the kind of thing it names; checks the name and its options and fills in the defaults."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        checked = core_schema.no_info_after_validator_function(self.resolve, handler(source))
        return core_schema.no_info_before_validator_function(_spell_out, checked)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """A name, or an object with the name and that name's own options."""
        code_name = {"type": "string", "pattern": ".+:.+"}
        forms: list[dict[str, Any]] = [{"enum": list(lookup.names(self.kind))}, code_name]
        for name in lookup.names(self.kind):
            options = lookup.known_options(self.kind, name).model_json_schema()
            forms.append(
                {
                    "type": "object",
                    "properties": {"name": {"const": name}, **options.get("properties", {})},
                    "required": ["name", *options.get("required", [])],
                    "additionalProperties": False,
                }
            )
        forms.append({"type": "object", "properties": {"name": code_name}, "required": ["name"]})
        return {"anyOf": forms}

    def resolve(self, choice: Choice) -> Choice:
        name = own_code.placed(choice.name)
        try:
            options = lookup.check_options(self.kind, name, choice.options)
        except pydantic.ValidationError as error:
            known = lookup.known_options(self.kind, name)
            raise UserError(f"{self.kind} {choice.name}: {sentence(error, known, 'it')}") from None
        for option, value in list(options.items()):
            try:
                to_jsonable_python(value)
            except PydanticSerializationError:
                if option not in choice.options:  # the default of the reader's own code, which the code itself keeps
                    del options[option]
                    continue
                raise UserError(
                    f"{self.kind} {choice.name}: the option {option} is {value!r}, which no file can hold; "
                    "it must be a number, a text, true, false, null or a list of these"
                ) from None
        return Choice.model_construct(None, name=name, **options)


def _spell_out(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Fraction = Annotated[float, Field(gt=0, lt=1)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Normalise(Section):
    """The fixed shift and scale of the inputs, per channel, on the 0…1 scale: (x - mean) / std."""

    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


Augmentations = Annotated[list[Annotated[Choice, _ChoiceOf("augmentation")]], Field(max_length=limits.AUGMENTATIONS)]


class Data(Section):
    """What to train on."""

    dataset: Annotated[Choice, _ChoiceOf("dataset")]
    val_size: Annotated[int, Field(ge=0)] | Fraction = Field(
        default=0, description="images held out of the training set for validation: a number, or a fraction of it"
    )
    stratified: bool = Field(default=False, description="hold out the same share of every class")
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] | Literal["seed"] = Field(
        default=0, description="which images are held out; seed: the run's seed decides, so that each run has others"
    )
    classes: list[int | str] | None = Field(default=None, description="labels or names; null: every class")
    labels: Literal["keep", "renumber"] = Field(
        default="keep", description="of a part of the classes: as they are, or 0, 1, … in the order of classes"
    )
    max_per_class: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="training images kept of each class, the first in order"
    )
    max_test_per_class: Annotated[int, Field(ge=1)] | None = Field(default=None, description="the same for test images")
    normalise: Normalise | None = Field(default=None, description="null: the mean and std known for the dataset")
    augmentations: Augmentations = Field(default=[])
    expansion: list[Augmentations] = Field(
        default=[],
        max_length=limits.COPIES,
        description="copies of every training image, fixed by expansion_seed; an empty list is the original",
    )
    expansion_seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(default=0, description="what the copies draw")

    @property
    def copies(self) -> int:
        """How many times each training image stands in the training set."""
        return max(1, len(self.expansion))

    def split_seed_of(self, seed: int) -> int:
        """Return what decides which images are held out in the run with this seed."""
        return seed % 2**32 if self.split_seed == "seed" else self.split_seed


class EarlyStopping(Section):
    """End the training when the validation metric has not improved for `patience` epochs."""

    patience: Annotated[int, Field(ge=1)]


def _spell_out_start(value: Any) -> Any:
    return {"run": value} if isinstance(value, str) else value


class Start(Section):
    """Weights that training starts from: those that a finished run selected. A bare string is short for its folder."""

    run: Annotated[str, Field(min_length=1, max_length=limits.PATH)] = Field(description="the run's folder")
    layers: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,200}$")] | None = Field(
        default=None, description="the part of the network that is taken over, by its name; null: the whole network"
    )
    freeze: bool = Field(default=False, description="leave what is taken over as it is, and train the rest")

    @pydantic.model_validator(mode="after")
    def _check_freeze(self) -> Self:
        if self.freeze and self.layers is None:
            raise ValueError("freeze needs layers: with the whole network frozen nothing is left to train")
        return self


class Averages(Section):
    """What is evaluated and kept in place of the weights themselves: their mean over the steps or over the epochs."""

    ema_decay: Fraction | None = Field(
        default=None, description="after each step: mean = decay * mean + (1 - decay) * weights"
    )
    swa_from_epoch: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="the mean of the weights at the ends of the epochs from this one on"
    )

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> Self:
        if (self.ema_decay is None) == (self.swa_from_epoch is None):
            raise ValueError("averages needs exactly one of ema_decay and swa_from_epoch")
        return self


class Lookahead(Section):
    """After every `every_steps` steps slow weights go `share` of the way to the weights, which go on from there."""

    every_steps: Annotated[int, Field(ge=1)] = 5
    share: Annotated[float, Field(gt=0, le=1)] = 0.5


class Training(Section):
    """How to train."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, Field(ge=1, le=limits.BATCH)]
    loss: Annotated[Choice, _ChoiceOf("loss")] = Choice(name="cross_entropy")
    optimizer: Annotated[Choice, _ChoiceOf("optimizer")]
    schedule: Annotated[Choice, _ChoiceOf("schedule")] = Choice(name="constant")
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="a straight line up to what the schedule says, over so many epochs; 0: none"
    )
    l1_penalty: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="times the sum of the weights' absolute values, added to the loss that is trained on"
    )
    mixing: Annotated[Choice, _ChoiceOf("mixing")] | None = Field(
        default=None, description="each image with a part of another, and of its label; training images alone"
    )
    max_gradient_norm: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="longer gradients, of all weights together, are shortened to it; null: none are"
    )
    lookahead: Lookahead | None = None
    averages: Averages | None = None
    initialise: Annotated[Choice, _ChoiceOf("initialisation")] = Choice(name="default")
    start_from: Annotated[Start, BeforeValidator(_spell_out_start, json_schema_input_type=str | Start)] | None = None
    early_stopping: EarlyStopping | None = None
    precision: Literal["auto", "fp32", "bf16", "fp64"] = Field(
        default="auto", description="auto: bf16 where the processor computes in it and it pays, else fp32"
    )
    compile: Literal["auto"] | bool = Field(
        default="auto", description="of earlier versions, which could compile a step; true is refused: see native"
    )
    keep_epochs: bool = Field(
        default=False, description="keep the checkpoint of every epoch, by which the training can be proved"
    )
    native: Literal["auto"] | bool = Field(
        default="auto", description="the step in C, written for this network; auto: where it is faster on this machine"
    )

    @pydantic.model_validator(mode="after")
    def _check_epochs(self) -> Self:
        peak = self.schedule.options.get("peak_epoch") if self.schedule.name == "one_cycle" else None
        first = self.averages.swa_from_epoch if self.averages else None
        if peak is not None and peak >= self.epochs:
            raise ValueError(f"schedule one_cycle: peak_epoch must be below epochs ({self.epochs}); got {peak:g}")
        if first is not None and first > self.epochs:
            raise ValueError(f"averages.swa_from_epoch must be at most epochs ({self.epochs}); got {first}")
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs must be at most epochs ({self.epochs}); got {self.warmup_epochs:g}")
        return self


class Protocol(Section):
    """What may be looked at, and when."""

    validate_on: Literal["val", "test", "none"] = Field(
        default="val", description="what is evaluated after each epoch; test is what some reports did and is marked"
    )
    select: Literal["last", "best"] = Field(
        default="last", description="which epoch's weights are the result; best by accuracy on validate_on"
    )
    test_each_epoch: bool = Field(default=False, description="also the test curve; never used for selection")
    train_metrics: Literal["running", "re-evaluated", "accuracy re-evaluated"] = Field(
        default="running",
        description="train figures as met while training; or both, or the accuracy alone, evaluated at the epoch's end",
    )
    train_loss_steps: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="a running train loss is the mean over so many of an epoch's last steps; none: all"
    )
    augment: Literal["train", "all"] = Field(default="train", description="which splits the augmentations change")

    def train_is_running(self, metric: str) -> bool:
        """Return whether the train curve of a metric, loss or accuracy, is of what was met while training."""
        return self.train_metrics == "running" or (metric == "loss" and self.train_metrics == "accuracy re-evaluated")


Content = Literal[
    "convolution", "linear", "batch_norm", "dropout", "max_pool", "average_pool", "global_average_pooling",
    "activation", "skip_connection", "depthwise_convolution", "dilated_convolution", "strided_convolution",
]  # fmt: skip


class Contract(Section):
    """Limits that a run must keep. Every limit is inclusive. An experiment may name the file that holds them."""

    max_parameters: Annotated[int, Field(ge=1)] | None = None
    max_epochs: Annotated[int, Field(ge=1)] | None = None
    min_val_accuracy_percent: Percent | None = None
    min_test_accuracy_percent: Percent | None = None
    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        default=1, description="runs whose accuracies are judged together: how many seeds, or a list of which"
    )
    judged_by: Literal["mean", "lower_bound"] = Field(
        default="mean", description="the accuracy, over seeds its mean; or the lower bound of its 95 % interval"
    )
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    dataset: Annotated[Choice, _ChoiceOf("dataset")] | None = Field(
        default=None, description="what is classified: this dataset's whole test set, of the classes below"
    )
    classes: list[int | str] | None = Field(default=None, description="of the dataset; null: every class")
    must_contain: list[Content] = Field(default=[], description="layers of which the network has at least one")
    must_not_contain: list[Content] = Field(default=[], description="layers of which the network has none")
    layers: dict[Content, Annotated[int, Field(ge=0)]] = Field(
        default={}, description="layers of which the network has exactly so many: {convolution: 4, max_pool: 1}"
    )
    first_layer_filters: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="filters of the first convolution, exactly"
    )
    min_receptive_field: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="pixels: the side of the largest square that one output of a convolution sees"
    )
    in_each_of_last_epochs: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="the accuracies asked for are kept in each of so many last epochs too, by the curves"
    )
    not_judged: dict[Literal["dataset", "min_val_accuracy_percent", "min_test_accuracy_percent"], str] = Field(
        default={},
        description="limits that are reported but not judged, with the reason: they were set for another run",
    )

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.classes is not None and self.dataset is None:
            raise ValueError("classes needs dataset: say whose classes they are")
        limits_of_accuracy = (self.min_val_accuracy_percent, self.min_test_accuracy_percent)
        if self.in_each_of_last_epochs is not None and limits_of_accuracy == (None, None):
            raise ValueError("in_each_of_last_epochs needs min_val_accuracy_percent or min_test_accuracy_percent")
        if isinstance(self.seeds, list) and len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must name each seed once; got {self.seeds}")
        return self


def load_contract(source: str | Path, folder: Path | None = None, trust: bool = False) -> Contract:
    """Return the contract that a shipped name or a YAML file means; a shipped name always means what is shipped.

    folder: where the name of a file is looked for first, as beside the experiment that names it. trust: whether code
    of the reader's own that it names may run, as that of a dataset. Raises UserError.
    """
    file = find_file("contract", source, folder)
    fields = read_yaml(file)
    if not isinstance(fields, dict):
        raise UserError(f"{file} must hold a contract (max_parameters, max_epochs, …), got {value_text(fields)}")
    try:
        with own_code.trusting(trust):
            return Contract(**{str(key): value for key, value in fields.items()})
    except pydantic.ValidationError as error:
        raise UserError(f"{file}: {sentence(error, Contract, 'a contract')}") from None
    except own_code.Untrusted as error:
        raise own_code.named(error, str(file)) from None


def stated_contract(value: Any) -> Any:
    """Return the contract of a shipped name or a file; a mapping or a contract as it is."""
    return load_contract(value) if isinstance(value, str) else value


class Experiment(Section):
    """A declaration of what to train: data, model, training, protocol and contract."""

    name: Annotated[str, Field(pattern=NAME)]
    description: str = ""
    data: Data
    model: Annotated[Choice, _ChoiceOf("model")]
    training: Training
    protocol: Protocol = Protocol()
    contract: Annotated[Contract, BeforeValidator(stated_contract, json_schema_input_type=str | Contract)] = Contract()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_earlier_spelling(cls, fields: Any) -> Any:
        return with_start(fields) if isinstance(fields, Mapping) else fields

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> Self:
        problem = None
        validates = self.protocol.validate_on != "none"
        if self.protocol.validate_on == "val" and self.data.val_size == 0:
            if "validate_on" in self.protocol.model_fields_set:
                problem = "protocol.validate_on is val but data.val_size is 0: hold out some images, or say none"
            validates = False
        if problem is None and not validates:
            if self.protocol.select == "best":
                problem = "protocol.select best needs validation images: set data.val_size, or select last"
            elif self.training.early_stopping:
                problem = "training.early_stopping needs validation images: set data.val_size, or leave it out"
            elif self.contract.min_val_accuracy_percent is not None:
                problem = "contract.min_val_accuracy_percent needs validation images: set data.val_size"
        on_test = self.protocol.validate_on == "test" and self.contract.min_val_accuracy_percent is not None
        if problem is None and on_test:
            problem = "contract.min_val_accuracy_percent needs validation images, and protocol.validate_on is test"
        if problem:
            raise ValueError(problem)
        if not validates and self.protocol.validate_on == "val":
            object.__setattr__(self, "protocol", self.protocol.model_copy(update={"validate_on": "none"}))
        return self

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as error:
            raise UserError(sentence(error, self.__class__, "an experiment")) from None

    @property
    def chosen_on(self) -> str | None:
        """The split whose images chose the epoch of the result, as best or by early stopping; None where none did."""
        chooses = self.protocol.select == "best" or self.training.early_stopping is not None
        return str(self.protocol.validate_on) if chooses else None

    def to_yaml(self) -> str:
        """Return the resolved experiment, every default spelled out, as YAML that loads to an equal object."""
        return to_yaml(self.model_dump(mode="json"))

    def digest(self, *more: str) -> str:
        """Return 8 hexadecimal digits for what the experiment states and for anything more that decides the run."""
        return digest(self.model_dump(mode="json"), *more)

    def earlier_digests(self, *more: str) -> list[str]:
        """Return the digests that earlier versions of classlab gave the same experiment, the newest first."""
        fields = self.model_dump(mode="json")
        if without_start(fields)["training"].get("start_from") is not None:
            return []  # no earlier version could say so
        digests = [_hash({"format": FORMAT, **stated(without_start(fields))}, *more), digest_of_format_1(fields, *more)]
        return [found for found in digests if found != self.digest(*more)]

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f"<details open><summary><b>{escape(self.name)}</b></summary><pre>{escape(self.to_yaml())}</pre></details>"
        )


# The number goes up when the default of any setting or option changes, so that what was made with the old default keeps
# its digest for itself; tests/test_identity.py pins the defaults. A setting that is new needs no new number.
FORMAT = 2
# Choices by the key that they stand under, and what kind of thing each names.
KINDS = {
    "dataset": "dataset", "augmentations": "augmentation", "expansion": "augmentation", "model": "model",
    "loss": "loss", "optimizer": "optimizer", "schedule": "schedule", "initialise": "initialisation",
    "mixing": "mixing",
}  # fmt: skip
# Settings that came after format 1, which its digests therefore do not cover: dotted keys.
ADDED_SINCE_FORMAT_1: tuple[str, ...] = (
    "training.start_from", "training.native", "training.initialise.biases", "protocol.train_loss_steps",
    "contract.not_judged", "contract.min_receptive_field", "contract.in_each_of_last_epochs",
    "training.warmup_epochs", "training.l1_penalty", "training.max_gradient_norm", "training.keep_epochs",
    "training.lookahead", "training.averages", "training.mixing",
    "training.schedule.peak_epoch", "training.schedule.shape",
    "training.schedule.min_momentum", "training.schedule.max_momentum",
)  # fmt: skip


def digest(fields: Mapping[str, Any], *more: str) -> str:
    """Return the digest of an experiment from its fields, resolved or not.

    It covers what differs from the defaults. So a setting that a later version adds changes no digest, and finished
    runs are found by the same name as long as nothing that they state has changed.
    """
    return _hash({"format": FORMAT, **stated(with_start(fields))}, *more)


def digest_of_format_1(fields: Mapping[str, Any], *more: str) -> str:
    """Return the digest as the first format had it: of every field, with its default. fields: resolved."""
    kept: dict[str, Any] = json.loads(json.dumps(without_start(with_start(fields), spelled_out=True)))
    for key in ADDED_SINCE_FORMAT_1:
        *above, last = key.split(".")
        place: Any = kept
        for step in above:
            place = place.get(step, {})
        place.pop(last, None)
    kept.pop("description", None)
    return _hash(kept, *more)


def with_start(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an experiment's fields with what an earlier version wrote as options of one model as `start_from`.

    The encoder of a run stood as model.encoder and model.freeze; now any part of any network can be taken over.
    What stands there is what was asked for last: it changes start_from. Raises UserError for freezing what is taken
    from nowhere.
    """
    model, training = fields.get("model"), fields.get("training")
    earlier = ("encoder", "freeze")
    if not isinstance(model, Mapping) or model.get("name") != "encoder_classifier":
        return fields
    if not isinstance(training, Mapping) or not any(key in model for key in earlier):
        return fields
    kept = {key: value for key, value in model.items() if key not in earlier}
    start = _spell_out_start(training.get("start_from"))
    if model.get("encoder") is not None:
        start = {**(start if isinstance(start, Mapping) else {}), "run": model["encoder"], "layers": "encoder"}
    elif "encoder" in model and start is not None:
        raise UserError(
            "model encoder_classifier: encoder is null and training.start_from is not; state start_from alone"
        )
    if "freeze" in model and isinstance(start, Mapping):
        start = {**start, "freeze": model["freeze"]}
    elif model.get("freeze"):
        raise UserError("model encoder_classifier: freeze needs training.start_from, the run of a trained autoencoder")
    return {**fields, "model": kept, "training": {**training, "start_from": start}}


def without_start(fields: Mapping[str, Any], spelled_out: bool = False) -> Mapping[str, Any]:
    """Return what `with_start` read, as the earlier version wrote it; only digests ask for it.

    spelled_out: with the two options also where they hold their defaults.
    """
    model, training = fields.get("model"), fields.get("training")
    if not isinstance(model, Mapping) or model.get("name") != "encoder_classifier" or not isinstance(training, Mapping):
        return fields
    start = training.get("start_from")
    if start is not None and (not isinstance(start, Mapping) or start.get("layers") != "encoder"):
        return fields
    options = {"encoder": start["run"] if start else None, "freeze": bool(start and start.get("freeze"))}
    kept = options if spelled_out else {key: value for key, value in options.items() if value}
    rest = {key: value for key, value in training.items() if key != "start_from"}
    return {**fields, "model": {**model, **kept}, "training": rest}


def _hash(fields: Mapping[str, Any], *more: str) -> str:
    canonical = json.dumps(fields, sort_keys=True)
    return hashlib.sha256("\n".join([canonical, *more]).encode()).hexdigest()[:8]


def stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an experiment without those that hold their default; the description decides nothing."""
    return {key: value for key, value in _differing(fields, Experiment).items() if key != "description"}


def _differing(fields: Mapping[str, Any], section: type[pydantic.BaseModel]) -> dict[str, Any]:
    differing: dict[str, Any] = {}
    for key, value in fields.items():
        field = section.model_fields.get(key)
        inner = _section_of(field)
        if key in KINDS:
            value = _differing_choice(KINDS[key], value)
        elif key == "start_from" and value is not None:
            value = _differing_start(_spell_out_start(value))
        elif inner is not None and isinstance(value, Mapping):
            value = _differing(value, inner)
        if field is None or field.is_required() or value != _default(key, field, inner):
            differing[key] = value
    return differing


def _differing_start(start: Any) -> Any:
    """Return where training starts from, its run by experiment and folder name: elsewhere the same run is the same."""
    if not isinstance(start, Mapping) or not isinstance(start.get("run"), str):
        return start
    run = "/".join(Path(start["run"]).parts[-2:])
    return {**_differing(start, Start), "run": run}


def _default(key: str, field: Any, inner: type[pydantic.BaseModel] | None) -> Any:
    """Return a field's default as a file has it, with nothing in it that is a default itself."""
    default = to_jsonable_python(field.get_default())
    if key in KINDS:
        return _differing_choice(KINDS[key], default)
    return _differing(default, inner) if inner is not None and isinstance(default, Mapping) else default


def _section_of(field: Any) -> type[pydantic.BaseModel] | None:
    """Return the group of settings that a field holds, None where it holds a value."""
    parts = (field.annotation, *get_args(field.annotation)) if field is not None else ()
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Section)), None)


def _differing_choice(kind: str, value: Any) -> Any:
    """Return a choice without the options that hold their default; of the reader's own code every option is kept.

    Their defaults stand in code that may change, and reading them would import it.
    """
    if isinstance(value, list):
        return [_differing_choice(kind, part) for part in value]
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping) or value.get("name") not in lookup.names(kind):
        return value
    known = lookup.known_options(kind, value["name"]).model_fields
    return {key: part for key, part in value.items() if key == "name" or not _holds_default(known.get(key), part)}


def _holds_default(field: Any, value: Any) -> bool:
    return field is not None and not field.is_required() and to_jsonable_python(field.get_default()) == value


def load(
    source: "str | Path | Mapping[str, Any] | Experiment",
    overrides: Sequence[str] = (),
    changes: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> Experiment:
    """Return the experiment that a shipped name, a YAML file, a mapping or an experiment means.

    overrides: `key=value` with a dotted key, as for `--set`: "training.epochs=3". changes: dotted key -> value, set
    after them. trust: whether code of the reader's own that the experiment names may run, see own_code.trusting.
    Raises UserError, and Untrusted for code that is not trusted.
    """
    folder, file = None, None
    if isinstance(source, Experiment):
        if not overrides and not changes:
            return source
        fields = source.model_dump(mode="json")
    elif isinstance(source, Mapping):
        fields = _copied(source)
    else:
        file = find_file("experiment", source)
        fields, folder = read_yaml(file), file.parent
    if not isinstance(fields, dict):
        raise UserError(f"{file} must hold an experiment (name, data, model, training), got {value_text(fields)}")
    try:
        with own_code.trusting(trust):
            fields = dict(with_start(fields))  # first, so that a change of start_from is one
            training = fields.get("training")
            if isinstance(training, Mapping) and isinstance(training.get("start_from"), str):
                fields["training"] = {**training, "start_from": _spell_out_start(training["start_from"])}
            _read_contract(fields, folder)  # a file's contents, so that a change can reach into them
            for override in overrides:
                set_value(fields, override)
                _read_contract(fields, folder)
            set_all(fields, _copied(changes or {}))
            _read_contract(fields, folder)
            return Experiment(**{str(key): value for key, value in fields.items()})
    except own_code.Untrusted as error:
        raise own_code.named(error, str(file or "")) from None


def _copied(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json.loads(json.dumps(fields))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"an experiment holds texts, numbers, lists and mappings ({error})") from None


def _read_contract(fields: dict[str, Any], folder: Path | None) -> None:
    """Put the contract itself in the place of its name or file."""
    if isinstance(fields.get("contract"), str):
        fields["contract"] = load_contract(fields["contract"], folder).model_dump(mode="json")


NOUNS = {"assignment": "rules"}  # what a file of this kind is called


def find_file(kind: str, source: "str | Path", folder: Path | None = None) -> Path:
    """Return the file that is meant: a path, looked for in `folder` first, or else what is shipped under a name."""
    text = str(source)
    path = Path(text)
    if path.suffix not in {".yaml", ".yml"} and "/" not in text and "\\" not in text:
        return lookup.path(kind, text)
    for candidate in ([folder / path] if folder else []) + [path]:
        if is_there(candidate):
            return candidate
    meant = did_you_mean(path.stem, lookup.names(kind))
    raise UserError(f"there is no {NOUNS.get(kind, kind)} file {echoed(text, limits.ECHO_PATH)}{meant}")


def is_there(path: Path) -> bool:
    """Say whether there is something by this name; a name that no disk can hold is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def schema() -> dict[str, Any]:
    """Return the JSON Schema of an experiment file, for editors."""
    fields = Experiment.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **fields, "title": "classlab experiment"}
