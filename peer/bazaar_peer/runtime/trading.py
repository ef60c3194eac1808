"""Runs a peer's own agents: wishes become requests of this peer, outcomes go back.

While the peer is trader, or is to leave the ring, its agents rest; they resume afterwards. Every
outcome is counted in the peer's stats; `failed` is an order without an outcome at its deadline.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from bazaar_peer.agents.agent import Agent
from bazaar_peer.core.effects import ReadReady, Reply
from bazaar_peer.core.events import Command
from bazaar_peer.core.messages import COMMAND
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.standing import parting
from bazaar_peer.core.types import SECOND
from bazaar_peer.market.commands import Command as MarketCommand
from bazaar_peer.market.commands import Deposit, Order, encode_command
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.driver import Busy, Driver
from bazaar_peer.runtime.stats import Stats

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

log = logging.getLogger("bazaar.agents")

DEADLINE_S = 10
LOOK_S = 0.25
UNDER_WAY_MAX = 512


class Trading:
    """The agents of one peer, until `close`."""

    def __init__(self, peer: Peer, driver: Driver, agent: Agent, stats: Stats) -> None:
        self.peer, self.driver, self.agent, self.stats = peer, driver, agent, stats
        self._tasks: set[asyncio.Task[None]] = set()
        self._looked = 0.0
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Wish nothing more; let what is under way finish for a second."""
        self._loop.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in self._tasks:
            task.cancel()

    async def _run(self) -> None:
        while True:
            self._rest_or_resume()
            now = time.monotonic()
            if now - self._looked > LOOK_S:
                self._looked = now
                machine = self.peer.state.machine
                assert isinstance(machine, Market)
                self.agent.look(machine)
            for command in self.agent.next(time.monotonic_ns()):
                if len(self._tasks) < UNDER_WAY_MAX:
                    task = asyncio.create_task(self._submit(command))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                else:
                    self.agent.told(command, None)
            wake_at = self.agent.wake_at
            wake = LOOK_S if wake_at is None else (wake_at - time.monotonic_ns()) / SECOND
            await asyncio.sleep(min(max(wake, 0.001), LOOK_S))

    def _rest_or_resume(self) -> None:
        rest = self.peer.is_trader or parting(self.peer)
        if rest and not self.agent.resting:
            self.agent.rest()
            self.stats.add("rests")
            log.info("role_rests", extra={"fields": {"role": self.agent.role.value}})
        elif self.agent.resting and not rest:
            self.agent.resume()
            log.info("role_resumes", extra={"fields": {"role": self.agent.role.value}})

    async def _submit(self, command: MarketCommand) -> None:
        began = time.monotonic_ns()
        event = Command(
            request=self.driver.new_request(),
            kind=COMMAND,
            body=encode_command(command),
            client=self.agent.name,
            deadline=began + DEADLINE_S * SECOND,
        )
        result: bytes | None = None
        try:
            reply = await self.driver.ask(event)
        except Busy:
            reply = None
        if isinstance(reply, Reply) and reply.answer is not None and reply.status == Status.OK:
            result = reply.answer.body
        assert not isinstance(reply, ReadReady)
        self._count(command, result, time.monotonic_ns() - began)
        self.agent.told(command, result)

    def _count(self, command: MarketCommand, result: bytes | None, took_ns: int) -> None:
        stats = self.stats
        if isinstance(command, Deposit) and result is not None:
            stats.add("deposits")
            log.info("deposited", extra={"fields": {"item": command.item, "n": command.quantity}})
        if not isinstance(command, Order):
            return
        stats.add("orders")
        outcome = "failed"
        if result is not None:
            stats.observe(took_ns // 1000)
            outcome = "filled" if b'"filled"' in result[:24] else "unavailable"
        stats.add(outcome)
        fields = {"item": command.item, "n": command.quantity, "us": took_ns // 1000}
        log.info("order_%s", outcome, extra={"fields": fields})
