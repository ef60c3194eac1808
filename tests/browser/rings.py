"""A ring as the page sees it: peers that serve the page, one story, and the answers of an API."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from bazaar_peer.page.pages import Pages, allowing, preflight, shared
from tests.browser.stories import Json, batches

ITEM = {"on_offer": 41, "lots": [{"lot": 7, "seller": "ali", "quantity": 41, "price": 6}]}


class FakeRing:
    """What all its peers tell; a test lets more happen with `tell`, and ends one with `kill`."""

    def __init__(self, header: Json, entries: list[Json]) -> None:
        self.header, self.entries = header, list(entries)
        self.queues: dict[asyncio.Queue[bytes], int] = {}
        """Of who listens, and at which peer."""
        self.runners: list[web.AppRunner | None] = []
        self.urls: list[str] = []
        self.posted: list[tuple[str, str, dict[str, str], Json]] = []
        """Who was posted what: address, path, headers, body."""
        self.after: list[str] = []
        """From when on the story was asked for, each time; empty: all there is."""
        self.refusal = ""
        self.mute = False
        """Keep no record."""
        self.stock: Json = {"salt": ITEM}
        self.facts: Json = {"epoch": 7, "trader": 2, "members": 3}

    async def start(self, peers: int = 1) -> str:
        """Serve at free ports; return the first one's address."""
        for place in range(peers):
            runner = web.AppRunner(self._app(place), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.runners.append(runner)
            self.urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        return self.urls[0]

    async def kill(self, place: int) -> None:
        runner, self.runners[place] = self.runners[place], None
        for queue in [queue for queue, at in self.queues.items() if at == place]:
            queue.put_nowait(b"")
        if runner is not None:
            await runner.cleanup()

    async def close(self) -> None:
        for place in range(len(self.runners)):
            await self.kill(place)

    def tell(self, entries: list[Json]) -> None:
        """Let something happen now, in front of whoever watches."""
        self.entries += entries
        for queue in self.queues:
            queue.put_nowait(event("entries", entries))

    # ---- what a peer serves

    def _app(self, place: int) -> web.Application:
        app = web.Application()
        pages = Pages(lambda: self.urls)
        reads = [("story", self._story(place)), ("ring", self._ring(place)), ("stock", self._stock)]
        for method, path, handler in pages.routes():
            app.router.add_route(method, path, handler)
        for name, handler in reads:
            app.router.add_get(f"/v1/{name}", shared(handler, lambda: self.urls))
        for name in ("orders", "resign", "members", "faults"):
            handler = shared(self._post(place), lambda: self.urls)
            app.router.add_post(f"/v1/{name}", handler)
            app.router.add_options(f"/v1/{name}", preflight(lambda: self.urls))
        return app

    def _story(self, place: int) -> Any:
        async def story(request: web.Request) -> web.StreamResponse:
            if self.mute:
                raise web.HTTPNotFound
            self.after.append(request.query.get("after", ""))
            since = float(self.after[-1] or 0)
            headers = {"Content-Type": "text/event-stream", **allowing(request)}
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            queue: asyncio.Queue[bytes] = asyncio.Queue()
            self.queues[queue] = place
            try:
                await response.write(event("header", self.header))
                wanted = [entry for entry in self.entries if entry["at"] >= since]
                for batch in batches(wanted, 5.0):
                    await response.write(event("entries", batch))
                while line := await queue.get():
                    await response.write(line)
            finally:
                del self.queues[queue]
            return response

        return story

    def _ring(self, place: int) -> Any:
        async def ring(_request: web.Request) -> web.Response:
            peers = [
                {"id": i, "incarnation": 0, "voter": True, "url": url}
                | ({"pid": 100 + i} if i == place else {})
                for i, url in enumerate(self.urls)
            ]
            told = {
                "size": 3,
                **{name: self.facts[name] for name in self.facts if name != "members"},
            }
            return web.json_response({**told, "generation": 4, "peers": peers})

        return ring

    async def _stock(self, _request: web.Request) -> web.Response:
        return web.json_response({"index": 4000, "age_ms": 1, "items": self.stock})

    def _post(self, place: int) -> Any:
        async def post(request: web.Request) -> web.Response:
            body = await request.json()
            self.posted.append((self.urls[place], request.path, dict(request.headers), body))
            if self.refusal:
                return web.json_response({"detail": self.refusal}, status=503)
            told = {"outcome": "filled", "index": 4001, "paid": 18}
            return web.json_response(told, status=200)

        return post


def event(kind: str, told: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(told)}\n\n".encode()
