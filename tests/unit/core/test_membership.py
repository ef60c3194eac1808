"""Members come and go, one voter an entry (R9, R10, R14)."""

from __future__ import annotations

import msgspec
import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.records import JOIN, SET_SIZE
from bazaar_peer.core.types import MS, NOBODY, SECOND, PeerId, Role, name_of, ordinal_of, peer_id
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.simulation.counter import Counter
from bazaar_peer.simulation.plan import Newer
from tests.unit.core.ring import Ring

encode = msgspec.msgpack.encode


class Growing(Ring):
    """A ring whose size is wished, and whose volumes ask to join."""

    requests = 1000

    def wish(self, size: int, generation: int) -> bytes:
        return self.ask(SET_SIZE, encode((size, generation)))

    def knock(self, ordinal: int, volume: str) -> bytes:
        return self.ask(JOIN, encode((ordinal, volume)))

    def ask(self, kind: int, body: bytes) -> bytes:
        """Send a command through any peer; return its outcome."""
        self.requests += 1
        request = self.requests
        through = next(iter(self.peers))
        self.add(through, request, kind=kind, body=body)
        self.until(lambda: request in self.replies)
        answer = self.replies[request].answer
        assert answer is not None
        return answer.body

    @property
    def newest(self) -> msg.MembersChanged:
        return self.peers[self.trader].members

    def voters(self) -> list[int]:
        return list(self.peers[self.trader].voters)

    def enter(self, ordinal: int, volume: str) -> PeerId:
        """Let a volume ask, become a learner, start, and vote."""
        self.knock(ordinal, volume)
        self.until(lambda: any(m.volume == volume for m in self.newest.members))
        life = next(PeerId(m.id) for m in self.newest.members if m.volume == volume)
        self.join(life, self.newest)
        self.until(lambda: life in self.voters())
        return life


def test_ring_grows_by_a_learner_that_copies_and_then_votes() -> None:
    ring = Growing(3)
    ring.settle()
    ring.add(PeerId(0), 1, 5)

    assert b"wished" in ring.wish(4, 1)
    life = ring.enter(3, "vol-3")
    ring.settle()

    assert life == 3
    assert ring.voters() == [0, 1, 2, 3]
    assert set(ring.values()) == {5}


def test_learner_counts_nowhere() -> None:
    """R9, row 15: two of three voters are a majority, a voter and a learner are none."""
    ring = Growing(3)
    trader = ring.settle()
    ring.wish(4, 1)
    ring.knock(3, "vol-3")
    ring.until(lambda: len(ring.newest.members) == 4)
    ring.join(PeerId(3), ring.newest)
    others = [p for p in ring.peers if p not in {trader, 3}]
    ring.isolate(*others)

    ring.add(trader, 1, 7)
    ring.run(100 * MS)

    assert 1 not in ring.replies
    assert ring.peers[PeerId(3)].role is Role.FOLLOWER


def test_ring_shrinks_from_the_top_and_its_trader_hands_over_first() -> None:
    ring = Growing(5)
    assert ring.settle() == 4

    ring.wish(3, 1)
    ring.until(lambda: ring.trader >= 0 and ring.voters() == [0, 1, 2])

    ring.until(lambda: len(ring.removed) == 2)
    assert ring.trader < 3
    assert sorted(ring.removed) == [3, 4]
    assert len(ring.noted("reign_begun")) == 2


def test_lost_volume_comes_back_under_a_new_life() -> None:
    """R10, R14: two entries, and the old life counts nowhere ever after."""
    ring = Growing(3)
    ring.settle()
    ring.add(PeerId(1), 1, 5)
    ring.run(SECOND)
    lost = PeerId(0)
    ring.kill(lost)

    life = ring.enter(0, "vol-new")
    ring.settle()

    assert life == peer_id(0, 1)
    assert [ordinal_of(v) for v in ring.voters()] == [0, 1, 2]
    assert set(ring.values()) == {5}


