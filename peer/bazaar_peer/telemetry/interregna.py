"""Since when there is no trader, as one peer sees it, from the notes of its core.

An interregnum begins with the first sign of the loss, or with the hand-over, and ends with the next
reign that this peer follows or begins. One that a hand-over began is planned. Whose trader is heard
again (a poll in vain, a post that opened again) has seen none.

Who ends one itself knows its phases: noticed, from the beginning to its own first step; elected,
until a majority had promised; begun, until the reign was committed.

Times are the core's, in ns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bazaar_peer.core.types import Nanos

Fields = Mapping[str, int | str]


class Interregnum(NamedTuple):
    """One that is over; `planned`: a hand-over began it."""

    began: Nanos
    ended: Nanos
    planned: bool
    phases: tuple[Nanos, Nanos, Nanos] | None = None
    """How long each took, at the peer whose reign ended it; together they are the whole."""


STEPS = frozenset({"election", "poll", "nominated", "nominee"})
"""Notes of an own step towards the next reign; a promise is a step of somebody else's."""


class Interregna:
    """`heard_at` tells when the trader was last heard, `has_trader` whether there is one now."""

    def __init__(
        self, now: Nanos, heard_at: Callable[[], Nanos], has_trader: Callable[[], bool]
    ) -> None:
        self._heard_at, self._has_trader = heard_at, has_trader
        self._began: Nanos = now
        self._open, self._planned = True, False
        self._first = True
        """What began with the process is no loss that it has seen."""
        self.ended_at: Nanos = -1
        self._stepped_at: Nanos = -1
        self._invested_at: Nanos = -1

    def note(self, kind: str, fields: Fields, now: Nanos) -> Interregnum | None:
        """Take a note; return the interregnum that it ends."""
        match kind:
            case "trader_lost" | "stepped_down":
                self._begin(now, planned=False)
            case "hand_over":
                self._begin(now, planned=True)
            case "promised" | "nominee":
                planned = bool(fields.get("transfer"))
                self._begin(now if planned else self._since(now), planned=planned)
            case "election" | "poll":
                self._begin(self._since(now), planned=False)
            case "post_reopened" | "hears_again":
                self._forget()
            case "invested":
                self._invested_at = now
            case "follows" | "reign_begun":
                return self._end(now, own=kind == "reign_begun")
            case _:
                pass
        if kind in STEPS and self._stepped_at < 0:
            self._stepped_at = now
        return None

    def overlaps(self, began: Nanos) -> bool:
        """Tell whether a request that began then, and is answered now, met an interregnum."""
        if self._open and not self._first and self._has_trader():
            self._forget()
        return self._open or self.ended_at > began

    def _since(self, now: Nanos) -> Nanos:
        """A loss is noticed after a silence, and the silence belongs to it."""
        return min(now, max(self._heard_at(), self.ended_at))

    def _begin(self, at: Nanos, *, planned: bool) -> None:
        if not self._open:
            self._open, self._began, self._planned = True, at, planned
            self._stepped_at = self._invested_at = -1

    def _forget(self) -> None:
        self._open = False

    def _end(self, now: Nanos, *, own: bool) -> Interregnum | None:
        was_open, first = self._open, self._first
        self._open = self._first = False
        self.ended_at = now
        if first or not was_open:
            return None
        return Interregnum(self._began, now, self._planned, self._phases(now) if own else None)

    def _phases(self, now: Nanos) -> tuple[Nanos, Nanos, Nanos]:
        stepped = self._stepped_at if self._stepped_at >= 0 else self._began
        invested = max(stepped, self._invested_at)
        return (stepped - self._began, invested - stepped, now - invested)
