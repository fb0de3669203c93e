"""What a hostile sender writes into files: names of code, code itself, and values that nobody expects."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile.case import World, often


class Raw(str):
    """Text that stands in a document as it is, and not as a quoted string."""


# Markup that must not come alive in a page, a terminal, a spreadsheet, a PDF or a LaTeX table.
SCRIPT = "<script>alert('hostile')</script>"
IMAGE = "<img src=x onerror=alert('hostile')>"
LATEX = "\\input{/etc/passwd}"
MARKUP = (
    SCRIPT, IMAGE, "</script><script>alert('hostile')</script>", "</style><h1>hostile</h1>", "&lt;b&gt;", "<!--", "]]>",
    "\"><svg onload=alert('hostile')>", "javascript:alert('hostile')", "{{7*7}}", "{% raw %}", "${7*7}",
    "[bold red]red[/bold red]", "[/]", "[/bold]", "[link=file:///etc/passwd]here[/link]", "[blink", "\\[", "[red]",
    '#read("/etc/passwd")', '#include "/etc/passwd"', '$ #eval("1+1") $', "*bold* _it_ `raw` @ref <label>", LATEX,
    "\\write18{touch x}", "$\\alpha", "% & _ # { } ~ ^ \\", "=cmd|' /C calc'!A0", "=1+1", "@SUM(A1)", "+1", "-1",
    "{0.__class__.__mro__}", "%s%n%x", "%(name)s", "' OR 1=1 --", "`id`", "$(id)", "; touch hostile", "| cat",
)  # fmt: skip
# What would steer a terminal, and what is no text.
STEERING = (
    "\x1b[2J\x1b[H", "\x1b]0;hostile\x07", "\x1b]8;;http://hostile\x1b\\here\x1b]8;;\x1b\\", "\x9b31mred", "\x07",
    "\r hidden", "a\x08b", "\x00", "\x7f", "\u202egnp.exe", "\u2066x\u2069", "\u2028", "\u200b", "\ufeff", "\ud800",
    "e" + "\u0301" * 300, "line\nline", "tab\ttab", "\x1bP0;1|17/ab\x1b\\", "\U0001f4a3", "١٢٣", "ｅｖｉｌ", "İ",
    "\x0b\x0c\x1c\x1d\x85",
)  # fmt: skip
PATHS = (
    "", ".", "..", "/", "~", "~root", "../../decoy/thesis.tex", "/etc/passwd", "/dev/zero", "/dev/stdin", "/dev/full",
    "/proc/self/mem", "/proc/self/environ", "nul", "con", "a/b", "a\\b", "//host/share", "file:///etc/passwd",
    "http://localhost:9/x", "-", "--help", "-rf", "x" * 300, "a/" * 3000,
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 3, 7, 0.5, -0.5, 1.0, 1e-300, 1e300, -1e300, 2**31, 2**31 - 1, -(2**31), 2**32, 2**53 + 1, 2**63,
    2**63 - 1, -(2**63), 2**64, 10**9, 10**18, 10**29, 10**40, 0.1 + 0.2,
)  # fmt: skip
RAW_JSON = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-0", "1E400", "9" * 5000, "-" + "9" * 400, "0." + "3" * 3000,
    "1e-999", "1e99999999999", "[" * 500 + "]" * 500, "[" * 100_000, '{"a":' * 300 + "1" + "}" * 300,
    "[" * 30 + "]" * 30, '"\\ud800"', '"\\u0000"', '"\\udfff\\ud800"', "01", "+1", ".5", "1.", "0x10", "True", "None",
    "undefined", "'x'", "[1,]", "{,}", "// no", '"\t"', "1 2", "[" + "0," * 50_000 + "0]", '{"a":1,"a":2}',
    '"' + "long " * 100_000 + '"',
)  # fmt: skip
RAW_YAML = (
    ".nan", ".inf", "-.inf", ".NaN", "~", "", "yes", "052", "1_000", "190:20:30", "2001-01-01", "2001-01-01T00:00:00Z",
    "0x7fffffffffffffffffffffff", "0o777", "1e400", "-1e400", "9" * 5000, "1e-400", "&a [*a]", "&a {b: *a}", "*nope",
    "&a x", "{<<: {name: 'os:system'}}", "{<<: [1, 2]}", "{<<: *nope}", "{? [1, 2] : 3}", "{[1, 2]: 3}", "{null: 1}",
    "{1.5: 1}", "{true: 1}", "{1: 1, '1': 2}", "!!binary aGk=", "!!binary '%%%'", "!!set {a, b}", "!!omap [a: 1]",
    "!!pairs [a: 1]", "!!str 1", "!!int x", "!!int '1_0'", "!!float x", "!!null x", "!!bool maybe", "!!timestamp x",
    "!!map []", "!!seq {}", "!local x", "! x", "!<tag:yaml.org,2002:python/name:os.system> ''", "[" * 2000 + "]" * 2000,
    "[" * 35 + "]" * 35, "{a: " * 1000 + "1" + "}" * 1000, "'" + "long " * 50_000 + "'", "[" + "0, " * 30_000 + "]",
    '"\\x1b[2J"', '"\\0"', '"\\uD800"', "| \n  text", "> folded", "'unclosed", '"unclosed', "[unclosed", "{unclosed",
    "- a", "%TAG", "--- x", "... ", "@x", "`x`", "%x", "? x", ": x", "#x", "a: b: c",
)  # fmt: skip


def evil_code(world: World) -> str:
    """Return Python that leaves a trace when it is imported, and again in whatever of it is called."""
    trace = f"open({str(world.canary)!r}, 'a').write(__name__ + ' was executed\\n')"
    body = f"{trace}\n\n\ndef load(*given, **named):\n    {trace}\n    raise SystemExit(0)\n\n\n"
    names = ("build", "main", "Net", "exec", "system", "run", "rotate", "sgd", "cross_entropy", "constant", "default")
    return body + "".join(f"{name} = load\n" for name in names) + "\n\ndef __getattr__(name):\n    return load\n"


# Names under which Python looks for its own modules, and ours for what is shipped.
BESIDE = (
    "evil.py", "queue.py", "random.py", "json.py", "sitecustomize.py", "usercustomize.py", "conftest.py", "setup.py",
    "os.py", "re.py", "typing.py", "threading.py", "traceback.py", "numpy.py", "torch.py", "classlab.py", "PIL.py",
    "openpyxl.py", "safetensors.py", "yaml.py", "pandas.py", "sklearn.py", "digits.py", "load.py", "__init__.py",
    "__main__.py", "pyproject.toml", "evil.pth", "pytest.ini", "digits-quick.py", "squeeze.py", "perceptron.py",
)  # fmt: skip
# Shipped names: a file of that name lies beside, and names code.
SHIPPED = (
    "digits-quick", "digits-quick.yaml", "digits", "mnist", "under-20k", "under-20k.yaml", "dl-minor-1",
    "dl-minor-1.yaml", "cifar-lenet.yaml", "squeeze", "perceptron",
)  # fmt: skip


def put_beside(world: World, random: Random, folder: Path, most: int = 6) -> list[str]:
    """Write evil files beside what is looked at, under names that are looked for; return their names."""
    names = random.sample(BESIDE, random.randint(1, most)) + random.sample(SHIPPED, random.randint(0, 2))
    for name in {"evil.py", *names}:
        if (folder / name).is_dir():
            continue
        content = evil_code(world)
        if name.endswith((".yaml", "-20k", "-1", "lenet")):
            content = "model: evil.py:load\ncontract: evil.yaml\nmax_parameters: 9\ndataset: evil.py:load\n"
        elif name.endswith(".pth"):
            content = f"import os; open({str(world.canary)!r}, 'a').write('pth')\n"
        elif name.endswith(".toml"):
            content = "[tool.pytest.ini_options]\npythonpath = ['.']\n"
        (folder / name).write_text(content)
    return names


def code_names(world: World) -> list[str]:
    """Return every way to name code in a file."""
    evil = world.sent / "evil.py"
    names = [
        "evil.py:load",
        "./evil.py:load",
        f"{evil}:load",
        "../sent/evil.py:load",
        f"sent/../{evil}:load",
        "evil:load",
    ]
    names += [
        "os:system",
        "posix:system",
        "builtins:exec",
        "builtins:eval",
        "builtins:__import__",
        "subprocess:run",
        "subprocess:Popen",
    ]
    # None that destroys: should one of them run after all, it runs on somebody's machine.
    names += [
        "os:mkdir",
        "runpy:run_path",
        "importlib:import_module",
        "pickle:loads",
        "pathlib:Path",
        "os:getcwd",
        "code:interact",
    ]
    names += [
        "sitecustomize:load",
        "queue:load",
        "digits:load",
        "conftest:load",
        "classlab.cli.main:main",
        "classlab.files:read",
    ]
    names += [
        "torch.hub:load",
        "torch:load",
        "numpy:load",
        "webbrowser:open",
        "sys:exit",
        "os:_exit",
        "os:abort",
        "builtins:input",
    ]
    names += [
        " evil.py:load",
        "evil.py:load ",
        "evil.py :load",
        "evil.py: load",
        "evil.py:load\n",
        "evil.py:load=1",
        "evil.py=:load",
    ]
    names += [
        "evil.py#:load",
        "evil.py:load#x",
        "evil.py:load.x",
        "evil.py:.load",
        "EVIL.PY:load",
        "evil.PY:load",
        "evil.pyc:load",
    ]
    names += [
        "evil.py::load",
        ":load",
        "evil.py:",
        ":",
        "::",
        "evil.py：load",
        "evil.py\u200b:load",
        "file://evil.py:load",
        "C:evil.py:load",
    ]
    return [
        *names,
        "evil.zip/evil.py:load",
        f"{world.sent}/./evil.py:__getattr__",
        "evil.py:exec",
        "evil.py;load",
        "evil.py",
        "evil",
    ]


def code_options(world: World) -> list[dict[str, Any]]:
    """Return choices whose options would make a function of Python's own do harm."""
    leave = f": > {world.canary}"
    return [
        {"name": "os:system", "command": leave},
        {"name": "posix:system", "command": leave},
        {"name": "builtins:exec", "source": f"open({str(world.canary)!r}, 'w')"},
        {"name": "builtins:eval", "source": f"open({str(world.canary)!r}, 'w')"},
        {"name": "subprocess:run", "args": ["/bin/sh", "-c", leave]},
        {"name": "subprocess:call", "args": leave, "shell": True},
        {"name": "runpy:run_path", "path_name": str(world.sent / "evil.py")},
        {"name": "importlib:import_module", "package": "evil"},
        {"name": "os:mkdir", "path": str(world.canary)},
        {"name": "os:mkfifo", "path": str(world.canary)},
        {"name": "os:symlink", "src": "evil.py", "dst": str(world.canary)},
        {"name": "evil.py:load", "command": leave},
        {"name": "folder", "path": str(world.decoy)},
        {"name": "folder", "path": "/"},
        {"name": "folder", "path": "/proc"},
        {"name": "npz", "path": "/dev/zero"},
        {"name": "npz", "path": str(world.decoy / "thesis.tex")},
        {"name": "mnist", "folder": "/dev"},
        {"name": "mnist", "folder": "evil.py:load"},
    ]


