"""This peer's reads: of the applied state at an index, or linearizable through the trader (R12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.effects import ReadReady, Reply
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import PeerId, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


class Reader:
    """`waiting`: by request, the read and whether its index is known already."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.waiting: dict[int, tuple[ev.Read, bool]] = {}

    def read(self, event: ev.Read) -> None:
        """Take a read; caller duty: there is room."""
        self.waiting[event.request] = (event, not event.linearizable)
        if event.linearizable:
            self._ask(event)
        else:
            self.serve()

    def _ask(self, event: ev.Read) -> None:
        """Ask the trader from which index on this read may be served."""
        peer = self.peer
        if peer.role is Role.TRADER:
            peer.trader_role.reads.ask(event.request, peer.me)
        elif peer.trader in peer.linked:
            peer.send(peer.trader, msg.ReadIndex(event.request))

    def ask_again(self) -> None:
        """Ask a new reign, or again after a loss; answers to both are true (R12)."""
        for read, known in list(self.waiting.values()):
            if not known:
                self._ask(read)

    def on_read_at(self, sender: PeerId, message: msg.ReadAt) -> None:
        read = self.waiting.get(message.read)
        if read is not None and not read[1]:
            after = max(read[0].after_index, message.index)
            self.waiting[message.read] = (structs.replace(read[0], after_index=after), True)
            self.serve()

    def serve(self) -> None:
        """Serve every read whose index is applied."""
        index = self.peer.state.index
        for request, (read, known) in list(self.waiting.items()):
            if known and read.after_index <= index:
                del self.waiting[request]
                self.peer.effects.append(ReadReady(request))

    def expire(self) -> None:
        now = self.peer.now
        for request in [r for r, (read, _) in self.waiting.items() if now >= read.deadline]:
            del self.waiting[request]
            self.peer.effects.append(Reply(request, Status.NEVER_SENT, None))
