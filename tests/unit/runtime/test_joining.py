"""How an empty volume asks for its place, and what it must not take (R14)."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from msgspec import structs

from bazaar_peer.runtime import joining
from bazaar_peer.runtime.files import Files
from bazaar_peer.runtime.genesis import genesis
from bazaar_peer.runtime.joining import join, name_of_volume
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import Identity, format_volume
from bazaar_peer.runtime.waiting import Waiting

TOKEN = "sixteen characters"


def pod(path: Path, me: int = 0, peers: int = 3, port: int = 8600) -> ProcessSettings:
    return ProcessSettings(
        me=me,
        peers=peers,
        ring="r",
        volume=str(path),
        host="127.0.0.1",
        hosts="127.0.0.{}",
        port=port,
        peer_port_offset=1,
        token=TOKEN,
    )


def member(ordinal: int, *, incarnation: int = 0, voter: bool = True, volume: str = "") -> object:
    return {"id": ordinal, "incarnation": incarnation, "voter": voter, "volume": volume}


@asynccontextmanager
async def ring(*members: object) -> AsyncIterator[tuple[str, list[Any]]]:
    """Serve a ring of these members; yield its URL, and what asked to be let in."""
    asked: list[Any] = []

    async def view(_request: web.Request) -> web.Response:
        return web.json_response({"ring": "r", "retired": [], "size": 3, "peers": members})

    async def admit(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return web.json_response({"outcome": "noted"})

    app = web.Application()
    app.router.add_get("/v1/ring", view)
    app.router.add_post("/v1/admit", admit)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def asks_for(settings: ProcessSettings, *members: object, seconds: float = 1.0) -> list[Any]:
    """Let a volume ask a ring of these members for a while; return what it asked for."""
    async with ring(*members) as (url, asked):
        name = name_of_volume(Path(settings.volume))
        asks = joining._Asks(settings, Waiting(settings), name, joining.NOTHING)
        asks.urls = [url]
        try:
            await asyncio.wait_for(asks.run(), seconds)
        except TimeoutError:
            return asked
    return ["named"]


async def test_name_that_voted_is_spent(tmp_path: Path) -> None:
    """A copy of the volume from before its format would be the same life, and forget its votes."""
    name = name_of_volume(tmp_path)
    voted = member(0, incarnation=1, volume=name)
    asked = await asks_for(pod(tmp_path), voted, member(1), member(2))

    assert [ask["volume"] != name for ask in asked] == [True] * len(asked)
    assert asked
    assert name_of_volume(tmp_path) == asked[0]["volume"], "the new name is durable"


async def test_learner_that_is_named_begins_its_life(tmp_path: Path) -> None:
    name = name_of_volume(tmp_path)
    learner = member(0, incarnation=1, voter=False, volume=name)

    assert await asks_for(pod(tmp_path), learner, member(1)) == ["named"]


async def test_patience_begins_when_the_ring_is_first_seen(tmp_path: Path) -> None:
    """Pods may wait for long until the last of a ring's first volumes is there."""
    assert await asks_for(pod(tmp_path), member(0), member(1), member(2)) == []


