"""Requests that wait for an outcome, by the names of their answers, until their deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.effects import Reply
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.reader import Reader
from bazaar_peer.core.waiting import Waiting

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


class Outstanding:
    """`own`: by number in this peer's session, lowest first; `foreign`: by (session, number)."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.own: dict[int, Waiting] = {}
        self.foreign: dict[tuple[int, int], list[Waiting]] = {}
        self.parked: dict[int, ev.Command] = {}
        """By request, commands that wait for the own session, for ticks or for an index."""
        self.requests: dict[int, Waiting] = {}
        """By request, what is numbered and still to be answered."""
        self.reader = Reader(peer)

    @property
    def idle(self) -> bool:
        return not (self.own or self.foreign or self.parked or self.reader.waiting)

    @property
    def count(self) -> int:
        return len(self.own) + len(self.foreign) + len(self.parked) + len(self.reader.waiting)

    def forget(self, request: int) -> None:
        """The client is gone; its command goes on, its answer is not wanted."""
        self.reader.waiting.pop(request, None)
        self.parked.pop(request, None)
        waiting = self.requests.pop(request, None)
        if waiting is not None:
            waiting.request = 0

    def _reply(self, request: int, status: int, answer: msg.Answer | None = None) -> None:
        if request:
            self.requests.pop(request, None)
            self.peer.effects.append(Reply(request, status, answer))

    def _expire(self) -> None:
        """Give up what is past its deadline; its number is no longer waited for (R13 a)."""
        now = self.peer.now
        for number in [n for n, w in self.own.items() if now >= w.deadline]:
            self._give_up(self.own.pop(number))
        for name, waitings in list(self.foreign.items()):
            for waiting in waitings:
                if now >= waiting.deadline:
                    self._give_up(waiting)
            left = [w for w in waitings if now < w.deadline]
            self.foreign[name] = left
            if not left:
                del self.foreign[name]
        for request in [r for r, event in self.parked.items() if now >= event.deadline]:
            del self.parked[request]
            self._reply(request, Status.NEVER_SENT)
        self.reader.expire()

    def _give_up(self, waiting: Waiting) -> None:
        status = Status.UNKNOWN if waiting.ever else Status.NEVER_SENT
        self._reply(waiting.request, status)
