"""Make a network: build it, or take the reader's own, and draw its initial weights from the seed."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from classlab import limits, lookup, own_code
from classlab.errors import UserError, did_you_mean, listing
from classlab.experiment import Choice
from classlab.models.parts import own_reset
from classlab.network.layer_table import follow
from classlab.terminal import say


def make(
    model: Choice | nn.Module | Callable[..., nn.Module],
    initialise: Choice,
    input_shape: tuple[int, int, int],
    classes: int,
    seed: int,
    given: str | None = None,
) -> nn.Module:
    """Return a network for images of `input_shape` (channels, height, width) with its initial weights.

    A module is copied, never changed; `seed` decides the weights unless `initialise` is keep, those of lazy layers
    always. given: the part of the network, by its name, whose weights come from elsewhere, so that `initialise` leaves
    it alone. The session's random state is left as it was. Raises UserError where it is no module, and for lazy layers
    that do not fit the images.
    """
    if isinstance(model, Choice) and own_code.is_own_code(model.name):
        found = lookup.find("model", model.name)
        model = found if isinstance(found, nn.Module) else model  # a network that stands ready in the file
    if isinstance(model, Choice):
        _check_size(model, input_shape, classes)
    with torch.random.fork_rng(devices=[]):
        generator = torch.random.default_generator.manual_seed(seed)
        if isinstance(model, nn.Module):
            if any(is_lazy(buffer) for buffer in model.buffers()):
                raise UserError("torch cannot copy a lazy batch norm; give a function that builds the model")
            network = copy.deepcopy(model)
        elif isinstance(model, Choice):
            network = model.call("model", input_shape=input_shape, classes=classes)
        else:
            network = model()
        if not isinstance(network, nn.Module):
            raise UserError(f"the model must be a torch.nn.Module, got {type(network).__name__}")
        _give_shapes(network, input_shape)
        if initialise.name != "default" or isinstance(model, nn.Module):
            generator.manual_seed(seed)
            _tell_of_kept(network, initialise)
            fill = lookup.bind("initialisation", initialise.name, initialise.options)
            with without(network, given):
                fill(module=network, generator=generator)
    return network


def part_of(network: nn.Module, name: str | None) -> nn.Module:
    """Return the part of a network that has this name, None: all of it. Raises UserError where it has no such part."""
    try:
        return network.get_submodule(name or "")
    except AttributeError:
        parts = [known for known, _ in network.named_children()]
        raise UserError(
            f"training.start_from: this network has no layers named {name}{did_you_mean(name or '', parts) or ';'} "
            f"it has {listing(parts)}"
        ) from None


@contextmanager
def without(network: nn.Module, part: str | None) -> Iterator[None]:
    """Take a part out of a network, by its name, and put it back in its place at the end; None takes nothing out."""
    if not part:
        yield
        return
    parent, _, child = part.rpartition(".")
    held = part_of(network, part)
    setattr(network.get_submodule(parent), child, nn.Identity())
    try:
        yield
    finally:
        setattr(network.get_submodule(parent), child, held)


def _check_size(choice: Choice, input_shape: tuple[int, int, int], classes: int) -> None:
    """Raise UserError for a shipped network that is too large, before it takes any memory.

    A line of a file can ask for more weights, or for larger outputs of layers, than any machine holds. On torch's meta
    device a network has shapes and no numbers; its outputs are those for no image at all, which take no memory either.
    (The meta device computes outputs too, but imports for seconds what that needs.) The reader's own code knows what it
    builds.
    """
    if own_code.is_own_code(choice.name):
        return
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        with torch.device("meta"):
            numbers = count_parameters(choice.call("model", input_shape=input_shape, classes=classes))
        if numbers > limits.PARAMETERS:
            raise UserError(
                f"the network {choice} would have {numbers:,} parameters; at most {limits.PARAMETERS:,} are built"
            )
        network, outputs = choice.call("model", input_shape=input_shape, classes=classes), [0]

        def count(module: nn.Module, inputs: object, output: object) -> None:
            outputs[0] += math.prod(output.shape[1:]) if isinstance(output, Tensor) else 0

        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(count)
        with suppress(RuntimeError, ValueError):  # shapes that do not fit are reported later, with the layer's name
            network.eval()(torch.zeros(0, *input_shape))
        if outputs[0] > limits.OUTPUTS:
            most = f"at most {limits.OUTPUTS:,} are computed"
            raise UserError(f"the layers of {choice} would have {outputs[0]:,} outputs for one image; {most}")


def _tell_of_kept(network: nn.Module, initialise: Choice) -> None:
    """Say which parameters of the reader's own module no seed draws, lest seeds are thought to differ in them."""
    kept = _not_drawn(network) if initialise.name != "keep" else []
    if kept:
        say(
            f"the module's {listing(kept, 4)} keep{'s' if len(kept) == 1 else ''} the values given, with every seed: "
            "nothing says how to draw a bare parameter; give a function that builds the module, and all is drawn"
        )


def _not_drawn(module: nn.Module) -> list[str]:
    """Return the names of the parameters that no initialisation draws: bare ones, of which nothing says how."""
    drawn = [part for part in module.modules() if own_reset(part) is not None]
    known = {id(parameter) for part in drawn for parameter in part.parameters()}
    return [name for name, parameter in module.named_parameters() if id(parameter) not in known]


def _give_shapes(network: nn.Module, input_shape: tuple[int, int, int]) -> None:
    """Let lazy layers take their shapes, and draw their weights, from one image. Raises UserError where none does."""
    if not any(is_lazy(value) for value in network.state_dict(keep_vars=True).values()):
        return
    follow(network, input_shape)
    left = next((name for name, value in network.state_dict(keep_vars=True).items() if is_lazy(value)), None)
    if left:
        raise UserError(f"the model's lazy {left} has no shape, since no image reaches its layer; leave that layer out")


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, a shared one counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def load_weights(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Put the weights of a checkpoint into `model`. Raises UserError where they are another network's."""
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    expected = model.state_dict()
    for name in [*expected, *weights]:
        if name not in expected or name not in weights:
            side = "the network has no" if name not in expected else "the checkpoint has no"
            raise UserError(f"{where} holds the weights of another network: {side} {name}")
        if expected[name].shape != weights[name].shape:
            raise UserError(
                f"{where} holds the weights of another network: {name} is {tuple(weights[name].shape)} there, "
                f"{tuple(expected[name].shape)} in the network"
            )
    model.load_state_dict(weights)
