"""Client keys: remembered long enough, refused beyond that: rows 24, 25, 61, 75–78, 81 (R13 c)."""

from __future__ import annotations

from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import Limits
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.sessions import own_limits
from bazaar_peer.simulation.scripts.setting import opened, ring


@script("received_again", "expiry_ignored")
def row_61_a_submission_that_sleeps_past_the_retention_executes_nothing() -> None:
    """Key x through 0 is held; through 1 it executes and is forgotten; then 0's comes."""
    s = Script(3, limits=own_limits())
    trader = s.trader()
    sleeper, other = [p for p in range(3) if p != trader]
    s.run(200)
    s.world.network.hold("Submit", sleeper)
    s.submit(sleeper, 5, "x")
    s.run(10)
    done = s.submit(other, 5, "x")
    s.run(170)  # sent again meanwhile, as no answer comes
    assert s.status(done) == 0
    for beat in range(16):
        s.submit(other, 1, f"beat{beat}")
        s.run(15)
    held = s.world.network.holds[("Submit", sleeper)]
    late = held[-1]
    held.clear()
    held.append(late)
    s.world.network.release()
    s.run(50)


@script("dedupe")
def row_24_a_key_in_the_journal_twice_executes_once() -> None:
    s, _, (one, other) = ring()
    first = s.submit(one, 5, "x")
    second = s.submit(other, 5, "x")
    s.run(50)
    assert (s.status(first), s.status(second), s.value(one)) == (0, 0, 5)


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


RETENTION = Limits(key_retention_ms=400)


@script("forgotten_by_count")
def row_25_a_full_table_remembers_each_key_for_its_whole_retention() -> None:
    """New keys are refused meanwhile; the old one's retry trades nothing, to the last moment."""
    s = opened(limits=Limits(keys=2, key_retention_ms=400))
    first = s.submit(0, 5, "x")
    s.replicate(0, 1, 2)
    told = []
    for key in "abcd":
        s.age(100)
        told.append(s.submit(0, 1, key))
        s.replicate(0, 1, 2)
    s.beat(0, 1, 2)
    again = s.submit(1, 5, "x")
    s.exchange(0, 1, 2)
    s.age(10)
    fresh = s.submit(0, 3, "e")
    s.replicate(0, 1, 2)
    assert [s.status(request) for request in told] == [0] + [Status.KEYS_FULL] * 3
    assert s.answer(again).index == s.answer(first).index
    assert (s.status(fresh), s.value(0)) == (0, 5 + 1 + 3)


@script("forgotten_too_early")
def row_81_a_key_is_remembered_as_long_as_any_look_up_of_it_counts() -> None:
    """1 looks x up just before it executes through 2; its submission comes a retention later."""
    s = opened(limits=RETENTION)
    late = s.submit(1, 5, "x")
    s.submit(2, 5, "x")
    s.exchange(0, 2)
    s.replicate(0, 1)
    for _ in range(2):
        s.age(200)
        s.submit(0, 1)
        s.replicate(0, 1, 2)
    assert s.peer(0).state.log_time == 400
    s.exchange(0, 1, 2)
    assert s.status(late) == 0
    assert s.value(0) == 5 + 2


@script("refusal_of_the_key")
def row_77_a_refusal_speaks_of_its_own_submission_only() -> None:
    """X through 2 finds the table full; its earlier submission through 1 comes when it has room."""
    s = opened(limits=Limits(keys=1, key_retention_ms=400))
    s.submit(0, 1, "y")
    s.replicate(0, 1, 2)
    s.age(150)
    s.submit(0, 1)
    s.replicate(0, 1, 2)
    s.beat(0, 1, 2)
    early, second = s.submit(1, 5, "x"), s.submit(2, 5, "x")
    s.exchange(0, 2)
    s.replicate(0, 1)
    for _ in range(2):
        s.age(130)
        s.submit(0, 1)
        s.replicate(0, 1, 2)
    s.exchange(0, 1, 2)
    assert s.status(second) == Status.KEYS_FULL
    assert (s.status(early), s.value(0)) == (0, 1 + 3 + 5)


@script("stalled_sockets_read")
def row_75_what_lay_in_the_sockets_of_a_stalled_peer_is_not_looked_up() -> None:
    """X lies unread at a peer that is stopped until x, executed through another, is forgotten."""
    s, trader, others = ring(3, limits=RETENTION)
    sleeper, other = others
    s.world.sleep(sleeper)
    unread = s.submit(sleeper, 5, "x")
    done = s.submit(other, 5, "x")
    s.run(50)
    for beat in range(16):
        s.submit(trader, 0, f"beat{beat}")
        s.run(40)
    s.world.wake(sleeper)
    s.run(200)
    assert s.status(done) == 0
    assert s.peer(trader).state.lookup_key("c", "x") is None, "x is forgotten"
    assert (s.status(unread), s.value(trader)) == (-1, 5)
