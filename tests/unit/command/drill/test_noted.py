"""A drill's story says what was done to whom, once."""

from __future__ import annotations

from typing import Any

from bazaar_peer.command.drill.counting import Spell
from bazaar_peer.command.drill.figures import Fault
from bazaar_peer.command.drill.noted import with_faults
from bazaar_peer.command.drill.plan import Kind
from bazaar_peer.core.types import peer_id
from bazaar_peer.record.collect import Story


def fault(kind: Kind, number: int = 1, began: float = 10.0, ended: float = 12.0) -> Fault:
    return Fault(
        number=number, kind=kind, victim=2, began=began, ended=ended,
        epoch_before=1, epoch_after=2, trader_after=1, cost=Spell(1, 3.0, 3.0, False),
    )  # fmt: skip


def entry(at: float, peer: int, kind: str = "moved", **more: Any) -> dict[str, Any]:
    return {"at": at, "peer": peer, "boot": 1, "seq": int(at * 10), "kind": kind, **more}


LIFE = peer_id(2, 3)
ENTRIES = [entry(9.0, 0), entry(9.5, peer_id(2, 1)), entry(11.0, LIFE), entry(13.0, 1)]


def told(*faults: Fault, also: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
    found = with_faults(Story({}, [*ENTRIES, *also]), faults).entries
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    assert len({(one["peer"], one["boot"], one["seq"]) for one in found}) == len(found)
    return [one for one in found if one["kind"] == "fault"]


def test_pause_has_a_beginning_and_an_end_of_the_newest_life() -> None:
    paused, resumed = told(fault(Kind.PAUSE))
    assert (paused["what"], paused["at"], paused["peer"]) == ("paused", 10.0, LIFE)
    assert (resumed["what"], resumed["at"], resumed["peer"]) == ("resumed", 12.0, LIFE)


def test_cut_says_from_whom() -> None:
    cut, healed = told(fault(Kind.CUT))
    assert (cut["what"], cut["others"], healed["what"]) == ("cut", [0, 1], "healed")


def test_what_is_told_already_is_not_told_again() -> None:
    known = entry(10.4, LIFE, "fault", what="killed")
    assert told(fault(Kind.CRASH), also=(known,)) == [known]
    other = entry(10.4, 1, "fault", what="killed")
    assert len(told(fault(Kind.CRASH), also=(other,))) == 2


def test_each_fault_is_told_and_who_was_asked_to_go_tells_itself() -> None:
    faults = [fault(Kind.CRASH, number, 10.0 * number) for number in range(1, 4)]
    assert [one["at"] for one in told(*faults)] == [10.0, 20.0, 30.0]
    assert told(fault(Kind.RESIGN)) == []
