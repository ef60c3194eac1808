"""Puts the records of many peers together: one axis, and no effect before its cause.

A `got` is tied to its `sent` by sender, receiver and what was said: the same thing said twice is
got in the order in which it was sent, so the k-th one got came of the k-th one sent; or, where the
clocks say that this one was still to come, of the last one before, for the network says some
things twice, and a record has a beginning. Drawn time is the corrected time, or that of the cause
and of the peer's own entry before, whichever is latest.

Room and work do not grow with time: of messages only the latest ends are remembered, and
of beats, which tie clocks together, two numbers a window (clocks.py).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from bazaar_peer.core.types import MS, SECOND, ordinal_of
from bazaar_peer.record import entries as rec
from bazaar_peer.record.clocks import Bounds, Message, Offsets
from bazaar_peer.record.entries import ROUND_EVERY, Entry

Told: TypeAlias = dict[str, Any]
"""An entry of a story: docs/record.md."""

HIDDEN = frozenset({rec.BEAT_SENT, rec.BEAT_BACK})
"""What ties clocks together and says nothing else."""
INNER = ("id", "round", "life", "wall", "clock_id")
ROUND, BACK = "round", "back"


Mark3: TypeAlias = tuple[int, int, int]
"""Peer, boot, sequence."""


class End(NamedTuple):
    """One end of a message: whose, which boot, where in its record, when by its own clock."""

    peer: int
    boot: int
    seq: int
    at: int


class Queued(NamedTuple):
    """An entry that was taken; of one that was got, what ties it, and which of those it is."""

    entry: Entry
    key: Any = None
    number: int = 0


class Head(NamedTuple):
    """A peer's next entry: whether its cause is still to come, when it is drawn, and of what."""

    waits: bool
    at: int
    cause: End | None


TIES_MAX = 400_000
"""Ends of messages that are remembered of whole records; the oldest go first."""
SLACK: int = 50 * MS
"""So much later than its effect a cause may seem, by clocks that were put right."""
PATIENCE: int = 2 * SLACK
"""An entry whose cause does not come for so long is given without one."""


class Merger:
    """Takes entries as they come, peer by peer in order; gives them back in one order.

    `ties_max`: so many ends of messages are remembered, and so many of beats.
    """

    def __init__(self, ties_max: int = TIES_MAX) -> None:
        self._ties_max = ties_max
        self._queues: dict[int, deque[Queued]] = defaultdict(deque)
        self._tails: dict[int, Entry] = {}
        self._heads: dict[int, Head] = {}
        self._clocks: dict[tuple[int, int], str] = {}
        self._walls: dict[str, int] = {}
        self._sent: dict[Any, list[End]] = {}
        self._got: dict[Any, list[End]] = {}
        self._beats: tuple[dict[Any, list[End]], dict[Any, list[End]]] = ({}, {})
        self._drawn: dict[Mark3, int] = {}
        self._last: dict[int, int] = {}
        self._count: dict[str, int] = defaultdict(int)
        self._bounds = Bounds()
        self._offsets = Offsets("")

    # ---- taking

    def add(self, peer: int, entries: list[Entry]) -> None:
        """Take a peer's next entries, oldest first."""
        for entry in entries:
            if clock := entry.fields.get("clock_id"):
                self._clocks[peer, entry.boot] = str(clock)
                self._walls.setdefault(str(clock), int(entry.fields.get("wall", 0)))
        queue = self._queues[peer]
        for entry in entries:
            clock = self._clocks.setdefault((peer, entry.boot), f"{peer}/{entry.boot}")
            self._count[clock] += 1
            self._tails[peer] = entry
            key, number = None, 0
            if entry.kind in TIES:
                end = End(peer, entry.boot, entry.seq, entry.at)
                for is_sent, tie in TIES[entry.kind](peer, entry.fields):
                    key, number = tie, self._tie(is_sent, tie, end)
            queue.append(Queued(entry, key, number) if entry.kind == rec.GOT else Queued(entry))
        for table in (self._sent, self._got, *self._beats, self._drawn):
            for old in list(islice(table, max(0, len(table) - self._ties_max))):
                del table[old]

    def _tie(self, is_sent: bool, key: Any, end: End) -> int:
        """Remember an end of a message; return how many such there were before."""
        sent, got = self._beats if key[0] in {ROUND, BACK} else (self._sent, self._got)
        here, there = (sent, got) if is_sent else (got, sent)
        ends, others = here.setdefault(key, []), there.get(key)
        ends.append(end)
        if others:
            self._bound(key[0], end, len(ends), others, is_sent=is_sent)
            if key[0] == BACK:
                del here[key], there[key]
        return len(ends) - 1

    def _bound(self, kind: Any, end: End, count: int, others: list[End], *, is_sent: bool) -> None:
        """Take what both ends say of clocks; what was sent first was sent before any was got."""
        if is_sent and count == 1:  # a round is sent to everybody at one moment
            for got in others if kind == ROUND else others[:1]:
                self._compare(end, got)
        elif not is_sent and (count == 1 or kind == ROUND):
            self._compare(others[0], end)

    def _compare(self, sent: End, got: End) -> None:
        a, b = self._clock(sent), self._clock(got)
        if a != b:
            self._bounds.add(Message(a, sent.at, b, got.at))

    # ---- clocks

    def fit(self) -> None:
        """Reckon the clocks' offsets anew, from all messages whose both ends were here."""
        self._heads.clear()
        reference = max(self._count, key=lambda clock: self._count[clock], default="")
        self._offsets = self._bounds.fit(self._offsets.reference or reference)

    def _clock(self, end: End) -> str:
        return self._clocks[end.peer, end.boot]

    def time(self, peer: int, entry: Entry | End) -> int:
        """Return an entry's corrected time, in nanoseconds of the one axis."""
        clock, offsets = self._clocks[peer, entry.boot], self._offsets
        if offsets.known(clock):
            return offsets.at(clock, entry.at) + self._walls.get(offsets.reference, 0)
        return entry.at + self._walls.get(clock, 0)  # by its wall clock: nothing better is known

    def newest(self) -> dict[int, int]:
        """Return by peer the corrected time of the last entry that was ever taken."""
        return {peer: self.time(peer, entry) for peer, entry in self._tails.items()}

    # ---- giving

    def emit(self, until: int | None = None) -> Iterator[Told]:
        """Give back, in order, what lies before a time; None: everything."""
        while True:
            ready = []
            for peer, queue in self._queues.items():
                head = self._heads.get(peer)
                if queue and (head is None or head.waits):
                    head = self._heads[peer] = self._due(peer, queue[0])
                if queue and head and (until is None or head.at < until):
                    ready.append((head.at + PATIENCE * head.waits, peer))
            if not ready:
                return
            at, peer = min(ready)
            if until is not None and at >= until:
                return
            yield from self._give(peer)

    def _give(self, peer: int) -> Iterator[Told]:
        head, entry = self._heads.pop(peer), self._queues[peer].popleft().entry
        self._last[peer] = head.at
        mark = (peer, entry.boot, entry.seq)
        if entry.kind == rec.SENT:
            self._drawn[mark] = head.at
        if entry.kind not in HIDDEN:
            yield _told(mark, entry, head)

    def _due(self, peer: int, queued: Queued) -> Head:
        at = max(self.time(peer, queued.entry), self._last.get(peer, 0))
        cause = self._cause(peer, queued) if queued.key is not None else None
        if cause is None:
            return Head(False, at, None)
        drawn = self._drawn.get(cause[:3])
        return Head(drawn is None and self._is_queued(cause), max(at, drawn or 0), cause)

    def _cause(self, peer: int, queued: Queued) -> End | None:
        ends = self._sent.get(queued.key, [])
        if queued.number < len(ends):
            if self._may_be_cause(ends[queued.number], peer, queued.entry):
                return ends[queued.number]
            ends = ends[: queued.number]
        return next((e for e in reversed(ends) if self._may_be_cause(e, peer, queued.entry)), None)

    def _may_be_cause(self, sent: End, peer: int, got: Entry) -> bool:
        """Tell whether it was sent before; where clocks cannot be compared, it was."""
        a, b = self._clock(sent), self._clocks[peer, got.boot]
        if a != b and not (self._offsets.known(a) and self._offsets.known(b)):
            return True
        return self.time(sent.peer, sent) <= self.time(peer, got) + SLACK

    def _is_queued(self, end: End) -> bool:
        queue = self._queues[end.peer]
        return bool(queue) and queue[0].entry.mark <= (end.boot, end.seq)


