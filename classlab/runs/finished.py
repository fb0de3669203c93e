"""Run: one execution of an experiment with one seed, read back from its folder."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from classlab import experiment as experiments
from classlab import files, limits
from classlab.contract import Check, check_data, check_layers, is_fixed
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.plain_text import printable
from classlab.runs import records, store
from classlab.runs.recount import Recount, judge_again, recount

if TYPE_CHECKING:
    import altair
    import pandas
    from torch import nn

    from classlab.data.dataset import Dataset
    from classlab.use.predict import Predictions


@dataclass(frozen=True, eq=False)
class Run:
    """One execution of an experiment with one seed. Everything is read from `path` when it is first asked for.

    given: the module and dataset that Python handed over, for a run that its file alone cannot repeat. trust: whether
    code of the reader's own that the folder names may run; without it asking for the experiment raises Untrusted.
    counted: a summary counted again, which stands in the place of the file's, see counted_again.
    """

    path: Path
    given_model: Any = None
    given_data: "Dataset | None" = None
    trust: bool = False
    counted: Recount | None = None

    @cached_property
    def experiment(self) -> Experiment:
        """The resolved experiment."""
        return experiments.load(self.path / store.EXPERIMENT, trust=self.trust)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures of summary.json; for a run that has not ended, its status says incomplete."""
        if self.counted is not None:
            return self.counted.summary
        if (self.path / store.SUMMARY).exists():
            return records.read(self.path / store.SUMMARY, records.Summary)
        rows = store.read_metrics(self.path / store.METRICS)
        try:  # only read, for to make an Experiment of it would run the code that it may name
            declared = experiments.read_yaml(self.path / store.EXPERIMENT)
            name, epochs = str(declared["name"]), int(declared["training"]["epochs"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{self.path / store.EXPERIMENT} holds no whole experiment") from None
        return {
            "run": str(self.path),
            "experiment": name,
            "seed": self.environment["seed"],
            "epochs": len(rows),
            "status": "incomplete",
            "status_sentence": f"incomplete: {len(rows)} of {epochs} epochs are done",
        }

    def counted_again(self) -> "Run":
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
        summary["contract"] = judge_again(summary, self.experiment.contract, fixed)
        if summary["contract"]["passed"] != said:
            word = {True: "kept", False: "not kept"}
            differences.append(
                f"{store.SUMMARY} says the contract is {word[said]}; by these figures it is {word[not said]}"
            )
        return replace(self, counted=Recount(summary, tuple(differences)))

    def _fixed_checks(self, summary: dict[str, Any], differences: list[str]) -> list[Check]:
        """Return the rules on data and layers, judged by the network; as the summary has them where it is gone."""
        from classlab.network.contents import contents
        from classlab.network.layer_table import layer_table

        channels, height, width = self.environment["input_shape"]
        try:
            table = layer_table(self.model(), (channels, height, width))
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
    def environment(self) -> dict[str, Any]:
        """The machine, the versions and the settings that the run was made with."""
        return records.read(self.path / store.ENVIRONMENT, records.Environment)

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
        """Whether the network draws images again; then there are losses, and no accuracies and no mistakes."""
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

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the test set's logits (float32, count × classes) and labels (int64, count).

        Of a run that draws images again the outputs stand in the place of the logits: normalised, in the images' shape.
        """
        return store.read_predictions(self.path / store.PREDICTIONS)

    def split(self) -> dict[str, Any]:
        """Return the indices of the training and validation images and their digest."""
        return records.read(self.path / store.SPLIT, records.Split, limits.SPLIT_BYTES)

    def dataset(self) -> "Dataset":
        """Return the dataset the run was made with. Raises UserError where Python handed it over and it is gone."""
        from classlab.data.loading import prepare

        if self.given_data is not None:
            return self.given_data
        if "data" in self.environment["given_in_python"]:
            raise UserError(f"{self.path} was made with arrays given in Python; they are not in its folder")
        return prepare(self.experiment.data)

    def model(self) -> "nn.Module":
        """Return the network with the selected weights, in evaluation mode.

        Raises UserError where it cannot be built again: a module that came from Python, an encoder's run that is gone.
        """
        from classlab.models.make import load_weights, make

        model = self.given_model
        if model is None:
            if "model" in self.environment["given_in_python"]:
                raise UserError(f"{self.path} was made with a module given in Python; its code is not in its folder")
            model = self.experiment.model
        shape, classes = tuple(self.environment["input_shape"]), self.environment["classes"]
        try:
            network = make(model, self.experiment.training.initialise, shape, classes, self.seed)
        except UserError as error:
            raise UserError(f"the network of {self.path} cannot be built again: {error}") from None
        best = self.experiment.protocol.select == "best" and (self.path / store.BEST).exists()
        file = self.path / (store.BEST if best else store.LAST)  # a run that diverged at once has no best epoch
        load_weights(network, store.read_weights(file, network), str(file))
        return network.eval()

    def curves(self) -> "altair.TopLevelMixin":
        """Return loss and accuracy, or for reconstruction the loss, as a chart that shows itself in a notebook."""
        from classlab.drawing import charts

        return charts.loss(self.history) if self.reconstructs else charts.curves(self.history)

    def mistakes(self, count: int = 25) -> "pandas.DataFrame":
        """Return the `count` test images the network got wrong with the most confidence, surest first.

        Columns: index (in the test set), true, predicted (class names), confidence (softmax, a fraction).
        Raises UserError for a run that draws images again.
        """
        import pandas
        from scipy.special import softmax

        if self.reconstructs:
            raise UserError(
                f"mistakes are wrong class names, and {self.path} draws images again and names no class; "
                "its report shows what it draws badly"
            )
        logits, labels = self.predictions()
        probabilities = softmax(logits.astype(np.float64), axis=1)
        predicted = logits.argmax(1)
        wrong = np.flatnonzero(predicted != labels)
        sure = probabilities[wrong, predicted[wrong]]
        order = np.argsort(-sure, kind="stable")[:count]
        names = self.environment["class_names"]
        return pandas.DataFrame(
            {
                "index": wrong[order],
                "true": [names[label] for label in labels[wrong[order]]],
                "predicted": [names[label] for label in predicted[wrong[order]]],
                "confidence": sure[order],
            }
        )

    def report(self, out: str | Path | None = None, **options: Any) -> Path:
        """Write the report and return its path; `author`, `roll` and `course` are printed on it when given.

        pdf=True: also a PDF beside it. figures="folder": also every figure and table as files.
        """
        from classlab.report import document

        return document.write(self, out=out, **options)

    def predict(self, pictures: Any, *, prepare: Literal["digits", "plain"] | None = None) -> "Predictions":
        """Return what the network says of the reader's own pictures: files, folders, arrays; see use.predict."""
        from classlab.use.predict import predict

        return predict(self, pictures, prepare=prepare)

    def __repr__(self) -> str:
        return f"Run({self.experiment.name}, seed {self.seed}, {self.sentence()})"

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


def load(path: str | Path, trust: bool = False) -> Run:
    """Return the run in a folder. Raises UserError where there is none.

    trust: whether code of the reader's own that the folder names may run; never trust what you have not read.
    """
    path = Path(path)
    if not (path / store.EXPERIMENT).is_file():
        hint = "" if path.is_dir() else ", and no such folder"
        raise UserError(f"{path} is not a run folder: it has no {store.EXPERIMENT}{hint}")
    return Run(path, trust=trust)
