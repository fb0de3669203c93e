"""classlab: a laboratory for small image classifiers.

    import classlab as cl
    run = cl.train("mnist-20k", seed=0)
    run.history, run.curves(), run.mistakes(), run.report()

Names are loaded when they are first used, so that importing is fast.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from classlab.version import __version__ as __version__

if TYPE_CHECKING:
    from classlab.errors import Refused, UserError
    from classlab.experiment import Experiment
    from classlab.experiment import load as load_experiment
    from classlab.lab import Run, StudyResult, import_weights, load_run, load_study, study, train
    from classlab.reproduction.reproduce import reproduce
    from classlab.study.compare import compare
    from classlab.study.declaration import Study
    from classlab.study.rate_range import rate

# OpenMP's threads otherwise spin while they wait for each other; on a machine with anything else to do, that makes two
# threads ten times slower than one. So they sleep, but only after some microseconds: to be woken takes longer than a
# small layer does (docs/log.md). Both are read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

_PLACES = {
    "Experiment": "classlab.experiment:Experiment",
    "Refused": "classlab.errors:Refused",
    "Run": "classlab.lab:Run",
    "UserError": "classlab.errors:UserError",
    "load_experiment": "classlab.experiment:load",
    "Study": "classlab.study.declaration:Study",
    "StudyResult": "classlab.lab:StudyResult",
    "compare": "classlab.study.compare:compare",
    "import_weights": "classlab.lab:import_weights",
    "load_run": "classlab.lab:load_run",
    "load_study": "classlab.lab:load_study",
    "rate": "classlab.study.rate_range:rate",
    "reproduce": "classlab.reproduction.reproduce:reproduce",
    "study": "classlab.lab:study",
    "train": "classlab.lab:train",
}
__all__ = [
    "Experiment", "Refused", "Run", "Study", "StudyResult", "UserError", "compare", "import_weights",
    "load_experiment", "load_run", "load_study", "rate", "reproduce", "study", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'classlab' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