def test_later_changes_of_a_recovered_ring_are_no_recoveries() -> None:
    """R14: only the entry by which it began says what it was recovered from."""
    ring = Growing(3)
    ring.settle()
    for core in ring.peers.values():
        (index, members), *_ = core.journal.configs
        began = msgspec.structs.replace(members, recovered_from="former:7")
        core.journal.configs[:] = [(index, began)]
        core.members_changed()

    ring.wish(4, 1)
    ring.knock(3, "vol-3")
    ring.until(lambda: len(ring.newest.members) == 4)

    assert ring.newest.recovered_from == ""


def test_who_is_to_leave_has_time_to_end_what_it_has_begun() -> None:
    """Unready at once, removed an election timeout later: no request fails on the way down."""
    ring = Growing(3)
    ring.settle()
    ring.wish(2, 1)
    last = ring.peers[PeerId(2)]

    ring.until(lambda: last.state.sessions.admission.leaves_out(PeerId(2)))
    told = ring.now
    ready = [peer.is_ready() for peer in ring.peers.values()]
    ring.until(lambda: ring.removed)

    assert ready == [True, True, False]
    assert ring.now - told >= last.timing.heartbeat_timeout - last.timing.heartbeat_interval


def test_somebody_is_ready_while_the_ring_trades() -> None:
    """K1, row 48: those that are to stay are down, so nobody can be removed."""
    ring = Growing(5)
    ring.settle()
    for peer in (PeerId(0), PeerId(1)):
        ring.kill(peer)
    ring.run(3 * SECOND)
    ring.wish(2, 1)
    ring.run(10 * SECOND)

    assert ring.trader != NOBODY
    assert all(core.is_ready() for core in ring.peers.values())


def test_learner_whose_link_is_lost_gets_no_vote() -> None:
    """R10: it answered just now, but it is known to be gone."""
    ring = Growing(3)
    trader = ring.peers[ring.settle()]
    ring.wish(4, 1)
    ring.enter(3, "vol-3")
    alive = trader.trader_role.membership._alive()
    ring.feed(trader.me, ev.LinkLost(PeerId(3), refused=False))

    assert alive - trader.trader_role.membership._alive() == {3}


def test_removal_that_would_leave_no_majority_alive_waits() -> None:
    """R10, row 50."""
    ring = Growing(4)
    trader = ring.settle()
    down = [p for p in ring.peers if p != trader][:1]
    ring.kill(down[0])
    ring.run(SECOND)
    before = ring.voters()
    dead = [p for p in ring.peers if p != ring.trader][:1]

    ring.wish(2, 1)
    ring.run(2 * SECOND)

    assert before == [0, 1, 2, 3]
    assert dead
    assert ring.voters() in ([0, 1, 2], [0, 1])


def test_member_that_is_gone_is_removed_before_a_higher_one_that_is_needed() -> None:
    """R10: without 2 the dead 1 would be half of the voters; without 1 all are alive."""
    ring = Growing(3)
    ring.settle()
    ring.add(PeerId(0), 1, 5)
    ring.run(SECOND)
    ring.kill(PeerId(1))
    ring.until(lambda: ring.trader in {0, 2})

    ring.wish(1, 1)
    ring.until(lambda: ring.trader == 0 and ring.removed)

    assert ring.removed == [2]
    assert ring.voters() == [0]


@pytest.mark.parametrize(
    ("size", "generation", "outcome"),
    [
        (4, 1, b"older_generation"),
        (4, 2, b"older_generation"),
        (3, 2, b"wished"),
        (0, 3, b"invalid"),
    ],
)
def test_wish_of_an_older_generation_is_refused(size: int, generation: int, outcome: bytes) -> None:
    ring = Growing(3)
    ring.settle()
    ring.wish(3, 2)

    assert outcome in ring.wish(size, generation)


class Mixed(Growing):
    """A ring of the newer release, in which some volumes are started with the older one."""

    older: frozenset[PeerId] = frozenset()

    def machine(self, peer: PeerId) -> type[Counter]:
        return Counter if peer in self.older else Newer


