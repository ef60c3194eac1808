"""As much of a Kubernetes API as a drill sees, with a ring of this machine for its pods.

A pod of the ring is a peer's process: its uid is the pid, deleting it is a signal, and the
supervisor of `bazaar up` is the StatefulSet. The pod of the load is its script, run here in a
folder of its own; programs that are run in it are run there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bench.rig import Ring, kill

SPACE, NAME = "shop", "fair"
PODS = f"/api/v1/namespaces/{SPACE}/pods"
BAZAAR = f"/apis/bazaar.dev/v1alpha1/namespaces/{SPACE}/bazaars/{NAME}"
BUDGET = f"/apis/policy/v1/namespaces/{SPACE}/poddisruptionbudgets/{NAME}"
SELECTOR = (
    f"app.kubernetes.io/name=bazaar,app.kubernetes.io/instance={NAME},"
    "app.kubernetes.io/component=peer"
)
TOKEN = "who may"


class FakeKube:
    """Serves in a thread of its own until `close`; `log` has what would change something."""

    def __init__(self, rig: Ring, folder: Path) -> None:
        self.rig, self.folder = rig, folder
        self.log: list[str] = []
        self.nodes = [f"node-{peer}" for peer in range(rig.peers)]
        """Of each peer."""
        self.cordoned: set[str] = set()
        self.away: set[int] = set()
        """Evicted, and with nowhere to come back to until their node is uncordoned: their processes
        start again all the same, but nobody sees them."""
        self.refuse_evictions = 0
        self.pause_path = "/v1/pause"
        """What a peer of the ring has instead."""
        self.addressed = True
        """Pods have an address; before they are started they have none."""
        self.drills = True
        """As the Bazaar says."""
        self.uncordoning: Callable[[], None] | None = None
        """Called once instead of uncordoning the node."""
        self.audit = ""
        """What `bazaar verify` in the load's pod is instead, when the load is over."""
        self.load: dict[str, Any] = {}
        self.script: asyncio.subprocess.Process | None = None
        self.port = 0
        self.home = folder
        """Of the load's pod."""
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    def kubeconfig(self) -> Path:
        """Write a kubeconfig for it."""
        cluster = {"server": f"http://127.0.0.1:{self.port}"}
        context = {"cluster": "fake", "user": "me", "namespace": "default"}
        path = self.folder / "kubeconfig"
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": TOKEN}}],
            "contexts": [{"name": "fake", "context": context}],
        }
        path.write_text(json.dumps(told))
        return path

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._known], client_max_size=1 << 20)
        app.router.add_get(PODS, self._list)
        app.router.add_post(PODS, self._create)
        app.router.add_get(f"{PODS}/{{pod}}/proxy/{{path:.*}}", self._proxy)
        app.router.add_get(f"{PODS}/{{pod}}/exec", self._exec)
        app.router.add_post(f"{PODS}/{{pod}}/eviction", self._evict)
        app.router.add_get(f"{PODS}/{{pod}}", self._get)
        app.router.add_delete(f"{PODS}/{{pod}}", self._delete)
        app.router.add_get("/api/v1/nodes/{node}", self._node)
        app.router.add_patch("/api/v1/nodes/{node}", self._node)
        app.router.add_get(BUDGET, self._budget)
        app.router.add_get(BAZAAR, self._bazaar)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._end.wait()
        await self._stop_script()
        await runner.cleanup()

    @web.middleware
    async def _known(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _refused(401, "who are you?")
        if request.method != "GET":
            self.log.append(f"{request.method} {request.path}")
        return await handler(request)

    # ---- the ring's pods

    async def _pod(self, peer: int) -> dict[str, Any] | None:
        own = await asyncio.to_thread(self.rig.own, peer)
        if own is None or peer in self.away:
            return None
        metadata = {"name": f"{NAME}-{peer}", "namespace": SPACE, "uid": str(own["pid"])}
        container = {"name": "peer", "image": "bazaar:1"}
        return {
            "metadata": metadata,
            "spec": {"nodeName": self.nodes[peer], "containers": [container]},
            "status": {"podIP": f"10.0.0.{peer}"} if self.addressed else {},
        }

    async def _list(self, request: web.Request) -> web.Response:
        if request.query.get("labelSelector") != SELECTOR:
            return web.json_response({"items": []})
        found = await asyncio.gather(*(self._pod(peer) for peer in range(self.rig.peers)))
        return web.json_response({"items": [pod for pod in found if pod]})

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["pod"]
        if self.load and name == self.load["metadata"]["name"]:
            return web.json_response({**self.load, "status": {"phase": "Running"}})
        pod = await self._pod(int(name.removeprefix(f"{NAME}-")))
        return web.json_response(pod) if pod else _refused(404, "not found")

    async def _proxy(self, request: web.Request) -> web.Response:
        name, _, port = request.match_info["pod"].partition(":")
        assert port == "8600"
        peer = int(name.removeprefix(f"{NAME}-"))
        if peer in self.away:
            return _refused(404, "not found")
        url = f"http://127.0.0.1:{self.rig.port + peer}"
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http,
                http.get(f"{url}/{request.match_info['path']}") as answer,
            ):
                return web.Response(body=await answer.read(), status=answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            return _refused(503, repr(error))

    async def _delete(self, request: web.Request) -> web.Response:
        name, given = request.match_info["pod"], await request.json()
        if self.load and name == self.load["metadata"]["name"]:
            self.load = {}
            await self._stop_script()
            return web.json_response({})
        pod = await self._pod(int(name.removeprefix(f"{NAME}-")))
        if pod is None or pod["metadata"]["uid"] != given["preconditions"]["uid"]:
            return _refused(409, "another pod has this name")
        by_force = given.get("gracePeriodSeconds") == 0
        self.log[-1] += " by force" if by_force else ""
        kill(int(pod["metadata"]["uid"]), signal.SIGTERM)  # by force, too: so does the kubelet
        return web.json_response(pod)

    async def _evict(self, request: web.Request) -> web.Response:
        peer = int(request.match_info["pod"].removeprefix(f"{NAME}-"))
        assert self.nodes[peer] in self.cordoned
        if self.refuse_evictions or self.away:
            self.refuse_evictions -= not self.away
            return _refused(429, "the budget")
        pod = await self._pod(peer)
        if pod is None:
            return _refused(404, "not found")
        given = (await request.json())["deleteOptions"]["preconditions"]
        if pod["metadata"]["uid"] != given["uid"]:
            return _refused(409, "another pod has this name")
        self.away.add(peer)
        kill(int(pod["metadata"]["uid"]), signal.SIGTERM)
        return web.json_response({})

    async def _node(self, request: web.Request) -> web.Response:
        node = request.match_info["node"]
        if request.method == "PATCH":
            assert request.content_type == "application/merge-patch+json"
            cordoned = bool((await request.json())["spec"]["unschedulable"])
            if not cordoned and self.uncordoning is not None:
                told, self.uncordoning = self.uncordoning, None
                told()
                return _refused(500, "not now")
            if cordoned:
                self.cordoned.add(node)
            else:
                self.cordoned.discard(node)
                self.away -= {peer for peer in self.away if self.nodes[peer] == node}
        return web.json_response({"spec": {"unschedulable": node in self.cordoned or None}})

    async def _budget(self, _request: web.Request) -> web.Response:
        peers = self.rig.peers
        return web.json_response({"status": {"expectedPods": peers, "desiredHealthy": peers - 1}})

    async def _bazaar(self, _request: web.Request) -> web.Response:
        return web.json_response({"spec": {"drills": True} if self.drills else {}})

    # ---- the load's pod

    def _here(self, text: str) -> str:
        """Return a script of the pod as it is run on this machine."""
        for there, here in (
            ("/load", str(self.home)),
            ("/etc/bazaar-admin/token", str(self.home / "token")),
            (f"http://{NAME}-client:8600", f"http://127.0.0.1:{self.rig.port}"),
            *(
                (f"http://10.0.0.{peer}:8600", f"http://127.0.0.1:{self.rig.port + peer}")
                for peer in range(self.rig.peers)
            ),
            ("/v1/pause", self.pause_path),
            ("bazaar verify", f"{sys.executable} -m bazaar_peer verify"),
            ("bazaar load", f"{sys.executable} -m bazaar_peer load"),
        ):
            text = text.replace(there, here)
        return text

    async def _create(self, request: web.Request) -> web.Response:
        self.load = await request.json()
        self.home = self.folder / self.load["metadata"]["name"]
        self.home.mkdir()
        (self.home / "token").write_text("any")
        (container,) = self.load["spec"]["containers"]
        *shell, script = container["command"]
        self.script = await asyncio.create_subprocess_exec(
            *shell, self._here(script), start_new_session=True
        )
        return web.json_response(self.load, status=201)

    async def _stop_script(self) -> None:
        if self.script is not None and self.script.returncode is None:
            os.killpg(self.script.pid, signal.SIGKILL)
            await self.script.wait()

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        assert request.match_info["pod"] == self.load["metadata"]["name"]
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        words = request.query.getall("command")
        if self.audit:
            words = [word.replace("bazaar verify", self.audit) for word in words]
        words = [self._here(word) for word in words]
        done = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await done.communicate()
        for channel, told in ((1, out), (2, errors)):
            for at in range(0, len(told), 1000):  # as frames come
                await socket.send_bytes(bytes([channel]) + told[at : at + 1000])
        cause = {"reason": "ExitCode", "message": str(done.returncode)}
        status = {"status": "Failure", "details": {"causes": [cause]}}
        told = json.dumps(status if done.returncode else {"status": "Success"}).encode()
        await socket.send_bytes(b"\x03" + told)
        await socket.close()
        return socket


def _refused(status: int, message: str) -> web.Response:
    body = {"kind": "Status", "code": status, "message": message}
    return web.json_response(body, status=status)
