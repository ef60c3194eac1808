"""Clock offsets: messages of machines whose clocks are wrong, where the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from bazaar_peer.core.types import MS, SECOND
from bazaar_peer.record.clocks import Bounds, Message, Offsets

Clock = Callable[[int], int]
EXACT = 2 * MS


def fit(messages: list[Message], reference: str) -> Offsets:
    bounds = Bounds()
    for message in messages:
        bounds.add(message)
    return bounds.fit(reference)


def clock(offset_s: float, parts_per_million: int = 0) -> Clock:
    return lambda true: true + int(offset_s * SECOND) + true * parts_per_million // 1_000_000


def talk(clocks: dict[str, Clock], seconds: int, seed: int = 1) -> list[Message]:
    """The first one speaks with each of the others, five times a second, and is answered."""
    prng, found = Random(seed), []
    first, *others = clocks
    for step in range(seconds * 5):
        true = step * SECOND // 5
        for other in others:
            there = true + prng.randrange(100_000, 3 * MS)
            back = there + prng.randrange(100_000, 3 * MS)
            found.append(Message(first, clocks[first](true), other, clocks[other](there)))
            found.append(Message(other, clocks[other](there), first, clocks[first](back)))
    return found


@pytest.mark.parametrize("offset", [0.0, 0.25, -3600.0, 1e6])
def test_an_offset_is_found_to_a_message_s_time(offset: float) -> None:
    clocks = {"a": clock(0.0), "b": clock(offset)}
    offsets = fit(talk(clocks, 60), "a")
    for true in (0, 30 * SECOND, 59 * SECOND):
        assert abs(offsets.at("b", clocks["b"](true)) - clocks["a"](true)) < EXACT


def test_a_clock_that_drifts_is_followed_from_minute_to_minute() -> None:
    clocks = {"a": clock(0.0), "b": clock(5.0, 100)}  # 60 ms in ten minutes
    offsets = fit(talk(clocks, 600), "a")
    for true in range(60 * SECOND, 540 * SECOND, 20 * SECOND):
        assert abs(offsets.at("b", clocks["b"](true)) - clocks["a"](true)) < 2 * EXACT


def test_clocks_that_never_spoke_with_the_reference_are_reached_by_another() -> None:
    clocks = {"b": clock(7.0), "a": clock(0.0), "c": clock(-4.0)}  # b speaks with both
    offsets = fit(talk(clocks, 30), "a")
    assert abs(offsets.at("c", clocks["c"](9 * SECOND)) - 9 * SECOND) < 2 * EXACT


def test_who_never_spoke_keeps_its_own_time_and_is_not_known() -> None:
    offsets = fit(talk({"a": clock(0.0), "b": clock(1.0)}, 5), "a")
    assert not offsets.known("z")
    assert offsets.at("z", 123) == 123


def test_messages_one_way_only_are_taken_to_arrive_at_once() -> None:
    one_way = [Message("a", 100 * SECOND, "b", 3 * SECOND + 700)]
    assert fit(one_way, "a").at("b", 3 * SECOND + 700) == 100 * SECOND
