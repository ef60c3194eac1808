"""What a client wants: one command or read over all its attempts, or a session of numbers."""

from __future__ import annotations

from typing import Any

from bazaar_peer.core.types import Nanos
from bazaar_peer.simulation.dice import Dice


class Operation:
    """One command or read of a client, over all its attempts."""

    def __init__(self, command: dict[str, Any], invoked: Nanos, give_up: Nanos, draw: int) -> None:
        self.command = command
        self.body = command.get("body", b"")
        self.invoked, self.give_up = invoked, give_up
        self.returned = -1
        self.done = False
        self.status = -1
        self.index = self.floor = self.attempts = 0
        self.epoch = 0
        self.value = b""
        self.session: Session | None = None
        self.dice = Dice(draw)


class Session:
    """A client's own session, and the numbers that it waits for."""

    def __init__(self, client: int, draw: int) -> None:
        self.client = client
        self.dice = Dice(draw)
        self.id = 0
        self.next = 1
        self.open: dict[int, Operation] = {}
        self.left = self.dice.between(2, 8)
