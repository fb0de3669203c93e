"""Documents in YAML, as every file that a reader is handed: damaged by field or as text, under an odd name."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from classlab.yaml_text import to_yaml
from tests.hostile import attacks, damage
from tests.hostile.case import UNDAMAGED, World, often

Change = Callable[[dict[str, Any]], str]
NAMES = (
    "a b.yaml", "[bold]x.yaml", "x\x1b[2J.yaml", "<b>.yaml", "-.yaml", "x.yml", "new\nline.yaml", "é.yaml",
    "x" * 240 + ".yaml", "..yaml", "{{7}}.yaml", "'.yaml", '".yaml', "%s.yaml", "$(id).yaml", "x;y.yaml", "#.yaml",
    "a:b.yaml", "=.yaml",
)  # fmt: skip


def write(
    world: World,
    random: Random,
    name: str,
    document: dict[str, Any],
    change: Change | None = None,
    named_code: bool = False,
) -> tuple[Path, str]:
    """Write a damaged document into the sent folder; return the file and what was done.

    change: a damage of this kind of document alone, used in a third of the cases. named_code: also name code.
    """
    file = world.sent / (random.choice(NAMES) if often(random, 6) else name)
    if often(random, 4):
        file.write_text(to_yaml(document))
        return file, damage.stand_in(world, file, random)

    if often(random, 3):
        file = world.sent / name
        file.write_text(to_yaml(document))
        return file, UNDAMAGED
    gentle = often(random, 50)

    def odd() -> Any:
        return attacks.plausible(random) if gentle else attacks.odd(world, random, attacks.RAW_YAML, named_code)

    if change and often(random, 33):
        note = change(document)
        text = damage.written(document)
    elif often(random, 75):
        changed, note = damage.fields(document, random, odd, random.choice([1, 1, 1, 2, 3]))
        text = damage.written(changed)
    else:
        text, note = damage.yaml_text(to_yaml(document), random, odd)
    content = text.encode(errors="surrogatepass")
    if often(random, 5):
        content, more = damage.flip(content, random)
        note += f"; {more}"
    elif often(random, 2):
        content = text.encode(random.choice(["utf-16", "utf-32", "utf-7", "latin-1"]), "replace")
    file.write_bytes(content)
    return file, f"{file.name[:40]!a}: {note}"
