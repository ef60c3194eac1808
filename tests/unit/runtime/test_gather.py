"""The records of a ring, asked for peer by peer: who is silent holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web

from bazaar_peer.core.types import SECOND
from bazaar_peer.record.entries import Entry
from bazaar_peer.record.pages import Page
from bazaar_peer.runtime import gather
from bazaar_peer.runtime.gather import Gatherer, Lost


class Peers:
    """Three peers whose records a test writes; one that is silent takes requests, and no more."""

    def __init__(self) -> None:
        self.records: dict[int, list[Entry]] = {
            peer: [Entry(1, 1, SECOND, "started", {"clock_id": "m", "wall": 0})]
            for peer in range(3)
        }
        self.silent: set[int] = set()
        self.asked = 0
        self.url = ""

    def note(self, peer: int, at: float) -> None:
        record = self.records[peer]
        record.append(Entry(1, len(record) + 1, int(at * SECOND), "note", {"note": "n"}))

    async def ring(self, _request: web.Request) -> web.Response:
        rows = [{"id": i, "incarnation": 0, "url": f"{self.url}/{i}"} for i in range(3)]
        return web.json_response({"peers": rows})

    async def record(self, request: web.Request) -> web.Response:
        peer = int(request.match_info["peer"])
        self.asked += 1
        if peer in self.silent:
            await asyncio.sleep(3600)
        boot, seq = map(int, request.query.get("after", "0:0").split(":"))
        found = [entry for entry in self.records[peer] if entry.mark > (boot, seq)]
        after = f"1:{len(self.records[peer])}"
        page = Page("r", peer, "1", 40.0, 150.0, after, False, found)
        return web.Response(body=msgspec.json.encode(page), content_type="application/json")

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/{at:[012]}/v1/ring", self.ring)
        app.router.add_get("/{peer}/v1/record", self.record)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield
        await runner.cleanup()


async def hear(peers: Peers, gatherer: Gatherer, *wanted: float) -> list[float]:
    """Read until all of these times were told; return all that were."""
    found: list[float] = []
    async with asyncio.timeout(20):
        async for told in gatherer.run():
            found += [one["at"] for one in told if one["kind"] == "note"]
            if set(wanted) <= set(found):
                break
    return found


async def test_everybody_s_history_comes_first_and_in_one_order() -> None:
    peers = Peers()
    for peer, at in ((2, 1.1), (0, 1.2), (1, 1.3), (2, 1.4), (0, 9.0), (1, 9.0), (2, 9.0)):
        peers.note(peer, at)
    async with peers.served():
        found = await hear(peers, Gatherer([f"{peers.url}/0"]), 1.4)
    assert found[:4] == [1.1, 1.2, 1.3, 1.4]


async def test_silent_peer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stands still keeps its connections, and answers nothing."""
    monkeypatch.setattr(gather, "ASK_S", 600.0)
    monkeypatch.setattr(gather, "BEGIN_S", 0.5)
    peers = Peers()
    peers.silent = {1}
    for peer in (0, 2):
        peers.note(peer, 2.0 + peer / 10)
        peers.note(peer, 9.0)
    async with peers.served():
        found = await hear(peers, Gatherer([f"{peers.url}/0"]), 2.0, 2.2)
    assert found[:2] == [2.0, 2.2]


async def test_where_nobody_answers_it_is_lost() -> None:
    with pytest.raises(Lost, match="no peer answers"):
        await anext(aiter(Gatherer(["http://127.0.0.1:9"]).run()))
