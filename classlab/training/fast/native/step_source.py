"""The C source of one network's training step, forward, backward and update in order, one call a line.

And of its evaluation, which is the forward pass alone: in float or double, with the norms' running statistics.
"""

from math import ceil
from textwrap import dedent

from classlab.training.fast.native.stages import Stage
from classlab.training.fast.native.step_layout import SLACK, Array, Layout
from classlab.training.fast.native.step_passes import backward, forward, function

Calls = list[tuple[str, Stage | None]]  # functions of the source, each with its stage; None: of single images


def text(layout: Layout) -> str:
    """Return the source."""
    f = layout.form
    work = f"training step, {f.update}," if f.trains else "evaluation"
    about = (
        f"/* The {work} of one network, for up to {f.batch} images of {' × '.join(map(str, f.image))}: "
        f"{f.precision},\n * {f.threads} thread{'s' if f.threads > 1 else ''}. Written by classlab; "
        "kernels.c says what each call does. */\n\n"
    )
    kind = {"fp64": "#define REAL double\n#define REAL_IS_DOUBLE\n", "bf16": "#define REAL float\n#define BF16\n"}
    widths = sorted({f.lanes, 8}, reverse=True)
    parts = [
        about,
        kind.get(f.precision, "#define REAL float\n"),
        *(f'#define LANES {lanes}\n#include "kernels.c"\n#undef LANES\n' for lanes in widths),
        f"\nenum {{ THREADS = {f.threads}, CHUNK = {layout.chunk} }};\n",
        _memory(layout),
    ]
    for stage in layout.stages:
        parts += [f"\n/* ======== {_heading(layout, stage)} ======== */\n", forward(layout, stage)]
        parts += [backward(layout, stage)] if f.trains else []
    if f.trains:
        parts += [_loss(layout), _pack(layout), _update(layout), _work(layout), ENTRY, STEP]
    else:
        parts += [_hand_out(layout), _work_of_evaluation(layout), ENTRY, EVALUATE]
    return "".join(parts)


def _heading(layout: Layout, s: Stage) -> str:
    channels, high, wide = s.result
    given = f"{s.channels} numbers" if s.linear else f"{s.channels} × {s.height} × {s.width}"
    product = "linear" if s.linear else f"convolution {s.kernel[0]} × {s.kernel[1]}"
    after = f", {', '.join(s.done)}" if s.done else ""
    return f"{layout.name(s)}: {given}, {product}{after}, {channels} × {high} × {wide}"


def _memory(layout: Layout) -> str:
    """Return the types of the memory, and what Python checks: where its arrays lie, and how large they are."""

    def lines(place: str) -> str:
        arrays = [array for array in layout.outside + layout.inside if array.place == place]
        return "".join(f"    {array.kind} {array.name}[{array.count + SLACK}];\n" for array in arrays)

    offsets = ", ".join(f"offsetof(Memory, {array.name})" for array in layout.outside)
    sizes = ", ".join(f"sizeof((Memory){{0}}.{array.name})" for array in layout.outside)
    given = "    real *outputs;\n"
    if layout.form.trains:
        given = "    Rates rates;\n    const int64_t *labels;\n    uint64_t seed;\n"
    return (
        f"\n/* What one thread works with. */\ntypedef struct {{\n    double loss, right;\n{lines('thread')}"
        "} __attribute__((aligned(64))) Thread;\n"
        "\n/* Everything that it has; laid out once, never while it runs. */\ntypedef struct Memory {\n"
        "    Team team;\n    pthread_t others[THREADS];\n    atomic_int ends;\n    int count;\n"
        f"    const real *images;\n{given}{lines('memory')}"
        "    Thread threads[THREADS];\n} __attribute__((aligned(64))) Memory;\n\n"
        f"const int64_t offsets[] = {{sizeof(Memory), {offsets}}};\n"
        f"const int64_t sizes[] = {{{len(layout.outside)}, {sizes}}};\nconst char digest[] = DIGEST;\n"
    )


