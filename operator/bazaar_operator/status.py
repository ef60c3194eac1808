"""From what there is to the resource's status: what is latched, the phase, the conditions; pure.

The phase is derived from each observation anew and never latched. `PHASES` lists all of them with
a deadline each: `Ready` has the phase as its reason and the progress as its message, and its
transition time moves with either; who makes no progress for longer than the deadline is `Stalled`,
and told what a person can do.

What is latched: the ring's identity at first, and anew by a recovery; `history` once anybody has an
epoch, volumes as they are found, the peers' image. The writer compares and swaps the whole, so a
latch is never lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from bazaar_operator import labels, recovery
from bazaar_operator.observation import Observation, Ring, heard, is_majority
from bazaar_operator.spec import Bazaar, Condition, Status

OUTDATED = (
    "the cluster's definition of Bazaars is older than this operator and drops {} of the status:"
    " kubectl apply --server-side -f charts/bazaar/crds/"
)
ASLEEP = "no peer runs, and the volumes keep everything; spec.hibernated: false wakes the ring"
UPDATE_TO = f"{labels.GROUP}/update-to"
Truth = Literal["True", "False", "Unknown"]


class Phase(Struct, frozen=True):
    deadline_s: float
    next_step: str


COMES_UP = "see why pods do not start or volumes are not bound: kubectl describe pod"
PHASES: dict[str, Phase] = {
    "Pending": Phase(60, "look at the operator's log: it could not build the StatefulSet"),
    "Starting": Phase(300, COMES_UP),
    "Running": Phase(float("inf"), ""),
    "Scaling": Phase(600, "see in the message what the trader waits for, and start that peer"),
    "Updating": Phase(
        300,
        "see why the pod does not become ready; mend the setting or the image, or delete the pod"
        " by hand if the ring can be without it",
    ),
    "Degraded": Phase(
        600,
        "start the peers that are missing; for a lost volume delete its claim and its pod: the"
        " peer joins again with an empty one",
    ),
    "Electing": Phase(30, "a majority answers but elects nobody: look at the peers' logs"),
    "NoMajority": Phase(
        60,
        "bring back pods until a majority answers; nothing is lost meanwhile. If a majority of the"
        " volumes is gone for good, see `Lost majority` in docs/kubernetes.md:"
        " spec.storage.recoverFrom",
    ),
    "Unknown": Phase(
        60, "pods are ready, but the operator cannot reach port 8600: look at network policies"
    ),
    "Foreign": Phase(0, ""),
    "Hibernated": Phase(float("inf"), ""),
    "Waking": Phase(300, COMES_UP),
    "Paused": Phase(float("inf"), ""),
    "Invalid": Phase(0, "correct the resource; the ring goes on as it was"),
}


def derive(seen: Observation) -> Status:
    """Return the status for this observation; equal to the present one if nothing is new."""
    status = _latched(seen)
    phase, progress = _phase(seen)
    ring, bazaar = seen.ring, seen.bazaar
    members = ring.members if ring else status.members
    return msgspec.structs.replace(
        status,
        observed_generation=bazaar.generation,
        phase=phase,
        members=members,
        replicas=len(members),
        selector=labels.selector_text(bazaar.name),
        ready=sum(pod.ready and not pod.leaving for pod in seen.pods),
        trader=ring.trader.name if ring else "",
        epoch=max(status.epoch, 0 if recovery.is_due(seen) else seen.epoch),
        conditions=_conditions(seen, phase, progress),
    )


def invalid(bazaar: Bazaar, why: str, now: float) -> Status:
    """The status of a resource that cannot be read as a ring; what was found stays as it was."""
    truths: dict[str, tuple[Truth, str]] = {
        "Accepted": ("False", why),
        "Ready": ("False", why),
        "Reconciling": ("False", ""),
        "Stalled": ("True", f"{why}; {PHASES['Invalid'].next_step}"),
    }
    former = {condition.type: condition for condition in bazaar.status.conditions}
    for name, (truth, message) in truths.items():
        former[name] = _condition(bazaar, name, truth, "InvalidSpec", message, now)
    return msgspec.structs.replace(
        bazaar.status,
        observed_generation=bazaar.generation,
        phase="Invalid",
        conditions=tuple(former.values()),
    )


# ---- what is latched ----


def _latched(seen: Observation) -> Status:
    if recovery.is_due(seen):
        return msgspec.structs.replace(recovery.given_up(seen), image=image(seen))
    status, spec = seen.bazaar.status, seen.bazaar.spec
    adopt, changed = spec.storage.adopt_ring, {}
    if not status.ring_id:
        changed = {
            "ring_id": adopt or seen.bazaar.uid,
            "genesis_peers": spec.peers,
            "history": bool(adopt),
        }
    elif adopt and adopt != status.ring_id and not (status.history or status.volumes or seen.epoch):
        changed = {"ring_id": adopt, "history": True}
    elif seen.epoch:
        changed = {"history": True}
    return msgspec.structs.replace(status, volumes=_volumes(seen), image=image(seen), **changed)


def _volumes(seen: Observation) -> dict[str, str]:
    """As recorded; new ones of a first start, and those whom a committed member names (R14)."""
    status = seen.bazaar.status
    found = dict(status.volumes)
    if seen.may_form():
        for pod, peer in heard(seen.pods):
            genesis = pod.ordinal < status.genesis_peers and peer.ring == status.ring_id
            if genesis and peer.state == "empty" and peer.volume:
                found.setdefault(str(pod.ordinal), peer.volume)
    if seen.ring:
        lives = {(m.id, m.incarnation): m for m in seen.ring.members}
        for pod, peer in heard(seen.serving):  # members of the first hour are not named
            if (pod.ordinal, peer.incarnation) in lives:
                found.setdefault(str(pod.ordinal), peer.volume)
        found |= {str(m.id): m.volume for m in seen.ring.members if m.volume}
    return found


def image(seen: Observation) -> str:
    """The operator's image, once the policy lets it in; rings are updated one by one."""
    status, spec = seen.bazaar.status, seen.bazaar.spec
    if not status.image or seen.bazaar.annotations.get(UPDATE_TO) == seen.image:
        return seen.image
    may = spec.update_policy == "Auto" and seen.turn and not spec.paused
    return seen.image if may else status.image


