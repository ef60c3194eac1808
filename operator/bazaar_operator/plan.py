"""From what there is to the next safe actions; pure, so that every step can be tested.

The plan is level-based: it remembers nothing, and after a crash at any step the next observation
leads on from there. What only builds or repairs may come together; of what stops a process or
changes the members there is one action at a time, and none without an observation of the ring:

- Up: replicas, then members. Down: members, then replicas, then (if so wished) claims.
- A roll: followers first, each caught up before the next; then the trader hands over to an updated
  follower, and as an old follower it is the last. So a roll changes the trader once.
- A pod is stopped only if the live voters without it are a majority, if it votes nowhere, if it
  never started, or if its ring was given up by a recovery: then all of that ring are. A ring of one
  or two has nobody to spare: all others live, its pod restarts, as the disruption budget allows it,
  too.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

from bazaar_operator import manifests, trust
from bazaar_operator.observation import (
    Claim,
    Observation,
    Pod,
    Ring,
    hash_of,
    heard,
    is_majority,
)
from bazaar_operator.views import VOTELESS


class Apply(Struct, frozen=True):
    manifest: Any


class Remove(Struct, frozen=True):
    """Delete an object that this resource no longer asks for."""

    api_version: str
    kind: str
    name: str


class Certify(Struct, frozen=True):
    """Make, change or renew what the ring's Secrets hold."""


class Nudge(Struct, frozen=True):
    """Let the pod's kubelet look at its Secrets now, and not in a minute."""

    pod: Pod
    mark: str


class Format(Struct, frozen=True):
    """Let a waiting volume begin as a member of a new ring (R14)."""

    pod: Pod
    volume: str


class Resize(Struct, frozen=True):
    pod: Pod
    size: int
    generation: int


class Resign(Struct, frozen=True):
    pod: Pod
    successor: Pod


class StopPod(Struct, frozen=True):
    pod: Pod
    why: str


class LabelPod(Struct, frozen=True):
    pod: Pod
    trader: bool


class OwnClaim(Struct, frozen=True):
    claim: Claim
    owners: tuple[dict[str, Any], ...]


class DeleteClaim(Struct, frozen=True):
    claim: Claim


Action: TypeAlias = (
    Apply
    | Remove
    | Certify
    | Nudge
    | Format
    | Resize
    | Resign
    | StopPod
    | LabelPod
    | OwnClaim
    | DeleteClaim
)


def plan(seen: Observation) -> list[Action]:
    """Return what to do now, in this order; nothing before the ring's identity is latched."""
    status, spec = seen.bazaar.status, seen.bazaar.spec
    if seen.bazaar.deleting or not (status.ring_id and status.image):
        return []
    certificates = _certificates(seen)
    # Pods are built by what is latched; and a ring that is left alone must not run out of them.
    if spec.paused or trust.is_unsettled(seen):
        return certificates
    built = [*certificates, *_objects(seen)]
    if spec.hibernated:
        return [*built, *_claims(seen)]  # no replicas; nobody joins, leaves or is updated
    return [*built, *_formats(seen), *_labels(seen), *_claims(seen), *_step(seen)]


def _certificates(seen: Observation) -> list[Action]:
    if not seen.bazaar.status.tls.mode or seen.trust is None or seen.trust.foreign:
        return []
    if trust.is_due(seen) and not (seen.bazaar.spec.paused and trust.lacks_keys(seen)):
        return [Certify()]
    mark = hash_of(seen.trust.files)
    return [Nudge(p, mark) for p in trust.lagging(seen.trust, seen.pods) if p.nudged != mark]


def _objects(seen: Observation) -> list[Action]:
    found: list[Action] = [Apply(manifest) for manifest in seen.objects]
    built = {manifest["kind"] for manifest in seen.objects}
    for api_version, kind in manifests.OPTIONAL:
        if kind not in built:
            found.append(Remove(api_version, kind, seen.bazaar.name))
    return found


def _formats(seen: Observation) -> list[Action]:
    """Only volumes that the status names; repeated until the peer serves, whoever died between."""
    status = seen.bazaar.status
    if not seen.may_form():
        return []
    return [
        Format(pod, peer.volume)
        for pod, peer in heard(seen.pods)
        if pod.ordinal in seen.makers
        and peer.state == "empty"
        and peer.ring == status.ring_id
        and peer.volume
        and status.volumes.get(str(pod.ordinal)) == peer.volume
    ]


def _labels(seen: Observation) -> list[Action]:
    """The trader's label before the old one's goes, so that the Service always has somebody."""
    if seen.ring is None:
        return []
    trader = seen.ring.trader
    found: list[Action] = [] if trader.labelled or trader.leaving else [LabelPod(trader, True)]
    found += [LabelPod(p, False) for p in seen.pods if p.labelled and p.uid != trader.uid]
    return found


# ---- claims ----


