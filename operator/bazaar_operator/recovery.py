"""After the loss of a majority of volumes: a new ring of the best survivor's volume (R14); pure.

Without a majority nobody can tell what was acknowledged, so no operator may decide to go on: a
person does, and names the ring that is given up and the peer whose volume is the best that is left
(`spec.storage.recoverFrom`). The operator sees that the ring cannot go on by itself, that this
volume is there and that no better one is, and latches the next ring's id: from then on the
former ring is history. The wish counts for the present ring only, so it has no effect twice.

Who does not answer may live all the same, cut off with its node from here and from nobody else. It
counts as alive until its pod is gone, or its container is known not to run.
"""

from __future__ import annotations

import msgspec

from bazaar_operator.observation import (
    Observation,
    Pod,
    hash_of,
    heard,
    is_majority,
    voters_of,
)
from bazaar_operator.spec import RecoveredFrom, Status
from bazaar_operator.views import PeerView

UNTOLD = frozenset({"starting", "locked", "full"})
"""States of a peer that may be about to serve from a whole volume, or another process does."""


def is_due(seen: Observation) -> bool:
    """Tell whether the ring is to be given up now."""
    return _is_wished(seen) and not refusal(seen)


def given_up(seen: Observation) -> Status:
    """Return the status by which the next ring exists; what was recorded of the former one goes.

    The id is never used again, even if this status is lost: it is bound to what was seen.
    """
    status, best = seen.bazaar.status, _named(seen)
    assert best is not None
    assert best.peer is not None
    former = (*status.former_ring_ids, status.ring_id)
    mark = hash_of([seen.bazaar.resource_version, status.ring_id, best.ordinal])[:8]
    return msgspec.structs.replace(
        status,
        ring_id=f"{seen.bazaar.uid}.r{len(former)}.{mark}",
        former_ring_ids=former,
        recovered_from=RecoveredFrom(ring=_ring_of(best.peer), peer=best.ordinal),
        volumes={},
        members=(),
        epoch=0,
    )


def refusal(seen: Observation) -> str:
    """Say why a recovery that is wished for is not done, and what to do; empty: nothing hinders."""
    if not _is_wished(seen):
        return ""
    why = _hindrance(seen)
    return f"spec.storage.recoverFrom is not followed: {why}" if why else ""


def progress(seen: Observation) -> str:
    """Say how far the next ring is that nobody has seen yet."""
    made = seen.bazaar.status.recovered_from
    peer = next((p for pod, p in heard(seen.pods) if pod.ordinal == made.peer), None)
    said = f"ring {seen.bazaar.status.ring_id} is made of what peer {made.peer} has"
    if peer is None or peer.ring != seen.bazaar.status.ring_id:
        return f"{said}, once its pod is restarted"
    return f"{said}, which says: {peer.why}" if peer.why else said


def _is_wished(seen: Observation) -> bool:
    spec, wish = seen.bazaar.spec, seen.bazaar.spec.storage.recover_from.ring
    rests = spec.paused or spec.hibernated
    return wish != "" and wish == seen.bazaar.status.ring_id and not rests


def _hindrance(seen: Observation) -> str:
    status, wish = seen.bazaar.status, seen.bazaar.spec.storage.recover_from
    serving = {pod.ordinal for pod in seen.serving}
    unseen = {pod.ordinal for pod in seen.pods if _may_live(pod)}
    best = _named(seen)
    if not status.history:
        return "the ring has never traded, so nothing is lost: delete the empty claims and pods"
    if seen.ring is not None or is_majority(serving, seen.voters):
        return "a majority of the ring answers, so it goes on by itself: take the wish away"
    known = (seen.voters, voters_of(status.members))  # a peer that lags may know older members
    if any(is_majority(serving | unseen, voters) for voters in known):
        return (
            f"peers {_listed(unseen)} do not tell whether they live, and might be a majority. Where"
            " a node is gone for good delete its pods by force; else wait until they answer"
        )
    if seen.image != status.image:
        return f"image {status.image} may not know how: let {seen.image} in first"
    if wish.peer is None:
        return "it names no peer: name the one whose volume is the best that is left"
    if best is None or best.peer is None:
        return (
            f"peer {wish.peer} does not answer with a whole volume of this ring. {_survivors(seen)}"
        )
    further = [pod.ordinal for pod in _left(seen) if _is_further(pod, best)]
    if further:
        return (
            f"peer {further[0]} has more than peer {wish.peer}, and all of that would be lost."
            f" {_survivors(seen)}"
        )
    return ""


def _may_live(pod: Pod) -> bool:
    if pod.peer is not None:
        return pod.peer.state in UNTOLD
    return pod.started and not pod.down


def _left(seen: Observation) -> list[Pod]:
    """Who has a whole volume: of this ring, or of one that was given up for it in vain."""
    formers = seen.bazaar.status.former_ring_ids
    waiting = [pod for pod, p in heard(seen.pods) if p.state == "former" and p.found in formers]
    return [*seen.serving, *waiting]


def _named(seen: Observation) -> Pod | None:
    name = seen.bazaar.spec.storage.recover_from.peer
    return next((pod for pod in _left(seen) if pod.ordinal == name), None)


def _ring_of(peer: PeerView) -> str:
    return peer.found or peer.ring


def _is_further(one: Pod, other: Pod) -> bool:
    """By the end of the journal (R9); who is of this very ring has more than who is of a former.

    A peer of an older release does not tell its journal's end.
    """
    assert one.peer is not None
    assert other.peer is not None
    if one.peer.last_index and other.peer.last_index:
        return _end(one.peer) > _end(other.peer)
    return one.peer.commit_index > other.peer.commit_index


def _end(peer: PeerView) -> tuple[bool, int, int]:
    return (not peer.found, peer.last_epoch, peer.last_index)


def _survivors(seen: Observation) -> str:
    told = [
        f"peer {pod.ordinal} up to index {p.last_index} of epoch {p.last_epoch}"
        for pod, p in heard(_left(seen))
    ]
    return f"There are: {'; '.join(told) or 'none'}"


def _listed(peers: set[int]) -> str:
    return ", ".join(map(str, sorted(peers)))
