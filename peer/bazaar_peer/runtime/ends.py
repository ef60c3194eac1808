"""Where a journal's records end: 32 bytes a record, so that any end is known without reading."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import NamedTuple

_CHAIN_BYTES = 16


class Place(NamedTuple):
    """An end of a record: epoch and index, and the chain over all up to it; zeros at the origin."""

    epoch: int
    last: int
    chain: bytes


ORIGIN = Place(0, 0, bytes(_CHAIN_BYTES))


class Ends:
    def __init__(self, base: Place) -> None:
        self._epochs: array[int] = array("Q")
        self._indexes: array[int] = array("Q")
        self._chains = bytearray()
        self.append(base)

    def append(self, place: Place) -> None:
        self.last = place
        self._epochs.append(place.epoch)
        self._indexes.append(place.last)
        self._chains += place.chain

    @property
    def base(self) -> Place:
        return self._nth(0)

    def at(self, index: int) -> Place | None:
        n = bisect_left(self._indexes, index)
        return self._nth(n) if n < len(self._indexes) and self._indexes[n] == index else None

    def truncate(self, after: int) -> None:
        n = bisect_right(self._indexes, after)
        del self._epochs[n:], self._indexes[n:], self._chains[n * _CHAIN_BYTES :]
        self.last = self._nth(n - 1)

    def prune(self, base: int) -> None:
        n = max(0, bisect_right(self._indexes, base) - 1)
        del self._epochs[:n], self._indexes[:n], self._chains[: n * _CHAIN_BYTES]

    def _nth(self, n: int) -> Place:
        chain = bytes(self._chains[n * _CHAIN_BYTES : (n + 1) * _CHAIN_BYTES])
        return Place(self._epochs[n], self._indexes[n], chain)
