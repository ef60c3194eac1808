"""Who should lead: what ring and bully nomination share (N2–N8). No effect on safety.

A peer that hears no trader waits heartbeat.timeout plus a step for each ring position behind the
lost one (nothing, if the trader's closed connection proves its death), then starts an attempt. An
attempt gathers a tally of a majority and nominates one of it. Who has failed once polls, and stands
itself when a majority answers (N4). A nominee that does not begin to reign is left out of the next
three rounds, and the n-th failed attempt waits uniform(0, 2^min(n, 4)) steps, below an election
timeout (N6).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core.polls import Polls
from bazaar_peer.core.standing import ranked
from bazaar_peer.core.types import NEVER, NOBODY, Nanos, PeerId, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

EXCLUDED_ROUNDS = 3
FAILED_MAX = 4
GIVE_WAY = 2
"""Election timeouts: who promised has waited for one, and has one more for itself."""
PATIENCE = 3
"""Election timeouts without a trader after which a peer polls, whatever tokens come by (N4, N8).

Tokens of peers that reach no majority would else keep the one that does from ever asking.
"""
TALLY_MAX = 1024


class Nominator(Polls):
    """One peer's part in nominations; subclasses gather the tally."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        self.failed = 0
        """Attempts that failed in a row (N6)."""
        self.excluded: dict[PeerId, int] = {}
        self.suspects: dict[PeerId, bool] = {}
        self.quiet_until: Nanos = 0
        """Until then whoever got this peer's promise is left to get on with it (N8)."""
        self.token_until: Nanos = 0
        """The same of a token that was passed on."""
        self.retry_at: Nanos = 0
        self.nominated: tuple[PeerId, Nanos] = (NOBODY, NEVER)

    # ---- for the other parts ----

    def reset(self) -> None:
        """A reign has begun: forget every attempt."""
        self.failed = 0
        self.excluded.clear()
        self.suspects.clear()
        self.quiet_until = self.token_until = self.retry_at = 0
        self.poll_at = NEVER
        self._idle()

    def restart_timer(self) -> None:
        """Somebody else is getting on with it: wait an election timeout more (N8)."""
        self.quiet_until = self.peer.now + self.peer.timing.heartbeat_timeout

    def give_way(self) -> None:
        """By the own journal this peer reaches a majority, but others are needed: they go first.

        Each time that it stands, who promises waits for it; and one of those reaches more (N8).
        """
        wait = GIVE_WAY * self.peer.timing.heartbeat_timeout
        self.quiet_until = max(self.quiet_until, self.peer.now + wait)

    def on_promised(self, nominee: PeerId) -> None:
        """What was gathered is void now: to stand, or nominate, would undo who got the promise."""
        waits = self.nominated
        self._idle()
        if waits[0] == nominee:
            self.nominated = waits
        self.failed = max(self.failed, 1)  # if it does not begin to reign, the next one is no first
        self.restart_timer()

    @property
    def patient(self) -> bool:
        """Others may still be getting on with it: this peer lets their tokens restart its timer."""
        peer = self.peer
        waited = peer.now - peer.follower.quiet_since
        return waited < PATIENCE * peer.timing.heartbeat_timeout

    def own_candidacy_failed(self) -> None:
        self._exclude(self.peer.me)
        self._failed()

    def on_link_up(self, peer: PeerId) -> None:
        """What was held against a peer that could not be reached no longer counts."""
        self.suspects.pop(peer, None)
        self.excluded.pop(peer, None)

    def on_link_lost(self, peer: PeerId) -> None:
        """Suspect who cannot be reached; it is asked last."""
        self.suspects[peer] = True

    def on_trader_alive(self, sender: PeerId, message: msg.TraderAlive) -> None:
        """Somebody hears the trader: try again soon if its death is proved, else back off."""
        if not self.gathering() or message.asked < self.peer.epoch:
            return
        self._idle()
        peer, follower = self.peer, self.peer.follower
        if follower.crashed and peer.now - follower.quiet_since < peer.timing.step:
            self.retry_at = peer.now + peer.timing.retry
        else:
            self._failed()

    def on_nominated(self, sender: PeerId, message: msg.Nominated) -> None:
        """N2: stand only if the promise has not moved on, and no trader is followed."""
        peer = self.peer
        if peer.role is not Role.FOLLOWER or peer.leaving or peer.me not in peer.voters:
            return
        transfer = message.transfer
        if transfer:
            by_own_trader = peer.epoch == transfer == peer.follower.epoch
            if not (by_own_trader and sender == peer.follower.trader):
                peer.note("stale_nomination", replaces=message.replaces, epoch=peer.epoch)
                return
        elif peer.epoch > message.replaces or peer.follower.spoken_for():
            peer.note("stale_nomination", replaces=message.replaces, epoch=peer.epoch)
            return
        self._idle()
        peer.nominee.start(transfer)

    # ---- tallies ----

    def nominate(self, tally: tuple[msg.Standing, ...], replaces: int) -> None:
        """Nominate the highest id that is able, not excluded and not too far behind.

        `replaces`: the highest epoch that anybody in the tally had promised (N2, N7).
        """
        peer = self.peer
        voters = [s for s in tally if s.id in peer.voters and not s.leaving]
        able = [s for s in voters if s.id not in self.excluded] or voters
        for standing in ranked(able, peer.settings.catch_up_limit, self.failed):
            who = PeerId(standing.id)
            if who == peer.me:
                self._idle()
                peer.nominee.start(transfer=0)
                return
            if who in peer.linked:
                self._idle()
                peer.send(who, msg.Nominated(replaces, 0, tally))
                peer.note("nominated", epoch=peer.epoch, nominee=who, tally=len(tally))
                self.nominated = (who, peer.now + peer.timing.heartbeat_timeout)
                return
        self._idle()
        self._failed()

    # ---- time ----

    @abstractmethod
    def start(self) -> None:
        """Begin an attempt."""

    @abstractmethod
    def gathering(self) -> bool:
        """Tell whether an own attempt is under way."""

    @abstractmethod
    def on_election(self, sender: PeerId, message: msg.Election) -> None:
        """Take a ring's token."""

    @abstractmethod
    def on_token_taken(self, sender: PeerId, message: msg.TokenTaken) -> None:
        """Take the acknowledgement of a hop."""

    def start_at(self) -> Nanos:
        """Return when this peer starts an attempt, if it hears nobody until then."""
        peer, follower = self.peer, self.peer.follower
        lost = follower.trader if follower.trader != NOBODY else peer.disk.hard.promised_to
        if peer.me not in peer.voters:
            return max(self.retry_at, follower.quiet_since + peer.timing.heartbeat_timeout)
        count = len(peer.voters)
        mine = peer.voters.index(peer.me)
        place = peer.voters.index(PeerId(lost)) if lost in peer.voters else count - 1
        rank = (mine - place - 1) % count
        wait = 0 if follower.crashed else peer.timing.heartbeat_timeout
        at = follower.quiet_since + wait + rank * peer.timing.step
        if self.retry_at > follower.quiet_since:
            at = self.retry_at  # its turn has come once: from now on chance decides (N6)
        at = max(at, self.token_until)
        return max(min(at, self.poll_at), self.quiet_until)

    def deadline(self) -> Nanos:
        peer = self.peer
        if peer.role is not Role.FOLLOWER:
            return NEVER
        if self.nominated[0] != NOBODY:
            return self.nominated[1]
        if self.polling:
            return self.poll_until
        if self.gathering():
            return NEVER
        follower = peer.follower
        if follower.hearing():
            return follower.silent_at
        return self.start_at()

    def tick(self) -> None:
        peer = self.peer
        if peer.role is not Role.FOLLOWER:
            return
        if peer.hearing():
            self._idle()
        elif self.nominated[0] != NOBODY:
            if peer.now >= self.nominated[1]:
                self._exclude(self.nominated[0])
                self._idle()
                self._failed()
        elif self.polling:
            if peer.now >= self.poll_until:
                self._poll_ended()
        elif not self.gathering() and peer.now >= self.start_at():
            if peer.me not in peer.voters:
                self._ask_what_became()
                return
            peer.note("election", epoch=peer.epoch, attempt=self.failed, lost=peer.follower.trader)
            self.start()

    def _ask_what_became(self) -> None:
        """No voter, and nobody is heard: it may have missed its own removal; who knows says so."""
        peer = self.peer
        self.retry_at = peer.now + peer.timing.heartbeat_timeout
        peer.broadcast(msg.Poll(0, peer.journal.last))

    def _exclude(self, who: PeerId) -> None:
        self.excluded[who] = EXCLUDED_ROUNDS
        self.peer.note("excluded", peer=who)

    def _failed(self) -> None:
        """Count a failed round and draw the next one's time (N6)."""
        peer = self.peer
        self.failed += 1
        for who in list(self.excluded):
            self.excluded[who] -= 1
            if self.excluded[who] < 0:
                del self.excluded[who]
        self.retry_at, self.poll_at = peer.now + self._backoff(), NEVER
        peer.note("attempt_failed", failed=self.failed)

    def _backoff(self) -> Nanos:
        """Draw a wait that keeps rivals apart, of an election timeout at most (N6)."""
        timing = self.peer.timing
        span = timing.step << min(max(1, self.failed), FAILED_MAX)
        return self.peer.jitter() % min(span, timing.heartbeat_timeout)

    def _idle(self) -> None:
        """End whatever attempt is under way."""
        self.nominated = (NOBODY, NEVER)
        self.end_poll()
