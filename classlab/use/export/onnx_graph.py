"""A .onnx file, for ONNX Runtime and whatever else reads the format: phones, browsers, C++, other languages.

    session = onnxruntime.InferenceSession("mnist-20k.onnx")
    logits, probabilities = session.run(None, {"images": images})   # float32, 0 to 1, (count, channels, height, width)

The graph normalises the images itself.
"""

import ast
import contextlib
import io
import logging
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classlab import files
from classlab.errors import UserError
from classlab.json_text import to_json
from classlab.use.export.carried import Carried
from classlab.use.export.layer_outputs import Met, Outputs, first_line, leaves, recorded
from classlab.use.export.packed import Packed, names, packed_layers

if TYPE_CHECKING:
    import onnx
    from torch import Tensor, nn

SUFFIX = ".onnx"
EXTRA = "onnx, onnxscript and onnxruntime are missing; install them: pip install 'classlab[export]'"
SCOPES = "pkg.torch.onnx.name_scopes"  # under which torch notes which module a node belongs to


def engine() -> str:
    """Return what runs such a file, for the proof."""
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def write(carried: Carried, folder: Path) -> Path:
    """Write the graph into a folder and return its path.

    Raises UserError where the packages are missing, and for a network with an operation that ONNX does not have.
    """
    import torch

    model = graph(Packed(carried), torch.from_numpy(carried.images[:2]), names(carried))
    import onnx

    for key, value in carried.document().items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else to_json(value).strip())
    onnx.checker.check_model(model, full_check=True)
    file = folder / f"{carried.name}{SUFFIX}"
    files.write(file, model.SerializeToString(deterministic=True))
    return file


def graph(network: "nn.Module", images: "Tensor", outputs: list[str]) -> "onnx.ModelProto":
    """Return the ONNX graph of a network, which takes `images`, two or more of them, and gives `outputs`.

    Raises UserError where the packages are missing, and for a network with an operation that ONNX does not have.
    """
    try:
        import onnx  # noqa: F401 - with onnxruntime it is what a proof needs, and this is the time to say so
        import onnxruntime  # noqa: F401
        from onnxscript import optimizer
    except ImportError:
        raise UserError(EXTRA) from None
    import torch

    program = recorded(network, images)
    with _quiet():
        try:
            converted: Any = torch.onnx.export(
                program, (images,), dynamo=True, optimize=False, input_names=["images"], output_names=outputs
            )
        except Exception as error:
            raise UserError(f"ONNX cannot hold this network: {_missing(error)}") from None
        # Only what is constant is worked out: with all of torch's optimizations a norm is taken into the convolution
        # before it, and a layer of the file would no longer be a layer of the network.
        optimizer.fold_constants(converted.model)
        optimizer.remove_unused_nodes(converted.model)
        model = converted.model_proto
    model.producer_name = "classlab"
    return model


def answers(file: Path, carried: Carried, images: np.ndarray) -> np.ndarray:
    """Return the graph's answers by ONNX Runtime, (count, classes), or for reconstruction in the images' shape."""
    session = _session(str(file))
    answered = (session.run([names(carried)[0]], {"images": part})[0] for part in carried.batches(images))
    return np.concatenate(list(answered))


def layers(file: Path, carried: Carried, images: np.ndarray) -> Outputs:
    """Return the output of each layer of the graph, as far as it runs."""
    import onnx

    model = onnx.load(str(file))
    nodes = [node for node in model.graph.node if node.output[0]]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in nodes)
    values = _run(model, images)
    met: list[Met] = []
    for node in nodes:
        value = values.get(node.output[0])
        scopes = [prop.value for prop in node.metadata_props if prop.key == SCOPES]
        if value is not None and value.dtype == np.float32 and value.ndim > 1 and scopes:
            path, operation = ["", *ast.literal_eval(scopes[0])][-2:]
            met.append((path, operation, value))
    return packed_layers(met, leaves(carried.network))


def _run(model: "onnx.ModelProto", images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each node gives; of a graph that breaks, what comes before the node at which it does."""
    while model.graph.output:
        wanted = [output.name for output in model.graph.output]
        try:
            return dict(zip(wanted, _session(model.SerializeToString()).run(wanted, {"images": images}), strict=True))
        except Exception:  # onnxruntime's own kinds, which have no ground in common
            del model.graph.output[-1]
            last = {output.name for output in model.graph.output}
            while model.graph.node and not last & set(model.graph.node[-1].output):
                del model.graph.node[-1]
    return {}


def _session(model: str | bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised; nothing else is of use to a reader
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _missing(error: BaseException | None) -> str:
    """Return which operation is missing, or what torch says in one line."""
    words = ""
    while error is not None:
        words, error = f"{words}\n{error}", error.__cause__
    found = re.search(r"No ONNX function found for <OpOverload\(op='\w+\.(\w+)", words)
    return f"it has no operation like torch's {found[1]}" if found else first_line(words)


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep to itself what torch's converter prints on its way."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
