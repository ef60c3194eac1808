"""Numbers of a session, late, doubled or under another body: rows 24, 62, 65, 83–86 (R13 a)."""

from __future__ import annotations

from bazaar_peer.core import messages as msg
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import Limits
from bazaar_peer.simulation.counter import Add, encode_add
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import client_session, opened, ring


def number(s: Script, through: int, session: int, number: int, floor: int, amount: int = 1) -> int:
    """Send a number of a client's session through a peer."""
    body = encode_add(Add(amount))
    return s.submit(through, session=session, number=number, floor=floor, body=body)


@script("floor_by_execution")
def row_62_a_number_that_comes_after_higher_ones_is_executed() -> None:
    """Only the client's word raises the floor."""
    s = opened()
    session = client_session(s, 1)
    late, early = number(s, 1, session, 1, 1, 5), number(s, 2, session, 2, 1, 7)
    s.exchange(0, 2)
    assert (s.status(early), s.value(0)) == (0, 7)
    s.exchange(0, 1, 2)
    assert (s.status(late), s.value(0)) == (0, 12)


@script("floor_falls", "floor_ignored")
def row_83_a_late_duplicate_with_a_lower_floor_executes_nothing() -> None:
    """Number 1 was answered and its result dropped; its submission comes once more."""
    s = opened()
    session = client_session(s, 1)
    number(s, 1, session, 1, 1, 5)
    s.deliver("Submit", 1, 0, keep=True)
    s.replicate(0, 1, 2)
    late = s.told("Submit", 1)
    s.drop("Submit")
    told = number(s, 2, session, 2, 2, 7)
    s.exchange(0, 1, 2)
    s.pool += [(1, 0, message) for message in late]
    s.exchange(0, 1, 2)
    assert (s.status(told), s.value(0)) == (0, 12)


@script("number_runs_again")
def row_24_a_number_in_the_journal_twice_executes_once() -> None:
    """Its submission comes to the trader, and to the next one, which inherited it."""
    s = opened()
    request = s.submit(1, 5)
    s.deliver("Submit", 1, 0)
    s.deliver_all("Append", 0, 2)
    s.world.crash(0)
    s.silence()
    s.elect(2, 1, epoch=2)
    s.deliver_all("Append", 2, 1)
    s.deliver_all("Submit", 1, 2)  # sent again at the reign's first Append
    s.replicate(2, 1)
    s.exchange(2, 1)
    assert (s.status(request), s.value(2)) == (0, 5)


@script("refusal_not_kept")
def row_84_a_refused_number_stays_refused_when_there_is_room() -> None:
    s = opened(limits=Limits(keys=1, key_retention_ms=400))
    s.submit(0, 1, "x")
    s.exchange(0, 1, 2)
    s.age(100)
    s.submit(0, 1)
    s.exchange(0, 1, 2)
    s.beat(0, 1, 2)
    refused = s.submit(1, 5, "y")
    s.deliver("Submit", 1, 0, keep=True)
    s.replicate(0, 1, 2)
    s.deliver_all("Answers", 0, 1)
    for _ in range(2):
        s.age(150)
        s.submit(0, 1)
        s.replicate(0, 1, 2)
    assert s.peer(0).state.lookup_key("c", "x") is None, "there is room"
    s.exchange(0, 1, 2)  # the duplicate, within the retention of its look-up
    assert s.status(refused) == Status.KEYS_FULL
    assert s.value(0) == 4


@script("number_body_not_compared")
def a_number_under_another_body_is_not_answered_with_its_result() -> None:
    """R13 a: 1 sent body 1 before it has applied what body 5 came to through 2."""
    s = opened()
    session = client_session(s, 2)
    s.replicate(0, 1, 2)
    first, other = number(s, 2, session, 1, 1, 5), number(s, 1, session, 1, 1, 1)
    s.exchange(0, 2)
    s.exchange(0, 1, 2)
    assert (s.status(first), s.status(other)) == (0, Status.OTHER_BODY)
    assert s.value(1) == 5


@script("same_session")
def row_65_a_number_of_an_earlier_boot_answers_nobody_else() -> None:
    """Before its crash 1 submitted the same command under another key; that comes late."""
    s = opened()
    s.submit(1, 5, "a")
    before = s.told("Submit", 1)
    s.drop("Submit")
    s.restart(1)
    s.beat(0, 1, 2)
    s.exchange(0, 1, 2)
    after = s.submit(1, 5, "b")
    s.pool[:0] = [(1, 0, message) for message in before]
    s.exchange(0, 1, 2)
    known = s.peer(0).state.lookup_key("c", "b")
    assert s.status(after) == 0
    assert known is not None, "b was answered with what a came to"


@script("opened_again")
def row_85_a_duplicate_of_an_open_leaves_the_session_alive() -> None:
    """2's open comes to the trader, and to the next one before it applies what it inherited."""
    s = Script(3, manual=True)
    s.elect(0, 1)
    s.replicate(0, 1, 2)
    s.deliver_all("Submit", 2, 0)
    s.deliver_all("Append", 0, 1)
    s.world.crash(0)
    s.silence()
    s.elect(1, 2, epoch=2)
    s.deliver_all("Append", 1, 2)
    s.deliver_all("Submit", 2, 1)
    s.replicate(1, 2)
    session = s.peer(2).ingress.session
    request = s.submit(2, 5)
    s.exchange(1, 2)
    assert session
    assert s.status(request) == 0


@script("peer_sessions_idle_out")
def row_86_a_peers_own_session_does_not_idle_out() -> None:
    s = opened(limits=Limits(session_retention_ms=100))
    for _ in range(4):
        s.age(60)
        s.submit(0)
        s.replicate(0, 1, 2)
    request = s.submit(1, 5)
    s.exchange(0, 1, 2)
    assert s.status(request) == 0


@script("peer_sessions_counted")
def row_86_a_peers_own_session_counts_towards_no_limit() -> None:
    """Three peers open theirs where clients may open two."""
    s, _, _ = ring(3, limits=Limits(sessions=2))
    opened_by_clients = [
        s.submit(0, key=f"open{n}", kind=msg.OPEN_SESSION, body=b"") for n in range(2)
    ]
    requests = [s.submit(peer, 5) for peer in range(3)]
    s.run(100)
    assert [s.status(r) for r in opened_by_clients + requests] == [0] * 5
