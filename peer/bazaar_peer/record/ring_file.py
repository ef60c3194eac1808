"""A file of slots that is written round and round: the newest entries of a peer, at a bounded size.

    header   32 bytes: magic, size of a slot, number of slots, 16 bytes of no meaning
    slot     crc32 (of all behind it), boot, sequence, time, length, body

One write an entry, of its slot alone, and nothing is synced: a kill -9 loses nothing of what was
written. Where the newest entry lies is found at opening, by the marks. The file promises nothing
for a machine that loses its power; a slot that is torn is left out by its check sum. It is not
mapped into memory: a mapped page that cannot be read or written ends the process by a signal.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

from bazaar_peer.record.entries import (
    BadRecordError,
    Entry,
    Mark,
    decode_body,
)

MAGIC = b"BZRECRD1"
_header = struct.Struct("<8sII16x")
SHAPE_BYTES = 16
NEVER = (0, 0)
"""The mark of a slot that was never written: boots are numbered from 1."""
PIECE_BYTES = 16384
_check = struct.Struct("<I")
_rest = struct.Struct("<IQQH")
_slot = struct.Struct("<IIQQH")


class RingFile:
    """One file; `path` is made, or made anew if it is not of this shape."""

    def __init__(self, path: Path, slot_bytes: int, slots: int) -> None:
        self.slot_bytes, self.slots = slot_bytes, slots
        size = _header.size + slot_bytes * slots
        head = _header.pack(MAGIC, slot_bytes, slots)
        there = _is_ours(path, head, size)
        if not there:
            fresh = path.with_name(f"{path.name}.new")
            _write_empty(fresh, head, size)
            os.replace(fresh, path)
        self.count = self._found(path.read_bytes()[_header.size :]) if there else 0
        """The next entry's number; that of its slot is the rest by `slots`."""
        self._file = os.open(path, os.O_RDWR)

    def slot(self, mark: Mark, at: int, body: bytes) -> bytes | None:
        """Return an entry as a slot; None: it does not fit into one."""
        length = len(body)
        if length > self.slot_bytes - _slot.size:
            return None
        boot, seq = mark
        rest = _rest.pack(boot, seq, at, length) + body
        return _check.pack(crc32(rest)) + rest

    def put(self, slots: Sequence[bytes]) -> None:
        """Write entries over the oldest, neighbours in one write. Raises OSError."""
        while slots:
            fit = min(len(slots), self.slots - self.count % self.slots)
            padded = [slot.ljust(self.slot_bytes, b"\0") for slot in slots[: fit - 1]]
            os.pwrite(self._file, b"".join([*padded, slots[fit - 1]]), self._start(self.count))
            self.count += fit
            slots = slots[fit:]

    def after(self, mark: Mark, since: int = 0) -> Iterator[Entry]:
        """Yield the whole entries behind a mark and not older than a time, oldest first.

        May run in another thread than `put`: a slot that is written meanwhile has a wrong check
        sum, or is one that comes later. Raises OSError.
        """
        for number in range(self._first(mark, since), self.count):
            entry = self._at(number)
            if entry is not None and entry.mark > mark:
                yield entry

    def last(self) -> Mark:
        """Return the newest entry's mark; `NEVER`: there is none."""
        for number in range(self.count - 1, self._oldest() - 1, -1):
            entry = self._at(number)
            if entry is not None:
                return entry.mark
        return NEVER

    def close(self) -> None:
        os.close(self._file)

    def _found(self, slots: bytes) -> int:
        """Return where to go on: behind the newest mark that is whole."""
        marks = list(struct.iter_unpack(f"<4xIQ{self.slot_bytes - 16}x", slots))
        for place in sorted(range(len(marks)), key=marks.__getitem__, reverse=True):
            if marks[place] == NEVER:
                break
            if _entry_of(slots[place * self.slot_bytes : (place + 1) * self.slot_bytes]):
                was_full = marks[-1] > NEVER
                return place + 1 + (self.slots if was_full else 0)
        return 0

    def _oldest(self) -> int:
        return max(0, self.count - self.slots)

    def _start(self, number: int) -> int:
        return _header.size + number % self.slots * self.slot_bytes

    def _first(self, mark: Mark, since: int) -> int:
        """Find by bisection: marks only grow, and so do times until the machine starts anew."""
        low, high = self._oldest(), self.count
        while low < high:
            middle = (low + high) // 2
            slot = os.pread(self._file, _slot.size, self._start(middle))
            # Of a file that was cut off, what is gone counts as old.
            _, boot, seq, at, _ = _slot.unpack(slot.ljust(_slot.size, b"\0"))
            if (int(boot), int(seq)) > mark and int(at) >= since:
                high = middle
            else:
                low = middle + 1
        return low

    def _at(self, number: int) -> Entry | None:
        return _entry_of(os.pread(self._file, self.slot_bytes, self._start(number)))


def _entry_of(slot: bytes) -> Entry | None:
    """Read a slot; None: it is torn, or was never written."""
    if len(slot) < _slot.size:
        return None
    check, boot, seq, at, length = _slot.unpack_from(slot)
    end = _slot.size + length
    if end > len(slot) or crc32(slot[_check.size : end]) != check:
        return None
    try:
        kind, fields = decode_body(slot[_slot.size : end])
    except BadRecordError:
        return None
    return Entry(boot, seq, at, kind, fields)


def _write_empty(path: Path, head: bytes, size: int) -> None:
    """Write it all, not sparse: a full volume is met here, and not by an entry later.

    In pieces: of one large write ext4 makes one large folio, and walks through all of its blocks
    with every entry (docs/performance.md).
    """
    with path.open("wb") as file:
        file.write(head)
        for begin in range(len(head), size, PIECE_BYTES):
            file.write(bytes(min(PIECE_BYTES, size - begin)))


def _is_ours(path: Path, head: bytes, size: int) -> bool:
    """Tell whether the file has this shape, whatever stands in its slots."""
    if not path.exists() or path.stat().st_size != size:
        return False
    with path.open("rb") as file:
        return file.read(SHAPE_BYTES) == head[:SHAPE_BYTES]
