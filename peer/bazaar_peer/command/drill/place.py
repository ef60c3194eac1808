"""What a drill needs of a ring, wherever that runs, and when the ring is settled.

A ring is settled when every member answers, all follow one trader in one epoch, and nobody is far
behind: before that a further fault may take its majority, and what it costs would be another
fault's price.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bazaar_peer.command.drill.plan import DrillError, Kind
from bazaar_peer.command.orders import Order
from bazaar_peer.record.collect import Story

LOOK_S = 0.1
BEHIND_MAX = 200
"""Entries; the load goes on, so that a peer is always some behind."""
INTERREGNUM = re.compile(
    r'^bazaar_interregnum_(?:seconds_(count|sum)\{cause="(\w+)"\}'
    r"|(last_end)_timestamp_seconds) (\S+)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Line:
    """One member: what it says of itself, or what is known of a silent one."""

    peer: int
    url: str
    voter: bool = True
    pid: int = 0
    """0: it did not answer."""
    trader: int = -1
    epoch: int = 0
    applied: int = 0
    life: str = ""
    """Of its pod: there a pid says nothing."""


@dataclass(frozen=True)
class View:
    """A ring at one moment."""

    ring: str
    lines: tuple[Line, ...]
    waits: str = ""
    """What the trader does to the members."""

    def line(self, peer: int) -> Line | None:
        return next((line for line in self.lines if line.peer == peer), None)

    @property
    def trader(self) -> Line | None:
        """The peer that says that it trades, in the newest epoch."""
        claims = [line for line in self.lines if line.pid and line.trader == line.peer]
        return max(claims, key=lambda line: line.epoch, default=None)

    @property
    def voters(self) -> int:
        return sum(line.voter for line in self.lines)


def view_of(first: Mapping[str, Any], answers: Sequence[Mapping[str, Any] | None]) -> View:
    """Make a view of one peer's answer to GET /v1/ring, and of every member's own, in its order.

    Raises:
        KeyError, TypeError, ValueError: they are no such answers.
    """
    lines, waits = [], ""
    for row, answer in zip(first["peers"], answers, strict=True):
        peer, url, voter = int(row["id"]), str(row["url"]), bool(row["voter"])
        told = [own for own in (answer or {}).get("peers", ()) if own["id"] == peer]
        if answer is None or not told or "pid" not in told[0] or answer["ring"] != first["ring"]:
            lines.append(Line(peer, url, voter))
            continue
        own = told[0]
        waits = waits or str(answer["waits"])
        line = Line(
            peer, url, voter, int(own["pid"]),
            int(own["trader"]), int(own["epoch"]), int(own["applied_index"]),
        )  # fmt: skip
        lines.append(line)
    return View(str(first["ring"]), tuple(lines), waits)


def unsettled(view: View) -> str:
    """Return a sentence that says what a ring still waits for; empty: it is settled."""
    if silent := [str(line.peer) for line in view.lines if not line.pid]:
        return f"no answer from peer {', '.join(silent)}"
    trader = view.trader
    if trader is None:
        return "there is no trader"
    for line in view.lines:
        if (line.trader, line.epoch) != (trader.peer, trader.epoch):
            follows = f"follows {line.trader}" if line.trader >= 0 else "follows nobody"
            return f"peer {line.peer} {follows}, and {trader.peer} trades in epoch {trader.epoch}"
        if not line.voter:
            return f"peer {line.peer} has no vote yet: it copies the state"
        if trader.applied - line.applied > BEHIND_MAX:
            return f"peer {line.peer} is {trader.applied - line.applied} entries behind"
    return f"the ring changes: {view.waits}" if view.waits else ""


class Interregna(NamedTuple):
    """What a peer has counted since its process began."""

    ended: int
    seconds: float
    last_end: float = 0.0
    """By that machine's wall clock."""
    planned: int = 0
    """So many of them began with a hand-over."""

    def behind(self, before: Interregna) -> Interregna:
        """Return what was counted after an earlier look at the same process."""
        ended, planned = self.ended - before.ended, self.planned - before.planned
        return Interregna(ended, self.seconds - before.seconds, self.last_end, planned)


def interregna_of(metrics: str) -> Interregna:
    """Read a scrape."""
    found = {"count": 0.0, "sum": 0.0, "last_end": 0.0, "planned": 0.0}
    for word, cause, last, value in INTERREGNUM.findall(metrics):
        found[word or last] += float(value)
        if (word, cause) == ("count", "planned"):
            found["planned"] += float(value)
    return Interregna(int(found["count"]), found["sum"], found["last_end"], int(found["planned"]))


@dataclass
class Loaded:
    """What a load came to."""

    told: dict[str, Any]
    """The object that `bazaar load` prints."""
    orders: list[Order]
    peers: Sequence[int]
    """Which peer each place of an order is; -1: not known, as behind a Service."""


@dataclass
class Audit:
    """What `bazaar verify --url` found."""

    violations: list[str] = field(default_factory=list)
    omitted: int = 0
    """Violations without a sentence."""
    lost: int = 0
    twice: int = 0
    failed: str | None = None
    """Why it could not look; None: it looked, and only then no violation is a clean ring."""


class Place(Protocol):
    """A ring that can be looked at, loaded, hurt and audited."""

    target: str
    settle_s: float
    """So long a ring may take to settle."""
    late_s: float
    """So much later than `hurt` returns its effect may begin."""
    by_hand: str
    """What a person would have to do if the drill were killed now; empty: nothing."""
    one_clock: bool
    """The peers have this machine's wall clock."""

    async def look(self) -> View: ...

    async def interregna(self, line: Line) -> Interregna: ...

    async def hurt(self, kind: Kind, victim: Line, view: View, seconds: float) -> None:
        """Do it, and return when it is over: the process is gone, or goes on; undo it always."""

    async def begin_load(self, seconds: float) -> None:
        """Return when orders are taken; the load ends by itself after so many seconds."""

    async def loaded(self) -> str:
        """Return what the load says of itself now.

        Raises:
            DrillError: it has ended before it was told to.
        """

    async def end_load(self) -> Loaded: ...

    async def audit(self) -> Audit: ...

    async def story(self, seconds: float) -> Story | None:
        """Return what the peers have kept of the last seconds; None: nothing."""

    async def keep(self, folder: Path) -> None:
        """Copy the lists of what was acknowledged and of single orders into a folder.

        Raises:
            DrillError, OSError: they cannot be had, or not be written.
        """

    async def close(self) -> None:
        """Leave nothing behind.

        Raises:
            DrillError, OSError: something stays; the text says what.
        """


def without_next(epoch: int) -> Callable[[View], str]:
    """Return what is like `unsettled`, but content as soon as somebody reigns behind an epoch."""

    def missing(view: View) -> str:
        trader = view.trader
        return "" if trader is not None and trader.epoch > epoch else unsettled(view)

    return missing


async def settled(place: Place, missing_in: Callable[[View], str] = unsettled) -> View:
    """Wait until nothing is missing in a ring any more.

    Raises:
        DrillError: it is not within the place's bound; the text says what it waits for.
    """
    until = time.monotonic() + place.settle_s
    while True:
        view = await place.look()
        missing = missing_in(view)
        if not missing:
            return view
        if time.monotonic() > until:
            raise DrillError(f"the ring did not settle within {place.settle_s:g} s: {missing}")
        await asyncio.sleep(LOOK_S)
