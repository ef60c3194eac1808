"""A cluster in memory around the operator: StatefulSet controller, kubelet, volumes, peers, checks.

`World.tick` lets one short moment pass. What the operator must never do is noted in `wrongs` at the
moment it happens, so that a bug cannot hide behind what the ring mends later:

- It stops a live voter although those left are no majority (a ring of two has none to spare).
- It wishes for fewer replicas than the highest member + 1, but for none of a ring that is to sleep.
- It has a volume formatted in the place of another one, whose promises are lost then (R14).
- It deletes the claim of a member.
- It has a peer ask for what another cannot show: TLS, or another authority's certificate.
- It gives a ring up whose majority runs, seen or unseen, or for a volume that lacks something.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from collections.abc import Callable
from typing import Any

import msgspec

from bazaar_operator import labels
from bazaar_operator.api import Api, ApiError
from bazaar_operator.metrics import Metrics
from bazaar_operator.observation import Address
from bazaar_operator.peers import PeerError
from bazaar_operator.peers import Peers as PeersClient
from bazaar_operator.reconcile import Pass, Reconciler
from bazaar_operator.views import REQUIRED, PeerView
from tests.integration.operator.pod_secrets import PodSecrets
from tests.integration.operator.ring import Peers, Process, Ring, Volume, is_below_majority
from tests.integration.operator.store import Key, Object, Refused, Store
from tests.integration.operator.trusting import is_trusted, names

IMAGE = "bazaar:1"
NAME, SPACE = "fair", "ns"
FORMER = "bazaar:0"
"""An image whose peers serve clients no TLS."""
BROKEN = "bazaar:broken"
"""An image that no container ever starts from."""


class World:
    def __init__(self) -> None:
        self.store = Store()
        self.peers = Peers()
        self.volumes: dict[str, Volume] = {}
        """By the uid of the claim."""
        self.wrongs: list[str] = []
        self.store.before_delete = self._check_delete
        self.store.watchers.append(self._check_replicas)
        self.store.watchers.append(self._check_given_up)
        self._ring = ""
        self.secrets = PodSecrets(self.store)

    # ---- what a user does

    def make(self, name: str = NAME, /, **spec: Any) -> Object:
        return self.store.create(
            labels.PLURAL,
            {
                "apiVersion": labels.API_VERSION,
                "kind": labels.KIND,
                "metadata": {"name": name, "namespace": SPACE},
                "spec": spec,
            },
        )

    def wish(self, name: str = NAME, /, **spec: Any) -> None:
        self.store.merge(Key(labels.PLURAL, SPACE, name), {"spec": spec})

    def body(self, name: str = NAME) -> Object:
        return self.store.get(labels.PLURAL, name)

    @property
    def status(self) -> Object:
        found: Object = self.body()["status"]
        return found

    def condition(self, name: str) -> str:
        return next(str(c["status"]) for c in self.status["conditions"] if c["type"] == name)

    @property
    def ring(self) -> Ring:
        """The ring of the one Bazaar."""
        return self.peers.rings[self.status["ringId"]]

    @property
    def events(self) -> list[str]:
        return [event["reason"] for event in self.store.all("events")]

    # ---- a short moment

    def tick(self) -> None:
        for body in self.store.all("statefulsets"):
            self._control(body)
        for body in self.store.all("pods"):
            self._run(body)
        self.peers.tick()
        self.wrongs += self.secrets.deaf(list(self.peers.running.values()))
        for body in self.store.all("pods"):
            self._report(body)

    def _control(self, body: Object) -> None:
        """What the StatefulSet controller does with OnDelete and Parallel."""
        meta, spec = body["metadata"], body["spec"]
        name, template = meta["name"], spec["template"]
        revision = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
        seen = {"observedGeneration": meta["generation"], "updateRevision": revision}
        self.store.merge(Key("statefulsets", SPACE, name), {"status": seen}, "status")
        for ordinal in range(spec["replicas"]):
            if Key("pods", SPACE, labels.pod(name, ordinal)) not in self.store.objects:
                self._create_pod(body, ordinal, revision)
        for pod in self.store.all("pods", SPACE, f"{labels.BAZAAR}={name}"):
            if (labels.ordinal(name, pod["metadata"]["name"]) or 0) >= spec["replicas"]:
                key = Key("pods", SPACE, pod["metadata"]["name"])
                if "deletionTimestamp" not in pod["metadata"]:
                    self.store.patch(key, [_LEAVE])

    def _create_pod(self, body: Object, ordinal: int, revision: str) -> None:
        name, template = body["metadata"]["name"], body["spec"]["template"]
        claim = labels.claim(name, ordinal)
        if Key("persistentvolumeclaims", SPACE, claim) not in self.store.objects:
            meta = {"name": claim, "namespace": SPACE, "labels": template["metadata"]["labels"]}
            made = self.store.create("persistentvolumeclaims", {"metadata": meta, "spec": {}})
            self.volumes[made["metadata"]["uid"]] = self.peers.new_volume(ordinal)
        has = template["metadata"]["labels"] | {"controller-revision-hash": revision}
        notes = template["metadata"]["annotations"]
        owner = {"uid": body["metadata"]["uid"], "kind": "StatefulSet", "name": name}
        pod = {
            "kind": "Pod",
            "metadata": {
                "name": labels.pod(name, ordinal), "namespace": SPACE, "labels": has,
                "annotations": notes, "ownerReferences": [owner],
            },
            "spec": {
                "image": template["spec"]["containers"][0]["image"],
                "volumes": template["spec"]["volumes"],
            },
        }  # fmt: skip
        self.store.create("pods", pod)

    def _run(self, pod: Object) -> None:
        """What the kubelet does: start, or end after the process has handed over."""
        meta = pod["metadata"]
        ordinal = int(meta["name"].rpartition("-")[2])
        running = self.peers.running.get(ordinal)
        if "deletionTimestamp" in meta:
            if running and not running.leaving:
                running.leaving = True
                return
            self.peers.running.pop(ordinal, None)
            self.store.remove(Key("pods", SPACE, meta["name"]))
        elif running is None and pod["spec"]["image"] != BROKEN:
            settings = self.store.objects.get(Key("configmaps", SPACE, NAME))
            claim = self.store.objects.get(
                Key("persistentvolumeclaims", SPACE, labels.claim(NAME, ordinal))
            )
            if settings is None or claim is None:
                return
            told = json.loads(settings["data"]["ring.json"])
            volume = self.volumes[claim["metadata"]["uid"]]
            made = told.get("recoverFrom") or {}
            self.peers.running[ordinal] = Process(
                ordinal,
                volume,
                told["ring"],
                told["peers"],
                former=tuple(told.get("former", ())),
                recovers=made["ring"] if made.get("peer") == ordinal else "",
                restores=told.get("restoreFrom", ""),
                tls=self.secrets.given_to(pod),
                https=pod["spec"]["image"] != FORMER,
            )
        elif running is not None and running.tls:
            self.secrets.refresh(pod, running.tls)

    def _report(self, pod: Object) -> None:
        ordinal = int(pod["metadata"]["name"].rpartition("-")[2])
        mine = self.peers.running.get(ordinal)
        if mine is None:
            return
        ready = "True" if self.peers.is_ready(mine) else "False"
        status = {
            "podIP": address(ordinal),
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"restartCount": 0, "state": {"running": {}}}],
        }
        self.store.merge(Key("pods", SPACE, pod["metadata"]["name"]), {"status": status}, "status")

    def crash(self, ordinal: int) -> None:
        """Let a pod vanish with its process, as on a lost node that comes back."""
        self.peers.running.pop(ordinal, None)
        key = Key("pods", SPACE, labels.pod(NAME, ordinal))
        if key in self.store.objects:
            self.store.remove(key)

    def lose_volume(self, ordinal: int) -> None:
        self.crash(ordinal)
        self.store.remove(Key("persistentvolumeclaims", SPACE, labels.claim(NAME, ordinal)))

    # ---- what must never be

    def _check_delete(self, key: Key, body: Object) -> None:
        if key.plural == "pods":
            self._check_stop(int(key.name.rpartition("-")[2]))
        elif key.plural == "persistentvolumeclaims":
            ordinal = int(key.name.rpartition("-")[2])
            if any(ordinal in ring.lives for ring in self._rings()):
                self.wrongs.append(f"the claim of member {ordinal} is deleted")

    def _check_stop(self, ordinal: int) -> None:
        for ring in self._rings():
            live = self.peers.live(ring)
            left = live - {ordinal}
            spare = len(ring.voters) <= 2 and left == ring.voters - {ordinal}
            if ordinal in live and is_below_majority(left, ring.voters) and not spare:
                self.wrongs.append(f"{ordinal} is stopped, {left} of {ring.voters} are left")

    def _check_replicas(self, kind: str, plural: str, body: Object) -> None:
        if plural != "statefulsets" or kind == "DELETED":
            return
        wish = self.body(body["metadata"]["name"])["spec"]
        if wish.get("hibernated") and body["spec"]["replicas"] == 0:
            return
        for ring in self._rings():
            if ring.lives and body["spec"]["replicas"] <= max(ring.lives):
                wish = body["spec"]["replicas"]
                self.wrongs.append(f"{wish} replicas, and member {max(ring.lives)}")

    def _rings(self) -> list[Ring]:
        return [ring for ring in self.peers.rings.values() if not ring.given_up]

    def _check_given_up(self, kind: str, plural: str, body: Object) -> None:
        if plural != labels.PLURAL or kind == "DELETED":
            return
        status = body.get("status") or {}
        former, self._ring = self._ring, status.get("ringId", "")
        if former not in status.get("formerRingIds", ()) or former == self._ring:
            return
        ring = self.peers.rings.get(former)
        if ring is None:
            return
        ring.given_up = True
        whole = self.peers.whole(former)
        if not is_below_majority(whole, ring.voters):
            self.wrongs.append(f"{former} is given up, and {whole} of it live")
        lacks = {o: self.peers.running[o].volume.lacks for o in whole}
        named = status["recoveredFrom"]["peer"]
        if lacks and lacks.get(named, 0) > min(lacks.values()):
            self.wrongs.append(f"{former} is given up for peer {named}, which has less")

    def check(self) -> None:
        wrongs = self.wrongs + [f"{v} forgot its votes" for v in self.peers.amnesiacs]
        assert not wrongs, "\n".join(wrongs)


_LEAVE: Object = {"op": "add", "path": "/metadata/deletionTimestamp", "value": "now"}


def address(ordinal: int) -> str:
    return f"127.0.1.{10 + ordinal}"


# ---- the operator's two clients, without sockets

Fault = Callable[[str, str], None]
"""Told method and path of a call, before and after it; it may raise."""


class MemoryApi(Api):
    """The operator's own client, down to where it would open a socket."""

    def __init__(self, world: World, metrics: Metrics, before: Fault, after: Fault) -> None:
        self._store, self._count = world.store, metrics.count_request
        self._before, self._after = before, after

    async def _call(self, method: str, path: str, **parts: Any) -> Object:
        self._before(method, path)
        try:
            found = self._store.answer(
                method, path, parts.get("body"), parts.get("content_type", ""),
                parts.get("label_selector") or "",
            )  # fmt: skip
        except Refused as no:
            raise ApiError(no.status, no.message) from no
        self._after(method, path)
        return found