def _claims(seen: Observation) -> list[Action]:
    policy = seen.bazaar.spec.storage.retention_policy
    found: list[Action] = []
    for claim in seen.claims:
        others = tuple(o for o in claim.owners if o.get("uid") != seen.bazaar.uid)
        owned = len(others) < len(claim.owners)
        if claim.leaving:
            continue
        if policy.when_scaled == "Delete" and _is_left_over(seen, claim):
            found.append(DeleteClaim(claim))
        elif policy.when_deleted == "Delete" and not owned and _is_of_ring(seen, claim):
            reference = manifests.owner_reference(seen.bazaar) | {"controller": False}
            found.append(OwnClaim(claim, (*others, reference)))
        elif policy.when_deleted == "Retain" and owned:
            found.append(OwnClaim(claim, others))
    return found


def _is_of_ring(seen: Observation, claim: Claim) -> bool:
    """A volume of another ring must not die with this resource."""
    return any(pod.ordinal == claim.ordinal for pod in seen.serving)


def _is_left_over(seen: Observation, claim: Claim) -> bool:
    """Its member's removal is committed, its pod is gone, and it was this ring's."""
    status, ring, found = seen.bazaar.status, seen.ring, seen.statefulset
    return (
        ring is not None
        and found is not None
        and ring.size == seen.bazaar.spec.peers
        and claim.ordinal >= max(ring.size, seen.floor, found.replicas)
        and all(pod.ordinal != claim.ordinal for pod in seen.pods)
        and str(claim.ordinal) in status.volumes
    )


# ---- one step at a time ----


def _step(seen: Observation) -> list[Action]:
    return _resize(seen) or _roll(seen)


def _resize(seen: Observation) -> list[Action]:
    ring, wish = seen.ring, seen.bazaar.spec.peers
    if ring is None or seen.statefulset is None or ring.size == wish:
        return []
    if wish > ring.size and seen.statefulset.replicas < wish:
        return []  # replicas first
    staying = frozenset(voter for voter in ring.voters if voter < wish)
    if wish < ring.size and not is_majority(ring.live, staying):
        return []  # nobody could be removed, and who is to go is needed
    return [Resize(ring.trader, wish, ring.generation + 1)]


def _roll(seen: Observation) -> list[Action]:
    if not seen.template_stands:
        return []
    formers = seen.bazaar.status.former_ring_ids
    given_up = [p for p, peer in heard(seen.pods) if peer.ring in formers and not p.leaving]
    if given_up:
        return [StopPod(pod, "its ring was given up") for pod in given_up]
    staying = [pod for pod in seen.old if not pod.leaving]
    unborn = [pod for pod in staying if not pod.started]
    if unborn:
        return [StopPod(pod, "its container never started") for pod in unborn]
    down = [pod for pod in staying if pod.down]
    if down:
        return [StopPod(down[0], "its container does not run")]
    voteless = [pod for pod in staying if pod.peer and pod.peer.state in VOTELESS]
    if voteless:
        return [StopPod(voteless[0], "it does not vote")]
    ring = seen.ring
    if not staying or ring is None or not _is_quiet(seen, ring):
        return []
    return _followers(seen, ring, staying) or _trader(seen, ring, staying)


def _is_quiet(seen: Observation, ring: Ring) -> bool:
    """Nobody is to be removed, nobody is away, and whoever was updated has caught up."""
    old = {pod.uid for pod in seen.old}
    there = {pod.ordinal for pod in seen.pods}
    return (
        ring.size == seen.bazaar.spec.peers
        and all(member.id < ring.size and member.id in there for member in ring.members)
        and not any(pod.leaving for pod in seen.pods)
        and all(seen.caught_up(pod) for pod in seen.pods if pod.uid not in old)
    )


def _followers(seen: Observation, ring: Ring, old: list[Pod]) -> list[Action]:
    """The next old follower that can be spared: first those that are of no use as they are."""
    followers = [pod for pod in old if pod.uid != ring.trader.uid]
    for pod in sorted(followers, key=lambda pod: (seen.caught_up(pod), pod.ordinal)):
        if _can_spare(ring, pod):
            return [StopPod(pod, "it is updated")]
    return []


def _can_spare(ring: Ring, pod: Pod) -> bool:
    left = ring.live - {pod.ordinal}
    if pod.ordinal not in ring.voters:
        return True
    return is_majority(left, ring.voters) or (
        len(ring.voters) <= 2 and left == ring.voters - {pod.ordinal}
    )


def _trader(seen: Observation, ring: Ring, old: list[Pod]) -> list[Action]:
    """Only the trader is old: it hands over, to the follower that has most."""
    if [pod.uid for pod in old] != [ring.trader.uid]:
        return []
    heirs = [pod for pod in seen.pods if pod.ordinal in ring.live - {ring.trader.ordinal}]
    if heirs:
        most = max(heirs, key=lambda p: (p.peer.commit_index if p.peer else 0, p.ordinal))
        return [Resign(ring.trader, most)]
    return [StopPod(ring.trader, "it is updated")] if len(ring.voters) == 1 else []
