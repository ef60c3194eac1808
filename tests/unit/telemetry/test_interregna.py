"""Since when there is no trader: what begins an interregnum, what ends it, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_peer.telemetry.interregna import Interregna, Interregnum


class Ring:
    """A peer's view that a test sets; times are small numbers."""

    def __init__(self) -> None:
        self.heard, self.trader = 0, False
        self.seen = Interregna(0, lambda: self.heard, lambda: self.trader)

    def note(self, now: int, kind: str, **fields: Any) -> Interregnum | None:
        return self.seen.note(kind, fields, now)

    def reigns(self, now: int, epoch: int = 1) -> Interregnum | None:
        self.heard, self.trader = now, True
        return self.note(now, "follows", epoch=epoch)


@pytest.fixture
def ring() -> Ring:
    """A peer that follows a trader since 10."""
    made = Ring()
    assert made.reigns(10) is None, "the first reign ends no loss that anybody saw"
    return made


def test_crash_that_a_refused_connection_tells_begins_at_once(ring: Ring) -> None:
    ring.note(20, "trader_lost")
    ring.note(21, "promised", epoch=2, to=1, transfer=0)

    assert ring.reigns(25, 2) == Interregnum(20, 25, planned=False)


@pytest.mark.parametrize("kind", ["election", "poll", "promised", "nominee"])
def test_silence_before_it_was_noticed_belongs_to_it(ring: Ring, kind: str) -> None:
    ring.heard = 40
    ring.note(90, kind, epoch=2, transfer=0)

    assert ring.reigns(95, 2) == Interregnum(40, 95, planned=False)


def test_hand_over_is_planned_and_begins_with_the_closed_post(ring: Ring) -> None:
    ring.note(20, "hand_over")
    ring.note(22, "promised", epoch=2, to=1, transfer=1)
    ring.note(23, "role_ended", role="trader")

    assert ring.reigns(25, 2) == Interregnum(20, 25, planned=True)


def test_hand_over_is_planned_for_who_is_asked_for_a_promise_only(ring: Ring) -> None:
    ring.heard = 15
    ring.note(22, "promised", epoch=2, to=1, transfer=1)

    assert ring.reigns(25, 2) == Interregnum(22, 25, planned=True)


def test_own_reign_ends_it_when_it_is_committed(ring: Ring) -> None:
    ring.note(20, "trader_lost")
    ring.note(22, "nominee", epoch=2, transfer=0)
    assert ring.note(24, "epoch_started", epoch=2) is None

    over = ring.note(26, "reign_begun", epoch=2)
    assert over is not None
    assert over[:3] == (20, 26, False)


def test_phases_begin_with_the_own_first_step_and_end_with_the_last_candidacy(ring: Ring) -> None:
    ring.heard = 40
    ring.note(60, "promised", epoch=2, to=1, transfer=0)
    ring.note(70, "poll", epoch=2)
    ring.note(72, "nominee", epoch=3, transfer=0)
    ring.note(80, "nominee_failed", epoch=3)
    ring.note(90, "nominee", epoch=4, transfer=0)
    ring.note(95, "invested", epoch=4)

    over = ring.note(99, "reign_begun", epoch=4)
    assert over == Interregnum(40, 99, planned=False, phases=(30, 25, 4))


def test_steps_of_a_false_alarm_are_no_part_of_the_next_interregnum(ring: Ring) -> None:
    ring.trader = False
    ring.note(20, "poll")
    ring.trader = True
    assert not ring.seen.overlaps(19)
    ring.heard = 50
    ring.note(60, "nominee", epoch=2, transfer=0)
    ring.note(65, "invested", epoch=2)

    over = ring.note(70, "reign_begun", epoch=2)
    assert over == Interregnum(50, 70, planned=False, phases=(10, 5, 5))


def test_post_that_opens_again_was_no_interregnum(ring: Ring) -> None:
    ring.note(20, "hand_over")
    ring.note(30, "post_reopened")

    assert not ring.seen.overlaps(25)
    assert ring.reigns(40, 2) is None


def test_false_alarm_ends_when_the_trader_is_heard_again(ring: Ring) -> None:
    ring.trader = False
    ring.note(20, "poll")
    assert ring.seen.overlaps(19)
    ring.trader = True

    assert not ring.seen.overlaps(19)
    assert ring.reigns(50, 2) is None


def test_trader_that_is_heard_again_ends_a_false_alarm_without_any_request(ring: Ring) -> None:
    ring.note(20, "poll")
    ring.note(30, "hears_again", epoch=1, trader=2)
    ring.heard = 100
    ring.note(160, "nominee", epoch=2, transfer=0)
    ring.note(165, "invested", epoch=2)

    over = ring.note(170, "reign_begun", epoch=2)
    assert over == Interregnum(100, 170, planned=False, phases=(60, 5, 5))


@pytest.mark.parametrize(("began", "met"), [(15, True), (24, True), (25, False), (26, False)])
def test_request_that_overlaps_it_is_told(ring: Ring, began: int, met: bool) -> None:
    ring.note(20, "trader_lost")
    ring.reigns(25, 2)

    assert ring.seen.overlaps(began) is met


def test_request_before_the_first_reign_meets_an_election() -> None:
    assert Ring().seen.overlaps(0)
