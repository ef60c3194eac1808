"""The load of a drill on this machine: `bazaar load` in a process of its own.

A process of its own, so that what the driller does meanwhile delays no order. It ends with the
driller, whatever becomes of that: nobody reads its progress then, and it dies of writing it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from bazaar_peer.command.drill.place import Loaded
from bazaar_peer.command.drill.plan import DrillError
from bazaar_peer.command.load import DEADLINE_S
from bazaar_peer.command.orders import read_orders

ITEM = "drill"
"""Goods of its own: whatever else the market trades is left alone."""
BEGIN_S = 30.0
END_S = DEADLINE_S + 20.0
PROGRESS_S = 0.5
LOOK_S = 0.05
TOLD_LINES = 20


def words(urls: Sequence[str], rate: float, buyers: int, seconds: float) -> list[str]:
    """Return the options of `bazaar load`, but for its files."""
    return [
        *(word for url in urls for word in ("--url", url)),
        *("--rate", f"{rate:g}", "--buyers", str(buyers), "--seconds", f"{seconds:.1f}"),
        *("--item", ITEM, "--progress", f"{PROGRESS_S:g}"),
    ]


class LoadProcess:
    """One run, with its files in a folder that is there."""

    def __init__(self, folder: Path, urls: Sequence[str], peers: Sequence[int]) -> None:
        self.acknowledged, self.orders = folder / "acknowledged", folder / "orders"
        self._urls, self._peers = urls, peers
        self._process: asyncio.subprocess.Process | None = None
        self._told: deque[str] = deque(maxlen=TOLD_LINES)
        self._tasks: list[asyncio.Task[None]] = []
        self._out = b""

    async def begin(self, rate: float, buyers: int, seconds: float) -> None:
        """Return when orders are taken.

        Raises:
            DrillError: none was within `BEGIN_S`.
        """
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bazaar_peer", "load"),
            *words(self._urls, rate, buyers, seconds),
            *("--acknowledged", str(self.acknowledged), "--orders", str(self.orders)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the driller, who ends this one well
        )
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._listen()), loop.create_task(self._take())]
        until = time.monotonic() + BEGIN_S
        while taken(self.so_far()) < 2:  # the first one puts the goods on offer
            if time.monotonic() > until:
                raise DrillError(f"no order was taken within {BEGIN_S:g} s: {self.so_far()}")
            await asyncio.sleep(LOOK_S)

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._told.append(line.decode(errors="replace").strip())

    async def _take(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._out = await self._process.stdout.read()

    def so_far(self) -> str:
        """Return the last thing it said.

        Raises:
            DrillError: it has ended.
        """
        assert self._process is not None
        if self._process.returncode is not None:
            raise DrillError(
                f"the load ended before the drill did: {' '.join(self._told) or 'without a word'}"
            )
        return self._told[-1] if self._told else ""

    async def end(self) -> Loaded:
        """Let it begin no more orders, and return what it saw.

        Raises:
            DrillError: it has not ended well.
        """
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await asyncio.gather(*self._tasks)
                code = await self._process.wait()
            told = json.loads(self._out)
            with self.orders.open(encoding="utf-8") as lines:
                orders = list(read_orders(lines))
        except (TimeoutError, ValueError, OSError) as wrong:
            raise DrillError(f"the load told nothing: {wrong!r} {' '.join(self._told)}") from wrong
        if code:
            raise DrillError(f"the load ended with {code}: {' '.join(self._told)}")
        return Loaded(told, orders, self._peers)

    async def close(self) -> None:
        """End it at once, if it has not ended."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def taken(told: str) -> int:
    """Return how many orders a line of progress says were acknowledged."""
    for part in told.split(", "):
        count, _, word = part.partition(" ")
        if word == "acknowledged" and count.isdigit():
            return int(count)
    return 0
