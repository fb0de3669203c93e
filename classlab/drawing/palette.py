"""The few colours of every drawing, in a light and a dark reading, and as variables that a page fills in."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Palette:
    """Colours as CSS writes them. Curves are told apart by these and by their dashes, so that grey print serves too."""

    paper: str
    ink: str
    muted: str
    line: str
    train: str
    val: str
    test: str
    good: str
    bad: str


LIGHT = Palette(
    paper="#ffffff",
    ink="#1d2430",
    muted="#5b6472",
    line="#dfe2e7",
    train="#3567a8",
    val="#b9540f",
    test="#6b4a9c",
    good="#1b7346",
    bad="#b0372b",
)
DARK = Palette(
    paper="#171b22",
    ink="#e7eaef",
    muted="#9aa4b2",
    line="#333b47",
    train="#82b1ee",
    val="#f2a15f",
    test="#c0a3ee",
    good="#66cc97",
    bad="#f28b7f",
)
# In a page the browser fills these in, so that a drawing follows the reader's light or dark scheme, and the printer's.
PAGE = Palette(**{field.name: f"var(--{field.name})" for field in fields(Palette)})

# Of lines that stand for names. Each colour is told from white paper and from a dark page at 3 : 1 or better, so that
# one list serves both schemes.
COLOURS = ("#3a78c9", "#c8641b", "#2b8f57", "#9160c4", "#cf4a45", "#16909b", "#a0742c", "#c4508f")
DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3), (4, 2), (12, 4), (1, 3), (6, 2, 1, 2, 1, 2))


def look(place: int) -> tuple[str, tuple[int, ...]]:
    """Return colour and dashes of the line at this place; of more lines than colours, dashes tell equal ones apart."""
    return COLOURS[place % len(COLOURS)], DASHES[(place + place // len(COLOURS)) % len(DASHES)]


def css_variables(palette: Palette) -> str:
    """Return the palette as CSS declarations, `--ink: #1d2430; …`."""
    return " ".join(f"--{field.name}: {getattr(palette, field.name)};" for field in fields(palette))
