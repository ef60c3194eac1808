"""A request under way, and the hash that tells its body from another (R13 a)."""

from __future__ import annotations

import hashlib

from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import Nanos


def digest_of(kind: int, body: bytes) -> int:
    """Return the hash that tells a repeated body from another one (R13 a)."""
    short = hashlib.blake2b(body, digest_size=8, salt=b"%d" % kind).digest()
    return int.from_bytes(short, "big") >> 1


class Waiting:
    """A request under way; `sent_at` 0: not sent since the last reign, `ever`: sent to somebody."""

    __slots__ = ("deadline", "ever", "request", "sent_at", "sub")

    def __init__(self, request: int, deadline: Nanos, sub: msg.Submission) -> None:
        self.request = request
        self.deadline = deadline
        self.sub = sub
        self.sent_at: Nanos = 0
        self.ever = False
