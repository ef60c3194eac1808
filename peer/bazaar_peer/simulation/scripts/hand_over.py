"""Leaving and resigning: rows 49, 66, 67, 71, 73."""

from __future__ import annotations

from bazaar_peer.core import events as ev
from bazaar_peer.core.types import MS
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import TIMEOUT_MS, ring


@script("post_stays_closed")
def row_49_a_crashed_successor_leaves_the_post_open() -> None:
    s, trader, (one, other) = ring()
    s.world.network.hold("Nominated", trader)
    s.turn(trader, ev.Resign(leaving=False, successor=one))
    s.run(2)
    s.world.crash(one)
    s.world.crash(other, 10 * MS)
    request = s.submit(trader, 3, "over")
    s.run(6 * TIMEOUT_MS)
    s.trader()
    s.run(100)
    assert s.status(request) == 0


@script("alone_for_ever")
def row_66_71_a_ring_of_one_trades_and_leaves() -> None:
    s = Script(1)
    s.trader()
    s.run(20)
    request = s.submit(0, 4, "alone")
    s.run(20)
    s.turn(0, ev.Resign(leaving=False))
    s.run(3 * TIMEOUT_MS)
    assert (s.status(request), s.peer(0).is_trader) == (0, True)
    s.turn(0, ev.Resign(leaving=True))
    s.run(3 * TIMEOUT_MS)
    assert s.world.reached.get("left")


@script("leaver_goes_at_once")
def row_67_a_leaving_trader_of_two_stays_until_the_next_reign_is_committed() -> None:
    s, trader, (other,) = ring(2)
    epoch = s.peer(trader).epoch
    s.turn(trader, ev.Resign(leaving=True))
    s.run(TIMEOUT_MS)
    assert s.world.reached.get("left")
    assert s.world.checkers.reigns[epoch + 1] == other
    assert s.world.checkers.committed.state.epoch == epoch + 1


@script("leaver_stands_again")
def row_67_73_a_leaving_trader_does_not_take_its_post_back() -> None:
    """Its heartbeat crosses the successor's promise and is refused (R11, N5 a)."""
    for case in range(88):  # moments of a heartbeat interval and more: some cross
        s, trader, _ = ring(3 + case % 2)
        s.run(case // 2)
        epoch = s.peer(trader).epoch
        s.turn(trader, ev.Resign(leaving=True))
        s.run(6 * TIMEOUT_MS)
        reigns = s.world.checkers.reigns
        assert trader not in [who for at, who in reigns.items() if at > epoch]
        assert s.world.reached.get("left")


@script("leavers_nominated")
def row_73_two_leavers_do_not_hand_over_to_each_other() -> None:
    """The highest follower leaves, too, and still waits for an answer; the other one reigns."""
    s, trader, (other, one) = ring()
    epoch = s.peer(trader).epoch
    s.run(10)
    s.world.network.hold("Submit", one)
    s.submit(one, 1, "keeps it there")
    s.turn(one, ev.Resign(leaving=True))
    s.turn(trader, ev.Resign(leaving=True))
    s.run(4 * TIMEOUT_MS)
    reigns = s.world.checkers.reigns
    assert {who for at, who in reigns.items() if at > epoch} == {other}
