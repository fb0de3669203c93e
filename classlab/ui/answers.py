"""The child process: reads questions, one a line, and writes an answer to each; what it loads is its own affair.

A question is a function of the files named here, plain data in, plain data out. What goes wrong is a sentence, and an
error of ours ends neither this process nor the page.
"""

import base64
import json
import os
import sys
import traceback
from contextlib import suppress
from typing import Any

from classlab.errors import Refused, UserError
from classlab.json_text import finite
from classlab.plain_text import on_a_line, printable
from classlab.ui import command_answers, data_answers, picture_answers, run_answers

QUESTIONS = {
    function.__name__: function
    for function in (
        run_answers.ready, run_answers.vega, run_answers.run_curves, run_answers.variant_curves,
        run_answers.run_sections, run_answers.study_sections, run_answers.study_answer, run_answers.comparison,
        run_answers.report, run_answers.report_file, run_answers.settings,
        picture_answers.predict, picture_answers.inside, picture_answers.test_images,
        picture_answers.evidence, picture_answers.map_checks,
        data_answers.dataset, data_answers.augmentations, data_answers.augmented, data_answers.lesson,
        command_answers.form, command_answers.command,
    )
}  # fmt: skip


def answer(question: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a question, or the sentence that says why there is none."""
    from classlab.data.fetch import offline

    try:
        with offline():  # looking at something asks no network
            return {"answer": finite(QUESTIONS[question](**given))}
    except (UserError, Refused) as error:
        return {"sentence": on_a_line(str(error))}
    except MemoryError:
        return {"sentence": "this machine has too little memory for that"}


def main() -> None:
    """Answer until nobody asks any more."""
    with suppress(OSError, AttributeError):
        os.nice(5)  # a run may be training beside it
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        try:
            document = answer(asked["question"], asked["given"])
        except Exception:  # ours: it is written down where the server was started, and the page says that it failed
            sys.stderr.write(printable(traceback.format_exc()))  # it may hold what a folder says
            document = {"failed": "this could not be worked out; the terminal of `classlab ui` says more"}
        answers.write(json.dumps(document, default=_plain).encode() + b"\n")
        answers.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main()
