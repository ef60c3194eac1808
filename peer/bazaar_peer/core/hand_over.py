"""Leaving well (R11): the post closes, the successor catches up, and goes through an election.

The trader keeps its reign and its queue until it sees a higher epoch; after an election timeout
without one it names the next successor or opens the post again. Who leaves is never nominated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core.effects import Left
from bazaar_peer.core.types import NEVER, NOBODY, Nanos, PeerId, Role, ordinal_of

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.core.trader import Trader

PREFERRED_MAX = 8


class HandOver:
    """A hand-over under way; `closed` says that no batch is cut meanwhile."""

    def __init__(self, peer: Peer, trader: Trader) -> None:
        self.peer = peer
        self.trader = trader
        self.preferred = 0
        """So often this peer gave way to the highest id: a flapping one is waited for longer."""
        self.stop()

    def stop(self) -> None:
        self.closed = False
        self.wish = NOBODY
        self.successor = NOBODY
        self.until: Nanos = NEVER
        self.named = False
        self.tried: list[PeerId] = []
        self.nobody_else = False
        """Who was preferred did not take it: this peer trades on."""
        self.preferred_at: Nanos = NEVER
        """Since when the highest id has kept up."""

    def begin(self, wish: PeerId) -> None:
        """Start to hand over, to `wish` if it is a voter that can be reached."""
        peer = self.peer
        if peer.role is not Role.TRADER or self.closed:
            return
        self.closed, self.wish, self.tried = True, wish, []
        peer.note("hand_over", epoch=self.trader.epoch, wish=wish)
        self._choose()

    def prefer(self) -> None:
        """Hand over to the highest id, if that is wished, once it has kept up for a while."""
        peer = self.peer
        highest = max(peer.voters, key=ordinal_of)
        progress = self.trader.progress.get(highest)
        keeps_up = (
            peer.settings.preempt
            and not self.closed
            and ordinal_of(highest) > ordinal_of(peer.me)
            and highest in peer.linked
            and progress is not None
            and progress.match >= peer.commit
            and not peer.state.sessions.admission.leaves_out(highest)
        )
        if not keeps_up:
            self.preferred_at = NEVER
        elif self.preferred_at == NEVER:
            self.preferred_at = peer.now
        elif peer.now - self.preferred_at > peer.timing.heartbeat_timeout << self.preferred:
            self.preferred = min(self.preferred + 1, PREFERRED_MAX)
            self.begin(highest)
            self.nobody_else = True

    def _choose(self) -> None:
        """Take the wish, or the most caught up, highest id among equals; else open again."""
        peer, progress = self.peer, self.trader.progress
        able = [
            v for v in peer.voters if v in progress and v in peer.linked and v not in self.tried
        ]
        size = peer.state.sessions.admission.size
        staying = [v for v in able if ordinal_of(v) < size]  # one change of traders on the way down
        able = [self.wish] if self.wish in able else staying or able
        if self.nobody_else:
            able = []
        if not able:
            self._give_up()
            return
        self.successor = max(able, key=lambda v: (progress[v].match, ordinal_of(v)))
        self.tried.append(self.successor)
        self.named = False
        self.until = peer.now + peer.timing.heartbeat_timeout
        self.advance()

    def _give_up(self) -> None:
        """Nobody to hand over to: trade on; who leaves tries again after an election timeout."""
        peer = self.peer
        leaving, alone = peer.leaving, len(peer.voters) == 1
        pending = self.trader.post.pending or peer.journal.last[1] > peer.commit
        self.stop()
        if leaving:
            self.until = peer.now + peer.timing.heartbeat_timeout
            if alone and not pending and peer.ingress.idle:
                peer.effects.append(Left())
        else:
            peer.note("post_reopened", epoch=self.trader.epoch)

    def advance(self) -> None:
        """Nominate the successor once it has everything, and everything is committed."""
        peer, trader = self.peer, self.trader
        if not self.closed or self.named or self.successor == NOBODY:
            return
        last = peer.journal.last[1]
        if trader.progress[self.successor].match == last == peer.commit and trader.open:
            self.named = True
            peer.send(self.successor, msg.Nominated(trader.epoch, trader.epoch, ()))
            peer.note("successor_named", epoch=trader.epoch, successor=self.successor)

    def deadline(self) -> Nanos:
        return self.until

    def tick(self) -> None:
        peer = self.peer
        if self.closed and self.successor not in peer.linked:
            self._choose()
        elif peer.now >= self.until:
            if self.closed:
                self._choose()
            elif peer.leaving:
                self.begin(NOBODY)
