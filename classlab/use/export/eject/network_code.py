"""The network in a script: written out layer by layer with shapes in comments, or taken from the reader's own file."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from classlab import lookup, own_code
from classlab.errors import UserError
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import WIDTH, call, code, literal
from classlab.use.export.eject.readers_files import attribute_of, module_of

if TYPE_CHECKING:
    from torch import nn

    from classlab.network.layer_table import Layer, LayerTable

ROWS = 40  # of a table of layers in a comment
JOINED = 76  # characters of a line of layers
DROPOUT = '''
    class Dropout(nn.Dropout):
        """nn.Dropout with 16 random bits for each number, as classlab draws them: it is faster."""

        def forward(self, x):
            if not self.training or not self.p:
                return x
            dropped = min(round(self.p * 2**16), 2**16 - 1)  # of 65,536
            bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
            kept = bits.view(torch.int16)[: x.numel()] >= dropped - 2**15
            mask = kept.to(x.dtype) * (2**16 / (2**16 - dropped))
            mask = mask.as_strided(x.shape, x.stride()).to(x.device)  # lies in memory as x does
            return x.mul_(mask) if self.inplace else x * mask
'''
BY_COLUMNS = '''
    class ByColumns(nn.Conv2d):
        """nn.Conv2d, two columns at a time, as classlab computes it where channels are few: faster.

        Its sums run in another order; with nn.Conv2d the losses differ in their last digits.
        """

        def forward(self, x):
            $geometry
            count, channels, height, width = x.shape
            weight = torch.cat([F.pad(self.weight, $sides) for i in (0, 1)])
            weight = weight.unflatten(3, ($groups, 2)).permute(0, 4, 1, 2, 3).flatten(1, 2)
            weight = weight.contiguous(memory_format=torch.channels_last)
            bias = None if self.bias is None else self.bias.repeat(2)
            x = x.permute(0, 2, 3, 1).reshape(count, height, width // 2, 2 * channels)
            x = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=$padding).permute(0, 2, 3, 1)
            return x.reshape(count, x.shape[1], 2 * x.shape[2], -1).permute(0, 3, 1, 2)
'''
GEOMETRY = """
    padding = (self.padding[0], -(-self.padding[1] // 2))
    early = 2 * padding[1] - self.padding[1]
    groups = -(-(early + self.weight.shape[3] + 1) // 2)
    late = 2 * groups - early - self.weight.shape[3]
"""


def network(leaving: Leaving) -> str:
    """Return the functions `network(seed)` and `trained()`, and those layers of classlab's that they use."""
    classes = list(_faster(leaving))
    source = _readers(leaving) if own_code.is_own_code(leaving.experiment.model.name) else _written(leaving)
    return "\n\n".join([*classes, source, code(TRAINED)])


def _faster(leaving: Leaving) -> Iterator[str]:
    """Yield the layers of classlab's whose bits differ from torch's."""
    from torch import nn

    if any(type(layer) is nn.Dropout for layer in leaving.network.modules()):
        yield code(DROPOUT)
    if paths := by_columns(leaving):
        yield _by_columns([leaving.network.get_submodule(path) for path in sorted(paths)])


def _by_columns(layers: "list[Any]") -> str:
    """Return the class of convolutions by columns; where all have the same geometry, with its numbers."""
    if len({(layer.padding, layer.kernel_size) for layer in layers}) > 1:
        return code(
            BY_COLUMNS, geometry=code(GEOMETRY), sides="(early + i, late - i)", groups="groups", padding="padding"
        )  # fmt: skip
    (down, across), columns = layers[0].padding, layers[0].kernel_size[1]
    padding = (down, -(-across // 2))
    early = 2 * padding[1] - across
    groups = -(-(early + columns + 1) // 2)
    sides = f"({f'{early} + ' if early else ''}i, {2 * groups - early - columns} - i)"
    return code(BY_COLUMNS, geometry="", sides=sides, groups=groups, padding=literal(_short(padding)))


def by_columns(leaving: Leaving) -> set[str]:
    """Return the paths of the convolutions that classlab trains two columns at a time."""
    import torch
    from torch import nn

    from classlab.training.fast import columns

    if not leaving.settings.channels_last:
        return set()
    found: set[str] = set()
    handles = []
    for path, layer in leaving.network.named_modules():
        if type(layer) is nn.Conv2d and columns.is_plain(layer):

            def look(module: nn.Module, inputs: tuple, output: torch.Tensor, path: str = path) -> None:
                if inputs[0].shape[3] % 2 == output.shape[3] % 2 == 0:
                    found.add(path)

            handles.append(layer.register_forward_hook(look))
    with torch.no_grad():
        leaving.network(torch.zeros(2, *leaving.shape))
    for handle in handles:
        handle.remove()
    return found


def _written(leaving: Leaving) -> str:
    """Return a shipped network, layer by layer."""
    from classlab.network.layer_table import layer_table

    table = layer_table(leaving.network, leaving.shape)
    rows = {layer.name: layer for layer in table.layers}
    quick = by_columns(leaving)
    lines = list(_rows(leaving.network, "", rows, quick, 8))
    column = min(max(len(text) for text, _ in lines), JOINED) + 2
    layers = "\n".join(f"{text:{column}}# {comment}" if comment else text for text, comment in lines)
    return code(
        '''
        def network(seed):
            """Return the network with its first weights: $parameters parameters.

            Input (batch, $input), $output. Behind a line: its output, its parameters.
            """
            torch.manual_seed(generator(seed, 0, "initialise").initial_seed())
            net = nn.Sequential(OrderedDict(
        $layers
            ))
            $start
            return net$placed
        ''',
        parameters=f"{table.parameters:,}", input=", ".join(map(str, leaving.shape)), output=_output(leaving),
        layers=layers, start=_start(leaving), placed=_placed(leaving),
    )  # fmt: skip


def _rows(
    module: "nn.Module", path: str, rows: "dict[str, Layer]", quick: set[str], indent: int
) -> Iterator[tuple[str, str]]:
    """Yield (line, comment) for each layer; an activation or a dropout shares the line of the layer before it.

    The parts of a nn.Sequential stand one step further in.
    """
    from torch import nn

    space, line, last, shape, parameters = " " * indent, "", None, (), 0
    for name, layer in module.named_children():
        place = f"{path}{name}"
        if isinstance(layer, nn.Sequential):
            yield f"{space}{name}=nn.Sequential(OrderedDict(", ""
            yield from _rows(layer, f"{place}.", rows, quick, indent + 4)
            yield f"{space})),", ""
            continue
        text, row = f"{name}={_layer(layer, place in quick)},", rows[place]
        joins = line and _joins(layer, last)
        if line and not (joins and len(line) + len(text) < JOINED):
            yield line, _comment(shape, parameters)
            line, parameters = "", 0
        line, last, shape = f"{line} {text}" if line else f"{space}{text}", layer, row.output_shape
        parameters += row.parameters
    if line:
        yield line, _comment(shape, parameters)


def _comment(shape: tuple[int, ...], parameters: int) -> str:
    return f"{' × '.join(map(str, shape)):12}{f'{parameters:,}' if parameters else '':>8}".rstrip()


def _joins(layer: "nn.Module", last: "nn.Module | None") -> bool:
    """Whether a layer is no step of its own after the last: an activation or a dropout, a norm after an activation."""
    from torch import nn

    shapes = nn.Conv2d | nn.Linear | nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d | nn.Flatten | nn.Unflatten
    if isinstance(layer, nn.BatchNorm2d):
        return not isinstance(last, shapes)
    return not isinstance(layer, shapes) and not isinstance(last, nn.Flatten | nn.MaxPool2d | nn.AvgPool2d)


def _layer(layer: "nn.Module", by_two: bool) -> str:
    """Return the expression that makes a layer of those that classlab's networks have."""
    from torch import nn

    kind, inplace = type(layer).__name__, {"inplace": True} if getattr(layer, "inplace", False) else {}
    bias = {} if getattr(layer, "bias", None) is not None else {"bias": False}
    match layer:
        case nn.Conv2d():
            options: dict[str, Any] = {}
            options |= {"stride": _short(layer.stride)} if layer.stride != (1, 1) else {}
            options |= {"padding": _short(layer.padding)} if layer.padding != (0, 0) else {}
            options |= {"dilation": _short(layer.dilation)} if layer.dilation != (1, 1) else {}
            options |= {"groups": layer.groups} if layer.groups > 1 else {}
            name = "ByColumns" if by_two else "nn.Conv2d"
            return call(name, layer.in_channels, layer.out_channels, _short(layer.kernel_size), **options, **bias)
        case nn.Linear():
            return call("nn.Linear", layer.in_features, layer.out_features, **bias)
        case nn.BatchNorm2d():
            return call("nn.BatchNorm2d", layer.num_features)
        case nn.Dropout():
            return call("Dropout", layer.p, **inplace)
        case nn.MaxPool2d() | nn.AvgPool2d():
            return call(f"nn.{_torchs(layer)}", _short(layer.kernel_size))
        case nn.AdaptiveAvgPool2d():
            return call("nn.AdaptiveAvgPool2d", layer.output_size)
        case nn.LogSoftmax():
            return call("nn.LogSoftmax", dim=layer.dim)
        case nn.Unflatten():
            return call("nn.Unflatten", layer.dim, tuple(layer.unflattened_size))
        case nn.Flatten() | nn.ReLU() | nn.LeakyReLU() | nn.ELU() | nn.GELU() | nn.SiLU() | nn.Tanh() | nn.Sigmoid():
            return call(f"nn.{kind}", **inplace)
    raise UserError(f"a script cannot write out a layer {kind}; export to pt2 or onnx")


def _torchs(layer: "nn.Module") -> str:
    """Return the name that torch has for a layer, whose class may be classlab's faster form of it."""
    from torch import nn

    return next(kind.__name__ for kind in type(layer).__mro__ if kind.__module__.startswith(nn.__name__))


def _short(size: Any) -> Any:
    """Return 3 for (3, 3)."""
    return size[0] if isinstance(size, tuple) and len(set(size)) == 1 else size


def _output(leaving: Leaving) -> str:
    if leaving.reconstructs:
        return "output the same"
    return f"output (batch, {len(leaving.class_names)})"


def _placed(leaving: Leaving) -> str:
    double = ".double()" if leaving.double else ""
    layout = ", memory_format=torch.channels_last" if leaving.settings.channels_last else ""
    return f"{double}.to(DEVICE{layout})"


def _readers(leaving: Leaving) -> str:
    """Return a network of the reader's own, which its file makes, with a table of its layers."""
    from torch import nn

    from classlab.network.layer_table import layer_table

    choice = leaving.experiment.model
    found, name = lookup.find("model", choice.name), attribute_of(choice.name)
    table = layer_table(leaving.network, leaving.shape)
    ready = isinstance(found, nn.Module)
    made = f"copy.deepcopy({name})" if ready else _call(leaving, name)
    lines = [f"net = {made}"]
    if _is_lazy(leaving):
        lines += ["with torch.no_grad():  # lazy layers take their shapes from an image",
                  f"    net.eval()(torch.zeros(2, {', '.join(map(str, leaving.shape))}))"]  # fmt: skip
    lines += _again(ready, leaving)
    quick = sorted(by_columns(leaving))
    if any(type(layer) is nn.Dropout for layer in leaving.network.modules()):
        lines += ["for layer in net.modules():  # the same masks as in classlab", "    if type(layer) is nn.Dropout:",
                  "        layer.__class__ = Dropout"]  # fmt: skip
    if quick:
        lines += [f"for path in {literal(quick)}:", "    net.get_submodule(path).__class__ = ByColumns"]
    return code(
        '''
        # The network is that of $file, which lies beside this script. What an image meets in it:
        #
        $table


        def network(seed):
            """Return the network with its first weights: $parameters parameters.

            Input (batch, $input), $output.
            """
            torch.manual_seed(generator(seed, 0, "initialise").initial_seed())
            $made
            $start
            return net$placed
        ''',
        file=f"{module_of(choice.name)}.py", table="\n".join(_table(table)), parameters=f"{table.parameters:,}",
        input=", ".join(map(str, leaving.shape)), output=_output(leaving), made="\n".join(lines),
        start=_start(leaving), placed=_placed(leaving),
    )  # fmt: skip


def _table(table: "LayerTable") -> Iterator[str]:
    for layer in table.layers[:ROWS]:
        parameters = f"{layer.parameters:,}" if layer.parameters else ""
        shape = " × ".join(map(str, layer.output_shape))
        yield f"#   {layer.name[:40]:42}{layer.kind[:20]:22}{shape:16}{parameters:>9}".rstrip()
    if len(table.layers) > ROWS:
        yield f"#   and {len(table.layers) - ROWS} more"


def _call(leaving: Leaving, name: str) -> str:
    """Return the call that makes a reader's network, with its options and the facts of the data that it asks for."""
    choice = leaving.experiment.model
    function = lookup.find("model", choice.name)
    facts = lookup.facts(leaving.shape, len(leaving.class_names))
    asked = lookup.filled_in("model", function, choice.options)
    given = {"input_shape": leaving.shape, "classes": len(leaving.class_names)}
    taken = lookup.taken("model", function)
    options = {key: value for key, value in given.items() if key in taken}
    options |= {key: facts[fact] for key, fact in asked.items()} | choice.options
    line = call(name, **options)
    if len(line) + 10 <= WIDTH:
        return line
    inside = "\n".join(f"    {key}={literal(value)}," for key, value in options.items())
    return f"{name}(\n{inside}\n)"


def _is_lazy(leaving: Leaving) -> bool:
    """Whether the network has layers that take their shapes from the first images."""
    import torch
    from torch import nn
    from torch.nn.parameter import is_lazy

    choice = leaving.experiment.model
    with torch.random.fork_rng(devices=[]):
        found = lookup.find("model", choice.name)
        if isinstance(found, nn.Module):
            return any(map(is_lazy, found.parameters()))
        fresh = choice.call("model", input_shape=leaving.shape, classes=len(leaving.class_names))
    return any(map(is_lazy, fresh.state_dict(keep_vars=True).values()))


def _start(leaving: Leaving) -> str:
    """Return the lines that draw the first weights where torch's own do not serve, and take those of another run."""
    lines = [] if own_code.is_own_code(leaving.experiment.model.name) else _again(False, leaving)
    start = leaving.experiment.training.start_from
    if start:
        part = f"net.{start.layers}" if start.layers else "net"
        lines += ['start = np.load(HERE / "start.npz")  # weights of another run, from which this one starts',
                  f"{part}.load_state_dict({{name: torch.from_numpy(start[name]) for name in start}})"]  # fmt: skip
        lines += [f"{part}.requires_grad_(False)"] if start.freeze else []
    return "\n".join(lines)


def _again(ready: bool, leaving: Leaving) -> list[str]:
    """Return the lines that draw all weights anew. ready: whether the network came with weights of its own."""
    choice, start = leaving.experiment.training.initialise, leaving.experiment.training.start_from
    if choice.name == "keep" or (start and not start.layers):
        return []
    if choice.name == "default" and not ready:
        return _decoder_first() if leaving.experiment.model.name == "autoencoder" else []
    lines = ['torch.manual_seed(generator(seed, 0, "initialise").initial_seed())']
    if own_code.is_own_code(choice.name):
        options = "".join(f", {name}={literal(value)}" for name, value in choice.options.items())
        return [*lines, f"{attribute_of(choice.name)}(module=net, generator=torch.default_generator{options})"]
    skipped = f' if not f"{{path}}.".startswith("{start.layers}.")' if start and start.layers else ""
    modules = "net.named_modules(remove_duplicate=False)"
    lines.append(f"for layer in [layer for path, layer in {modules}{skipped}]:" if skipped
                 else "for layer in net.modules():")  # fmt: skip
    return lines + [f"    {line}" for line in _drawn(choice.name, choice.options, leaving)]


def _decoder_first() -> list[str]:
    """Return the lines for an autoencoder, whose decoder is built before the encoder, so that it draws first."""
    return [
        'torch.manual_seed(generator(seed, 0, "initialise").initial_seed())',
        "for layer in [*net.decoder, *net.encoder]:  # classlab builds the decoder first",
        "    if isinstance(layer, nn.Linear):",
        "        layer.reset_parameters()",
    ]


def _drawn(name: str, options: dict[str, Any], leaving: Leaving) -> list[str]:
    """Return the lines that draw a layer's weights."""
    from torch import nn

    reset = ['if hasattr(layer, "reset_parameters"):', "    layer.reset_parameters()"]
    if any(hasattr(layer, "_reset_parameters") for layer in leaving.network.modules()):
        reset += ['elif hasattr(layer, "_reset_parameters"):', "    layer._reset_parameters()"]
    if name == "default":
        return reset
    kinds = [f"nn.{kind}" for kind in ("Linear", "Conv1d", "Conv2d", "Conv3d")
             if any(isinstance(layer, getattr(nn, kind)) for layer in leaving.network.modules())]  # fmt: skip
    if any("Transpose" in type(layer).__name__ for layer in leaving.network.modules()):
        raise UserError(f"a script cannot draw the weights of transposed convolutions by {name}; export to pt2")
    default = options.get("biases") == "default"
    other = any(not isinstance(layer, nn.Linear | nn.Conv2d | nn.BatchNorm2d) and hasattr(layer, "reset_parameters")
                for layer in leaving.network.modules())  # fmt: skip
    test = kinds[0] if len(kinds) == 1 else f"({', '.join(kinds)})"
    lines = [f"if isinstance(layer, {test}):"]
    lines += ["    layer.reset_parameters()  # for the biases, as torch draws them"] if default else []
    lines += [f"    {line}" for line in _weights(name, float(options.get("gain", 1)))]
    if not default and any(getattr(layer, "bias", None) is not None and not isinstance(layer, nn.BatchNorm2d)
                           for layer in leaving.network.modules()):  # fmt: skip
        layers = [layer for layer in leaving.network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        some = any(layer.bias is None for layer in layers)
        lines += ["    if layer.bias is not None:", "        nn.init.zeros_(layer.bias)"] if some else [
            "    nn.init.zeros_(layer.bias)"]  # fmt: skip
    return lines + (["el" + reset[0], *reset[1:]] if other else [])


def _weights(name: str, gain: float) -> list[str]:
    fan_in = "fan_in = layer.weight[0].numel()"
    both = "fan_out = layer.weight.shape[0] * layer.weight[0, 0].numel()"
    root = "math.sqrt(2)" if gain == math.sqrt(2) else repr(gain)
    match name:
        case "he_normal":
            return [fan_in, f"nn.init.normal_(layer.weight, 0, {root} / math.sqrt(fan_in))"]
        case "he_uniform":
            return [fan_in, f"bound = {root} * math.sqrt(3 / fan_in)",
                    "nn.init.uniform_(layer.weight, -bound, bound)"]  # fmt: skip
        case "xavier_normal":
            return [fan_in, both, f"nn.init.normal_(layer.weight, 0, {root} * math.sqrt(2 / (fan_in + fan_out)))"]
        case "xavier_uniform":
            return [fan_in, both, f"bound = {root} * math.sqrt(6 / (fan_in + fan_out))",
                    "nn.init.uniform_(layer.weight, -bound, bound)"]  # fmt: skip
        case _:
            return [f"nn.init.orthogonal_(layer.weight, {root})"]


TRAINED = '''
    def trained():
        """Return the network with the weights that classlab trained."""
        net, weights = network(SEED), np.load(HERE / "weights.npz")
        net.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
        return net.eval()
'''
