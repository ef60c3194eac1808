"""One story for all who watch a peer: put together once, whoever comes, goes or does not read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest

from bazaar_peer.record.merge import Told
from bazaar_peer.runtime import telling
from bazaar_peer.runtime.gather import Gatherer, Lost
from bazaar_peer.runtime.telling import Teller

Watching = AsyncGenerator[bytes, None]


def note(at: float) -> Told:
    return {"at": at, "peer": 0, "boot": 1, "seq": int(at * 10), "kind": "note", "note": "n"}


class Scripted(Gatherer):
    """Yields what a test puts in; None: nobody answers."""

    made = 0

    def __init__(self) -> None:
        super().__init__([])
        type(self).made += 1
        self.header = {"ring": "r"}
        self.says: asyncio.Queue[list[Told] | None] = asyncio.Queue()

    async def run(self) -> AsyncIterator[list[Told]]:
        while (said := await self.says.get()) is not None:
            yield said
        raise Lost("nobody")


class Stage:
    """A teller, and the gatherers that it made."""

    def __init__(self) -> None:
        self.gatherers: list[Scripted] = []
        self.teller = Teller(self._gather, {"name": "shop"})

    def _gather(self) -> Gatherer:
        self.gatherers.append(Scripted())
        return self.gatherers[-1]

    def say(self, *ats: float) -> None:
        self.gatherers[-1].says.put_nowait([note(at) for at in ats])


async def entries(watching: Watching) -> list[float]:
    """Return the times of the next event, which has entries."""
    async with asyncio.timeout(5):
        event = await anext(watching)
    kind, data = event.decode().strip().split("\n")
    assert kind == "event: entries", event
    return [one["at"] for one in json.loads(data.removeprefix("data: "))]


async def header(watching: Watching) -> dict[str, Any]:
    async with asyncio.timeout(5):
        event = await anext(watching)
    kind, data = event.decode().strip().split("\n")
    assert kind == "event: header", event
    found = json.loads(data.removeprefix("data: "))
    assert isinstance(found, dict)
    return found


async def begun(stage: Stage) -> Watching:
    """Return somebody who watches from the start, and has heard of 1.0."""
    watching = stage.teller.watch(0.0)
    first = asyncio.ensure_future(header(watching))
    for _ in range(3):  # turns: the first event is asked for, and the telling begins
        await asyncio.sleep(0)
    stage.say(1.0)
    assert await first == {"ring": "r", "name": "shop"}
    assert await entries(watching) == [1.0]
    return watching


async def test_who_comes_later_is_told_what_was_and_then_the_same() -> None:
    stage = Stage()
    one = await begun(stage)
    other, late = stage.teller.watch(0.0), stage.teller.watch(1.0)
    for each in (other, late):
        assert (await header(each))["ring"] == "r"
    assert await entries(other) == [1.0]

    stage.say(2.0, 3.0)

    assert [await entries(each) for each in (one, other, late)] == [[2.0, 3.0]] * 3
    assert len(stage.gatherers) == 1
    assert stage.teller.watchers == 3
    stage.teller.close()


async def test_story_goes_on_for_a_while_behind_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page that is loaded again costs nothing; one that is closed for good does not either."""
    stage = Stage()
    await (await begun(stage)).aclose()
    again = stage.teller.watch(0.0)
    assert (await header(again))["ring"] == "r"
    assert len(stage.gatherers) == 1

    monkeypatch.setattr(telling, "LINGER_S", 0.0)
    await again.aclose()
    await asyncio.sleep(0.01)
    await begun(stage)
    assert len(stage.gatherers) == 2
    stage.teller.close()


async def test_who_does_not_read_is_let_go_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "QUEUE_MAX", 4)
    stage = Stage()
    idle, busy = await begun(stage), stage.teller.watch(1.0)
    assert (await header(busy))["ring"] == "r"
    for at in range(2, 9):
        stage.say(float(at))
        assert await entries(busy) == [float(at)]
    assert stage.teller.watchers == 1
    left = [event async for event in idle]
    assert len(left) < 7
    stage.teller.close()


async def test_where_nobody_answers_it_ends_for_all_and_begins_anew() -> None:
    stage = Stage()
    one = await begun(stage)
    stage.gatherers[-1].says.put_nowait(None)
    assert [event async for event in one] == []
    await begun(stage)
    assert len(stage.gatherers) == 2
    stage.teller.close()
