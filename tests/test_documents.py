"""Every command and code block of README, docs and the project's pages is run, checked, or marked with a reason.

Run: what prints its own results (>>>), and the tutorials from top to bottom, each in an empty folder, with the output
that they show. Checked: a command by the parser of the command line, with its settings; Python by its imports and
names; YAML by the schema that reads it. Marked: `<!-- not run: REASON -->` above the block.
"""

import ast
import contextlib
import doctest
import importlib
import io
import re
import runpy
import shlex
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from markdown_it import MarkdownIt

import classlab as cl
from classlab import own_code
from classlab.cli import main as command_line
from classlab.course import rules
from classlab.errors import Refused, UserError
from classlab.experiment import Contract, Experiment, load, load_contract
from classlab.study import plan
from classlab.study.declaration import Study
from classlab.study.declaration import load as load_study

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
COMMANDS = re.compile(r"(?:[A-Z_]+=\S+ )*(?:classlab|make|python3?|pip|source|ray|helm|kubectl|mkdir|\.venv/\S+)\s")
SHIPPED = re.compile(r"[a-z][a-z0-9-]*")  # a name, and neither a file nor RUN
EXPERIMENT, STUDY, RULES = set(Experiment.model_fields), set(Study.model_fields), set(rules.Rules.model_fields)


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str  # bash, python, doctest, yaml or text: what is printed, formulas, trees of files
    text: str
    mark: str  # the comment that stands directly above

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def group(self):
        if self.mark.startswith("not run:"):
            return "marked"
        if self.language == "text":
            return "text"
        return "run" if self.language == "doctest" or self.page in TUTORIALS else "checked"


def language_of(text, stated):
    """Return the language of a block, stated or by how it begins."""
    if ">>> " in text:
        return "doctest"
    if stated:
        return {"console": "bash"}.get(stated, stated)
    if COMMANDS.match(text):
        return "bash"
    if re.match(r"(from|import) [\w.]+( import|$)", text, re.MULTILINE):
        return "python"
    first = re.match(r"(\w+): *(\S*)", text)
    return "yaml" if first and first[1] in EXPERIMENT | STUDY and not first[2].startswith("cannot") else "text"


def blocks_of(page):
    mark = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            yield Block(page, token.map[0] + 1, language_of(token.content, token.info), token.content, mark)
        comment = re.fullmatch(r"<!-- (.*) -->\n?", token.content) if token.type == "html_block" else None
        mark = comment[1] if comment else ""


BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.language != "{toctree}"]
CHECKED = [block for block in BLOCKS if block.group == "checked"]


def test_every_block_is_of_a_known_kind_and_in_one_group():
    assert {block.language for block in BLOCKS} == {"bash", "python", "doctest", "yaml", "text"}
    assert all(len(block.mark.removeprefix("not run:").split()) > 2 for block in BLOCKS if block.group == "marked")
    groups = Counter(block.group for block in BLOCKS)
    assert sum(groups.values()) == len(BLOCKS) and groups["run"] > 50 and groups["checked"] > 40, groups


@pytest.mark.parametrize("block", [block for block in CHECKED if block.language == "bash"], ids=str)
def test_a_command_is_one(block):
    for words in commands(block.text):
        check_command(words)


