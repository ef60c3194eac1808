"""A drill's calls while the Kubernetes API server restarts: it is waited for, not given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from kubernetes.aio import client

from bazaar_peer.command.drill import kube as drill_kube
from bazaar_peer.command.drill.kube import Kube, KubeError

POD = "/api/v1/namespaces/shop/pods/fair-0"
PROGRAM = f"{POD}/exec"
RING = f"{POD}:8600/proxy/v1/ring"
ENDED = b'\x03{"status": "Success"}'
FREE = 0
BREAKS = 3
"""aiohttp itself sends again what may be sent again, but once."""


class Server:
    """One that can be stopped, and started again at the address that it had."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.breaks = 0
        """So many requests are taken, and their connections broken instead of answered."""
        self.unreached = 0
        """So many questions to a pod are answered with 503, as where nobody listens in it."""
        self.kubelet_away = 0
        """So many programs are refused, for nobody takes them where their pod is."""
        self.exec_status = 500
        self.port = FREE
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get(PROGRAM, self._exec)
        app.router.add_route("*", POD, self._answer)
        app.router.add_get(RING, self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def away(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.start()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.method)
        if self.breaks:
            self.breaks -= 1
            assert request.transport is not None
            request.transport.abort()
        if self.unreached:
            self.unreached -= 1
            return web.json_response({"reason": "ServiceUnavailable"}, status=503)
        return web.json_response({"metadata": {"uid": "1"}})

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        self.asked.append("EXEC")
        if self.kubelet_away:
            self.kubelet_away -= 1
            return web.Response(status=self.exec_status, text="error dialing backend")
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        await socket.send_bytes(b"\x01told")
        await socket.send_bytes(ENDED)
        await socket.close()
        return socket


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, Kube]]:
    server = Server()
    await server.start()
    found = client.Configuration(host=f"http://127.0.0.1:{server.port}")
    kube = Kube(found)
    try:
        yield server, kube
    finally:
        await kube.close()
        await server.stop()


async def test_api_server_that_restarts_is_waited_for() -> None:
    async with serving() as (server, kube):
        await kube.call("get", POD)
        for ask in (
            lambda: kube.call("get", POD),
            lambda: kube.call("post", POD, {}),
            lambda: kube.run("shop", "fair-0", "true"),
        ):
            await server.stop()
            back = asyncio.create_task(server.away(1))
            await ask()
            await back

    assert server.asked == ["GET", "GET", "POST", "EXEC"]


async def test_only_what_reads_is_sent_again_after_its_connection_broke() -> None:
    async with serving() as (server, kube):
        await kube.call("get", POD)
        server.breaks = BREAKS
        await kube.call("get", POD)
        server.breaks = 1
        with pytest.raises(KubeError, match="answers nothing: post"):
            await kube.call("post", POD, {})

    assert server.asked == ["GET"] * (1 + BREAKS + 1) + ["POST"]


async def test_pod_where_nobody_listens_is_told_at_once() -> None:
    """Its 503 comes from the API server: a drill has just killed it, and looks at the others."""
    async with serving() as (server, kube):
        await kube.call("get", POD)
        server.unreached = 1
        with pytest.raises(KubeError, match=r"answers 503: get .*/proxy/v1/ring"):
            await kube.raw("get", RING)

    assert server.asked == ["GET"] * 2


async def test_kubelet_that_restarts_is_waited_for() -> None:
    async with serving() as (server, kube):
        await kube.call("get", POD)
        server.kubelet_away = 2
        assert (await kube.run("shop", "fair-0", "true")).out == b"told"

    assert server.asked == ["GET", "EXEC", "EXEC", "EXEC"]


async def test_program_that_is_refused_is_not_asked_for_again() -> None:
    async with serving() as (server, kube):
        await kube.call("get", POD)
        server.kubelet_away, server.exec_status = 1, 403
        with pytest.raises(KubeError, match="answers 403: run true in pod fair-0"):
            await kube.run("shop", "fair-0", "true")

    assert server.asked == ["GET", "EXEC"]


async def test_one_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_kube, "AWAY_S", 1.0)
    async with serving() as (server, kube):
        await kube.call("get", POD)
        await server.stop()
        with pytest.raises(KubeError, match="answers nothing"):
            await kube.call("get", POD)


async def test_address_where_nobody_ever_answered_is_told_at_once() -> None:
    async with serving() as (server, kube):
        await server.stop()
        async with asyncio.timeout(drill_kube.AWAY_S / 2):
            with pytest.raises(KubeError, match="answers nothing"):
                await kube.call("get", POD)
