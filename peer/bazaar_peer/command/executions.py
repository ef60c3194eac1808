"""What acknowledged orders came to, key by key (S6).

That as many pieces are gone as orders were acknowledged proves nothing alone: one order lost and
another one done twice add up. So every key is looked up for the one index at which it was executed,
and the trades that the peers still show must lie at these indexes and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from bazaar_peer.command.client import CallError, call

AT_ONCE, TRIES, AGAIN_S = 8, 10, 0.5
"""Look-ups under way; attempts at one; the pause before the next attempt."""
SHOWN_MAX = 1000
"""Trades that a peer keeps to show."""


class Shown(NamedTuple):
    """What one peer shows: each trade that it executed from `first` up to `last`."""

    first: int
    last: int
    own: list[int]
    """The indexes of those that bought the goods."""


async def wrong_executions(
    url: str, peers: Sequence[str], client: str, keys: Sequence[str], item: str, gone: int
) -> list[str]:
    """Return a sentence for all that is not as it was acknowledged.

    `keys`: of the client's acknowledged orders, one piece each, of goods that nobody else buys;
    `gone`: so many pieces of them are gone.

    Raises:
        CallError: a key cannot be looked up.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> int:
        async with turns:
            return await _index(url, client, key)

    found = await asyncio.gather(*(one(key) for key in keys))
    shown = await asyncio.gather(*(_shown(peer, item) for peer in peers))
    return judge(dict(zip(keys, found, strict=True)), [one for one in shown if one], gone)


def judge(indexes: dict[str, int], shown: Sequence[Shown], gone: int) -> list[str]:
    """Say what is wrong; `indexes`: where each key was executed, 0 if it was not."""
    known = {index for index in indexes.values() if index}
    lost = [
        key
        for key, index in indexes.items()
        if not index
        or any(one.first <= index <= one.last and index not in one.own for one in shown)
    ]
    more = sorted({index for one in shown for index in one.own} - known)
    shared = len([index for index in indexes.values() if index]) - len(known)
    told = []
    if lost:
        told.append(f"{len(lost)} acknowledged orders were not executed, lost ({_some(lost)})")
    if shared:
        told.append(f"{shared} orders were lost: they were answered with the execution of another")
    if more or any(len(one.own) > len(set(one.own)) for one in shown):
        told.append(f"orders were done twice: nobody was answered what index {_some(more)} did")
    if gone != len(indexes):
        word = "lost" if gone < len(indexes) else "done twice"
        told.append(f"{len(indexes)} orders were acknowledged, and {gone} took effect: {word}")
    return told


def _some(found: Sequence[object]) -> str:
    return ", ".join(map(str, found[:3])) + (", …" if len(found) > 3 else "")


async def _index(url: str, client: str, key: str) -> int:
    """Return where an order was filled; 0: nowhere, as the ring knows."""
    tries = 0
    while True:
        try:
            found = await call("GET", url, f"/v1/commands/{key}", headers={"Bazaar-Client": client})
        except CallError as wrong:
            tries += 1
            if wrong.status == 404:
                return 0
            if tries == TRIES:
                raise
            await asyncio.sleep(AGAIN_S)
        else:
            return int(found["index"]) if found["outcome"] == "filled" else 0


async def _shown(peer: str, item: str) -> Shown | None:
    """Ask a peer for its trades; None: it does not answer, or has executed none."""
    try:
        found = await asyncio.wait_for(call("GET", peer, f"/v1/trades?limit={SHOWN_MAX}"), 5.0)
    except (CallError, TimeoutError):
        return None
    trades: list[dict[str, Any]] = found["trades"]
    if not trades:
        return None
    own = [int(trade["index"]) for trade in trades if trade["item"] == item]
    return Shown(int(trades[0]["index"]), int(found["index"]), own)