def commands(text):
    """Yield the words of each command, without its comment and without what is set for it alone."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.replace("…", "").replace("'", "\\'") if line.count("'") % 2 else line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words:
            yield words


def check_command(words):
    match words:
        case ["classlab", *rest]:
            parse(rest)
        case ["make", *targets]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert all("=" in target or f"\n{target}:" in makefile for target in targets)
        case ["python" | "python3", "-m", module, *_]:
            assert module == "venv" or importlib.util.find_spec(module)
        case ["python", file, *_]:
            assert (ROOT / file).exists()
        case [".venv/bin/classlab", *rest]:
            parse(rest)
        case ["source" | "mkdir", *_] | [".venv/bin/pip", "install", *_] | ["pip", "install", *_]:
            pass
        case _:
            raise AssertionError(f"{words[0]}: run it, or say above the block why not, <!-- not run: REASON -->")


def parse(words):
    """Parse a line of `classlab`; where it names a shipped experiment or study, its settings too."""
    command = typer.main.get_command(command_line.app)
    path = []
    while hasattr(command, "commands") and words and words[0] in command.commands:
        path, command, words = [*path, words[0]], command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands") or not words, f"classlab {words[0]} is no command"
    if hasattr(command, "commands"):
        return
    given = command.make_context(f"classlab {' '.join(path)}", list(words)).params
    name, settings = given.get("name"), given.get("set_") or []
    if path in (["run"], ["inspect"]) and name and SHIPPED.fullmatch(name):
        load(name, settings)
    if path == ["study"] and name and SHIPPED.fullmatch(name):
        load_study(name, settings)


@pytest.mark.parametrize("block", [block for block in CHECKED if block.language == "python"], ids=str)
def test_python_names_what_there_is(block):
    for node in ast.walk(ast.parse(textwrap.dedent(block.text))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("classlab"):
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or importlib.util.find_spec(f"{node.module}.{name.name}")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cl":
            assert node.attr in cl.__all__
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("run", "result"):
            kind = cl.Run if node.value.id == "run" else cl.StudyResult
            assert hasattr(kind, node.attr) or node.attr in kind.__annotations__, node.attr


@pytest.mark.parametrize("block", [block for block in CHECKED if block.language == "yaml"], ids=str)
def test_yaml_is_what_the_schema_takes(block, tmp_path):
    check_yaml(block.text, tmp_path)


def check_yaml(text, folder):
    """Read a document, or sections of one laid over a whole one, by what reads it in use."""
    stated = parsed(text)
    keys = set(stated)
    whole = load("digits-quick").model_dump()
    if keys <= EXPERIMENT:
        sections = {key: {**whole[key], **stated[key]} for key in ("data", "training", "protocol") if key in stated}
        load({**whole, "contract": {}, **stated, **sections}, trust=True)
    elif keys <= set(Contract.model_fields):
        load_contract(str(write(folder / "contract.yaml", text)))
    elif keys <= RULES:
        tutorial = (ROOT / "docs/tutorials/teacher.md").read_text(encoding="utf-8")
        base = parsed(re.search(r"```yaml\n(.*?)```", tutorial, re.DOTALL)[1])
        rules.Rules.model_validate({**base, **stated})
    elif keys <= STUDY:
        load_study({"name": "a", "experiment": whole, **stated})
    else:
        load_study({"name": "a", "experiment": whole, "compare": {"published": stated}})


def parsed(text):
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(text)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "page", sorted({b.page for b in BLOCKS if b.language == "doctest"}), ids=lambda page: page.stem
)
def test_what_prints_its_results_prints_them(page):
    text = "".join(f"{block.text}\n" for block in BLOCKS if block.page == page and block.language == "doctest")
    examples = doctest.DocTestParser().get_doctest(text, {}, str(page), None, 0)
    report = []
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples, out=report.append)
    assert results.attempted and not results.failed, "".join(report)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(plan, "choose_place", lambda *_: "one by one")  # here, for a new process takes seconds to begin
    names, printed = {}, ""
    for block in (block for block in BLOCKS if block.page == page and block.group != "marked"):
        file = re.match(r"# ([\w-]+\.\w+)\n", block.text)
        if file:
            write(tmp_path / file[1], block.text if block.language != "text" else block.text[file.end() :])
        elif block.language == "text":
            compare(block, printed)
            printed = ""
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), names)
        else:
            wanted = int(block.mark.removeprefix("exit code ") or 0)
            for words in commands(block.text):
                code, words_printed = play(words, monkeypatch)
                assert code == wanted, f"{block}: {words} ended with {code}\n{words_printed}"
                printed += words_printed
    sys.modules.pop("net", None)


def play(words, monkeypatch):
    """Run a command here, and return its exit code and all that it printed."""
    if words[0] == "mkdir":
        Path(words[1]).mkdir()
        return 0, ""
    if words[0] == "python":
        runpy.run_path(words[1])
        return 0, ""
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(own_code, "_trusted", set())  # each command is a process of its own to whoever types it
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream), pytest.raises(SystemExit) as ended:
        command_line.main()
    return ended.value.code or 0, raw.getvalue().decode()


def compare(block, printed):
    """Hold what a page shows against what was printed: its lines in order, numbers aside; … stands for anything."""
    lines = iter([masked(line) for line in printed.splitlines()])
    for stated in block.text.splitlines():
        if stated.strip() in ("", "…"):
            continue
        pattern = re.compile(re.escape(masked(stated)).replace("…", ".*"))
        assert any(pattern.fullmatch(line) for line in lines), f"{block} shows\n{stated}\nand printed was\n{printed}"


def masked(line):
    """Return a line whose numbers, digests and gaps are alike."""
    return " ".join(re.sub(r"[−+-]?\d[\da-f.,]*(?:e-\d+)?", "#", line).split())


def test_what_is_no_command_is_refused():
    for words in ("rum digits-quick", "run digits-quick --sed 1", "run digits-quick --set training.epoch=1"):
        with pytest.raises((AssertionError, command_line.CommandLineError, UserError, Refused)):
            parse(words.split())
