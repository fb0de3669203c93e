"""Loss, schedule and optimizer of an experiment; what the reader's own ones return is checked."""

import sys
from collections.abc import Callable
from numbers import Real

from torch import Tensor, nn
from torch.optim import Optimizer

from classlab.data import reader_functions
from classlab.errors import UserError
from classlab.experiment import Choice


def loss(choice: Choice) -> Callable[..., Tensor]:
    """Return the loss: of outputs, targets, inputs and clean, as training.losses tells. A call may raise UserError."""
    wanted = "the mean over the batch, a tensor of no dimension"
    return reader_functions.bind("loss", choice, lambda given, _: isinstance(given, Tensor) and given.ndim == 0, wanted)


def schedule(choice: Choice) -> Callable[..., float]:
    """Return the schedule: of what training.schedules tells. A call may raise UserError."""
    return reader_functions.bind(
        "schedule", choice, lambda given, _: isinstance(given, Real), "a number, the factor on the rate"
    )


def optimizer(choice: Choice, model: nn.Module) -> Optimizer:
    """Return the optimizer of those of the model's parameters that are to be trained. Raises UserError without any."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise UserError("the model has no parameter to train: every one has requires_grad off, or there is none")
    _spare_dynamo()
    made = reader_functions.bind(
        "optimizer", choice, lambda given, _: isinstance(given, Optimizer), "a torch.optim.Optimizer"
    )
    return made(parameters=trained)


def _spare_dynamo() -> None:
    """Let optimizers do without torch's dynamo: it takes two seconds to import, and classlab compiles without it.

    Methods that dynamo must not trace import it when they are first called, to say so; unless it is noted already.
    """
    for method in vars(Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and "torch._dynamo" not in sys.modules:
            vars(plain).setdefault("__dynamo_disable", plain)
