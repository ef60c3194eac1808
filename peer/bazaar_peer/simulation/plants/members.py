"""Planted bugs of members that come and go (R9, R10, R14; rows 12-15, 21, 22, 50, 79)."""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.core import ledger, routing
from bazaar_peer.core import messages as msg
from bazaar_peer.core.admission import Admission
from bazaar_peer.core.membership import Membership
from bazaar_peer.core.messages import Member, MembersChanged
from bazaar_peer.core.nominee import Nominee
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.state import State
from bazaar_peer.core.types import PeerId, ordinal_of, peer_id
from bazaar_peer.simulation.disk import Volume
from bazaar_peer.simulation.joining import Joining
from bazaar_peer.simulation.network import Network
from bazaar_peer.simulation.plants.registry import Patch, plant


@plant
def cfgstale() -> list[Patch]:
    """A nominee counts its promises over members of old, not of the best journal (R9, row 12)."""

    def electorate(self: Nominee, owner: PeerId) -> tuple[PeerId, ...]:
        _, oldest = self.peer.journal.configs[0]
        return tuple(PeerId(member.id) for member in oldest.members)

    heard = [(module, "is_over", lambda *_: False) for module in (routing, ledger)]
    return [(Nominee, "electorate", electorate), *heard]


@plant
def replace() -> list[Patch]:
    """A lost volume's life is replaced by the new one in one entry (R10, row 13)."""

    def lost(self: Membership) -> MembersChanged | None:
        admission = self.peer.state.sessions.admission
        for member in self.peer.members.members:
            volume = admission.asking(ordinal_of(member.id)) or member.volume
            if volume != member.volume and member.id != self.peer.me:
                life = peer_id(ordinal_of(member.id), (member.id >> 16) + 1)
                rest = [m for m in self.peer.members.members if m.id != member.id]
                new = (*rest, Member(life, voter=True, volume=volume))
                return self._changed(new, self.peer.members.retired)
        return None

    return [(Membership, "_lost", lost)]


@plant
def cfgearly() -> list[Patch]:
    """Members change before the own reign, or the change before, is committed (R10, row 14)."""

    def advance(self: Membership) -> None:
        if self.trader.hand_over.closed or not self.trader.epoch:
            return
        change = self._too_many() or self._lost() or self._learnt() or self._asked()
        if change is not None:
            self.trader.post.write([change])

    return [(Membership, "advance", advance)]


@plant
def learner_counted() -> list[Patch]:
    """A learner counts in majorities (R9, row 15)."""
    inner = Peer.members_changed

    def members_changed(self: Peer) -> None:
        inner(self)
        self.voters = tuple(PeerId(m.id) for m in self.members.members)

    return [(Peer, "members_changed", members_changed)]


@plant
def amnesiac_votes() -> list[Patch]:
    """A lost volume comes back empty under the life that it had (R14, row 21)."""

    def lose(self: Joining, life: int) -> None:
        host = self.world.hosts[PeerId(life)]
        members = self.world.checkers.committed.members
        self.world.crash(host.id)
        self.world.checkers.top[life] = 0
        host.volume = Volume(None, members)
        self.world.later(self.world.plan.timing.heartbeat_timeout, lambda: self.world.start(life))

    return [(Joining, "lose", lose)]


@plant
def removed_votes() -> list[Patch]:
    """Who was removed goes on to count (R9)."""
    inner = Peer.members_changed

    def members_changed(self: Peer) -> None:
        before = getattr(self, "voters", ())
        inner(self)
        self.voters = tuple(sorted({*self.voters, *before}, key=ordinal_of))

    return [(Peer, "members_changed", members_changed)]


@plant
def life_used_twice() -> list[Patch]:
    """A volume that joins gets the life of the one before it (R14, rows 22 and 79)."""

    def next_life(self: Membership, ordinal: int) -> PeerId:
        return peer_id(ordinal)

    return [(Membership, "_next_life", next_life)]


@plant
def old_generation_accepted() -> list[Patch]:
    """An older wish undoes a newer one (R10)."""
    inner = Admission._set_size

    def set_size(self: Admission, wish: Any) -> bytes:
        self.generation = min(self.generation, wish.generation - 1)
        return inner(self, msgspec.structs.replace(wish))

    return [(Admission, "_set_size", set_size)]


@plant
def removed_though_no_majority_is_left() -> list[Patch]:
    """A voter is removed though the voters left have no majority alive (R10, row 50)."""

    def alive(self: Membership) -> set[PeerId]:
        return {self.peer.me, *self.trader.progress}

    return [(Membership, "_alive", alive)]


@plant
def boot_not_compared() -> list[Patch]:
    """Peers hear a life whose boot is older than one they have met: an old copy votes (R14)."""
    return [(Network, "objects", lambda *_: False)]


@plant
def admitted_by_place() -> list[Patch]:
    """A volume takes its place's life for its own, whichever volume that names (R14, row 79)."""
    inner = Joining._ask

    def ask(self: Joining, ordinal: int) -> None:
        for member in self.world.checkers.committed.members.members:
            if ordinal_of(member.id) == ordinal in self.knocking:
                self.knocking[ordinal] = member.volume
        inner(self, ordinal)

    return [(Joining, "_ask", ask)]


@plant
def old_release_goes_on() -> list[Patch]:
    """A release applies entries of a version that it does not know (U1)."""
    return [(State, "beyond_release", lambda self: "")]


@plant
def later_life_says_nothing() -> list[Patch]:
    """Who looks for a life that is over is not told of its own end by who has that place (R14)."""
    return [(Network, "unheard", lambda *_: None)]


@plant
def further_journal_unheard() -> list[Patch]:
    """Who is over by the own journal alone never gets a promise, however far its own is (N8)."""
    candidacy = (msg.IWon, msg.Poll, msg.Election, msg.Nominated)
    return [(routing, "_may_yet_trade", lambda _, message: not isinstance(message, candidacy))]