# ---- the phase ----


def _phase(seen: Observation) -> tuple[str, str]:
    """Return the phase, and how far it is: a sentence that changes with progress only."""
    bazaar, ring = seen.bazaar, seen.ring
    foreign = [(pod, peer.found) for pod, peer in heard(seen.pods) if peer.state == "foreign"]
    if bazaar.spec.paused:
        return "Paused", "spec.paused is set: the ring goes on, the operator does nothing"
    if bazaar.spec.hibernated:
        left = len(seen.pods)
        return "Hibernated", f"pods that have yet to end: {left}" if left else ASLEEP
    if foreign and (ring is None or any(pod.ordinal < bazaar.spec.peers for pod, _ in foreign)):
        pod, found = foreign[0]
        return "Foreign", _how_to_adopt(seen, pod.name, found)
    if seen.statefulset is None:
        return "Pending", "no StatefulSet yet"
    if bazaar.status.image and image(seen) != bazaar.status.image:
        return "Updating", f"0 of {len(seen.pods)} pods are updated"  # nobody else takes the turn
    if ring is None:
        return _without_ring(seen)
    return _with_ring(seen, ring)


def _how_to_adopt(seen: Observation, pod: str, found: str) -> str:
    said = f"the volume of {pod} belongs to ring {found}, not to {seen.bazaar.status.ring_id}: "
    if seen.bazaar.status.history:
        return said + "move it away, or delete its claim and its pod"
    return said + (
        f"to take that ring over set spec.storage.adoptRing: {found}; to begin anew delete the"
        " claims and the pods"
    )


def _without_ring(seen: Observation) -> tuple[str, str]:
    status, answering, voters = seen.bazaar.status, heard(seen.pods), seen.voters
    if status.recovered_from.ring and not status.members and not seen.epoch:
        return "Starting", recovery.progress(seen)
    if not status.history and not seen.epoch:
        return "Starting", (
            f"{len(answering)} of {status.genesis_peers} peers answer,"
            f" {len(status.volumes)} volumes are recorded, {len(seen.serving)} are formatted"
        )
    serving = {pod.ordinal for pod in seen.serving}
    hidden = {pod.ordinal for pod in seen.pods if pod.ready and pod.peer is None}
    told = f"{len(serving & voters)} of {len(voters)} voters answer"
    if is_majority(serving, voters):
        return "Electing", told
    if is_majority(serving | hidden, voters):
        return "Unknown", told
    # Only the former phase tells pods that come up after a long sleep from a ring that was lost.
    return ("Waking" if status.phase in {"Hibernated", "Waking"} else "NoMajority"), told


