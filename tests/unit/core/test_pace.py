"""A learner's copy leaves room to those that trade (R10); a voter's does not wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from bazaar_peer.core.pace import RESTS, Pace
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import MS, PeerId, Timing

VOTER, LEARNER = PeerId(1), PeerId(2)


def pace(now: int) -> Pace:
    peer = SimpleNamespace(voters=(PeerId(0), VOTER), now=now, timing=Timing())
    return Pace(cast(Peer, peer))


def test_learner_rests_in_proportion_to_what_its_piece_took() -> None:
    found = pace(now=10 * MS)
    found.taken(LEARNER, 8 * MS)

    assert found.deadline() == (10 + RESTS * 2) * MS
    assert found.rested() == []

    found.peer.now = found.deadline()
    assert found.rested() == [LEARNER]
    assert found.rested() == []


def test_rest_is_a_heartbeat_interval_at_most() -> None:
    found = pace(now=60_000 * MS)
    found.taken(LEARNER, 0)

    assert found.deadline() == found.peer.now + found.peer.timing.heartbeat_interval


def test_voter_never_rests() -> None:
    found = pace(now=10 * MS)
    found.taken(VOTER, 0)

    assert found.rests == {}
