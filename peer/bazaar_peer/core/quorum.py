"""Majorities, as pure functions over voters (R9)."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def majority(voters: Collection[int]) -> int:
    """Return how many of these voters are a majority."""
    return len(voters) // 2 + 1


def reached(voters: Collection[int], who: Collection[int]) -> bool:
    """Tell whether `who` contains a majority of `voters`; anybody else in it counts nowhere."""
    return sum(1 for voter in voters if voter in who) >= majority(voters)


def held_by_majority(values: Sequence[int]) -> int:
    """Return the greatest value that a majority has reached; one value a voter."""
    return sorted(values, reverse=True)[len(values) // 2]
