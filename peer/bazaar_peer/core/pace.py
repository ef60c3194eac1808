"""The pace of a learner's copy: pieces with rests between them (R10).

Nobody needs a learner yet, and what it restores with is taken from those that trade: on one machine
the same processors, on several the trader's. A voter that lacks something is never made to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core.types import NEVER, Nanos, PeerId

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

RESTS = 3
"""A learner rests so many times as long as its last piece took, a heartbeat interval at most."""


class Pace:
    """`rests`: who gets nothing more of its copy before when."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.rests: dict[PeerId, Nanos] = {}

    def stop(self) -> None:
        self.rests.clear()

    def taken(self, by: PeerId, sent_at: Nanos) -> None:
        """Let a learner rest that has taken the piece sent then."""
        peer = self.peer
        if by not in peer.voters:
            rest = min(RESTS * (peer.now - sent_at), peer.timing.heartbeat_interval)
            self.rests[by] = peer.now + rest

    def rested(self) -> list[PeerId]:
        """Return whose rest is over, once."""
        over = [learner for learner, until in self.rests.items() if until <= self.peer.now]
        for learner in over:
            del self.rests[learner]
        return over

    def deadline(self) -> Nanos:
        return min(self.rests.values()) if self.rests else NEVER
