"""A ring that gets on: rows 40–53."""

from __future__ import annotations

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import PeerId
from bazaar_peer.simulation.faults import cuts_of
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import TIMEOUT_MS, ring


@script()
def row_44_a_stale_nomination_deposes_nobody() -> None:
    s, trader, (one, other) = ring()
    epoch = s.peer(trader).epoch
    s.turn(one, ev.Received(PeerId(other), msg.Nominated(epoch - 1, 0, ())))
    s.turn(one, ev.Received(PeerId(other), msg.IWon(epoch + 5, 0)))
    s.run(100)
    assert s.peer(trader).is_trader
    assert s.peer(trader).epoch == epoch


@script()
def row_45_46_a_refused_trader_comes_back_above_the_promise() -> None:
    """One peer promised a high epoch to a nominee that died; the ring does not lose it."""
    s, _, (one, _) = ring()
    s.peer(one).promise(s.peer(one).epoch + 3, PeerId(one))
    s.turn(one)
    s.run(3 * TIMEOUT_MS)
    now = s.trader()
    s.run(100)
    assert s.peer(now).is_trader
    assert {s.peer(p).epoch for p in range(3)} == {s.peer(now).epoch}


@script()
def row_47_a_trader_whose_disk_stalls_is_replaced() -> None:
    s, trader, others = ring()
    s.slow_disk(trader)
    s.submit(trader, 1, "stuck")
    s.submit(others[0], 1, "waits")
    s.run(6 * TIMEOUT_MS)
    assert s.trader() in others
    assert s.value(others[0]) >= 1


@script()
def row_52_a_request_is_never_forwarded_again() -> None:
    s, _, (one, other) = ring()
    sub = msg.Submission(9, 1, 1, 0, "c", "", 0, 0, {1 << 16 | other: 1}, b"")
    before = len(s.world.recent)
    s.turn(one, ev.Received(PeerId(other), msg.Submit([sub], {})))
    sent = [
        e for _, who, _, effects in list(s.world.recent)[before:] for e in effects if who == one
    ]
    assert all(not isinstance(getattr(e, "message", None), msg.Submit) for e in sent)


@script()
def row_40_a_ring_cut_to_any_feasible_graph_of_four_trades() -> None:
    """N4: whoever reaches a majority directly can become trader."""
    for edges in range(64):
        cuts = cuts_of(4, edges)
        degree = [sum((a, b) not in cuts for b in range(4) if b != a) for a in range(4)]
        if max(degree) < 2:
            continue
        s = Script(4, linger=1)
        for a, b in cuts:
            s.world.network.set_cut(a, b, 1)
        s.run(20 * TIMEOUT_MS)
        assert s.world.traders(), f"graph {edges} is stuck"
