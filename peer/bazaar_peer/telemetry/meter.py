"""Counts what happens in one life of a peer: requests, notes of its core, syncs, checkpoints.

`asked` and `answered` are on the path of every trade (decision 31 says what they cost).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core.effects import Note, ReadReady, Reply, Write, WriteRecord
from bazaar_peer.core.events import Command, Read
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import MS, SECOND, Nanos
from bazaar_peer.market.market import INVALID, UNAVAILABLE
from bazaar_peer.telemetry.catalogue import (
    CAUSES,
    ELECTION_PHASES,
    OUTCOMES,
    PHASES,
    REJECTED,
    Catalogue,
)
from bazaar_peer.telemetry.interregna import Interregna, Interregnum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bazaar_peer.core.peer import Peer

Mark = tuple[Nanos, int]
"""When a request came, and the commit index there; −1 of a read."""
NOTHING: Mark = (0, 0)
WITHOUT_ANSWER = frozenset({Status.NEVER_SENT, Status.UNKNOWN})


class Unmetered:
    """Counts nothing."""

    def asked(self, _event: Command | Read) -> Mark:
        return NOTHING

    def answered(self, mark: Mark, reply: Reply | ReadReady) -> None:
        pass

    def refused(self, reason: str, count: int = 1) -> None:
        pass

    def note(self, note: Note) -> None:
        pass

    def synced(self, seconds: float, writes: Sequence[Write]) -> None:
        """Called in the thread of the disk queue, too."""

    def full(self) -> None:
        """Called in the thread of the disk queue: a group of writes waits for room."""

    def saved(self, seconds: float, size: int) -> None:
        pass


class Meter(Unmetered):
    """One life's; the catalogue is the process's."""

    def __init__(self, catalogue: Catalogue, peer: Peer, clock: Callable[[], Nanos]) -> None:
        self._catalogue, self._peer, self._clock = catalogue, peer, clock
        self._began, self._reigned = clock(), False
        self.interregna = Interregna(clock(), self._heard_at, self._has_trader)
        self.orders: Callable[[Nanos, float, str], None] = lambda now, ms, outcome: None
        """Told of each command that is answered: when, after how long, with what outcome."""
        self._stands_for = ""
        self._closed_at: Nanos = -1
        requests = catalogue.requests.labels
        self._answers = {
            outcome: tuple(requests(outcome, phase).observe for phase in PHASES)
            for outcome in OUTCOMES
        }
        self._sync, self._batch = catalogue.sync.labels().observe, catalogue.batch.labels().observe

    # ---- requests

    def asked(self, event: Command | Read) -> Mark:
        return (self._clock(), self._peer.commit if type(event) is Command else -1)

    def answered(self, mark: Mark, reply: Reply | ReadReady) -> None:
        began, commit = mark
        now = self._clock()
        if commit < 0:
            if type(reply) is ReadReady:
                self._catalogue.reads.observe((now - began) / SECOND)
            else:
                self._catalogue.reads_failed.inc()
            return
        assert type(reply) is Reply
        met = self.interregna.overlaps(began)
        outcome = outcome_of(reply)
        if outcome == REJECTED:
            self._catalogue.rejected.inc()
        else:
            self._answers[outcome][met]((now - began) / SECOND)
        self.orders(now, (now - began) / MS, outcome)
        if reply.answer is not None and reply.answer.index <= commit:
            self._catalogue.duplicates.inc()

    def refused(self, reason: str, count: int = 1) -> None:
        self._catalogue.refused.labels(reason).inc(count)

    # ---- the disk

    def synced(self, seconds: float, writes: Sequence[Write]) -> None:
        self._sync(seconds)
        for write in writes:
            if type(write) is WriteRecord:
                self._batch(write.record.last - write.record.first + 1)

    def full(self) -> None:
        self._catalogue.full.labels("write").inc()

    def saved(self, seconds: float, size: int) -> None:
        self._catalogue.checkpoint.observe(seconds)
        self._catalogue.checkpoint_bytes.set(size)
        self._catalogue.checkpoint_at.set_to_current_time()

    # ---- notes

    def note(self, note: Note) -> None:
        now, fields, catalogue = self._clock(), note.fields, self._catalogue
        over = self.interregna.note(note.kind, fields, now)
        if over is not None:
            self._over(over)
        match note.kind:
            case "follows" | "reign_begun":
                catalogue.trader_changes.inc()
                self._stood("won" if note.kind == "reign_begun" else "failed")
                if not self._reigned:
                    self._reigned = True
                    catalogue.recovery.set((now - self._began) / SECOND)
            case "nominee":
                self._stood("failed")
                self._stands_for = CAUSES[bool(fields["transfer"])]
            case "nominee_failed":
                self._stood("failed")
            case "role_ended":
                self._ended(now)
            case "hand_over":
                self._closed_at = now
            case "post_reopened":
                catalogue.hand_overs.labels("reopened").inc()
                self._closed_at = -1
            case "second_trader":
                catalogue.second_traders.inc()
            case "batch_reordered":
                catalogue.reordered.inc()
            case "checkpoint_sent":
                catalogue.copies_sent.inc()
            case "checkpoint_installed":
                catalogue.copies_taken.inc()
            case "bad_checkpoint":
                catalogue.copies_refused.inc()
            case _:
                pass

    def _over(self, over: Interregnum) -> None:
        catalogue = self._catalogue
        took = (over.ended - over.began) / SECOND
        catalogue.interregnum.labels(CAUSES[over.planned]).observe(took)
        catalogue.interregnum_at.set_to_current_time()
        if over.phases and not over.planned:
            for phase, lasted in zip(ELECTION_PHASES, over.phases, strict=True):
                catalogue.election.labels(phase).observe(lasted / SECOND)

    def _stood(self, result: str) -> None:
        """A candidacy of this peer is over, if there is one."""
        if not self._stands_for:
            return
        reason, self._stands_for = self._stands_for, ""
        self._catalogue.elections.labels(reason, result).inc()

    def _ended(self, now: Nanos) -> None:
        self._stood("failed")
        if self._closed_at >= 0:
            self._catalogue.hand_over.observe((now - self._closed_at) / SECOND)
            self._catalogue.hand_overs.labels("done").inc()
            self._closed_at = -1

    # ---- what the interregna ask

    def _heard_at(self) -> Nanos:
        return self._peer.follower.heard_at

    def _has_trader(self) -> bool:
        if self._peer.is_trader:
            return not self._peer.trader_role.hand_over.closed
        return self._peer.hearing()


def outcome_of(reply: Reply) -> str:
    """Return one of the catalogue's outcomes, `REJECTED` included."""
    if reply.status == Status.OK and reply.answer is not None:
        body = reply.answer.body
        if body == UNAVAILABLE:
            return "unavailable"
        return REJECTED if body == INVALID else "ok"
    return "failed" if reply.status in WITHOUT_ANSWER else REJECTED