async def test_place_of_somebody_else_is_asked_for_at_once(tmp_path: Path) -> None:
    asked = await asks_for(pod(tmp_path), member(0, incarnation=1, volume="lost"), member(1))

    assert asked


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve somebody who takes a connection and never answers; yield the URL, and who came."""
    came = asyncio.Event()

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    finally:
        server.close()


async def test_who_answered_is_asked_first_the_next_time(tmp_path: Path) -> None:
    """The names of the peers that there are not may take long to be looked up."""
    settings = pod(tmp_path)
    lost = member(0, incarnation=1, volume="lost")
    async with ring(lost, member(1)) as (url, asked):
        asks = joining._Asks(settings, Waiting(settings), name_of_volume(tmp_path), joining.NOTHING)
        asks.urls = ["http://127.0.0.1:1", url, "http://127.0.0.1:2"]

        async with aiohttp.ClientSession() as http:
            named = await asks._round(http)

    assert (named, len(asked)) == (False, 1)
    assert asks.urls == [url, "http://127.0.0.1:1", "http://127.0.0.1:2"]


async def test_volume_that_is_formatted_waits_for_no_answer(tmp_path: Path) -> None:
    settings = pod(tmp_path)
    async with silence() as (url, came):
        waiting = Waiting(settings)
        asks = joining._Asks(settings, waiting, name_of_volume(tmp_path), joining.NOTHING)
        asks.urls = [url]
        running = asyncio.create_task(asks.run())
        await came.wait()

        waiting.formatted.set()

        await asyncio.wait_for(running, joining.ANSWER_S / 2)


async def test_ring_whose_pods_were_all_made_anew_is_found_by_its_service(tmp_path: Path) -> None:
    """DNS goes on telling where they were for half a minute."""
    named = name_of_volume(tmp_path)
    async with ring(member(0, incarnation=1, voter=False, volume=named)) as (url, _):
        port = int(url.rpartition(":")[2])
        settings = structs.replace(
            pod(tmp_path, port=port), hosts="127.0.9.{}", service="127.0.0.1"
        )
        asks = joining._Asks(settings, Waiting(settings), named, joining.NOTHING)
        assert asks.urls[0] == url, "names of pods that are not there take long"

        await asyncio.wait_for(asks.run(), 10)


def test_first_peer_of_a_ring_that_grew_asks_those_that_came_later(tmp_path: Path) -> None:
    lone = pod(tmp_path, peers=1)
    led = structs.replace(lone, service="shop-client")

    found = [joining._Asks(s, Waiting(s), "v", joining.NOTHING).urls for s in (lone, led)]

    assert len(found[0]) == joining.CLUSTER_MAX - 1
    assert found[1] == ["http://shop-client:8600"], "names that nobody has are asked for seconds"


async def test_endless_answer_is_not_read() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(bytes(1 << 20))
        return response

    app = web.Application()
    app.router.add_get("/", flood)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        with pytest.raises(ValueError, match="too large"):
            await joining._json(http.get(f"http://127.0.0.1:{runner.addresses[0][1]}/"))
    await runner.cleanup()


def test_two_formats_of_one_life_are_told_apart(tmp_path: Path) -> None:
    made = []
    for place in ("a", "b"):
        format_volume(tmp_path / place, Identity("r", 0, 1, "same"), genesis("r", 3, 0))
        made.append(
            json.loads((tmp_path / place / "identity").read_bytes().split(b"\n")[0])["made"]
        )

    assert made[0] != made[1]


# ---- the waiting port


async def orders(settings: ProcessSettings, *bodies: dict[str, object]) -> list[int]:
    """Tell a peer with an empty volume to format itself; return the answers' statuses."""
    name = name_of_volume(Path(settings.volume))
    waiting = Waiting(settings)
    await waiting.start()
    waiting.tell("empty", "", volume=name)
    told = []
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for body in bodies:
            order = {"ring": "r", "ordinal": settings.me, "volume": name} | body
            url = f"http://127.0.0.1:{settings.client_port}/v1/format"
            async with http.post(url, json=order) as answer:
                told.append(answer.status)
    await waiting.close()
    return told


async def test_format_of_another_volume_is_refused_after_the_own_one(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    settings = pod(tmp_path, port=unused_tcp_port)

    assert await orders(settings, {}, {}, {"volume": "other"}, {"ring": "q"}) == [
        200,
        200,
        409,
        409,
    ]


async def test_peer_beyond_the_first_ones_is_never_formatted_as_one(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    """Its first life is one that the ring gives to a volume by name."""
    assert await orders(pod(tmp_path, me=5, port=unused_tcp_port), {}) == [409]


async def test_waiting_port_closes_soon_whatever_clients_do(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    waiting = Waiting(pod(tmp_path, port=unused_tcp_port))
    await waiting.start()
    _, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    writer.write(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
    await writer.drain()
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await waiting.close()
    writer.close()

    assert time.monotonic() - began < 5, "the old limits were ten seconds and a minute"


async def test_damaged_volume_is_formatted_by_nobody(tmp_path: Path, unused_tcp_port: int) -> None:
    format_volume(tmp_path, Identity("r", 0, 0, "old"), genesis("r", 3, 0))

    assert await orders(pod(tmp_path, port=unused_tcp_port), {}) == [409]


async def test_full_volume_is_formatted_once_there_is_room(
    tmp_path: Path, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pod(tmp_path, port=unused_tcp_port)
    name_of_volume(tmp_path)
    monkeypatch.setattr(Files, "before", _no_space)
    assert await orders(settings, {}) == [507]
    monkeypatch.undo()

    assert await orders(settings, {}) == [200]


def _no_space(_files: Files, name: str) -> None:
    if name == "reserve":
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_join_ends_when_the_volume_is_formatted(tmp_path: Path, unused_tcp_port: int) -> None:
    settings = pod(tmp_path, port=unused_tcp_port)
    waiting = Waiting(settings)
    waiting.formatted.set()
    await asyncio.wait_for(join(settings, waiting), 5)

    assert not (tmp_path / "identity").exists(), "who formatted it wrote that"
