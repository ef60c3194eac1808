"""A ring that gets on: rows 40–53."""

from __future__ import annotations

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.ledger import APPLY_MAX
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import PeerId
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.simulation.faults import cuts_of
from bazaar_peer.simulation.host import Host
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import TIMEOUT_MS, opened, ring


@script("promised_while_hearing", "stale_nomination_obeyed")
def row_44_a_stale_nomination_deposes_nobody() -> None:
    s, trader, (one, other) = ring()
    epoch = s.peer(trader).epoch
    s.turn(one, ev.Received(PeerId(other), msg.Nominated(epoch - 1, 0, ())))
    s.turn(one, ev.Received(PeerId(other), msg.IWon(epoch + 5, 0)))
    s.run(100)
    assert s.peer(trader).is_trader
    assert s.peer(trader).epoch == epoch


@script("refusals_unheard")
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


@script("stalled_disk_unseen")
def row_47_a_trader_whose_disk_stalls_is_replaced() -> None:
    s, trader, others = ring()
    s.slow_disk(trader)
    s.submit(trader, 1, "stuck")
    s.submit(others[0], 1, "waits")
    s.run(6 * TIMEOUT_MS)
    assert s.trader() in others
    assert s.value(others[0]) >= 1


@script("forwarded_again")
def row_52_a_request_is_never_forwarded_again() -> None:
    s, _, (one, other) = ring()
    clock = sealed(dict.fromkeys(range(3), 1000))
    sub = msg.Submission(9, 1, 1, 0, "c", "", 0, 0, *clock, b"")
    before = len(s.world.recent)
    s.turn(one, ev.Received(PeerId(other), msg.Submit([sub], {})))
    sent = [
        e for _, who, _, effects in list(s.world.recent)[before:] for e in effects if who == one
    ]
    assert all(not isinstance(getattr(e, "message", None), msg.Submit) for e in sent)


@script("no_poll")
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


@script("nobody_excluded")
def row_41_a_nominee_that_fails_is_left_out() -> None:
    """The highest peer never gets its `IWon` through; the ring does without it."""
    s, trader, others = ring(5)
    worst = max(others)
    s.world.network.hold("IWon", worst)
    stood: list[int] = []
    s.world.noted["nominee"] = [lambda host, fields: stood.append(host.id)]
    s.world.crash(trader)
    assert s.trader() != worst
    assert stood.count(worst) == 1


