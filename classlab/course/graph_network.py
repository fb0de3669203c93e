"""The graph of a student's own network: read, counted and run without the student's code.

`graph.onnx` says what the network computes, node by node. Each node is done by torch's own layer or function, and one
that is not listed here is refused, so that nothing but arithmetic happens. The graph has to hold the very numbers of
the weights file beside it: what is counted and measured is then the network that was handed in.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from classlab import experiment as experiments
from classlab import files, limits, own_code
from classlab.course.graph_steps import Attributes, Broken, Value, step
from classlab.data.loading import prepare as load_data
from classlab.errors import UserError
from classlab.experiment import Experiment
from classlab.plain_text import on_a_line
from classlab.runs import copied_code, store
from classlab.yaml_text import read_yaml

if TYPE_CHECKING:
    import onnx

    from classlab.runs.finished import FinishedRun

EXTRA = "graph.onnx is read by onnx, which is missing; install it: pip install 'classlab[export]'"
HELD_AGAINST = 1_000  # test images that a graph answers as the network does before it is handed in
ALLOWED = 1e-4  # of the largest answer: engines add in another order, and a layer that differs lies far beyond it
STAND_IN = {"name": "perceptron"}  # for the student's own network, which the graph takes the place of
STATISTICS = 3  # from this input on, a batch norm is given what it measured, not what it learnt


class GraphNetwork(nn.Module):
    """The network of a graph. Its parameters are the graph's numbers, but for what batch norms measured."""

    def __init__(self, graph: "onnx.GraphProto") -> None:
        super().__init__()
        from onnx import helper

        self.entry, self.exit = graph.input[0].name, graph.output[0].name
        self.places: dict[str, str] = {}  # a value's name in the graph -> the attribute of this module
        self.whole: dict[str, np.ndarray] = {}  # sizes and places, which are computed with while the shapes are known
        self.nodes: list[tuple[str, list[str], list[str], Attributes]] = []
        measured = _measured(graph)
        for tensor in graph.initializer:
            self._hold(tensor.name, tensor, tensor.name in measured)
        for node in graph.node:
            attributes = {part.name: helper.get_attribute_value(part) for part in node.attribute}
            if node.op_type == "Constant":
                self._hold(node.output[0], _constant(attributes), False)
            else:
                self.nodes.append((node.op_type, list(node.input), list(node.output), attributes))
        self._join_group_norms()

    def _hold(self, name: str, tensor: Any, measured: bool) -> None:
        from onnx import numpy_helper

        value = tensor if isinstance(tensor, np.ndarray) else numpy_helper.to_array(tensor)
        if value.dtype != np.float32:
            self.whole[name] = value
            return
        numbers = torch.from_numpy(value.copy())
        self.places[name] = f"value{len(self.places)}"
        if measured or is_plain(numbers):
            self.register_buffer(self.places[name], numbers)
        else:
            setattr(self, self.places[name], nn.Parameter(numbers))

    def _join_group_norms(self) -> None:
        """Put the three nodes as which a group norm leaves torch back into one, whose receptive field is known.

        They are a reshape to (images, groups, the rest), an instance norm that scales by nothing, and a reshape back.
        """
        makers = {outputs[0]: (kind, inputs) for kind, inputs, outputs, _ in self.nodes}
        for place, (kind, inputs, outputs, _) in enumerate(self.nodes):
            norm, normed = makers.get(inputs[0], ("", [""]))
            before, shaped = makers.get(normed[0], ("", [""]))
            if (kind, norm, before) == ("Reshape", "InstanceNormalization", "Reshape"):
                groups = self._groups(normed[1:], shaped[1:])
                if groups:
                    how = {"num_groups": groups, **self.nodes[[part[2][0] for part in self.nodes].index(inputs[0])][3]}
                    self.nodes[place] = ("GroupNorm", shaped[:1], outputs, how)
        used = {name for _, inputs, _, _ in self.nodes for name in inputs} | {self.exit}
        self.nodes = [node for node in self.nodes if used & set(node[2])]

    def _groups(self, scales: Sequence[str], sizes: Sequence[str]) -> int:
        """Return how many groups a group norm's three nodes make, 0 where they do something else."""
        plain = [name for name in scales if self.places.get(name) and self.places[name] in dict(self.named_buffers())]
        wanted = self.whole.get(sizes[0]) if sizes else None
        if len(plain) != 2 or wanted is None or wanted.shape != (3,) or wanted[0] != 0 or wanted[2] != -1:
            return 0
        scale, shift = (self.get_buffer(self.places[name]) for name in plain)
        return int(wanted[1]) if bool((scale == 1).all() and (shift == 0).all()) else 0

    def forward(self, images: Tensor) -> Tensor:
        """Return what the graph gives for images, float32 (count, channels, height, width)."""
        values: dict[str, Value] = {self.entry: images, **self.whole}
        values.update((name, getattr(self, place)) for name, place in self.places.items())
        for kind, inputs, outputs, attributes in self.nodes:
            given = [values[name] if name else None for name in inputs]
            values.update(zip(outputs, step(kind, given, attributes), strict=False))
        answer = values[self.exit]
        assert isinstance(answer, Tensor)
        return answer


