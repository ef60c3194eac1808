"""A cut is silence both ways, for a while, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bazaar_peer.core.messages import Message, Poll
from bazaar_peer.core.types import PeerId, peer_id
from bazaar_peer.runtime.cut import Cut

A, B, C = PeerId(0), PeerId(1), PeerId(2)


class Wire:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[PeerId, ...]] = []
        self.met: list[set[PeerId]] = []
        self.heard: list[PeerId] = []
        self.deliver: Callable[[PeerId, list[Message]], None] = self._hear

    def _hear(self, sender: PeerId, _messages: list[Message]) -> None:
        self.heard.append(sender)

    def send(self, to: tuple[PeerId, ...], message: Message) -> None:
        self.sent.append(to)

    def meet(self, others: Iterable[PeerId]) -> None:
        self.met.append(set(others))


class Rig:
    def __init__(self) -> None:
        self.now, self.wire = 100.0, Wire()
        self.cut = Cut(0, self.wire, lambda: self.now)
        self.told: list[tuple[set[int], float]] = []
        self.cut.changed = lambda ordinals, seconds: self.told.append((set(ordinals), seconds))

    def passes(self) -> tuple[set[PeerId], set[PeerId]]:
        """Return to whom a message gets, and from whom."""
        self.wire.sent.clear()
        self.wire.heard.clear()
        self.cut.send((B, C), Poll(1))
        for sender in (B, C):
            self.wire.deliver(sender, [Poll(2)])
        return set(self.wire.sent[0]), set(self.wire.heard)


def test_everything_passes_without_a_cut() -> None:
    rig = Rig()
    rig.cut.meet([B, C])

    assert rig.passes() == ({B, C}, {B, C})
    assert rig.wire.met == [{B, C}]


def test_cut_is_silence_both_ways_and_for_the_named_alone() -> None:
    rig = Rig()
    rig.cut.cut([1], 2.0)

    assert rig.passes() == ({C}, {C})
    rig.cut.meet([B])
    assert rig.wire.met == [{B}]  # who is cut off is still a member, and its connection stands


def test_every_life_of_a_peer_is_cut_off() -> None:
    rig = Rig()
    rig.cut.cut([1], 2.0)

    rig.cut.send((peer_id(1, 7),), Poll(1))
    rig.wire.deliver(peer_id(1, 7), [Poll(1)])

    assert rig.wire.sent == [()]
    assert rig.wire.heard == []


def test_cut_heals_by_itself() -> None:
    rig = Rig()
    rig.cut.cut([1, 2], 2.0)
    rig.now += 1.999
    assert rig.passes() == (set(), set())

    rig.now += 0.001

    assert rig.passes() == ({B, C}, {B, C})


def test_new_cut_takes_the_place_of_the_old_one_and_one_of_nobody_heals() -> None:
    rig = Rig()
    rig.cut.cut([1], 60.0)
    rig.cut.cut([2], 60.0)
    assert rig.passes() == ({B}, {B})

    rig.cut.cut([], 60.0)

    assert rig.passes() == ({B, C}, {B, C})


def test_cut_and_its_end_are_told_once() -> None:
    rig = Rig()
    rig.cut.cut([], 1.0)  # there was none
    rig.cut.cut([1, 2], 2.0)
    rig.now += 2.0
    rig.passes()
    rig.passes()
    rig.cut.cut([2], 5.0)
    rig.cut.cut([], 1.0)
    rig.passes()

    assert rig.told == [({1, 2}, 2.0), (set(), 0.0), ({2}, 5.0), (set(), 1.0)]