def test_learner_of_an_old_release_stops_and_gets_no_vote_until_it_has_a_newer_one() -> None:
    """U1: it would apply what it copies otherwise than the ring."""
    ring = Mixed(3)
    ring.older = frozenset({PeerId(3)})
    ring.settle()
    ring.until(lambda: ring.peers[ring.trader].state.version == 2)
    ring.wish(4, 1)
    ring.knock(3, "vol-3")
    ring.until(lambda: len(ring.newest.members) == 4)

    ring.join(PeerId(3), ring.newest)
    ring.until(lambda: 3 in ring.halted)
    ring.run(SECOND)

    assert "newer release" in ring.halted[PeerId(3)]
    assert ring.voters() == [0, 1, 2]
    ring.older = frozenset()
    ring.restart(PeerId(3))
    ring.until(lambda: 3 in ring.voters())


def test_caught_up_learner_of_an_old_release_gets_no_vote() -> None:
    """U1: it has all entries, and has not heard yet that the one that raises is committed."""
    ring = Mixed(3)
    trader = ring.settle()
    ring.until(lambda: ring.peers[trader].state.version == 2)
    ring.wish(4, 1)
    ring.knock(3, "vol-3")
    ring.until(lambda: len(ring.newest.members) == 4)
    role = ring.peers[trader].trader_role
    role.progress[PeerId(3)].match = ring.peers[trader].commit

    role.agreement.versions[PeerId(3)] = 1
    too_old = role.membership._lacks(PeerId(3))
    role.agreement.versions[PeerId(3)] = 2

    assert "newer one" in too_old
    assert role.membership._lacks(PeerId(3)) == ""


def test_checkpoint_of_a_newer_version_is_not_installed_by_an_old_release() -> None:
    """U1: on its way from the trader, and on the own volume after a downgrade."""
    ring = Mixed(3, checkpoint_entries=2)
    ring.older = frozenset({PeerId(3)})
    trader = ring.settle()
    ring.until(lambda: ring.peers[trader].state.version == 2)
    for request in range(1, 9):
        ring.add(trader, request)
        ring.run(50 * MS)
    ring.wish(4, 1)
    ring.knock(3, "vol-3")
    ring.until(lambda: len(ring.newest.members) == 4)
    ring.run(SECOND)
    for core in ring.peers.values():
        core.keep_index = core.commit
        core.prune()

    ring.join(PeerId(3), ring.newest)
    ring.until(lambda: 3 in ring.halted)

    assert ring.noted("checkpoint_sent")
    assert ring.disks[PeerId(3)].parts == []
    down = next(p for p in ring.peers if p != ring.trader)
    ring.kill(down)
    ring.older = frozenset({down})
    ring.restart(down)
    assert "newer release" in ring.halted[down]


def test_session_that_a_boot_has_is_not_opened_by_another_entry() -> None:
    """A learner asks again and again until it has copied: the journal must not grow by that."""
    ring = Growing(3)
    trader = ring.settle()
    core = ring.peers[trader]
    other = core.others[0]
    boot, _ = core.state.sessions.peers[name_of(other)]
    opens = msg.Submission(
        -1 - other, boot, 1, msg.OPEN_PEER, name_of(other), "", 0, 0, *sealed({}), b""
    )
    last = core.journal.last

    ring.feed(trader, ev.Received(other, msg.Submit([opens], {})))
    ring.run(SECOND)

    assert core.journal.last == last


def test_volume_that_others_have_outlived_is_set_aside() -> None:
    """R14: who has met a later boot of this life refuses it, and says so."""
    ring = Growing(3)
    ring.settle()
    core = ring.peers[PeerId(1)]

    told = core.handle([ev.Outlived()], ring.now)

    assert fx.Removed() in told


def test_peer_that_answers_loses_its_place_to_nobody() -> None:
    """R10: whoever asks, the volume that is there and lives stays; the request is forgotten."""
    ring = Growing(3)
    trader = ring.settle()

    assert b"noted" in ring.knock(1, "of-somebody-else")
    ring.run(SECOND)

    assert ring.voters() == [0, 1, 2]
    assert "answers, so volume" in ring.peers[trader].trader_role.membership.waits
    for request in range(1, 8):
        ring.run(SECOND)
        ring.add(trader, request, 1)
    ring.run(SECOND)
    assert ring.peers[trader].state.sessions.admission.joins == {}
    ring.kill(PeerId(1))
    ring.run(2 * SECOND)
    assert [ordinal_of(voter) for voter in ring.voters()] == [0, 1, 2]