def code_tags(world: World) -> list[Raw]:
    """Return YAML that a careless reader executes."""
    leave = f": > {world.canary}"
    tags = [f'!!python/object/apply:os.system ["{leave}"]', "!!python/name:os.system ''", "!!python/module:evil ''"]
    tags += [
        f"!!python/object/new:os.system ['{leave}']",
        "!!python/object:evil.Net {}",
        '!!python/tuple ["evil.py:load"]',
    ]
    tags += [f'!!python/object/apply:subprocess.check_output [["/bin/sh", "-c", "{leave}"]]']
    tags += [
        "!<tag:yaml.org,2002:python/object/apply:os.getcwd> []",
        "!include evil.py",
        "!import evil",
        "!env ${HOME}",
    ]
    return [Raw(tag) for tag in tags]


def code(world: World, random: Random) -> Any:
    """Return code as it may be named where something is chosen by name."""
    names = code_names(world)
    # These are found from wherever the reader stands, so that nothing but a refusal keeps them from running.
    found = f"{world.sent}/evil.py:{random.choice(['load', 'build', 'Net', 'sgd', 'anything'])}"
    forms: list[Callable[[], Any]] = [
        lambda: random.choice([found, {"name": found}]),
        lambda: random.choice(names),
        lambda: {"name": random.choice(names)},
        lambda: random.choice(code_options(world)),
        lambda: random.choice(code_tags(world)),
        lambda: [random.choice(names)],
        lambda: {"name": {"name": random.choice(names)}},
        lambda: {"name": [random.choice(names)]},
        lambda: {"name": "digits", "dataset": random.choice(names), "model": random.choice(names)},
        lambda: Raw(f"{{<<: {{name: {json.dumps(random.choice(names))}}}}}"),
        lambda: Raw(f"&x {{name: {json.dumps(random.choice(names))}}}"),
        lambda: Raw(f'{{"name": "digits", "name": {json.dumps(random.choice(names))}}}'),
        lambda: Raw(f"{{? name : {json.dumps(random.choice(names))}}}"),
        lambda: Raw(f"!!map {{!!str name: !!str {json.dumps(random.choice(names))}}}"),
    ]
    weights = [9, 4, 3, 5, 2] + [1] * (len(forms) - 5)
    return random.choices(forms, weights)[0]()


