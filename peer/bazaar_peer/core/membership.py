"""The trader's way to the wished members: one change an entry, one change at a time (R10).

Up: a volume asks for a place, becomes a learner under a new life, copies the state, and votes once
it has caught up. Down: who is to go first gets an election timeout, or more, to send its callers
elsewhere; then the highest ordinals go first; the trader itself hands over before. A lost volume:
its old life is removed, then the new one is added. A change is effective when it is appended (R9),
and the next one waits until it is committed, and the own reign with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bazaar_peer.core import quorum
from bazaar_peer.core.messages import Member, MembersChanged
from bazaar_peer.core.progress import NEAR
from bazaar_peer.core.records import voters_of
from bazaar_peer.core.types import NOBODY, Nanos, PeerId, incarnation_of, ordinal_of, peer_id

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.core.trader import Trader


class Membership:
    """`waits` says in words what the change under way waits for."""

    def __init__(self, peer: Peer, trader: Trader) -> None:
        self.peer = peer
        self.trader = trader
        self.stop()

    def stop(self) -> None:
        self.waits = ""
        self.parting: tuple[int, Nanos] = (0, 0)
        """The wished size that some are beyond, and until when they end what they have begun."""

    def advance(self) -> None:
        """Take the next step towards the wish, if there is one and it may be taken now."""
        peer, trader = self.peer, self.trader
        index, _ = peer.journal.configs[-1]
        if (
            not trader.open
            or trader.hand_over.closed
            or max(index, trader.post.flying) > peer.commit
            or peer.backlog  # a wish, or a version, may be committed that is not applied yet
        ):
            return
        self.waits = ""
        change = self._too_many() or self._lost() or self._learnt() or self._asked()
        if change is not None:
            peer.note("members_changed", epoch=trader.epoch, voters=_voters(change))
            trader.post.write([change])

    # ---- the steps, in the order in which they are taken ----

    def _too_many(self) -> MembersChanged | None:
        """Remove the highest ordinal beyond the wish that can be spared.

        The highest may have to wait until one below it, whose volume is lost, is removed.
        """
        peer = self.peer
        admission = peer.state.sessions.admission
        beyond = [m for m in peer.members.members if admission.leaves_out(PeerId(m.id))]
        if not beyond:
            self.parting = (0, 0)
            return None
        if self.parting[0] != admission.size:
            time = max(peer.settings.parting, peer.timing.heartbeat_timeout)
            self.parting = (admission.size, peer.now + time)
        if peer.now < self.parting[1]:
            self.waits = f"peers from {admission.size} on end what they have begun"
            return None
        beyond.sort(key=lambda member: -ordinal_of(member.id))
        for at, member in enumerate(beyond):
            if at and member.id == peer.me:
                continue  # its turn comes: to hand over now would spare nobody
            change = self._without(member)
            if change is not None or self.trader.hand_over.closed:
                return change
        return None

    def _lost(self) -> MembersChanged | None:
        """Remove a life whose ordinal another volume asks for (row 13: two entries, not one).

        Only one that does not answer: whoever asks cannot take its place from a peer that lives.
        """
        admission, alive = self.peer.state.sessions.admission, self._alive()
        for member in self.peer.members.members:
            volume = admission.asking(ordinal_of(member.id))
            if volume in ("", member.volume):
                continue
            if member.id not in alive:
                return self._without(member)
            self.waits = (
                f"peer {ordinal_of(member.id)} answers, so volume {volume} does not get its place."
                " Stop one of the two"
            )
        return None

    def _without(self, gone: Member) -> MembersChanged | None:
        """Remove a member; a voter only if the voters that are left are a majority alive."""
        peer = self.peer
        if gone.id == peer.me:
            peer.note("trader_must_go", ordinal=ordinal_of(gone.id))
            self.trader.hand_over.begin(NOBODY)
            return None
        left = [v for v in peer.voters if v != gone.id]
        if gone.voter and not quorum.reached(left, self._alive()):
            self.waits = (
                f"peer {ordinal_of(gone.id)} is not removed: of the {len(left)} voters left then no"
                " majority answers now. Start those that are down, or wish for more peers"
            )
            return None
        members = tuple(m for m in peer.members.members if m.id != gone.id)
        return self._changed(members, (*peer.members.retired, gone.id))

    def _learnt(self) -> MembersChanged | None:
        """Let a learner vote that has caught up."""
        peer, alive = self.peer, self._alive()
        for learner in peer.members.members:
            if learner.voter:
                continue
            wait = self._lacks(PeerId(learner.id))
            if learner.id in alive and not wait:
                voter = msgspec.structs.replace(learner, voter=True)
                members = [voter if m.id == learner.id else m for m in peer.members.members]
                return self._changed(tuple(members), peer.members.retired)
            self.waits = wait or f"peer {ordinal_of(learner.id)} does not answer: is it started?"
        return None

    def _lacks(self, learner: PeerId) -> str:
        """Return what a learner lacks to vote: entries, or a release that can apply them (U1)."""
        peer, who = self.peer, f"peer {ordinal_of(learner)}"
        match = self.trader.progress[learner].match
        knows = self.trader.agreement.versions.get(learner, 0)
        if match + NEAR < peer.commit or not knows:
            return f"{who} copies: it has {match} of {peer.commit} entries"
        if knows < peer.state.version:
            return (
                f"{who} gets no vote: the ring applies entries by version {peer.state.version},"
                f" its release knows up to {knows}. Start it with a newer one"
            )
        return ""

    def _asked(self) -> MembersChanged | None:
        """Make a learner of a volume that asks for a place nobody has."""
        peer = self.peer
        admission, members = peer.state.sessions.admission, peer.members.members
        taken = {ordinal_of(m.id) for m in members}
        for ordinal in range(admission.size):
            if ordinal in taken:
                continue
            volume = admission.asking(ordinal)
            if volume:
                learner = Member(self._next_life(ordinal), voter=False, volume=volume)
                retired = tuple(r for r in peer.members.retired if ordinal_of(r) != ordinal)
                return self._changed((*members, learner), retired)
            self.waits = f"peer {ordinal} has not asked to join yet: is it started?"
        return None

    # ---- what they share ----

    def _next_life(self, ordinal: int) -> PeerId:
        """Name a life that never was: one above the last of this ordinal."""
        lives = [incarnation_of(r) for r in self.peer.members.retired if ordinal_of(r) == ordinal]
        return peer_id(ordinal, max(lives, default=-1) + 1)

    def _changed(self, members: tuple[Member, ...], retired: tuple[int, ...]) -> MembersChanged:
        ordered = tuple(sorted(members, key=lambda member: ordinal_of(member.id)))
        return msgspec.structs.replace(
            self.peer.members, members=ordered, retired=retired, recovered_from=""
        )

    def _alive(self) -> set[PeerId]:
        """Return who is linked and answered within the heartbeat timeout, this peer too (R10)."""
        peer = self.peer
        since = peer.now - peer.timing.heartbeat_timeout
        answered = (
            other
            for other, known in self.trader.progress.items()
            if other in peer.linked and known.round and known.accepted_at > since
        )
        return {peer.me, *answered}


def _voters(change: MembersChanged) -> str:
    return " ".join(str(ordinal_of(voter)) for voter in voters_of(change))
