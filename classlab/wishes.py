"""What people ask for by another name, or in another place, and how classlab spells it: the way on in a refusal."""

import re

# A word, as an option, a setting or a name, without its hyphens and underscores -> the setting that does it. Where the
# setting has a plain value, what was given stands in the example's place.
_WISHES = {
    "training.epochs=3": "epoch epochs numepochs nepochs",
    "training.batch_size=64": "batch batchsize bs",
    "training.optimizer.learning_rate=0.1": "lr learningrate rate eta",
    "training.optimizer.momentum=0.9": "momentum",
    "training.optimizer.weight_decay=0.0005": "weightdecay wd l2 decay",
    "training.optimizer.nesterov=true": "nesterov",
    "training.optimizer=adam": "optimizer optimiser optim",
    "training.schedule=one_cycle": "schedule scheduler lrscheduler onecyclelr onecycle",
    "training.schedule={name: one_cycle, peak_epoch: 5}": "peakepoch peak",
    "training.schedule={name: warm_up, warmup_epochs: 2}": "warmup warmups linearwarmup",
    "training.warmup_epochs=2": "warmupepochs",
    "training.l1_penalty=0.00001": "l1 l1penalty lasso l1lambda l1regularization l1regularisation",
    "training.max_gradient_norm=1": "maxgradientnorm clip gradclip clipgradients gradientclipping maxnorm clipnorm",
    "training.lookahead={every_steps: 5}": "lookahead",
    "training.mixing=mixup": "mixing mixup",
    "training.mixing=cutmix": "cutmix",
    "training.averages={ema_decay: 0.999}": "averages ema movingaverage modelema",
    "training.averages={swa_from_epoch: 1}": "swa weightaveraging stochasticweightaveraging",
    "training.schedule=cosine": "cosineannealing cosineannealinglr cosinedecay",
    "training.schedule={name: step, every_epochs: 10, factor: 0.1}": "steplr multistep multisteplr lrdecay stepdecay",
    "training.schedule=plateau": "reducelronplateau reduceonplateau",
    "training.loss=mse": "loss criterion mseloss l2loss",
    "training.loss=cross_entropy": "crossentropyloss crossentropy ce celoss",
    "training.loss=nll": "nllloss",
    "training.loss={name: cross_entropy, label_smoothing: 0.1}": "labelsmoothing labelsmooth smoothing smoothlabels",
    "training.early_stopping={patience: 5}": "earlystopping earlystop patience stopearly",
    "training.initialise=he_normal": "init initialise initialize initialization initialisation initializer weightinit",
    "training.start_from=RUN": "pretrained finetune weights startfrom warmstart loadfrom",
    "training.precision=bf16": "precision fp16 amp half mixedprecision bf16 dtype autocast",
    "training.keep_epochs=true": "keepepochs keepcheckpoints saveepochs savecheckpoints",
    "training.native=true": "native compile torchcompile",
    "data.dataset=mnist": "dataset datasets",
    "data.val_size=0.1": "val validation valsize valsplit valfraction validationsplit validationsize holdout",
    "data.stratified=true": "stratified stratify",
    "data.split_seed=0": "splitseed",
    "data.classes=[0, 1]": "classes",
    "data.labels=renumber": "labels",
    "data.max_per_class=100": "maxperclass limit subset trainsize maximages samples",
    "data.max_test_per_class=100": "maxtestperclass testsize",
    "data.normalise={mean: [0.1307], std: [0.3081]}": "normalise normalize normalization normalisation mean std",
    "data.augmentations=[{name: rotate, degrees: 10}]": "augment augmentation augmentations aug transform transforms "
    "randomrotation rotation rotations",
    "data.augmentations=[{name: erase}]": "randomerasing randomerase erasing erase",
    "data.augmentations=[{name: cutout, size: 3}]": "cutout coarsedropout",
    "data.augmentations=[{name: saturation, percent: 20}]": "saturation saturate",
    "data.augmentations=[{name: hue, degrees: 20}]": "hue randomhue",
    "data.augmentations=[{name: greyscale, probability: 0.1}]": "greyscale grayscale randomgrayscale togray",
    "data.augmentations=[{name: horizontal_flip}]": "flip hflip fliplr mirror randomhorizontalflip randomflip",
    "data.augmentations=[{name: vertical_flip}]": "vflip flipud randomverticalflip",
    "data.augmentations=[{name: shift, pixels: 2}]": "translate translation randomtranslation randomshift",
    "data.augmentations=[{name: zoom, percent: 10}]": "scale scaling rescale randomzoom randomscale",
    "data.augmentations=[{name: shear, degrees: 15}]": "skew slant randomshear shearx italic",
    "data.augmentations=[{name: stretch, percent: 20}]": "aspect aspectratio anisotropic",
    "data.augmentations=[{name: rotate, degrees: 10}, {name: shift, pixels: 2}, {name: zoom, percent: 10}]":
    "affine randomaffine",
    "data.augmentations=[{name: pad_and_crop, pixels: 4}]": "randomcrop padcrop",
    "data.augmentations=[{name: brightness, percent: 20}, {name: contrast, percent: 20}, {name: saturation, "
    "percent: 20}, {name: hue, degrees: 18}]": "colorjitter colourjitter jitter",
    "data.augmentations=[{name: gaussian_noise, std: 0.1}]": "noise addnoise randomnoise",
    "data.expansion=[[], [{name: rotate, degrees: 10}]]": "expansion copies repeataugment",
    "data.expansion_seed=0": "expansionseed",
    "model=convnet": "cnn lenet lenet5 conv net network architecture model simplecnn",
    "model=perceptron": "mlp dense fc feedforward fullyconnected multilayerperceptron",
    "model.width=16": "width",
    "model={name: era_s6, dropout: 0.1}": "dropout",
    "protocol.validate_on=val": "validateon",
    "protocol.select=best": "select best savebest bestepoch checkpoint modelcheckpoint restorebestweights",
    "protocol.test_each_epoch=true": "testeachepoch testcurve",
    "protocol.train_metrics=re-evaluated": "trainmetrics",
    "protocol.train_loss_steps=2000": "trainlosssteps",
    "contract.max_parameters=20000": "maxparameters maxparams",
    "contract.max_epochs=20": "maxepochs",
    "contract.min_test_accuracy_percent=99": "mintestaccuracypercent minaccuracy targetaccuracy",
}  # fmt: skip
_SETTINGS = {word: setting for setting, words in _WISHES.items() for word in words.split()}
# What is an option of `classlab run` by another name.
_OPTIONS = {"gpu": "--device cuda", "cuda": "--device cuda", "output": "--out", "outdir": "--out", "name": "--out",
            "force": "--again", "overwrite": "--again", "resumefrom": "--resume", "continue": "--resume",
            "randomseed": "--seed", "manualseed": "--seed", "seeds": "a study, for several seeds (classlab study)",
            "nseeds": "a study, for several seeds (classlab study)"}  # fmt: skip
