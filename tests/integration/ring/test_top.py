"""`bazaar top` on a real ring: it outlives the peer that it began with."""

from __future__ import annotations

import asyncio
import signal

from bazaar_peer.command.top.model import Model
from bazaar_peer.command.top.watch import Watcher
from bench.rig import kill
from tests.integration.ring.conftest import DEADLINE_S, StartRing, bazaar, trader_of


async def test_it_tells_the_death_of_the_trader_that_it_talked_to(start: StartRing) -> None:
    rig = await asyncio.to_thread(start, 3, "--restart-after", "never")
    trader = await asyncio.to_thread(trader_of, rig)
    model = Model([f"http://127.0.0.1:{rig.ports[trader['id']]}"])
    watcher = Watcher(model)
    async with watcher.watching(), asyncio.timeout(DEADLINE_S):
        while len(model.rows) < 3 or not model.trades or not model.latency.per_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        trader = await asyncio.to_thread(trader_of, rig)  # there may have been another election
        kill(trader["pid"], signal.SIGKILL)
        while model.ring["epoch"] == trader["epoch"] or model.ring["trader"] < 0:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while not model.is_silent(trader["id"], watcher.clock()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    told = [line.text() for line in model.story.lines]
    epoch = model.ring["epoch"]
    assert any(f"lost trader {trader['id']} of epoch" in line for line in told), told
    assert f"peer {model.ring['trader']} trades: epoch {epoch} has begun" in told
    assert model.stock["salt"]["on_offer"] >= 0


def test_without_a_terminal_it_shows_the_ring_once_and_ends(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    trader = trader_of(rig)

    shown = bazaar("top", "--url", f"http://127.0.0.1:{rig.ports[0]}", "--duration", "2")

    assert shown.returncode == 0
    assert f"trader {trader['id']}" in shown.stdout


def test_nobody_there_is_told() -> None:
    shown = bazaar("top", "--url", "http://127.0.0.1:1", "--duration", "4")

    assert shown.returncode == 1
    assert "nobody answers: asked http://127.0.0.1:1" in shown.stdout
