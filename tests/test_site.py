"""The site: its reference holds every command, option, name and key; its links are looked at; nothing is fetched."""

import importlib.util
import re
from pathlib import Path

import pytest
import typer

import classlab
from classlab.cli.main import app
from classlab.experiment import Experiment, Training
from classlab.study.declaration import Study

DOCS = Path(__file__).parents[1] / "docs"


def module(name):
    """Load a file of docs/site, which is no package."""
    place = importlib.util.spec_from_file_location(f"site_{name}", DOCS / "site" / f"{name}.py")
    loaded = importlib.util.module_from_spec(place)
    place.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    module("reference").write_reference(folder)
    return {file.stem: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def leaves(command, path="classlab"):
    for name, sub in command.commands.items():
        yield from leaves(sub, f"{path} {name}") if hasattr(sub, "commands") else [(f"{path} {name}", sub)]


def test_every_command_and_option_is_there(reference):
    sections = dict(re.findall(r"^###? (classlab [\w -]+)\n(.*?)(?=^##|\Z)", reference["commands"], re.M | re.S))
    for path, command in leaves(typer.main.get_command(app)):
        for option in (option for option in command.params if option.param_type_name == "option"):
            assert all(f"`{word}" in sections[path] for word in option.opts if not option.hidden), (path, option.opts)
    assert "0: done" in reference["commands"] and "130: Ctrl-C" in reference["commands"]


def test_every_name_of_python_is_there(reference):
    assert all(f"## cl.{name}\n" in reference["python"] for name in classlab.__all__)
    assert "### Run.mistakes()" in reference["python"] and "- `path`: " in reference["python"]


@pytest.mark.parametrize(("page", "fields"), [("experiment", Experiment), ("experiment", Training), ("study", Study)])
def test_every_key_is_there(reference, page, fields):
    assert all(f"| `{key}` | " in reference[page] for key in fields.model_fields)
    assert "None" not in reference[page]


def test_a_wrong_link_is_named(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="here">A</h1><a href="#here"></a><a href="b.html#there"></a><a href="c.html"></a>'
        '<a href="http://example.org"></a><a href="https://example.org"></a><img src="https://example.org/a.png">'
    )
    (tmp_path / "b.html").write_text("<p>B</p>")
    wrong = module("links").broken_links(tmp_path)
    assert [line.partition(": ")[2].split(" ", 1)[1] for line in wrong] == [
        "leads to no heading", "leads to no file", "is no address of a page: https:// and a host",
        "would be fetched from elsewhere",
    ]  # fmt: skip


def test_a_new_chapter_is_placed_without_being_listed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "site"))
    for name in ("listed", "new", "log-new"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    index = tmp_path / "index.md"
    index.write_text("```{toctree}\n:caption: How to\n\nlisted\n```\n")
    module("build").place_chapters(index)
    assert index.read_text() == "```{toctree}\n:caption: How to\n\nlisted\nnew\n```\n"
