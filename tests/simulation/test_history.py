"""The two linearizability checkers, each on histories with a known verdict, and on each other."""

from __future__ import annotations

from bazaar_peer.simulation.dice import Dice
from bazaar_peer.simulation.history import Seen, wrong_by_index, wrong_by_order

A = Seen(invoked=0, returned=10, place=1, amount=5, value=5)


def test_reads_see_what_was_answered_before_they_began() -> None:
    stale = Seen(invoked=20, returned=30, place=0, amount=0, value=0)

    assert wrong_by_index([A, stale])
    assert wrong_by_order([A, stale])


def test_a_concurrent_read_may_miss_it() -> None:
    early = Seen(invoked=5, returned=30, place=0, amount=0, value=0)

    assert wrong_by_index([A, early]) == ""
    assert wrong_by_order([A, early]) == ""


def test_an_unknown_command_may_have_happened_or_not() -> None:
    lost = Seen(invoked=1, returned=-1, place=0, amount=3, value=0)
    with_it = Seen(invoked=20, returned=30, place=2, amount=0, value=8)
    without = Seen(invoked=20, returned=30, place=1, amount=0, value=5)

    assert wrong_by_order([A, lost, with_it]) == ""
    assert wrong_by_order([A, lost, without]) == ""


def test_answers_that_no_order_explains_are_found() -> None:
    twice = Seen(invoked=20, returned=30, place=3, amount=1, value=11)

    assert wrong_by_order([A, twice])


def test_both_checkers_accept_every_history_of_a_single_counter() -> None:
    """Operations take effect at a random moment between invocation and answer."""
    for seed in range(200):
        assert (wrong_by_index(history := _history(seed)), wrong_by_order(history)) == ("", "")


def test_both_checkers_refuse_a_read_of_the_past() -> None:
    for seed in range(50):
        history = _history(seed)
        end = max(seen.returned for seen in history)
        stale = Seen(invoked=end + 1, returned=end + 2, place=0, amount=0, value=0)
        if any(seen.amount for seen in history):
            assert wrong_by_index([*history, stale])
            assert wrong_by_order([*history, stale])


def _history(seed: int) -> list[Seen]:
    dice = Dice(seed)
    effects = sorted((dice.below(100), n) for n in range(8))
    history: list[Seen] = []
    value = 0
    for at, _ in effects:
        amount = dice.below(3)
        value += amount
        known = sum(seen.amount > 0 for seen in history) + (amount > 0)
        took = (at - dice.below(30), at + dice.below(30) + 1)
        history.append(Seen(took[0], took[1], known, amount, value))
    return history
