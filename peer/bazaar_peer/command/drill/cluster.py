"""A ring in a Kubernetes cluster: its pods are deleted or evicted, and start anew.

Everything goes through the API server, the peers' answers too (`pods/proxy`), so that a drill works
from wherever `kubectl` does. What is measured is measured inside: by the peers themselves, and by
the load in its pod.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bazaar_peer.command.drill.ending import finished
from bazaar_peer.command.drill.kube import Kube, KubeError, Object
from bazaar_peer.command.drill.lasting import Lasting, check
from bazaar_peer.command.drill.loadpod import LoadPod
from bazaar_peer.command.drill.place import (
    Audit,
    Interregna,
    Line,
    Loaded,
    View,
    interregna_of,
    view_of,
)
from bazaar_peer.command.drill.plan import SETTLE_POD_S, DrillError, Kind, Options
from bazaar_peer.command.drill.pod import url_of
from bazaar_peer.record.collect import Ask, Story, collect
from bazaar_peer.record.entries import BadRecordError
from bazaar_peer.runtime.pod import PORT

ANSWER_S = 3.0
GONE_S, LOOK_S = 120.0, 0.25
EVICT_S, AGAIN_S = 180.0, 1.0
"""A budget may let an eviction wait until another peer is back."""
UNCORDON_TRIES = 5
NOBODY = (
    "there is no pod of a Bazaar {name} in namespace {namespace}: `kubectl get bazaars -A` shows "
    "which there are"
)
CROWDED = (
    "node {node} holds peers {peers} of the ring, and its disruption budget lets {spare} be away "
    "at once: who was evicted may come back only when the node is uncordoned, so the drill would "
    "wait for itself. Spread the peers over more nodes (spec.scheduling), or drill another way"
)
MERGE = "application/merge-patch+json"


class ClusterRing:
    """`Place` in a cluster; made and closed in the loop that uses it."""

    settle_s = SETTLE_POD_S
    late_s = 5.0
    """The node ends a pod's processes some time after the API server has forgotten it."""
    one_clock = False

    def __init__(
        self, options: Options, connect: Callable[[str], Awaitable[Kube]] = Kube.connect
    ) -> None:
        self.target = f"{options.namespace}/{options.name}"
        self._options, self._connect = options, connect
        self._space = f"/api/v1/namespaces/{options.namespace}/pods"
        self._api: Kube | None = None
        self._load: LoadPod | None = None
        self._pods: dict[int, Object] = {}
        """By ordinal, as last seen."""
        self._members: list[int] = []
        self.by_hand = ""

    async def _kube(self) -> Kube:
        if self._api is None:
            self._api = await self._connect(self._options.context)
        return self._api

    # ---- what it is

    async def look(self) -> View:
        self._pods = await self._listed()
        told = await asyncio.gather(*(self._ring(peer) for peer in self._pods))
        answers = dict(zip(self._pods, told, strict=True))
        first = next((answer for answer in told if answer is not None), None)
        if first is None:
            return View("", tuple(Line(peer, "") for peer in self._members or self._pods))
        try:
            self._members = [int(row["id"]) for row in first["peers"]]
            view = view_of(first, [answers.get(peer) for peer in self._members])
        except (KeyError, TypeError, ValueError) as error:
            raise DrillError(f"{self.target}: a peer's answer is none: {error!r}") from error
        lines = (replace(line, life=self._uid(line.peer)) for line in view.lines)
        return replace(view, lines=tuple(lines))

    async def _listed(self) -> dict[int, Object]:
        name, kube = self._options.name, await self._kube()
        labels = ("name=bazaar", f"instance={name}", "component=peer")
        selector = ",".join(f"app.kubernetes.io/{label}" for label in labels)
        found = await kube.call("get", self._space, labelSelector=selector)
        ordinal = re.compile(re.escape(name) + r"-(0|[1-9][0-9]{0,3})")
        listed = {
            int(match[1]): pod
            for pod in found.get("items") or []
            if (match := ordinal.fullmatch(pod["metadata"]["name"]))
        }
        if not listed and not self._pods:
            raise DrillError(NOBODY.format(name=name, namespace=self._options.namespace))
        return dict(sorted(listed.items()))

    def _uid(self, peer: int) -> str:
        return str(self._pods[peer]["metadata"]["uid"]) if peer in self._pods else ""

    async def _ring(self, peer: int) -> Object | None:
        try:
            async with asyncio.timeout(ANSWER_S):
                found = json.loads(await self._ask(peer, "/v1/ring"))
        except (KubeError, TimeoutError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    async def _ask(self, peer: int, path: str) -> bytes:
        pod = f"{self._options.name}-{peer}:{PORT}"
        return await (await self._kube()).raw("get", f"{self._space}/{pod}/proxy{path}")

    async def interregna(self, line: Line) -> Interregna:
        return interregna_of((await self._ask(line.peer, "/metrics")).decode())

    # ---- what is done to it

    async def hurt(self, kind: Kind, victim: Line, view: View, seconds: float) -> None:
        if kind is Kind.DRAIN:
            await self._drain(victim.peer)
            return
        if kind.lasts:
            others = [line.peer for line in view.lines if line.peer != victim.peer]
            assert self._load is not None
            await self._lasting(self._load, victim.peer, others).do(kind, seconds)
            return
        options: Object = {"preconditions": {"uid": victim.life}}
        if kind is not Kind.RESIGN:
            options["gracePeriodSeconds"] = 0
        kube = await self._kube()
        await kube.call("delete", self._path(victim.peer), options, patient=False)
        await self._gone(victim.peer, victim.life)

    def _lasting(self, load: LoadPod, victim: int, others: Sequence[int]) -> Lasting:
        name = self._options.name
        ip = str((self._pods[victim].get("status") or {}).get("podIP") or "")
        if not ip:
            raise DrillError(f"the pod of peer {victim} has no address yet")
        where = (url_of(ip, by_tls=load.by_tls), f"{name}-{victim}.{name}-peers")
        return Lasting(load, victim, where, others)

    def _path(self, peer: int) -> str:
        return f"{self._space}/{self._options.name}-{peer}"

    async def _gone(self, peer: int, uid: str) -> None:
        """Wait until that very pod is no more."""
        kube, until = await self._kube(), time.monotonic() + GONE_S
        while time.monotonic() < until:
            try:
                found = await kube.call("get", self._path(peer))
            except KubeError as error:
                if error.status == 404:
                    return
                raise
            if found["metadata"]["uid"] != uid:
                return
            await asyncio.sleep(LOOK_S)
        raise DrillError(f"the pod of peer {peer} was not gone within {GONE_S:g} s")

    async def _drain(self, victim: int) -> None:
        """Empty the victim's node of this ring's peers; whatever else runs there stays."""
        node = str(self._pods[victim]["spec"].get("nodeName", ""))
        gone = {
            peer: self._uid(peer)
            for peer, pod in self._pods.items()
            if pod["spec"].get("nodeName") == node
        }
        spare = await self._spare()
        if len(gone) > spare:
            peers = ", ".join(map(str, gone))
            raise DrillError(CROWDED.format(node=node, peers=peers, spare=spare))
        async with self._cordoned(node):
            for peer, uid in gone.items():
                await self._evict(peer, uid)
            for peer, uid in gone.items():
                await self._gone(peer, uid)

    async def _spare(self) -> int:
        """Return how many of the ring's pods its disruption budget lets be away at once."""
        options = self._options
        path = f"/apis/policy/v1/namespaces/{options.namespace}/poddisruptionbudgets/{options.name}"
        try:
            status = (await (await self._kube()).call("get", path)).get("status") or {}
        except KubeError as error:
            if error.status == 404:
                return len(self._pods)  # a ring of one has none
            raise
        return int(status.get("expectedPods", 0)) - int(status.get("desiredHealthy", 0))

    @asynccontextmanager
    async def _cordoned(self, node: str) -> AsyncIterator[None]:
        """Let nothing be scheduled there meanwhile; one that was cordoned before stays so."""
        kube, path = await self._kube(), f"/api/v1/nodes/{node}"
        if (await kube.call("get", path))["spec"].get("unschedulable"):
            raise DrillError(f"node {node} is cordoned already: uncordon it, or drill another time")
        self.by_hand = f"kubectl uncordon {node}"
        try:
            await kube.call("patch", path, {"spec": {"unschedulable": True}}, kind=MERGE)
            yield
        finally:
            await finished(self._uncordon(node))

    async def _uncordon(self, node: str) -> None:
        kube, path = await self._kube(), f"/api/v1/nodes/{node}"
        for left in reversed(range(UNCORDON_TRIES)):
            try:
                wish = {"spec": {"unschedulable": None}}
                await kube.call("patch", path, wish, kind=MERGE, patient=False)
            except KubeError as error:
                if not left:
                    raise DrillError(
                        f"node {node} is still cordoned ({error}): kubectl uncordon {node}"
                    ) from error
                await asyncio.sleep(AGAIN_S)
            else:
                self.by_hand = ""
                return

    async def _evict(self, peer: int, uid: str) -> None:
        """Evict that very pod: one that came in its place is left alone."""
        kube, until = await self._kube(), time.monotonic() + EVICT_S
        metadata = {"name": f"{self._options.name}-{peer}", "namespace": self._options.namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        body["deleteOptions"] = {"preconditions": {"uid": uid}}
        while True:
            try:
                await kube.call("post", f"{self._path(peer)}/eviction", body)
            except KubeError as error:
                if error.status in {404, 409}:
                    return
                if error.status != 429 or time.monotonic() > until:
                    raise DrillError(f"peer {peer} is not evicted: {error}") from error
                await asyncio.sleep(AGAIN_S)  # the budget: another peer must be back first
            else:
                return

    # ---- the load and the audit

    async def begin_load(self, seconds: float) -> None:
        if self._options.kind.lasts:
            await check(await self._kube(), self._options)
        self._load = LoadPod(await self._kube(), self._options)
        await self._load.begin(next(iter(self._pods.values())), seconds)

    async def loaded(self) -> str:
        assert self._load is not None
        return await self._load.so_far()

    async def end_load(self) -> Loaded:
        assert self._load is not None
        return await self._load.end()

    async def audit(self) -> Audit:
        assert self._load is not None
        return await self._load.audit()

    async def story(self, seconds: float) -> Story | None:
        def ask_of(peer: int) -> Ask:
            async def ask(path: str) -> bytes:
                try:
                    return await self._ask(peer, path)
                except KubeError as silent:
                    raise BadRecordError(f"no record of peer {peer}: {silent}") from silent

            return ask

        try:
            return await collect([ask_of(peer) for peer in self._pods], "drill", int(seconds))
        except BadRecordError:
            return None

    async def keep(self, folder: Path) -> None:
        assert self._load is not None
        await self._load.keep(folder)

    async def close(self) -> None:
        if self._api is None:
            return
        try:
            if self._load is not None:
                await self._load.close()
        finally:
            await self._api.close()
