"""The reference E(c) of the benchmarks: this very HTTP interface, with no journal and no peers.

    python -m bazaar_peer.runtime.stub PORT

Every order is answered at once, as filled; reads show an empty market.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import uvloop

from bazaar_peer.core import effects as fx
from bazaar_peer.core import messages as msg
from bazaar_peer.core.events import Command, Event, Read
from bazaar_peer.core.journal import Journal
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.records import JOIN, SET_SIZE
from bazaar_peer.core.types import NEVER, Limits, Nanos, PeerId
from bazaar_peer.market.market import Market
from bazaar_peer.runtime import heap
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.driver import Driver
from bazaar_peer.runtime.settings import ProcessSettings

OPENED = b'{"outcome":"opened","session":2}'
FILLED = b'{"outcome":"filled","parts":[{"lot":1,"seller":"s","quantity":1,"price":7}],"paid":7}'
RESULTS = {
    msg.COMMAND: FILLED,
    SET_SIZE: b'{"outcome":"wished","size":1,"generation":1}',
    JOIN: b'{"outcome":"noted","ordinal":0}',
}


class StubPeer:
    """Answers at once what a ring would answer, and keeps nothing."""

    def __init__(self) -> None:
        admission = SimpleNamespace(size=1, generation=0)
        sessions = SimpleNamespace(admission=admission)
        self.state: Any = SimpleNamespace(
            machine=Market(),
            epoch=1,
            index=1,
            chain=bytes(16),
            members=None,
            sessions=sessions,
            snapshot=lambda: iter([b"all"]),
        )
        self.trader_role = SimpleNamespace(membership=SimpleNamespace(waits=""))
        self.state.lookup_key = self.state.lookup_number = lambda _owner, _name: None
        self.number = 0
        self.me, self.trader, self.epoch, self.is_trader = PeerId(0), PeerId(0), 1, True
        self.commit_index = 1
        self.voters = (PeerId(0),)
        self.members = msg.MembersChanged((msg.Member(0),), "stub", Limits())
        self.journal = Journal((0, 0), b"", self.members)
        self.linked: dict[PeerId, bool] = {}
        self.clock = SimpleNamespace(counts={0: 1})

    def is_ready(self) -> bool:
        return True

    def next_deadline(self) -> Nanos:
        return NEVER

    def handle(self, events: Sequence[Event], now: Nanos) -> list[fx.Effect]:
        """Answer every command and read of a turn."""
        effects: list[fx.Effect] = []
        for event in events:
            if isinstance(event, Command):
                effects.append(self.answer(event))
            elif isinstance(event, Read):
                effects.append(fx.ReadReady(event.request))
        return effects

    def answer(self, command: Command) -> fx.Reply:
        self.number += 1
        number = command.number or self.number
        result = RESULTS.get(command.kind, OPENED)
        answer = msg.Answer(command.session or 1, number, 0, Status.OK, 2, 1, result)
        return fx.Reply(command.request, Status.OK, answer)


class Nothing:
    """No network and no disk."""

    def send(self, to: tuple[PeerId, ...], message: msg.Message) -> None: ...
    def meet(self, others: Iterable[PeerId]) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("a stub writes nothing")


async def start(peer: Any, port: int = 0) -> tuple[Driver, ClientPort]:
    """Serve this stub at a port of this machine."""
    nothing: Any = Nothing()
    driver = Driver(peer, nothing, nothing)
    settings = ProcessSettings(me=0, peers=1, ring="stub", volume="")
    client_port = ClientPort(make_app(driver, peer, settings), driver, "127.0.0.1", port)
    await client_port.start()
    return driver, client_port


async def _serve(port: int) -> None:
    driver, _ = await start(StubPeer(), port)
    heap.freeze()
    driver.start()
    await driver.stopped


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
