"""The registry of a process, over all lives of its peer, and its address: GET /metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bazaar_peer.telemetry.catalogue import Catalogue
from bazaar_peer.telemetry.meter import Meter
from bazaar_peer.telemetry.state import State

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.core.types import Nanos


class Telemetry:
    """`items`: of the market; `peers`: ordinals that the ring may have."""

    def __init__(self, items: Sequence[str] = (), peers: int = 1) -> None:
        self.catalogue = Catalogue(items, peers)
        self._state: State | None = None

    def meter(self, peer: Peer, clock: Callable[[], Nanos]) -> Meter:
        """Return the meter of a life that begins."""
        return Meter(self.catalogue, peer, clock)

    def begin(
        self, peer: Peer, clock: Callable[[], Nanos], waiting: Callable[[], int], replayed: int = 0
    ) -> None:
        """Show this life's state from now on; it read so many entries of its journal."""
        self.catalogue.recovered.set(replayed)
        self._state = State(self.catalogue, peer, clock, waiting)

    def end(self) -> None:
        """The life is over; its counts stay."""
        if self._state is not None:
            self._state.show()
            self._state.hide()
            self._state = None

    async def get(self, _request: web.Request) -> web.Response:
        if self._state is not None:
            self._state.show()
        shown = generate_latest(self.catalogue.registry)
        return web.Response(body=shown, headers={"Content-Type": CONTENT_TYPE_LATEST})