def _loss(layout: Layout) -> str:
    s, f = layout.stages[-1], layout.form
    body = (
        f"    t->loss += {f.loss}({layout.at(s, 'z')}, {layout.at(s, 'arriving')}, m->labels[i], {s.outputs}, "
        f"(real){f.smoothing!r}, (real)1 / m->count, &t->right);\n"
    )
    return "\n" + function("loss", "Memory *m, Thread *t, int i, int slot", body)


def _hand_out(layout: Layout) -> str:
    """Return the function that writes an image's outputs where Python wants them."""
    s = layout.stages[-1]
    body = (
        "    (void)t;\n"
        f"    memcpy(m->outputs + (int64_t)i * {s.outputs}, {layout.at(s, 'z')}, {s.outputs} * sizeof(real));\n"
    )
    return "\n" + function("hand_out", "Memory *m, Thread *t, int i, int slot", body)


def _work_of_evaluation(layout: Layout) -> str:
    """Return the evaluation as each thread makes it."""
    calls: Calls = [(f"{layout.name(s)}_forward", s) for s in layout.stages]
    body = f"{SHARE}{_phase(layout, [*calls, ('hand_out', None)])}    meet(&m->team);\n"
    return function("work", "Memory *m, int thread", body)


def _pack(layout: Layout) -> str:
    """Return the function that writes the weights as this step's products read them."""
    body = ""
    for s in layout.stages:
        name, taps, first = layout.name(s), s.kernel[0] * s.kernel[1], layout.before(s) is None
        if layout.form.pair == 2:
            lines, inputs = (s.kernel[0], s.kernel[1] * s.channels) if first else (taps, s.channels)
            sizes = f"{lines}, {inputs}, {s.out_stride}"
            body += f"    pack(m->{name}_weights, m->{name}_packed, {sizes}, thread, THREADS);\n"
        if not first and not layout.few(s):
            sizes = f"{taps}, {s.channels}, {s.outputs}, {s.out_stride}"
            tap = ceil(s.outputs / layout.form.pair) * s.stride
            body += f"    pack_back(m->{name}_weights, m->{name}_back, {sizes}, {tap}, {s.stride}, thread, THREADS);\n"
    return function("pack_weights", "Memory *m, int thread", body or "    (void)m, (void)thread;\n")


def _update(layout: Layout) -> str:
    """Return the function that changes a thread's share of all weights, but those that the backward pass changes."""
    f, body, inside = layout.form, "", {array.name: array for array in layout.inside}
    for array in layout.outside:
        slope = inside.get(f"{array.name}_slope")
        if slope is None:
            continue
        arrays = [f"m->{array.name}", *(f"m->{array.name}_{slot}" for slot in f.slots)]
        arrays += ["0"] if f.update == "sgd" and not f.momentum else []
        share = f"{array.count} * thread / THREADS, {array.count} * (thread + 1) / THREADS"
        parts = slope.count // array.count
        last = f"{int(f.momentum)}, {int(f.nesterov)}" if f.update == "sgd" else str(int(f.update == "adamw"))
        given = f"{', '.join(arrays)}, m->{slope.name}, {array.count}, {parts}, {share}, m->rates, {last}"
        body += f"    {'sgd' if f.update == 'sgd' else 'adam'}({given});\n"
    return function("update", "Memory *m, int thread", body)


def _work(layout: Layout) -> str:
    """Return the step as each thread makes it; between two meetings, image by image, or a chunk of images at a time."""
    body = (
        f"{SHARE}    t->loss = t->right = 0;\n"
        + "".join(_clear(array, layout.form.threads) for array in layout.inside if array.added_up)
        + "    pack_weights(m, thread);\n    meet(&m->team);\n"
    )
    waiting: Calls = []
    for s in layout.stages:
        waiting.append((f"{layout.name(s)}_forward", s))
        if s.norm is not None:
            body += _phase(layout, waiting) + _meet_for_norm(layout, s, is_forward=True)
            waiting = []
    waiting.append(("loss", None))
    for s in reversed(layout.stages):
        if s.norm is not None:
            body += _phase(layout, waiting) + _meet_for_norm(layout, s, is_forward=False)
            waiting = []
        waiting.append((f"{layout.name(s)}_backward", s))
    body += _phase(layout, waiting) + "    meet(&m->team);\n    update(m, thread);\n    meet(&m->team);\n"
    return function("work", "Memory *m, int thread", body)


