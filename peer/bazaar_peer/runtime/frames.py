"""Frames: how the journal's log lies in a file.

A *position* counts the log's bytes from its beginning, through all segments, and never goes back.
Each frame is head, payload and one end byte that is not zero, so that a frame that was cut short is
known by the zeros (the unused space of a segment) behind it. The head's CRC covers position, kind,
length, payload, and the position that was *durable* when the frame was written: so frames behind a
bad one testify whether it had been acknowledged (D1), even when the mark is older.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

MAGIC = b"\xb5Z"
END = b"\xa5"
HEAD = struct.Struct("<2sBxIIQ")
"""Magic, kind, length of the payload, CRC, durable position."""
OVERHEAD = HEAD.size + len(END)

START, RECORD, HARD, TRUNCATE, RESET = range(1, 6)
"""First frame of a segment; one journal record; hard state; drop behind; begin anew at a base."""

PLACE = struct.Struct("<QQ16s")
"""Epoch, last index, chain: where the journal ends."""
RECORD_HEAD = struct.Struct("<QQQ16s")
"""Epoch, first, last, chain; the blob follows."""
HARD_STATE = struct.Struct("<QqQQ")
START_HEAD = struct.Struct("<IQ")
"""Format, position of the segment; place and hard state follow."""


class Frame(NamedTuple):
    kind: int
    durable: int
    payload: bytes
    size: int


def pack(kind: int, head: bytes, body: bytes, *, position: int, durable: int) -> bytes:
    """Make a frame; the payload is head + body, two parts so that a blob is copied only once."""
    length = len(head) + len(body)
    crc = zlib.crc32(HEAD.pack(MAGIC, kind, length, 0, durable), position & 0xFFFFFFFF)
    crc = zlib.crc32(body, zlib.crc32(head, crc))
    return b"".join((HEAD.pack(MAGIC, kind, length, crc, durable), head, body, END))


def parse(log: bytes, at: int, position: int) -> Frame | None:
    """Read the frame at that offset; None: there is no whole, undamaged one."""
    if at + OVERHEAD > len(log):
        return None
    magic, kind, length, crc, durable = HEAD.unpack_from(log, at)
    end = at + HEAD.size + length
    if magic != MAGIC or log[at + 3] or log[end : end + 1] != END:
        return None
    payload = log[at + HEAD.size : end]
    if zlib.crc32(payload, _crc(kind, length, durable, position)) != crc:
        return None
    return Frame(kind, durable, payload, OVERHEAD + length)


def _crc(kind: int, length: int, durable: int, position: int) -> int:
    return zlib.crc32(HEAD.pack(MAGIC, kind, length, 0, durable), position & 0xFFFFFFFF)


def is_cut_short(rest: bytes) -> bool:
    """Tell whether what is left of a log, without its zeros, is the beginning of one frame (D2)."""
    if len(rest) < HEAD.size:
        return rest[: len(MAGIC)] == MAGIC[: len(rest)]
    magic, _, length, _, _ = HEAD.unpack_from(rest)
    return bool(magic == MAGIC) and len(rest) < OVERHEAD + length


def durable_seen(rest: bytes, position: int) -> int:
    """Find the highest durable position that any whole frame in the rest of a log testifies to."""
    highest, at = 0, rest.find(MAGIC)
    while at >= 0:
        frame = parse(rest, at, position + at)
        if frame:
            highest = max(highest, frame.durable)
        at = rest.find(MAGIC, at + (frame.size if frame else 1))
    return highest
