"""The C functions of one stage: its forward pass and its backward pass, as calls of the kernels with all sizes."""

from collections.abc import Callable, Mapping
from math import ceil

from classlab.training.fast.native.stages import Stage
from classlab.training.fast.native.step_layout import Layout, eights

LEVELS = 2**16  # of the random numbers of which dropout keeps the larger ones
FEW_CHANNELS = 8  # below so many the gradients of all taps are added up at once, not those of all channels
# What convolutions are given, an image at a time, and what linear layers are, a chunk of images at a time.
IMAGE = "Memory *m, Thread *t, int thread, int i, int slot"
IMAGES = "Memory *m, Thread *t, int thread, int base, int first, int count"
LOOP = "    for (int j = 0, i = base, slot = first; j < count; j++, i++, slot++) {\n        (void)i;\n"


def forward(layout: Layout, s: Stage) -> str:
    """Return the function that makes a stage's z of what comes before it, and what is done to z as a constant."""
    constant = f"static const After {layout.name(s)}_after = {_after(s)};\n"
    made = _forward_linear(layout, s) if s.linear else _forward_convolution(layout, s)
    return constant + made


def backward(layout: Layout, s: Stage) -> str:
    """Return the function that makes, of the gradient that arrives at a stage, those of its weights and its input."""
    norm = ""
    if s.norm is not None:
        norm = f"INLINE Norm {layout.name(s)}_norm(Memory *m)\n{{\n    return {_norm(layout, s)};\n}}\n\n"
    return norm + (_backward_linear(layout, s) if s.linear else _backward_convolution(layout, s))


def function(name: str, parameters: str, body: str) -> str:
    """Return a C function of its own."""
    return f"APART void {name}({parameters})\n{{\n{body}}}\n\n"


# ---- Convolutions, an image at a time ----


def _forward_convolution(layout: Layout, s: Stage) -> str:
    name, row = layout.name(s), (s.width + 2 * s.padding) * s.stride
    inner = f"t->{name}_frame + {s.padding * (row + s.stride)}"
    first = layout.before(s) is None
    body = _take(layout, s, "0") if first else _activate(layout, s, inner, row, "    ")
    # The first layer's inputs lie without gaps, so that a row of its kernel is one run of numbers.
    taps, channels = ((s.kernel[0], 1), s.kernel[1] * s.channels) if first else (s.kernel, s.channels)
    product = _product(
        layout, s.out_height, s.out_width, taps=taps, channels=channels, row=row, step=s.stride, stride=s.out_stride,
        out_row=s.out_width * s.out_stride, out_pixel=s.out_stride, real_out=s.last, before=s.before,
    )  # fmt: skip
    body += f"    const Product p = {product};\n"
    for start, lanes in layout.blocks(s.out_stride):
        body += (
            f"    product_{lanes}(t->{name}_frame, {_packed(layout, s)} + {start * layout.form.pair}, "
            f"{_bias(layout, s, start)}, {layout.at(s, 'z')} + {start}, {_sums(layout, s, start)}, "
            f"{s.out_stride}, p);\n"
        )
    return function(f"{name}_forward", IMAGE, body + _draw(layout, s, "    "))


def _backward_convolution(layout: Layout, s: Stage) -> str:
    name, f = layout.name(s), layout.form
    rows, wide = layout.gradient_frame(s)
    row, around = wide * s.out_stride, (rows - s.out_height) // 2
    inner = f"t->{name}_gradient + {around * (row + s.out_stride)}"
    body = _differentiate(layout, s, inner, row, "    ")
    frame_row = (s.width + 2 * s.padding) * s.stride
    earlier = layout.before(s)
    if earlier is None:
        body += _take(layout, s, f"t->{name}_planes" if f.pair == 2 and s.channels > 1 else "0")
        return function(f"{name}_backward", IMAGE, body + _slopes(layout, s, inner, row))
    body += _activate(layout, s, f"t->{name}_frame + {s.padding * (frame_row + s.stride)}", frame_row, "    ")
    if f.pair == 2:
        pixels = (s.height + 2 * s.padding) * (s.width + 2 * s.padding)
        sizes = f"{pixels}, {eights(s.channels)}, {s.stride}, {layout.plane(s)}"
        body += f"    transpose(t->{name}_frame, t->{name}_planes, {sizes});\n"
    body += _slopes(layout, s, inner, row)
    product = _product(
        layout, s.height, s.width, taps=s.kernel, channels=s.outputs, row=row, step=s.out_stride, stride=s.stride,
        out_row=s.width * s.stride, out_pixel=s.stride,
    )  # fmt: skip
    body += f"    const Product p = {product};\n"
    for start, lanes in layout.blocks(s.stride):
        body += (
            f"    product_{lanes}(t->{name}_gradient, m->{name}_back + {start * f.pair}, 0, "
            f"{layout.at(earlier, 'arriving')} + {start}, 0, 0, p);\n"
        )
    return function(f"{name}_backward", IMAGE, body + _reduce(layout, earlier, "    "))