def _clear(array: Array, threads: int) -> str:
    each = array.count // threads
    return f"    memset(m->{array.name} + thread * {each}, 0, {each} * sizeof(m->{array.name}[0]));\n"


def _meet_for_norm(layout: Layout, s: Stage, is_forward: bool) -> str:
    """Return the lines in which the threads wait for a norm's sums over the whole batch, and one works them out."""
    name, norm = layout.name(s), s.norm
    assert norm is not None
    sizes = f"THREADS, {s.outputs}, {s.out_stride}, (double)m->count * {s.out_height * s.out_width}"
    if is_forward:
        call = f"norm_forward({name}_norm(m), m->{name}_sums, {sizes}, {norm.eps!r}, {norm.momentum!r})"
    else:
        call = f"norm_backward({name}_norm(m), m->{name}_slopes, {sizes})"
    return f"    meet(&m->team);\n    if (thread == 0)\n        {call};\n    meet(&m->team);\n"


def _phase(layout: Layout, calls: Calls) -> str:
    """Return the loop over a thread's images, a chunk at a time: linear layers by chunks, all else image by image."""
    slot = "base" if layout.normed else "0"  # where the maps of the chunk's first image are kept
    lines = (
        "    for (int base = from; base < to; base += CHUNK) {\n"
        "        const int count = to - base < CHUNK ? to - base : CHUNK;\n"
    )
    together: list[str] = []

    def by_image() -> str:
        inner = "".join(f"            {call}\n" for call in together)
        together.clear()
        loop = f"        for (int i = base, slot = {slot}; i < base + count; i++, slot++) {{\n"
        return f"{loop}{inner}        }}\n" if inner else ""

    for name, stage in calls:
        if stage is not None and stage.linear:
            lines += by_image() + f"        {name}(m, t, thread, base, {slot}, count);\n"
        else:
            together.append(f"{name}(m, t, {'thread, ' if stage is not None else ''}i, slot);")
    return lines + by_image() + "    }\n"


SHARE = (
    "    Thread *t = &m->threads[thread];\n"
    "    const int from = m->count * thread / THREADS, to = m->count * (thread + 1) / THREADS;\n"
)
ENTRY = dedent("""
    /* ======== What Python calls ======== */

    typedef struct { Memory *memory; int thread; } Order;

    static void *serve(void *given)
    {
        Memory *m = ((Order *)given)->memory;
        int thread = ((Order *)given)->thread;
        free(given);
        for (;;) {
            meet(&m->team); /* there is work */
            if (atomic_load(&m->ends))
                return 0;
            work(m, thread);
        }
    }

    void end(Memory *m)
    {
        atomic_store(&m->ends, 1);
        meet(&m->team);
        for (int thread = 1; thread < m->team.threads; thread++)
            pthread_join(m->others[thread], 0);
    }

    /* Begin, with a memory that is all zeros. Returns 0, or 1 where the system gives no threads: then it has ended. */
    int begin(Memory *m)
    {
        m->team.threads = THREADS;
        pthread_mutex_init(&m->team.lock, 0);
        pthread_cond_init(&m->team.moved, 0);
        for (int thread = 1; thread < THREADS; thread++) {
            Order *order = malloc(sizeof(Order));
            if (order)
                *order = (Order){m, thread};
            if (!order || pthread_create(&m->others[thread], 0, serve, order)) {
                free(order);
                m->team.threads = thread; /* those that there are wait for no others */
                end(m);
                return 1;
            }
        }
        return 0;
    }
    """)
STEP = dedent("""
    /* One step on `count` images; adds the sum of their losses and the right answers to `totals`. */
    void step(Memory *m, int count, const real *images, const int64_t *labels, uint64_t seed, const Rates *rates,
              double *totals)
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
EVALUATE = dedent("""
    /* Write the network's outputs for `count` images. */
    void evaluate(Memory *m, int count, const real *images, real *outputs)
    {
        m->count = count, m->images = images, m->outputs = outputs;
        meet(&m->team);
        work(m, 0);
    }
    """)
