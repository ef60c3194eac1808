"""One failover out of a story, step by step."""

from __future__ import annotations

from typing import Any

from bazaar_peer.record.timeline import MARKS_MAX, Done, timeline
from bazaar_peer.simulation.recording import story

Told = dict[str, Any]


def entry(at_ms: float, peer: int, kind: str, **fields: Any) -> Told:
    return {"at": 100.0 + at_ms / 1e3, "peer": peer, "boot": 1, "seq": 0, "kind": kind, **fields}


def moved(at_ms: float, peer: int, epoch: int, commit: int) -> Told:
    return entry(at_ms, peer, "moved", epoch=epoch, commit=commit, end=commit, applied=commit)


def note(at_ms: float, peer: int, name: str, **fields: Any) -> Told:
    return entry(at_ms, peer, "note", note=name, fields=fields)


FAILOVER = [
    moved(-20, 2, 7, 40),
    moved(-3, 2, 7, 41),
    entry(0, 2, "fault", what="killed"),
    note(0.5, 0, "trader_lost", epoch=7, trader=2),
    entry(0.6, 0, "sent", message="Election", to=[1]),
    entry(0.9, 1, "got", message="Election", **{"from": 0}),
    note(1.2, 1, "nominee", epoch=8, transfer=0),
    note(1.9, 0, "promised", epoch=8, to=1),
    note(2.0, 0, "submitted_again", count=2),
    note(2.2, 1, "invested", epoch=8),
    note(2.3, 1, "epoch_started", epoch=8, index=42),
    note(3.0, 1, "reign_begun", epoch=8, index=42),
    moved(3.1, 1, 8, 42),
    moved(4.5, 1, 8, 44),
    moved(9.0, 1, 8, 50),
]


CRASH = Done(1, 100.0, 2, "killed")


def test_the_steps_lie_between_the_last_trade_and_the_next() -> None:
    found = timeline(FAILOVER, Done(3, 100.0, 2, "killed"), 8)
    assert found is not None
    assert (found["fault"], found["zero"], found["lanes"]) == (3, 100.0, [0, 1, 2])
    assert [(one["peer"], one["ms"], one["what"]) for one in found["marks"]] == [
        (2, -3.0, "last trade"),
        (2, 0.0, "killed"),
        (0, 0.5, "loss noticed"),
        (1, 0.9, "token here"),
        (1, 1.2, "stands"),
        (0, 1.9, "promise"),
        (1, 2.2, "caught up"),
        (1, 2.3, "epoch 8 started"),
        (1, 3.0, "reigns"),
        (1, 4.5, "first trade"),
    ]


def test_a_story_without_that_reign_has_no_timeline() -> None:
    assert timeline(FAILOVER, CRASH, 9) is None
    assert timeline([], CRASH, 8) is None


def test_a_failover_without_trades_begins_with_the_fault_and_ends_with_the_reign() -> None:
    steps = [one for one in FAILOVER if one["kind"] != "moved"]
    found = timeline(steps, CRASH, 8)
    assert found is not None
    assert [found["marks"][0]["what"], found["marks"][-1]["what"]] == ["killed", "reigns"]


def test_a_long_failover_keeps_both_its_ends() -> None:
    many = [note(1 + n / 1000, 0, "election", epoch=7) for n in range(200)]
    found = timeline(FAILOVER[:4] + many + FAILOVER[4:], CRASH, 8)
    assert found is not None
    assert len(found["marks"]) == MARKS_MAX
    assert [found["marks"][0]["what"], found["marks"][-1]["what"]] == ["last trade", "first trade"]


def test_a_simulated_failover_has_its_steps() -> None:
    told = list(story(3, 3))
    reigns = [one for one in told if one.get("note") == "reign_begun"]
    second = reigns[1]
    found = timeline(told, Done(1, second["at"] - 0.05, 0, "killed"), second["fields"]["epoch"])
    assert found is not None
    names = [mark["what"] for mark in found["marks"]]
    assert "reigns" in names
    assert [mark["ms"] for mark in found["marks"]] == sorted(m["ms"] for m in found["marks"])
