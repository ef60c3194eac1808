"""What the journal is made of: submissions and the ring's own entries, in records.

A `Record` is one batch, the journal's unit of writing, sending, comparing and truncating: batches
are never split, so positions in the journal are ends of records.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from bazaar_peer.core.types import Limits, PeerId, ordinal_of

COMMAND, OPEN_SESSION, CLOSE_SESSION, OPEN_PEER, SET_SIZE, JOIN = range(6)
"""Kinds of a submission: for the machine; a client's session (R13 a); a peer's own, at its boot;
the wish for a size, a volume that asks for a place (R10, R14)."""


class Submission(Struct, gc=False, frozen=True, array_like=True, tag="s"):
    """A numbered command on its way into the journal, and the entry it becomes there.

    `number` counts within `session`; `floor` is the lowest number still waited for. `digest` is
    the body's hash (R13 a, c); `received` the log time at which ingress looked the key up; `stamp`
    the vector clock made once at ingress (T1), encoded, since only audits read it; `rank` the sum
    of its components, by which batches are ordered (S8). For OPEN_PEER: session = -1 - the peer's
    component, number = boot number, client = the component's name.
    """

    session: int
    number: int
    floor: int
    kind: int
    client: str
    key: str
    digest: int
    received: int
    rank: int
    stamp: bytes
    body: bytes


class EpochStarted(Struct, gc=False, frozen=True, array_like=True, tag="e"):
    """The first entry of a reign."""

    trader: int


class Member(Struct, gc=False, frozen=True, array_like=True):
    """One life of a peer of the ring, and the volume that it lives on (R14).

    `voter` False: a learner, who counts nowhere (R9). Genesis members may have no volume's name.
    """

    id: int
    voter: bool = True
    volume: str = ""


class MembersChanged(Struct, gc=False, frozen=True, array_like=True, tag="m"):
    """The members from this entry on (R9); the genesis one also fixes ring, limits and market.

    `retired`: the last life of each ordinal that has no member now, so that none is used twice.
    """

    members: tuple[Member, ...]
    ring: str
    limits: Limits
    machine: bytes = b""
    """The machine's own settings, opaque to the core."""
    retired: tuple[int, ...] = ()
    recovered_from: str = ""
    """`RING:INDEX` of the former ring whose state up to there this ring begins with, by a manual
    repair (R14); only in the entry by which the new ring begins."""


def voters_of(members: MembersChanged) -> tuple[PeerId, ...]:
    """Return who of these members counts in majorities, in their order (R9)."""
    return tuple(PeerId(member.id) for member in members.members if member.voter)


def is_over(members: MembersChanged, life: int) -> bool:
    """Tell whether these members say that a life is over: another came, or its place is gone."""
    ordinal = ordinal_of(life)
    if any(ordinal_of(member.id) == ordinal and life < member.id for member in members.members):
        return True
    return any(ordinal_of(gone) == ordinal and life <= gone for gone in members.retired)


class VersionRaised(Struct, gc=False, frozen=True, array_like=True, tag="v"):
    """Entries behind this one are applied by this version (U1)."""

    version: int


Entry: TypeAlias = Submission | EpochStarted | MembersChanged | VersionRaised


class Record(Struct, gc=False, frozen=True, array_like=True):
    """One batch: entries `first … first + len(entries) - 1` of `epoch`.

    `committed` is the trader's commit index at the cut (D1: what is known durable); `elapsed_ms`
    the trader's monotonic milliseconds since its previous record (R13 d). `clock` is the trader's
    vector clock at the cut: it dominates every stamp in the batch, so that who has the record and
    merges it once is causally behind all its entries (T5).
    """

    epoch: int
    first: int
    committed: int
    elapsed_ms: int
    clock: dict[int, int]
    entries: list[Entry]


class Stored(Struct, gc=False, frozen=True):
    """An encoded `Record` with its place; `chain` hash-chains it to all before it (D1)."""

    epoch: int
    first: int
    last: int
    chain: bytes
    blob: bytes


encode = msgspec.msgpack.Encoder().encode
UNREADABLE = (ValueError, RecursionError)
"""All that msgspec raises for bytes of another's making: its own errors, and those of text."""
decode_record = msgspec.msgpack.Decoder(Record).decode
