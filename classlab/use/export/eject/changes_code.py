"""How training images are changed, in a script: augmentations, composed as classlab composes them, and fixed copies."""

import functools
import operator
from collections.abc import Sequence

from classlab import own_code
from classlab.data.affine import Sampling
from classlab.data.augment import bind
from classlab.data.expansion import key_of_copy
from classlab.errors import UserError
from classlab.experiment import Choice
from classlab.use.export.eject import augmentation_code
from classlab.use.export.eject.augmentation_code import Change, Maps
from classlab.use.export.eject.draw_code import Draws, draw_code
from classlab.use.export.eject.leaving import Leaving
from classlab.use.export.eject.passages import code, docstring, literal
from classlab.use.export.eject.readers_files import attribute_of

AFFINE = """
    def affine(*numbers):
        \"\"\"Return a 2×3 matrix for each image; it says where an output pixel looks, from the centre.\"\"\"
        numbers = [torch.as_tensor(number, dtype=torch.float32) for number in numbers]
        return torch.stack(torch.broadcast_tensors(*numbers), 1).reshape(-1, 2, 3)
"""
COMPOSED = """
    def composed(first, second):
        \"\"\"Return the matrices that do the first to an image and the second to the result.\"\"\"
        return torch.baddbmm(F.pad(first[:, :, 2:], (2, 0)), first[:, :, :2], second)
"""
RESAMPLED = """
    def resampled(images, maps, mode="bilinear", around="zeros"):
        \"\"\"Return the images seen through the matrices.\"\"\"
        height, width = images.shape[2:]
        columns, rows = torch.arange(width) - (width - 1) / 2, torch.arange(height) - (height - 1) / 2
        grid = torch.empty(len(images), height, width, 2)
        for axis, half in enumerate((width / 2, height / 2)):
            a, b, c = (maps[:, axis] / half).T[..., None]
            grid[..., axis] = (a * columns)[:, None, :] + (b * rows + c)[:, :, None]
        return F.grid_sample(images, grid.to(DEVICE), mode, around, align_corners=False)
"""
MOVED = """
    def moved(images, maps):
        \"\"\"Return the images seen through matrices that mirror and shift by whole pixels.\"\"\"
        def places(axis, size):
            centre = (size - 1) / 2
            place = maps[:, axis, axis, None] * (torch.arange(size) - centre)
            place = (place + maps[:, axis, 2, None] + centre).round().long()
            inside = (place >= 0) & (place < size)
            return place.clamp(0, size - 1).to(DEVICE), inside.to(DEVICE)

        (columns, on_columns), (rows, on_rows) = places(0, images.shape[3]), places(1, images.shape[2])
        image = torch.arange(len(images), device=DEVICE)[:, None, None, None]
        channel = torch.arange(images.shape[1], device=DEVICE)[:, None, None]
        seen = images[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
        return seen * (on_rows[:, :, None] & on_columns[:, None, :])[:, None]
"""
HELPERS = {"affine": AFFINE, "composed": COMPOSED, "resampled": RESAMPLED, "moved": MOVED}


def changes(leaving: Leaving) -> str:
    """Return the functions that change training images, "" where nothing changes them."""
    used: set[str] = set()
    parts = []
    if leaving.experiment.data.expansion:
        parts.append(_copies(leaving, used))
    if leaving.experiment.data.augmentations:
        parts.append(_augment(leaving, used))
    helpers = [code(text) for name, text in HELPERS.items() if name in used]
    return "\n\n".join([*parts, *draw_code(used), *helpers])


def _augment(leaving: Leaving, used: set[str]) -> str:
    draws, targets = Draws(leaving.block, used=used), ["images", *(["clean"] if leaving.wants_clean else [])]
    lines, words = _lines(leaving.experiment.data.augmentations, draws, targets, leaving)
    given = ", ".join(targets)
    last = lines.pop().removeprefix(f"{given} = ") if lines and lines[-1].startswith(f"{given} = ") else given
    about = docstring(f"Change a batch, 0 … 1, at random: {', '.join(words) or 'in nothing'}.", 4)
    return code(
        """
        def augment($given, draws):
            $about
            $lines
            return $last
        """,
        given=given, about=about, lines="\n".join(lines), last=last,
    )  # fmt: skip


