"""Carry out one action of the plan; tell whether it changed anything.

An object is applied when its wish has changed, when the StatefulSet's generation has moved, and
otherwise every RESYNC_S: what others changed is put right then, by server-side apply, without ever
comparing objects deeply. Each write names what it is meant for (uid, resourceVersion).
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from typing import Any

from msgspec import Struct, structs

from bazaar_operator import labels, manifests, trust_store
from bazaar_operator.api import Api, ApiError, Object
from bazaar_operator.events import tell
from bazaar_operator.metrics import Metrics
from bazaar_operator.observation import Observation, hash_of
from bazaar_operator.peers import Peers
from bazaar_operator.plan import (
    Action,
    Apply,
    Certify,
    DeleteClaim,
    Format,
    LabelPod,
    Nudge,
    OwnClaim,
    Remove,
    Resign,
    Resize,
    StopPod,
)

RESYNC_S = 30.0
"""A settled Bazaar is passed over so often, and each object is applied in such a pass."""

HANDOVER_S = 5.0
LOOK_EVERY_S = 0.02


class Applied(Struct, frozen=True):
    wish: str
    at: float
    generation: int
    mark: tuple[str, str]
    """The object's uid, and when our fields in it last changed: it moves if others touched them."""


class Hands:
    def __init__(self, api: Api, peers: Peers, metrics: Metrics) -> None:
        self.api, self.peers, self.metrics = api, peers, metrics
        self._applied: dict[tuple[str, str, str], Applied] = {}
        self._absent: dict[tuple[str, str, str], float] = {}
        self._tokens: dict[str, tuple[str, float]] = {}

    def look_again(self, uid: str) -> None:
        """Apply all objects of a Bazaar in the next pass, however lately they were applied."""
        for key, former in self._applied.items():
            if key[0] == uid:
                self._applied[key] = structs.replace(former, at=-RESYNC_S)

    async def act(self, seen: Observation, action: Action) -> bool:
        """Raises: ApiError, PeerError: it may have been carried out all the same."""
        match action:
            case Apply(manifest):
                return await self._apply(seen, manifest)
            case Remove(_, kind, name):
                return await self._remove(seen, kind, name)
            case Certify():
                await trust_store.certify(self.api, seen)
            case Nudge(pod, mark):
                place = "/metadata/annotations/" + labels.NUDGE.replace("/", "~1")
                note: Object = {"op": "add", "path": place, "value": mark}
                await self._patch(seen, "Pod", pod.name, pod.uid, [note])
            case Format() | Resize() | Resign():
                await self._order(seen, action)
            case StopPod(pod, why):
                await self.api.delete("Pod", seen.bazaar.namespace, pod.name, pod.uid)
                await tell(self.api, seen.bazaar, "Normal", "PodStopped", f"{pod.name}: {why}")
            case LabelPod(pod, trader):
                place = "/metadata/labels/" + labels.TRADER.replace("/", "~1")
                step: Object = {"op": "remove", "path": place}
                if trader:
                    step = {"op": "add", "path": place, "value": "true"}
                await self._patch(seen, "Pod", pod.name, pod.uid, [step])
            case OwnClaim(claim, owners):
                path = "/metadata/ownerReferences"
                steps: list[Object] = [
                    {"op": "test", "path": "/metadata/resourceVersion", "value": claim.version},
                    {"op": "add", "path": path, "value": list(owners)},
                ]
                await self._patch(seen, "PersistentVolumeClaim", claim.name, claim.uid, steps)
            case DeleteClaim(claim):
                place = seen.bazaar.namespace
                await self.api.delete("PersistentVolumeClaim", place, claim.name, claim.uid)
        return True

    async def _patch(
        self, seen: Observation, kind: str, name: str, uid: str, steps: list[Object]
    ) -> None:
        """Patch this very object: a new one of that name fails the test."""
        test = {"op": "test", "path": "/metadata/uid", "value": uid}
        await self.api.patch(kind, seen.bazaar.namespace, name, [test, *steps])

    # ---- objects

    async def _apply(self, seen: Observation, manifest: dict[str, Any]) -> bool:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        key, wish = (seen.bazaar.uid, kind, name), hash_of(manifest)
        former, now = self._applied.get(key), time.monotonic()
        same = former is not None and former.wish == wish
        stands = seen.statefulset.generation if seen.statefulset else 0
        untouched = kind != "StatefulSet" or (former and former.generation == stands)
        if same and former and now - former.at < RESYNC_S / 2 and untouched:
            return False
        answer = await self.api.apply(manifest)
        generation = answer["metadata"].get("generation") or 0
        mark = _mark(answer)
        self._applied[key] = Applied(wish, now, generation, mark)
        if same and former and former.mark != mark:
            self.metrics.repairs.labels(kind).inc()
            said = f"{kind} {name} was changed or deleted by somebody else, and is as wished again"
            await tell(self.api, seen.bazaar, "Warning", "DriftRepaired", said)
        if kind == "StatefulSet":
            return generation != stands
        return former is None or former.mark != mark

    async def _remove(self, seen: Observation, kind: str, name: str) -> bool:
        key, now = (seen.bazaar.uid, kind, name), time.monotonic()
        if now - self._absent.get(key, -RESYNC_S) < RESYNC_S:
            return False
        found = await self.api.get(kind, seen.bazaar.namespace, name)
        owners = found["metadata"].get("ownerReferences") or [] if found else []
        if found and any(owner["uid"] == seen.bazaar.uid for owner in owners):
            await self.api.delete(kind, seen.bazaar.namespace, name, found["metadata"]["uid"])
        self._absent[key] = now
        self._applied.pop(key, None)
        return False

    async def token(self, seen: Observation) -> str:
        """The ring's admin token; made once, never overwritten."""
        bazaar, now = seen.bazaar, time.monotonic()
        token, at = self._tokens.get(bazaar.uid, ("", -RESYNC_S))
        if now - at < RESYNC_S:
            return token
        found = await self.api.get("Secret", bazaar.namespace, labels.admin_secret(bazaar.name))
        if found is None:
            made = manifests.admin_secret(bazaar, secrets.token_urlsafe(32))
            found = await self.api.create(made)
        token = base64.b64decode((found.get("data") or {}).get("token", "")).decode().strip()
        if not token:
            raise ApiError(0, f"Secret {labels.admin_secret(bazaar.name)} has no token: delete it")
        self._tokens[bazaar.uid] = token, now
        return token

    # ---- orders to peers

    async def _order(self, seen: Observation, action: Format | Resize | Resign) -> None:
        token, pod = await self.token(seen), action.pod
        match action:
            case Format(_, volume):
                ring, mark = seen.bazaar.status.ring_id, seen.bazaar.spec.storage.restore_from
                body = {"ring": ring, "ordinal": pod.ordinal, "volume": volume}
                body |= {"restores": mark} if mark else {}  # an older release knows no such word
                await self.peers.post(pod.at, "/v1/format", token, body)
            case Resize(_, size, generation):
                wish = {"size": size, "generation": generation}
                await self.peers.post(pod.at, "/v1/members", token, wish)
            case Resign(_, heir):
                began = time.monotonic()
                await self.peers.post(pod.at, "/v1/resign", token, {"successor": heir.ordinal})
                await self._see_reign(seen, action, began)

    async def _see_reign(self, seen: Observation, order: Resign, began: float) -> None:
        """Measure the hand-over; whoever reigns in the end, the next observation finds it."""
        while time.monotonic() - began < HANDOVER_S:
            view = await self.peers.look(order.successor.at)
            if view and view.role == "trader":
                took = time.monotonic() - began
                self.metrics.handover.observe(took)
                said = f"{order.pod.name} to {order.successor.name} in {took * 1000:.0f} ms"
                await tell(self.api, seen.bazaar, "Normal", "HandOver", said)
                return
            await asyncio.sleep(LOOK_EVERY_S)


def _mark(answer: Object) -> tuple[str, str]:
    meta = answer["metadata"]
    ours = [
        str(entry.get("time"))
        for entry in meta.get("managedFields") or []
        if entry.get("manager") == labels.FIELD_MANAGER and entry.get("operation") == "Apply"
    ]
    return meta["uid"], max(ours, default="")
