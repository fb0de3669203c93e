"""The sentences that a user reads, found in the Markdown, the package's strings and docstrings, its pages and YAML."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.events import ScalarEvent

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "classlab"
CODE = "CODE"  # what stands for a span of code, a value that is filled in, or an address: each counts as one word
# A sentence ends before a capital, a digit, or the next entry of a list of names ("…. labels: int64, (count,).").
NAME_OR_CAPITAL = r"[\"“‘'(\[*_]*[A-Z0-9<]|[a-z][\w, ]{0,40}: |classlab\b|[a-z_]+\.(?:json|py|csv|npz|yaml)\b"
SENTENCE_END = re.compile(rf"(?<=[.!?])[\"”’')\]*_]*\s+(?={NAME_OR_CAPITAL})|\s·\s")
ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|vs|cf|etc|Fig|No|Dr|al)\.")


@dataclass(frozen=True)
class Sentence:
    """One sentence, and the file and line where its paragraph begins."""

    file: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}: {self.text}"


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a paragraph, white space folded to single spaces."""
    folded = " ".join(ABBREVIATIONS.sub(r"\1", text).split())
    return [sentence for sentence in SENTENCE_END.split(folded) if sentence and count_words(sentence)]


def count_words(sentence: str) -> int:
    """Return how many words a sentence has: a number with its unit's sign, a code span and an address are one each."""
    return sum(1 for word in sentence.split() if re.search(r"[^\W_]", word))


