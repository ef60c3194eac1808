"""This peer's record (`GET /v1/record`), and the whole ring's story (`GET /v1/story`)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from aiohttp import web

from bazaar_peer import __version__
from bazaar_peer.core.types import SECOND, ordinal_of
from bazaar_peer.page.pages import allowing
from bazaar_peer.record.pages import Page, mark_of, page_of
from bazaar_peer.record.story import in_ms
from bazaar_peer.runtime.answers import body_within
from bazaar_peer.runtime.api import Handler, authorize
from bazaar_peer.runtime.bodies import query_integer
from bazaar_peer.runtime.gather import PAGE_MAX_BYTES, Gatherer
from bazaar_peer.runtime.problems import Problem, wrong
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.telling import Teller

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from bazaar_peer.core.peer import Peer
    from bazaar_peer.record.recorder import Recorder

AGE_MAX_S = 86_400
ASK_S = 2.0
WATCHERS_MAX = 16
READERS_MAX = 2
UNREAD_S = 10.0
"""Who takes nothing for so long holds a place that others may want."""
RETRY_MS = 1000


class RecordView:
    """What was kept, of this peer and of the others."""

    def __init__(self, peer: Peer, settings: ProcessSettings, recorder: Recorder | None) -> None:
        self.peer, self.settings, self.recorder = peer, settings, recorder
        self._readers = asyncio.Semaphore(READERS_MAX)
        own: dict[str, object] = {"name": settings.name}
        if settings.hurts:
            own["faults"] = True
        if settings.in_cluster:
            own["cluster"] = True
        self._teller = Teller(self._gatherer, own)

    async def record(self, request: web.Request) -> web.Response:
        """Answer with entries behind `after`, all of them, or with `age` those that tell most."""
        authorize(request)
        asked = query_integer(request, "peer", ordinal_of(self.peer.me), 0xFFFF)
        if asked != ordinal_of(self.peer.me):
            return await self._of_another(asked, request)
        if self.recorder is None:
            raise Problem(404, "this peer keeps no record: it is switched off, or had no room")
        if self.recorder.given_up:
            raise Problem(404, self.recorder.given_up)
        age_s = query_integer(request, "age", 0, AGE_MAX_S)
        after = request.query.get("after", "0:0")
        try:
            mark = mark_of(after)
        except ValueError:
            raise wrong("after", "BOOT:SEQ, the `next` of the page before") from None
        age = age_s * SECOND if age_s else None
        async with self._readers:
            now = time.monotonic_ns()
            try:
                found = await asyncio.to_thread(page_of, self.recorder, mark, now, age)
            except OSError as unread:
                self.recorder.give_up(unread)
                raise Problem(404, self.recorder.given_up) from None
        beat_ms, timeout_ms = in_ms(self.settings.timing)
        page = Page(
            ring=self.settings.ring,
            peer=self.peer.me,
            version=__version__,
            beat_ms=beat_ms,
            timeout_ms=timeout_ms,
            next=f"{found.next[0]}:{found.next[1]}",
            more=found.more,
            entries=found.entries,
        )
        return web.Response(body=msgspec.json.encode(page), content_type="application/json")

    async def _of_another(self, ordinal: int, request: web.Request) -> web.Response:
        """Pass a question on to the peer it is about, which may not be reached from outside."""
        if ordinal not in {ordinal_of(m.id) for m in self.peer.members.members}:
            raise wrong("peer", "a member's number: GET /v1/ring lists them")
        query = {name: value for name, value in request.query.items() if name != "peer"}
        url = f"{self.settings.client_url(ordinal)}/v1/record"
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as http,
                http.get(url, params=query) as answer,
            ):
                body, kind = await body_within(answer, PAGE_MAX_BYTES), answer.content_type
                return web.Response(status=answer.status, body=body, content_type=kind)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise Problem(503, f"peer {ordinal} does not answer now") from None

    async def story(self, request: web.Request) -> web.StreamResponse:
        """Tell the whole ring's story: the last minutes, then what happens, until nobody reads."""
        authorize(request)
        try:
            after = float(request.query.get("after", "0"))
        except ValueError:
            raise wrong("after", "the `at` of an entry, in seconds") from None
        if self._teller.watchers >= WATCHERS_MAX:
            raise Problem(429, f"{WATCHERS_MAX} pages are open here already; open another peer's")
        return await stream(request, self._teller.watch(after))

    def _gatherer(self) -> Gatherer:
        return Gatherer([self.settings.client_url(ordinal_of(self.peer.me))])

    async def telling(self, _app: web.Application) -> AsyncIterator[None]:
        """End the story with the application."""
        yield
        self._teller.close()

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [("GET", "/v1/record", self.record), ("GET", "/v1/story", self.story)]


async def stream(request: web.Request, events: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Answer with events until there are no more, or nobody reads them."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers | allowing(request))
    async with contextlib.aclosing(events):
        await response.prepare(request)
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        try:
            async for event in events:
                async with asyncio.timeout(UNREAD_S):
                    await response.write(event)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()  # a proper end would wait for the reader, too
    return response