# ---- Linear layers, a chunk of images at a time: the images are the pixels of one row ----


def _forward_linear(layout: Layout, s: Stage) -> str:
    name, pair = layout.name(s), layout.form.pair
    product = _product(
        layout, 1, layout.chunk, taps=(1, 1), channels=s.channels, row=0, step=s.stride, stride=s.out_stride,
        out_row=0, out_pixel=s.out_stride, real_out=s.last, before=s.before,
    )  # fmt: skip

    def call(lanes: int, j: str, start: int | str) -> str:
        return (
            f"product_{lanes}(t->{name}_frame + {j} * {s.stride}, {_packed(layout, s)} + {start} * {pair}, "
            f"{_bias(layout, s, start)}, {layout.at(s, 'z', f'first + {j}')} + {start}, {_sums(layout, s, start)}, "
            f"{s.out_stride}, "
        )

    body = _gather(layout, s) + _over_chunk(layout, s.out_stride, product, call)
    if s.dropout:
        body += f"{LOOP}{_draw(layout, s, '        ')}    }}\n"
    return function(f"{name}_forward", IMAGES, body)


def _backward_linear(layout: Layout, s: Stage) -> str:
    name, f, earlier = layout.name(s), layout.form, layout.before(s)
    target = f"t->{name}_gradient + j * {s.out_stride}"
    body = _gather(layout, s) + LOOP + _differentiate(layout, s, target, 0, "        ") + "    }\n"
    if layout.few(s):
        body += _linear_step(layout, s)
    else:
        body += (_transpose_chunk(layout, s) if f.pair == 2 else "") + _slopes(layout, s, f"t->{name}_gradient", 0)
    if earlier is not None and not layout.few(s):
        product = _product(
            layout, 1, layout.chunk, taps=(1, 1), channels=s.outputs, row=0, step=s.out_stride, stride=s.stride,
            out_row=0, out_pixel=s.stride,
        )  # fmt: skip

        def call(lanes: int, j: str, start: int | str) -> str:
            return (
                f"product_{lanes}(t->{name}_gradient + {j} * {s.out_stride}, m->{name}_back + {start} * {f.pair}, 0, "
                f"{layout.at(earlier, 'arriving', f'first + {j}')} + {start}, 0, 0, "
            )

        body += _over_chunk(layout, s.stride, product, call)
    if earlier is not None and earlier.norm is not None:
        body += LOOP + _reduce(layout, earlier, "        ") + "    }\n"
    return function(f"{name}_backward", IMAGES, body)


def _gather(layout: Layout, s: Stage) -> str:
    """Return the lines that gather the inputs of a chunk of images for a linear layer."""
    earlier = layout.before(s)
    if earlier is None:
        return LOOP + "    " + _take(layout, s, "0") + "    }\n"
    row = earlier.result[2] * earlier.out_stride
    return LOOP + _activate(layout, s, f"t->{layout.name(s)}_frame + j * {s.stride}", row, "        ") + "    }\n"


