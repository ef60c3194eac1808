"""Who was held up takes nobody's silence for a loss: once, for an interval (N3, N5)."""

from __future__ import annotations

import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import NEVER, SECOND, Role
from tests.unit.core.ring import Ring

STANDS_STILL = 3
"""So many times what silence is borne."""


@pytest.fixture
def ring() -> Ring:
    made = Ring(3)
    made.settle()
    made.run(SECOND)
    return made


def follower_of(ring: Ring) -> Peer:
    return next(core for core in ring.peers.values() if core.role is Role.FOLLOWER)


def ticked(core: Peer, now: int) -> set[str]:
    """Call a peer, and return what it notes."""
    return {one.kind for one in core.handle([ev.Tick()], now) if isinstance(one, fx.Note)}


@pytest.mark.parametrize("timeouts", [0.5, 0.7, 0.9, 1.0, 1.1, 1.2, 1.5, STANDS_STILL])
def test_ring_that_stood_still_keeps_its_trader(ring: Ring, timeouts: float) -> None:
    """However long it was, and wherever between two heartbeats it began."""
    trader = ring.trader
    core = ring.peers[trader]
    before = core.epoch, len(ring.noted("election"))

    for phase in range(10):
        ring.now += int(timeouts * core.timing.heartbeat_timeout)
        ring.run(SECOND + phase * core.timing.heartbeat_interval // 10)
        assert ring.settle() == trader

    assert (core.epoch, len(ring.noted("election"))) == before
    assert timeouts < 1 or len(ring.noted("held_up")) == 30


def test_follower_that_was_held_up_believes_in_a_loss_an_interval_later(ring: Ring) -> None:
    core = follower_of(ring)
    timing = core.timing
    woken, heard_at = ring.now + STANDS_STILL * timing.heartbeat_timeout, core.follower.heard_at

    assert ticked(core, woken) == {"held_up"}
    assert core.hearing()
    assert core.follower.heard_at == heard_at, "how old its view is it does not mistake"
    assert not ticked(core, woken + timing.heartbeat_interval - 1)
    ticked(core, woken + timing.heartbeat_interval)
    assert not core.hearing()


def test_it_is_borne_once(ring: Ring) -> None:
    """Who is always late would else never notice that its trader is gone."""
    core = follower_of(ring)
    still = STANDS_STILL * core.timing.heartbeat_timeout

    assert "held_up" in ticked(core, ring.now + still)
    assert "held_up" not in ticked(core, ring.now + 2 * still)
    assert not core.hearing()


def test_loss_that_was_known_before_is_none_that_was_slept_over(ring: Ring) -> None:
    core = follower_of(ring)
    ring.feed(core.me, ev.LinkLost(ring.trader, refused=True))

    assert "held_up" not in ticked(core, ring.now + STANDS_STILL * core.timing.heartbeat_timeout)
    assert not core.hearing()


def test_trader_that_was_held_up_steps_down_an_interval_later(ring: Ring) -> None:
    core = ring.peers[ring.trader]
    timing = core.timing
    woken = ring.now + STANDS_STILL * timing.heartbeat_timeout

    assert ticked(core, woken) == {"held_up"}
    assert "stepped_down" not in ticked(core, woken + timing.heartbeat_interval - 1)
    assert "stepped_down" in ticked(core, woken + timing.heartbeat_interval)


@pytest.mark.parametrize("lacks", ["an answer", "its own disk", "a commit"])
def test_trader_is_patient_once(ring: Ring, lacks: str) -> None:
    """Else one that is always late, and has no majority, or a disk that stalls, would never go."""
    core = ring.peers[ring.trader]
    still = STANDS_STILL * core.timing.heartbeat_timeout
    if lacks != "an answer":
        ring.lost = lambda sender, to, _: lacks == "a commit" and sender != core.me
        ring.add(core.me, 1)

    assert "held_up" in ticked(core, ring.now + still)
    again = ticked(core, ring.now + 2 * still)
    assert "held_up" not in again
    assert "stepped_down" in again


def test_time_that_was_slept_over_shows_nobody_to_keep_up() -> None:
    """The highest id is preferred once it has kept up for a while: awake, that is."""
    ring = Ring(3, preempt=True)
    highest = ring.settle()
    ring.kill(highest)
    lower = ring.settle()
    ring.restart(highest)
    core = ring.peers[lower]
    ring.until(lambda: core.trader_role.hand_over.preferred_at != NEVER)
    ring.now += STANDS_STILL * core.timing.heartbeat_timeout

    ring.run(core.timing.heartbeat_timeout)
    in_time = ring.roles()[lower]
    ring.run(SECOND)

    assert in_time is Role.TRADER
    assert ring.noted("hand_over") != []


def test_nobody_counts_for_alive_by_patience(ring: Ring) -> None:
    """R10: a voter is let go only while a majority without it has answered of late."""
    core = ring.peers[ring.trader]
    assert len(core.trader_role.membership._alive()) == 3

    ticked(core, ring.now + STANDS_STILL * core.timing.heartbeat_timeout)

    assert core.trader_role.membership._alive() == {core.me}


def test_who_leaves_waits_until_its_trader_is_heard_again(ring: Ring) -> None:
    """R11: if the trader is gone, the vote of who leaves may be needed for the next."""
    core = follower_of(ring)
    ring.now += STANDS_STILL * core.timing.heartbeat_timeout

    ring.feed(core.me, ev.Resign(leaving=True))
    before = list(ring.left)
    ring.run(SECOND)

    assert before == []
    assert set(ring.left) == {core.me}


def test_trader_that_was_replaced_meanwhile_hears_so_at_once(ring: Ring) -> None:
    """It stands still alone: the others elect, and refuse the first word that it says.

    Whoever trades by then goes on: the post is not taken back (N5 a).
    """
    old = ring.trader
    asleep = ring.peers.pop(old)
    ring.isolate(old)
    ring.until(lambda: any(core.role is Role.TRADER for core in ring.peers.values()))
    new = next(core for core in ring.peers.values() if core.role is Role.TRADER)
    epoch = new.epoch
    ring.peers[old] = asleep
    ring.heal()

    ring.feed(old, ev.Tick())
    believes = ring.roles()[old]
    ring.run(asleep.timing.heartbeat_interval // 2)

    assert believes is Role.TRADER
    assert ring.roles()[old] is Role.FOLLOWER
    assert (ring.settle(), new.epoch) == (new.me, epoch)
    assert ring.halted == {}


def test_who_is_called_in_time_is_not_held_up(ring: Ring) -> None:
    ring.isolate(ring.trader)
    ring.run(SECOND)

    assert ring.noted("election") != []
    assert ring.noted("held_up") == []
