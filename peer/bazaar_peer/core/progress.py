"""How far one follower has come in one reign."""

from __future__ import annotations

from bazaar_peer.core.types import Nanos

NEAR = 64
"""A learner that lacks so few entries votes: it has the rest within a batch."""


class Progress:
    """What the trader knows of one follower in this reign; all starts at 0 (R5)."""

    __slots__ = ("accepted_at", "flying", "lowest", "match", "moved_at", "next", "round")

    def __init__(self, next_index: int, now: Nanos) -> None:
        self.match = 0
        self.next = self.lowest = next_index
        """`lowest`: the furthest it stepped back; only beyond that it comes nearer (N5 c)."""
        self.round = 0
        self.flying = 0
        self.accepted_at = now
        """When the newest Append that it accepted was sent."""
        self.moved_at = now
        """When `match` or `next` last moved: without a move what was sent is sent again."""
