"""Randomness that stays the same for ever.

Only `random()` is used, the one method whose sequence Python promises to keep. Every kind of
decision has a stream of its own, so that removing one kind (shrinking) does not shift the others.
"""

from __future__ import annotations

import random
from collections.abc import MutableSequence, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Dice:
    """One stream; `name` separates the streams of one seed."""

    def __init__(self, seed: int, name: str = "") -> None:
        self.random = random.Random(f"{seed}/{name}").random

    def below(self, bound: int) -> int:
        return int(self.random() * bound)

    def between(self, low: int, high: int) -> int:
        """Return an integer of [low, high]."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def choice(self, items: Sequence[T]) -> T:
        return items[int(self.random() * len(items))]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        for at in range(len(items) - 1, 0, -1):
            other = int(self.random() * (at + 1))
            items[at], items[other] = items[other], items[at]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """Return `count` different items in random order."""
        all_of_them = list(items)
        self.shuffle(all_of_them)
        return all_of_them[:count]
