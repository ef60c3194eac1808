"""Client keys are remembered long enough, and refused beyond that: rows 24, 61, 76, 78."""

from __future__ import annotations

from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import Limits
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.sessions import own_limits
from bazaar_peer.simulation.scripts.setting import ring


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
