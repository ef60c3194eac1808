"""What peers say to each other; decoded = validated. The journal's parts stand in records.py.

Sender, ring id and incarnation stand in the connection's `Hello` (R5): the transport hands every
message in together with the peer that the connection belongs to, so a message names its epoch only.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from bazaar_peer.core.records import CLOSE_SESSION as CLOSE_SESSION
from bazaar_peer.core.records import COMMAND as COMMAND
from bazaar_peer.core.records import OPEN_PEER as OPEN_PEER
from bazaar_peer.core.records import OPEN_SESSION as OPEN_SESSION
from bazaar_peer.core.records import Entry as Entry
from bazaar_peer.core.records import EpochStarted as EpochStarted
from bazaar_peer.core.records import Member as Member
from bazaar_peer.core.records import MembersChanged as MembersChanged
from bazaar_peer.core.records import Record as Record
from bazaar_peer.core.records import Stored as Stored
from bazaar_peer.core.records import Submission as Submission
from bazaar_peer.core.records import VersionRaised as VersionRaised
from bazaar_peer.core.records import decode_record as decode_record
from bazaar_peer.core.records import encode as encode
from bazaar_peer.core.types import ORIGIN, Position

# ---- nomination ------------------------------------------------------------------------------


class Standing(Struct, gc=False, frozen=True, array_like=True):
    """A member's line in a tally."""

    id: int
    epoch: int
    index: int
    leaving: bool = False


class Election(Struct, gc=False, frozen=True, array_like=True, tag=1):
    """The ring's token (N1)."""

    replaces: int
    initiator: int
    token: int
    tally: tuple[Standing, ...]


class TokenTaken(Struct, gc=False, frozen=True, array_like=True, tag=2):
    """Hop acknowledgement: the receiver has the token now."""

    initiator: int
    token: int


class TraderAlive(Struct, gc=False, frozen=True, array_like=True, tag=3):
    """Answer to `Election` or `IWon` by who still hears a trader (N3)."""

    epoch: int
    asked: int
    """`replaces` of the token or epoch of the `IWon` that this answers."""


class Nominated(Struct, gc=False, frozen=True, array_like=True, tag=4):
    """To the nominee: the tally wants it; `transfer` = epoch of the trader handing over, or 0."""

    replaces: int
    transfer: int
    tally: tuple[Standing, ...]


class Poll(Struct, gc=False, frozen=True, array_like=True, tag=5):
    """Direct question to every member after a failed token (N4); `end`: of the own journal."""

    token: int
    end: Position = ORIGIN


class PollAnswer(Struct, gc=False, frozen=True, array_like=True, tag=6):
    token: int
    standing: Standing
    hears: bool
    promised: int = 0
    """The epoch that whoever stands now has to exceed."""
    trades: bool = False
    """It hears a trader itself, not only a nominee that copies."""


# ---- investiture -----------------------------------------------------------------------------


class IWon(Struct, gc=False, frozen=True, array_like=True, tag=10):
    """`copies`: the nominee has its majority and copies the best journal, and that advances.

    `end`: of the nominee's own journal.
    """

    epoch: int
    transfer: int
    copies: bool = False
    end: Position = ORIGIN


class Promise(Struct, gc=False, frozen=True, array_like=True, tag=11):
    """A durable promise, and where the promiser's journal ends at that place of its disk queue."""

    epoch: int
    last_epoch: int
    last_index: int
    members: tuple[Member, ...]


class Refused(Struct, gc=False, frozen=True, array_like=True, tag=12):
    """A message of a lower epoch; names the epoch promised."""

    epoch: int


class SteppedDown(Struct, gc=False, frozen=True, array_like=True, tag=15):
    """The trader's own word that this reign is over; it never resumes its epoch (R1, N5)."""

    epoch: int


class Fetch(Struct, gc=False, frozen=True, array_like=True, tag=13):
    """A nominee asks the best journal's owner for what lies behind a position (R8)."""

    epoch: int
    after_epoch: int
    after_index: int


