"""The words every other module of the core speaks.

Ids and counters are plain integers under names of their own; times are integer nanoseconds of a
monotonic clock that the adapter hands in; a `Position` orders journals (last epoch, last index).
"""

from __future__ import annotations

from enum import Enum
from typing import NewType, TypeAlias

from msgspec import Struct

PeerId = NewType("PeerId", int)
"""One life of a peer (R14): incarnation << 16 | ordinal.

The ordinal is its place in the ring and the number of its pod; the incarnation counts the volumes
that have stood there, from 0 on. So a life that is over is another id, and counts nowhere (R9).
"""
Epoch = NewType("Epoch", int)
Index = NewType("Index", int)
Nanos: TypeAlias = int
Position: TypeAlias = tuple[int, int]
"""(epoch, index) of a journal's last entry; tuples compare as R9's "best journal" needs."""

MS: Nanos = 1_000_000
SECOND: Nanos = 1000 * MS
NEVER: Nanos = 1 << 62
"""A deadline that does not come."""
EPOCH_MAX = 1 << 62
"""No ring comes near it: who says more is not believed, or nobody could stand any more."""
NOBODY = PeerId(-1)
ORIGIN: Position = (0, 0)


def peer_id(ordinal: int, incarnation: int = 0) -> PeerId:
    """Name a life; 0 ≤ ordinal < 2^16."""
    return PeerId(incarnation << 16 | ordinal)


def ordinal_of(peer: int) -> int:
    """Return a peer's place in the ring, which all its lives share."""
    return peer & 0xFFFF


def incarnation_of(peer: int) -> int:
    return peer >> 16


def name_of(peer: int) -> str:
    """Name a life for people and in keys: `ordinal.incarnation`."""
    return f"{ordinal_of(peer)}.{incarnation_of(peer)}"


class Role(Enum):
    """What a peer is in the ring's protocol right now."""

    FOLLOWER = "follower"
    NOMINEE = "nominee"
    TRADER = "trader"


class Timing(Struct, frozen=True, kw_only=True):
    """How long a peer waits for what; nanoseconds. Defaults are those of one machine."""

    heartbeat_interval: Nanos = 40 * MS
    heartbeat_timeout: Nanos = 150 * MS
    """Also the election timeout, and how long a submission goes unanswered before it is re-sent."""
    step: Nanos = 25 * MS
    """Delay of one more initiator (ring position behind the lost trader); unit of jitter (N6)."""
    hop_timeout: Nanos = 20 * MS
    """A token not taken over by then goes to the next successor."""
    retry: Nanos = 2 * MS
    """Next try after `TraderAlive` while the trader's closed connection proves its death."""


class Limits(Struct, frozen=True, array_like=True):
    """Bounds that decide outcomes: in the genesis entry, the same on every peer (R13)."""

    sessions: int = 1024
    peer_window: int = 16_384
    client_window: int = 1024
    keys: int = 262_144
    key_retention_ms: int = 120_000
    session_retention_ms: int = 600_000


class Settings(Struct, frozen=True, kw_only=True):
    """One peer's settings; none of them may change an outcome (those are `Limits`)."""

    me: PeerId
    ring: str
    timing: Timing = Timing()
    election: str = "ring"
    catch_up_limit: int = 1024
    """A nominee may be this many entries behind the best journal of the tally (N4 halves it)."""
    batch_max: int = 4096
    """Entries in one batch at most."""
    queue_max: int = 65_536
    """Submissions that a trader or nominee queues at most."""
    ingress_max: int = 8192
    """Requests that one peer has under way at most; one more is answered 429."""
    preempt: bool = False
    """The highest id is to trade whenever it can (N5): a trader below it hands over."""
    parting: Nanos = 0
    """So long who is to be removed serves on; an election timeout at least (R10)."""
    checkpoint_entries: int = 20_000
    checkpoint_interval: Nanos = 0
    """A checkpoint at least so often while there is something new; 0: by entries alone."""
    journal_max_bytes: int = 256 * 1024 * 1024
    """Journal kept for a slow follower at most; it copies a checkpoint beyond that (C1)."""
    chunk_bytes: int = 256 * 1024
    lag_limit: int = 10_000
