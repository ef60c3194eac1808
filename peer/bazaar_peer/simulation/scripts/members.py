"""Members that come and go: rows 12–14, 22, 50, 79 (R9, R10, R14)."""

from __future__ import annotations

import msgspec

from bazaar_peer.core.records import JOIN, SET_SIZE
from bazaar_peer.core.types import PeerId, Role, ordinal_of, peer_id
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
        s.peer(0).trader_role.membership.parting = (size, 0)  # who is to go has had its time
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


@script("replace")
def row_13_a_lost_volume_is_replaced_by_two_entries() -> None:
    """{0,1,2} → {0,1,2′} at once has the disjoint majorities {1,2} and {0,2′}."""
    s, trader, others = ring()
    s.submit(trader, 5)
    s.run(50)
    lost = others[0]
    s.world.joining.lose(lost)
    s.run(3000)
    again = peer_id(lost, 1)
    assert again in s.peer(s.trader()).voters
    assert s.value(again) == 5


@script("cfgearly")
def row_14_no_change_before_the_own_reign_is_committed() -> None:
    """1 knows who asks to join; its reign is not committed, nor what 0 wrote before (Ongaro)."""
    s = opened()
    for kind, body in ((SET_SIZE, (4, 1)), (JOIN, (3, "volume"))):
        s.submit(1, kind=kind, body=encode(body))
        s.deliver_all("Submit", 1, 0)
        s.deliver_all("Append", 0, 1)
        s.deliver_all("Appended", 1, 0)
        s.deliver_all("Answers", 0, 1)
    assert len(s.peer(0).members.members) == 4
    s.drop("Append")
    s.world.crash(0)
    s.silence()
    s.elect(1, 2, epoch=2)
    s.beat(1)
    assert len(s.peer(1).members.members) == 3, "its first entry is not committed"
    s.replicate(1, 2)
    assert len(s.peer(1).members.members) == 4


@script("removed_though_no_majority_is_left")
def row_50_a_removal_waits_for_a_majority_of_those_left() -> None:
    """Of {0,1,2} 1 is down, and two are wished for: without 2 nobody could go on."""
    s, _, _ = ring()
    s.world.crash(1)
    trader = s.trader()
    s.run(300)
    wish(s, trader, 2, 1)
    s.run(2000)
    trader = s.trader()
    request = s.submit(trader, 5)
    s.run(100)
    assert s.status(request) == 0
    assert s.peer(trader).voters == (0, 1, 2)
    s.world.start(1)
    s.run(1000)
    assert s.peer(s.trader()).voters == (0, 1)


@script("life_used_twice")
def row_22_a_retained_volume_does_not_come_back_to_its_place() -> None:
    """3 → 4 → 3 → 4: the volume of the first fourth peer is started again, and is set aside."""
    s, _, _ = ring()
    for size in (4, 3):
        s.world.joining.wish(size)
        s.run(1500)
        assert len(s.peer(s.trader()).voters) == size
    retained = s.world.hosts[PeerId(3)]
    retained.gone = False
    s.world.start(3)
    s.run(300)
    assert retained.gone, "it hears that its life is over"
    s.world.joining.wish(4)
    s.run(1500)
    assert s.peer(s.trader()).voters == (0, 1, 2, peer_id(3, 1))


@script("further_journal_unheard")
def who_was_removed_in_vain_stands_with_the_further_journal() -> None:
    """0 alone has removed 2, who has reigned with 1 since; 1's volume is lost, and all stop."""
    s = opened()
    s.peer(0).trader_role.membership.parting = (2, 0)
    wish(s, 0, 2, 1)
    s.deliver_all("Append", 0, 1, 2)
    s.deliver_all("Appended", 1, 0)
    s.drop("Append")
    assert s.peer(0).voters == (0, 1)
    s.silence()
    s.elect(2, 1, epoch=2)
    s.replicate(2, 1)
    s.world.joining.lose(1)
    for left in (0, 2):
        s.restart(left)
    s.go_on()
    s.run(1000)
    assert s.trader() == 2
    assert s.peer(0).voters == (0, 2), "and the lost one is removed"


@script("later_life_says_nothing")
def a_peer_that_was_away_while_all_others_were_replaced_comes_back() -> None:
    """R14: 3 knows nobody who is still there; who has the place of 0 says that 3 was removed."""
    s, _, _ = ring()
    s.world.joining.wish(4)
    s.run(1500)
    s.world.crash(3)
    s.world.joining.wish(3)
    s.run(1500)
    for lost in (0, 1, 2):
        s.world.joining.lose(lost)
        s.run(3000)
    s.world.joining.wish(4)
    s.world.start(3)
    s.run(3000)
    assert s.world.hosts[PeerId(3)].gone
    assert s.peer(s.trader()).voters == tuple(peer_id(ordinal, 1) for ordinal in range(4))


@script("admitted_by_place", "life_used_twice")
def row_79_a_volume_begins_no_life_that_names_another() -> None:
    """The fourth peer votes, its volume is lost, and the next volume reads the same members."""
    s, trader, _ = ring()
    s.world.joining.wish(4)
    s.run(1500)
    first = s.peer(s.trader()).members.members[3]
    s.submit(trader, 5)
    s.world.joining.lose(first.id)
    s.run(3000)
    second = s.peer(s.trader()).members.members[3]
    assert (first.id, second.id) == (3, peer_id(3, 1))
    assert first.volume != second.volume
    assert second.voter


@script("old_release_goes_on")
def an_old_release_stops_where_the_ring_has_raised_its_version() -> None:
    """U1: a learner's process of the old release, in a ring that applies by the newer version."""
    s, _, _ = ring(mixed=True)
    for peer in (0, 2):
        s.world.crash(peer, 0)  # it comes back with the newer release
        s.run(400)
    assert s.peer(s.trader()).state.version == 2
    s.submit(s.trader(), 5)
    s.world.joining.wish(5)
    s.run(3000)
    assert s.world.reached.get("old_release_stopped"), "4's first process has the old one"
    assert s.peer(s.trader()).voters == (0, 1, 2, 3, 4)
    assert s.value(4) == s.value(0)