def _with_ring(seen: Observation, ring: Ring) -> tuple[str, str]:
    wish, found = seen.bazaar.spec.peers, seen.statefulset
    assert found is not None, "without it there are no pods to observe"
    voting = sum(member.voter for member in ring.members)
    if (ring.size, voting, len(ring.members), found.replicas) != (wish,) * 4:
        said = f"{voting} of {wish} peers vote, {found.replicas} replicas"
        return "Scaling", f"{said}: {ring.waits}" if ring.waits else said
    changed = found.applied != seen.wished_hash
    if changed or seen.old:
        current = 0 if changed else len(seen.pods) - len(seen.old)
        return "Updating", f"{current} of {wish} pods are updated"
    if len(ring.live) < wish:
        return "Degraded", f"{len(ring.live)} of {wish} peers are ready"
    return "Running", f"{wish} of {wish} peers are ready"


# ---- the conditions ----


def _conditions(seen: Observation, phase: str, progress: str) -> tuple[Condition, ...]:
    bazaar = seen.bazaar
    ready = _condition(
        bazaar, "Ready", _truth(phase == "Running"), phase, progress, seen.now, clock=True
    )
    since = datetime.fromisoformat(ready.last_transition_time).timestamp()
    late = seen.now - since >= PHASES[phase].deadline_s
    rest = [
        _condition(bazaar, name, truth, phase, message, seen.now)
        for name, truth, message in _truths(seen, phase, progress, late)
    ]
    if seen.dropped:
        told = OUTDATED.format(", ".join(seen.dropped))
        rest.append(_condition(bazaar, "Degraded", "True", "CRDOutdated", told, seen.now))
    return (ready, *rest)


def _truths(
    seen: Observation, phase: str, progress: str, late: bool
) -> Iterator[tuple[str, Truth, str]]:
    trading, waits = seen.ring is not None, image(seen) != seen.image
    somebody = any(peer.role == "trader" for _, peer in heard(seen.serving))
    unknown: Truth = "Unknown" if phase == "Unknown" else "False"
    refused = progress if phase == "Foreign" else recovery.refusal(seen)
    yield "Accepted", _truth(not refused), refused
    yield "Available", "True" if trading else unknown, "" if trading else progress
    yield "TraderElected", "True" if somebody else unknown, ""
    asleep = phase == "Hibernated" and not seen.pods
    rests = asleep or phase in {"Running", "Paused", "Foreign"}
    yield "Reconciling", _truth(not (rests or late)), ""
    moving = phase in {"Pending", "Starting", "Scaling", "Updating", "Waking"}
    told = f"image {seen.image} waits: annotate {UPDATE_TO}={seen.image}" if waits else ""
    yield "Progressing", _truth(moving), progress if moving else told
    if not seen.dropped:  # else it is said in _conditions, with a reason of its own
        missing = seen.ring is None or len(seen.ring.live) < len(seen.ring.members)
        missing = missing and phase != "Hibernated"
        yield "Degraded", unknown if unknown == "Unknown" else _truth(missing), ""
    step = PHASES[phase].next_step
    yield "Stalled", _truth(late), f"{progress}; {step}".removesuffix("; ") if late else ""


def _truth(fact: bool) -> Truth:
    return "True" if fact else "False"


def _condition(
    bazaar: Bazaar,
    name: str,
    truth: Truth,
    reason: str,
    message: str,
    now: float,
    clock: bool = False,
) -> Condition:
    """Keep the former transition time unless the truth has changed; for the clock, anything."""
    former = next((c for c in bazaar.status.conditions if c.type == name), None)
    stands = former is not None and former.status == truth
    if clock and former is not None:
        stands = stands and (former.reason, former.message) == (reason, message)
    kept = former.last_transition_time if former is not None and stands else ""
    return Condition(
        type=name,
        status=truth,
        reason=reason,
        message=message,
        last_transition_time=kept or datetime.fromtimestamp(now, UTC).strftime("%FT%TZ"),
        observed_generation=bazaar.generation,
    )
