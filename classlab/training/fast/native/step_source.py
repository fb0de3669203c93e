"""The C source of one network's training step: one call a line, forward, backward and update, with all sizes in it."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from textwrap import dedent

from classlab.training.fast.native.stages import NotNativeError, Stage

# Images whose linear layers are computed together: as many vectors of sums as registers can hold with room to spare.
CHUNK = 16
FEW = 8  # images of a step so small that linear layers are updated in their backward pass; see kernels.c
SLACK = 64  # numbers after each array that a vector may read beyond its end
LARGEST = 2**31 - 2**16  # numbers of an array, whose places are kept as int
LEVELS = 2**16  # of the random numbers of which dropout keeps the larger ones


@dataclass(frozen=True)
class Form:
    """What the source is written for.

    precision: fp32, bf16 or fp64. threads, batch: the most images of a step. lanes: numbers of the widest vector to
    use, 16 or 8. tile: vectors of sums at once. loss: cross_entropy or squared_error; smoothing: of the labels.
    update: sgd, adam or adamw; momentum, nesterov: whether SGD has them. channels, height, width: of the images.
    """

    precision: str
    threads: int
    batch: int
    lanes: int
    tile: int
    loss: str
    smoothing: float
    update: str
    momentum: bool
    nesterov: bool
    image: tuple[int, int, int]

    @property
    def pair(self) -> int:
        """How many numbers one instruction multiplies and adds in a lane."""
        return 2 if self.precision == "bf16" else 1


@dataclass(frozen=True)
class Array:
    """An array in the step's memory. kind: real, cell, double or int16_t. place: memory, or thread for one a thread."""

    name: str
    kind: str
    count: int
    place: str = "memory"

    def bytes(self, real: int) -> int:
        """Return the bytes of an array of REALs of so many bytes, with what a vector may read beyond its end."""
        return (self.count + SLACK) * real


