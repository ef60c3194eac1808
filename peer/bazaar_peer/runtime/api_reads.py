"""What a client can see of a peer: committed entries only, each answer with its `Bazaar-Index`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from bazaar_peer.core.journal import entries
from bazaar_peer.core.messages import COMMAND, Entry, Submission, decode_record
from bazaar_peer.core.records import UNREADABLE
from bazaar_peer.core.types import name_of
from bazaar_peer.core.vector_clock import decode_stamp
from bazaar_peer.market import views
from bazaar_peer.market.commands import decode_command
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.api import Commands, Handler, authorize, json_response
from bazaar_peer.runtime.bodies import query_integer
from bazaar_peer.runtime.credential import is_admin
from bazaar_peer.runtime.problems import Problem, wrong
from bazaar_peer.runtime.settings import ProcessSettings

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.runtime.driver import Driver

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
LOTS_SHOWN = 20
JOURNAL_MAX_BYTES = 256 * 1024
KINDS = ("", "OpenSession", "CloseSession", "OpenPeer", "SetSize", "Join")
"""What an entry's kind is called; the machine's own commands have names of their own."""


class Reads:
    """Everything that a client can see."""

    def __init__(
        self, driver: Driver, peer: Peer, settings: ProcessSettings, commands: Commands
    ) -> None:
        self.driver, self.peer, self.settings = driver, peer, settings
        self.commands = commands

    async def _market(self, request: web.Request) -> Market:
        """Wait as the caller asks for, and return the state to read at once."""
        authorize(request)
        consistency = request.query.get("consistency", "local")
        if consistency not in {"local", "linearizable"}:
            raise wrong("consistency", "local or linearizable")
        caller = self.commands.caller(request)
        await self.commands.current(caller, linearizable=consistency == "linearizable")
        machine = self.peer.state.machine
        assert isinstance(machine, Market)
        return machine

    def _told(self, told: dict[str, Any]) -> web.Response:
        """Answer with plain values; sums of money may outgrow 64 bits, so not by msgspec."""
        index = self.peer.state.index
        return json_response(
            json.dumps({"index": index, **told}).encode(), self.settings.ring, index
        )

    async def stock(self, request: web.Request) -> web.Response:
        market = await self._market(request)
        heard = time.monotonic_ns() if self.peer.is_trader else self.peer.follower.heard_at
        age_ms = max(0, time.monotonic_ns() - heard) // 1_000_000
        return self._told({"age_ms": age_ms, "items": views.stock(market, LOTS_SHOWN)})

    async def trades(self, request: web.Request) -> web.Response:
        after = query_integer(request, "after", 0)
        limit = query_integer(request, "limit", LIMIT_DEFAULT, LIMIT_MAX)
        market = await self._market(request)
        return self._told({"trades": [_trade(t) for t in views.trades(market, after, limit)]})

    async def accounts(self, request: web.Request) -> web.Response:
        market = await self._market(request)
        return self._told({"accounts": views.accounts(market), "totals": views.totals(market)})

    async def journal(self, request: web.Request) -> web.Response:
        """Committed entries behind an index, as far back as this peer's journal goes."""
        after = query_integer(request, "after", 0)
        limit = query_integer(request, "limit", LIMIT_DEFAULT, LIMIT_MAX)
        await self._market(request)
        peer = self.peer
        told: list[dict[str, Any]] = []
        show = _entry_with_key if is_admin(request) else _entry
        for stored in peer.journal.behind(after, JOURNAL_MAX_BYTES):
            if stored.last > peer.state.index or len(told) >= limit:
                break
            for index, entry in entries(decode_record(stored.blob)):
                if index > after:
                    told.append({"index": index, "epoch": stored.epoch, **show(entry)})
        return self._told({"begins": peer.journal.base[1] + 1, "entries": told[:limit]})

    def _status(self, body: bytes) -> web.Response:
        return json_response(body, self.settings.ring, self.peer.state.index)

    async def healthz(self, request: web.Request) -> web.Response:
        return self._status(b'{"status":"alive"}')

    async def readyz(self, request: web.Request) -> web.Response:
        if not self.peer.is_ready():
            raise Problem(503, "not ready: it leaves the ring, or is too far behind the trader")
        return self._status(b'{"status":"ready"}')

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/v1/stock", self.stock),
            ("GET", "/v1/trades", self.trades),
            ("GET", "/v1/accounts", self.accounts),
            ("GET", "/v1/journal", self.journal),
            ("GET", "/healthz", self.healthz),
            ("GET", "/readyz", self.readyz),
        ]


def _trade(trade: Any) -> dict[str, Any]:
    shown = ("index", "buyer", "item", "quantity", "paid")
    told: dict[str, Any] = {name: getattr(trade, name) for name in shown}
    return told | {"parts": json.loads(trade.result)["parts"]}


def _entry(entry: Entry) -> dict[str, Any]:
    """Show an entry; a command's client and key are its client's own business."""
    if not isinstance(entry, Submission):
        return {"kind": type(entry).__name__}
    told = {"session": entry.session, "number": entry.number, "stamp": _stamp(entry.stamp)}
    if entry.kind != COMMAND:
        return {"kind": KINDS[entry.kind], **told}
    try:
        command = decode_command(entry.body)
    except UNREADABLE:
        return {"kind": "Invalid", **told}
    return {"kind": type(command).__name__, **told, **msgspec.structs.asdict(command)}


def _entry_with_key(entry: Entry) -> dict[str, Any]:
    """Show an entry to who may see whose it is."""
    told = _entry(entry)
    if isinstance(entry, Submission) and entry.client:
        told |= {"client": entry.client, "key": entry.key}
    return told


def _stamp(stamp: bytes) -> dict[str, int]:
    return {name_of(part): ticks for part, ticks in sorted(decode_stamp(stamp).items())}
