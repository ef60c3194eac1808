"""A peer that begins keeps its client port closed until it has applied what the ring has."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bazaar_peer.core.progress import NEAR
from bazaar_peer.core.types import NOBODY
from bazaar_peer.runtime import process
from bazaar_peer.runtime.process import caught_up


def peer(trader: int, heard: int, applied: int) -> Any:
    return SimpleNamespace(trader=trader, heard_commit=heard, state=SimpleNamespace(index=applied))


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The looks that were taken, instead of time."""
    looks: list[float] = []

    async def sleep(seconds: float) -> None:
        looks.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return looks


@pytest.mark.parametrize("applied", [1000, 1000 - NEAR])
async def test_who_has_what_the_trader_has_opens_at_once(waited: list[float], applied: int) -> None:
    await caught_up(peer(2, 1000, applied), lambda: False)

    assert waited == []


async def test_who_applies_a_backlog_waits_until_it_is_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late, seen = peer(NOBODY, 0, 3000), []

    async def sleep(_seconds: float) -> None:
        seen.append(late.state.index)
        late.trader, late.heard_commit = 2, 9000
        late.state.index += 2000

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await caught_up(late, lambda: False)

    assert seen == [3000, 5000, 7000]
    assert late.state.index == 9000


async def test_who_is_asked_to_end_waits_no_more(waited: list[float]) -> None:
    await caught_up(peer(NOBODY, 0, 0), lambda: len(waited) == 3)

    assert len(waited) == 3


async def test_without_a_trader_the_port_opens_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "CATCH_UP_S", 0.05)

    await asyncio.wait_for(caught_up(peer(NOBODY, 0, 0), lambda: False), 10)
