"""Where the lots lie: by number for the state, by price for the sale.

`Lots` is the state. It keeps lots on shelves of 128 consecutive numbers. Numbers grow, so shelves
and what lies on them are ordered by construction, whatever the history. A copy for a checkpoint
takes the list of shelves only: a shelf is copied when it is first written afterwards. In the same
way a shelf's hash is kept until it is next written, so that hashing costs what has changed.

`Book` is derived from it: one item's lots, cheapest last, then oldest last, in blocks that bound
what a change in the middle has to move. Its blocks never show in any result.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from typing import TypeAlias

import msgspec

Lot: TypeAlias = tuple[str, str, int, int]
"""Item, seller, unit price, quantity left. Never changed, only replaced."""

SHELF_BITS = 7
BLOCK_MAX = 1024
LOT_BITS = 48
LOT_MASK = (1 << LOT_BITS) - 1

_encode = msgspec.msgpack.Encoder().encode


class Lots:
    """Lots by number, in the order of their deposits."""

    __slots__ = ("_hashes", "_own", "_shelves", "_sum", "_unhashed")

    def __init__(self) -> None:
        self._shelves: dict[int, dict[int, Lot]] = {}
        self._own: set[int] = set()  # shelves that no copy shares, and whose hash is not kept
        self._hashes: dict[int, int] = {}
        self._unhashed: dict[int, None] = {}
        self._sum = 0  # of all `_hashes`

    def get(self, lot: int) -> Lot | None:
        shelf = self._shelves.get(lot >> SHELF_BITS)
        return shelf.get(lot) if shelf is not None else None

    def put(self, lot: int, value: Lot) -> None:
        """Add a lot with a number above all others, or replace one."""
        number = lot >> SHELF_BITS
        shelf = self._shelves[number] if number in self._own else self._claim(number)
        shelf[lot] = value

    def drop(self, lot: int) -> None:
        number = lot >> SHELF_BITS
        shelf = self._shelves[number] if number in self._own else self._claim(number)
        del shelf[lot]
        if not shelf:
            del self._shelves[number]
            self._own.discard(number)

    def hash(self) -> int:
        """Sum of the shelves' hashes: the same for the same lots, whatever the history."""
        self._own.clear()
        for number in self._unhashed:
            if number in self._shelves:
                digest = blake2b(_encode(self._shelves[number]), digest_size=8).digest()
                self._hashes[number] = int.from_bytes(digest, "big")
                self._sum += self._hashes[number]
        self._unhashed.clear()
        return self._sum

    def items(self) -> Iterator[tuple[int, Lot]]:
        """Every lot as of this call, oldest first, however late it is drawn."""
        self._own.clear()
        return chain.from_iterable(shelf.items() for shelf in list(self._shelves.values()))

    def _claim(self, number: int) -> dict[int, Lot]:
        shelf = dict(self._shelves.get(number, ()))
        self._shelves[number] = shelf
        self._own.add(number)
        self._unhashed[number] = None
        self._sum -= self._hashes.pop(number, 0)
        return shelf


class Book:
    """One item's lots by price and age: keys -(price, lot), so that the next to sell is last."""

    __slots__ = ("_blocks", "_lows")

    def __init__(self) -> None:
        self._blocks: list[list[int]] = [[]]
        self._lows: list[int] = []  # lowest key ever put into block 1, 2, …: bounds between blocks

    def cheapest(self) -> int:
        """The lot to sell next; only asked while there is one."""
        return -self._blocks[-1][-1] & LOT_MASK

    def __iter__(self) -> Iterator[int]:
        """Lots in the order in which they are sold."""
        for block in reversed(self._blocks):
            for key in reversed(block):
                yield -key & LOT_MASK

    def add(self, price: int, lot: int) -> None:
        key = -(price << LOT_BITS | lot)
        place = self._place(key)
        block = self._blocks[place]
        insort(block, key)
        if len(block) > BLOCK_MAX:
            half = len(block) // 2
            self._blocks.insert(place + 1, block[half:])
            self._lows.insert(place, block[half])
            del block[half:]

    def remove(self, price: int, lot: int) -> None:
        key = -(price << LOT_BITS | lot)
        place = self._place(key)
        block = self._blocks[place]
        at = len(block) - 1 if block[-1] == key else bisect_left(block, key)
        del block[at]
        if not block and self._lows:
            del self._blocks[place]
            del self._lows[max(place - 1, 0)]

    def _place(self, key: int) -> int:
        return bisect_right(self._lows, key)
