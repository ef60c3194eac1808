"""Bully nomination (Garcia-Molina 1982) behind the same interface: ask everybody, highest wins.

The initiator polls all members at once; when everybody linked has answered, the highest able id of
the tally is nominated. If somebody linked has not answered within the hop timeout, there may be a
cut that nobody noticed, and the best may reach fewer than the initiator: that one stands itself,
with direct answers of a majority (N4). A member that hears a trader ends the attempt, as in the
ring.
"""

from __future__ import annotations

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.nominator import Nominator
from bazaar_peer.core.types import PeerId


class Bully(Nominator):
    """A poll of all members is the whole attempt."""

    def gathering(self) -> bool:
        return self.polling != 0

    def start(self) -> None:
        self.poll()
        if self.polling:
            self.poll_until = self.peer.now + self.peer.timing.hop_timeout

    def on_election(self, sender: PeerId, message: msg.Election) -> None:
        """Take the hop of a ring's token, so that a mixed ring's initiator goes on to a poll."""
        self.peer.send(sender, msg.TokenTaken(message.initiator, message.token))

    def on_token_taken(self, sender: PeerId, message: msg.TokenTaken) -> None:
        """Nothing to do: no token ever starts here."""

    def _poll_progress(self) -> None:
        peer = self.peer
        if any(answer.hears for answer in self.tally.values()):
            self.on_trader_alive(peer.me, msg.TraderAlive(peer.epoch, peer.epoch))
            return
        waiting = [v for v in peer.voters if v in peer.linked and v not in self.tally]
        if peer.follower.trader in waiting:
            waiting.remove(peer.follower.trader)
        if self.failed or (waiting and peer.now >= self.poll_until):
            super()._poll_progress()  # N4: who reaches a majority stands itself
        elif not waiting:
            self._close()

    def _close(self) -> None:
        """Nominate the highest of a majority's tally, oneself when nobody higher answered."""
        if quorum.reached(self.peer.voters, self.tally):
            self._nominate_answered()
        else:
            self._idle()
            self._failed()
