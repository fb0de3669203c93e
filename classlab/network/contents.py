"""What a network contains, counted, as contracts ask for it."""

from typing import Any, get_args

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
    """Return how many of each kind of layer the network has; first_layer_filters and receptive_field, None without.

    receptive_field: pixels, the largest of a convolution over a map, as in the layer table. Through norms it may reach
    further, and a 1×1 after a global pool sees what the pool saw. The shorter side where the two differ; None where
    none is known.

    A layer used twice counts twice, and a dropout with probability 0 is none. A global average pooling is an average
    pool, or a mean, that leaves one number of a whole map larger than 1×1; it counts as an average pool too.
    """
    counted = {name: sum(layer.kind in kinds for layer in table.layers) for name, kinds in _KINDS.items()}
    whole = [layer for layer in table.layers if _is_global_average(table, layer)]
    counted["global_average_pooling"] = len(whole)
    counted["average_pool"] += sum(layer.kind == "mean" for layer in whole)
    joins = [layer for layer in table.layers if layer.kind in _KINDS["skip_connection"] and len(layer.inputs) > 1]
    counted["skip_connection"] = len(joins)
    convolutions = [layer for layer in table.layers if layer.kind in _KINDS["convolution"]]
    counted["depthwise_convolution"] = sum(_is_depthwise(table, layer) for layer in convolutions)
    counted["dilated_convolution"] = sum(max(_sides(layer.dilation or 1)) > 1 for layer in convolutions)
    counted["strided_convolution"] = sum(max(_sides(layer.stride or 1)) > 1 for layer in convolutions)
    first = next((layer for layer in table.layers if layer.kind in _KINDS["convolution"]), None)
    return {
        **{name: counted[name] for name in get_args(Content)},
        "first_layer_filters": first.output_shape[0] if first else None,
        "receptive_field": _largest_field([layer for layer in convolutions if _before(table, layer)[1:] != (1, 1)]),
    }


def _before(table: LayerTable, layer: Layer) -> tuple[int, ...]:
    """Return the shape of what a layer is given."""
    place = layer.inputs[0] if layer.inputs else -1
    return table.layers[place].output_shape if place >= 0 else table.input_shape


def _is_depthwise(table: LayerTable, layer: Layer) -> bool:
    """Say whether each filter sees a single channel, of several."""
    return layer.groups is not None and 1 < layer.groups == _before(table, layer)[0]


def _largest_field(convolutions: list[Layer]) -> int | None:
    sizes = [_sides((layer.receptive_field or {}).get("size", (None,))) for layer in convolutions]
    return max((min(sides) for sides in sizes if None not in sides), default=None)


def _sides(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


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
