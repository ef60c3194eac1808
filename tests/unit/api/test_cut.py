"""`POST /v1/cut` and `/v1/pause` are there only where a process was started for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bazaar_peer.core.messages import Poll
from bazaar_peer.core.types import PeerId
from bazaar_peer.record.entries import FAULT
from bazaar_peer.record.recorder import Kept
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.cut import Cut
from bazaar_peer.runtime.settings import ProcessSettings
from tests.unit.runtime.test_cut import Wire

from .conftest import Served

TOKEN = "a token of the ring"


class Cuttable:
    def __init__(self, url: str, wire: Wire, cut: Cut, kept: Kept) -> None:
        self.url, self.wire, self.cut, self.kept = url, wire, cut, kept

    async def ask(self, body: Any, token: str = TOKEN, path: str = "/v1/cut") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{self.url}{path}", json=body) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    def reached(self) -> set[PeerId]:
        self.cut.send((PeerId(1), PeerId(2)), Poll(1))
        return set(self.wire.sent[-1])


@pytest.fixture
async def cuttable(served: Served) -> AsyncIterator[Cuttable]:
    """A peer in a pod that lets itself be drilled."""
    wire, kept = Wire(), Kept()
    cut = Cut(0, wire)
    settings = ProcessSettings(
        me=0, peers=3, ring="stub", volume="", token=TOKEN, hosts="shop-{}.peers", drills=True
    )
    app = make_app(served.driver, served.core, settings, recorder=kept, cut=cut)  # type: ignore[arg-type]
    port = ClientPort(app, served.driver, "127.0.0.1", 0)
    await port.start()
    yield Cuttable(f"http://127.0.0.1:{port.port}", wire, cut, kept)
    await port.close()


async def test_cut_is_made_told_and_healed(cuttable: Cuttable) -> None:
    assert cuttable.reached() == {1, 2}

    status, told = await cuttable.ask({"peers": [2, 1], "seconds": 30})
    during = cuttable.reached()
    healed = await cuttable.ask({"peers": []})

    assert (status, told) == (200, {"peers": [1, 2], "seconds": 30})
    assert during == set()
    assert healed == (200, {"peers": [], "seconds": 1.0})
    assert cuttable.reached() == {1, 2}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"peers": [0]}, "peers"),
        ({"peers": [-1]}, "peers"),
        ({"peers": "all"}, "peers"),
        ({}, "peers"),
        ({"peers": [1], "seconds": 0}, "seconds"),
        ({"peers": [1], "seconds": 60.1}, "seconds"),
        ({"peers": [1], "for": 3}, "for"),
    ],
)
async def test_cut_that_makes_no_sense_is_refused_and_nothing_is_cut(
    cuttable: Cuttable, body: Any, field: str
) -> None:
    status, told = await cuttable.ask(body)

    assert (status, told["status"]) == (400, 400)
    assert field in f"{told.get('field')} {told['detail']}"
    assert cuttable.reached() == {1, 2}


async def test_who_shows_no_token_cuts_nothing(cuttable: Cuttable) -> None:
    status, _ = await cuttable.ask({"peers": [1]}, token="another")

    assert status == 401
    assert cuttable.reached() == {1, 2}


@pytest.mark.parametrize("path", ["/v1/cut", "/v1/pause", "/v1/faults"])
async def test_peer_that_was_not_started_for_it_has_no_such_path(served: Served, path: str) -> None:
    status, told, _ = await served.ask("POST", path, {"peers": [1]})

    assert (status, told["status"]) == (404, 404)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long was stood still."""
    found: list[float] = []
    monkeypatch.setattr("bazaar_peer.runtime.pause.time.sleep", found.append)
    monkeypatch.setattr("bazaar_peer.runtime.pause.FAREWELL_S", 0.0)
    return found


async def test_pause_is_answered_first_and_noted_at_both_ends(
    cuttable: Cuttable, sleeps: list[float]
) -> None:
    answered = await cuttable.ask({"seconds": 2.5}, path="/v1/pause")
    await asyncio.sleep(0.01)

    assert answered == (200, {"seconds": 2.5})
    assert sleeps == [2.5]
    assert [entry.fields for entry in cuttable.kept.entries if entry.kind == FAULT] == [
        {"what": "paused", "seconds": 2.5},
        {"what": "resumed"},
    ]


async def test_pauses_do_not_add_up(cuttable: Cuttable, sleeps: list[float]) -> None:
    """Those that were asked for while it stood still are read when it goes on."""
    answers = [await cuttable.ask({"seconds": 20}, path="/v1/pause") for _ in range(3)]
    await asyncio.sleep(0.01)
    answers.append(await cuttable.ask({"seconds": 20}, path="/v1/pause"))
    await asyncio.sleep(0.01)

    assert [status for status, _ in answers] == [200, 409, 409, 409]
    assert sleeps == [20]


async def test_pause_can_be_asked_for_again_when_the_last_one_is_over(
    cuttable: Cuttable, sleeps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bazaar_peer.runtime.pause.REST_S", 0.0)
    for _ in range(2):
        assert (await cuttable.ask({"seconds": 3}, path="/v1/pause"))[0] == 200
        await asyncio.sleep(0.01)

    assert sleeps == [3, 3]


@pytest.mark.parametrize("body", [{"seconds": 0}, {"seconds": 20.1}, {"seconds": "x"}, {}])
async def test_pause_that_makes_no_sense_is_refused(
    cuttable: Cuttable, sleeps: list[float], body: Any
) -> None:
    status, told = await cuttable.ask(body, path="/v1/pause")
    await asyncio.sleep(0.01)

    assert (status, told["status"], sleeps) == (400, 400, [])


async def test_who_shows_no_token_pauses_nobody(cuttable: Cuttable, sleeps: list[float]) -> None:
    status, _ = await cuttable.ask({}, token="another", path="/v1/pause")
    await asyncio.sleep(0.01)

    assert (status, sleeps) == (401, [])


async def test_peer_in_a_pod_hurts_no_other(cuttable: Cuttable) -> None:
    """Its peers' processes are not at hand."""
    status, _ = await cuttable.ask({"what": "killed", "peer": 1}, path="/v1/faults")

    assert status == 404