def opened(folder: Path, trust: bool) -> tuple[Experiment, dict[str, Any]]:
    """Return a run's experiment, and its graph's network as "model" where its own code is not trusted.

    Raises UserError, and Untrusted where more than the network is the student's own code, or there is no graph.
    """
    if trust or not (folder / store.GRAPH).is_file() or not _is_own(folder):
        return copied_code.load_experiment(folder, trust), {}
    experiment = without_code(folder)
    shape = load_data(experiment.data).input_shape
    return experiment, {"model": read(folder / store.GRAPH, shape)}


def _is_own(folder: Path) -> bool:
    """Say whether a run's experiment names a network of the student's own: a graph cannot stand for a shipped one."""
    fields = read_yaml(folder / store.EXPERIMENT)
    model = fields.get("model") if isinstance(fields, dict) else None
    name = model.get("name") if isinstance(model, dict) else model
    return isinstance(name, str) and own_code.is_own_code(name)


def without_code(folder: Path) -> Experiment:
    """Return a run's experiment with another network in the place of the student's own. Raises UserError."""
    changes = {"model": STAND_IN, "training.initialise": "keep", "training.start_from": None}
    return experiments.load(folder / store.EXPERIMENT, changes=changes)


def _measured(graph: "onnx.GraphProto") -> set[str]:
    """Return the names of what batch norms measured, also where it is repeated for each image before it is used."""
    found = {name for node in graph.node if node.op_type == "BatchNormalization" for name in node.input[STATISTICS:]}
    for node in reversed(graph.node):
        if node.op_type in ("Tile", "Expand", "Reshape", "Identity") and node.output[0] in found:
            found.add(node.input[0])
    return found


def _constant(attributes: Attributes) -> Any:
    """Return a constant node's value, in whichever form it stands."""
    for form, kind in (("value_int", np.int64), ("value_ints", np.int64), ("value_float", np.float32),
                       ("value_floats", np.float32)):  # fmt: skip
        if form in attributes:
            return np.array(attributes[form], kind)
    if "value" not in attributes:
        raise Broken("a constant of another form")
    return attributes["value"]


def graph_of(run: "FinishedRun") -> bytes:
    """Return the graph of a finished run's network, compared with the network on its test images.

    Raises UserError where there is none, where it would not be read again, and where its answers are others.
    """
    from classlab.use.export.onnx_graph import graph

    network = run.built().float().eval()
    dataset = run.dataset()
    images = run.normalised(dataset.test_images[:HELD_AGAINST])
    model = graph(network, images[:2], ["answers"])
    with tempfile.TemporaryDirectory(prefix="classlab-graph-") as place:
        file = Path(place) / store.GRAPH
        files.write(file, model.SerializeToString(deterministic=True))
        again = read(file, dataset.input_shape)
        with torch.no_grad():
            expected, found = network(images), again(images)
        most = float(expected.abs().max())
        if not torch.allclose(found, expected, rtol=0, atol=ALLOWED * most):
            raise UserError(f"its answers are up to {float((found - expected).abs().max()):.1e} from your network's")
        state = store.read_checkpoint(store.selected(run.path, run.experiment.protocol.select))
        if problem := held_against(again, state)[1]:
            raise UserError(problem)
        return file.read_bytes()


