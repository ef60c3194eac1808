"""From what there is to the resource's status: what is latched, the phase, the conditions; pure.

`Ready` has the phase (phases.py) as its reason and the progress as its message, and its transition
time moves with either; who makes no progress for longer than the phase's deadline is `Stalled`, and
told what a person can do.

What is latched: the ring's identity at first, and anew by a recovery; `history` once anybody has an
epoch, volumes as they are found, the peers' image. The writer compares and swaps the whole, so a
latch is never lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

from bazaar_operator import labels, recovery, trust
from bazaar_operator.observation import Observation, Pod, heard
from bazaar_operator.phases import PHASES, phase_of
from bazaar_operator.spec import Bazaar, Condition, Status

OUTDATED = (
    "the cluster's definition of Bazaars is older than this operator and drops {} of the status:"
    " kubectl apply --server-side -f charts/bazaar/crds/"
)
Truth = Literal["True", "False", "Unknown"]


def derive(seen: Observation) -> Status:
    """Return the status for this observation; equal to the present one if nothing is new."""
    status = _latched(seen)
    phase, progress = phase_of(seen)
    ring, bazaar = seen.ring, seen.bazaar
    members = ring.members if ring else status.members
    return msgspec.structs.replace(
        status,
        observed_generation=bazaar.generation,
        phase=phase,
        members=members,
        replicas=len(members),
        selector=labels.selector_text(bazaar.name),
        ready=sum(_is_ready(pod, heard_of=ring is not None) for pod in seen.pods),
        trader=ring.trader.name if ring else "",
        epoch=max(status.epoch, 0 if recovery.is_due(seen) else seen.epoch),
        conditions=_conditions(seen, phase, progress),
    )


def _is_ready(pod: Pod, *, heard_of: bool) -> bool:
    """Whether it takes requests: by the kubelet, and by itself where the ring can be heard.

    The kubelet of a node that stands still says so for 40 s more.
    """
    says = pod.peer is not None and pod.peer.ready
    return pod.ready and not pod.leaving and (says or not heard_of)


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
    status, spec, image = seen.bazaar.status, seen.bazaar.spec, seen.peers_image
    if recovery.is_due(seen):
        return msgspec.structs.replace(recovery.given_up(seen), image=image)
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
    tls = trust.status_of(seen)
    return msgspec.structs.replace(status, volumes=_volumes(seen), image=image, tls=tls, **changed)


def _volumes(seen: Observation) -> dict[str, str]:
    """As recorded; new ones of a first start, and those whom a committed member names (R14)."""
    status = seen.bazaar.status
    found = dict(status.volumes)
    if seen.may_form():
        for pod, peer in heard(seen.pods):
            genesis = pod.ordinal in seen.makers and peer.ring == status.ring_id
            if genesis and peer.state == "empty" and peer.volume:
                found.setdefault(str(pod.ordinal), peer.volume)
    if seen.ring:
        lives = {(m.id, m.incarnation): m for m in seen.ring.members}
        for pod, peer in heard(seen.serving):  # members of the first hour are not named
            if (pod.ordinal, peer.incarnation) in lives:
                found.setdefault(str(pod.ordinal), peer.volume)
        found |= {str(m.id): m.volume for m in seen.ring.members if m.volume}
    return found


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
    trading, waits = seen.ring is not None, seen.peers_image != seen.image
    somebody = any(peer.role == "trader" for _, peer in heard(seen.serving))
    unknown: Truth = "Unknown" if phase == "Unknown" else "False"
    refused = recovery.refusal(seen) or trust.refusal(seen)
    refused = progress if phase == "Foreign" else refused
    yield "Accepted", _truth(not refused), refused
    yield "Available", "True" if trading else unknown, "" if trading else progress
    yield "TraderElected", "True" if somebody else unknown, ""
    asleep = phase == "Hibernated" and not seen.pods
    rests = asleep or phase in {"Running", "Paused", "Foreign", "Awaiting"}
    yield "Reconciling", _truth(not (rests or late)), ""
    moving = phase in {"Pending", "Starting", "Scaling", "Updating", "Waking"}
    told = f"image {seen.image} waits: annotate {labels.UPDATE_TO}={seen.image}" if waits else ""
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
