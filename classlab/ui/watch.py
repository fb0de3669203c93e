"""The watch: looks at the listed folders while somebody has a page open, and wakes the pages when something changed.

The run folders are the only truth. A process that trains knows nothing of this and never waits for it. A run of last
year on a read-only disk is watched in the same way.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from classlab.ui import states
from classlab.ui.listing import Listing
from classlab.ui.states import State

SECONDS_OPEN = 0.2  # between two looks at runs that train
SECONDS_LISTING = 0.6  # between two looks for new runs
SECONDS_ENDED = 2.0  # between two looks at runs that have ended, which may be deleted or replaced


class Watch:
    """The states of all runs, kept up to date while anybody listens. version: counts what has changed."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.states: dict[str, State] = {}
        self.gone: dict[str, int] = {}
        self.version = 0
        self._changed = asyncio.Condition()
        self._looking = asyncio.Lock()
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._looked = {"listing": 0.0, "ended": 0.0}
        self.ending = False  # set where the server ends: every stream ends then

    async def look(self) -> None:
        """Look at everything that is due, now."""
        async with self._looking:
            before = self.version
            await asyncio.to_thread(self._look)
        if self.version != before:
            async with self._changed:
                self._changed.notify_all()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked["listing"] >= SECONDS_LISTING:
            self.listing.look()
            self._looked["listing"] = now
            for key in self.states.keys() - self.listing.runs.keys():
                self.version += 1
                self.gone[key] = self.version
                del self.states[key]
        ended_too = now - self._looked["ended"] >= SECONDS_ENDED
        if ended_too:
            self._looked["ended"] = now
        for key, place in self.listing.runs.items():
            state = self.states.get(key)
            if state is not None and not state.open and not ended_too:
                continue
            if state is None or state.signature != states.signature(place.path) or state.is_fresh:
                self._keep(key, states.read(place, state), state)
            elif state.open:
                self._grow_old(state)

    def _keep(self, key: str, state: State, before: State | None) -> None:
        if before is not None and before.document() == state.document():
            state.version = before.version
        else:
            self.version += 1
            state.version = self.version
        self.states[key] = state
        self.gone.pop(key, None)

    def _grow_old(self, state: State) -> None:
        """A run that says nothing for long changes by that alone."""
        before = state.status
        state.as_of_now()
        if state.status != before:
            self.version += 1
            state.version = self.version

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Keep looking while the block lasts; nobody's watch costs nothing."""
        self._listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._listeners -= 1

    async def _run(self) -> None:
        while self._listeners:
            started = time.monotonic()
            await self.look()
            if self.ending:
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(max(SECONDS_OPEN, 5 * (time.monotonic() - started)))

    async def after(self, version: int, seconds: float) -> bool:
        """Wait until something has changed since `version`, at most so many seconds; return whether it has."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.version > version or self.ending)
        except TimeoutError:
            return False
        return True
