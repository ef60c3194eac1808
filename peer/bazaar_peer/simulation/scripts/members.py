"""Members that come and go: rows 12–15, 50, 79 (R9, R10, R14)."""

from __future__ import annotations

import msgspec

from bazaar_peer.core.records import SET_SIZE
from bazaar_peer.core.types import Role, ordinal_of, peer_id
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


@script("boot_not_compared")
def an_old_copy_of_a_volume_is_heard_by_nobody() -> None:
    """R14: 1's backup is put back; it has forgotten, and 0 and 2 have met two later boots."""
    s, trader, others = ring()
    life = others[0]
    copy = s.world.hosts[life].volume.copy()
    for _ in range(2):
        s.world.crash(life, 0)
        s.run(50)
    s.submit(trader, 5)
    s.run(50)
    s.world.crash(life)
    s.run(200)
    s.world.restoring.put_back(life, copy)
    s.run(2)
    assert s.world.hosts[life].gone, "it was told, and its volume is set aside"
    s.run(3000)
    voters = s.peer(s.trader()).voters
    again = peer_id(life, 1)
    assert sorted(ordinal_of(voter) for voter in voters) == [0, 1, 2]
    assert again in voters
    assert s.value(again) == 5