def in_order(told: list[Told]) -> list[Told]:
    """Return a whole story in the order of its times; what was given up waiting for comes first."""
    return sorted(told, key=lambda one: float(one["at"]))


def _told(mark: Mark3, entry: Entry, head: Head) -> Told:
    told: Told = {"at": head.at / SECOND, "peer": mark[0], "boot": mark[1], "seq": mark[2]}
    told["kind"] = entry.kind
    told |= {name: value for name, value in entry.fields.items() if name not in INNER}
    if (of := told.pop("of", None)) is not None:  # somebody else's note of it
        told |= {"peer": of, "boot": 0, "seq": _noted_by(mark)}
    if entry.kind == rec.GOT:
        cause = head.cause if not head.waits else None  # nothing is told before its cause
        told["cause"] = None if cause is None else list(cause[:3])
    return told


def _noted_by(mark: Mark3) -> int:
    """Return a number that no other entry about that peer has; a browser can count as far."""
    peer, boot, seq = mark
    return (ordinal_of(peer) % 64 << 44) + (boot % 4096 << 32) + seq % (1 << 32)


def _of_sent(peer: int, fields: rec.Fields) -> Iterator[tuple[bool, Any]]:
    for other in fields.get("to", ()):
        yield (True, (peer, other, fields.get("id")))


def _of_got(peer: int, fields: rec.Fields) -> Iterator[tuple[bool, Any]]:
    yield (False, (fields.get("from"), peer, fields.get("id")))


def _of_beat_sent(peer: int, fields: rec.Fields) -> Iterator[tuple[bool, Any]]:
    yield (True, (ROUND, peer, fields.get("epoch"), fields.get("round")))


def _of_beat(peer: int, fields: rec.Fields) -> Iterator[tuple[bool, Any]]:
    epoch, number = fields.get("epoch"), fields.get("round", 1)
    if number % ROUND_EVERY == 0:
        yield (False, (ROUND, fields.get("from"), epoch, number))
        yield (True, (BACK, peer, epoch, number))


def _of_beat_back(peer: int, fields: rec.Fields) -> Iterator[tuple[bool, Any]]:
    yield (False, (BACK, fields.get("from"), fields.get("epoch"), fields.get("round")))


TIES = {
    rec.SENT: _of_sent,
    rec.GOT: _of_got,
    rec.BEAT_SENT: _of_beat_sent,
    rec.BEAT: _of_beat,
    rec.BEAT_BACK: _of_beat_back,
}
"""By kind, what an entry is an end of: (it is the sender's, what both ends have in common)."""
