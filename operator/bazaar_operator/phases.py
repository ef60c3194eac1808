"""What is going on with a ring, in one word and one sentence: the phase; pure.

It is derived from each observation anew and never latched. `PHASES` lists all of them with a
deadline each, and with what a person can do about one that lasts.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from bazaar_operator import recovery
from bazaar_operator.observation import FORMING, RESTORER, Observation, Ring, heard, is_majority
from bazaar_operator.views import AWAITING, SERVING

ASLEEP = "no peer runs, and the volumes keep everything; spec.hibernated: false wakes the ring"

LOST_BEFORE = (
    "the volume of peer {peer} that was to begin the ring is gone, and may have begun it: delete"
    " the Bazaar and its claims, and make it anew"
)


class Phase(Struct, frozen=True):
    deadline_s: float
    next_step: str


COMES_UP = "see why pods do not start or volumes are not bound: kubectl describe pod"
PHASES: dict[str, Phase] = {
    "Pending": Phase(60, "look at the operator's log: it could not build the StatefulSet"),
    "Starting": Phase(300, COMES_UP),
    "Awaiting": Phase(float("inf"), ""),
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
        60,
        "pods are ready, but the operator cannot reach port 8600 (8602, if tls.enabled): look at "
        "network policies; a ring whose certificates were all deleted has to sleep and wake",
    ),
    "Foreign": Phase(0, ""),
    "Hibernated": Phase(float("inf"), ""),
    "Waking": Phase(300, COMES_UP),
    "Paused": Phase(float("inf"), ""),
    "Invalid": Phase(0, "correct the resource; the ring goes on as it was"),
}


def phase_of(seen: Observation) -> tuple[str, str]:
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
    if bazaar.status.image and seen.peers_image != bazaar.status.image:
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
    if restoring := _restoring(seen):
        return restoring
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


def _restoring(seen: Observation) -> tuple[str, str] | None:
    """Say what a ring waits for that begins with a backup, and has not begun."""
    if not (seen.bazaar.spec.storage.restore_from and seen.is_new):
        return None
    peer = next((p for _, p in heard(seen.pods) if p.ordinal == RESTORER), None)
    if peer is None or peer.state == SERVING:
        return None
    recorded = seen.bazaar.status.volumes.get(str(RESTORER))
    # One that starts, or whose volume is full or locked, does not name it.
    if recorded is not None and peer.volume and peer.volume != recorded:
        return "Starting", LOST_BEFORE.format(peer=RESTORER)
    phase = "Awaiting" if peer.state == AWAITING else "Starting"
    return phase, "; ".join([f"peer {RESTORER} says: {peer.why}", *_missing(seen)])


def _missing(seen: Observation) -> Iterator[str]:
    """Say whom of its first peers a new ring waits for, too."""
    count = seen.bazaar.status.genesis_peers
    if len(seen.first) < count:
        yield f"{len(seen.first)} of {count} peers answer"
    for peer in seen.first:
        if peer.state not in FORMING and peer.ordinal != RESTORER:
            yield f"peer {peer.ordinal} says: {peer.why}"


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
