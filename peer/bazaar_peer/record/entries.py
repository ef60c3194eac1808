"""The entries of a peer's own record, as they lie in its ring files.

Times are nanoseconds of the peer's own monotonic clock; `merge.py` puts the records of many peers
on one axis. docs/record.md says what each kind means.
"""

from __future__ import annotations

from typing import Any, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Struct

from bazaar_peer.core import messages as msg

KEY, STARTED, ENDED, NOTE = "key", "started", "ended", "note"
SENT, GOT = "sent", "got"
BEAT_SENT, BEAT, BEAT_BACK = "beat_sent", "beat", "beat_back"
MOVED, ORDER, FAULT, MARKET = "moved", "order", "fault", "market"
TRAFFIC = frozenset({BEAT_SENT, BEAT, BEAT_BACK, MOVED, ORDER})
"""Kinds that come with trading, sampled; all others are kept one by one."""

ROUND_EVERY = 16
"""Rounds of Appends that may be noted at both ends, which ties their clocks together."""
SPARSE_ROUNDS = 8 * ROUND_EVERY
"""Those that are always noted, and always told, however old."""

Fields: TypeAlias = dict[str, Any]

Mark: TypeAlias = tuple[int, int]
"""(boot, sequence): where an entry stands in its peer's record."""

BULK = (
    msg.Append,
    msg.Appended,
    msg.Submit,
    msg.Answers,
    msg.Part,
    msg.PartTaken,
    msg.ReadIndex,
    msg.ReadAt,
)
"""Messages of trading itself, which are told by `beat` and `moved`, if at all."""


class Entry(Struct, frozen=True, array_like=True):
    """One entry; `seq` counts those of a boot."""

    boot: int
    seq: int
    at: int
    kind: str
    fields: Fields

    @property
    def mark(self) -> Mark:
        return (self.boot, self.seq)


def described(message: msg.Message) -> Fields:
    """Return what is told of a control message; `id` is the same where it is sent and got."""
    scalars: list[object] = []
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, int | tuple):
            scalars.append(value)
    told: Fields = {"message": type(message).__name__, "id": crc32(repr(scalars).encode())}
    for name, parts in (("epoch", ("epoch", "replaces")), ("index", ("last_index", "prev_index"))):
        for part in parts:
            if (value := getattr(message, part, None)) is not None:
                told[name] = value
                break
    return told


class BadRecordError(ValueError):
    """Bytes or lines that are no record of ours; the text says what was wrong."""


_body = msgspec.msgpack.Encoder()
_read_body = msgspec.msgpack.Decoder(tuple[str, dict[str, Any]])


def encode_body(kind: str, fields: Fields) -> bytes:
    return _body.encode((kind, fields))


def decode_body(body: bytes) -> tuple[str, Fields]:
    """Read a body back. Raises BadRecordError."""
    try:
        return _read_body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise BadRecordError(f"a record's entry cannot be read: {wrong}") from None
