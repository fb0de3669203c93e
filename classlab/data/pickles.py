"""Reading CIFAR-10's pickles without unpickling, so that nothing in the file can run.

A pickle is a program: its instructions call functions by name and build objects. But images and labels stand in it
plainly, as one long text and a row of whole numbers, each behind its name. So the standard library's disassembler lists
the instructions, the two are picked out, and no instruction is carried out: nothing is looked up, called or built.
What is picked out of a hostile file may be nonsense; the dataset's known SHA-256 tells.
"""

import pickletools
from itertools import islice

from classlab import limits
from classlab.data.bounded_files import BadFile

KEYS = ("batch_label", "labels", "data", "filenames")
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}  # other instructions count places in memory


def read_batch(content: bytes, count: int, size: int, where: str) -> tuple[bytes | bytearray, list[int]]:
    """Return the `count` images of `size` bytes each that a pickled batch names 'data', and the numbers named 'labels'.

    How many labels there are, and whether they can be labels, is for the caller to check. Raises BadFile, with `where`
    as the file's name, for a damaged file, one that names no such images, and one of far more instructions than a batch
    has.
    """
    images: str | bytes | bytearray = b""
    labels: list[int] = []
    key = ""
    try:
        instructions = pickletools.genops(content)
        for instruction, argument, _ in islice(instructions, limits.PICKLE_STEPS):
            if isinstance(argument, str | bytes | bytearray):
                # Behind 'data' come the names of functions and of a type, all short, and then the bytes.
                if key == "data" and len(argument) == count * size:
                    images = argument
                elif (text := _as_text(argument[:20])) in KEYS:
                    key = text
            elif key == "labels" and instruction.name in _NUMBERS and isinstance(argument, int):
                labels.append(argument)
        if next(instructions, None):
            raise BadFile(f"{where} is refused: it has more than {limits.PICKLE_STEPS:,} instructions")
        # Python 2 wrote bytes as text, and so does Python 3 where it keeps to the older protocols.
        images = images.encode("latin-1") if isinstance(images, str) else images
    except ValueError:
        raise BadFile(f"{where} is damaged: it is not a complete pickle") from None
    if not images:
        raise BadFile(f"{where} holds no array of {count:,} × {size:,} bytes named 'data'")
    return images, labels


def _as_text(name: str | bytes | bytearray) -> str:
    return name if isinstance(name, str) else name.decode("latin-1")