class MemoryPeers(PeersClient):
    """The operator's own way of speaking with peers, over a network in memory."""

    def __init__(self, world: World, before: Fault, after: Fault) -> None:
        self._world, self._before, self._after = world, before, after
        self._plain = {}
        self.asked: list[tuple[str, bool]] = []
        """Where, and whether by TLS, for each look that was answered and each order."""

    def _tries_tls(self, at: Address) -> bool:
        return bool(at.trust)  # time stands still

    async def _look(self, at: Address, *, by_tls: bool) -> PeerView | None:
        ordinal = ordinal_of(at.ip)
        view = self._world.peers.view(ordinal)
        if view is None or (by_tls and not self._is_shown(at)):
            return None
        self.asked.append(("/v1/peer", by_tls))
        return msgspec.convert(view, PeerView)

    def _is_shown(self, at: Address) -> bool:
        """Whether who is there shows a certificate that is trusted, of the name that is meant."""
        tls = self._world.peers.serves_tls(ordinal_of(at.ip))
        shown = tls.certificate if tls else ""
        return bool(shown) and is_trusted(shown, at.trust) and at.name in names(shown)

    async def _post(
        self, at: Address, path: str, token: str, body: dict[str, Any], *, by_tls: bool
    ) -> None:
        if by_tls and not self._is_shown(at):
            raise ssl.SSLError("nobody is there who may be trusted")
        self._before("post", path)
        self.asked.append((path, by_tls))
        ordinal, peers = ordinal_of(at.ip), self._world.peers
        if not by_tls and self._world.status.get("tls", {}).get("token") == REQUIRED:
            self._world.wrongs.append(f"the token went to {ordinal} in clear")
        if not by_tls and not peers.takes_token_in_clear(ordinal):
            raise PeerError(f"{path}: 403")
        status, told = peers.post(ordinal, path, body)
        if path == "/v1/resign" and status < 300:
            peers.tick()  # a hand-over takes milliseconds
        self._after("post", path)
        if not 200 <= status < 300:
            raise PeerError(f"{path}: {status} {told}")


