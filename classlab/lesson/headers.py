"""Headers as people write them: ∂E/∂w1, dE/dw1, dw1 and δE_total/δw1 are one name here, and so for all quantities."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from classlab.lesson.functions import as_number

LONGEST = 400  # characters of a header: some write the whole formula into it
LONGEST_LABEL = 60
MOST_LINES = 3
LARGEST_RATE = 1000
TOTAL_WORDS = (
    r"e|et|etot|etotal|etotl|totale|totalerror|errortotal|totalloss|losstotal|toterror|error|loss|cost|err|l|j|c|"
    r"sume|sumoferrors|σe|∑e|errorsum|mse|ltot|ltotal|lt|toterr|totalerr|totalcost|esum|e1\+e2|etotalerror|neterror|"
    r"overallerror|sumerror|sumoferror|errtotal|etotalloss|finalerror"
)
_SIMPLE = [
    (r"(?:w|wt|wgt|weight)(\d+)", "w{}"),
    (r"(?:i|x|in|inp|input|inputs|feature)(\d+)", "i{}"),
    (
        r"(?:t|y|tgt|tar|target|targets|actual|expected|desired|ytrue|true|truth|label|gt|groundtruth|to|targeto|tgto|"
        r"targetoutput|expectedoutput|desiredoutput)(\d+)",
        "t{}",
    ),
    (r"(?:b|bias)(\d+)", "b{}"),
    (r"(?:h|hidden|neth|inh|hin|zh|sumh|hnet|hsum|hiddenin)(\d+)|h(\d+)(?:in|net|sum|input)", "h{}"),
    (
        r"(?:ah|outh|oh|hout|acth|activatedh|activationh|sh|σh|sigh|sigmoidh|sigmh|hact|yh|fh|outputh)(\d+)"
        r"|h(\d+)(?:out|act|activated|activation|a|output|σ)",
        "a_h{}",
    ),
    (r"(?:o|neto|ino|oin|zo|sumo|onet|osum)(\d+)|o(\d+)(?:in|net|sum|input)", "o{}"),
    (
        r"(?:ao|a0|outo|oout|acto|activatedo|activationo|so|σo|sigo|sigmoido|sigmo|oact|yo|fo|outputo|out|output|yhat|ŷ|pred|"
        r"prediction)(\d+)|o(\d+)(?:out|act|activated|activation|a|output|σ)",
        "a_o{}",
    ),
    (r"(?:e|err|error|loss|l|eo|erroro|losso|erro|mse)(\d+)", "E{}"),
    (r"(?:" + TOTAL_WORDS + ")", "E_tot"),
]
# Signs that stand for ∂ where a keyboard has none: letters that look like it, of Greek, Cyrillic, Latin and Georgian,
# and what the font Symbol shows as one.
_PARTIAL_SIGNS = "∂δ∆Δəәǝϑðđẟꝺძ∇გ¶\uf0b6"
# Also a letter that nobody thought of, or what is left of one that was lost: it stands where a ∂ would.
_MARK = r"(?:del|d|[?\ufffd]|(?![a-zσηα])[^\W\d_])"
_WITH_RESPECT_TO = r"(?:wrt|withrespectto|withresp|for|of|by|over|/)*"
_GRADIENT = (
    rf"(?:{_MARK}?(?:{TOTAL_WORDS}){_WITH_RESPECT_TO}{_MARK}?|(?:del|d)"
    rf"|(?:grad|gradient|derivative|deriv|slope|g)(?:{TOTAL_WORDS})?{_WITH_RESPECT_TO}{_MARK}?)([wb])(\d+)"
    r"|([wb])(\d+)(?:grad|gradient|derivative|deriv)"
)
# η, and the letters that people take for it; "learning" is often misspelt.
_ETA = "ηŋɳƞղⴄͷɲᶯꞑῃ\uf068"
_RATE_WORD = rf"l[earnig]{{5,8}}rates?|learnrate|rateoflearning|stepsize|alpha|eta|lr|[{_ETA}α]"
_FILLING = r"the|value|of|is|used|initial|constant|const|factor|parameter|with|for|at|chosen|current|and|or|n|h"
_LABEL = rf"(?:{_FILLING})*(?:(?:{_RATE_WORD})(?:{_FILLING})*)+"
_RATES = rf"{_LABEL}|rate"
_RATE_IN_A_NAME = re.compile(
    rf"(?<![a-z])(?:{_RATE_WORD})[\s\-_=:~#()]*((?:\d+[._,]\d+|[.,]\d+|\d+)(?:e-\d+)?)(?![\d._,]*\d)"
)


def quantity_named(header: object) -> str | None:
    """Return the quantity that a header means, in our names ("∂E/∂w1"), or None.

    Also known: "new w1" for an updated weight in a column of its own, "∂a_o1/∂o1" for any single link, and "η". Of a
    header in several lines, or with a remark in brackets, the first part that means something counts.
    """
    return _quantity_named(header) if isinstance(header, str) and 0 < len(header) <= LONGEST else None


@lru_cache(maxsize=8)  # one text is asked for its meaning in several ways
def _quantity_named(header: str) -> str | None:
    return next(filter(None, map(_named, dict.fromkeys(_readings_of(header)))), None)


def _readings_of(header: str) -> Iterator[str]:
    """Yield what a header may be meant to say, in one sign for every way to write a partial derivative."""
    text = _plain(header)
    yield text
    remark = re.fullmatch(r"([^()]+)\((.+)\)", text)  # "E_total (MSE)", "Error (E1)"
    if remark:
        specific_first = remark.groups() if re.search(r"\d", remark[1]) else (remark[2], remark[1])
        yield from specific_first
    yield text.partition(":")[0]
    lines = header.split("\n")
    if len(lines) > 1:
        yield from map(_plain, lines[:MOST_LINES])


def _named(text: str) -> str | None:
    if not text:
        return None
    example = re.search(r"\[(\d+)\]$", text)
    if example:
        name = _named(text[: example.start()])
        return f"{name}[{example[1]}]" if name else None
    layered = re.fullmatch(r"(a_?)?h(\d+)_(\d+)", text)
    if layered:
        return f"{'a_' if layered[1] else ''}h{layered[2]}_{layered[3]}"
    new = re.fullmatch(r"([wb])_?(\d+)(?:['′*+]|[_(]?(?:new|next|upd|updated)\)?|\(?t\+1\)?)", text)
    new = new or re.fullmatch(r"(?:new|updated|upd|next)_?([wb])_?(\d+)", text)
    if new:
        return f"new {new[1]}{new[2]}"
    bare = re.sub(r"[_\-.,'′:|]", "", re.sub(r"[()\[\]]", "", text))
    if re.fullmatch(_RATES, bare.replace("/", "")):
        return "η"
    gradient = re.fullmatch(_GRADIENT, bare)
    if gradient:
        return f"∂E/∂{gradient[1] or gradient[3]}{gradient[2] or gradient[4]}"
    # "Target t1", "Weight w1": the symbol after the word counts.
    return (
        _simple(bare) or _partial(text) or _simple(re.sub(r"^(?:target|input|weight|bias|hidden|error|loss)", "", bare))
    )


def rate_in(text: object) -> float | None:
    """Return the learning rate that a text states by itself ("LR = 0.5", "η: 2", "Learning rate 0.1"), or None.

    A hyphen between the two is no sign: "LR-0.1" is 0.1.
    """
    if not isinstance(text, str) or len(text) > LONGEST_LABEL:
        return None
    match = re.fullmatch(r"(.*?[^\d.,])[-=:→>]*(\d*[.,]?\d+(?:e[-+]?\d+)?)", _plain(text).rstrip(")"))
    if match and re.fullmatch(_RATES, re.sub(r"[_\-.,:=()→>/~]", "", match[1])):
        return as_number(match[2])
    return None


def rate_in_name(name: str) -> float | None:
    """Return the learning rate that the name of a sheet or a file tells, "LR-0.1" or "backprop_lr_0.5", or None."""
    text = unicodedata.normalize("NFKC", name[:LONGEST]).lower()
    rates = {match[1] for match in _RATE_IN_A_NAME.finditer(re.sub(r"(?<=[a-z])\s+(?=rate)", "", text))}
    alone = re.fullmatch(r"\d*[.,]\d+", text.strip())  # a sheet that is named "0.5"
    written = rates.pop() if len(rates) == 1 else alone[0] if alone else ""
    if re.fullmatch(r"0\d+", written):  # "lr05" may be 0.5 or 0.05
        return None
    rate = as_number(written.replace("_", "."))
    return rate if rate and rate <= LARGEST_RATE else None


def is_rate_label(text: object) -> bool:
    """Say whether a text announces the learning rate: η =, LR=, learning rate (η)."""
    if not isinstance(text, str) or len(text) > LONGEST_LABEL:
        return False
    return quantity_named(text.strip(" =:→->")) == "η"


def is_perhaps_rate_label(text: object) -> bool:
    """Say whether a text may stand for η where there is none: n =, h (an η in the font Symbol), or a letter like it."""
    if not isinstance(text, str) or len(text) > LONGEST_LABEL:
        return False
    letter = _plain(text).strip("=:→->")
    return letter in ("n", "h") or (len(letter) == 1 and letter.isalpha() and letter > "\x7f" and letter not in "σθ")


def group_named(text: str) -> str:
    """Return what a text above the names of weights makes of them: "∂E/∂" (gradients), "new " (updated) or ""."""
    plain = _plain(text)
    if re.search(r"grad|deriv|backprop|slope|^d(e|l)|/dw|d/d", plain):
        return "∂E/∂"
    return "new " if re.search(r"new|updat|next", plain) else ""


def setting_named(text: object) -> tuple[str, float | None] | None:
    """Return the input or target that a label beside the table means, "i1 =", with its number if it has: "t2 = 0.5"."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    label, _, number = text.partition("=")
    name = quantity_named(label.strip(" :"))
    return (name, as_number(number)) if name and name[0] in "it" else None


