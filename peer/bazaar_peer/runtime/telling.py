"""The ring's story, put together once and told to all who watch here, however many they are.

It begins with the first of them, who is told the last minutes; whoever comes later is told what is
kept of those (record/past.py), and then what happens. It ends some seconds behind the last one. Who
does not read what it is told is let go, and may come again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterable

import msgspec

from bazaar_peer.record.merge import Told
from bazaar_peer.record.past import Line, Past
from bazaar_peer.runtime.gather import HISTORY_S, Gatherer, Lost

log = logging.getLogger("bazaar.record")

QUEUE_MAX = 2048
"""Events that wait for one who watches."""
CHUNK = 500
"""Entries of one event at most."""
LINGER_S = 10.0
"""A page that is loaded again finds the story as it was."""
END = b""


class Teller:
    """One peer's telling. `own`: what its header has besides; `gather` makes a gatherer."""

    def __init__(self, gather: Callable[[], Gatherer], own: dict[str, object]) -> None:
        self._gather, self._own = gather, own
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._header = b""
        self._past = Past(HISTORY_S)
        self._telling: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None

    @property
    def watchers(self) -> int:
        return len(self._queues)

    async def watch(self, after: float) -> AsyncGenerator[bytes, None]:
        """Yield events: the header, what is known behind `after` (an `at`), then what happens.

        Ends when no peer answers, or when so much waits that nobody seems to read.
        """
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_MAX)
        self._begin()
        header, known = self._header, self._past.after(after)
        self._queues.add(queue)
        try:
            if header:
                yield header
            for start in range(0, len(known), CHUNK):
                yield _event(known[start : start + CHUNK])
            while event := await queue.get():
                yield event
        finally:
            self._queues.discard(queue)
            if not self._queues:
                self._ending = asyncio.get_running_loop().call_later(LINGER_S, self.close)

    def close(self) -> None:
        """End it for everybody."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self._end()

    def _begin(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        gatherer = self._gather()
        try:
            async for found in gatherer.run():
                if not self._header:
                    header = json.dumps(gatherer.header | self._own)
                    self._header = f"event: header\ndata: {header}\n\n".encode()
                    self._hand_out(self._header)
                self._hand_out(_event(list(self._kept(found))))
        except Lost as lost:
            log.info("story_ended", extra={"fields": {"why": str(lost)}})
        except Exception:
            log.exception("story_failed")  # nobody trades less for it, and a page comes again
        self._telling = None
        self._end()

    def _kept(self, found: Iterable[Told]) -> Iterable[bytes]:
        for told in found:
            data = msgspec.json.encode(told)
            self._past.add(Line(told["at"], told["peer"], told["kind"], data))
            yield data

    def _hand_out(self, event: bytes) -> None:
        for queue in list(self._queues):
            if queue.full():
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(END)
            else:
                queue.put_nowait(event)

    def _end(self) -> None:
        self._hand_out(END)
        self._queues.clear()
        self._header = b""
        self._past = Past(HISTORY_S)


def _event(lines: list[bytes]) -> bytes:
    return b"event: entries\ndata: [" + b",".join(lines) + b"]\n\n"
