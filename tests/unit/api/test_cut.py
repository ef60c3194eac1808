"""`POST /v1/cut` is there only where a process was started for it, and takes what makes sense."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bazaar_peer.core.messages import Poll
from bazaar_peer.core.types import PeerId
from bazaar_peer.runtime.client_port import ClientPort, make_app
from bazaar_peer.runtime.cut import Cut
from bazaar_peer.runtime.settings import ProcessSettings
from tests.unit.runtime.test_cut import Wire

from .conftest import Served

TOKEN = "a token of the ring"


class Cuttable:
    def __init__(self, url: str, wire: Wire, cut: Cut) -> None:
        self.url, self.wire, self.cut = url, wire, cut

    async def ask(self, body: Any, token: str = TOKEN) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{self.url}/v1/cut", json=body) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    def reached(self) -> set[PeerId]:
        self.cut.send((PeerId(1), PeerId(2)), Poll(1))
        return set(self.wire.sent[-1])


@pytest.fixture
async def cuttable(served: Served) -> AsyncIterator[Cuttable]:
    wire = Wire()
    cut = Cut(0, wire)
    settings = ProcessSettings(me=0, peers=3, ring="stub", volume="", token=TOKEN)
    app = make_app(served.driver, served.core, settings, cut=cut)  # type: ignore[arg-type]
    port = ClientPort(app, served.driver, "127.0.0.1", 0)
    await port.start()
    yield Cuttable(f"http://127.0.0.1:{port.port}", wire, cut)
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


async def test_peer_that_was_not_started_for_it_has_no_such_path(served: Served) -> None:
    status, told, _ = await served.ask("POST", "/v1/cut", {"peers": [1]})

    assert (status, told["status"]) == (404, 404)
