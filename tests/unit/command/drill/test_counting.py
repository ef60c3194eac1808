"""What a fault cost in time without a trader, from looks at what the peers have counted."""

from __future__ import annotations

import pytest

from bazaar_peer.command.drill.counting import Look, Spell, spell
from bazaar_peer.command.drill.place import Interregna, Line

VICTIM = 2


def look(epoch: int, trader: int, *counts: Interregna | None, born: int = 100) -> Look:
    """Peers 0, 1, 2, as far as they tell; `born`: pids of these lives begin there."""
    told = {
        peer: (Line(peer, "", True, born + peer), one)
        for peer, one in enumerate(counts)
        if one is not None
    }
    return Look(epoch, trader, told)


def saw(ended: int, seconds: float, planned: int = 0) -> Interregna:
    return Interregna(ended, seconds, 50.0, planned)


BEFORE = look(1, VICTIM, saw(3, 1.0), saw(2, 0.5), saw(0, 0.0))


@pytest.mark.parametrize(
    ("first", "behind", "cost"),
    [
        # One reign, by the word of who reigns, though another peer saw more of it.
        ((2, 1, saw(4, 1.9), saw(3, 0.75)), (2, 1), Spell(1, 250.0, 250.0, planned=False)),
        ((2, 1, saw(4, 1.9), saw(3, 0.75, 1)), (2, 1), Spell(1, 250.0, 250.0, planned=True)),
        # A second one before it has settled, by another.
        (
            (2, 1, saw(4, 1.25), saw(3, 0.75)),
            (3, 0, saw(5, 10.25), saw(4, 9.0)),
            Spell(2, 9000.0, 9250.0, planned=False),
        ),
        # Both before the first look: nobody knows how they share it, so it counts as one.
        (
            (2, 1, saw(5, 1.5), saw(4, 1.0)),
            (3, 0, saw(5, 1.5), saw(4, 1.0)),
            Spell(2, 500.0, 500.0, planned=False),
        ),
        # A hand-over in vain, and then an election.
        (
            (2, 1, saw(4, 1.25), saw(3, 0.75, 1)),
            (3, 0, saw(5, 2.25), saw(4, 2.0, 1)),
            Spell(2, 1000.0, 1250.0, planned=False),
        ),
        # Who reigns has told nothing: another one that lives on has.
        ((2, 1, saw(4, 1.25), None), (2, 1), Spell(1, 250.0, 250.0, planned=False)),
        # Nobody tells, or not of the second.
        ((2, 1, None, None), (2, 1), Spell(1)),
        ((2, 1, saw(4, 1.25), saw(3, 0.75)), (3, 0), Spell(2)),
        # What the victim saw while it stood still is no interregnum.
        ((2, 1, None, None, saw(1, 60.0)), (2, 1), Spell(1)),
        # There was none; a late one.
        ((1, 2, saw(3, 1.0), saw(2, 0.5)), (1, 2), Spell()),
        (
            (1, 2, saw(3, 1.0), saw(2, 0.5)),
            (2, 0, saw(4, 1.25), saw(3, 0.75)),
            Spell(1, 250.0, 250.0, planned=False),
        ),
    ],
)
def test_fault_costs_every_interregnum_until_the_ring_has_settled(
    first: tuple[int, int, Interregna | None], behind: tuple[int, int], cost: Spell
) -> None:
    found = spell(BEFORE, look(*first), look(*behind), victim=VICTIM, since=0.0)

    assert found == cost


def test_counts_of_another_process_tell_nothing() -> None:
    first = look(2, 1, saw(4, 1.25), saw(3, 0.75), born=900)

    assert spell(BEFORE, first, first, victim=VICTIM, since=0.0) == Spell(1)


@pytest.mark.parametrize(("since", "ms"), [(49.9, 100.0), (49.0, 250.0), (50.1, None)])
def test_silence_from_before_the_fault_is_left_out(since: float, ms: float | None) -> None:
    first = look(2, 1, saw(4, 1.25), saw(3, 0.75))

    assert spell(BEFORE, first, first, victim=VICTIM, since=since).longest_ms == ms