def ordinal_of(ip: str) -> int:
    return int(ip.rpartition(".")[2]) - 10


def no_fault(_method: str, _path: str) -> None:
    pass


class Operator:
    """One life of the operator's process: its memory ends with it."""

    def __init__(
        self,
        world: World,
        *,
        image: str = IMAGE,
        before: Fault = no_fault,
        after: Fault = no_fault,
        ahead_s: float = 0.0,
    ) -> None:
        self.world, self.metrics = world, Metrics()
        self.reconciler = Reconciler(
            MemoryApi(world, self.metrics, before, after),
            MemoryPeers(world, before, after),
            self.metrics,
            image=image,
            holder="ns/operator",
            clock=lambda: time.time() + ahead_s,
        )

    async def once(self, name: str = NAME) -> Pass | None:
        """One pass; None if it failed, as the loop would note it."""
        try:
            return await self.reconciler.reconcile(SPACE, name)
        except ApiError:
            return None

    async def go_on(self, rounds: int, name: str = NAME) -> None:
        """Reconcile and let time pass, so many times."""
        for _ in range(rounds):
            await self.once(name)
            self.world.tick()

    async def settle(self, rounds: int = 150, name: str = NAME) -> int:
        """Reconcile and let time pass until nothing changes any more; return the rounds."""
        quiet = 0
        for round_ in range(rounds):
            before = len(self.world.store.writes)
            done = await self.once(name)
            self.world.tick()
            still = done is not None and len(self.world.store.writes) == before
            quiet = quiet + 1 if still else 0
            if quiet == 4:
                return round_
        raise AssertionError(f"no fixpoint in {rounds} rounds: {self.world.status}")


def refuse_writes(method: str, path: str) -> None:
    if method != "get":
        raise ApiError(503, "the API server does not answer")
