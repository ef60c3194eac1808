"""`bazaar scale`: wish for a size, and watch the ring go there one member at a time (R10)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bazaar_peer.command.client import CallError, call, fresh_key
from bazaar_peer.command.ring_folder import RingError, open_ring
from bazaar_peer.core.admission import PEERS_MAX

LOOK_S = 0.1
ANSWER_S = 2.0


async def scale(
    folder: Path, size: int, timeout_s: float, say: Callable[[str], object]
) -> dict[str, Any]:
    """Return what the ring looks like when it has that size.

    Raises:
        RingError: no ring runs there, or it has not got there in time; the text says why.
        CallError: the wish was refused.
    """
    ring = open_ring(folder)
    running = ring.running() if ring else None
    if ring is None or running is None:
        raise RingError(f"no ring runs in {folder}; start it with `bazaar up --data {folder}`")
    if not 1 <= size <= PEERS_MAX:
        raise RingError(f"a ring has 1 to {PEERS_MAX} peers, not {size}")
    urls = running.urls(max(ring.size(), size))
    began, waits = time.monotonic(), ""
    wished = await _wish(urls, size)
    while True:
        found = await _newest(urls)
        if found and _is(found, size):
            return found
        if found and found["generation"] > wished:
            raise RingError(f"somebody has wished for {found['size']} peers since; look at it")
        told = str(found["waits"]) if found else "no peer answers"
        if told and told != waits:
            say(told)
            waits = told
        if time.monotonic() - began > timeout_s:
            raise RingError(
                f"the ring has not got to {size} peers in {timeout_s:g} s, and goes on: "
                f"{waits or 'its trader does not say what it waits for'}"
            )
        await asyncio.sleep(LOOK_S)


async def _wish(urls: list[str], size: int) -> int:
    """Send the wish through any peer, under a generation above all; return that."""
    found = await _newest(urls)
    if found is None:
        raise RingError("no peer of the ring answers; is it running? `bazaar ring` shows it")
    generation = int(found["generation"])
    if found["size"] == size:
        return generation
    body = {"size": size, "generation": generation + 1}
    key = {"Idempotency-Key": fresh_key()}
    told = await call("POST", str(found["from"]), "/v1/members", body, key)
    return int(told["generation"])


async def _newest(urls: list[str]) -> dict[str, Any] | None:
    """Return the view of the trader, or else of whoever has applied most."""

    async def one(url: str) -> dict[str, Any] | None:
        try:
            return {**await asyncio.wait_for(call("GET", url, "/v1/ring"), ANSWER_S), "from": url}
        except (CallError, TimeoutError):
            return None

    views = [view for view in await asyncio.gather(*(one(url) for url in urls)) if view]
    return max(views, key=lambda view: (bool(view["waits"]), int(view["index"])), default=None)


def _is(found: dict[str, Any], size: int) -> bool:
    """Tell whether exactly the wished peers are members, and all of them vote."""
    voters = [peer["id"] for peer in found["peers"] if peer["voter"]]
    return bool(found["size"] == size) and voters == [*range(size)] == [
        peer["id"] for peer in found["peers"]
    ]