def _over_chunk(layout: Layout, stride: int, product: str, call: Callable[[int, str, int | str], str]) -> str:
    """Return the lines that call a product for a whole chunk of images at once, or for fewer, each by itself."""
    widest = layout.form.lanes
    blocks = list(layout.blocks(stride))
    ends = max((start + lanes for start, lanes in blocks if lanes == widest), default=0)
    rest = [(start, lanes) for start, lanes in blocks if start >= ends]

    def calls(j: str, sizes: str, indentation: str) -> str:
        lines = ""
        if ends:
            lines += f"{indentation}for (int c = 0; c < {ends}; c += {widest})\n"
            lines += f"{indentation}    {call(widest, j, 'c')}{sizes});\n"
        return lines + "".join(f"{indentation}{call(lanes, j, start)}{sizes});\n" for start, lanes in rest)

    begins = f"    const Product p = {product};\n"
    if layout.chunk == 1:
        return begins + calls("0", "p", "    ")
    return (
        begins + "    Product alone = p;\n    alone.width = alone.columns = 1;\n"
        + "    if (count == CHUNK) {\n" + calls("0", "p", "        ")
        + "    } else {\n        for (int j = 0; j < count; j++) {\n" + calls("j", "alone", "            ")
        + "        }\n    }\n"
    )  # fmt: skip


def _transpose_chunk(layout: Layout, s: Stage) -> str:
    """Return the lines that write a chunk's inputs input by input, eight at a time and then the last ones."""
    name, whole, plane = layout.name(s), s.channels // 8 * 8, layout.plane(s)
    sizes = f"{eights(layout.chunk)}, {whole}, {s.stride}, {plane}"
    lines = f"    transpose(t->{name}_frame, t->{name}_planes, {sizes});\n"
    if s.channels > whole:
        lines += (
            f"    for (int j = 0; j < count; j++)\n        for (int c = {whole}; c < {s.channels}; c++)\n"
            f"            t->{name}_planes[c * {plane} + j] = t->{name}_frame[j * {s.stride} + c];\n"
        )
    return lines


def _linear_step(layout: Layout, s: Stage) -> str:
    """Return the call that makes a linear layer's backward pass and update at once, for a whole chunk or less."""
    name, f, earlier = layout.name(s), layout.form, layout.before(s)
    lanes = f.lanes if s.out_stride % f.lanes == 0 else 8
    arrays = [f"m->{name}_weights", *(f"m->{name}_weights_{slot}" for slot in f.slots), "0", "0"][:3]
    kind = {"sgd": "SGD_MOMENTUM" if f.momentum else "SGD", "adam": "ADAM", "adamw": "ADAM_W"}[f.update]
    back = layout.at(earlier, "arriving", "first") if earlier is not None else "0"

    def call(images: int) -> str:
        return (
            f"linear_step_{lanes}(t->{name}_frame, t->{name}_gradient, {', '.join(arrays)}, {back}, {s.channels}, "
            f"{s.out_stride}, {images}, m->rates, {kind}, {int(f.nesterov)});\n"
        )

    cases = (f"    case {n}:\n        {call(n)}        break;\n" for n in range(1, layout.chunk + 1))
    return f"    switch (count) {{\n{''.join(cases)}    }}\n"


# ---- The calls of both ----


def _take(layout: Layout, s: Stage, planes: str) -> str:
    """Return the call that takes an image in."""
    name, (channels, height, width) = layout.name(s), layout.form.image
    size = channels * height * width
    if s.linear:
        to, rest = f"t->{name}_frame + j * {size}", f"0, 1, 1, {size}, 0, 0"
    else:
        to, rest = f"t->{name}_frame", f"{planes}, {height}, {width}, {channels}, {s.padding}, {layout.plane(s)}"
    return f"    take_image_{layout.form.lanes}(m->images + (int64_t)i * {size}, {to}, {rest});\n"


def _activate(layout: Layout, s: Stage, target: str, row: int, indentation: str) -> str:
    """Return the calls that hand the stage before on to `target`, `row` cells a row."""
    earlier, lines = layout.before(s), ""
    assert earlier is not None
    name = layout.name(earlier)
    for start, lanes in layout.blocks(earlier.out_stride):
        norm = f"m->{name}_scale + {start}, m->{name}_shift + {start}" if earlier.norm is not None else "0, 0"
        lines += (
            f"{indentation}activate_{lanes}({layout.at(earlier, 'z')} + {start}, {_words(layout, earlier, start)}, "
            f"{norm}, {target} + {start}, {row}, {name}_after);\n"
        )
    return lines


