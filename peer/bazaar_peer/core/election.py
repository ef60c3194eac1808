"""The ring's nomination: a token collects the members, its initiator nominates (N1).

The token goes to the nearest successor that is linked, not in the tally and not suspected; those
suspected are tried last, and not at all once the tally is a majority. A hop that is not
acknowledged within the hop timeout goes to the next. Chang–Roberts: of two initiators the higher
one's token lives, as long as it does live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.nominator import TALLY_MAX, Nominator
from bazaar_peer.core.standing import standing_of
from bazaar_peer.core.types import NEVER, NOBODY, Nanos, PeerId, Role, ordinal_of

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

CIRCUIT_STEPS = 2
"""A step is long enough for a round of the ring (N8); a token gone for two will not come home."""


class Ring(Nominator):
    """Token passing: `own` is the token under way from here, `hop` the one held for a successor."""

    def __init__(self, peer: Peer) -> None:
        self.own = 0
        self.own_until: Nanos = NEVER
        self.hop: tuple[msg.Election, PeerId, tuple[PeerId, ...]] | None = None
        """(token, to whom, who did not take it before)."""
        self.hop_until: Nanos = NEVER
        super().__init__(peer)

    def gathering(self) -> bool:
        return self.own != 0 or self.polling != 0

    def start(self) -> None:
        peer = self.peer
        if len(peer.voters) == 1:
            peer.nominee.start(transfer=0)
            return
        if self.failed or peer.now >= self.poll_at or not self.patient:
            self.poll()  # a token brought nobody to reign: see whom one reaches oneself (N4)
            return
        self.counter += 1
        self.own = peer.disk.hard.boot << 20 | self.counter
        self.own_until = peer.now + CIRCUIT_STEPS * peer.timing.step
        self._pass_on(msg.Election(peer.epoch, peer.me, self.own, (standing_of(peer),)))

    def on_election(self, sender: PeerId, message: msg.Election) -> None:
        peer, tally = self.peer, message.tally
        peer.send(sender, msg.TokenTaken(message.initiator, message.token))
        peer.seen_epoch(message.replaces)
        self.suspects.pop(sender, None)
        initiator = PeerId(message.initiator)
        if len(tally) > TALLY_MAX or initiator not in peer.voters:
            return
        taken = peer.hearing() and peer.epoch >= message.replaces
        if taken or peer.follower.awaits_copy():
            if initiator != peer.me:
                peer.send(initiator, msg.TraderAlive(peer.epoch, message.replaces))
        elif initiator == peer.me:
            self._home(message)
        elif any(s.id == peer.me for s in tally):
            peer.note("orphan_dropped", initiator=initiator, token=message.token)
        elif self.own and ordinal_of(peer.me) > ordinal_of(initiator) and peer.now < self.own_until:
            peer.note("lower_token_dropped", initiator=initiator)
        else:
            self.own, self.own_until = 0, NEVER
            if self.patient:
                self.token_until = peer.now + CIRCUIT_STEPS * peer.timing.step
            replaces = max(message.replaces, peer.epoch)
            self._pass_on(
                msg.Election(replaces, initiator, message.token, (*tally, standing_of(peer)))
            )

    def _home(self, message: msg.Election) -> None:
        peer = self.peer
        if message.token != self.own or peer.role is not Role.FOLLOWER:
            peer.note("orphan_dropped", initiator=peer.me, token=message.token)
            return
        self.own, self.own_until = 0, NEVER
        if quorum.reached(peer.voters, [s.id for s in message.tally]):
            self.nominate(message.tally, message.replaces)
        else:
            self.poll()

    def _pass_on(self, token: msg.Election, failed: tuple[PeerId, ...] = ()) -> None:
        """Send the token one hop on, or home; `failed` did not take it from here."""
        peer = self.peer
        target = self._next_hop(token, failed)
        if target == NOBODY:
            self.hop, self.hop_until = None, NEVER
            if token.initiator == peer.me:
                self._home(token)
            return
        self.hop = (token, target, failed)
        self.hop_until = peer.now + peer.timing.hop_timeout
        peer.send(target, token)

    def _next_hop(self, token: msg.Election, failed: tuple[PeerId, ...]) -> PeerId:
        """Return the next successor, the initiator if none is left, or NOBODY."""
        peer = self.peer
        seen = [s.id for s in token.tally]
        skip = (*seen, *failed, peer.me)
        at = peer.voters.index(peer.me) + 1 if peer.me in peer.voters else 0
        round_trip = peer.voters[at:] + peer.voters[:at]
        left = [v for v in round_trip if v not in skip and v in peer.linked]
        lost = peer.follower.trader
        for target in left:
            if target not in self.suspects and target != lost:
                return target
        if left and not quorum.reached(peer.voters, seen):
            return left[0]
        initiator = PeerId(token.initiator)
        reachable = initiator in peer.linked and initiator not in failed
        return initiator if reachable and initiator != peer.me else NOBODY

    def on_token_taken(self, sender: PeerId, message: msg.TokenTaken) -> None:
        if self.hop is not None and sender == self.hop[1] and self.hop[0].token == message.token:
            self.hop, self.hop_until = None, NEVER

    def on_link_lost(self, peer: PeerId) -> None:
        super().on_link_lost(peer)
        if self.hop is not None and self.hop[1] == peer:
            self._hop_failed()

    def _hop_failed(self) -> None:
        """Suspect who did not take the token, and try the next."""
        assert self.hop is not None
        token, target, failed = self.hop
        self.hop, self.hop_until = None, NEVER
        self.suspects[target] = True
        self._pass_on(token, (*failed, target))

    def deadline(self) -> Nanos:
        return min(super().deadline(), self.hop_until, self.own_until)

    def tick(self) -> None:
        peer = self.peer
        if self.hop is not None and peer.now >= self.hop_until:
            self._hop_failed()
        if peer.role is Role.FOLLOWER and not peer.hearing():
            if self.own and peer.now >= self.own_until:
                self.own, self.own_until = 0, NEVER
                self.poll()
        elif self.own:
            self.own, self.own_until = 0, NEVER
        super().tick()

    def _idle(self) -> None:
        super()._idle()
        self.own, self.own_until = 0, NEVER
