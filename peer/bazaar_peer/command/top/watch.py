"""Asks a ring's peers and listens to them; whichever of them dies, the others tell the rest."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bazaar_peer.command.client import HINT
from bazaar_peer.command.top.latency import Counts, counts_of
from bazaar_peer.command.top.model import Model
from bazaar_peer.runtime.answers import body_within

ASK_S = 1.0
ANSWER_S = 2.0
URLS_MAX = 100
BODY_MAX_BYTES = 4 << 20
GONE = (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError)
"""A peer that is down, or whose answer is not one."""


class Watcher:
    """Keeps a model true; `clock` in seconds."""

    def __init__(self, model: Model, clock: Callable[[], float] = time.monotonic) -> None:
        self.model, self.clock = model, clock
        self._listeners: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ask and listen meanwhile."""
        limit = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=limit) as http:
            rounds = asyncio.create_task(self._rounds(http))
            try:
                yield
            finally:
                tasks = [rounds, *self._listeners.values()]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _rounds(self, http: aiohttp.ClientSession) -> None:
        while True:
            await self.round(http)
            await asyncio.sleep(ASK_S)

    async def round(self, http: aiohttp.ClientSession) -> None:
        """Ask every address once."""
        asked = self.model.urls[:URLS_MAX]
        found = await asyncio.gather(*(self._ask(http, url) for url in asked))
        counts = {peer: counted for peer, counted in found if counted is not None}
        if not counts:
            self.model.problem = f"nobody answers: asked {', '.join(asked)} ({HINT})"
            return
        self.model.counted(self.clock(), counts)
        try:
            told = await _json(http, f"{self.model.urls[0]}/v1/stock")
            self.model.stock = dict(told["items"])
        except GONE:
            return

    async def _ask(self, http: aiohttp.ClientSession, url: str) -> tuple[int, Counts | None]:
        try:
            view = await _json(http, f"{url}/v1/ring")
            text = (await _body(http, f"{url}/metrics")).decode()
            peer = self.model.answered(self.clock(), url, view)
            counts = counts_of(text)
        except GONE as error:
            self.model.lost(url, f"{url}: {str(error) or type(error).__name__}")
            return -1, None
        listener = self._listeners.get(url)
        if listener is None or listener.done():
            self._listeners[url] = asyncio.create_task(self._listen(http, url, peer))
        return peer, counts

    async def _listen(self, http: aiohttp.ClientSession, url: str, peer: int) -> None:
        """Take one peer's events until it goes; the next round comes back to it."""
        forever = aiohttp.ClientTimeout(total=None, sock_read=3 * ANSWER_S)
        try:
            async with http.get(f"{url}/v1/events", timeout=forever) as response:
                response.raise_for_status()
                kind = ""
                async for line in response.content:
                    word, _, rest = line.decode().rstrip("\n").partition(": ")
                    if word == "event":
                        kind = rest
                    elif word == "data":
                        self.model.happened(self.clock(), peer, kind, json.loads(rest))
        except GONE:
            return


async def _json(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    found = json.loads(await _body(http, url))
    if not isinstance(found, dict):
        raise TypeError(f"{url} answers with no JSON object")
    return found


async def _body(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url) as response:
        response.raise_for_status()
        return await body_within(response, BODY_MAX_BYTES)
