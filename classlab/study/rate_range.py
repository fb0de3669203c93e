"""The range of learning rates that train a network well, and from where on it diverges: several seeds, an interval.

Two steps, for the first alone names rates that are too high for a whole training:

1. A range test (Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3). The rate rises from
   step to step by the same factor, and the loss of each step is smoothed over the logarithm of the rate.
2. Short runs that differ in the rate alone, with the same seeds for each, judged by validation images. Rough ones go
   from the rate of divergence downwards, then fine ones around the best. Test images are not looked at.

Nothing is written, and no later run is another for it.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import experiment as experiments
from classlab import lookup
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.statistics.intervals import t_quantile

if TYPE_CHECKING:
    from classlab.runs.preparation import Prepared
    from classlab.training.settings import Settings

RATE = "training.optimizer.learning_rate"
DECADES = 7  # that the range test goes through, up to HIGHEST
HIGHEST = {"sgd": 100.0}
ELSE_HIGHEST = 10.0  # Adam and its like divide by the gradient's size
SMOOTH = 0.1  # decades: the standard deviation of the kernel over the logarithm of the rate
STEPS, IMAGES = 200, 12_800  # of the range test: the greater of so many steps and so many images
MOST_STEPS = 3_000
ROUGH, FINE = 10**0.5, 10**0.25  # from one rate to the next
ONE_SIDED = 1.645  # the normal distribution's 95 % point
LEAST_SHARE = 0.2  # of the epochs; where there is no time for them they see fewer images
RUNS = 26  # short ones, about: what time is reckoned by


@dataclass(frozen=True)
class RateRange:
    """What was found. Rates are those of the optimizer, the peak of a schedule that changes them.

    low, high: the interval of rates that short runs cannot tell from the best. diverged: of each seed the rate from
    which on the range test's loss is not finite or no lower than at its start, None where it never was so. curve: the
    rates of the range test's steps and of each seed the smoothed losses. tried: of each rate the figure of each seed
    after a short run, NaN where it diverged; metric says which. budget: what a short run was, in words.
    """

    experiment: str
    best: float
    low: float
    high: float
    seeds: tuple[int, ...]
    diverged: tuple[float | None, ...]
    curve: tuple[np.ndarray, np.ndarray]
    tried: dict[float, tuple[float, ...]]
    metric: str
    budget: str

    def sentence(self) -> str:
        """Return the answer in words."""
        words = f"learning rate between {self.low:.2g} and {self.high:.2g}, best of those tried {self.best:.2g}"
        ended = [rate for rate in self.diverged if rate is not None]
        if not ended:
            return f"{words}; none of {len(self.diverged)} seeds diverged up to {float(self.curve[0][-1]):.2g}"
        return f"{words}; above {max(ended):.2g} it diverges in {len(ended)} of {len(self.diverged)}"

    def setting(self) -> str:
        """Return what to put into the experiment's file."""
        return f"training: {{optimizer: {{learning_rate: {float(f'{self.best:.2g}'):g}}}}}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        rates, losses = self.curve
        drawn = [[value if math.isfinite(value) else None for value in row] for row in losses.tolist()]
        return {
            "experiment": self.experiment, "best": self.best, "low": self.low, "high": self.high,
            "seeds": list(self.seeds), "diverged": list(self.diverged), "metric": self.metric, "budget": self.budget,
            "tried": [{"rate": rate, "values": [value if math.isfinite(value) else None for value in values]}
                      for rate, values in sorted(self.tried.items())],
            "curve": {"rates": rates.tolist(), "losses": drawn},
            "sentence": self.sentence(), "setting": {RATE: float(f"{self.best:.2g}")},
        }  # fmt: skip

    def draw(self) -> Any:
        """Return the picture: the range test's losses and what the short runs gave, over the rate."""
        from classlab.drawing.rate_chart import rate_chart

        return rate_chart(self.curve, self.tried, self.metric, (self.low, self.high), max(
            (rate for rate in self.diverged if rate is not None), default=None))  # fmt: skip


