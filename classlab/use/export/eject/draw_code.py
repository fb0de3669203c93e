"""Random draws in a script: from a generator, as augmentations draw, or from a hash of the image, as copies do."""

from dataclasses import dataclass

from classlab.data.draws import MANY
from classlab.use.export.eject.passages import code, number

EVENLY = """
    def evenly(draws, images, low, high):
        \"\"\"Return a number for each image, drawn evenly from low … high.\"\"\"
        return torch.rand(len(images), generator=draws) * (high - low) + low
"""
HASHED = """
    def hashed(seed, image, draw, shape):
        \"\"\"Return whole numbers, -2²³ … 2²³ - 1, that depend on (seed, image, draw, place) alone.\"\"\"
        first = mixed(image.int() ^ signed(seed))
        second = mixed(first + signed(seed * 0x9E3779B1 + 0x6A09E667))
        place = torch.arange(math.prod(shape[1:]), dtype=torch.int32)
        place = mixed(place + signed(draw * 0x85EBCA6B))
        bits = (place ^ first[:, None]) * 0x7FEB352D + second[:, None]
        bits = (bits ^ (bits >> 15)) * signed(0x846CA68B) >> 8
        return bits.float().reshape(shape)

    def mixed(bits):
        \"\"\"Mix 32-bit numbers so that every bit depends on every bit (Wellons's lowbias32).\"\"\"
        bits = (bits ^ (bits >> 16 & 0xFFFF)) * 0x7FEB352D
        bits = (bits ^ (bits >> 15 & 0x1FFFF)) * signed(0x846CA68B)
        return bits ^ (bits >> 16 & 0xFFFF)

    def signed(number):
        \"\"\"Return the signed number with the lowest 32 bits.\"\"\"
        return (number + 2**31) % 2**32 - 2**31
"""
HASHED_NORMAL = """
    def hashed_normal(seed, image, draw, shape):
        \"\"\"Return numbers of a standard normal distribution, the same whenever they are asked for.\"\"\"
        share = (hashed(seed, image, draw, shape) + 0.5) * 2.0**-23
        return share.erfinv() * math.sqrt(2)
"""
HASHED_UNIFORM = """
    def hashed_uniform(seed, image, draw, shape):
        \"\"\"Return numbers drawn evenly from 0 … 1, the same whenever they are asked for.\"\"\"
        return hashed(seed, image, draw, shape) * 2.0**-24 + 0.5
"""
# Many numbers are made by hashing one drawn number, as classlab does: it is faster.
MANY_DRAWN = """
    def many_$kind(draws, shape):
        \"\"\"Return random numbers; above $most of them by a hash of one, which takes all cores.\"\"\"
        if math.prod(shape) <= $most:
            return torch.$function(shape, generator=draws)
        seed = int(torch.randint(1 << 32, (), generator=draws))
        return hashed_$kind(seed, torch.arange(shape[0]), 1, shape)
"""


@dataclass
class Draws:
    """Writes the draws of one list of augmentations.

    largest: images in a batch at most. key: the seed of a copy, whose draws are hashed of the image; None: a generator.
    images: the variable that holds them. used: the functions that the draws call.
    """

    largest: int
    images: str = "images"
    key: int | None = None
    count: int = 0
    used: set[str] | None = None

    def _uses(self, *names: str) -> None:
        assert self.used is not None
        self.used |= set(names)

    def evenly(self, low: float, high: float) -> str:
        """Return the expression of a number for each image, float32 (batch,), drawn evenly from low … high."""
        if self.key is None and self.largest <= MANY:
            self._uses("evenly")
            return f"evenly(draws, {self.images}, {number(low)}, {number(high)})"
        drawn = self.uniform("")
        if (low, high) == (0, 1):
            return drawn
        added = f" {'-' if low < 0 else '+'} {number(abs(low))}" if low else ""
        return f"({drawn} * {number(high - low)}{added})"

    def uniform(self, more: str, numbers: int = 1) -> str:
        """Return the expression of numbers from 0 … 1, of the batch's size and `more` ones: "2, 10"."""
        return self._drawn("uniform", "rand", f"(len({self.images}), {more})", self.largest * numbers)

    def pixels(self, kind: str, numbers: int) -> str:
        """Return the expression of a number for each pixel. kind: uniform or normal."""
        shape, function = f"{self.images}.shape", {"uniform": "rand", "normal": "randn"}[kind]
        return self._drawn(kind, function, shape, self.largest * numbers) + ".to(DEVICE)"

    def _drawn(self, kind: str, function: str, shape: str, numbers: int) -> str:
        shape = shape.replace(", )", ",)")
        self.count += 1
        if self.key is not None:
            self._uses("hashed", f"hashed_{kind}")
            return f"hashed_{kind}({self.key}, image[rows], {self.count}, {shape})"
        if numbers > MANY:
            self._uses("hashed", f"hashed_{kind}", f"many_{kind}")
            return f"many_{kind}(draws, {shape})"
        short = shape.strip("()").rstrip(",") if shape.startswith("(") else shape
        return f"torch.{function}({short}, generator=draws)"


def draw_code(used: set[str]) -> list[str]:
    """Return the functions that draws call, in the order of a script."""
    parts = {
        "evenly": EVENLY, "hashed_uniform": HASHED_UNIFORM, "hashed_normal": HASHED_NORMAL, "hashed": HASHED
    }  # fmt: skip
    texts = [code(text) for name, text in parts.items() if name in used]
    for kind, function in (("normal", "randn"), ("uniform", "rand")):
        if f"many_{kind}" in used:
            texts.append(code(MANY_DRAWN, kind=kind, function=function, most=f"{MANY:_}"))
    return texts