def read(file: Path, shape: tuple[int, int, int]) -> GraphNetwork:
    """Return the network of a graph that takes images of a shape. Runs no code. Raises UserError for any other file."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise UserError(EXTRA) from None
    content = files.read(file, limits.GRAPH_BYTES)
    try:
        model = onnx.load_model_from_string(content)
        _check(model, shape)
        network = GraphNetwork(model.graph).eval()
        with torch.no_grad():
            network(torch.zeros(2, *shape))
    except DecodeError:
        raise UserError(f"{file.name} is no ONNX graph") from None
    except Broken as error:
        raise UserError(f"{file.name} cannot be run by classlab: it holds {on_a_line(str(error))}") from None
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError,
            AssertionError) as error:  # fmt: skip
        raise UserError(f"{file.name} cannot be run: {on_a_line(files.reason(error))[:200]}") from None
    return network


def _check(model: "onnx.ModelProto", shape: tuple[int, int, int]) -> None:
    """Raise Broken for a graph that is not of one network with images in and answers out, or that reads other files."""
    graph = model.graph
    if any(part.domain not in ("", "ai.onnx") for part in model.opset_import) or model.functions:
        raise Broken("operations that are not ONNX's own")
    if len(graph.node) > limits.GRAPH_NODES or any(part.external_data for part in graph.initializer):
        raise Broken("too many nodes, or numbers that lie in another file")
    if len(graph.input) != 1 or not graph.output:
        raise Broken("other inputs than the images")
    wanted = [side.dim_value for side in graph.input[0].type.tensor_type.shape.dim][1:]
    if wanted != list(shape):
        raise Broken(f"images of {wanted} where the data has {list(shape)}")
    for node in graph.node:
        if any(part.type in (part.GRAPH, part.GRAPHS, part.SPARSE_TENSOR) or part.t.external_data
               for part in node.attribute):  # fmt: skip
            raise Broken(f"a graph within {node.op_type}")


def is_plain(numbers: Tensor) -> bool:
    """Say whether all numbers are the same, as in a constant or in weights before training: they tell nothing."""
    return numbers.numel() < 2 or bool((numbers == numbers.flatten()[0]).all())


def held_against(network: GraphNetwork, state: Mapping[str, Tensor]) -> tuple[int, str]:
    """Hold a graph's numbers against a checkpoint's weights; return (parameters, problem).

    state: names that begin with "model." are the network's. parameters: numbers that were learnt, those of parts that
    the graph does not use among them; what batch norms measured is not counted. problem: what stands in the one and not
    in the other, "" where nothing does. Compared are the numbers of each tensor in their order of size, for a graph may
    hold a matrix the other way round.
    """
    weights = {name.removeprefix("model."): value for name, value in state.items()
               if name.startswith("model.") and value.is_floating_point()}  # fmt: skip
    learnt = {_numbers(value) for value in network.parameters()}
    parameters, met = 0, set()
    for name, value in weights.items():
        numbers = _numbers(value.float())
        norm, _, last = name.rpartition(".")
        measured = last in ("running_mean", "running_var") and f"model.{norm}.num_batches_tracked" in state
        # Weights that two layers share are met twice; what a norm measured is no parameter, unless it is used as one.
        if (is_plain(value) or numbers not in met) and not (measured and (is_plain(value) or numbers not in learnt)):
            parameters += value.numel()
        met.add(numbers)
    foreign = [place for place, value in network.named_parameters() if _numbers(value) not in met]
    if foreign:
        tensor = network.get_parameter(foreign[0])
        return parameters, f"the graph holds {tuple(tensor.shape)} numbers that are not in the weights"
    if not learnt & met and learnt:
        return parameters, "the graph holds none of the weights"
    return parameters, ""


def _numbers(value: Tensor) -> str:
    return hashlib.sha256(np.sort(value.detach().flatten().numpy()).tobytes()).hexdigest()
