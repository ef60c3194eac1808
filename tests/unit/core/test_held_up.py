"""Who was held up takes nobody's silence for a loss: once, and for an interval of heartbeats."""

from __future__ import annotations

import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import SECOND, Role
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


def test_ring_that_stood_still_keeps_its_trader(ring: Ring) -> None:
    trader = ring.trader
    epoch = ring.peers[trader].epoch

    for times in range(1, 6):
        ring.now += STANDS_STILL * ring.peers[trader].timing.heartbeat_timeout
        ring.run(SECOND)
        assert (ring.settle(), ring.peers[trader].epoch) == (trader, epoch)
        assert len(ring.noted("held_up")) == 3 * times

    assert len(ring.noted("reign_begun")) == 1


def test_follower_that_was_held_up_believes_in_a_loss_an_interval_later(ring: Ring) -> None:
    core = follower_of(ring)
    timing = core.timing
    woken = ring.now + STANDS_STILL * timing.heartbeat_timeout

    assert ticked(core, woken) == {"held_up"}
    assert core.hearing()
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


def test_trader_that_was_replaced_meanwhile_hears_so_at_once(ring: Ring) -> None:
    """It stands still alone: the others elect, and refuse the first word that it says."""
    old = ring.trader
    asleep = ring.peers.pop(old)
    ring.isolate(old)
    ring.until(lambda: any(core.role is Role.TRADER for core in ring.peers.values()))
    ring.peers[old] = asleep
    ring.heal()

    ring.feed(old, ev.Tick())
    believes = ring.roles()[old]
    ring.run(asleep.timing.heartbeat_interval // 2)

    assert believes is Role.TRADER
    assert ring.roles()[old] is not Role.TRADER
    ring.settle()
    assert ring.halted == {}


def test_who_is_called_in_time_is_not_held_up(ring: Ring) -> None:
    ring.isolate(ring.trader)
    ring.run(SECOND)

    assert ring.noted("election") != []
    assert ring.noted("held_up") == []
