"""Members come and go, one voter an entry (R9, R10, R14)."""

from __future__ import annotations

import msgspec
import pytest

from bazaar_peer.core import messages as msg
from bazaar_peer.core.records import JOIN, SET_SIZE
from bazaar_peer.core.types import MS, SECOND, PeerId, Role, ordinal_of, peer_id
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
