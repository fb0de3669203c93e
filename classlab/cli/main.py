"""The shell's face: `classlab COMMAND`. Every command is a thin call; the heavy imports wait until one runs."""

import os
import re
import sys
from typing import Annotated, Any

import typer

from classlab.cli import (
    assign_command,
    check_command,
    compare_command,
    data_command,
    doctor_command,
    export_command,
    grade_command,
    hand_in_command,
    import_command,
    inspect_command,
    lesson_command,
    list_command,
    predict_command,
    rate_command,
    report_command,
    reproduce_command,
    rerun_command,
    runs_command,
    ui_command,
)
from classlab.cli import run_command as run_commands
from classlab.cli import study_command as study_commands
from classlab.errors import Refused, UserError
from classlab.terminal import prepare_streams, say
from classlab.version import __version__

app = typer.Typer(
    name="classlab",
    help="A laboratory for small image classifiers.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"classlab {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print the version and stop")
    ] = False,
) -> None:
    """Take what stands before a command."""


app.command()(run_commands.run)
app.command()(runs_command.runs)
app.command()(rerun_command.rerun)
app.command("list")(list_command.list_)
app.command()(study_commands.study)
app.command()(compare_command.compare)
app.command()(rate_command.rate)
app.command()(inspect_command.inspect)
app.command()(report_command.report)
app.command()(reproduce_command.reproduce)
app.command()(predict_command.predict)
app.command()(export_command.export)
app.command("import")(import_command.import_)
app.command()(assign_command.assign)
app.command("hand-in")(hand_in_command.hand_in)
app.command()(check_command.check)
app.command()(grade_command.grade)
app.command()(doctor_command.doctor)
app.command()(ui_command.ui)
app.add_typer(data_command.app, name="data")
app.add_typer(lesson_command.app, name="lesson")

# What typer raises for a command line that it cannot read: an unknown command or option, a value of the wrong type.
CommandLineError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Run the command line. Exit 0: done; 1: an honest no; 2: bad input, told in one sentence; 130: Ctrl-C."""
    prepare_streams()
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
        sys.exit(code)
    except CommandLineError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # `classlab lesson` asks what there is, as `classlab` does
            print(error.format_message())
            sys.exit(0)
        place = f"{error.ctx.command_path} --help" if getattr(error, "ctx", None) else "classlab --help"
        say(f"classlab: {_of_the_line(error)} (see {place})")
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except UserError as error:
        say(f"classlab: {error}")
        sys.exit(2)
    except Refused as error:
        say(f"classlab: {error}")
        sys.exit(1)
    except (OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):  # the reader closed the pipe, as `classlab runs | head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        if _shown_as_readers(error):
            sys.exit(1)
        say(f"classlab: {_of_the_machine(error)}")
        sys.exit(2)
    except Exception as error:
        if not _shown_as_readers(error):
            raise
        sys.exit(1)
    except KeyboardInterrupt:
        say("classlab: stopped")
        sys.exit(130)


def _of_the_line(error: Any) -> str:
    """Return a sentence for a command line that cannot be read, with what the reader may have wanted."""
    from classlab import wishes

    sentence = _plain(error.format_message().rstrip("."))
    name = getattr(error, "option_name", None)
    if name is not None:
        setting = wishes.setting(name, _value_of(name))
        if setting and any(parameter.name == "set_" for parameter in error.ctx.command.params):
            return f"{name} is not an option; it is a setting: --set {_quoted(setting)}"
        option = wishes.option(name)
        return f"{sentence}; here that is {option}" if option else sentence
    words = re.match(r"Got unexpected extra argument(?:s|\(s\))? \((\S+)\)", sentence)
    key = _value_of("--set")
    if words and key and "=" not in key:
        return f"{sentence}; a setting is written with =, as in --set {key}={words[1]}"
    unknown = re.match(r"No such command '([\w-]{1,40})'", sentence)
    command = wishes.command(unknown[1]) if unknown else ""
    return f"{sentence}; here that is classlab {command}" if command else sentence


# What pydantic, by which typer reads values, says of a wrong value, and how classlab says it.
_RULES = {
    r"Input should be a valid integer.*": "must be a whole number",
    r"Input should be a valid number.*": "must be a number",
    r"Input should be greater than or equal to (.*)": r"must be at least \1",
    r"Input should be less than or equal to (.*)": r"must be at most \1",
    r"Value error, .* is not one of (.*)": r"must be one of \1",
}


def _plain(sentence: str) -> str:
    """Return what typer says of an option's value in the words of every other refusal: the rule, and what was given."""
    wrong = re.fullmatch(r"Invalid value for '(--?[\w-]+)[^']*': (.*)", sentence, re.DOTALL)
    if wrong is None:
        return sentence
    option, words = wrong.groups()
    given = _value_of(option)
    got = f"; got {given!r}" if given else ""
    for pattern, rule in _RULES.items():
        broken = re.fullmatch(pattern, words, re.DOTALL)
        if broken:
            return f"{option} {broken.expand(rule)}{got}"
    return sentence


def _value_of(option: str) -> str:
    """Return the value that stands behind an option on the command line, "" where none does."""
    words = sys.argv[1:]
    at = next((at for at, word in enumerate(words) if word.partition("=")[0] == option), len(words))
    _, equals, value = words[at].partition("=") if at < len(words) else ("", "", "")
    if not equals and at + 1 < len(words) and re.fullmatch(r"[\w.][\w.+-]*|-[0-9.]+", words[at + 1]):
        value = words[at + 1]
    return value


def _quoted(setting: str) -> str:
    return setting if re.fullmatch(r"[\w.=+-]+", setting) else f'"{setting}"'


def _shown_as_readers(error: BaseException) -> bool:
    """Show an error out of code of the reader's own, with the lines of that code; say whether it is one."""
    from classlab.readers_code import screen

    text = screen(error)
    if text is not None:
        sys.stderr.write(text)
    return text is not None


def _of_the_machine(error: BaseException) -> str:
    """Return a sentence for what the machine refuses: a name too long, a folder closed to the reader, memory."""
    from classlab.files import reason
    from classlab.limits import ECHO_PATH
    from classlab.yaml_text import echoed

    if isinstance(error, MemoryError):
        return "this machine has too little memory for that"
    name = getattr(error, "filename", None)
    return f"{echoed(os.fspath(name), ECHO_PATH)}: {reason(error)}" if isinstance(name, str) else reason(error)


if __name__ == "__main__":
    main()