@lru_cache(maxsize=8)
def _plain(header: str) -> str:
    """Lower case, no blanks, one sign for every way to write a partial derivative; "h1 = w1·i1 + …" is cut to h1."""
    text = unicodedata.normalize("NFKC", header).lower()
    if len(text) > 2 * LONGEST:  # one sign may stand for eighteen
        return ""
    text = text.replace("\\partial", "∂").replace("partial", "∂").replace("\\frac", "").replace("\\", "")
    text = re.sub(r"[\s${}^\u200b-\u200f\u2060\ufeff]", "", text.replace("}{", "}/{"))
    text = text.replace("÷", "/").replace("∕", "/").replace("⁄", "/").replace("w.r.t.", "wrt").replace("w.r.t", "wrt")
    text = re.sub(rf"[{_PARTIAL_SIGNS}]|(?<![a-z])delta", "d", text)
    left, equals, right = text.partition("=")
    return left if equals and right and as_number(right) is None else text


def _simple(bare: str) -> str | None:
    for pattern, name in _SIMPLE:
        match = re.fullmatch(pattern, bare)
        if match:
            return name.format(next((group for group in match.groups() if group), ""))
    return None


def _partial(text: str) -> str | None:
    """Return a single link, "∂a_o1/∂o1", or a total one, "∂E/∂a_h1", where the text is one."""
    match = re.fullmatch(r"d\(?(.+?)\)?/d\(?(.+?)\)?", text) or re.fullmatch(r"d()_?([ho]\d+(?:_\d+)?)", text)
    if not match:
        return None
    if re.fullmatch(r"h\d+_\d+", match[2]):
        return f"∂E/∂{match[2]}"
    above = _simple(re.sub(r"[_\-.()]", "", match[1])) if match[1] else "E_tot"
    below = _simple(re.sub(r"[_\-.()]", "", match[2]))
    if above and below and below != "E_tot":
        return f"∂{'E' if above == 'E_tot' else above}/∂{below}"
    return None
