"""The desk: asks a child process what needs torch or charts, so that the server itself loads neither.

The child answers one question after the other. One that takes too long, or a child that dies, is an error of that
question alone: the next one has a new child. It is nice to others, for a run may be training beside it.
"""

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

from classlab.errors import UserError

LINE = 64_000_000  # bytes of the longest answer
SECONDS = 180.0


class Failed(Exception):
    """The child died or took too long."""


class Desk:
    """A child process that answers. trust: whether code of the reader's own that a run names may run in it."""

    def __init__(self, trust: bool = False) -> None:
        self.trust = trust
        self._child: asyncio.subprocess.Process | None = None
        self._ending: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def ask(self, question: str, seconds: float = SECONDS, **given: Any) -> Any:
        """Return the answer to a question, see ui/answers.py. Raises UserError with its sentence, and Failed."""
        line = json.dumps({"question": question, "given": given}).encode() + b"\n"
        async with self._turn:
            if self._closed:
                raise Failed("the page's server is ending")
            child = await self._started()
            try:
                async with asyncio.timeout(seconds):
                    assert child.stdin and child.stdout
                    child.stdin.write(line)
                    await child.stdin.drain()
                    answer = await child.stdout.readline()
            except BaseException as error:  # also where the asker went away: the answer must not be the next one's
                self._end()
                if isinstance(error, TimeoutError):
                    raise Failed(f"no answer within {seconds:.0f} seconds") from None
                if isinstance(error, OSError | ValueError):
                    raise Failed("the process that answers has ended") from None
                raise
            if not answer.endswith(b"\n"):
                self._end()
                raise Failed("the process that answers has ended")
        document = json.loads(answer)
        if "sentence" in document:
            raise UserError(document["sentence"])
        if "failed" in document:
            raise Failed(document["failed"])
        return document["answer"]

    async def _started(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "CLASSLAB_UI_TRUST": "1" if self.trust else "0"}
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "classlab.ui.answers",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE, env=environment,
            )  # fmt: skip
        return self._child

    def _end(self) -> None:
        """End the child at once; it is waited for beside whatever comes next."""
        child, self._child = self._child, None
        if child is not None:
            self._ending = asyncio.create_task(_ended(child))

    async def close(self) -> None:
        """End the child and wait for it; what is asked then has no answer."""
        self._closed = True
        self._end()
        if self._ending is not None:
            await self._ending


async def _ended(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    await child.wait()
