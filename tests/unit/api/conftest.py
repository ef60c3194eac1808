"""A peer's HTTP interface over a stub core, on the loop that peers run on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import uvloop

from bazaar_peer.core import effects as fx
from bazaar_peer.core.events import Command, Event, Read
from bazaar_peer.core.messages import Answer
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.sessions import Known, Outcome
from bazaar_peer.core.types import Nanos
from bazaar_peer.runtime.client_port import ClientPort
from bazaar_peer.runtime.driver import Driver
from bazaar_peer.runtime.stub import StubPeer, start


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


class Core(StubPeer):
    """A stub that a test can make answer as it needs, and that remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.status = Status.OK
        self.result = b""
        self.silent = False
        self.ready = True
        self.events: list[Event] = []
        self.keys: dict[tuple[str, str], Known] = {}
        self.numbers: dict[tuple[int, int], Outcome] = {}
        self.state.lookup_key = lambda client, key: self.keys.get((client, key))
        self.state.lookup_number = lambda session, number: self.numbers.get((session, number))

    @property
    def commands(self) -> list[Command]:
        return [event for event in self.events if isinstance(event, Command)]

    def is_ready(self) -> bool:
        return self.ready

    def handle(self, events: list[Event], now: Nanos) -> list[fx.Effect]:  # type: ignore[override]
        self.events += events
        if self.silent:
            return []
        if self.status is Status.NEVER_SENT:
            reads = [event for event in events if isinstance(event, Read)]
            rest = [event for event in events if not isinstance(event, Read)]
            refused = [fx.Reply(read.request, self.status, None) for read in reads]
            return [*refused, *super().handle(rest, now)]
        return super().handle(events, now)

    def answer(self, command: Command) -> fx.Reply:
        if self.status is not Status.OK:
            return fx.Reply(command.request, self.status, None)
        reply = super().answer(command)
        if self.result and reply.answer is not None:
            return fx.Reply(command.request, 0, Answer(1, 1, 0, 0, 2, 1, self.result))
        return reply


@dataclass
class Served:
    core: Core
    driver: Driver
    port: ClientPort
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port.port}"

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Send JSON, or bytes as they are; return status, body and headers."""
        given = {"data": body} if isinstance(body, bytes) else {"json": body} if body else {}
        async with self.session.request(
            method, self.url + path, headers=headers, **given
        ) as response:
            return response.status, await response.json(content_type=None), response.headers


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    core = Core()
    driver, port = await start(core)
    driver.start()
    async with aiohttp.ClientSession() as session:
        yield Served(core, driver, port, session)
    await port.close()
    await driver.close()
