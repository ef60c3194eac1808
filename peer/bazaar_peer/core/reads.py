"""Linearizable reads without clocks (R12): prove that the reign was alive after the read began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import PeerId

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer
    from bazaar_peer.core.trader import Trader


READS_MAX = 1 << 16


class Reads:
    """Reads that wait for a majority to acknowledge a round sent after their arrival."""

    def __init__(self, peer: Peer, trader: Trader) -> None:
        self.peer = peer
        self.trader = trader
        self.stop()

    def stop(self) -> None:
        self.waiting: dict[tuple[PeerId, int], tuple[int, int]] = {}
        """(who asked, its read) → (round needed, index), the latest round last."""
        self.probe = 0
        """The round sent last for reads."""

    def ask(self, read: int, sender: PeerId) -> None:
        """Note the commit index now; answer when this reign is proved to have been alive then."""
        trader = self.trader
        if not trader.open:
            peer = self.peer
            if sender != peer.me:
                peer.send(sender, msg.NotTrader(peer.epoch, peer.trader))
            return
        name = (sender, read)
        if name not in self.waiting and len(self.waiting) < READS_MAX:  # asked again: in time
            self.waiting[name] = (trader.round + 1, self.peer.commit)

    def wants_round(self) -> bool:
        """Tell whether a round must leave now: reads wait, and none for them is under way."""
        if not self.waiting:
            return False
        latest, _ = next(reversed(self.waiting.values()))
        return latest > self.probe and self.probe <= self.trader.majority_round()

    def round_sent(self, number: int) -> None:
        if self.waiting:
            self.probe = number
            self.answer()

    def answer(self) -> None:
        """Answer every read whose round a majority has accepted."""
        if not self.waiting:
            return
        peer, proved = self.peer, self.trader.majority_round()
        ready = [name for name, (needed, _) in self.waiting.items() if needed <= proved]
        for sender, read in ready:
            _, index = self.waiting.pop((sender, read))
            if sender == peer.me:
                peer.ingress.reader.on_read_at(peer.me, msg.ReadAt(read, index))
            else:
                peer.send(sender, msg.ReadAt(read, index))