def _differentiate(layout: Layout, s: Stage, target: str, row: int, indentation: str, reducing: bool = False) -> str:
    """Return the calls that make the gradient of a stage's z, or that add up norm's sums before it."""
    name, lines = layout.name(s), ""
    norm = f"{name}_norm(m)" if s.norm is not None else "(Norm){0}"
    for start, lanes in layout.blocks(s.out_stride):
        sums = f"m->{name}_slopes + thread * {2 * s.out_stride} + {start}" if reducing else "0"
        has_bias = s.layer.bias is not None and not reducing
        bias = f"m->{name}_bias_slope + thread * {s.out_stride} + {start}" if has_bias else "0"
        lines += (
            f"{indentation}differentiate_{lanes}((const cell *)({layout.at(s, 'z')}) + {start}, "
            f"{_words(layout, s, start)}, {layout.at(s, 'arriving')} + {start}, {norm}, {start}, {target} + {start}, "
            f"{row}, {sums}, {s.out_stride}, {bias}, {int(reducing)}, {name}_after);\n"
        )
    return lines


def _reduce(layout: Layout, earlier: Stage, indentation: str) -> str:
    """Return the calls after a stage's backward pass that add up the sums of the norm before it, if there is one."""
    if earlier.norm is None:
        return ""
    return _differentiate(layout, earlier, "(cell *)0", 0, indentation, reducing=True)


def _slopes(layout: Layout, s: Stage, gradient: str, row: int) -> str:
    """Return the calls that add up the gradient of a stage's weights. gradient, row: where that of z lies."""
    name, lines, pair = layout.name(s), "", layout.form.pair
    parts = f"m->{name}_weights_slope + thread * {layout.weights(s)}"
    single_plane = layout.before(s) is None and s.channels == 1 and not s.linear
    inputs = f"t->{name}_planes" if pair == 2 and not single_plane else f"t->{name}_frame"
    for start, lanes in layout.blocks(s.out_stride):
        source = f"{gradient} + {start}"
        if pair == 2:
            sizes = f"{s.out_height}, {'count' if s.linear else s.out_width}, {row}, {s.out_stride}"
            lines += f"    pair_up_{lanes}({source}, t->{name}_pairs, {sizes});\n"
            source = f"t->{name}_pairs"
        lines += f"    slope_{lanes}({inputs}, {source}, {parts} + {start}, {_slope(layout, s, lanes)});\n"
    return lines


def _slope(layout: Layout, s: Stage, lanes: int) -> str:
    """Return the sizes of a gradient of weights, in C."""
    f, frame_row = layout.form, s.width + 2 * s.padding
    rows, run = 1, _even_share(s.channels, f.tile)
    if not s.linear and s.kernel[0] * s.kernel[1] <= f.tile and s.channels < FEW_CHANNELS:
        rows, run = s.kernel
    if f.pair == 2:  # inputs channel by channel, gradients in pairs of neighbours
        row, pixel, step = frame_row, 1, layout.plane(s)
        out_row, out_pixel = 2 * ceil((layout.chunk if s.linear else s.out_width) / 2) * lanes, 2 * lanes
    else:
        row, pixel, step = frame_row * s.stride, s.stride, 1
        out_row, out_pixel = layout.gradient_frame(s)[1] * s.out_stride, s.out_stride
    fields = {
        "height": s.out_height, "width": "count" if s.linear else s.out_width, "ky": s.kernel[0], "kx": s.kernel[1],
        "channels": s.channels, "rows": rows, "run": run, "row": row, "pixel": pixel, "step": step,
        "stride": s.out_stride, "out_row": out_row, "out_pixel": out_pixel,
    }  # fmt: skip
    return _value("Slope", fields)


