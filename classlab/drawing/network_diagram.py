"""A network as a picture: its blocks from top to bottom, the size of each map, what one place sees of the image.

Layers that only follow another one, such as norms and activations, stand in its block. The picture is SVG text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from classlab.drawing.layer_columns import count, sides, window
from classlab.drawing.palette import LIGHT, Palette
from classlab.drawing.svg import drawing, text

if TYPE_CHECKING:
    from classlab.network.layer_table import Layer, LayerTable

IMAGE = -1
WIDTH, ROW, TOP = 460, 58, 34
MAPS, WORDS, FIELDS = 74, 138, 404  # where the columns begin; the last one's middle
FRONT, DEPTH = 34, 26  # the largest map's side, and how far many channels reach back
EYE = 36  # the side of the small image in which a field is drawn
FOLLOWS = {
    *("ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Hardtanh"),
    *("Hardswish", "Softplus", "BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "InstanceNorm2d", "Dropout"),
    *("Dropout2d", "Softmax", "LogSoftmax", "Flatten", "Unflatten", "view", "reshape", "Identity", "squeeze"),
}
SHORT = {
    **{"Conv2d": "conv", "ConvTranspose2d": "transposed conv", "MaxPool2d": "max pool", "AvgPool2d": "average pool"},
    **{"AdaptiveAvgPool2d": "average pool", "AdaptiveMaxPool2d": "max pool", "BatchNorm1d": "norm"},
    **{"BatchNorm2d": "norm", "LayerNorm": "layer norm", "GroupNorm": "group norm", "Dropout2d": "dropout"},
    **{"LogSoftmax": "log-softmax", "Unflatten": "image", "cat": "side by side", "add": "sum", "mul": "product"},
    **{"InstanceNorm2d": "instance norm", "Linear": "linear", "Flatten": "flatten", "Dropout": "dropout"},
}


@dataclass
class Block:
    """A layer and those that follow it; inputs: the numbers of the blocks that it takes from."""

    head: "Layer | None"
    shape: tuple[int, ...]
    inputs: list[int]
    followers: list[str] = field(default_factory=list)
    parameters: int = 0
    field: "dict | None" = None


def architecture(table: "LayerTable", palette: Palette = LIGHT) -> str:
    """Return the network as SVG text, 460 units wide. Colours are the palette's, such as PAGE's inside a page."""
    blocks = _blocks(table)
    height = TOP + ROW * len(blocks) + 8
    parts = [
        text(MAPS, 16, "map", palette.muted, 11.5, text_anchor="middle"),
        text(WORDS, 16, "layer", palette.muted, 11.5),
        text(FIELDS, 16, "sees of the image", palette.muted, 11.5, text_anchor="middle"),
    ]
    largest = max(max(block.shape[-2:]) for block in blocks if len(block.shape) == 3)
    longest = max((math.prod(block.shape) for block in blocks if len(block.shape) != 3), default=1)
    for number, block in enumerate(blocks):
        parts += _arrows(number, block, palette)
    for number, block in enumerate(blocks):
        middle = _middle(number)
        parts += _map(block.shape, middle, largest, palette) if len(block.shape) == 3 else []
        parts += _bar(math.prod(block.shape) / longest, middle, palette) if len(block.shape) != 3 else []
        parts += _words(block, middle, palette)
        parts += _eye(block, table.input_shape, middle, palette)
    return drawing(WIDTH, height, _description(table, blocks), parts, palette)


def _blocks(table: "LayerTable") -> list[Block]:
    """Gather the layers into blocks; block 0 is the image."""
    whole = {"size": 1, "stride": 1, "global": False}
    blocks = [Block(None, tuple(table.input_shape), [], field=whole)]
    holder = {IMAGE: 0}
    used = [source for layer in table.layers for source in layer.inputs]
    for number, layer in enumerate(table.layers):
        sources = [holder[source] for source in layer.inputs]
        alone = len(layer.inputs) == 1 and used.count(layer.inputs[0]) == 1 and sources[0] == len(blocks) - 1
        if layer.kind in FOLLOWS and alone:
            block = blocks[-1]
            block.followers.append(SHORT.get(layer.kind, layer.kind))
        else:
            block = Block(layer, layer.output_shape, list(dict.fromkeys(sources)))
            blocks.append(block)
        block.shape = max(
            block.shape, layer.output_shape, key=len
        )  # a map is a better picture than its numbers in a row
        block.field = layer.receptive_field
        if layer.norm_mixes and block.field:  # what it draws is the window, not what a norm mixes in
            block.field = {**block.field, "global": False}
        block.parameters += layer.parameters
        holder[number] = len(blocks) - 1
    return blocks


def _middle(number: int) -> float:
    return TOP + ROW * number + ROW / 2 - 6


def _bar(share: float, middle: float, palette: Palette) -> list[str]:
    """A flat layer: a bar as long as it has numbers, beside the longest one."""
    length = 10 + 54 * math.sqrt(share)
    style = f'rx="2" fill="{palette.train}" fill-opacity="0.22" stroke="{palette.train}" stroke-width="1.1"'
    return [_box(MAPS - length / 2, middle - 5, length, 10, style)]


def _map(shape: Sequence[int], middle: float, largest: int, palette: Palette) -> list[str]:
    """A box: its front is the map, its depth the channels."""
    stroke = f'stroke="{palette.train}" stroke-width="1.1" stroke-linejoin="round"'
    channels, height, width = shape
    tall, wide = (max(FRONT * math.sqrt(side / largest), 3) for side in (height, width))
    back = DEPTH * min(math.log2(1 + channels) / 9, 1)
    across, up = back * 0.8, back * 0.45
    left, top = MAPS - (wide + across) / 2, middle - (tall - up) / 2
    right, bottom = left + wide, top + tall
    lid = [(left, top), (left + across, top - up), (right + across, top - up), (right, top)]
    side = [(right, top), (right + across, top - up), (right + across, bottom - up), (right, bottom)]
    return [
        _box(left, top, wide, tall, f'fill="{palette.train}" fill-opacity="0.14" {stroke}'),
        _polygon(lid, f'fill="{palette.train}" fill-opacity="0.3" {stroke}'),
        _polygon(side, f'fill="{palette.train}" fill-opacity="0.45" {stroke}'),
    ]


def _words(block: Block, middle: float, palette: Palette) -> list[str]:
    lines = [(_title(block), palette.ink, 13.5)]
    facts = [sides(block.shape)]
    if block.parameters:
        facts.append(f"{count(block.parameters)} parameters")
    elif block.head and block.head.shared:
        facts.append("weights shared")
    lines.append((" · ".join(facts), palette.muted, 11.5))
    if block.followers:
        lines.insert(1, (_clipped("then " + ", ".join(dict.fromkeys(block.followers)), 38), palette.muted, 11.5))
    start = middle - 7.5 * (len(lines) - 1) + 4
    return [text(WORDS, start + 15 * number, *line) for number, line in enumerate(lines)]


def _title(block: Block) -> str:
    layer = block.head
    if layer is None:
        return "image"
    words = [SHORT.get(layer.kind, layer.kind)]
    if layer.kernel is not None:
        kernel = layer.kernel if isinstance(layer.kernel, tuple) else (layer.kernel, layer.kernel)
        words.append(sides(kernel))
        usual = layer.kernel if "Pool" in layer.kind else 1
        words += [f"stride {sides(layer.stride)}"] if layer.stride != usual else []
        words += [f"padding {sides(layer.padding)}"] if layer.padding else []
        words += [f"dilation {sides(layer.dilation)}"] if layer.dilation not in (None, 1) else []
        words += [f"groups {layer.groups}"] if (layer.groups or 1) > 1 else []
    title = " ".join(words)  # where that is too long, in the table's signs
    return _clipped(title if len(title) <= 34 else f"{words[0]} {window(layer)}", 34)


def _eye(block: Block, image: tuple[int, int, int], middle: float, palette: Palette) -> list[str]:
    """The image as a small square, and in it what one place in the middle of the map sees."""
    height, width = image[1:]
    scale = EYE / max(height, width)
    tall, wide = height * scale, width * scale
    left, top = FIELDS - wide / 2, middle - tall / 2 - 5
    frame = _box(left, top, wide, tall, f'fill="none" stroke="{palette.line}"')
    size = block.field["size"] if block.field else None
    whole = bool(block.field and block.field["global"])
    if size is None and not whole:
        return [frame, text(FIELDS, middle + EYE / 2 + 5, "unknown", palette.muted, 10.5, text_anchor="middle")]
    seen = size if isinstance(size, list) else [size, size]
    down, across = (
        side if whole or pixels is None else min(pixels, side)
        for pixels, side in zip(seen, (height, width), strict=True)
    )
    down, across = max(down * scale, 1.6), max(across * scale, 1.6)
    colour = f'fill="{palette.val}" fill-opacity="{0.55 if whole else 0.4}" stroke="{palette.val}" stroke-width="0.9"'
    inner = _box(FIELDS - across / 2, middle - 5 - down / 2, across, down, colour)
    label = "all" if whole else sides(seen)
    return [frame, inner, text(FIELDS, middle + EYE / 2 + 6, label, palette.muted, 10.5, text_anchor="middle")]


def _arrows(number: int, block: Block, palette: Palette) -> list[str]:
    """A short line from the block before, an arc from any earlier one."""
    lines = []
    style = f'fill="none" stroke="{palette.muted}" stroke-width="1.2"'
    for source in block.inputs:
        if source == number - 1:
            start, end = _middle(source) + ROW / 2 - 7, _middle(number) - ROW / 2 + 7
            lines.append(f'<path d="M{MAPS} {start - 3:.1f} V{end + 3:.1f}" {style}/>')
            continue
        start, end = _middle(source) + 7, _middle(number) - 7
        edge = MAPS - 34
        reach = max(edge - 14 * (number - source), -8)
        lines.append(f'<circle cx="{edge}" cy="{start:.1f}" r="2.2" fill="{palette.muted}"/>')
        lines.append(f'<path d="M{edge} {start:.1f} C{reach} {start:.1f} {reach} {end:.1f} {edge} {end:.1f}" {style}/>')
        tip = [(edge, end), (edge - 6, end - 3.5), (edge - 6, end + 3.5)]
        lines.append(_polygon(tip, f'fill="{palette.muted}"'))
    return lines


def _description(table: "LayerTable", blocks: Sequence[Block]) -> str:
    steps = (f"{_title(block)} to {sides(block.shape)}" for block in blocks[1:])
    layers = " ".join(f"{step[:1].upper()}{step[1:]}." for step in steps)
    return f"A network of {count(table.parameters)} parameters for images {sides(table.input_shape)}. {layers}"


def _box(left: float, top: float, wide: float, tall: float, style: str) -> str:
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{tall:.1f}" {style}/>'


def _polygon(points: Sequence[tuple[float, float]], style: str) -> str:
    return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" {style}/>'


def _clipped(words: str, length: int) -> str:
    return words if len(words) <= length else words[: length - 1] + "…"
