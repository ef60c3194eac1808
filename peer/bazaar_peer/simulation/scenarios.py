"""More of PROTOCOL §1's rows, mostly while time runs: failover, hand-over, requests over them."""

from __future__ import annotations

from typing import Any

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import MS, Limits, PeerId, Role
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.simulation.faults import cuts_of
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts import script

TIMEOUT_MS = 150


def ring(peers: int = 3, **more: Any) -> tuple[Script, int, list[int]]:
    """Return a trading ring, its trader, and the others."""
    s = Script(peers, **more)
    trader = s.trader()
    s.run(50)
    return s, trader, [p for p in range(peers) if p != trader]


def cut_off(s: Script, peer: int) -> None:
    for other in range(s.world.plan.peers):
        if other != peer:
            s.world.network.set_cut(peer, other, 1)
            s.world.network.set_cut(other, peer, 1)


# ---- replication, by hand ----


@script("appendnopromise")
def row_2_an_accepted_append_raises_the_promise() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.silence()
    s.elect(2, 1, epoch=2)
    s.restart(0)
    s.deliver_all("Append", 2, 0)
    assert s.peer(0).epoch == 2


@script("resume")
def row_5_a_restarted_trader_never_resumes_its_epoch() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1)
    s.slow_disk(0)
    s.submit(0)
    s.deliver_all("Append", 0, 1)
    s.restart(0, kept=0)
    s.submit(0, 7)
    assert s.peer(0).role is Role.FOLLOWER


@script("unclamped")
def row_7_the_commit_index_is_capped_at_what_the_message_verified() -> None:
    """1 holds a divergent suffix; a heartbeat vouches for less than it commits."""
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    s.deliver_all("Append", 0, 1)  # 1 holds (1, 2), (1, 3); 0 lost (1, 3)
    s.drop("Appended")
    s.silence()
    before = s.peer(1).commit
    heartbeat = msg.Append(9, 1, 0, 1, 3, 0, [], {})
    s.turn(1, ev.Received(PeerId(2), heartbeat))
    assert s.peer(1).commit == before


@script("trunc", "acklast")
def row_8_9_an_old_short_append_truncates_and_acknowledges_nothing_more() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    first = [entry for entry in s.pool if type(entry[2]).__name__ == "Append"]
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    s.deliver_all("Append", 0, 1)
    last = s.peer(1).journal.last
    s.drop("Appended")
    s.peer(1).follower._acked_match = -1
    s.peer(1).follower.verified = 0
    s.pool += [entry for entry in first if entry[1] == 1]
    s.deliver("Append", 0, 1)
    told = [m.match for _, _, m in s.pool if isinstance(m, msg.Appended)]
    assert s.peer(1).journal.last == last
    assert told == [2]


@script("selfack")
def row_17_the_trader_counts_its_own_disk_when_its_sync_is_done() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1)
    s.slow_disk(0)
    commit = s.peer(0).commit
    s.submit(0)
    s.deliver_all("Append", 0, 1)
    s.deliver_all("Appended", 1, 0)
    assert s.peer(0).commit == commit


@script("readlocal")
def row_23_a_deposed_trader_answers_no_linearizable_read() -> None:
    s, old, others = ring(3, lingers=True)
    cut_off(s, old)
    s.world.sleep(old)
    s.run(400)
    s.submit(others[0], 5, "later")
    s.run(100)
    host = s.world.hosts[old]
    host.asleep_since, host.backlog = -1, []
    read = s.read(old)
    s.run(60)
    assert s.status(read) != 0 or s.peer(old).state.index >= s.peer(others[0]).state.index


@script("dedupe")
def row_24_a_key_in_the_journal_twice_executes_once() -> None:
    s, _, (one, other) = ring()
    first = s.submit(one, 5, "x")
    second = s.submit(other, 5, "x")
    s.run(50)
    assert (s.status(first), s.status(second), s.value(one)) == (0, 0, 5)


# ---- liveness ----


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


@script()
def row_52_a_request_is_never_forwarded_again() -> None:
    s, _, (one, other) = ring()
    sub = msg.Submission(9, 1, 1, 0, "c", "", 0, 0, *sealed({1 << 16 | other: 1}), b"")
    before = len(s.world.recent)
    s.turn(one, ev.Received(PeerId(other), msg.Submit([sub], {})))
    sent = [
        e for _, who, _, effects in list(s.world.recent)[before:] for e in effects if who == one
    ]
    assert all(not isinstance(getattr(e, "message", None), msg.Submit) for e in sent)


@script()
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


@script()
def row_67_a_leaving_trader_of_two_stays_until_the_next_reign_is_committed() -> None:
    s, trader, (other,) = ring(2)
    epoch = s.peer(trader).epoch
    s.turn(trader, ev.Resign(leaving=True))
    s.run(TIMEOUT_MS)
    assert s.world.reached.get("left")
    assert s.world.checkers.reigns[epoch + 1] == other
    assert s.world.checkers.committed.state.epoch == epoch + 1


@script()
def row_73_two_leavers_do_not_hand_over_to_each_other() -> None:
    s, trader, (one, other) = ring()
    s.turn(one, ev.Resign(leaving=True))
    s.turn(trader, ev.Resign(leaving=True))
    s.run(4 * TIMEOUT_MS)
    latest = max(s.world.checkers.reigns)
    assert s.world.checkers.reigns[latest] == other


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


# ---- exactly once ----


@script()
def row_63_77_after_a_submission_only_its_result_or_unknown_is_told() -> None:
    s, trader, (one, _) = ring()
    short = s.world.hosts[one].local(s.world.now) + 60 * MS
    s.world.network.hold("Answers", trader)
    s.world.network.hold("Append", trader)
    request = s.submit(one, 2, "x", deadline=short)
    s.run(200)
    assert s.status(request) == Status.UNKNOWN


@script()
def row_65_an_answer_to_an_earlier_boot_is_told_to_nobody() -> None:
    s, trader, (one, _) = ring()
    session = s.peer(one).ingress.session
    s.world.crash(one)
    s.world.start(one)
    s.run(100)
    assert s.peer(one).ingress.session not in {0, session}
    request = s.submit(one, 2, "new")
    late = msg.Answer(session, 1, 0, 0, 1, 1, b"old")
    s.turn(one, ev.Received(PeerId(trader), msg.Answers(s.peer(one).epoch, 1, [late])))
    s.run(50)
    assert s.status(request) == 0


@script("forgotten_by_count")
def row_76_a_full_key_table_refuses_and_forgets_nothing() -> None:
    s, _, (one, _) = ring(3, limits=Limits(keys=2, key_retention_ms=400))
    told = [s.submit(one, 1, key) for key in ("a", "b", "c", "a")]
    s.run(50)
    assert [s.status(r) for r in told] == [0, 0, Status.KEYS_FULL, 0]
    assert s.value(one) == 2


@script("body_not_compared")
def row_78_another_body_under_the_same_key_is_refused() -> None:
    s, _, (one, other) = ring()
    first, second = s.submit(one, 1, "x"), s.submit(other, 2, "x")
    s.run(50)
    assert sorted([s.status(first), s.status(second)]) == [0, Status.OTHER_BODY]


@script()
def row_86_a_peers_own_session_neither_idles_out_nor_counts() -> None:
    s, _, (one, _) = ring(3, limits=Limits(sessions=1, session_retention_ms=100))
    s.submit(one, 1, "open", kind=msg.OPEN_SESSION, body=b"")
    for beat in range(6):
        s.submit(s.trader(), 1, f"beat{beat}")
        s.run(300)
    request = s.submit(one, 1, "later")
    s.run(50)
    assert s.status(request) == 0
