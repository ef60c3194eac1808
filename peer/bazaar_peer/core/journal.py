"""The journal in memory: the records behind the base, and who the members are by it.

The disk holds the same through one ordered queue (durability.py). Records are decoded once, when
they come in, so that nothing undecodable is ever written; the entries are dropped once applied.
Positions are ends of records; truncation happens between records only.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence

from bazaar_peer.core.messages import (
    Entry,
    MembersChanged,
    Record,
    Stored,
    decode_record,
    encode,
)
from bazaar_peer.core.types import Position

NO_EPOCH = -(1 << 64)
"""Epoch of a place where no record ends: lower than any that a message can carry."""


def chain_hash(previous: bytes, blob: bytes) -> bytes:
    """Return the hash of a record and all before it (D1)."""
    return hashlib.blake2b(previous + blob, digest_size=16).digest()


def store(record: Record, previous: bytes) -> Stored:
    """Encode a record behind a journal whose chain ends with `previous`."""
    blob = encode(record)
    last = record.first + len(record.entries) - 1
    return Stored(record.epoch, record.first, last, chain_hash(previous, blob), blob)


class Journal:
    """Records behind `base`; `members` is the newest `MembersChanged`, committed or not (R9)."""

    def __init__(self, base: Position, chain: bytes, members: MembersChanged | None) -> None:
        self.base = base
        self.base_chain = chain
        self.records: list[Stored] = []
        self.ends: list[int] = []
        self.bytes = 0
        self.configs: list[tuple[int, MembersChanged]] = [] if members is None else [(0, members)]
        self._decoded: dict[int, Record] = {}

    @property
    def last(self) -> Position:
        if self.records:
            end = self.records[-1]
            return (end.epoch, end.last)
        return self.base

    @property
    def chain(self) -> bytes:
        return self.records[-1].chain if self.records else self.base_chain

    @property
    def members(self) -> MembersChanged:
        return self.configs[-1][1]

    def epoch_at(self, index: int) -> int:
        """Return the epoch of the record that ends at `index`, or `NO_EPOCH` if none does."""
        if index == self.base[1]:
            return self.base[0]
        at = bisect_left(self.ends, index)
        if at < len(self.ends) and self.ends[at] == index:
            return self.records[at].epoch
        return NO_EPOCH

    def floor_of(self, index: int) -> int:
        """Return the greatest end of a record that is ≤ `index`, at least the base."""
        at = bisect_left(self.ends, index + 1)
        return self.ends[at - 1] if at else self.base[1]

    def append(self, stored: Stored, record: Record) -> None:
        """Take a record behind the last one; caller duty: it fits there."""
        assert stored.first == self.last[1] + 1
        assert stored.epoch >= self.last[0]
        self.records.append(stored)
        self.ends.append(stored.last)
        self.bytes += len(stored.blob)
        self._decoded[stored.first] = record
        for offset, entry in enumerate(record.entries):
            if type(entry) is MembersChanged:
                self.configs.append((stored.first + offset, entry))

    def recovered(self, records: Sequence[Stored]) -> None:
        """Take records from the own volume, which the store has audited."""
        for stored in records:
            self.append(stored, decode_record(stored.blob))

    def truncate(self, after: int) -> None:
        """Drop every record behind `after`, an end of a record; members go back with them (R9)."""
        keep = bisect_left(self.ends, after + 1)
        for stored in self.records[keep:]:
            self.bytes -= len(stored.blob)
            self._decoded.pop(stored.first, None)
        del self.records[keep:], self.ends[keep:]
        while len(self.configs) > 1 and self.configs[-1][0] > after:
            self.configs.pop()

    def prune(self, index: int) -> None:
        """Forget records up to `index`, which a checkpoint replaces."""
        count = bisect_left(self.ends, index + 1)
        if not count:
            return
        end = self.records[count - 1]
        self.base, self.base_chain = (end.epoch, end.last), end.chain
        for stored in self.records[:count]:
            self.bytes -= len(stored.blob)
            self._decoded.pop(stored.first, None)
        del self.records[:count], self.ends[:count]

    def rebase(self, base: Position, chain: bytes, members: MembersChanged) -> None:
        """Start anew behind an installed checkpoint that this journal does not contain (C3)."""
        self.__init__(base, chain, members)  # type: ignore[misc]

    def behind(self, index: int, bytes_max: int) -> list[Stored]:
        """Return records behind `index`, at least one if there is any, of about `bytes_max`."""
        at = bisect_left(self.ends, index + 1)
        size, end = 0, at
        while end < len(self.records) and (
            end == at or size + len(self.records[end].blob) <= bytes_max
        ):
            size += len(self.records[end].blob)
            end += 1
        return self.records[at:end]

    def entries_of(self, stored: Stored) -> Record:
        """Return a record decoded, and forget the decoded form: it is applied once."""
        record = self._decoded.pop(stored.first, None)
        return decode_record(stored.blob) if record is None else record

    def next_behind(self, index: int) -> Stored | None:
        """Return the record that begins right behind `index`."""
        at = bisect_left(self.ends, index + 1)
        return self.records[at] if at < len(self.records) else None


def check_fit(record: Record, last: Position, epoch: int) -> str:
    """Return why this record cannot follow `last` in a message of `epoch`, or nothing."""
    if record.first != last[1] + 1:
        return f"record begins at {record.first} behind {last[1]}"
    if not last[0] <= record.epoch <= epoch:
        return f"record of epoch {record.epoch} behind one of {last[0]} in epoch {epoch}"
    return "" if record.entries else "record without entries"


def entries(record: Record) -> list[tuple[int, Entry]]:
    """Pair a record's entries with their indexes."""
    return list(enumerate(record.entries, record.first))
