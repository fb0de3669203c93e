"""A finished run: one execution of an experiment with one seed, read back from its folder. The one way to ask a run."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from classlab import experiment as experiments
from classlab import files, limits
from classlab.contract import Check, check_data, check_layers, is_fixed
from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import Experiment
from classlab.plain_text import printable
from classlab.runs import copied_code, records, store
from classlab.runs.inputs import WantsNormalised, normalise
from classlab.runs.recount import Recount, judge_again, recount
from classlab.yaml_text import value_text

if TYPE_CHECKING:
    import altair
    import pandas
    from torch import Tensor, nn

    from classlab.data.dataset import Dataset
    from classlab.network.layer_table import LayerTable
    from classlab.runs.mistake_table import Mistakes
    from classlab.training.batches import Images

T = TypeVar("T")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """One execution of an experiment with one seed. All is worked out from `path` when first asked for, and kept.

    An interrupted one can be opened too: its status is incomplete, and what it has not is said when it is asked for.

    given: the module and dataset that Python handed over, for a run that its file alone cannot repeat. trust: whether
    code of the reader's own that the folder names may run; without it asking for the experiment raises Untrusted.
    counted: a summary counted again, which stands in the place of the file's, see counted_again.
    """

    path: Path
    given_model: Any = None
    given_data: "Dataset | None" = None
    trust: bool = False
    counted: Recount | None = None
    _kept: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False, repr=False)

    def _once(self, key: tuple[Any, ...], work: Callable[[], T]) -> T:
        """Return what `work` gives, worked out once. It is kept here, so that it goes with the run."""
        if key not in self._kept:
            self._kept[key] = found = work()
            if isinstance(found, np.ndarray):
                found.setflags(write=False)  # it is shared
        return self._kept[key]

    @cached_property
    def experiment(self) -> Experiment:
        """The resolved experiment. Code of the reader's own that it names is the copy that the run keeps."""
        return copied_code.load_experiment(self.path, self.trust)

    @cached_property
    def summary(self) -> records.Summary:
        """The figures of summary.json; for a run that has not ended fewer, and its status says incomplete."""
        if self.counted is not None:
            return cast(records.Summary, self.counted.summary)
        if (self.path / store.SUMMARY).exists():
            return records.read_summary(self.path / store.SUMMARY)
        rows = store.read_metrics(self.path / store.METRICS)
        try:  # only read, for to make an Experiment of it would run the code that it may name
            declared = experiments.read_yaml(self.path / store.EXPERIMENT)
            name, epochs = str(declared["name"]), int(declared["training"]["epochs"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{self.path / store.EXPERIMENT} does not hold a complete experiment") from None
        known = {
            "run": str(self.path),
            "experiment": name,
            "seed": self.environment["seed"],
            "epochs": len(rows),
            "status": "incomplete",
            "status_sentence": f"incomplete: {len(rows)} of {epochs} epochs are done",
        }
        return cast(records.Summary, known)

    def counted_again(self) -> Self:
        """Return this run with every figure that its other files give, and the contract judged by them.

        summary.json is a text that anybody can edit: what it says otherwise stands in `counted.differences`.
        Raises UserError for files that are damaged.
        """
        if "contract" not in self.summary:  # not come to its end
            return self
        found = recount(self.path, self.summary)
        summary, differences = dict(found.summary), list(found.differences)
        fixed = self._fixed_checks(summary, differences)
        said = summary["contract"]["passed"]
        summary["contract"] = judge_again(
            summary, self.experiment.contract, fixed, store.read_metrics(self.path / store.METRICS)
        )
        if summary["contract"]["passed"] != said:
            word = {True: "kept", False: "not kept"}
            differences.append(
                f"{store.SUMMARY} says the contract is {word[said]}; by these figures it is {word[not said]}"
            )
        return replace(self, counted=Recount(summary, tuple(differences)))

    def _fixed_checks(self, summary: dict[str, Any], differences: list[str]) -> list[Check]:
        """Return the rules on data and layers, judged by the network; as the summary has them where it is gone."""
        from classlab.network.contents import contents

        try:
            table = self.layer_table
        except UserError:
            held = (check for check in summary["contract"]["checks"] if is_fixed(check["rule"]))
            return [Check(**{name: check.get(name) for name in Check.__annotations__}) for check in held]
        if table.parameters != summary["parameters"]:
            differences.append(
                f"{store.SUMMARY} says {summary['parameters']:,} parameters; the network has {table.parameters:,}"
            )
        summary |= {"parameters": table.parameters, "multiply_adds": table.multiply_adds}
        data = None if "data" in self.environment["given_in_python"] else self.experiment.data
        contract = self.experiment.contract
        return [*check_data(contract, data), *check_layers(contract, contents(table))]

    @cached_property
    def environment(self) -> records.Environment:
        """The machine, the versions and the settings that the run was made with."""
        return records.read_environment(self.path / store.ENVIRONMENT)

    @property
    def imported(self) -> str:
        """The file that the weights were imported from, "" for a run that was trained here."""
        return self.environment["imported"]["file"] if "imported" in self.environment else ""

    @property
    def seed(self) -> int:
        """The seed."""
        return self.environment["seed"]

    @property
    def status(self) -> str:
        """finished, diverged, did_not_learn or incomplete."""
        return self.summary["status"]

    @cached_property
    def reconstructs(self) -> bool:
        """Whether the network reconstructs images; then there are losses, and no accuracies and no mistakes."""
        from classlab.training.task import reconstructs

        return reconstructs(self.experiment.training.loss)

    @cached_property
    def history(self) -> "pandas.DataFrame":
        """One row per epoch, the columns of metrics.csv."""
        import pandas

        rows = store.read_metrics(self.path / store.METRICS)
        return pandas.DataFrame(rows, columns=[name for name in store.COLUMNS if any(name in row for row in rows)])

    @property
    def log(self) -> str:
        """What was noted while the run was made."""
        try:
            text = files.read(self.path / store.LOG, limits.LOG_BYTES).decode("utf-8", "replace")
        except files.MissingFile:
            return ""
        return printable(text)

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that the protocol selects; its weights are the result."""
        return store.selected(self.path, self.experiment.protocol.select)

    def split(self) -> records.Split:
        """Return the indices of the training and validation images and their digest."""
        # Copies: the reader may change them in place.
        return {**self._split, "train": [*self._split["train"]], "val": [*self._split["val"]]}

    @cached_property
    def _split(self) -> records.Split:
        return records.read_split(self.path / store.SPLIT)

    def dataset(self) -> "Dataset":
        """Return the dataset the run was made with. Raises UserError where Python handed it over and it is gone."""
        return self._dataset

    @cached_property
    def _dataset(self) -> "Dataset":
        from classlab.data.loading import prepare

        if self.given_data is not None:
            return self.given_data
        if "data" in self.environment["given_in_python"]:
            raise UserError(f"{self.path} was made with arrays given in Python; they are not in its folder")
        return prepare(self.experiment.data)

    def model(self) -> "nn.Module":
        """Return the network with the selected weights, in evaluation mode, a new one each time.

        It takes normalised images, float32 (count, channels, height, width), as `normalised` makes them; images in
        0 … 255 or 0 … 1 raise UserError. Raises UserError where it cannot be built again: a module that came from
        Python, which `load(path, model=…)` gives back.
        """
        network = self.built()
        network.register_forward_pre_hook(WantsNormalised(str(self.path), self.environment["normalise"]))
        return network

    def normalised(self, images: Any) -> "Tensor":
        """Return images as the network takes them, float32 (count, channels, height, width) on the cpu.

        images: arrays or tensors, uint8 or fractions from 0 to 1, (count, channels, height, width) or, of grey images,
        (count, height, width). Raises UserError for anything else.
        """
        return normalise(images, self.environment["input_shape"], self.environment["normalise"])

    def built(self) -> "nn.Module":
        """Return the network as `model` does, without a look at what it is given."""
        from classlab.models.make import load_weights, make
        from classlab.runs.start import freeze

        model = self.given_model
        if model is None:
            if "model" in self.environment["given_in_python"]:
                raise UserError(
                    f"{self.path} was made with a module given in Python; its code is not in its folder; give the "
                    "module back with load_run(path, model=…)"
                )
            model = self.experiment.model
        channels, height, width = self.environment["input_shape"]
        shape, classes = (channels, height, width), self.environment["classes"]
        try:
            training = self.experiment.training
            network = make(model, training.initialise, shape, classes, self.seed)
            freeze(network, training.start_from)
        except UserError as error:
            raise UserError(f"the network of {self.path} cannot be built again: {error}") from None
        file = self.checkpoint
        load_weights(network, store.read_weights(file, network), str(file))
        return network.eval()

    @cached_property
    def network(self) -> "nn.Module":
        """The network with the selected weights, built once. It is shared: to change one, take `model()`."""
        return self.built()

    @cached_property
    def layer_table(self) -> "LayerTable":
        """The layers of the network. Raises UserError where it cannot be built again."""
        from classlab.network.layer_table import layer_table

        channels, height, width = self.environment["input_shape"]
        return layer_table(self.network, (channels, height, width))

    def images(self, name: str, copies: bool = False) -> "Images":
        """Return the images of a split on the cpu, with their labels and the normalisation, in the split's order.

        name: train, val or test. copies: with every copy of an expanded training set, as the loop met it.
        Raises UserError where the images are gone.
        """
        return self._once(("images", name, copies), lambda: self._images(name, copies))

    def _images(self, name: str, copies: bool) -> "Images":
        import torch

        from classlab.data.expansion import expansion
        from classlab.training.batches import Images

        if name not in SPLITS:
            raise UserError(f"a split is {listing(SPLITS)}; got {value_text(name)}{did_you_mean(name, SPLITS)}")
        dataset, normalise, plan = self.dataset(), self.environment["normalise"], self.experiment.data
        if name == "test":
            pixels, labels = dataset.test_images, dataset.test_labels
        else:
            split = self.split()
            index = split["train"] if name == "train" else split["val"]
            pixels, labels = dataset.images[index], dataset.labels[index]
        mean, std = (torch.tensor(normalise[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
        classes = torch.from_numpy(labels)
        expanded = expansion(plan.expansion, plan.expansion_seed) if copies and name == "train" else None
        classes = expanded.labels(classes) if expanded else classes
        return Images(torch.from_numpy(pixels), classes, mean, std, expanded)

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the test set's logits (float32, count × classes) and labels (int64, count), as the run stored them.

        Of a run that reconstructs images the outputs stand in the place of the logits: normalised, in their shape.
        """
        logits, labels = self._predictions
        return logits.copy(), labels.copy()  # the reader may work on them in place

    @cached_property
    def _predictions(self) -> tuple[np.ndarray, np.ndarray]:
        return store.read_predictions(self.path / store.PREDICTIONS)

    def logits(self, name: str = "test") -> np.ndarray:
        """Return the network's outputs for a split, float32 (count, classes); for reconstruction in the images' shape.

        name: train, val or test; of the test set as the run stored them, of the others measured now, not augmented.
        Raises UserError where images or network are gone.
        """
        return self._once(("logits", name), lambda: self._logits(name))

    def _logits(self, name: str) -> np.ndarray:
        from classlab.training import choices
        from classlab.training.evaluate import evaluate

        if name == "test":
            return self._predictions[0]
        images = self.images(name)
        if not len(images):
            raise UserError(f"{self.path} kept no {name} images")
        loss = choices.loss(self.experiment.training.loss)
        return evaluate(self.network, images, loss, self.reconstructs).outputs.numpy()

    def labels(self, name: str = "test") -> np.ndarray:
        """Return the true classes of a split, int64 (count,)."""
        return self.predictions()[1] if name == "test" else self.images(name).labels.numpy()

    def probabilities(self, name: str = "test") -> np.ndarray:
        """Return the softmax of the logits of a split, float64 (count, classes), each row adding up to 1.

        Raises UserError for a run that reconstructs images, whose outputs are no logits.
        """
        return self._once(("probabilities", name), lambda: self._probabilities(name))

    def _probabilities(self, name: str) -> np.ndarray:
        from scipy.special import softmax

        logits = self.logits(name)
        # The summary says it without the experiment, which may name code that is not trusted.
        if logits.ndim != 2 or self.summary.get("test_accuracy", 0.0) is None:
            raise UserError(f"{self.path} reconstructs images and names no class, so it gives no probabilities")
        with np.errstate(invalid="ignore"):  # the logits of a run that diverged may be infinite
            return softmax(logits.astype(np.float64), axis=1)

    def curves(self) -> "altair.TopLevelMixin":
        """Return loss and accuracy, or for reconstruction the loss, as a chart that shows itself in a notebook."""
        from classlab.drawing import charts, render

        return render.shows_itself(charts.loss(self.history) if self.reconstructs else charts.curves(self.history))

    def mistakes(self, count: int = 25, name: str = "test") -> "Mistakes":
        """Return the `count` most confident mistakes of the network on a split, the most confident first.

        Columns: index (in the split), true, predicted (class names), confidence (softmax, a fraction). In a notebook
        the table shows itself with its pictures. Raises UserError for a run that reconstructs images.
        """
        from classlab.runs.mistake_table import Mistakes

        if self.reconstructs:
            raise UserError(
                f"mistakes are wrong class names, and {self.path} reconstructs images and names no class; "
                "its report shows what it reconstructs badly"
            )
        probabilities, labels = self.probabilities(name), self.labels(name)
        predicted = self.logits(name).argmax(1)
        wrong = np.flatnonzero(predicted != labels)
        confidence = probabilities[wrong, predicted[wrong]]
        order = np.argsort(-confidence, kind="stable")[:count]
        names = self.environment["class_names"]
        found = Mistakes(
            {
                "index": wrong[order],
                "true": [names[label] for label in labels[wrong[order]]],
                "predicted": [names[label] for label in predicted[wrong[order]]],
                "confidence": confidence[order],
            }
        )
        found.run, found.split = self, name
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.experiment.name}, seed {self.seed}, {self.sentence()})"

    def sentence(self) -> str:
        """Return the outcome in a few words: the accuracy with its interval or the test loss, or the status."""
        accuracy, interval = self.summary.get("test_accuracy"), self.summary.get("test_interval")
        if self.status == "finished" and accuracy is None:
            return f"test loss {self.summary['test_loss']:.4f}"
        if self.status != "finished" or accuracy is None or interval is None:
            return self.summary["status_sentence"]
        low, high = interval
        return f"test accuracy {100 * accuracy:.2f} % (95 % interval {100 * low:.2f} to {100 * high:.2f})"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(check['rule'])}</th><td>{escape(check['sentence'])}</td></tr>"
            for check in self.summary.get("contract", {}).get("checks", [])
        )
        return (
            f"<b>{escape(self.experiment.name)}</b>, seed {self.seed}: {escape(self.sentence())}"
            f"<table>{rows}</table><code>{escape(str(self.path))}</code>"
        )


def load(path: str | Path, trust: bool = False, model: Any = None) -> FinishedRun:
    """Return the run in a folder. Raises UserError where there is none.

    path: also `latest`, or how the name of a single run in the folder `runs` begins, see store.named.
    trust: whether code of the reader's own that the folder names may run; never trust what you have not read. model:
    the module that was given in Python, or a function that builds it, for a run that was made so. Its weights do not
    matter, and it is not changed.
    """
    path = store.named(path)
    if not (path / store.EXPERIMENT).is_file():
        raise UserError(store.no_run(path, f": it has no {store.EXPERIMENT}"))
    run = FinishedRun(path, model, trust=trust)
    if model is not None and "model" not in run.environment["given_in_python"]:
        raise UserError(f"{path} was not made with a module given in Python: its own network is {run.experiment.model}")
    return run
