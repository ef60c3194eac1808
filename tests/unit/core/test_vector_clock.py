"""Laws of vector clocks (T1–T5, S8)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bazaar_peer.core.types import incarnation_of, name_of, ordinal_of, peer_id
from bazaar_peer.core.vector_clock import (
    BLOCK,
    VectorClock,
    happens_before,
)

Stamp = dict[int, int]
stamps = st.dictionaries(st.integers(0, 3), st.integers(0, 4), max_size=4)
ME = 2


def clock(counts: Stamp, ticks: int = 0, reserved: int = BLOCK) -> VectorClock:
    made = VectorClock(ME, dict(counts), ticks)
    made.reserved = reserved
    return made


def merged(*stamped: Stamp) -> Stamp:
    """The least upper bound by components: the law that `merge` must keep."""
    parts = {part for stamp in stamped for part in stamp}
    return {part: max(stamp.get(part, 0) for stamp in stamped) for part in parts}


def up_to(a: Stamp, b: Stamp) -> bool:
    """Tell whether a ≤ b."""
    return not any(ticks > b.get(part, 0) for part, ticks in a.items())


@given(stamps)
def test_nothing_happens_before_itself(a: Stamp) -> None:
    assert not happens_before(a, a)


@given(stamps, stamps)
def test_no_two_events_happen_before_each_other(a: Stamp, b: Stamp) -> None:
    assert not (happens_before(a, b) and happens_before(b, a))


@given(stamps, stamps, stamps)
def test_cause_of_a_cause_is_a_cause(a: Stamp, b: Stamp, c: Stamp) -> None:
    if happens_before(a, b) and happens_before(b, c):
        assert happens_before(a, c)


@given(stamps, stamps)
def test_happens_before_is_less_in_some_component_and_more_in_none(a: Stamp, b: Stamp) -> None:
    assert happens_before(a, b) == (up_to(a, b) and not up_to(b, a))


@given(stamps, stamps)
def test_merge_is_the_least_upper_bound(a: Stamp, b: Stamp) -> None:
    """But of the own component, which only the own events move (T2)."""
    mine = clock(a)

    mine.merge(b)

    bound = merged(a, {part: ticks for part, ticks in b.items() if part != ME}, {ME: 0})
    assert {part: ticks for part, ticks in mine.counts.items() if ticks} == {
        part: ticks for part, ticks in bound.items() if ticks
    }


@given(stamps, stamps, stamps)
def test_order_and_repeats_of_merges_do_not_matter(a: Stamp, b: Stamp, c: Stamp) -> None:
    one, other = clock(a), clock(a)

    one.merge(b)
    one.merge(c)
    other.merge(c)
    other.merge(b)
    other.merge(c)

    assert one.counts == other.counts


@given(stamps, st.lists(stamps, max_size=6))
def test_own_component_never_goes_back_and_stamps_grow(start: Stamp, seen: list[Stamp]) -> None:
    """T2: whatever is merged, each stamp is a later event than the one before."""
    mine = clock(start)
    before: Stamp = mine.counts.copy()

    for other in seen:
        mine.merge(other)
        stamp = mine.stamp()

        assert stamp[ME] == before.get(ME, 0) + 1
        assert happens_before(before, stamp)
        before = stamp


@given(stamps, stamps)
def test_sum_of_components_is_a_linear_extension(a: Stamp, b: Stamp) -> None:
    """S8: sorting by the sum serves causes first."""
    if happens_before(a, b):
        assert sum(a.values()) < sum(b.values())


def test_restart_begins_behind_every_tick_that_was_reserved() -> None:
    """T2: ticks of the last boot that nobody saw are lost, never used again."""
    mine = clock({ME: 7}, ticks=BLOCK, reserved=2 * BLOCK)

    assert mine.stamp()[ME] == BLOCK + 1


def test_no_tick_is_used_before_it_is_durably_reserved() -> None:
    mine = clock({}, ticks=0, reserved=2)

    taken = [mine.stamp()[ME] for _ in range(2) if mine.can_stamp()]

    assert taken == [1, 2]
    assert not mine.can_stamp()


@given(st.integers(0, 95), st.integers(1, 1000))
def test_life_is_named_by_ordinal_and_incarnation(ordinal: int, incarnation: int) -> None:
    """T3, R14: a volume that comes back is another life, and another component."""
    life = peer_id(ordinal, incarnation)

    assert name_of(life) == f"{ordinal}.{incarnation}"
    assert (ordinal_of(life), incarnation_of(life)) == (ordinal, incarnation)
    assert life != peer_id(ordinal, incarnation + 1)
