"""Where one more run would fall, of runs too few to say it: their spread pooled over their epochs and their kind."""

from collections.abc import Mapping, Sequence

import numpy as np

from classlab.report.spec import Value
from classlab.reproduction.measures import NotMeasured, images, read
from classlab.runs.finished import FinishedRun
from classlab.statistics.prediction import predict

Interval = tuple[float, float]


def one_more_run(value: Value, runs: Mapping[str, Sequence[FinishedRun]], freedom: float) -> Interval | None:
    """Return the 95 % interval of a figure of one more run; None where it rests on fewer degrees of freedom.

    The runs of a kind are those of a report with the same loss. A figure is one column of statistics.prediction, beside
    the same metric at every epoch.
    """
    if not isinstance(value.of, str) or not value.metric.startswith(("train_", "val_", "test_")):
        return None
    name, loss = value.of, runs[value.of][0].experiment.training.loss
    kinds = [key for key, group in runs.items() if len(group) > 1 and group[0].experiment.training.loss == loss]
    epochs = max(run.summary["epochs"] for key in kinds for run in runs[key])
    wanted: list[int | str | None] = [value.epoch, *(epoch for epoch in range(1, epochs + 1) if epoch != value.epoch)]
    curves = [np.array([[_figure(run, value, epoch) for epoch in wanted] for run in runs[key]]) for key in kinds]
    kept = np.isfinite(np.concatenate(curves)).sum(0) > 1
    if not kept[0]:
        return None
    counted = [images(runs[name][0], value.metric)] * int(kept.sum())
    found = predict([curve[:, kept] for curve in curves], [value.metric] * len(counted), counted, freedom)
    place = kinds.index(name)
    if found.df[place, 0] < freedom:
        return None
    low, high = found.interval()
    return float(low[place, 0]), float(high[place, 0])


def _figure(run: FinishedRun, value: Value, epoch: int | str | None) -> float:
    try:
        return read(run, value.metric, epoch) * value.factor
    except NotMeasured:
        return float("nan")
