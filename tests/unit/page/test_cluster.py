"""The page's server when the cluster goes away: it says so, and asks again after a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bazaar_peer.page.cluster import make_app
from bazaar_peer.page.forwarder import LOOK_S, Pods
from bazaar_peer.page.kubectl import Kubectl


@dataclass
class Cluster:
    """An API server with one pod, whose peer answers; `status`: of its list of pods."""

    status: int = 200
    looks: int = 0
    now: float = 100.0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def pods(self, _request: web.Request) -> web.Response:
        self.looks += 1
        self.asked.set()
        await self.held.wait()
        if self.status != 200:
            refusal = {"kind": "Status", "message": "the server is going down"}
            return web.json_response(refusal, status=self.status)
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return web.json_response({"items": [{"metadata": {"name": "shop-0"}, "status": ready}]})

    async def peer(self, _request: web.Request) -> web.Response:
        return web.json_response({"items": {}})


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster()
    found.held.set()
    return found


@contextlib.asynccontextmanager
async def served(
    cluster: Cluster, make: Callable[[aiohttp.ClientSession, Pods], web.Application]
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """Serve what is made of the cluster's pods."""
    app = web.Application()
    pods = "/api/v1/namespaces/shops/pods"
    app.router.add_get(pods, cluster.pods)
    app.router.add_get(f"{pods}/shop-0:8600/proxy/v1/stock", cluster.peer)
    kubectl = Kubectl(asyncio.StreamReader())
    async with TestServer(app) as api, aiohttp.ClientSession() as http:
        kubectl.url = str(api.make_url("")).rstrip("/")
        known = Pods(http, kubectl, "shops", "shop", clock=lambda: cluster.now)
        async with TestServer(make(http, known)) as here:
            yield str(here.make_url("")).rstrip("/"), http


@pytest.fixture
async def page(cluster: Cluster) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    async with served(cluster, make_app) as found:
        yield found


async def status_of(page: tuple[str, aiohttp.ClientSession], path: str = "/v1/stock") -> int:
    url, http = page
    async with http.get(url + path) as answer:
        if answer.status != 200:
            assert answer.content_type == "application/problem+json"
            assert "the cluster refuses: 500 the server is going down" in await answer.text()
        return answer.status


async def test_a_cluster_that_goes_away_is_said_in_words(
    page: tuple[str, aiohttp.ClientSession], cluster: Cluster
) -> None:
    assert await status_of(page) == 200
    cluster.status, cluster.now = 500, cluster.now + LOOK_S + 1
    for path in ("/v1/stock", "/v1/story", "/v1/ring"):
        assert await status_of(page, path) == 503


async def test_it_is_asked_again_only_after_the_usual_pause(
    page: tuple[str, aiohttp.ClientSession], cluster: Cluster
) -> None:
    cluster.status = 500
    assert [await status_of(page) for _ in range(3)] == [503] * 3
    assert cluster.looks == 1
    cluster.status = 200
    assert await status_of(page) == 503, "known from the look before"
    cluster.now += LOOK_S + 1
    assert await status_of(page) == 200
    assert cluster.looks == 2


async def test_requests_that_come_together_look_once(
    page: tuple[str, aiohttp.ClientSession], cluster: Cluster
) -> None:
    cluster.held.clear()
    asking = [asyncio.create_task(status_of(page)) for _ in range(4)]
    await cluster.asked.wait()
    cluster.held.set()
    assert await asyncio.gather(*asking) == [200] * 4
    assert cluster.looks == 1
