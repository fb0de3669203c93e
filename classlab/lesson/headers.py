"""Headers as people write them: ∂E/∂w1, dE/dw1, dw1 and δE_total/δw1 are one name here, and so for all quantities."""

import re
import unicodedata
from functools import lru_cache

from classlab.lesson.functions import as_number

TOTAL_WORDS = (
    r"e|et|etot|etotal|etotl|totale|totalerror|errortotal|totalloss|losstotal|toterror|error|loss|cost|err|l|j|c|"
    r"sume|sumoferrors|σe|errorsum|mse|ltot|ltotal"
)
_SIMPLE = [
    (r"(?:w|wt|wgt|weight)(\d+)", "w{}"),
    (r"(?:i|x|in|inp|input|inputs)(\d+)", "i{}"),
    (r"(?:t|y|tgt|tar|target|targets|actual|expected|desired|ytrue|truth|to|targeto|tgto)(\d+)", "t{}"),
    (r"(?:b|bias)(\d+)", "b{}"),
    (r"(?:h|hidden|neth|inh|hin|zh|sumh|hnet|hsum|hiddenin)(\d+)|h(\d+)(?:in|net|sum|input)", "h{}"),
    (r"(?:ah|outh|oh|hout|acth|sh|σh|sigh|sigmoidh|sigmh|hact|yh|fh)(\d+)|h(\d+)(?:out|act|a|output|σ)", "a_h{}"),
    (r"(?:o|neto|ino|oin|zo|sumo|onet|osum)(\d+)|o(\d+)(?:in|net|sum|input)", "o{}"),
    (
        r"(?:ao|a0|outo|oout|acto|so|σo|sigo|sigmoido|sigmo|oact|yo|fo|out|output|yhat|ŷ|pred|prediction)(\d+)"
        r"|o(\d+)(?:out|act|a|output|σ)",
        "a_o{}",
    ),
    (r"(?:e|err|error|loss|l|eo|erroro|losso|erro)(\d+)", "E{}"),
    (r"(?:" + TOTAL_WORDS + ")", "E_tot"),
]
_RATES = r"(?:η|ŋ|ɳ|ƞ|ղ|eta|lr|learningrate|learningrateη|learningratelr|lrη|ηlr|alpha|α|stepsize|rate|learnrate)"
_GRADIENT = (
    r"(?:d(?:(?:" + TOTAL_WORDS + r")/?d)?|∇|grad|gradient|g|gradientof|gradof)([wb])(\d+)|([wb])(\d+)(?:grad|gradient)"
)


LONGEST = 60  # characters of a header


def quantity_named(header: object) -> str | None:
    """Return the quantity that a header means, in our names ("∂E/∂w1"), or None.

    Also known: "new w1" for an updated weight in a column of its own, "∂a_o1/∂o1" for any single link, and "η".
    """
    if not isinstance(header, str) or not 0 < len(header) <= LONGEST:
        return None
    text = _plain(header)
    example = re.search(r"\[(\d+)\]$", text)
    if example:
        name = quantity_named(text[: example.start()])
        return f"{name}[{example[1]}]" if name else None
    layered = re.fullmatch(r"(a_?)?h(\d+)_(\d+)", text)
    if layered:
        return f"{'a_' if layered[1] else ''}h{layered[2]}_{layered[3]}"
    new = re.fullmatch(r"([wb])_?(\d+)(?:['′*+]|_?new|_?next|_?upd|_?updated|\(?t\+1\)?)", text)
    new = new or re.fullmatch(r"(?:new|updated|upd|next)_?([wb])_?(\d+)", text)
    if new:
        return f"new {new[1]}{new[2]}"
    bare = re.sub(r"[_\-.,'′:|]", "", re.sub(r"[()\[\]]", "", text))
    if re.fullmatch(_RATES, bare):
        return "η"
    gradient = re.fullmatch(_GRADIENT, bare)
    if gradient:
        return f"∂E/∂{gradient[1] or gradient[3]}{gradient[2] or gradient[4]}"
    name = _simple(bare) or _partial(text)
    remark = re.fullmatch(r"([^()]+)\([^()]*\)", text)  # "E_total (MSE)"
    return name or (quantity_named(remark[1]) if remark else None)


def rate_in(text: object) -> float | None:
    """Return the learning rate that a text states by itself ("LR = 0.5", "η: 2", "Learning rate 0.1"), or None."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    match = re.fullmatch(r"(.*?[^\d.,])[=:]?([-+]?\d*[.,]?\d+(?:e[-+]?\d+)?)", _plain(text).rstrip(")"))
    if match and re.fullmatch(_RATES, re.sub(r"[_\-.,:=()]", "", match[1])):
        return as_number(match[2])
    return None


def is_rate_label(text: object) -> bool:
    """Say whether a text announces the learning rate: η =, LR=, learning rate (η), or n = for want of an η."""
    if not isinstance(text, str) or len(text) > 40:
        return False
    return quantity_named(text.strip(" =:→-")) == "η" or _plain(text) == "n="


def setting_named(text: object) -> tuple[str, float | None] | None:
    """Return the input or target that a label beside the table means, "i1 =", with its number if it has: "t2 = 0.5"."""
    if not isinstance(text, str):
        return None
    label, _, number = text.partition("=")
    name = quantity_named(label.strip(" :"))
    return (name, as_number(number)) if name and name[0] in "it" else None


@lru_cache(maxsize=8)  # one text is asked for its meaning in several ways
def _plain(header: str) -> str:
    """Lower case, no blanks, one sign for every way to write a partial derivative; "h1 = w1·i1 + …" is cut to h1."""
    text = unicodedata.normalize("NFKC", header).lower()
    if len(text) > 2 * LONGEST:  # one sign may stand for eighteen
        return ""
    text = text.replace("\\partial", "∂").replace("partial", "∂").replace("\\frac", "")
    text = re.sub(r"[\s${}\\^]", "", text.replace("}{", "}/{"))
    text = re.sub(r"[∂δ∆]|(?<![a-z])delta", "d", text)
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
