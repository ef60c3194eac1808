"""Numbered sessions and what is told to whom: rows 63, 65, 77, 82, 85, 86."""

from __future__ import annotations

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import MS, Limits, PeerId
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import ring


def own_limits() -> Limits:
    return Limits(key_retention_ms=400, peer_window=4)


@script("floor_stuck")
def row_82_a_number_given_up_is_no_longer_waited_for() -> None:
    """A lost submission ends with 504; the window moves on without it."""
    s = Script(3, limits=own_limits())
    trader = s.trader()
    peer = next(p for p in range(3) if p != trader)
    s.run(200)
    s.world.network.hold("Submit", peer)
    short = s.world.hosts[peer].local(s.world.now) + 50 * MS
    lost = s.submit(peer, 1, "lost", deadline=short)
    s.run(120)
    s.world.network.holds.clear()
    assert s.status(lost) == 8
    for key in range(8):
        fresh = s.submit(peer, 1, f"fresh{key}")
        s.run(30)
        assert s.status(fresh) == 0, "the window is stuck"


@script("older_boot_opens")
def row_85_a_late_open_of_an_earlier_boot_opens_nothing() -> None:
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1, 2)
    s.deliver_all("Submit", 2, 0)
    s.replicate(0, 1, 2)
    early = list(s.pool)
    s.restart(2)
    s.pool = [entry for entry in s.pool if entry not in early]
    session = s.peer(2).ingress.opening.sub
    opens = [session, type(session)(*[getattr(session, f) for f in session.__struct_fields__])]
    s.peer(0).trader_role.post.offer(opens[0], 2)
    s.turn(0)
    s.replicate(0, 1, 2)
    live = s.peer(0).state.sessions.peers["2.0"]
    older = opens[1].__class__(opens[1].session, opens[1].number - 1, *_rest(opens[1]))
    s.peer(0).trader_role.post.offer(older, 2)
    s.turn(0)
    s.replicate(0, 1, 2)
    assert s.peer(0).state.sessions.peers["2.0"] == live


@script("sent_called_never_sent")
def row_63_77_after_a_submission_only_its_result_or_unknown_is_told() -> None:
    s, trader, (one, _) = ring()
    short = s.world.hosts[one].local(s.world.now) + 60 * MS
    s.world.network.hold("Answers", trader)
    s.world.network.hold("Append", trader)
    request = s.submit(one, 2, "x", deadline=short)
    s.run(200)
    assert s.status(request) == Status.UNKNOWN


@script("same_session")
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


@script("peer_sessions_idle_out")
def row_86_a_peers_own_session_neither_idles_out_nor_counts() -> None:
    s, _, (one, _) = ring(3, limits=Limits(sessions=1, session_retention_ms=100))
    s.submit(one, 1, "open", kind=msg.OPEN_SESSION, body=b"")
    for beat in range(6):
        s.submit(s.trader(), 1, f"beat{beat}")
        s.run(300)
    request = s.submit(one, 1, "later")
    s.run(50)
    assert s.status(request) == 0


def _rest(sub: object) -> list[object]:
    return [getattr(sub, field) for field in sub.__struct_fields__[2:]]  # type: ignore[attr-defined]
