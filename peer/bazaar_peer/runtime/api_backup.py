"""GET /v1/backup: all that the ring has executed, as one file; restoring.py makes a ring of it.

It holds every session and key, so that repeats are known after it, and takes the ring's token.
What was acknowledged before it was asked for is in it: it is read like any linearizable read (R12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aiohttp import web

from bazaar_peer.runtime.api import Commands, Handler
from bazaar_peer.runtime.checkpoint_file import encoded
from bazaar_peer.runtime.credential import authorize_admin
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.problems import Problem

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

PIECE_BYTES = 64 * 1024
TAKES_S = 600.0
"""Whoever reads slower than that has no backup."""


class BackupView:
    """One at a time: the state of its moment is kept for as long as it is read."""

    def __init__(self, peer: Peer, commands: Commands) -> None:
        self.peer, self.commands = peer, commands
        self._reading = False

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer with the state, the file's end last: what breaks off is known to be cut short."""
        authorize_admin(request)
        if self._reading:
            raise Problem(429, "another backup is read from this peer: wait, or ask another peer")
        self._reading = True
        try:
            async with asyncio.timeout(TAKES_S):
                await self.commands.current(self.commands.caller(request), linearizable=True)
                return await self._send(request)
        except TimeoutError:
            raise ConnectionResetError from None
        finally:
            self._reading = False

    async def _send(self, request: web.Request) -> web.StreamResponse:
        state = self.peer.state
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "Bazaar-Index": f"{self.commands.ring}:{state.index}",
            }
        )
        pieces = _joined(encoded(Place(state.epoch, state.index, state.chain), state.snapshot()))
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)  # trading goes first
        await response.write_eof()
        return response

    async def put(self, request: web.Request) -> web.Response:
        """Refuse a backup: a peer that serves has what it begins with."""
        authorize_admin(request)
        raise Problem(409, "this peer serves already: a ring is given its backup before it begins")

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [("GET", "/v1/backup", self.get), ("PUT", "/v1/backup", self.put)]


def _joined(small: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of some size."""
    piece = bytearray()
    for part in small:
        piece += part
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
