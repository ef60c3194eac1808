"""Leaving well (R11, K1): hand over, answer what was taken, serve on for a while, and go."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from bazaar_peer.core.events import Resign
from bazaar_peer.core.standing import reaches_majority

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.runtime.driver import Driver

DESERTED_S = 4.0
"""Where a whole ring goes nobody is left to hand over to, and nobody waits for the grace period;
a pod serves on for longer than this in any case."""
LOOK_S = 0.05


async def leave(driver: Driver, peer: Peer, *, grace_s: float, linger_s: float) -> None:
    """Return when this peer may go: it has handed over, has nobody to do so, or its time is up."""
    began = time.monotonic()
    driver.submit(Resign(leaving=True))
    alone = asyncio.ensure_future(deserted(peer))
    ends: list[asyncio.Future[Any]] = [driver.stopped, alone]
    await asyncio.wait(ends, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
    alone.cancel()
    await asyncio.sleep(max(0.0, linger_s - (time.monotonic() - began)))


async def deserted(peer: Peer, seconds: float = DESERTED_S) -> None:
    """Return when no majority has been linked for so long, and nobody waits for an answer here."""
    since = time.monotonic()
    while time.monotonic() - since < seconds or not peer.ingress.idle:
        if reaches_majority(peer):
            since = time.monotonic()
        await asyncio.sleep(LOOK_S)