class Chunk(Struct, gc=False, frozen=True, array_like=True, tag=14):
    """Answer to `Fetch`: records behind `prev`, or a `hint` ≥ 0: no match there, ask from hint."""

    epoch: int
    prev_epoch: int
    prev_index: int
    records: list[bytes]
    hint: int = -1


# ---- replication -----------------------------------------------------------------------------


class Append(Struct, gc=False, frozen=True, array_like=True, tag=20):
    """Records behind `prev`, or none: a heartbeat; `round` counts a reign's Appends (R5).

    `keep`: records behind this index may still be asked for by a slow follower (C1).
    """

    epoch: int
    round: int
    prev_epoch: int
    prev_index: int
    commit: int
    keep: int
    records: list[bytes]
    clock: dict[int, int]


class Appended(Struct, gc=False, frozen=True, array_like=True, tag=21):
    """Durable up to `match` of this reign's journal; newest round seen; hash at an index (H1)."""

    epoch: int
    round: int
    match: int
    clock: dict[int, int]
    version: int
    hash_index: int
    hash: int


class AppendRefused(Struct, gc=False, frozen=True, array_like=True, tag=22):
    """The journal does not match at prev; `hint` is a place where it may."""

    epoch: int
    round: int
    hint: int


class Part(Struct, gc=False, frozen=True, array_like=True, tag=23):
    """A part of the checkpoint at (base_epoch, base_index), for who lacks pruned records (C4)."""

    epoch: int
    base_epoch: int
    base_index: int
    number: int
    last: bool
    data: bytes


class PartTaken(Struct, gc=False, frozen=True, array_like=True, tag=24):
    epoch: int
    base_index: int
    number: int


class StateDiffers(Struct, gc=False, frozen=True, array_like=True, tag=25):
    """A majority has another state hash at this index: rebuild (H1)."""

    epoch: int
    index: int


# ---- requests --------------------------------------------------------------------------------


class Submit(Struct, gc=False, frozen=True, array_like=True, tag=30):
    """`clock` dominates the stamps of all submissions in it."""

    submissions: list[Submission]
    clock: dict[int, int]


class Answer(Struct, gc=False, frozen=True, array_like=True):
    """The outcome of a committed submission; `status` as in outcomes.py, `body` the machine's."""

    session: int
    number: int
    digest: int
    status: int
    index: int
    epoch: int
    body: bytes


def answer_of(name: tuple[int, int], outcome: tuple[int, int, int, int, bytes]) -> Answer:
    """Pair a number's name (session, number) with its outcome."""
    digest, status, index, epoch, body = outcome
    return Answer(name[0], name[1], digest, status, index, epoch, body)


class Answers(Struct, gc=False, frozen=True, array_like=True, tag=31):
    """`commit` lets the ingress peer apply what its client was told."""

    epoch: int
    commit: int
    answers: list[Answer]


class NotTrader(Struct, gc=False, frozen=True, array_like=True, tag=32):
    """Never forwarded again: whoever asked waits for a reign (R13 e, row 52)."""

    epoch: int
    hint: int


class Retired(Struct, gc=False, frozen=True, array_like=True, tag=40):
    """The receiver's life is over, by a committed entry that it missed (R10, R14)."""


class ReadIndex(Struct, gc=False, frozen=True, array_like=True, tag=33):
    read: int


class ReadAt(Struct, gc=False, frozen=True, array_like=True, tag=34):
    """A read that was asked before this answer may be served once `index` is applied (R12)."""

    read: int
    index: int


Message: TypeAlias = (
    Election
    | TokenTaken
    | TraderAlive
    | Nominated
    | Poll
    | PollAnswer
    | IWon
    | Promise
    | Refused
    | SteppedDown
    | Fetch
    | Chunk
    | Append
    | Appended
    | AppendRefused
    | Part
    | PartTaken
    | StateDiffers
    | Submit
    | Answers
    | NotTrader
    | Retired
    | ReadIndex
    | ReadAt
)

decode_message = msgspec.msgpack.Decoder(Message).decode
