"""What a network contains, counted, as contracts ask for it."""

from typing import get_args

from classlab.experiment import Content
from classlab.network.layer_table import Layer, LayerTable

_KINDS: dict[str, tuple[str, ...]] = {
    "convolution": ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d"),
    "linear": ("Linear", "LazyLinear"),
    "batch_norm": ("BatchNorm1d", "BatchNorm2d", "SyncBatchNorm"),
    "dropout": ("Dropout", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout"),
    "max_pool": ("MaxPool2d", "AdaptiveMaxPool2d"),
    "average_pool": ("AvgPool2d", "AdaptiveAvgPool2d"),
    "activation": (
        *("ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "Mish", "Tanh", "Sigmoid", "Hardtanh"),
        *("Hardswish", "Softplus"),
    ),
    "skip_connection": ("add", "cat"),
}


def contents(table: LayerTable) -> dict[str, int | None]:
    """Return how many of each kind of layer the network has, and first_layer_filters, None without a convolution.

    A layer used twice counts twice, and a dropout with probability 0 is none. A global average pooling is an average
    pool, or a mean, that leaves one number of a whole map larger than 1×1; it counts as an average pool too.
    """
    counted = {name: sum(layer.kind in kinds for layer in table.layers) for name, kinds in _KINDS.items()}
    whole = [layer for layer in table.layers if _is_global_average(table, layer)]
    counted["global_average_pooling"] = len(whole)
    counted["average_pool"] += sum(layer.kind == "mean" for layer in whole)
    joins = [layer for layer in table.layers if layer.kind in _KINDS["skip_connection"] and len(layer.inputs) > 1]
    counted["skip_connection"] = len(joins)
    first = next((layer for layer in table.layers if layer.kind in _KINDS["convolution"]), None)
    return {
        **{name: counted[name] for name in get_args(Content)},
        "first_layer_filters": first.output_shape[0] if first else None,
    }


def _is_global_average(table: LayerTable, layer: Layer) -> bool:
    before = table.layers[layer.inputs[0]].output_shape if layer.inputs and layer.inputs[0] >= 0 else table.input_shape
    if len(before) != 3 or before[1:] == (1, 1):
        return False
    if layer.kind == "AvgPool2d":
        kernel = layer.kernel if isinstance(layer.kernel, tuple) else (layer.kernel, layer.kernel)
        return layer.output_shape[1:] == (1, 1) and kernel == before[1:]
    if layer.kind == "AdaptiveAvgPool2d":
        return layer.output_shape[1:] == (1, 1)
    return layer.kind == "mean" and layer.output_shape in ((before[0],), (before[0], 1, 1))