_COMMANDS = {"train": "run", "fit": "run", "evaluate": "check", "eval": "check", "test": "check", "ls": "runs",
             "summary": "inspect", "infer": "predict", "classify": "predict", "dataset": "data", "datasets": "data",
             "sweep": "study", "plot": "report", "models": "list", "experiments": "list", "version": "--version",
             "help": "--help", "init": "run", "web": "ui"}  # fmt: skip


def setting(word: str, value: str = "") -> str:
    """Return the setting that a word means, with the value that was given where it is plain; "" where none does."""
    found = _SETTINGS.get(_plain(word), "")
    key, _, example = found.partition("=")
    return f"{key}={value}" if value and found and not example.startswith(("{", "[")) else found


def option(word: str) -> str:
    """Return the option that a word means; "" where none does."""
    return _OPTIONS.get(_plain(word), "")


def command(word: str) -> str:
    """Return the command that a word means; "" where none does."""
    return _COMMANDS.get(_plain(word), "")


def way_on(word: str, meant: str) -> str:
    """Return "; here that is SETTING;" for what exists under another name, else what is meant of names that are close.

    meant: "; did you mean NAME?" or "". A slip of the pen in a name that the setting holds is no wish.
    """
    found = setting(word)
    close = meant.rpartition(" ")[2].rstrip("?").rpartition(".")[2]
    is_slip = close in re.findall(r"\w+", found)
    return f"; here that is {found};" if found and not is_slip else meant


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower()) if len(word) < 60 else ""