def rate(
    experiment: str | Experiment | dict[str, Any],
    *,
    seeds: int = 3,
    first_seed: int = 0,
    seconds: float = 60.0,
    device: str | None = None,
    watch: Callable[[float], Callable[[float], None]] = lambda total: lambda amount: None,
) -> RateRange:
    """Find the range of learning rates of an experiment. Writes nothing.

    seeds: how many the range test and each fine run have, from first_seed on. seconds: about what the short runs may
    take; longer ones are cut down to fewer images. watch: takes how many steps there are, about, and returns what is
    told of each.
    Raises UserError where the optimizer has no learning rate, and as training does.
    """
    if seeds < 2:
        raise UserError(f"a range needs at least 2 seeds, for one seed has no spread; got {seeds}")
    plan = _plan(experiments.load(experiment))
    dataset, settings = _settings(plan, device)
    steps = min(max(STEPS, IMAGES // plan.training.batch_size), MOST_STEPS)
    advance = watch(seeds * steps + RUNS * STEPS)
    started = time.perf_counter()
    highest = HIGHEST.get(plan.training.optimizer.name, ELSE_HIGHEST)
    rates = np.geomspace(highest / 10**DECADES, highest, steps)
    numbers = tuple(range(first_seed, first_seed + seeds))
    rows = [_range_test(_prepared(plan, seed, dataset), settings, rates, advance) for seed in numbers]
    smoothed = np.array([_smoothed(rates, row) for row in rows])
    diverged = tuple(_diverged(rates, row) for row in smoothed)
    per_step = (time.perf_counter() - started) / (seeds * steps)

    budget = _budget(plan, _prepared(plan, 0, dataset), seconds / per_step / RUNS)

    def value(rate: float, seed: int) -> float:
        advance(STEPS)
        return _short_run(budget, rate, seed, settings, dataset)

    top = min((rate for rate in diverged if rate is not None), default=highest)
    luck = 0.0 if _is_loss(plan) else 1 / plan.data.val_size
    tried = _search(value, top, numbers, _is_loss(plan), luck)
    low, best, high = _interval(tried, _is_loss(plan), luck)
    low *= math.sqrt(budget.share)  # the longer a training, the lower its best rate; docs/rate.md has what was measured
    metric = "val_loss" if _is_loss(plan) else "val_accuracy"
    return RateRange(plan.name, best, low, high, numbers, diverged, (rates, smoothed), tried, metric, budget.words)


def _plan(experiment: Experiment) -> Experiment:
    """Return the experiment as it is tried: judged on validation images, without what belongs to a whole training."""
    known = lookup.known_options("optimizer", experiment.training.optimizer.name).model_fields
    if "learning_rate" not in known:
        raise UserError(
            f"optimizer {experiment.training.optimizer.name} has no learning_rate whose range could be found"
        )
    changes: dict[str, Any] = {"protocol.validate_on": "val", "protocol.select": "last", "contract": {}}
    changes |= {"training.early_stopping": None, "training.averages": None, "training.keep_epochs": False}
    if experiment.data.val_size == 0:
        changes["data.val_size"] = _val_size(experiment)
    return experiments.load(experiment, changes=changes)


def _val_size(experiment: Experiment) -> int:
    from classlab.data.loading import prepare

    return max(1, min(5_000, len(prepare(experiment.data).labels) // 6))


def _settings(plan: Experiment, device: str | None) -> "tuple[Any, Settings]":
    from classlab.runs.preparation import choose_settings, prepare

    prepared = prepare(plan, 0, {}, None)
    return prepared.dataset, choose_settings(prepared, device)[0]


def _prepared(plan: Experiment, seed: int, dataset: Any) -> "Prepared":
    from classlab.runs.preparation import prepare

    return prepare(plan, seed, {}, None, dataset)


def _range_test(
    prepared: "Prepared", settings: "Settings", rates: np.ndarray, advance: Callable[[float], None]
) -> np.ndarray:
    """Return the loss of each step while the rate rises; infinite from where it is not finite any more."""
    import torch

    from classlab.data.augment import bind
    from classlab.runs.preparation import place_model, place_splits
    from classlab.training import choices
    from classlab.training.random import generator, number
    from classlab.training.settings import isolated
    from classlab.training.train import in_bf16, update

    plan, images = prepared.experiment.training, place_splits(prepared, settings)["train"]
    losses = np.full(len(rates), math.inf)
    with isolated(settings):
        model = place_model(prepared.model, settings).train()
        forward = in_bf16(model, settings.device) if settings.precision == "bf16" else model
        optimizer, mix = choices.optimizer(plan.optimizer, model), choices.mixing(plan)
        loss_function = choices.of_both(choices.loss(plan.loss))
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        mixed_by = np.random.default_rng(number(prepared.seed, 0, "mixing"))
        augmentations = bind(prepared.experiment.data.augmentations)
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        step = 0
        for epoch in range(1, len(rates) + 1):
            order = torch.randperm(len(images), generator=generator(prepared.seed, epoch, "shuffle"))
            random = generator(prepared.seed, epoch, "augment", settings.device)
            batches = images.batches(order.to(settings.device), plan.batch_size, augmentations, random, layout)
            for inputs, clean, targets in batches:
                if len(inputs) < plan.batch_size and len(images) > plan.batch_size:
                    continue  # a smaller batch at an epoch's end has a louder loss
                for group in optimizer.param_groups:
                    group["lr"] = float(rates[step])
                if mix:
                    inputs, targets = mix(inputs, targets, mixed_by)
                loss = loss_function(outputs=forward(inputs), targets=targets, inputs=inputs, clean=clean)
                update(loss, trained, optimizer, plan)
                losses[step] = loss.item()
                advance(1)
                step += 1
                if step == len(rates) or not math.isfinite(losses[step - 1]):
                    return losses
    return losses


def _smoothed(rates: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return the losses averaged with a Gaussian kernel over the logarithm of the rate; infinite ones stay so."""
    places = np.log10(rates)
    finite = np.isfinite(losses)
    weights = np.exp(-0.5 * ((places[:, None] - places[None, finite]) / SMOOTH) ** 2)
    mean = (weights * losses[finite]).sum(1) / weights.sum(1) if finite.any() else np.full(len(rates), math.inf)
    return np.where(finite, mean, math.inf)


def _diverged(rates: np.ndarray, smoothed: np.ndarray) -> float | None:
    """Return the rate from which on the loss is nowhere lower than at the start, None where it ends lower."""
    start = float(np.median(smoothed[: max(1, len(smoothed) // 10)]))
    lower = np.flatnonzero(smoothed < start * 0.98)
    broken = np.flatnonzero(~np.isfinite(smoothed))
    if not len(lower):  # nothing was learnt, so nothing was lost either before the loss broke
        return float(rates[broken[0]]) if len(broken) else None
    after = int(lower[-1]) + 1
    return float(rates[after]) if after < len(rates) else None


@dataclass(frozen=True)
class Budget:
    """A short training. share: of the whole training's steps; images: of the training set that it runs on."""

    plan: Experiment
    images: int
    share: float
    words: str


def _budget(plan: Experiment, prepared: "Prepared", most_steps: float) -> Budget:
    """Return the longest training of at most so many steps: the whole one, else fewer epochs, then fewer images."""
    epochs, images = plan.training.epochs, len(prepared.train)
    per_epoch = math.ceil(prepared.epoch_images / plan.training.batch_size)
    share = min(1.0, most_steps / (epochs * per_epoch))
    short = max(1, round(epochs * max(share, LEAST_SHARE)))
    used = min(images, max(plan.training.batch_size, round(images * most_steps / (short * per_epoch))))
    part = short / epochs
    changes: dict[str, Any] = {"training.epochs": short, "training.warmup_epochs": plan.training.warmup_epochs * part}
    if plan.training.schedule.name == "one_cycle" and plan.training.schedule.options.get("peak_epoch") is not None:
        changes["training.schedule.peak_epoch"] = plan.training.schedule.options["peak_epoch"] * part
    words = f"{short} of {epochs} epochs" if short < epochs else "the whole training"
    words += "" if used == images else f" on {used:,} of {images:,} training images"
    return Budget(experiments.load(plan, changes=changes), used, part * used / images, words)


def _short_run(budget: Budget, rate: float, seed: int, settings: "Settings", dataset: Any) -> float:
    """Train a short run with a rate and return its validation figure; NaN where it diverged."""
    from classlab.runs.preparation import place_model, place_splits
    from classlab.training.train import Epoch, train_network

    plan = experiments.load(budget.plan, changes={RATE: rate})
    prepared = _prepared(plan, seed, dataset)
    chosen = np.random.default_rng(seed).permutation(prepared.train)[: budget.images]
    prepared = dataclasses.replace(prepared, train=np.sort(chosen))
    splits, model = place_splits(prepared, settings), place_model(prepared.model, settings)
    row: dict[str, float] = {}
    for happening in train_network(model, splits, plan, seed, settings):
        if isinstance(happening, Epoch):
            row = happening.row
    loss = row["val_loss"]
    if not math.isfinite(loss) or not math.isfinite(row["train_loss"]):
        return math.nan
    return loss if _is_loss(plan) else row["val_accuracy"]


def _is_loss(plan: Experiment) -> bool:
    from classlab.training.task import reconstructs

    return reconstructs(plan.training.loss)


def _search(
    value: Callable[[float, int], float], top: float, seeds: Sequence[int], lower_is_better: bool, luck: float
) -> dict[float, tuple[float, ...]]:
    """Try rates: rough ones with one seed from the top down, then fine ones around the best with every seed."""
    rough = {top / ROUGH**place: value(top / ROUGH**place, seeds[0]) for place in range(7)}
    while (best := _best({rate: (found,) for rate, found in rough.items()}, lower_is_better)) == min(rough):
        if len(rough) > 12:
            break
        rough[best / ROUGH] = value(best / ROUGH, seeds[0])
    tried: dict[float, tuple[float, ...]] = {}

    def try_fine(place: int) -> None:
        rate = best * FINE**place
        tried[rate] = tuple(value(rate, seed) for seed in seeds)

    for place in range(-2, 3):
        try_fine(place)
    places = [-2, 2]
    for _ in range(3):  # where an end of the fine rates is as good as the best, the interval may go on behind it
        kept = _kept(tried, lower_is_better, luck)
        for end, by in ((0, -1), (1, 1)):
            if best * FINE ** places[end] in kept:
                places[end] += by
                try_fine(places[end])
    return tried


def _best(tried: dict[float, tuple[float, ...]], lower_is_better: bool) -> float:
    """Return the rate with the best mean; a rate at which a seed diverged is worse than any other."""
    means = {rate: float(np.mean(values)) for rate, values in tried.items()}
    means = {rate: mean for rate, mean in means.items() if math.isfinite(mean)}
    if not means:
        raise UserError(f"every rate from {min(tried):.2g} to {max(tried):.2g} diverged in a short run")
    return min(means, key=lambda rate: means[rate] if lower_is_better else -means[rate])


def _kept(tried: dict[float, tuple[float, ...]], lower_is_better: bool, luck: float = 0.0) -> list[float]:
    """Return the rates whose paired runs cannot be told from the best's: one-sided t test, 1 %, spread pooled.

    luck: one over the number of validation images, whose drawing all seeds share: to the seeds' spread it adds that of
    p (1 − p) over so many images. 0 for a loss.
    """
    finite = {rate: np.array(values) for rate, values in tried.items() if np.isfinite(values).all()}
    best = _best(tried, lower_is_better)
    sign = 1 if lower_is_better else -1
    gaps = {rate: sign * (values - finite[best]) for rate, values in finite.items()}
    others = [gap for rate, gap in gaps.items() if rate != best]
    seeds = len(finite[best])
    if not others:
        return [best]
    # The spread of the better half: a rate that is near to divergence has a spread of its own.
    spreads = sorted(float(gap.var(ddof=1)) for gap in others)
    pooled = spreads[: max(1, math.ceil(len(spreads) / 2))]
    quantile = t_quantile(0.98, len(pooled) * (seeds - 1))
    p = min(1.0, max(0.0, float(finite[best].mean())))
    allowed = math.hypot(
        quantile * math.sqrt(float(np.mean(pooled)) / seeds), ONE_SIDED * math.sqrt(p * (1 - p) * luck)
    )
    return [rate for rate, gap in gaps.items() if gap.mean() <= allowed]


def _interval(tried: dict[float, tuple[float, ...]], lower_is_better: bool, luck: float) -> tuple[float, float, float]:
    """Return (low, best, high): what is kept, a step wider, for the best may lie between two that were tried."""
    kept = sorted(_kept(tried, lower_is_better, luck))
    broken = [rate for rate, values in tried.items() if rate > kept[-1] and not np.isfinite(values).all()]
    ends = kept[0] / FINE, min(kept[-1] * FINE, *broken, math.inf)
    # Of rates that cannot be told apart the one whose neighbours are good too: its own mean is partly luck.
    means = {rate: float(np.mean(values)) for rate, values in tried.items() if np.isfinite(values).all()}
    around = {rate: np.mean([means[rate], *(mean for other, mean in means.items()
                             if abs(math.log(other / rate)) < 1.5 * math.log(FINE))]) for rate in kept}  # fmt: skip
    best = min(kept, key=lambda rate: around[rate] if lower_is_better else -around[rate])
    return ends[0], best, ends[1]