def _product(
    layout: Layout, height: int, width: int, *, taps: tuple[int, int], channels: int, row: int, step: int, stride: int,
    out_row: int, out_pixel: int, real_out: bool = False, before: bool = False,
) -> str:  # fmt: skip
    """Return the sizes of a product, in C; kernels.c says what each is."""
    rows, columns = tile(height, width, layout.form.tile)
    fields = {
        "height": height, "width": width, "rows": rows, "columns": columns, "ky": taps[0], "kx": taps[1],
        "channels": channels, "row": row, "tap": step, "pixel": step, "stride": stride, "out_row": out_row,
        "out_pixel": out_pixel, "real_out": int(real_out), "before": int(before),
    }  # fmt: skip
    return _value("Product", fields)


def _after(s: Stage) -> str:
    """Return the C value that says what is done to each number of a stage's z."""
    dropped = min(round(s.dropout * LEVELS), LEVELS - 1)
    fields = {
        "height": s.out_height, "width": s.out_width, "stride": s.out_stride,
        "before": int(s.before), "norm": int(s.norm is not None), "after": int(s.after),
        "dropout": int(s.dropout > 0), "channels": s.outputs, "lowest": dropped - LEVELS // 2,
        "factor": f"(real){LEVELS / (LEVELS - dropped)!r}",
        "pool": {"": "NO_POOL", "max": "MAX_POOL", "average": "AVERAGE_POOL"}[s.pool],
        "high": s.high, "wide": s.wide,
    }  # fmt: skip
    return _value("After", fields)


def _norm(layout: Layout, s: Stage) -> str:
    """Return the C value that says where the numbers of a stage's norm lie."""
    arrays = {"gamma_gradient": "gamma_slope", "beta_gradient": "beta_slope"}
    parts = (
        "gamma", "beta", "running_mean", "running_variance", "gamma_gradient", "beta_gradient", "scale", "shift",
        "times_v", "times_u", "constant", "mean", "inverse",
    )  # fmt: skip
    return _value("Norm", {part: f"m->{layout.name(s)}_{arrays.get(part, part)}" for part in parts})


def _packed(layout: Layout, s: Stage) -> str:
    return f"m->{layout.name(s)}_{'packed' if layout.form.pair == 2 else 'weights'}"


def _bias(layout: Layout, s: Stage, start: int | str) -> str:
    return f"m->{layout.name(s)}_bias + {start}" if s.layer.bias is not None else "0"


def _sums(layout: Layout, s: Stage, start: int | str) -> str:
    if s.norm is None or not layout.form.trains:
        return "0"
    return f"m->{layout.name(s)}_sums + thread * {2 * s.out_stride} + {start}"


def _words(layout: Layout, s: Stage, start: int) -> str:
    return f"{layout.words(s)} + {start}" if s.dropout else "0"


def _draw(layout: Layout, s: Stage, indentation: str) -> str:
    """Return the call that draws an image's random numbers for a stage's dropout, if it has one."""
    if not s.dropout:
        return ""
    return f"{indentation}draw({layout.words(s)}, {layout.fours(s)}, m->seed, {layout.stages.index(s)}, i);\n"


def tile(height: int, width: int, most: int) -> tuple[int, int]:
    """Return the rows and columns of a map to compute at once, at most so many pixels.

    Each run over the weights loads them once, whatever it computes. A run of few pixels waits for its own sums: each
    takes some four cycles until the next can be added to it. So few and even runs are best.
    """

    def cost(rows: int, columns: int) -> float:
        heights = [rows] * (height // rows) + [height % rows] * (height % rows > 0)
        widths = [columns] * (width // columns) + [width % columns] * (width % columns > 0)
        return sum(max(4.0, h * w) + 1 for h in heights for w in widths)

    choices = [(r, c) for r in range(1, height + 1) for c in range(1, width + 1) if r * c <= most]
    return min(choices, key=lambda choice: (cost(*choice), choice))


def _even_share(count: int, most: int) -> int:
    """Return into what runs of at most `most` a count is divided most evenly."""
    return ceil(count / ceil(count / most))


def _value(kind: str, fields: Mapping[str, object]) -> str:
    return f"({kind}){{{', '.join(f'.{name} = {value}' for name, value in fields.items())}}}"
