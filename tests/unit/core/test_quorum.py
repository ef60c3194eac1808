"""Majorities against brute force (R9)."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazaar_peer.core.quorum import held_by_majority, majority, reached

voters = st.lists(st.integers(0, 9), min_size=1, max_size=7, unique=True)
anybody = st.sets(st.integers(-1, 12))


@given(voters, anybody)
def test_majority_is_reached_by_more_than_half_and_by_nothing_less(
    electorate: list[int], who: set[int]
) -> None:
    inside = sum(1 for voter in electorate if voter in who)

    assert reached(electorate, who) == (2 * inside > len(electorate))


@pytest.mark.parametrize("count", range(1, 8))
def test_any_two_majorities_meet(count: int) -> None:
    size = majority(range(count))
    sets = [set(chosen) for chosen in combinations(range(count), size)]
    short = [set(chosen) for chosen in combinations(range(count), size - 1)]
    rest = [set(chosen) for chosen in combinations(range(count), count - size + 1)]

    assert all(one & other for one in sets for other in sets)
    assert any(not one & other for one in short for other in rest)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=7))
def test_value_held_by_a_majority_is_the_greatest_such(values: list[int]) -> None:
    held = [
        value
        for value in range(31)
        if reached(range(len(values)), [n for n, own in enumerate(values) if own >= value])
    ]

    assert held_by_majority(values) == max(held)


def test_peer_alone_is_a_majority_of_one() -> None:
    """Row 71."""
    assert reached([4], [4])
    assert held_by_majority([17]) == 17


def test_half_is_no_majority() -> None:
    """Row 15: and whoever is no voter counts nowhere."""
    assert not reached([0, 1, 2, 3], [0, 1, 7, 8, 9])
