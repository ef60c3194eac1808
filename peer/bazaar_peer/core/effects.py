"""Outputs of the core: what the adapter must do, in this order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct

from bazaar_peer.core.messages import Answer, MembersChanged, Message, Stored
from bazaar_peer.core.types import PeerId


class Send(Struct, gc=False, frozen=True):
    """Send to each of `to`; may be lost, never blocks."""

    to: tuple[PeerId, ...]
    message: Message


class Hard(Struct, gc=False, frozen=True, array_like=True):
    """What a peer may never forget beside its journal: promise (S2), boot, clock ticks (T2)."""

    promised: int = 0
    promised_to: int = -1
    boot: int = 0
    ticks: int = 0


class Recovered(Struct, gc=False, frozen=True, kw_only=True):
    """What a volume holds, audited by the store, as a peer starts from it."""

    hard: Hard
    base_epoch: int = 0
    base_index: int = 0
    base_chain: bytes = b""
    parts: list[bytes] = []
    """Parts of the checkpoint at the base, or none."""
    records: list[Stored] = []
    """The journal behind the base, in order."""
    told: MembersChanged | None = None
    """The members that a joining volume was told, until its own journal says who they are."""


class WriteHard(Struct, gc=False, frozen=True):
    number: int
    hard: Hard


class WriteRecord(Struct, gc=False, frozen=True):
    """Append one record to the journal."""

    number: int
    record: Stored


class Truncate(Struct, gc=False, frozen=True):
    """Drop every record behind index `after`."""

    number: int
    after: int


Write: TypeAlias = WriteHard | WriteRecord | Truncate
"""Writes go through one ordered queue; `DiskDone(number)` says all up to it are durable (R4)."""


class SaveCheckpoint(Struct, frozen=True):
    """Write these parts atomically (C5), in slices; then `CheckpointSaved`."""

    epoch: int
    index: int
    parts: Iterator[bytes]


class Prune(Struct, gc=False, frozen=True):
    """Records up to this index are no longer needed (C1); archive them where asked."""

    index: int


class ReadPart(Struct, gc=False, frozen=True):
    """Read one part of the newest saved checkpoint for `peer`; answer with `PartRead`."""

    peer: PeerId
    number: int


class StorePart(Struct, gc=False, frozen=True):
    """Keep a part of a foreign checkpoint in a temporary file; number 0 begins it anew."""

    index: int
    number: int
    data: bytes


class InstallCheckpoint(Struct, gc=False, frozen=True):
    """Make the stored parts the checkpoint, in order with the writes around it; then `Installed`.

    The journal is dropped up to it, or whole if not `keep_suffix` (C3, C5).
    """

    number: int
    epoch: int
    index: int
    chain: bytes
    keep_suffix: bool


class Reply(Struct, gc=False, frozen=True):
    """To a client's request; `answer` None: no committed outcome, `status` says why."""

    request: int
    status: int
    answer: Answer | None


class ReadReady(Struct, gc=False, frozen=True):
    """The applied state may be read now for this request."""

    request: int


class Note(Struct, gc=False, frozen=True):
    """Telemetry: something worth a log line or a counter. `fields` are plain values."""

    kind: str
    fields: dict[str, int | str]


class Meet(Struct, gc=False, frozen=True):
    """The other members are these now: keep a link to each (R9)."""

    others: tuple[PeerId, ...]


class Left(Struct, gc=False, frozen=True):
    """The peer handed over and owes nobody an answer: the process may exit."""


class Removed(Struct, gc=False, frozen=True):
    """This life is no member any more, by a committed entry: its volume is set aside (R14)."""


class Halt(Struct, gc=False, frozen=True):
    """The process must exit now and start from its disk; nothing after this effect is done."""

    reason: str


Effect: TypeAlias = (
    Send
    | WriteHard
    | WriteRecord
    | Truncate
    | SaveCheckpoint
    | Prune
    | ReadPart
    | StorePart
    | InstallCheckpoint
    | Reply
    | ReadReady
    | Note
    | Meet
    | Left
    | Removed
    | Halt
)
