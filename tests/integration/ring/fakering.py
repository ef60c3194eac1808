"""A ring that is none: as much of the interface as the drill of `helm test` sees, with its faults.

One server is every peer of it, each under a path of its own. What it does wrong is set outside.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

METRICS = """process_start_time_seconds {start}
bazaar_interregnum_seconds_count{{cause="planned"}} {ended}
bazaar_interregnum_seconds_sum{{cause="planned"}} {seconds}
"""


@dataclass
class FakePeer:
    """What one peer says of itself."""

    trader: int
    epoch: int = 1
    pid: int = 7
    voter: bool = True
    silent: bool = False
    start: float = 1.7e9
    ended: int = 0
    seconds: float = 0.0


@dataclass
class FakeRing:
    """Peer 0 trades, until `reign` says otherwise; it is `Pods`, too."""

    peers: list[FakePeer] = field(default_factory=lambda: [FakePeer(0) for _ in range(3)])
    lose: frozenset[str] = frozenset()
    """Keys that are acknowledged and not executed."""
    double: frozenset[str] = frozenset()
    """Keys that are executed twice."""
    url: str = ""
    index: int = 0
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    trades: list[dict[str, Any]] = field(default_factory=list)
    stock: dict[str, int] = field(default_factory=dict)
    turns: frozenset[int] = frozenset()
    """Indexes at which another peer has come to reign by itself."""
    uids: dict[str, str] = field(default_factory=dict)
    deleted: list[tuple[str, str | None]] = field(default_factory=list)
    blind: bool = False
    """Pods may not be looked at."""
    stays: bool = False
    """A deleted pod goes on, though another peer comes to reign."""

    # ---- its pods

    def reign(self, peer: int) -> None:
        epoch = max(one.epoch for one in self.peers) + 1
        for one in self.peers:
            one.trader, one.epoch = peer, epoch
            one.ended, one.seconds = one.ended + 1, one.seconds + 0.125

    async def uid(self, pod: str) -> str | None:
        return None if self.blind else self.uids.setdefault(pod, f"first {pod}")

    async def delete(self, pod: str, uid: str | None) -> None:
        self.deleted.append((pod, uid))
        self.reign(1)
        if not self.stays:
            self.uids[pod] = f"second {pod}"
            self.peers[int(pod[-1])].pid += 1

    # ---- its interface

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/ring", self.ring)
        app.router.add_get("/{peer}/v1/ring", self.ring)
        app.router.add_get("/{peer}/metrics", self.metrics)
        app.router.add_get("/{peer}/v1/trades", self.shown)
        app.router.add_get("/v1/commands/{key}", self.command)
        app.router.add_get("/v1/stock", self.stocked)
        for whose in ("", "/{peer}"):
            app.router.add_post(f"{whose}/v1/deposits", self.deposit)
            app.router.add_post(f"{whose}/v1/orders", self.order)
        app.router.add_post("/v1/withdrawals", self.withdrawal)
        return app

    async def ring(self, request: web.Request) -> web.Response:
        me = int(request.match_info.get("peer", 0))
        if self.peers[me].silent:
            return web.json_response({"title": "starting"}, status=503)
        rows: list[dict[str, Any]] = []
        for number, one in enumerate(self.peers):
            row = {"id": number, "url": f"{self.url}/{number}", "voter": one.voter}
            if number == me:
                own = {"trader": one.trader, "epoch": one.epoch, "applied_index": self.index}
                row |= {"pid": one.pid, **own}
            rows.append(row)
        told: dict[str, Any] = {"trader": self.peers[me].trader, "epoch": self.peers[me].epoch}
        told |= {"ring": "fake", "waits": "", "index": self.index, "commit_index": self.index}
        return web.json_response({**told, "peers": rows})

    async def metrics(self, request: web.Request) -> web.Response:
        one = self.peers[int(request.match_info["peer"])]
        told = METRICS.format(start=one.start, ended=one.ended, seconds=one.seconds)
        return web.Response(text=told)

    async def shown(self, _request: web.Request) -> web.Response:
        return web.json_response({"index": self.index, "trades": self.trades})

    async def command(self, request: web.Request) -> web.Response:
        found = self.keys.get(request.match_info["key"])
        return web.json_response(found or {}, status=200 if found else 404)

    async def stocked(self, _request: web.Request) -> web.Response:
        items = {
            item: {"on_offer": left, "lots": [{"lot": 1, "quantity": left}]}
            for item, left in self.stock.items()
            if left
        }
        return web.json_response({"items": items})

    async def deposit(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.stock[body["item"]] = body["quantity"]
        return web.json_response({})

    async def order(self, request: web.Request) -> web.Response:
        key, body = request.headers["Idempotency-Key"], await request.json()
        if key not in self.lose:
            self.fill(key, body["item"])
        if key in self.double:
            self.fill("", body["item"])
        told = {"outcome": "filled", "index": self.index, "epoch": self.peers[0].epoch}
        return web.json_response(told)

    def fill(self, key: str, item: str) -> None:
        self.index += 1
        if self.index in self.turns:
            self.reign(1)
        self.stock[item] -= 1
        self.trades.append({"index": self.index, "item": item})
        self.keys.setdefault(key, {"index": self.index, "outcome": "filled"})

    async def withdrawal(self, request: web.Request) -> web.Response:
        body = await request.json()
        for item in self.stock:
            self.stock[item] -= body["quantity"]
        return web.json_response({})


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[FakeRing]:
    made = FakeRing()
    runner = web.AppRunner(made.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()
