"""The trader's pod is deleted under load, in a ring that can bear it: the middle of `helm test`.

The ring is looked at last before the deletion, so that a reign of a later epoch began behind that;
and the pod must be another one behind it, or none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple

import aiohttp

from bazaar_peer.command.client import CallError, call
from bazaar_peer.command.drill.place import (
    Interregna,
    Line,
    View,
    interregna_of,
    unsettled,
    view_of,
)
from bazaar_peer.command.pods import Pods, PodsError
from bazaar_peer.command.tally import Tally
from bazaar_peer.runtime.answers import body_within

BEFORE = 25
"""Orders that are acknowledged before the deletion."""
VOTERS_MIN = 3
"""Fewer have no majority without one of them."""
WAIT_S = 45.0
LOOK_S, ASK_S = 0.1, 3.0
LOOKS_MAX = 3
METRICS_MAX_BYTES = 4 << 20
TOO_SMALL = (
    "the trader's pod is left alone: without it a ring of {voters} has no majority, and takes "
    "nothing until it is back; with 3 peers or more this is a drill, too"
)


class SelfTestError(Exception):
    """What is wrong, in a sentence."""


class Handed(NamedTuple):
    """One reign that ended with its pod, and the next one."""

    pod: str
    next_pod: str
    interregnum_ms: float | None
    """By the next trader's own count; None: that says nothing of this one alone."""


class Counted(NamedTuple):
    """What a peer has counted since its process began."""

    since: str
    """When that was, by its own word; empty: it does not tell."""
    interregna: Interregna


class Drill:
    """What is done to the ring while the load runs."""

    def __init__(self, url: str, name: str, pods: Pods, say: Callable[[str], None]) -> None:
        self.url, self.name, self.pods, self.say = url, name, pods, say
        self.view = View("", ())
        self.loading: asyncio.Task[Tally] | None = None
        self._counted: dict[int, Counted] = {}

    # ---- what is waited for

    async def settled(self) -> None:
        """Wait until every peer answers, and follows one trader that claims the reign itself."""

        async def missing() -> str:
            self.view = await _look(self.url)
            return unsettled(self.view)

        await self._until(missing, "the ring did not settle")

    async def bought(self, tally: Tally) -> None:
        """Wait until orders are answered."""

        async def missing() -> str:
            return "" if tally.acknowledged > BEFORE else f"{tally.acknowledged} are answered"

        await self._until(missing, "too few orders are answered")

    async def _reign_behind(self, epoch: int) -> None:
        async def missing() -> str:
            self.view = view = await _look(self.url)
            reigns = view.trader is not None and view.trader.epoch > epoch
            return "" if reigns else f"there is no trader of an epoch behind {epoch}"

        await self._until(missing, "nobody has come to reign")

    async def _gone(self, peer: int, life: str) -> None:
        async def missing() -> str:
            return f"{self._pod(peer)} is still the same" if await self._life(peer) == life else ""

        await self._until(missing, "the pod that was deleted goes on")

    async def _until(self, missing: Callable[[], Awaitable[str]], what: str) -> None:
        end = time.monotonic() + WAIT_S
        while True:
            try:
                why = await missing()
            except (CallError, PodsError) as silent:
                why = str(silent)
            if not why:
                return
            if self.loading is not None and self.loading.done():
                raise SelfTestError(f"{what}, and the load has ended ({why})")
            if time.monotonic() > end:
                raise SelfTestError(f"{what} within {WAIT_S:g} s: {why}")
            await asyncio.sleep(LOOK_S)

    # ---- what is done

    async def may_lose_one(self) -> bool:
        """Tell whether the ring has a majority without its trader; say so if it has none."""
        await self.settled()
        if self.view.voters >= VOTERS_MIN:
            return True
        self.say(TOO_SMALL.format(voters=self.view.voters))
        return False

    async def hand_over(self) -> Handed:
        """Delete the trader's pod, and wait for the next reign and for the end of that pod."""
        trader, uid = await self._trader()
        pod, life = self._pod(trader.peer), uid or str(trader.pid)
        self.say(f"orders are taken; deleting the trader's pod {pod}, epoch {trader.epoch}")
        await self.pods.delete(pod, uid)
        await self._reign_behind(trader.epoch)
        reigns = self.view.trader
        assert reigns is not None
        # At once: another election behind this one would be counted, too.
        spell = spell_ms(reigns.peer, self._counted, await counted([reigns]))
        await self._gone(trader.peer, life)
        return Handed(pod, self._pod(reigns.peer), spell)

    async def _trader(self) -> tuple[Line, str | None]:
        """Return the trader and its pod's uid, once all that has to be known of the ring is."""
        for _ in range(LOOKS_MAX):
            found = self.view.trader
            assert found is not None
            uid = await self.pods.uid(self._pod(found.peer))
            if uid == "":
                raise SelfTestError(
                    f"peer {found.peer} trades, and has no pod {self._pod(found.peer)}"
                )
            self._counted = await counted(self.view.lines)
            await self.settled()  # the last look: whatever reigns behind this epoch began later
            trader = self.view.trader
            assert trader is not None
            if (trader.peer, trader.epoch) == (found.peer, found.epoch):
                return trader, uid
        raise SelfTestError(f"the trader changed by itself, {LOOKS_MAX} times within moments")

    def _pod(self, peer: int) -> str:
        return f"{self.name}-{peer}"

    async def _life(self, peer: int) -> str:
        """Return what tells a pod from its successor: its uid, or else the process in it."""
        uid = await self.pods.uid(self._pod(peer))
        if uid is not None:
            return uid
        line = (await _look(self.url)).line(peer)
        return str(line.pid) if line is not None else ""


async def _look(url: str) -> View:
    """Ask one peer who is in the ring, and each of those what it says itself.

    Raises:
        CallError: no answer, or one that is no peer's.
    """

    async def ask(peer: str) -> dict[str, Any] | None:
        try:
            return await asyncio.wait_for(call("GET", peer, "/v1/ring"), ASK_S)
        except (CallError, TimeoutError):
            return None

    first = await ask(url)
    if first is None:
        raise CallError(f"no answer from {url}")
    try:
        return view_of(first, await asyncio.gather(*(ask(row["url"]) for row in first["peers"])))
    except (KeyError, TypeError, ValueError) as wrong:
        raise CallError(f"{url} answers, but not as a peer does: {wrong!r}") from wrong


async def counted(peers: Iterable[Line]) -> dict[int, Counted]:
    """Return what each of these has counted; who is silent is left out."""
    timeout = aiohttp.ClientTimeout(total=5.0)
    found: dict[int, Counted] = {}
    async with aiohttp.ClientSession(timeout=timeout) as http:
        for line in peers:
            try:
                async with http.get(f"{line.url}/metrics") as answer:
                    text = (await body_within(answer, METRICS_MAX_BYTES)).decode()
            except (aiohttp.ClientError, TimeoutError, ValueError):
                continue
            began = [row for row in text.splitlines() if row.startswith("process_start_time_")]
            found[line.peer] = Counted("".join(began), interregna_of(text))
    return found


def spell_ms(
    peer: int, before: Mapping[int, Counted], after: Mapping[int, Counted]
) -> float | None:
    """Return how long a peer saw no trader between two scrapes; None: that is not known.

    It is known if the same process has counted one more, and so this one alone.
    """
    old, new = before.get(peer), after.get(peer)
    if old is None or new is None or not new.since or old.since != new.since:
        return None
    counted = new.interregna.behind(old.interregna)
    return round(counted.seconds * 1e3, 1) if counted.ended == 1 else None