class Source:
    """Writes the source. `arrays` are the arrays of the step's memory that Python reads and writes, by name."""

    def __init__(self, stages: list[Stage], form: Form) -> None:
        self.stages, self.form = stages, form
        self.names = {stage.name: _plain(stage.name, place) for place, stage in enumerate(stages)}
        self.normed = any(stage.norm is not None for stage in stages)
        self.chunk = min(CHUNK, ceil(form.batch / form.threads))
        # Where a norm needs the whole batch, each image's maps are kept; else those of the images at work, which fit
        # the processor's cache.
        self.kept = form.batch if self.normed else self.chunk
        self.map_place = "memory" if self.normed else "thread"
        self.outside: list[Array] = []
        self.inside: list[Array] = []
        for number, stage in enumerate(stages):
            self._declare(number, stage)
        if max(array.count for array in self.outside + self.inside) > LARGEST:
            raise NotNativeError("its maps for a whole batch are larger than its whole numbers reach")

    # ---- Arrays ----

    def _declare(self, number: int, s: Stage) -> None:
        name, f = self.names[s.name], self.form
        weights = s.kernel[0] * s.kernel[1] * s.channels * s.out_stride
        has_back = number > 0
        self._weights(f"{name}_weights", weights, "none" if self._few(s) else "threads")
        if s.layer.bias is not None:
            self._weights(f"{name}_bias", s.out_stride)
        if s.norm is not None:
            for part in ("gamma", "beta"):
                self._weights(f"{name}_{part}", s.out_stride, "one")
            for part in ("running_mean", "running_variance"):
                self.outside.append(Array(f"{name}_{part}", "real", s.out_stride))
            for part in ("scale", "shift", "of_v", "of_u", "constant", "mean", "inverse"):
                self.inside.append(Array(f"{name}_{part}", "real", s.out_stride))
            self.inside.append(Array(f"{name}_sums", "double", f.threads * 2 * s.out_stride))
            self.inside.append(Array(f"{name}_slopes", "double", f.threads * 2 * s.out_stride))
        if f.pair == 2:
            self.inside.append(Array(f"{name}_packed", "cell", weights + s.kernel[0] * s.kernel[1] * s.out_stride))
        if has_back and not self._few(s):
            back = s.kernel[0] * s.kernel[1] * s.stride * (s.outputs + 1)
            self.inside.append(Array(f"{name}_back", "cell", back))
        if s.dropout:
            self.inside.append(Array(f"{name}_words", "int16_t", self.kept * 4 * self._fours(s), self.map_place))
        kind = "real" if s.last else "cell"
        pixels = s.out_height * s.out_width
        handed_on = s.result[1] * s.result[2] * s.out_stride
        self.inside.append(Array(f"{name}_z", kind, self.kept * pixels * s.out_stride, self.map_place))
        self.inside.append(Array(f"{name}_arriving", "cell", self.kept * handed_on, self.map_place))
        images = _eights(self.chunk) if s.linear else 1
        frame = images * (s.height + 2 * s.padding) * (s.width + 2 * s.padding) * s.stride
        self.inside.append(Array(f"{name}_frame", "cell", frame + 8 * s.stride, "thread"))
        rows, wide = self._gradient_frame(number, s)
        self.inside.append(Array(f"{name}_gradient", "cell", images * rows * wide * s.out_stride, "thread"))
        if f.pair == 2:
            self.inside.append(Array(f"{name}_planes", "cell", _eights(s.channels) * self._plane(s), "thread"))
            pairs = 2 * ceil((self.chunk if s.linear else s.out_width) / 2) * s.out_height
            self.inside.append(Array(f"{name}_pairs", "cell", pairs * f.lanes, "thread"))

    def _weights(self, name: str, count: int, gradient: str = "threads") -> None:
        """Declare an array of weights, its optimizer's slots, and its gradient: none, one, or one of each thread."""
        self.outside.append(Array(name, "real", count))
        for slot in self.slots:
            self.outside.append(Array(f"{name}_{slot}", "real", count))
        if gradient != "none":
            self.inside.append(
                Array(f"{name}_slope", "real", count * (self.form.threads if gradient == "threads" else 1))
            )

    def _few(self, s: Stage) -> bool:
        """Whether a stage's weights are updated in its backward pass: a linear layer's, in steps of a few images."""
        return s.linear and self.form.threads == 1 and self.form.batch <= FEW and self.form.pair == 1

    @property
    def slots(self) -> tuple[str, ...]:
        """What the optimizer remembers of every weight."""
        if self.form.update == "sgd":
            return ("momentum",) if self.form.momentum else ()
        return ("mean", "square")

    def _gradient_frame(self, number: int, s: Stage) -> tuple[int, int]:
        """Return rows and columns of the frame in which the gradient of z lies: with zeros around it where needed."""
        around = 2 * s.back if number > 0 and not s.linear else 0
        return s.out_height + around, s.out_width + around

    def _plane(self, s: Stage) -> int:
        """Return the numbers of a plane: one channel of the padded input, or one input of all images of a chunk."""
        if s.linear:
            return _eights(self.chunk) + 8
        return _eights((s.height + 2 * s.padding) * (s.width + 2 * s.padding)) + 16

    # ---- Text ----

    def text(self) -> str:
        """Return the source."""
        f = self.form
        defines = f"#define REAL {'double' if f.precision == 'fp64' else 'float'}\n"
        defines += {"fp64": "#define REAL_IS_DOUBLE\n", "bf16": "#define BF16\n"}.get(f.precision, "")
        parts = [
            f"/* The training step of one network, for up to {f.batch} images of {' × '.join(map(str, f.image))}: "
            f"{f.precision}, {f.update},\n * {f.threads} thread{'s' if f.threads > 1 else ''}. Written by classlab; "
            "kernels.c says what each call does. */\n\n",
            defines,
            *(f'#define LANES {lanes}\n#include "kernels.c"\n#undef LANES\n' for lanes in sorted({f.lanes, 8})),
            f"\nenum {{ THREADS = {f.threads}, CHUNK = {self.chunk} }};\n",
            self._memory(),
        ]
        for number, stage in enumerate(self.stages):
            parts.append(f"\n/* ======== {self._heading(number, stage)} ======== */\n")
            parts += [self._forward(number, stage), self._backward(number, stage)]
        parts += [self._loss(), self._pack(), self._update(), self._work(), self._entry()]
        return "".join(parts)

    def _heading(self, number: int, s: Stage) -> str:
        channels, high, wide = s.result
        before = f"{s.channels} numbers" if s.linear else f"{s.channels} × {s.height} × {s.width}"
        product = "linear" if s.linear else f"convolution {s.kernel[0]} × {s.kernel[1]}"
        after = f", {', '.join(s.done)}" if s.done else ""
        return f"{self.names[s.name]}: {before}, {product}{after}, {channels} × {high} × {wide}"

    def _memory(self) -> str:
        def lines(arrays: list[Array]) -> str:
            return "".join(f"    {a.kind} {a.name}[{a.count + SLACK}];\n" for a in arrays)

        every = self.outside + self.inside
        outside = ", ".join(f"offsetof(Memory, {a.name})" for a in self.outside)
        sizes = ", ".join(f"sizeof((Memory){{0}}.{a.name})" for a in self.outside)
        return (
            "\n/* What one thread works with. */\ntypedef struct {\n    double loss, right;\n"
            + lines([a for a in every if a.place == "thread"])
            + "} __attribute__((aligned(64))) Thread;\n"
            + "\n/* Everything that the step has; laid out once, never while it runs. */\ntypedef struct Memory {\n"
            + "    Team team;\n    pthread_t others[THREADS];\n    atomic_int ends;\n    int count;\n    Rates rates;\n"
            + "    const real *images;\n    const int64_t *labels;\n    uint64_t seed;\n"
            + lines([a for a in every if a.place == "memory"])
            + "    Thread threads[THREADS];\n} __attribute__((aligned(64))) Memory;\n\n"
            + f"const int64_t offsets[] = {{sizeof(Memory), {outside}}};\n"
            + f"const int64_t sizes[] = {{{len(self.outside)}, {sizes}}};\nconst char digest[] = DIGEST;\n"
        )

    def _fours(self, s: Stage) -> int:
        """Return how many 64-bit numbers hold the 16 random bits of each number of a stage's map."""
        return ceil(s.out_height * s.out_width * s.outputs / 4)

    def _blocks(self, stride: int) -> Iterator[tuple[int, int]]:
        """Yield start and lanes of the blocks of channels that vectors are of."""
        start = 0
        while start < stride:
            lanes = self.form.lanes if stride - start >= self.form.lanes else 8
            yield start, lanes
            start += lanes

    def _at(self, stage: Stage, part: str, slot: str = "slot") -> str:
        """Return the place of an image's map `part` of a stage."""
        name = self.names[stage.name]
        pixels = stage.out_height * stage.out_width if part == "z" else stage.result[1] * stage.result[2]
        owner = "m" if self.map_place == "memory" else "t"
        return f"{owner}->{name}_{part} + ({slot}) * {pixels * stage.out_stride}"

    def _after(self, s: Stage) -> str:
        """Return the C value that says what is done to each number of a stage's z."""
        kept = min(round(s.dropout * LEVELS), LEVELS - 1)
        fields = {
            "height": s.out_height, "width": s.out_width, "stride": s.out_stride,
            "before": int(s.before), "norm": int(s.norm is not None), "after": int(s.after),
            "dropout": int(s.dropout > 0), "channels": s.outputs, "lowest": kept - LEVELS // 2,
            "factor": f"(real){LEVELS / (LEVELS - kept)!r}",
            "pool": {"": "NO_POOL", "max": "MAX_POOL", "average": "AVERAGE_POOL"}[s.pool],
            "high": s.high, "wide": s.wide,
        }  # fmt: skip
        return _value("After", fields)

    def _words(self, s: Stage) -> str:
        owner = "m" if self.map_place == "memory" else "t"
        return f"{owner}->{self.names[s.name]}_words + slot * {4 * self._fours(s)}" if s.dropout else "0"

    def _draw(self, number: int, s: Stage, indentation: str) -> str:
        """Return the call that draws an image's random numbers for a stage's dropout."""
        if not s.dropout:
            return ""
        return f"{indentation}draw({self._words(s)}, {self._fours(s)}, m->seed, {number}, i);\n"

    def _activate(self, number: int, target: str, row: int, indentation: str) -> str:
        """Return the calls that hand the stage before on to `target`, `row` cells a row."""
        s = self.stages[number - 1]
        name = self.names[s.name]
        lines = ""
        for start, lanes in self._blocks(s.out_stride):
            norm = f"m->{name}_scale + {start}, m->{name}_shift + {start}" if s.norm is not None else "0, 0"
            words = f"{self._words(s)} + {start}" if s.dropout else "0"
            lines += (
                f"{indentation}activate_{lanes}({self._at(s, 'z')} + {start}, {words}, {norm}, "
                f"{target} + {start}, {row}, {name}_after);\n"
            )
        return lines

    def _norm(self, s: Stage) -> str:
        name = self.names[s.name]
        fields = {
            part: f"m->{name}_{array}"
            for part, array in (
                ("gamma", "gamma"), ("beta", "beta"), ("running_mean", "running_mean"),
                ("running_variance", "running_variance"), ("gamma_gradient", "gamma_slope"),
                ("beta_gradient", "beta_slope"), ("scale", "scale"), ("shift", "shift"), ("of_v", "of_v"),
                ("of_u", "of_u"), ("constant", "constant"), ("mean", "mean"), ("inverse", "inverse"),
            )
        }  # fmt: skip
        return _value("Norm", fields)

    # ---- Forward ----

    def _forward(self, number: int, s: Stage) -> str:
        name = self.names[s.name]
        constant = f"static const After {name}_after = {self._after(s)};\n"
        if s.linear:
            return constant + self._forward_linear(number, s)
        row = (s.width + 2 * s.padding) * s.stride
        inner = f"t->{name}_frame + {s.padding * (row + s.stride)}"
        body = self._take(s, "0") if number == 0 else self._activate(number, inner, row, "    ")
        if number == 0:
            product = self._product(
                s, s.out_height, s.out_width, taps=(s.kernel[0], 1), channels=s.kernel[1] * s.channels, row=row,
                step=s.stride, stride=s.out_stride, out_row=s.out_width * s.out_stride, out_pixel=s.out_stride,
            )  # fmt: skip
        else:
            product = self._product(
                s, s.out_height, s.out_width, taps=s.kernel, channels=s.channels, row=row, step=s.stride,
                stride=s.out_stride, out_row=s.out_width * s.out_stride, out_pixel=s.out_stride,
            )  # fmt: skip
        body += f"    const Product p = {product};\n"
        for start, lanes in self._blocks(s.out_stride):
            body += (
                f"    product_{lanes}(t->{name}_frame, {self._packed(s)} + {start * self.form.pair}, "
                f"{self._bias(s, start)}, {self._at(s, 'z')} + {start}, {self._sums(s, start)}, {s.out_stride}, p);\n"
            )
        body += self._draw(number, s, "    ")
        return constant + _function(f"{name}_forward", "Memory *m, Thread *t, int thread, int i, int slot", body)

    def _take(self, s: Stage, planes: str) -> str:
        """Return the call that takes an image in."""
        name, (channels, height, width) = self.names[s.name], self.form.image
        size = channels * height * width
        if s.linear:
            to, rest = f"t->{name}_frame + j * {size}", f"0, 1, 1, {size}, 0, 0"
        else:
            to, rest = f"t->{name}_frame", f"{planes}, {height}, {width}, {channels}, {s.padding}, {self._plane(s)}"
        return f"    take_image_{self.form.lanes}(m->images + (int64_t)i * {size}, {to}, {rest});\n"

    def _take_linear(self, number: int, s: Stage) -> str:
        """Return the lines that gather the inputs of a chunk of images for a linear layer."""
        name = self.names[s.name]
        if number == 0:
            inner = "    " + self._take(s, "0")
        else:
            earlier = self.stages[number - 1]
            target = f"t->{name}_frame + j * {s.stride}"
            row = earlier.result[2] * earlier.out_stride
            inner = self._activate(number, target, row, "        ")
        return f"    for (int j = 0, i = base, slot = first; j < count; j++, i++, slot++) {{\n{inner}    }}\n"

    def _forward_linear(self, number: int, s: Stage) -> str:
        name = self.names[s.name]
        wide = self._product(
            s, 1, self.chunk, taps=(1, 1), channels=s.channels, row=0, step=s.stride, stride=s.out_stride,
            out_row=0, out_pixel=s.out_stride,
        )  # fmt: skip
        body = self._take_linear(number, s)
        body += self._over_chunk(
            s.out_stride,
            wide,
            lambda lanes, j, start: (
                f"product_{lanes}(t->{name}_frame + {j} * {s.stride}, {self._packed(s)} + {start} * {self.form.pair}, "
                f"{self._bias(s, start)}, {self._at(s, 'z', f'first + {j}')} + {start}, {self._sums(s, start)}, "
                f"{s.out_stride}, "
            ),
        )
        if s.dropout:
            body += "    for (int i = base, slot = first; i < base + count; i++, slot++)\n" + self._draw(
                number, s, "        "
            )
        return _function(f"{name}_forward", "Memory *m, Thread *t, int thread, int base, int first, int count", body)

    def _over_chunk(self, stride: int, product: str, call: Callable[[int, str, int | str], str]) -> str:
        """Return the lines that call a product for a whole chunk of images at once, or for fewer one by one."""
        blocks = list(self._blocks(stride))
        whole, single = (
            f"    const Product p = {product};\n",
            "    Product one = p;\n    one.width = one.columns = 1;\n",
        )
        several = [start for start, lanes in blocks if lanes == self.form.lanes]
        rest = [(start, lanes) for start, lanes in blocks if lanes != self.form.lanes]

        def calls(j: str, product_name: str, indentation: str) -> str:
            lines = ""
            if several:
                last = several[-1] + self.form.lanes
                lines += f"{indentation}for (int c = 0; c < {last}; c += {self.form.lanes})\n"
                lines += f"{indentation}    {call(self.form.lanes, j, 'c')}{product_name});\n"
            for start, lanes in rest:
                lines += f"{indentation}{call(lanes, j, start)}{product_name});\n"
            return lines

        if self.chunk == 1:
            return whole + calls("0", "p", "    ")
        return (
            whole + single
            + "    if (count == CHUNK) {\n" + calls("0", "p", "        ")
            + "    } else {\n        for (int j = 0; j < count; j++) {\n" + calls("j", "one", "            ")
            + "        }\n    }\n"
        )  # fmt: skip

    def _packed(self, s: Stage) -> str:
        return f"m->{self.names[s.name]}_{'packed' if self.form.pair == 2 else 'weights'}"

    def _bias(self, s: Stage, start: int | str) -> str:
        return f"m->{self.names[s.name]}_bias + {start}" if s.layer.bias is not None else "0"

    def _sums(self, s: Stage, start: int | str) -> str:
        if s.norm is None:
            return "0"
        return f"m->{self.names[s.name]}_sums + thread * {2 * s.out_stride} + {start}"

    def _product(
        self, s: Stage, height: int, width: int, *, taps: tuple[int, int], channels: int, row: int, step: int,
        stride: int, out_row: int, out_pixel: int, real_out: bool | None = None,
    ) -> str:  # fmt: skip
        rows, columns = tile(height, width, self.form.tile)
        fields = {
            "height": height, "width": width, "rows": rows, "columns": columns, "ky": taps[0], "kx": taps[1],
            "channels": channels, "row": row, "tap": step, "pixel": step, "stride": stride, "out_row": out_row,
            "out_pixel": out_pixel, "real_out": int(s.last if real_out is None else real_out), "before": int(s.before),
        }  # fmt: skip
        return _value("Product", fields)

    # ---- Backward ----

    def _backward(self, number: int, s: Stage) -> str:
        return self._backward_linear(number, s) if s.linear else self._backward_convolution(number, s)

    def _differentiate(self, s: Stage, target: str, row: int, reducing: bool, indentation: str) -> str:
        """Return the calls that make the gradient of a stage's z, or that add up norm's sums before it."""
        name, lines = self.names[s.name], ""
        part = f"m->{name}_slopes + thread * {2 * s.out_stride}"
        bias = f"m->{name}_bias_slope + thread * {s.out_stride}" if s.layer.bias is not None and not reducing else ""
        norm = f"{name}_norm(m)" if s.norm is not None else "(Norm){0}"
        for start, lanes in self._blocks(s.out_stride):
            words = f"{self._words(s)} + {start}" if s.dropout else "0"
            z = f"(const cell *)({self._at(s, 'z')}) + {start}"
            lines += (
                f"{indentation}differentiate_{lanes}({z}, {words}, {self._at(s, 'arriving')} + {start}, {norm}, "
                f"{start}, {target} + {start}, {row}, {part + f' + {start}' if reducing else '0'}, {s.out_stride}, "
                f"{bias + f' + {start}' if bias else '0'}, {int(reducing)}, {name}_after);\n"
            )
        return lines

    def _reduce(self, number: int, indentation: str) -> str:
        """Return the calls after a stage's backward pass that add up the sums of the norm before it."""
        earlier = self.stages[number - 1]
        if number == 0 or earlier.norm is None:
            return ""
        return self._differentiate(earlier, "(cell *)0", 0, True, indentation)

    def _slope(self, s: Stage, number: int, image_row: bool) -> str:
        f, channels = self.form, s.channels
        rows, run = 1, _even_share(channels, f.tile)
        if not s.linear and s.kernel[0] * s.kernel[1] <= f.tile and channels < 8:
            rows, run = s.kernel
        frame_row = s.width + 2 * s.padding
        _, wide = self._gradient_frame(number, s)
        if f.pair == 2:
            row, pixel, step = frame_row, 1, self._plane(s)
            pairs = ceil((self.chunk if s.linear else s.out_width) / 2)
            lanes = "LANES_HERE"
            out_row, out_pixel = f"{pairs * 2} * {lanes}", f"2 * {lanes}"
        else:
            row, pixel, step = frame_row * s.stride, s.stride, 1
            out_row, out_pixel = str(wide * s.out_stride), str(s.out_stride)
        fields = {
            "height": s.out_height, "width": "count" if image_row else s.out_width, "ky": s.kernel[0],
            "kx": s.kernel[1], "channels": channels, "rows": rows, "run": run, "row": row, "pixel": pixel,
            "step": step, "stride": s.out_stride, "out_row": out_row, "out_pixel": out_pixel,
        }  # fmt: skip
        return _value("Slope", fields)

    def _slopes(self, number: int, s: Stage, gradient: str, row: int) -> str:
        """Return the calls that add up the gradient of a stage's weights. gradient, row: where that of z lies."""
        name, lines = self.names[s.name], ""
        value = self._slope(s, number, s.linear)
        parts = f"m->{name}_weights_slope + thread * {self._count(name)}"
        width = "count" if s.linear else s.out_width
        for start, lanes in self._blocks(s.out_stride):
            if self.form.pair == 2:
                sizes = f"{s.out_height}, {width}, {row}, {s.out_stride}"
                lines += f"    pair_up_{lanes}({gradient} + {start}, t->{name}_pairs, {sizes});\n"
                source, planes = f"t->{name}_pairs", self._planes(number, s)
            else:
                source, planes = f"{gradient} + {start}", f"t->{name}_frame"
            slope = value.replace("LANES_HERE", str(lanes))
            lines += f"    slope_{lanes}({planes}, {source}, {parts} + {start}, {slope});\n"
        return lines

    def _count(self, name: str) -> int:
        return next(a.count for a in self.outside if a.name == f"{name}_weights")

    def _planes(self, number: int, s: Stage) -> str:
        name = self.names[s.name]
        return f"t->{name}_frame" if number == 0 and s.channels == 1 and not s.linear else f"t->{name}_planes"

    def _backward_convolution(self, number: int, s: Stage) -> str:
        name, f = self.names[s.name], self.form
        rows, wide = self._gradient_frame(number, s)
        around = (rows - s.out_height) // 2
        row = wide * s.out_stride
        inner = f"t->{name}_gradient + {around * (row + s.out_stride)}"
        body = self._differentiate(s, inner, row, False, "    ")
        frame_row = (s.width + 2 * s.padding) * s.stride
        if number == 0:
            body += self._take(s, f"t->{name}_planes" if f.pair == 2 and s.channels > 1 else "0")
        else:
            body += self._activate(number, f"t->{name}_frame + {s.padding * (frame_row + s.stride)}", frame_row, "    ")
            if f.pair == 2:
                pixels = (s.height + 2 * s.padding) * (s.width + 2 * s.padding)
                body += (
                    f"    transpose(t->{name}_frame, t->{name}_planes, {pixels}, {_eights(s.channels)}, {s.stride}, "
                    f"{self._plane(s)});\n"
                )
        body += self._slopes(number, s, inner, row)
        if number > 0:
            earlier = self.stages[number - 1]
            product = self._product(
                replace(s, before=False), s.height, s.width, taps=s.kernel, channels=s.outputs, row=row,
                step=s.out_stride, stride=s.stride, out_row=s.width * s.stride, out_pixel=s.stride, real_out=False,
            )  # fmt: skip
            body += f"    const Product p = {product};\n"
            for start, lanes in self._blocks(s.stride):
                body += (
                    f"    product_{lanes}(t->{name}_gradient, m->{name}_back + {start * f.pair}, 0, "
                    f"{self._at(earlier, 'arriving')} + {start}, 0, 0, p);\n"
                )
            body += self._reduce(number, "    ")
        return self._norm_function(s) + _function(
            f"{name}_backward", "Memory *m, Thread *t, int thread, int i, int slot", body
        )

    def _norm_function(self, s: Stage) -> str:
        if s.norm is None:
            return ""
        return f"INLINE Norm {self.names[s.name]}_norm(Memory *m)\n{{\n    return {self._norm(s)};\n}}\n\n"

    def _backward_linear(self, number: int, s: Stage) -> str:
        name, f = self.names[s.name], self.form
        body = self._take_linear(number, s)
        loop = "    for (int j = 0, i = base, slot = first; j < count; j++, i++, slot++) {\n"
        body += loop + "        (void)i;\n"
        body += self._differentiate(s, f"t->{name}_gradient + j * {s.out_stride}", 0, False, "        ") + "    }\n"
        if f.pair == 2:
            body += (
                f"    transpose(t->{name}_frame, t->{name}_planes, {_eights(self.chunk)}, {s.channels // 8 * 8}, "
                f"{s.stride}, {self._plane(s)});\n"
            )
            if s.channels % 8:
                body += (
                    f"    for (int j = 0; j < count; j++)\n"
                    f"        for (int c = {s.channels // 8 * 8}; c < {s.channels}; c++)\n"
                    f"            t->{name}_planes[c * {self._plane(s)} + j] = t->{name}_frame[j * {s.stride} + c];\n"
                )
        if self._few(s):
            body += self._linear_step(number, s)
        else:
            body += self._slopes(number, s, f"t->{name}_gradient", 0)
        if number > 0 and not self._few(s):
            earlier = self.stages[number - 1]
            product = self._product(
                replace(s, before=False), 1, self.chunk, taps=(1, 1), channels=s.outputs, row=0, step=s.out_stride,
                stride=s.stride, out_row=0, out_pixel=s.stride, real_out=False,
            )  # fmt: skip
            body += self._over_chunk(
                s.stride,
                product,
                lambda lanes, j, start: (
                    f"product_{lanes}(t->{name}_gradient + {j} * {s.out_stride}, m->{name}_back + {start} * {f.pair}, "
                    f"0, {self._at(earlier, 'arriving', f'first + {j}')} + {start}, 0, 0, "
                ),
            )
        if reduce := self._reduce(number, "        "):
            earlier = self.stages[number - 1]
            body += loop + "        (void)i;\n" + reduce + "    }\n"
        return self._norm_function(s) + _function(
            f"{name}_backward", "Memory *m, Thread *t, int thread, int base, int first, int count", body
        )

    def _linear_step(self, number: int, s: Stage) -> str:
        """Return the call that makes a linear layer's backward pass and update at once, for a whole chunk or less."""
        name, lanes = self.names[s.name], self.form.lanes if s.out_stride % self.form.lanes == 0 else 8
        slots = [f"m->{name}_weights_{slot}" for slot in self.slots]
        arrays = ", ".join([f"m->{name}_weights", *slots, *["0"] * (2 - len(slots))])

        def call(j: str, images: str) -> str:
            back = self._at(self.stages[number - 1], "arriving", f"first + {j}") if number > 0 else "0"
            return (
                f"linear_step_{lanes}(t->{name}_frame + {j} * {s.stride}, t->{name}_gradient + {j} * {s.out_stride}, "
                f"{arrays}, {back}, {s.channels}, {s.out_stride}, {images}, m->rates, {self._update_kind()}, "
                f"{int(self.form.nesterov)});\n"
            )

        if self.chunk == 1:
            return f"    {call('0', '1')}"
        cases = "".join(f"    case {n}:\n        {call('0', str(n))}        break;\n" for n in range(1, self.chunk + 1))
        return f"    switch (count) {{\n{cases}    }}\n"

    def _update_kind(self) -> str:
        if self.form.update == "sgd":
            return "SGD_MOMENTUM" if self.form.momentum else "SGD"
        return {"adam": "ADAM", "adamw": "ADAM_W"}[self.form.update]

    # ---- The rest ----

    def _loss(self) -> str:
        s = self.stages[-1]
        body = (
            f"    t->loss += {self.form.loss}({self._at(s, 'z')}, {self._at(s, 'arriving')}, m->labels[i], "
            f"{s.outputs}, (real){self.form.smoothing!r}, (real)1 / m->count, &t->right);\n"
        )
        return "\n" + _function("loss", "Memory *m, Thread *t, int i, int slot", body)

    def _pack(self) -> str:
        body = ""
        for number, s in enumerate(self.stages):
            name, taps = self.names[s.name], s.kernel[0] * s.kernel[1]
            if self.form.pair == 2:
                inputs, lines = (s.kernel[1] * s.channels, s.kernel[0]) if number == 0 else (s.channels, taps)
                sizes = f"{lines}, {inputs}, {s.out_stride}"
                body += f"    pack(m->{name}_weights, m->{name}_packed, {sizes}, thread, THREADS);\n"
            if number > 0 and not self._few(s):
                tap = ceil(s.outputs / self.form.pair) * s.stride
                body += (
                    f"    pack_back(m->{name}_weights, m->{name}_back, {taps}, {s.channels}, {s.outputs}, "
                    f"{s.out_stride}, {tap}, {s.stride}, 1, thread, THREADS);\n"
                )
        return _function("pack_weights", "Memory *m, int thread", body or "    (void)m, (void)thread;\n")

    def _update(self) -> str:
        f, body = self.form, ""
        for array in self.outside:
            if not any(a.name == f"{array.name}_slope" for a in self.inside):
                continue
            parts = 1 if array.name.endswith(("_gamma", "_beta")) else f.threads
            share = f"{array.count} * thread / THREADS, {array.count} * (thread + 1) / THREADS, m->rates"
            arrays = [f"m->{array.name}", *(f"m->{array.name}_{slot}" for slot in self.slots)]
            if f.update == "sgd" and not f.momentum:
                arrays.append("0")
            first = f"{', '.join(arrays)}, m->{array.name}_slope, {array.count}, {parts}, {share}"
            last = f"{int(f.momentum)}, {int(f.nesterov)}" if f.update == "sgd" else str(int(f.update == "adamw"))
            body += f"    {'sgd' if f.update == 'sgd' else 'adam'}({first}, {last});\n"
        return _function("update", "Memory *m, int thread", body)

    def _clear(self) -> str:
        """Return the lines that set the sums of this thread to zero."""
        lines = "    t->loss = t->right = 0;\n"
        for array in self.inside:
            if (
                array.name.endswith("_slope") and not array.name.endswith(("_gamma_slope", "_beta_slope"))
            ) or array.kind == "double":
                each = array.count // self.form.threads
            else:
                continue
            lines += f"    memset(m->{array.name} + thread * {each}, 0, {each} * sizeof(m->{array.name}[0]));\n"
        return lines

    def _work(self) -> str:
        """Return the step as one thread makes it: what stands between two meetings is done image by image."""
        body = (
            "    Thread *t = &m->threads[thread];\n"
            "    const int from = m->count * thread / THREADS, to = m->count * (thread + 1) / THREADS;\n"
            + self._clear()
            + "    pack_weights(m, thread);\n    meet(&m->team);\n"
        )
        waiting: list[tuple[str, Stage | None]] = []
        for s in self.stages:
            waiting.append((f"{self.names[s.name]}_forward", s))
            if s.norm is not None:
                body += self._phase(waiting) + self._meet_norm(s, forward=True)
                waiting = []
        waiting.append(("loss", None))
        for number in reversed(range(len(self.stages))):
            s = self.stages[number]
            if s.norm is not None:
                body += self._phase(waiting) + self._meet_norm(s, forward=False)
                waiting = []
            waiting.append((f"{self.names[s.name]}_backward", s))
        body += self._phase(waiting) + "    meet(&m->team);\n    update(m, thread);\n    meet(&m->team);\n"
        return _function("work", "Memory *m, int thread", body)

    def _meet_norm(self, s: Stage, forward: bool) -> str:
        name, stride = self.names[s.name], s.out_stride
        norm = s.norm
        assert norm is not None and norm.momentum is not None
        count = f"(double)m->count * {s.out_height * s.out_width}"
        if forward:
            rest = f"{stride}, {count}, {norm.eps!r}, {norm.momentum!r}"
            call = f"norm_forward({name}_norm(m), m->{name}_sums, THREADS, {s.outputs}, {rest})"
        else:
            call = f"norm_backward({name}_norm(m), m->{name}_slopes, THREADS, {s.outputs}, {stride}, {count})"
        return f"    meet(&m->team);\n    if (thread == 0)\n        {call};\n    meet(&m->team);\n"

    def _phase(self, calls: list[tuple[str, Stage | None]]) -> str:
        slot = "base" if self.normed else "0"
        lines = "    for (int base = from; base < to; base += CHUNK) {\n"
        lines += "        const int count = to - base < CHUNK ? to - base : CHUNK;\n"
        if not any(stage is not None and stage.linear for _, stage in calls):
            lines += "        (void)count;\n"
        together: list[str] = []

        def flush() -> str:
            if not together:
                return ""
            inner = "".join(f"            {call}\n" for call in together)
            together.clear()
            return f"        for (int i = base, slot = {slot}; i < base + count; i++, slot++) {{\n{inner}        }}\n"

        for name, stage in calls:
            if stage is not None and stage.linear:
                lines += flush() + f"        {name}(m, t, thread, base, {slot}, count);\n"
            elif stage is not None:
                together.append(f"{name}(m, t, thread, i, slot);")
            else:
                together.append(f"{name}(m, t, i, slot);")
        return lines + flush() + "    }\n"

    def _entry(self) -> str:
        """Return what Python calls."""
        return dedent("""
            typedef struct { Memory *memory; int thread; } Order;

            static void *serve(void *given)
            {
                Memory *m = ((Order *)given)->memory;
                int thread = ((Order *)given)->thread;
                free(given);
                for (;;) {
                    meet(&m->team); /* a step begins */
                    if (atomic_load(&m->ends))
                        return 0;
                    work(m, thread);
                }
            }

            /* Begin: the memory is all zeros. Returns how many threads could not be had: none, or it must be ended. */
            int begin(Memory *m)
            {
                m->team.threads = THREADS;
                pthread_mutex_init(&m->team.lock, 0);
                pthread_cond_init(&m->team.moved, 0);
                for (int thread = 1; thread < THREADS; thread++) {
                    Order *order = malloc(sizeof(Order));
                    if (!order)
                        return THREADS - thread;
                    *order = (Order){m, thread};
                    if (pthread_create(&m->others[thread], 0, serve, order)) {
                        free(order);
                        return THREADS - thread;
                    }
                }
                return 0;
            }

            void end(Memory *m)
            {
                atomic_store(&m->ends, 1);
                meet(&m->team);
                for (int thread = 1; thread < THREADS; thread++)
                    pthread_join(m->others[thread], 0);
            }

            /* One step on `count` images; adds the sum of their losses and the right answers to `totals`. */
            void step(Memory *m, int count, const real *images, const int64_t *labels, uint64_t seed,
                      const Rates *rates, double *totals)
            {
                m->count = count, m->images = images, m->labels = labels, m->seed = seed, m->rates = *rates;
                meet(&m->team);
                work(m, 0);
                for (int thread = 0; thread < THREADS; thread++) {
                    totals[0] += m->threads[thread].loss;
                    totals[1] += m->threads[thread].right;
                }
            }
            """)


