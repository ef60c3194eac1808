"""Look at everything a reconcile needs: fresh from the API server, and from each peer itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from bazaar_operator import labels
from bazaar_operator.api import Api, Object
from bazaar_operator.observation import (
    APPLIED_HASH,
    Address,
    Claim,
    Observation,
    Pod,
    StatefulSet,
)
from bazaar_operator.peers import Peers
from bazaar_operator.spec import Bazaar
from bazaar_operator.trust import Trust, trusted
from bazaar_operator.trust_store import trust_of
from bazaar_operator.views import REQUIRED, PeerView

REVISION = "controller-revision-hash"


async def observe(
    api: Api,
    peers: Peers,
    bazaar: Bazaar,
    created: str,
    *,
    now: float,
    image: str,
    turn: bool,
    dropped: tuple[str, ...],
) -> Observation:
    """Raises: ApiError: an API call failed, so there is no observation."""
    space, mine = bazaar.namespace, f"{labels.BAZAAR}={bazaar.name}"
    found, pods, claims, trust = await asyncio.gather(
        api.get("StatefulSet", space, labels.statefulset(bazaar.name)),
        api.all("Pod", space, mine),
        api.all("PersistentVolumeClaim", space, mine),
        trust_of(api, bazaar),
    )
    read = [pod for pod in (_pod(bazaar.name, each) for each in pods) if pod]
    read = [msgspec.structs.replace(pod, at=_by_tls(bazaar, trust, pod)) for pod in read]
    views = await look_at(peers, read)
    since = found["metadata"].get("creationTimestamp") if found else None
    return Observation(
        bazaar=bazaar,
        now=now,
        image=image,
        turn=turn,
        dropped=dropped,
        age_s=now - datetime.fromisoformat(since or created).timestamp(),
        statefulset=_statefulset(found) if found else None,
        pods=tuple(msgspec.structs.replace(p, peer=v) for p, v in zip(read, views, strict=True)),
        claims=tuple(c for c in (_claim(bazaar.name, each) for each in claims) if c),
        trust=trust,
    )


def _by_tls(bazaar: Bazaar, trust: Trust | None, pod: Pod) -> Address:
    if trust is None:
        return pod.at
    name = labels.names_of(bazaar.name, bazaar.namespace, pod.ordinal)[0]
    required = bazaar.status.tls.token == REQUIRED
    return Address(pod.at.ip, name, trusted(trust), required)


async def look_at(peers: Peers, pods: list[Pod]) -> list[PeerView | None]:
    """Ask all at once; an answer under another ordinal is of somebody who got the address."""

    async def one(pod: Pod) -> PeerView | None:
        view = await peers.look(pod.at) if pod.at.ip else None
        return view if view and view.ordinal == pod.ordinal else None

    return list(await asyncio.gather(*(one(pod) for pod in pods)))


def _statefulset(body: Object) -> StatefulSet:
    meta, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    generation = meta.get("generation") or 0
    return StatefulSet(
        replicas=spec["replicas"],
        generation=generation,
        observed=(status.get("observedGeneration") or 0) >= generation,
        revision=status.get("updateRevision") or "",
        applied=(meta.get("annotations") or {}).get(APPLIED_HASH, ""),
    )


def _pod(name: str, body: Object) -> Pod | None:
    meta, status = body["metadata"], body.get("status") or {}
    ordinal = labels.ordinal(name, meta["name"])
    if ordinal is None:
        return None
    has, containers = meta.get("labels") or {}, status.get("containerStatuses") or []
    return Pod(
        name=meta["name"],
        uid=meta["uid"],
        ordinal=ordinal,
        revision=has.get(REVISION, ""),
        at=Address(status.get("podIP") or ""),
        started=any(_ran(each) for each in containers),
        ready=any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in status.get("conditions") or []
        ),
        leaving="deletionTimestamp" in meta,
        labelled=has.get(labels.TRADER) == "true",
        nudged=(meta.get("annotations") or {}).get(labels.NUDGE, ""),
        down=any("running" not in (each.get("state") or {"running"}) for each in containers),
    )


def _ran(container: Mapping[str, Any]) -> bool:
    states = {**(container.get("state") or {}), **(container.get("lastState") or {})}
    return bool(container.get("restartCount")) or bool(states.keys() & {"running", "terminated"})


def _claim(name: str, body: Object) -> Claim | None:
    meta = body["metadata"]
    ordinal = labels.ordinal(f"{labels.CLAIM}-{name}", meta["name"])
    if ordinal is None:
        return None
    return Claim(
        name=meta["name"],
        uid=meta["uid"],
        ordinal=ordinal,
        version=meta.get("resourceVersion") or "",
        owners=tuple(meta.get("ownerReferences") or ()),
        leaving="deletionTimestamp" in meta,
    )