@script("higher_token_lives_for_ever")
def row_42_a_lost_token_stops_lower_ones_for_its_lifetime_only() -> None:
    """3's token is lost; when its time is over, 0's goes round by 3 and home."""
    s = Script(4, manual=True)
    timeout = s.world.plan.timing.heartbeat_timeout
    s.pass_by(timeout * 8 // 5)
    s.turn(3, ev.Tick())
    assert s.told("Election", 3)
    s.drop("Election")
    s.pass_by(timeout)
    s.turn(0, ev.Tick())
    for holder in (0, 1, 2):
        s.deliver("Election", holder, holder + 1)
    s.deliver("Election", 3, 0)
    assert s.told("Nominated", 0)


@script("orphans_circle")
def row_42_a_token_whose_initiator_is_gone_ends() -> None:
    s = Script(4, manual=True)
    s.silence()
    s.turn(3, ev.Tick())
    s.world.crash(3)
    hops = 0
    while tokens := [
        (a, b) for a, b, m in s.pool if isinstance(m, msg.Election) and m.initiator == 3
    ]:
        s.deliver("Election", *tokens[0])
        hops += 1
        assert hops <= 4, "the token circles"


@script("no_jitter")
def row_43_two_initiators_in_step_do_not_duel_for_ever() -> None:
    """On the path 1–0–2–3, 0 and 2 each need the other's promise, and stand at one moment."""
    s = Script(4, manual=True, linger=1)
    for a, b in cuts_of(4, edges=0):
        if {a, b} not in ({0, 1}, {0, 2}, {2, 3}):
            s.world.network.set_cut(a, b, 1)
    s.settle()
    s.silence()
    s.stand(0)
    s.stand(2)
    s.go_on()
    s.run(20 * TIMEOUT_MS)
    assert s.world.traders()


@script("hears_nobody")
def row_44_who_alone_hears_no_trader_deposes_nobody() -> None:
    s, trader, (one, _) = ring()
    epoch = s.peer(trader).epoch
    attempts: list[int] = []
    s.world.noted["election"] = [lambda host, fields: attempts.append(host.id)]
    s.world.network.set_cut(trader, one, 1)
    s.run(8 * TIMEOUT_MS)
    assert set(attempts) == {one}
    assert s.peer(trader).epoch == epoch
    assert s.peer(trader).is_trader


@script("believes_in_silence")
def row_53_a_machine_that_stood_still_deposes_nobody() -> None:
    """All peers of it wake at once, each with nothing heard for longer than it bears."""
    s, trader, others = ring()
    epoch = s.peer(trader).epoch
    for _ in range(4):
        for peer in (trader, *others):
            s.world.sleep(peer)
        s.run(3 * TIMEOUT_MS)
        for peer in (*others, trader):
            s.world.wake(peer)
        s.run(TIMEOUT_MS)
    assert s.peer(trader).epoch == epoch
    assert s.peer(trader).is_trader


@script("believes_in_silence")
def row_53_a_peer_that_was_blocked_deposes_nobody() -> None:
    """A callback outlasts the heartbeat timeout, again and again; then the timers come first."""
    s, trader, others = ring()
    epoch = s.peer(trader).epoch
    attempts: list[int] = []
    s.world.noted["election"] = [lambda host, fields: attempts.append(host.id)]
    for _ in range(4):
        for other in others:
            s.world.sleep(other)
            s.run(2 * TIMEOUT_MS)
            s.turn(other, ev.Tick())
            s.world.wake(other)
            s.run(TIMEOUT_MS)
    assert attempts == []
    assert s.peer(trader).epoch == epoch
    assert s.peer(trader).is_trader


@script("takes_its_post_back")
def row_53_a_trader_that_woke_deposes_nobody() -> None:
    """What it first writes is refused by who has another trader by now (N5 a)."""
    for case in range(50):  # moments of a heartbeat interval: in some it writes before it is told
        s, old, others = ring()
        s.run(case)
        s.world.sleep(old)
        for other in others:
            s.world.network.set_cut(other, old, 1)  # what lay in its sockets is not read first
        s.run(3 * TIMEOUT_MS)
        new = s.trader()
        epoch = s.peer(new).epoch
        for other in others:
            s.world.network.set_cut(other, old, -1)
        s.world.wake(old)
        s.run(3 * TIMEOUT_MS)
        assert s.peer(new).is_trader
        assert max(s.world.checkers.reigns) == s.peer(old).epoch == epoch


@script("applied_at_once")
def row_53_no_step_of_the_core_applies_more_than_a_slice() -> None:
    """A follower gets thousands of committed entries in one message (N8)."""
    count, batch = 3 * APPLY_MAX, APPLY_MAX // 4
    s = opened(ingress_max=count, queue_max=count, batch_max=batch, chunk_bytes=1 << 22)
    for _ in range(count):
        s.submit(0)
    for _ in range(count // batch):
        s.replicate(0, 2)
    s.drop("Append")
    steps: list[int] = []
    look = s.world.checkers.after

    def after(host: Host, peer: Peer) -> None:
        before = host.applied
        look(host, peer)
        steps.append(host.applied - before if host.id == 1 else 0)

    s.world.checkers.after = after  # type: ignore[method-assign]
    s.beat(0, 1, 2)
    while s.peer(1).backlog:
        s.turn(1, ev.Tick())
    assert sum(steps) > count - batch
    assert max(steps) < APPLY_MAX + batch  # the last record of a slice is applied whole