def odd_text(world: World, random: Random) -> str:
    """Return a text that nobody expects."""
    text = random.choice(
        [*MARKUP, *STEERING, *PATHS, str(world.decoy / "thesis.tex"), "x" * random.choice([100, 3000, 200_000])]
    )
    return text + random.choice(MARKUP) if often(random, 15) else text


def plausible(random: Random) -> Any:
    """Return a value that could be right, if perhaps elsewhere: what passes the first checks meets the later ones."""
    from classlab import lookup

    kinds = (
        "dataset",
        "model",
        "augmentation",
        "initialisation",
        "loss",
        "optimizer",
        "schedule",
        "experiment",
        "contract",
    )
    numbers = (0, 1, 2, 3, 5, 7, 8, 0.5, 0.1, 0.01, 1.0, 1e-6, -1, -0.5, 99, 100.0)
    words = (
        "val",
        "test",
        "none",
        "last",
        "best",
        "all",
        "keep",
        "renumber",
        "auto",
        "fp32",
        "mean",
        "digits",
        "x",
        "even",
    )
    name = random.choice(lookup.names(random.choice(kinds)))
    lists = ([], [1], [8, 4], [0, 1, 2], [[]], [[], []], [0.5], ["0", "1"], [{"name": name}], [name])
    return random.choice([*numbers, *numbers, *words, None, True, False, *lists, name, {"name": name}, {}, "7", "0.1"])


def odd(world: World, random: Random, raw: tuple[str, ...] = RAW_JSON, named_code: bool = True) -> Any:
    """Return a value that nobody expects, of any type. raw: texts of the format that no value is written as."""
    forms: list[Callable[[], Any]] = [
        lambda: odd_text(world, random),
        lambda: random.choice(NUMBERS),
        lambda: Raw(random.choice(raw)),
        lambda: random.choice(
            [None, True, False, "", [], {}, [[]], [{}], {"": ""}, [None], "null", "nan", "inf", "0", "1e3"]
        ),
        lambda: [odd(world, random, raw, named_code) for _ in range(random.randint(1, 4))],
        lambda: {odd_text(world, random): odd(world, random, raw, named_code) for _ in range(random.randint(1, 3))},
        lambda: {"name": odd(world, random, raw, named_code)},
        lambda: code(world, random) if named_code else odd_text(world, random),
    ]
    return random.choices(forms, [6, 6, 6, 4, 2, 2, 1, 2])[0]()