def _plain(name: str, place: int) -> str:
    """Return the C name of a layer: its own where that is one, else one made of its place."""
    return name if re.fullmatch("[A-Za-z][A-Za-z0-9]{0,40}", name) else f"layer{place + 1}_"


def _eights(count: int) -> int:
    return -(-count // 8) * 8


def _even_share(count: int, most: int) -> int:
    """Return into what runs of at most `most` a count is divided most evenly."""
    return ceil(count / ceil(count / most))


def tile(height: int, width: int, most: int) -> tuple[int, int]:
    """Return the rows and columns of a map to compute at once, at most so many pixels.

    Each run over the weights loads them once, whatever it computes; a run of few pixels waits for its own sums, for one
    takes some four cycles until the next can be added to it. So few and even runs are best.
    """

    def cost(rows: int, columns: int) -> float:
        heights = [rows] * (height // rows) + [height % rows] * (height % rows > 0)
        widths = [columns] * (width // columns) + [width % columns] * (width % columns > 0)
        return sum(max(4.0, h * w) + 1 for h in heights for w in widths)

    choices = [(r, c) for r in range(1, height + 1) for c in range(1, width + 1) if r * c <= most]
    return min(choices, key=lambda choice: (cost(*choice), choice))


def _value(kind: str, fields: Mapping[str, object]) -> str:
    return f"({kind}){{{', '.join(f'.{name} = {value}' for name, value in fields.items())}}}"


def _function(name: str, parameters: str, body: str) -> str:
    return f"static __attribute__((noinline)) void {name}({parameters})\n{{\n{body}}}\n\n"
