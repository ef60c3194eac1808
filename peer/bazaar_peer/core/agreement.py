"""State hashes (H1) and apply versions (U1): do all peers compute the same, and can they."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.types import PeerId

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

REMEMBERED = 1024
"""Own hashes kept to compare with what followers report."""


class Agreement:
    """The trader's view; hashes chain, so who differs once differs in every later report."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.stop()

    def stop(self) -> None:
        self.own: dict[int, int] = {}
        self.agreed: dict[PeerId, int] = {}
        """Highest index at which a follower had the own hash: so it had at every lower one."""
        self.differs: dict[PeerId, int] = {}
        """Index at which a follower had another hash."""
        self.versions: dict[PeerId, int] = {}
        self.raised = 0

    def remember(self, index: int, state_hash: int) -> None:
        self.own[index] = state_hash
        if len(self.own) > REMEMBERED:
            del self.own[next(iter(self.own))]

    def report(self, sender: PeerId, message: msg.Appended) -> None:
        """Compare a follower's hash with the own one at its index."""
        own = self.own.get(message.hash_index)
        if own == message.hash:
            self.agreed[sender] = message.hash_index
            self.differs.pop(sender, None)
        elif own is not None:
            self.differs[sender] = message.hash_index
            self._judge(sender, message)
        if self.versions.get(sender) != message.version:
            self.versions[sender] = message.version
            self.raise_version()

    def _judge(self, sender: PeerId, message: msg.Appended) -> None:
        """Who differs from a majority rebuilds; a trader in the minority exits (row 70).

        Only who agreed at this index or behind it counts for the own hash: an agreement of before
        says nothing of what broke since.
        """
        peer, index = self.peer, message.hash_index
        peer.note("state_differs", peer=sender, index=index)
        same = [p for p, agreed in self.agreed.items() if agreed >= index]
        if quorum.reached(peer.voters, [peer.me, *same]):
            peer.send(sender, msg.StateDiffers(message.epoch, index))
        elif quorum.reached(peer.voters, self.differs):
            peer.halt(f"a majority has another state hash at index {index}")

    def raise_version(self) -> None:
        """Raise the apply version once every voter announced it (U1)."""
        peer = self.peer
        known = [self.versions.get(v, 0) for v in peer.voters if v != peer.me]
        version = min([peer.state.machine.version, *known])
        if version > max(peer.state.version, self.raised) and peer.trader_role.open:
            self.raised = version
            peer.trader_role.post.write([msg.VersionRaised(version)])
