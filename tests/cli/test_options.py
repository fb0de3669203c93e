"""Options that several commands share are spelled and explained alike, and help is told without loading torch."""

import subprocess
import sys

import click
import pytest
import typer

from classlab.cli.main import app

SHARED = {"--json", "--device", "--author", "--course", "--trust", "--set"}
# Where a command says more than the others: what is set in a study, whose code is run.
OWN_WORDS = {("study", "--set"), ("assign", "--trust"), ("report", "--trust")}


def commands(group=None, name=""):
    group = group or typer.main.get_command(app)
    for key, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, key)
        else:
            yield f"{name} {key}".strip(), command


@pytest.mark.parametrize("option", sorted(SHARED))
def test_a_shared_option_has_one_help_text(option):
    texts = {
        parameter.help
        for name, command in commands()
        for parameter in command.params
        if option in parameter.opts and (name, option) not in OWN_WORDS and name not in ("report", "reproduce")
    }
    assert len(texts) <= 1


def test_every_option_has_a_help_text_and_every_command_an_example():
    for name, command in commands():
        assert "Example: classlab" in (command.help or ""), name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), (name, parameter.name)


def test_help_loads_neither_torch_nor_altair():
    code = (
        "import sys; from classlab.cli import main; sys.argv = ['classlab', '--help']\n"
        "try: main.main()\nexcept SystemExit: pass\n"
        "print({'torch', 'altair', 'scipy', 'pandas'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