def _copies(leaving: Leaving, used: set[str]) -> str:
    plan, clean = leaving.experiment.data, leaving.wants_clean
    targets = ["images[rows]", *(["clean[rows]"] if clean else [])]
    blocks: list[str] = []
    for number, augmentations in enumerate(plan.expansion):
        draws = Draws(leaving.block, "images[rows]", key_of_copy(plan.expansion_seed, number), used=used)
        lines, words = _lines(augmentations, draws, targets, leaving)
        if lines:
            chosen = f"rows = (copy == {number}).nonzero()[:, 0]"
            blocks += [f"{chosen}  # {', '.join(words)}"[:94], *lines]
    about = (
        f"Return the images at these places of a training set {plan.copies} times as large: place i + c · "
        f"{leaving.train_images:,} holds copy c of image i. What a copy draws depends on its image alone, so it is the "
        "same in every epoch."
    )
    return code(
        """
        def copies(pixels, index):
            $about
            image, copy = index % len(pixels), index // len(pixels)
            images = pixels[image]$scaled
            $clean
            $blocks
            return images$pair
        """,
        about=docstring(about, 4), scaled=".float() / 255" if leaving.in_bytes else "",
        clean="clean = images.clone()" if clean else "", blocks="\n".join(blocks), pair=", clean" if clean else "",
    )  # fmt: skip


def _lines(
    choices: Sequence[Choice], draws: Draws, targets: list[str], leaving: Leaving
) -> tuple[list[str], list[str]]:
    """Return the lines that change a batch, and what they do in words.

    targets: the variable of the images, and that of the clean ones where the loss looks at them.
    """
    lines: list[str] = []
    words: list[str] = []
    pending: list[Maps] = []
    for choice in choices:
        if own_code.is_own_code(choice.name):
            written = Change(attribute_of(choice.name), _readers(choice, draws))
        else:
            written = getattr(augmentation_code, choice.name)(draws, leaving.shape, **choice.options)
        if written is None:
            continue
        words.append(written.words)
        apart = pending and not (isinstance(written, Maps) and _compose(pending[-1], written))
        if apart:
            lines += _geometry(pending, draws, targets)
            pending = []
        if isinstance(written, Maps):
            pending.append(written)
        else:
            lines += written.lines
    return lines + (_geometry(pending, draws, targets) if pending else []), words


def _compose(first: Maps, second: Maps) -> bool:
    """Whether one resampling can do both."""
    both = Sampling.RESAMPLE in first.sampling & second.sampling
    return not both or first.interpolation == second.interpolation


def _geometry(maps: list[Maps], draws: Draws, targets: list[str]) -> list[str]:
    """Return the lines for neighbouring maps: one resampling, or where pixels only move, that."""
    sampling = functools.reduce(operator.or_, (part.sampling for part in maps))
    if not sampling & (Sampling.RESAMPLE | Sampling.WHOLE_PIXELS):
        return [line for part in maps for line in _mirror(part, targets)]
    assert draws.used is not None
    draws.used |= {"affine"} | ({"composed"} if len(maps) > 1 else set())
    lines: list[str] = []
    for place, part in enumerate(maps):
        matrix = f"affine({', '.join(part.numbers)})"
        lines += [*part.before, f"maps = {matrix}" if place == 0 else f"maps = composed(maps, {matrix})"]
    if Sampling.RESAMPLE not in sampling:
        draws.used.add("moved")
        return lines + [f"{name} = moved({name}, maps)" for name in targets]
    draws.used.add("resampled")
    interpolation = next(part.interpolation for part in maps if Sampling.RESAMPLE in part.sampling)
    inside = all(part.inside for part in maps)
    options = f', "{interpolation}"' if inside or interpolation != "bilinear" else ""
    options += ', "border"' if inside else ""
    return lines + [f"{name} = resampled({name}, maps{options})" for name in targets]


def _mirror(part: Maps, targets: list[str]) -> list[str]:
    dimension = 3 if part.sampling is Sampling.MIRROR_ACROSS else 2
    if not part.before:
        return [f"{name} = {name}.flip({dimension})" for name in targets]
    chosen = "turned = turned[:, None, None, None].to(DEVICE)"
    flips = [f"{name} = torch.where(turned, {name}.flip({dimension}), {name})" for name in targets]
    return [*part.before, chosen, *flips]


def _readers(choice: Choice, draws: Draws) -> tuple[str, ...]:
    [(_, geometric)] = bind([choice])
    if geometric or draws.key is not None:
        kind = "returns maps, which classlab composes" if geometric else "draws for copies, which classlab hashes"
        raise UserError(f"the augmentation {choice.name} {kind}; a script has no such thing, so it cannot leave")
    options = "".join(f", {name}={literal(value)}" for name, value in choice.options.items())
    return (
        f"changed = {attribute_of(choice.name)}(images={draws.images}, generator=draws{options})",
        f"{draws.images} = {draws.images} if changed is None else changed",
    )
