"""Server-sent events: what a page that stays open is told.

The id of an event is the row: how many epochs of each of the page's runs it has. A page that was asleep, or whose
server was killed and started again, says the last id that it has, and gets every row after it.
"""

import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio

from classlab.errors import UserError
from classlab.json_text import finite
from classlab.ui import states
from classlab.ui.watch import Watch

SECONDS_BETWEEN_SIGNS = 10.0  # of life, where nothing happens
MOST_RUNS = 256  # that one page follows


def message(event: str, data: Any, number: str = "") -> bytes:
    """Return one event. data: plain data; what is not a finite number becomes null."""
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {event}\ndata: {json.dumps(finite(data), separators=(',', ':'))}\n\n".encode()


async def of_list(watch: Watch) -> AsyncIterator[bytes]:
    """Yield every run's state, and then each one that changes: events `all`, `changed` and `gone`."""
    async with watch.listening():
        await watch.look()
        seen = watch.version
        yield b"retry: 500\n\n" + message("all", [state.document() for state in watch.states.values()])
        while not watch.ending:
            if not await watch.after(seen, SECONDS_BETWEEN_SIGNS):
                yield b": here\n\n"
                continue
            since, seen = seen, watch.version
            changed = [state.document() for state in watch.states.values() if state.version > since]
            gone = [key for key, version in watch.gone.items() if version > since]
            if changed:
                yield message("changed", changed)
            if gone:
                yield message("gone", gone)


def numbers(text: str | None, count: int) -> list[int]:
    """Return how many rows of each run a page has, from the id of the last event that it got; 0 where it says none."""
    parts = (text or "").split(",")
    if len(parts) != count or not all(re.fullmatch("[0-9]{1,9}", part) for part in parts):
        return [0] * count
    return [int(part) for part in parts]


async def of_rows(watch: Watch, keys: Sequence[str], had: list[int]) -> AsyncIterator[bytes]:
    """Yield the rows of some runs that a page does not have, and each new one: events `rows`, `state` and `gone`.

    had: how many rows of each run the page has. If a run was replaced by another, or lost rows, all are sent again.
    """
    born: dict[str, str] = {}
    read: dict[str, tuple[tuple[int, ...], int]] = {}
    versions: dict[str, int] = {}
    async with watch.listening():
        await watch.look()
        yield b"retry: 500\n\n"
        while not watch.ending:
            seen = watch.version
            for place, key in enumerate(keys):
                state = watch.states.get(key)
                if state is None:
                    if versions.get(key) != -1:
                        versions[key], had[place] = -1, 0
                        yield message("gone", {"run": key}, _number(had))
                    continue
                # The version too: a row that is written just after the signature was taken is in the state already.
                if read.get(key) != (state.signature, state.version):
                    news = await _news(state, born.get(key), had[place])
                    read[key], born[key] = (state.signature, state.version), state.born
                    if news["rows"] or news["anew"]:
                        had[place] = news["from"] + len(news["rows"])
                        yield message("rows", news, _number(had))
                if versions.get(key) != state.version:
                    versions[key] = state.version
                    yield message("state", state.document())
            while not await watch.after(seen, SECONDS_BETWEEN_SIGNS):
                yield b": here\n\n"


async def _news(state: states.State, born: str | None, had: int) -> dict[str, Any]:
    """Return the rows after the first `had`; all of them where the run is another one than it was."""
    try:
        rows = await anyio.to_thread.run_sync(states.rows_of, state)
    except (UserError, OSError):  # the run's state says what is wrong with it
        rows = []
        return {"run": state.place.key, "born": state.born, "from": had, "rows": rows, "anew": False}
    anew = len(rows) < had or (born is not None and born != state.born)
    start = 0 if anew else had
    return {"run": state.place.key, "born": state.born, "from": start, "rows": rows[start:], "anew": anew}


def _number(had: Sequence[int]) -> str:
    return ",".join(map(str, had))
