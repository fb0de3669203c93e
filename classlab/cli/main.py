"""The shell's face: `classlab COMMAND`. Every command is a thin call; the heavy imports wait until one runs."""

import os
import sys

import typer

from classlab.cli import assign, check, compare, data, doctor, inspect, lesson, predict, report, reproduce
from classlab.cli import run as run_commands
from classlab.cli import study as study_commands
from classlab.errors import Refused, UserError

app = typer.Typer(
    name="classlab",
    help="A laboratory for small image classifiers.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run_commands.run)
app.command()(run_commands.runs)
app.command()(study_commands.study)
app.command()(compare.compare)
app.command()(inspect.inspect)
app.command()(report.report)
app.command()(reproduce.reproduce)
app.command()(predict.predict)
app.command()(assign.assign)
app.command()(check.check)
app.command()(doctor.doctor)
app.add_typer(data.app, name="data")
app.add_typer(lesson.app, name="lesson")

# What typer raises for a command line that it cannot read: an unknown command or option, a value of the wrong type.
CommandLineError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Run the command line. Exit 0: done; 1: an honest no; 2: bad input, told in one sentence; 130: Ctrl-C."""
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except CommandLineError as error:
        place = f"{error.ctx.command_path} --help" if getattr(error, "ctx", None) else "classlab --help"
        print(f"classlab: {error.format_message().rstrip('.')} (see {place})", file=sys.stderr)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except UserError as error:
        print(f"classlab: {error}", file=sys.stderr)
        sys.exit(2)
    except Refused as error:
        print(f"classlab: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("classlab: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader closed the pipe, as `classlab runs | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
