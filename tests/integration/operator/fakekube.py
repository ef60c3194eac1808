"""The store and the peers behind real HTTP: kmock for discovery and parsing, our rules for objects.

kmock's own emulator has no resourceVersion, no server-side apply, and a watch that loses what
happens before it subscribes; a kopf operator on it acts twice, or never.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import kmock
import kopf
from aiohttp import web
from kmock._internal import enums, k8s  # private modules: kmock is pinned exactly
from kubernetes.aio.client import Configuration

from bazaar_operator import labels
from bazaar_operator.__main__ import Settings, opened
from bazaar_operator.handlers import register
from bazaar_operator.loop import Loop
from tests.integration.operator.store import Object, Refused, parts_of
from tests.integration.operator.world import IMAGE, World

KINDS = {
    "v1": {"pods": "Pod", "services": "Service", "events": "Event", "namespaces": "Namespace",
           "configmaps": "ConfigMap", "secrets": "Secret"},
    "apps/v1": {"statefulsets": "StatefulSet"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    labels.API_VERSION: {labels.PLURAL: labels.KIND},
}  # fmt: skip
DROP = object()
TICK_S = 0.02

Fault = Callable[[str, str], int]
"""Told method and path; returns a status to answer instead, or 0."""


class FakeKube(k8s.KubernetesScaffold):
    """Served by kmock: what it cannot do is done here."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.fault: Fault = lambda _method, _path: 0
        self.streams: list[tuple[str, asyncio.Queue[Any]]] = []
        world.store.watchers.append(self._publish)
        for version, kinds in KINDS.items():
            for plural, kind in kinds.items():
                self.resources[f"{version}/{plural}"] = kmock.ResourceInfo(
                    kind=kind, namespaced=plural != "namespaces", subresources={"status"},
                    verbs={"list", "watch", "get", "create", "patch", "delete"},
                )  # fmt: skip
        self.fallback[enums.action.WATCH] << self._watch

    async def _handle(self, request: Any) -> web.StreamResponse:
        method, path = request.method.value, request.url.path
        plural = parts_of(path)[0]
        if not plural or request.action == enums.action.WATCH:  # discovery and streams are kmock's
            found: web.StreamResponse = await super()._handle(request)
            return found
        early, late = self.fault(method, path), self.fault(method, path)
        if early:
            return _refusal(early, "planted")
        try:
            answer = self.world.store.answer(
                method, path, json.loads(request.body) if request.body else None,
                request.headers.get("Content-Type", ""), request.params.get("labelSelector", ""),
            )  # fmt: skip
        except Refused as no:
            return _refusal(no.status, no.message)
        return (
            _refusal(late, "planted, and done all the same") if late else web.json_response(answer)
        )

    async def _watch(self, request: Any) -> AsyncIterator[Any]:
        plural, namespace, _, _ = parts_of(request.url.path)
        since = int(request.params.get("resourceVersion") or 0)
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.streams.append((plural, queue))
        for body in self.world.store.all(plural, namespace):
            if int(body["metadata"]["resourceVersion"]) > since:
                queue.put_nowait({"type": "MODIFIED" if since else "ADDED", "object": body})
        yield b""
        while (event := await queue.get()) is not DROP:
            yield event

    def _publish(self, kind: str, plural: str, body: Object) -> None:
        for watched, queue in self.streams:
            if watched == plural:
                queue.put_nowait({"type": kind, "object": body})

    def drop_watches(self) -> None:
        """Let all watches end without a word, as behind a load balancer."""
        streams, self.streams = self.streams, []
        for _, queue in streams:
            queue.put_nowait(DROP)


def _refusal(status: int, message: str) -> web.Response:
    body = {"kind": "Status", "code": status, "reason": "Planted", "message": message}
    return web.json_response(body, status=status)


# ---- peers behind HTTP


async def serve_peers(world: World) -> tuple[web.AppRunner, int]:
    """Answer for every pod at its own address of the loopback net, and one port for all."""

    def who(request: web.Request) -> int:
        assert request.transport is not None
        ip: str = request.transport.get_extra_info("sockname")[0]
        return int(ip.rpartition(".")[2]) - 10

    async def look(request: web.Request) -> web.Response:
        view = world.peers.view(who(request))
        return web.json_response(view) if view else web.Response(status=503)

    async def order(request: web.Request) -> web.Response:
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return web.json_response({"detail": "no token"}, status=401)
        status, told = world.peers.post(who(request), request.path, await request.json())
        return web.json_response(told, status=status or 503)

    app = web.Application()
    app.router.add_get("/v1/peer", look)
    app.router.add_post("/v1/{order}", order)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    return runner, int(runner.addresses[0][1])


# ---- the operator's process, in a thread of its own


class KopfThread:
    """kopf with all our handlers; it has its own loop, as in a pod."""

    def __init__(self, url: str, peer_port: int, image: str = IMAGE, health: str = "") -> None:
        self.health = health or None
        self.stop, self.ready = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        settings = Settings(image=image, namespace="ns")
        server = Configuration(host=url)

        self.loops: list[Loop] = []

        @contextlib.asynccontextmanager
        async def make() -> AsyncIterator[Loop]:
            parts = opened(
                settings, server=server, peer_port=peer_port, metrics_port=0, walk_s=0.05
            )
            async with parts as loop:
                self.loops.append(loop)
                yield loop

        def login(**_: Any) -> kopf.ConnectionInfo:
            return kopf.ConnectionInfo(server=url)

        self.registry = register(make, namespaced=True, login=login)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=self.registry, namespaces=["ns"], standalone=True,
                    stop_flag=self.stop, ready_flag=self.ready, liveness_endpoint=self.health,
                )
            )  # fmt: skip
        except BaseException as error:
            self.error = error


class Cluster:
    """World, API server and peers over HTTP; time passes while one waits."""

    def __init__(self, world: World, kube: FakeKube, url: str, peer_port: int) -> None:
        self.world, self.kube, self.url, self.peer_port = world, kube, url, peer_port

    @contextlib.asynccontextmanager
    async def operator(self, image: str = IMAGE, health: str = "") -> AsyncIterator[KopfThread]:
        thread = KopfThread(self.url, self.peer_port, image, health)
        thread.thread.start()
        try:
            yield thread
        finally:
            thread.stop.set()
            await asyncio.to_thread(thread.thread.join, 20)
        if thread.error:
            raise thread.error

    async def until(self, fact: Callable[[], bool], timeout_s: float = 30.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not fact():
                self.world.tick()
                await asyncio.sleep(TICK_S)

    def is_running(self) -> bool:
        status = self.world.status
        told = (status.get("phase"), status["observedGeneration"])
        return told == ("Running", self.world.body()["metadata"]["generation"])


@contextlib.asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    world = World()
    kube = FakeKube(world)
    runner, port = await serve_peers(world)
    try:
        async with kube, kmock.Server(kube) as server:
            try:
                yield Cluster(world, kube, str(server.url).rstrip("/"), port)
            finally:
                kube.drop_watches()
    finally:
        await runner.cleanup()
