"""Members that come and go: rows 12–15, 50, 79 (R9, R10, R14)."""

from __future__ import annotations

import msgspec

from bazaar_peer.core.records import SET_SIZE
from bazaar_peer.core.types import Role
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import opened, ring

encode = msgspec.msgpack.encode


def wish(s: Script, through: int, size: int, generation: int) -> int:
    return s.submit(through, kind=SET_SIZE, body=encode((size, generation)))


@script("old_generation_accepted")
def an_older_wish_undoes_no_newer_one() -> None:
    """R10: a controller that was paused says what it wanted long ago."""
    s, trader, _ = ring()
    wish(s, trader, 3, 5)
    s.run(50)
    late = wish(s, trader, 1, 4)
    s.run(300)
    assert b"older_generation" in s.answer(late).body
    assert len(s.peer(s.trader()).voters) == 3


@script("cfgstale")
def row_12_a_nominee_with_a_stale_member_list_does_not_reign() -> None:
    """{0,1,2} → {0,1} → {0}: 2 asks 1, who knows that it is none any more, but not of {0}."""
    s = opened()
    for size in (2, 1):
        wish(s, 0, size, 3 - size)
        s.deliver_all("Append", 0, 1)
        s.deliver_all("Appended", 1, 0)
        if size == 2:
            s.deliver_all("Append", 0, 1)
            s.deliver_all("Appended", 1, 0)
    s.drop("Append")
    assert s.peer(0).voters == (0,)
    s.submit(0, 7)
    assert s.value(0) == 7, "0 alone is a majority of itself"
    s.silence()
    s.stand(2)
    s.deliver("IWon", 2, 1)
    for promise in s.told("Promise", 1):
        assert promise.epoch
        s.deliver("Promise", 1, 2)
        s.deliver_all("Fetch", 2, 1)
        s.deliver_all("Chunk", 1, 2)
    assert s.peer(2).role is not Role.TRADER
