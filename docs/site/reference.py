"""Reference pages from the code: commands from the parser, Python from the docstrings, keys from the schemas."""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

import classlab
from classlab import experiment, lab
from classlab.cli.main import app
from classlab.cli.main import main as run_the_command_line
from classlab.study import declaration

# The chapter that explains a section of an experiment or a study.
CHAPTERS = {
    "Data": "data", "Training": "experiments", "Protocol": "experiments", "Contract": "contracts", "Sweep": "studies",
    "Search": "searches", "Compare": "studies", "PublishedCurve": "reproduction", "Start": "models",
}  # fmt: skip


def write_reference(folder: Path) -> None:
    """Write commands.md, python.md, experiment.md and study.md into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = "Made from the schema that also checks every file and completes keys in an editor."
    first = experiment.schema()
    known = set(first["$defs"]) | {"Experiment"}
    texts = {
        "commands": _commands(),
        "python": _python(),
        "experiment": f"# The keys of an experiment\n\n{keys} Explained in [experiments](../experiments.md).\n\n"
        + "\n".join(_sections("Experiment", first, set())),
        "study": f"# The keys of a study\n\n{keys} Explained in [studies](../studies.md).\n\n"
        + "\n".join(_sections("Study", declaration.schema(), known)),
    }
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


def _commands() -> str:
    """Return the page of all commands, in the order in which --help shows them."""
    whole = typer.main.get_command(app)
    exits = inspect.getdoc(run_the_command_line).partition("Exit ")[2].replace("told", "said")
    parts = ["# The command line\n\nMade from the commands themselves: `classlab COMMAND --help` prints the same.\n"]
    parts += [f"**Exit codes** of every command: {exits}\n"]
    parts += ["With `--json` a command prints one JSON document; words and progress go to standard error.\n"]
    parts += _command_parts("classlab", whole)
    return "\n".join(parts)


def _command_parts(path: str, command: Any) -> Iterator[str]:
    for name, sub in command.commands.items():
        if sub.hidden:
            continue
        here = f"{path} {name}"
        yield f"## {here}\n" if path == "classlab" else f"### {here}\n"
        if hasattr(sub, "commands"):
            yield f"{escaped(inspect.cleandoc(sub.help or ''))}\n"
            yield from _command_parts(here, sub)
            continue
        context = typer.Context(sub, info_name=here)
        yield f"```text\n{here} {' '.join(sub.collect_usage_pieces(context))}\n```\n"
        yield f"{_prose(inspect.cleandoc(sub.help or ''))}\n"
        records = [p.get_help_record(context) for p in sub.params if not getattr(p, "hidden", False)]
        yield from table(("", "meaning", "default"), [_row(*record) for record in records if record])


def _row(spelled: str, words: str) -> tuple[str, str, str]:
    """Return the cells of an option from what --help says of it: the default stands in its own column."""
    default = re.search(r"\s*\[default: (.*)\]$", words)
    rest = words[: default.start()] if default else words
    return f"`{spelled}`", escaped(re.sub(r"\s*\[required\]$", "", rest)), f"`{default[1]}`" if default else ""


def _prose(text: str) -> str:
    """Return a help text as Markdown: an example becomes a block of its own."""
    text = re.sub(r"(?m)^Examples?: (classlab .*)$", r"\n```text\n\1\n```\n", escaped(text))
    return text


def escaped(text: str) -> str:
    """Return text whose signs mean nothing to Markdown; what stands in backticks stays as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([\\*_<>\[\]|$])", r"\\\1", p) for p in parts)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table of Markdown; cells whose text is no code are escaped already or need it not."""
    if not rows:
        return
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in row) + " |"
    yield ""


def _python() -> str:
    """Return the page of what `import classlab as cl` offers."""
    parts = ["# Python\n\nMade from the code: what `import classlab as cl` offers.\n"]
    things = {name: getattr(classlab, name) for name in classlab.__all__} | {"study": lab.study}
    order = ["train", "load_run", "Run", "study", "load_study", "StudyResult", "compare", "load_experiment"]
    for name in [*order, *(n for n in things if n not in order)]:
        thing = things[name]
        if inspect.isclass(thing):
            parts += _class(name, thing)
            continue
        parts.append(f"## cl.{name}\n\n{signature(f'cl.{name}', thing)}\n\n{documented(thing)}\n")
    return "\n".join(parts)


def _class(name: str, thing: type) -> Iterator[str]:
    yield f"## cl.{name}\n\n{documented(thing)}\n"
    if issubclass(thing, Exception):
        return
    if hasattr(thing, "model_fields"):
        yield f"Its fields are the keys of its file: [{name.lower()}]({name.lower()}.md).\n"
    own = [part for part in thing.__mro__ if part.__module__.startswith("classlab")]
    members = {key: value for part in reversed(own) for key, value in vars(part).items() if not key.startswith("_")}
    for key, member in members.items():
        function = getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
        if not inspect.isfunction(function) or not inspect.getdoc(function):
            continue
        if isinstance(member, property) or hasattr(member, "func"):
            yield f"### {name}.{key}\n\n{documented(function)}\n"
        else:
            yield f"### {name}.{key}()\n\n{signature(f'{name}.{key}', function)}\n\n{documented(function)}\n"


