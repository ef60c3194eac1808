"""Clocks, versions and states: rows 29, 31 and 70 (T1, T2, U1, H1)."""

from __future__ import annotations

from typing import Any

from bazaar_peer.core.vector_clock import decode_stamp
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import opened, ring


def submitted(s: Script, peer: int) -> list[dict[int, int]]:
    """Return the stamps of the commands that a peer has submitted, oldest first."""
    return [
        decode_stamp(sub.stamp) for message in s.told("Submit", peer) for sub in message.submissions
    ]


@script("clock_restarts_lower")
def row_31_a_clock_goes_on_above_all_that_it_said_before_a_crash() -> None:
    """Nothing of what 1 had not synced survives."""
    s = opened()
    s.submit(1)
    (before,) = submitted(s, 1)
    s.drop("Submit")
    s.restart(1, kept=0)
    s.beat(0, 1, 2)
    s.exchange(0, 1, 2)
    s.submit(1)
    (after,) = submitted(s, 1)
    assert after[1] > before[1]


@script("stamp_made_again")
def row_31_a_submission_keeps_its_stamp_over_a_change_of_traders() -> None:
    s = opened()
    s.submit(1)
    (first,) = submitted(s, 1)
    s.drop("Submit")
    s.world.crash(0)
    s.silence()
    s.elect(2, 1, epoch=2)
    s.deliver_all("Append", 2, 1)
    again = submitted(s, 1)
    assert again
    assert all(stamp == first for stamp in again)


@script("one_memory_decides")
def row_70_a_trader_whose_memory_fails_stops_and_nobody_else_does() -> None:
    """All followers differ from it: they are the majority, it starts anew from its journal."""
    s, trader, others = ring()
    checkers, halted = s.world.checkers, []
    look = checkers.after
    s.peer(trader).state.hash ^= 1

    def after(host: Any, peer: Any) -> None:
        if host.id != trader:
            look(host, peer)

    checkers.after = after  # type: ignore[method-assign]
    checkers.halted = lambda host, effect: halted.append(host.id)  # type: ignore[method-assign]
    for key in range(8):
        s.submit(others[0], 1, f"key{key}")
        s.run(60)
    s.run(600)
    assert halted == [trader]
    assert s.value(others[0]) == 8
    assert len({s.peer(p).state.hash for p in range(3)}) == 1


@script("own_version_applied", "version_told_too_early")
def row_29_two_versions_apply_one_entry_alike() -> None:
    """1 has the newer release, which counts otherwise; then the others get it, one by one (U1)."""
    s, _, _ = ring(mixed=True)
    first = s.submit(0, 5)
    s.run(100)
    values = [s.value(peer) for peer in range(3)]
    for peer in (0, 2):
        s.world.crash(peer, 0)
        s.run(400)
    second = s.submit(0, 5)
    s.run(200)
    after = {s.value(peer) for peer in range(3)}
    assert (s.status(first), values) == (0, [5, 5, 5])
    assert (s.status(second), len(after)) == (0, 1)
    assert [s.peer(p).state.version for p in range(3)] == [2, 2, 2]
