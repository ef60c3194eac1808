"""`POST /v1/cut`: a partition, for drills.

For some seconds this peer drops what it would send to the named peers, and what comes from them.
Connections stand: a cut is silence, as where a network loses every packet, and no refusal. It heals
by itself, whatever becomes of who asked for it, and a process that ends forgets it.

It exists only where the process was started for it (`ProcessSettings.drills`): `bazaar up` does so,
and an operator where `spec.drills` of the Bazaar says so. Who asks shows the ring's token there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec
from aiohttp import web

from bazaar_peer.core.types import PeerId, ordinal_of
from bazaar_peer.runtime.bodies import body_of
from bazaar_peer.runtime.credential import authorize_admin
from bazaar_peer.runtime.drill_bodies import CutOff
from bazaar_peer.runtime.problems import wrong
from bazaar_peer.runtime.transport import Transport

if TYPE_CHECKING:
    from bazaar_peer.core.messages import Message
    from bazaar_peer.runtime.api import Handler

log = logging.getLogger("bazaar.cut")

_cut_off = msgspec.json.Decoder(CutOff)


class Carrier(Transport, Protocol):
    """A transport whose listener can be changed."""

    deliver: Callable[[PeerId, list[Message]], None]


class Cut:
    """Stands between a transport and its driver, both ways; `clock` in seconds."""

    def __init__(
        self, me: int, transport: Carrier, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._me, self._transport, self._clock = me, transport, clock
        self._deliver, transport.deliver = transport.deliver, self.deliver
        self._ordinals: frozenset[int] = frozenset()
        self._until = 0.0
        self.changed: Callable[[frozenset[int], float], None] = lambda _ordinals, _seconds: None
        """Hears from whom this peer is cut off, and for how long at most; from nobody: healed."""

    # ---- what the driver and the transport call

    def send(self, to: tuple[PeerId, ...], message: Message) -> None:
        if self._until:
            to = tuple(peer for peer in to if not self._severed(peer))
        self._transport.send(to, message)

    def meet(self, others: Iterable[PeerId]) -> None:
        self._transport.meet(others)

    def deliver(self, sender: PeerId, messages: list[Message]) -> None:
        if not (self._until and self._severed(sender)):
            self._deliver(sender, messages)

    def _severed(self, peer: PeerId) -> bool:
        if self._clock() >= self._until:
            self.cut((), 0.0)
            return False
        return ordinal_of(peer) in self._ordinals

    # ---- what a driller asks for

    def cut(self, ordinals: Iterable[int], seconds: float) -> None:
        """Cut these off, and nobody else, from now on; nobody: heal."""
        was_cut = self._until > 0.0
        self._ordinals = frozenset(ordinals)
        self._until = self._clock() + seconds if self._ordinals else 0.0
        if self._ordinals or was_cut:
            self.changed(self._ordinals, seconds)

    async def post(self, request: web.Request) -> web.Response:
        authorize_admin(request)
        asked = await body_of(request, _cut_off)
        if self._me in asked.peers:
            raise wrong("peers", f"other peers than this one, which is peer {self._me}")
        self.cut(asked.peers, asked.seconds)
        told = {"peers": sorted(self._ordinals), "seconds": asked.seconds}
        log.warning("cut", extra={"fields": told})
        return web.json_response(told)

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [("POST", "/v1/cut", self.post)]
