"""`GET /v1/events`: server-sent events of this peer, as they happen.

`trade` events come from the applied state; all others are the core's notes under their own names
(`election`, `reign_begun`, `follows`, …); `heartbeat` tells every second that the peer lives. A
subscriber that does not read loses its connection, never its order.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bazaar_peer.core.effects import Note
from bazaar_peer.market import views
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.api import authorize
from bazaar_peer.runtime.problems import Problem

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

SUBSCRIBERS_MAX = 64
QUEUE_MAX = 1024
LOOK_S = 0.1
HEARTBEAT_TURNS = 10
TRADES_MAX = 500
"""Trades told in one look; a busier market is told in samples, and `skipped` says so."""


class Events:
    """The subscribers of one peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._queues: set[asyncio.Queue[bytes]] = set()

    def note(self, note: Note) -> None:
        """Observe a note of the core."""
        if self._queues:
            self._tell(note.kind, note.fields)

    def _tell(self, kind: str, told: dict[str, Any]) -> None:
        line = f"event: {kind}\ndata: {json.dumps(told)}\n\n".encode()
        for queue in list(self._queues):
            if queue.full():
                self._queues.discard(queue)
                queue.get_nowait()
                queue.put_nowait(b"")
            else:
                queue.put_nowait(line)

    async def watch(self) -> None:
        """Look for trades while somebody listens; run as a task of the application."""
        seen, turn = self.peer.state.index, 0
        while True:
            await asyncio.sleep(LOOK_S)
            index, machine = self.peer.state.index, self.peer.state.machine
            if self._queues and isinstance(machine, Market):
                found = views.trades(machine, seen, TRADES_MAX)
                for t in found:
                    told = {"index": t.index, "buyer": t.buyer, "item": t.item}
                    self._tell("trade", told | {"quantity": t.quantity, "paid": t.paid})
                if len(found) == TRADES_MAX and found[-1].index < index:
                    self._tell("skipped", {"after": found[-1].index, "to": index})
                turn += 1
                if turn % HEARTBEAT_TURNS == 0:
                    told = {"index": index, "epoch": self.peer.epoch, "trader": self.peer.trader}
                    self._tell("heartbeat", told)
            seen = index

    async def get(self, request: web.Request) -> web.StreamResponse:
        authorize(request)
        if len(self._queues) >= SUBSCRIBERS_MAX:
            raise Problem(429, f"{SUBSCRIBERS_MAX} subscribers listen already; ask another peer")
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_MAX)
        self._queues.add(queue)
        try:
            await response.prepare(request)
            while line := await queue.get():
                await response.write(line)
        finally:
            self._queues.discard(queue)
        return response
