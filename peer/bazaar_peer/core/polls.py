"""A poll: who reaches a majority directly stands itself (N4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.standing import standing_of, unable
from bazaar_peer.core.types import NEVER, Nanos, PeerId, Role, ordinal_of

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

POLL_STEPS = 2
"""A poll lasts a step, and another one at most if a higher id asks, too (N4)."""
LEFT_OUT = 2
"""Election timeouts that an answer counts for readiness (K1): who is left out asks more often."""


class Polls(ABC):
    """The part of a nominator that asks all members directly."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.counter = 0
        self.poll_at: Nanos = NEVER
        """When to poll as well, since somebody else's token brought no majority."""
        self.polling = 0
        self.poll_until: Nanos = NEVER
        self.poll_last: Nanos = NEVER
        """Until then a poll may wait for a higher id that asks, too."""
        self.above: dict[PeerId, Nanos] = {}
        """Higher ids that asked in the time that a poll lasts, and when."""
        self.higher_until: Nanos = 0
        """Until then they may stand first (N4)."""
        self.tally: dict[PeerId, msg.PollAnswer] = {}
        self.left_out_until: Nanos = 0
        """Until then others are taken to hear a trader."""

    def on_poll(self, sender: PeerId, message: msg.Poll) -> None:
        """Answer, and ask too if the sender does not get on; a nominee is busy with its own."""
        peer = self.peer
        if peer.role is Role.NOMINEE:
            return
        hears = peer.follower.spoken_for()
        told = (standing_of(peer), hears, peer.epoch, peer.hearing())
        peer.send(sender, msg.PollAnswer(message.token, *told))
        if sender in peer.voters and ordinal_of(sender) > ordinal_of(peer.me):
            self._let_stand_first(sender)
        if not hears and self.poll_at == NEVER:
            self.poll_at = peer.now + peer.timing.step + self._backoff()

    def _let_stand_first(self, sender: PeerId) -> None:
        """Wait a step for each higher id that asks: two that wait for one would both stand then."""
        peer = self.peer
        began = peer.now - POLL_STEPS * peer.timing.step
        self.above = {who: at for who, at in self.above.items() if at > began}
        self.above[sender] = peer.now
        self.higher_until = peer.now + len(self.above) * peer.timing.step

    def poll(self) -> None:
        """Ask every member directly, after a token that brought no majority (N4)."""
        peer = self.peer
        self._idle()
        self.poll_at = NEVER
        self.counter += 1
        self.polling = self.counter
        self.poll_until = peer.now + peer.timing.step
        self.poll_last = peer.now + POLL_STEPS * peer.timing.step
        self.tally = {peer.me: msg.PollAnswer(self.polling, standing_of(peer), False, peer.epoch)}
        peer.note("poll", epoch=peer.epoch)
        peer.broadcast(msg.Poll(self.polling, peer.journal.last))
        self._poll_progress()

    def on_poll_answer(self, sender: PeerId, message: msg.PollAnswer) -> None:
        peer = self.peer
        peer.seen_epoch(message.promised)
        if message.trades:
            self.left_out_until = peer.now + LEFT_OUT * peer.timing.heartbeat_timeout
        if message.token == self.polling != 0 and sender in peer.voters:
            self.tally[sender] = message
            self._poll_progress()

    def _poll_progress(self) -> None:
        """With direct answers of a majority, none hearing a trader, nominate oneself (N4).

        Of two that ask at once the higher id goes first: each would refuse the other, until both
        have waited in vain.
        """
        peer = self.peer
        if any(answer.hears for answer in self.tally.values()):
            self._idle()
            self._failed()
        elif quorum.reached(peer.voters, self.tally):
            until = min(self.higher_until, self.poll_last)
            if unable(peer):
                self._nominate_answered()
            elif peer.now < until:
                self.poll_until = until
            else:
                self._idle()
                peer.nominee.start(transfer=0)

    def end_poll(self) -> None:
        self.polling = 0
        self.poll_until = self.poll_last = NEVER
        self.tally = {}

    def _poll_ended(self) -> None:
        if quorum.reached(self.peer.voters, self.tally):
            self._poll_progress()
        else:
            self._idle()
            self._failed()

    def _nominate_answered(self) -> None:
        answers = self.tally.values()
        replaces = max(answer.promised for answer in answers)
        self.nominate(tuple(answer.standing for answer in answers), replaces)

    # ---- the nominator's ----

    @abstractmethod
    def nominate(self, tally: tuple[msg.Standing, ...], replaces: int) -> None:
        """Nominate the best of a tally."""

    @abstractmethod
    def _idle(self) -> None:
        """End whatever attempt is under way."""

    @abstractmethod
    def _failed(self) -> None:
        """Count a failed round."""

    @abstractmethod
    def _backoff(self) -> Nanos:
        """Draw a wait that keeps rivals apart."""