def signature(name: str, function: Any) -> str:
    """Return how a function is called, as a block of Python; a parameter a line where the line would be long."""
    stated = inspect.signature(function)
    parameters = [p for p in stated.parameters.values() if p.name not in ("self", "cls")]
    words = [_plain(str(p)) for p in parameters]
    first = next((at for at, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY), None)
    if first is not None:
        words.insert(first, "*")
    back = stated.return_annotation
    end = "" if back is inspect.Signature.empty else f" -> {_plain(inspect.formatannotation(back))}"
    line = f"{name}({', '.join(words)}){end}"
    if len(line) > 88:
        line = f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){end}"
    return f"```python\n{line}\n```"


def _plain(text: str) -> str:
    """Return an annotation without the modules' names."""
    text = re.sub(r"'([^']*)'(?= =|$)", r"\1", text) if ": '" in text or text.startswith("'") else text
    text = re.sub(r"\bFinishedRun\b", "Run", text)  # what is handed out is always the one that can write reports
    text = text.replace("typing.", "").replace("collections.abc.", "").replace("pathlib._local.", "")
    return re.sub(r"\b(?:pathlib|numpy|np|pandas|torch|altair|result|nn|classlab)(?:\.\w+)*\.(?=[A-Z])", "", text)


def documented(thing: Any) -> str:
    """Return a docstring as Markdown; an indented block in it stays one."""
    text = inspect.getdoc(thing) or ""
    paragraphs = [
        f"```\n{inspect.cleandoc(part)}\n```" if part.startswith("    ") else _listed(escaped(part), thing)
        for part in re.split(r"\n\s*\n", text)
    ]
    return "\n\n".join(paragraphs)


def _listed(paragraph: str, thing: Any) -> str:
    """Return a paragraph with each parameter that it explains, `name: …`, as an item of a list."""
    names = "|".join(inspect.signature(thing).parameters) if inspect.isfunction(thing) else ""
    if not names:
        return paragraph
    words = re.sub(rf"(?:^|(?<=[.?;]\s))((?:(?:{names})(?:, )?)+): ", r"\n- `\1`: ", paragraph)
    return re.sub(r"(?<!^)\n(?=Raises )", "\n\n", words.strip())


def _sections(name: str, schema: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    """Yield a table for the schema's own keys, then one for each section that it refers to."""
    yield from _keys(f"{name.lower()}", schema)
    for title, part in schema.get("$defs", {}).items():
        if title not in known and "properties" in part:
            yield from _keys(title, part)


def _keys(title: str, part: Mapping[str, Any]) -> Iterator[str]:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title).lower()
    yield f"## {words}\n\n{escaped(part.get('description', ''))}\n"
    if title in CHAPTERS:
        yield f"Explained in [{CHAPTERS[title]}](../{CHAPTERS[title]}.md).\n"
    required = part.get("required", [])
    rows = []
    for key, value in part["properties"].items():
        section = isinstance(value.get("default"), dict) and "name" not in value["default"]
        default = "its defaults" if section and value["default"] else _stated(value)
        default = "required" if key in required else default
        rows.append((f"`{key}`", kind(value), default, escaped(value.get("description", ""))))
    filled = any(row[3] for row in rows)
    yield from table(("key", "takes", "default", "meaning")[: 3 + filled], [row[: 3 + filled] for row in rows])
    for key, value in part["properties"].items():
        options = list(_options(value))
        if options:
            yield f"**{key}** by name, with the options of each:\n"
            yield from table((f"{key}", "options and their defaults"), options)


def _stated(value: Mapping[str, Any]) -> str:
    return f"`{_value(value['default'])}`" if "default" in value else ""


def _options(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, options) of the functions that a key may name."""
    for choice in (*value.get("anyOf", ()), *value.get("items", {}).get("anyOf", ())):
        properties = choice.get("properties", {})
        if "const" in properties.get("name", {}):
            rest = {key: option for key, option in properties.items() if key != "name"}
            yield (
                f"`{properties['name']['const']}`",
                ", ".join(
                    f"`{key}: {_value(option['default'])}`" if "default" in option else f"`{key}` (required)"
                    for key, option in rest.items()
                ),
            )


def _value(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
        case "":
            return '""'
    return str(value)


def kind(value: Mapping[str, Any]) -> str:
    """Return in words what a key takes."""
    if "$ref" in value:
        return f"section {re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', value['$ref'].rsplit('/', 1)[-1]).lower()}"
    if "enum" in value:
        return ", ".join(f"`{_value(item)}`" for item in value["enum"])
    if "const" in value:
        return f"`{_value(value['const'])}`"
    if value.get("anyOf") and list(_options(value)):
        return "a name of the list below, a name with its options, or code of your own, `file.py:name`"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(kind(choice) for choice in value["anyOf"] if choice.get("type") != "null"))
    match value.get("type"):
        case "integer" | "number" as name:
            return ("a whole number" if name == "integer" else "a number") + _range(value)
        case "array":
            return "a list of names, with options or without" if list(_options(value)) else _list(value)
        case "boolean":
            return "`true`, `false`"
        case "string":
            return "text"
        case "object":
            return "keys and values"
    return "any value"


def _list(value: Mapping[str, Any]) -> str:
    items = value.get("items", {})
    return f"a list: {kind(items)}" if items else "a list"


def _range(value: Mapping[str, Any]) -> str:
    low = [f"at least {value['minimum']}"] if "minimum" in value else []
    low += [f"above {value['exclusiveMinimum']}"] if "exclusiveMinimum" in value else []
    high = [f"at most {value['maximum']:,}"] if "maximum" in value else []
    high += [f"below {value['exclusiveMaximum']}"] if "exclusiveMaximum" in value else []
    return ", ".join(["", *low, *high])