def in_markdown(file: Path) -> Iterator[Sentence]:
    """Yield the sentences of a Markdown file: of paragraphs, list items, headings and cells of tables, not of code."""
    paragraph: list[str] = []
    start, fenced, after_blank, in_item = 0, False, True, False
    for number, line in enumerate([*file.read_text(encoding="utf-8").splitlines(), ""], 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        stripped = line.strip()
        is_code = fenced or stripped.startswith("```") or (line.startswith("    ") and after_blank and not in_item)
        starts_new = re.match(r"\s*([-*+]|\d+\.)\s|#|\||</?[a-z]+[ >]", line)
        if paragraph and (is_code or not stripped or starts_new):
            yield from (Sentence(file, start, text) for text in sentences_of(plain_markdown(" ".join(paragraph))))
            paragraph = []
        after_blank = not stripped or is_code
        if stripped and not is_code:
            in_item = in_item or bool(re.match(r"\s*([-*+]|\d+\.)\s", line))
            in_item = in_item and (line[0] in " -*+0123456789")
            if re.match(r"</?[a-z]+[ >]", stripped):  # a line of HTML holds its own sentences
                text = re.sub(r"<[^>]*>", " ", stripped)
                yield from (Sentence(file, number, part) for part in sentences_of(plain_markdown(text)))
            elif stripped.startswith("|"):
                for cell in re.split(r"(?<!\\)\|", stripped.strip("|")):
                    yield from (Sentence(file, number, text) for text in sentences_of(plain_markdown(cell)))
            else:
                start = start if paragraph else number
                paragraph.append(re.sub(r"^\s*([-*+]|\d+\.|#+|>)\s+", "", line))


def plain_markdown(text: str) -> str:
    """Return a paragraph with each code span and bare address as one word and each link as its words."""
    text = re.sub(r"(`+)(.+?)\1", CODE, text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"<?https?://\S+", CODE, text)


def text_of(node: ast.expr) -> str | None:
    """Return the text of a string, an f-string or a sum of them, each value as one word; None of anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(text if (text := text_of(value)) is not None else CODE for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = text_of(left), text_of(right)
            return None if texts == (None, None) else "".join(CODE if text is None else text for text in texts)
    return None


def strings_in(node: ast.AST, docstrings: set[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield each string below a node with its line, a sum or an f-string as a whole, docstrings left out."""
    for child in ast.iter_child_nodes(node):
        text = text_of(child) if isinstance(child, ast.expr) and child not in docstrings else None
        if text is not None:
            yield child.lineno, text
        if text is None or isinstance(child, ast.JoinedStr | ast.BinOp):
            yield from inner_strings(child, docstrings) if text is not None else strings_in(child, docstrings)


def inner_strings(node: ast.AST, docstrings: set[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield the strings inside the values that an f-string or a sum fills in."""
    for child in ast.walk(node):
        if isinstance(child, ast.FormattedValue):
            yield from strings_in(child, docstrings)


def in_python(file: Path) -> Iterator[Sentence]:
    """Yield the sentences of a module's strings, and of its docstrings where the name is public."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
            continue
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            docstrings.add(first.value)
            if isinstance(node, ast.Module) or not node.name.startswith("_"):
                # A block that is set in by four more spaces is a table of names, one a line, as it is in Markdown.
                for paragraph in re.split(r"\n\s*\n|\n\s*- |\n(?=    )", inspect.cleandoc(first.value.value)):
                    for text in sentences_of(plain_markdown(paragraph)):
                        yield Sentence(file, first.lineno, text)
    for line, text in strings_in(tree, docstrings):
        for paragraph in text.split("\n"):
            if " " in paragraph.strip():
                yield from (Sentence(file, line, sentence) for sentence in sentences_of(plain_markdown(paragraph)))


class PageText(HTMLParser):
    """Collects the texts of a page: one a block, and what a reader sees of an element's attributes."""

    INLINE = frozenset({"a", "b", "i", "em", "strong", "span", "small", "sub", "sup", "label", "abbr"})
    HIDDEN = frozenset({"script", "style", "pre"})
    SEEN = frozenset({"title", "placeholder", "aria-label", "alt"})

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[int, str]] = [(1, "")]
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in self.HIDDEN
        if tag == "code":
            self.handle_data(CODE)
        elif tag not in self.INLINE:
            self.texts.append((self.getpos()[0], ""))
        self.hidden += tag == "code"
        here = self.texts[-1]
        self.texts[-1:] = [*((here[0], value) for name, value in attrs if name in self.SEEN and value), here]

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in self.HIDDEN or tag == "code"
        if tag not in self.INLINE and tag != "code":
            self.texts.append((self.getpos()[0], ""))

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            line, text = self.texts[-1]
            self.texts[-1] = (line, text + data)


def in_page(file: Path) -> Iterator[Sentence]:
    """Yield the sentences of an HTML template: what Jinja fills in counts as one word."""
    page = PageText()
    page.feed(
        re.sub(r"\{#.*?#\}|\{%.*?%\}", "", re.sub(r"\{\{.*?\}\}", CODE, file.read_text(encoding="utf-8")), flags=re.S)
    )
    for line, text in page.texts:
        yield from (Sentence(file, line, sentence) for sentence in sentences_of(text))


JS_STRING = re.compile(r"//[^\n]*|/\*.*?\*/|`((?:\\.|[^`\\])*)`|\"((?:\\.|[^\"\\\n])*)\"|'((?:\\.|[^'\\\n])*)'", re.S)


def in_script(file: Path) -> Iterator[Sentence]:
    """Yield the sentences of a JavaScript file's strings: what a template literal fills in counts as one word."""
    script = file.read_text(encoding="utf-8")
    for found in JS_STRING.finditer(script):
        text = next((group for group in found.groups() if group), "")
        line = script.count("\n", 0, found.start()) + 1
        for paragraph in re.sub(r"<[^>]*>", "\n", re.sub(r"\$\{[^}]*\}", CODE, text)).split("\n"):
            if " " in paragraph.strip():
                yield from (Sentence(file, line, sentence) for sentence in sentences_of(paragraph))


def in_yaml(file: Path) -> Iterator[Sentence]:
    """Yield the sentences of a YAML file: its texts, and its comments, which `classlab list` and readers show."""
    start, lines = 0, []
    for number, line in enumerate([*file.read_text(encoding="utf-8").splitlines(), ""], 1):
        found = re.match(r"\s*#(?!\s{3})\s?(.*)", line)  # what is set in by more is a command
        comment = found[1].strip() if found else ""
        if lines and (not comment or re.match(r"[A-Za-z ]+:\s", comment)):
            yield from (Sentence(file, start, text) for text in sentences_of(plain_markdown(" ".join(lines))))
            lines = []
        if comment:
            start = start if lines else number
            lines.append(comment)
    for line, text in texts_of_yaml(file):
        yield from (Sentence(file, line, sentence) for sentence in sentences_of(plain_markdown(text)))


def texts_of_yaml(file: Path) -> Iterator[tuple[int, str]]:
    """Yield each text of a YAML file that has a space, with its line."""
    for event in YAML(typ="rt").parse(file.read_text(encoding="utf-8")):
        if isinstance(event, ScalarEvent) and " " in event.value:
            for paragraph in event.value.split("\n"):
                yield event.start_mark.line + 1, paragraph


def in_table(file: Path, heading: str) -> Iterator[Sentence]:
    """Yield the sentences of the Markdown table that begins with a heading, `not | but`."""
    lines = file.read_text(encoding="utf-8").splitlines()
    first = lines.index(f"| {heading} |") + 1
    last = next(
        (number for number, line in enumerate(lines[first:], first + 1) if not line.startswith("|")), len(lines)
    )
    yield from (sentence for sentence in in_markdown(file) if first <= sentence.line < last)


READERS = {".md": in_markdown, ".py": in_python, ".html": in_page, ".js": in_script, ".yaml": in_yaml}


def sentences() -> Iterator[Sentence]:
    """Yield every sentence that a user reads."""
    yield from in_markdown(ROOT / "README.md")
    yield from in_markdown(ROOT / "CONTRIBUTING.md")
    yield from in_markdown(ROOT / "SECURITY.md")
    for file in sorted((ROOT / "docs").glob("**/*.md")):
        # Logs are notes of measurements for those who work on classlab; a command writes reproduced.md and benchmarks/.
        if not file.name.startswith("log") and file.name != "reproduced.md" and file.parent.name != "benchmarks":
            yield from in_markdown(file)
    for file in sorted(PACKAGE.rglob("*")):
        if file.suffix in READERS:
            yield from READERS[file.suffix](file)
