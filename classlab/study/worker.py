"""A process that trains runs of a study, one after the other: `python -m classlab.study.worker`.

It reads one JSON document a line, what to train, and answers each with one: {"failure": null} or a sentence. Where its
standard input ends, the study is gone, and so is this process, at once: two never write one run.
"""

import json
import os
import queue
import sys
import threading
import traceback
from typing import Any


def main() -> None:
    """Train what standard input asks for until it ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the reader's own code prints is not an answer
    asked: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        answers.write(json.dumps({"failure": _train(json.loads(asked.get()))}) + "\n")
        answers.flush()


def _listen(asked: "queue.Queue[str]") -> None:
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)


def _train(job: dict[str, Any]) -> str | None:
    """Train one run; return None, or the sentence of what went wrong. Its traceback goes to standard error."""
    from classlab.runs.execute import train
    from classlab.study.jobs import sentence

    # Last, so that nothing there stands before Python's own modules.
    sys.path += [place for place in job["path"] if place not in sys.path]
    try:
        train(job["experiment"], **job["options"], verbose=False)
    except Exception as error:
        print(f"{job['experiment']['name']}, seed {job['options']['seed']}:", file=sys.stderr)
        traceback.print_exc()
        return sentence(error)
    return None


if __name__ == "__main__":
    main()
