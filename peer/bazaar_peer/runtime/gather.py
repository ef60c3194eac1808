"""Asks all peers of a ring for their records, and puts them together as they come.

It runs in the loop of a peer whose page is open, and that peer may trade: so it works in pieces of
a millisecond, and rests after each. Each peer is asked by a task of its own; who does not
answer holds nobody up for longer than `LATE_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp

from bazaar_peer.core.types import SECOND, peer_id
from bazaar_peer.record.entries import Entry, Mark
from bazaar_peer.record.merge import Merger, Told
from bazaar_peer.record.pages import Page, mark_of, read_page
from bazaar_peer.record.story import header
from bazaar_peer.runtime.answers import body_within

HISTORY_S = 300
EVERY_S = 0.2
ASK_S = 2.0
AGAIN_S = 0.5
"""Who did not answer is asked again after so long."""
RING_EVERY_S = 2.0
FIT_EVERY_S = 10.0
LATE_S = 0.6
"""What a peer has to tell is waited for as long, and told behind the rest if it comes later."""
BEGIN_S = 5.0
"""In the beginning, until everybody's history is here, as long."""
PAGE_MAX_BYTES = 8 * 1024 * 1024
PAGES_MAX = 50
"""Pages that wait to be put together, at most."""
TIES_MAX = 20_000
PIECE, SLICE_S, REST_S = 100, 0.001, 0.001


class Lost(Exception):  # noqa: N818 - a state, and what it is called
    """No peer answers; the text says who was asked."""


class Source:
    """How far one peer's record has been read."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.after: Mark | None = None
        self.answered = False
        self.asked = False
        """It was read to its end once, or did not answer."""


class Pace:
    """Lets others have their turns in long work."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def rest(self) -> None:
        if time.perf_counter() - self._began > SLICE_S:
            await asyncio.sleep(REST_S)
            self._began = time.perf_counter()


class Gatherer:
    """The records of one ring. `urls`: peers to begin with; the ring names the others."""

    def __init__(self, urls: Iterable[str], history_s: int = HISTORY_S):
        self.header: dict[str, Any] = {}
        self._given = list(urls)
        self._history_s = history_s
        self._sources: dict[int, Source] = {}
        self._askers: list[asyncio.Task[None]] = []
        self._merger = Merger(TIES_MAX)
        self._arrived: list[tuple[int, list[Entry]]] = []
        self._room = asyncio.Event()
        self._began = self._fit_at = 0.0

    async def run(self) -> AsyncIterator[list[Told]]:
        """Yield what is new, in order, for ever; of a peer that was away, what it kept meanwhile.

        Raises:
            Lost: nobody answers.
        """
        self._began = time.monotonic()
        self._room.set()
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            try:
                async for found in self._looks(http):
                    yield found
            finally:
                for asker in self._askers:
                    asker.cancel()
                await asyncio.gather(*self._askers, return_exceptions=True)

    async def _looks(self, http: aiohttp.ClientSession) -> AsyncIterator[list[Told]]:
        ring_at = float("-inf")
        while True:
            began = time.monotonic()
            if began - ring_at > RING_EVERY_S:
                await self._find(http)
                ring_at = began
            elif not any(s.answered or not s.asked for s in self._sources.values()):
                raise Lost(f"no peer answers: {', '.join(self._urls())}")
            async for found in self._merged():
                yield found
            await asyncio.sleep(max(0.02, EVERY_S - (time.monotonic() - began)))

    # ---- asking

    def _urls(self) -> list[str]:
        return list(dict.fromkeys([*self._given, *(s.url for s in self._sources.values())]))

    async def _find(self, http: aiohttp.ClientSession) -> None:
        """Learn who is in the ring, from whoever answers first."""
        for url in self._urls():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError, KeyError):
                async with http.get(f"{url}/v1/ring") as answer:
                    told = await answer.json()
                for row in told["peers"]:
                    life = peer_id(int(row["id"]), int(row["incarnation"]))
                    if life not in self._sources:
                        source = self._sources[life] = Source(row["url"])
                        asker = self._follow(http, life, source)
                        self._askers.append(asyncio.create_task(asker))
                return
        raise Lost(f"no peer answers: {', '.join(self._urls())}")

    async def _follow(self, http: aiohttp.ClientSession, life: int, source: Source) -> None:
        """Read a peer's record to its end, again and again."""
        while True:
            try:
                page = await self._page(http, source)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                source.answered, source.asked = False, True
                await asyncio.sleep(AGAIN_S)
                continue
            # Its place may have a new life by now, which has a source of its own.
            source.answered = page.peer == life
            if source.answered:
                if not self.header:
                    self.header = header(page.ring, "ring", page.beat_ms, page.timeout_ms)
                self._arrived.append((life, page.entries))
                if len(self._arrived) >= PAGES_MAX:
                    self._room.clear()
                source.after = mark_of(page.next)
            if source.answered and page.more:
                await self._room.wait()
                continue
            source.asked = True
            await asyncio.sleep(EVERY_S if source.answered else AGAIN_S)

    async def _page(self, http: aiohttp.ClientSession, source: Source) -> Page:
        asked = {"age": str(self._history_s)}
        if source.after is not None:
            asked["after"] = f"{source.after[0]}:{source.after[1]}"
        async with http.get(f"{source.url}/v1/record", params=asked) as answer:
            answer.raise_for_status()
            return read_page(await body_within(answer, PAGE_MAX_BYTES))

    # ---- putting together

    def _horizon(self) -> int:
        """Return up to when everybody who answers has told all; 0: not known yet."""
        young = time.monotonic() - self._began < BEGIN_S
        if young and not all(source.asked for source in self._sources.values()):
            return 0
        newest = self._merger.newest()
        told = [newest[life] for life, s in self._sources.items() if s.answered and life in newest]
        late = max(newest.values(), default=0) - int(LATE_S * SECOND)
        return max(min(told, default=0), late)

    async def _merged(self) -> AsyncIterator[list[Told]]:
        """Merge what has come, and yield it in pieces."""
        pace, merger = Pace(), self._merger
        arrived, self._arrived = self._arrived, []
        self._room.set()
        for life, entries in arrived:
            for start in range(0, len(entries), PIECE):
                merger.add(life, entries[start : start + PIECE])
                await pace.rest()
        if time.monotonic() - self._fit_at > FIT_EVERY_S:
            merger.fit()
            self._fit_at = time.monotonic()
        found: list[Told] = []
        for told in merger.emit(self._horizon()):
            found.append(told)
            if len(found) == PIECE:
                yield found
                found = []
            await pace.rest()
        if found:
            yield found
