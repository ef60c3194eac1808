"""One fault behind the other in a ring under load, then the audit: everything that takes time.

Each fault begins in a settled ring and ends in one. How long there was no trader is what the peers
have counted between looks at their metrics: before the fault, soon behind the next reign, and when
the ring has settled (counting.py).
Whatever ends a drill early, what was done is undone, and what was seen is summed up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from bazaar_peer.command.drill.counting import Look, spell
from bazaar_peer.command.drill.ending import EndedEarly, Ends
from bazaar_peer.command.drill.figures import Drilled, Fault, drill_json
from bazaar_peer.command.drill.noted import with_faults
from bazaar_peer.command.drill.place import (
    Audit,
    Line,
    Loaded,
    Place,
    View,
    settled,
    without_next,
)
from bazaar_peer.command.drill.plan import BETWEEN_S, DrillError, Kind, MisuseError, Options
from bazaar_peer.record.collect import Story

TOLD_S = 0.5
STORY_S = 10.0
"""Of the ring's story before the drill, so that it begins in peace."""


class Screen(Protocol):
    """Who is told what happens."""

    def say(self, sentence: str) -> None: ...
    def loaded(self, told: str) -> None: ...
    def done(self, fault: Fault) -> None: ...


class Clock:
    """The wall's, but a step of it between two moments is not seen."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()


@dataclass
class Engine:
    """One drill; `run` once, with `ends` entered."""

    options: Options
    place: Place
    screen: Screen
    clock: Clock = field(default_factory=Clock)
    faults: list[Fault] = field(default_factory=list)
    stopped: str = ""
    """Why it ended before its time, if it did."""
    story: Story | None = None
    peers: int = 0
    began: float | None = None
    """When orders were taken."""

    def __post_init__(self) -> None:
        self.ends = Ends(self.screen.say, lambda: self.place.by_hand)

    @property
    def interrupted(self) -> bool:
        return self.ends.asked

    async def run(self) -> dict[str, Any]:
        """Return drill.json; `stopped` and `interrupted` say whether it is all of it.

        Raises:
            DrillError: it could not be begun.
        """
        place = self.place
        try:
            await self.ends.during(self._all())
        except DrillError as wrong:
            if self.began is None:
                raise
            self._stop(str(wrong))
        except EndedEarly:
            if self.began is None:
                raise DrillError("interrupted before an order was taken: nothing is hurt") from None
        assert self.began is not None
        ended = self.clock.now()
        loaded = await self._end_load()
        self.story = await self._story(self.clock.now() - self.began + STORY_S)
        self.screen.say("is every acknowledged order there, and once only? The audit begins")
        return drill_json(
            Drilled(
                options=self.options,
                target=place.target,
                peers=self.peers,
                began=min((order.due for order in loaded.orders), default=self.began),
                ended=max((order.done for order in loaded.orders), default=ended),
                faults=self.faults,
                loaded=loaded,
                audit=await self._audit(),
                story=self.story.entries if self.story else (),
            )
        )

    def _stop(self, why: str) -> None:
        self.stopped = f"{self.stopped}; {why}" if self.stopped else why

    # What fails at the end, in whatever way, costs its own part of the result, and no other.

    async def _end_load(self) -> Loaded:
        try:
            return await self.place.end_load()
        except Exception as wrong:
            self._stop(f"what the load has seen is lost: {_said(wrong)}")
            return Loaded(dict.fromkeys(("sent", "acknowledged", "failed", "retried"), 0), [], [])

    async def _story(self, seconds: float) -> Story | None:
        try:
            story = await self.place.story(seconds)
        except Exception as wrong:
            self.screen.say(f"there is no story of it: {_said(wrong)}")
            return None
        if story is not None and self.place.one_clock:
            story = with_faults(story, self.faults)
        return story

    async def _audit(self) -> Audit:
        try:
            return await self.ends.during(self.place.audit())
        except EndedEarly:
            return Audit(failed="it was interrupted")
        except Exception as wrong:
            return Audit(failed=_said(wrong))

    async def _begin(self) -> None:
        options, place = self.options, self.place
        view = await settled(place)
        _victim(view, 1, options)
        self.peers = view.voters
        await place.begin_load(options.load_s)
        self.began = self.clock.now()
        self.screen.say(f"orders are taken, {options.rate:g} a second")

    async def _all(self) -> None:
        await self._begin()
        before = await self._looked(await settled(self.place))
        for number in range(1, self.options.times + 1):
            await self._meanwhile(BETWEEN_S)
            before = await self._one(number, before)
        await self._meanwhile(BETWEEN_S)

    async def _one(self, number: int, before: Look) -> Look:
        """Put one fault into a ring that is settled; return what the peers count behind it."""
        place, options = self.place, self.options
        view = await settled(place)
        victim, trader = _victim(view, number, options), view.trader
        assert trader is not None
        if trader.epoch != before.epoch:  # one that nobody asked for is not this fault's
            before = await self._looked(view)
        began = self.clock.now()
        await place.hurt(options.kind, victim, view, options.seconds)
        ended = self.clock.now() + place.late_s
        next_reign = await settled(place, without_next(trader.epoch))
        await self._meanwhile(BETWEEN_S)  # the look at their metrics costs them some milliseconds
        first = await self._looked(next_reign)
        behind = await self._looked(await settled(place))
        since = began if place.one_clock else 0.0
        cost = spell(before, first, behind, victim=victim.peer, since=since)
        fault = Fault(
            number=number,
            kind=options.kind,
            victim=victim.peer,
            began=began,
            ended=ended,
            epoch_before=trader.epoch,
            epoch_after=first.epoch,
            trader_after=first.trader,
            cost=cost,
        )
        self.faults.append(fault)
        self.screen.done(fault)
        return behind

    async def _looked(self, view: View) -> Look:
        """Ask all peers for what they have counted; who does not tell is left out."""
        trader, found = view.trader, {}
        assert trader is not None
        for line in view.lines:  # one after the other: it costs a peer some milliseconds
            if line.pid:
                with contextlib.suppress(DrillError):
                    found[line.peer] = (line, await self.place.interregna(line))
        return Look(trader.epoch, trader.peer, found)

    async def _meanwhile(self, seconds: float) -> None:
        """Let the load go on for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.screen.loaded(await self.place.loaded())
            await asyncio.sleep(min(left, TOLD_S))


def _said(wrong: Exception) -> str:
    """Return a sentence that was made for people, or what there is."""
    return str(wrong) if isinstance(wrong, DrillError) else repr(wrong)


def _victim(view: View, number: int, options: Options) -> Line:
    """Return whose turn it is: the trader, or one follower after the other."""
    trader = view.trader
    assert trader is not None
    if not options.follower and options.kind is not Kind.FOLLOWER:
        return trader
    followers = [line for line in view.lines if line.peer != trader.peer]
    if not followers:
        raise MisuseError("a ring of one peer has no follower")
    return followers[number % len(followers)]
