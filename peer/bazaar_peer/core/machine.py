"""The interface between the ring and what it replicates.

Whoever wants a lock service or a queue instead of a market writes a `Machine` and nothing else.
The outcome of every command must be a pure function of the journal: no clock, no randomness, no
iteration over sets, no floats, and byte-for-byte the same `snapshot` on every peer (S10).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from operator import attrgetter

from bazaar_peer.core.messages import Submission

_place = attrgetter("rank", "client", "key", "session", "number")


class Context:
    """Where in the journal an entry stands, while it is applied. Reused: do not keep it."""

    __slots__ = ("client", "epoch", "index", "trader", "version")

    def __init__(self) -> None:
        self.index = 0
        self.epoch = 0
        self.trader = -1
        """Trader of the *entry's* epoch (U2)."""
        self.version = 1
        """Apply version in force (U1)."""
        self.client = ""


class Machine(ABC):
    """A deterministic state machine: commands in, results out, all as bytes."""

    version: int = 1
    """Highest apply version that this code knows (U1)."""

    @abstractmethod
    def configure(self, settings: bytes) -> None:
        """Take the machine's settings from the genesis entry; called once, before any apply."""

    @abstractmethod
    def apply(self, body: bytes, context: Context) -> bytes:
        """Execute one command and return its result, a JSON object as bytes. Never raises."""

    @abstractmethod
    def snapshot(self) -> Iterator[bytes]:
        """Return the state as parts of at most about 64 KiB.

        The state is that of the call, however late the parts are drawn: copy shallow tables of
        immutable values first, encode lazily.
        """

    @abstractmethod
    def restore(self, part: bytes) -> None:
        """Add one part of a snapshot to an empty machine."""

    def order(self, batch: list[Submission]) -> list[Submission]:
        """Order what was pending together: an extension of happens-before (S8).

        A clock's rank, the sum of its components, grows along happens-before, so one sort by
        (rank, client, key, session, number) serves causes first and breaks ties alike everywhere.
        """
        return sorted(batch, key=_place) if len(batch) > 1 else batch

    def hash(self) -> int:
        """A 64-bit hash of the whole state: equal states have equal hashes."""
        digest = hashlib.blake2b(digest_size=8)
        for part in self.snapshot():
            digest.update(part)
        return int.from_bytes(digest.digest(), "big")
