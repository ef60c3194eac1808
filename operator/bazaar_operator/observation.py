"""What there is, as values, and what follows from it: no I/O, no clock.

A *silent* peer is one whose pod did not answer. The *ring* is known only when its trader and a
majority of its voters say the same: otherwise there is no observation, and without one there is
no action that could harm. A pod is *old* while its revision is not that of the StatefulSet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from bazaar_operator import labels, manifests
from bazaar_operator.spec import Bazaar, Member
from bazaar_operator.views import AWAITING, SERVING, PeerView

if TYPE_CHECKING:
    from bazaar_operator.trust import Trust

APPLIED_HASH = f"{labels.GROUP}/applied-hash"
"""On the StatefulSet: what it was built from, without `replicas`; never a deep comparison."""


class Address(NamedTuple):
    """Where a peer is asked, and how it is known that it is this one who answers."""

    ip: str = ""
    name: str = ""
    """That its certificate bears."""
    trust: str = ""
    """Certificates of whom its ring trusts, PEM; empty: none can be read."""
    required: bool = False
    """The ring's token is not sent there in clear, and nothing that is said in clear counts."""


class Pod(Struct, frozen=True, kw_only=True):
    name: str
    uid: str
    ordinal: int
    revision: str = ""
    at: Address = Address()
    started: bool = False
    """Its container ran at least once; a pod that never started has done nothing yet."""
    ready: bool = False
    leaving: bool = False
    labelled: bool = False
    down: bool = False
    """Its container does not run now: it waits to be started again, or has ended."""
    nudged: str = ""
    """What its certificates were when its kubelet was last told to look."""
    peer: PeerView | None = None


class StatefulSet(Struct, frozen=True, kw_only=True):
    replicas: int
    generation: int = 1
    observed: bool = True
    """Its controller has seen this generation, so `revision` is that of the present template."""
    revision: str = ""
    applied: str = ""


class Claim(Struct, frozen=True, kw_only=True):
    name: str
    uid: str
    ordinal: int
    version: str = ""
    owners: tuple[dict[str, Any], ...] = ()
    leaving: bool = False


class Ring(Struct, frozen=True, kw_only=True):
    """The ring as its trader and a majority of its voters see it."""

    trader: Pod
    epoch: int
    size: int
    generation: int
    waits: str
    members: tuple[Member, ...]
    live: frozenset[int]
    """Voters that answer, follow this trader, are ready, and are not about to go."""

    @property
    def voters(self) -> frozenset[int]:
        return voters_of(self.members)


@dataclass(frozen=True, kw_only=True)
class Observation:
    bazaar: Bazaar
    now: float
    image: str
    """The peers' image that this operator brings."""
    turn: bool = True
    """No other Bazaar is being updated to that image."""
    dropped: tuple[str, ...] = ()
    """Fields of the status that the API server does not keep: its definition is an older one."""
    age_s: float = 0.0
    statefulset: StatefulSet | None = None
    pods: tuple[Pod, ...] = ()
    claims: tuple[Claim, ...] = ()
    trust: Trust | None = None
    """Of a ring that has certificates, or is to have them."""

    @cached_property
    def serving(self) -> tuple[Pod, ...]:
        """Who answers and takes part in this very ring."""
        ring = self.bazaar.status.ring_id
        return tuple(
            pod for pod, peer in heard(self.pods) if peer.state == SERVING and peer.ring == ring
        )

    @cached_property
    def epoch(self) -> int:
        return max((peer.epoch for _, peer in heard(self.serving)), default=0)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The members as far as anybody knows them: from the newest view, or as last recorded."""
        told = [peer for _, peer in heard(self.serving) if peer.members]
        newest = max(told, key=lambda peer: (peer.commit_index, peer.epoch), default=None)
        return newest.members if newest else self.bazaar.status.members

    @cached_property
    def voters(self) -> frozenset[int]:
        """Who votes, as far as anybody knows; of a ring that nobody has seen yet, its makers."""
        return voters_of(self.members) or self.makers

    @property
    def makers(self) -> frozenset[int]:
        """Who begins the ring: all of its first peers, or the one that has what it is made of."""
        status = self.bazaar.status
        if status.recovered_from.peer >= 0:
            return frozenset({status.recovered_from.peer})
        if self.bazaar.spec.storage.restore_from:
            return frozenset({RESTORER})
        return frozenset(range(status.genesis_peers))

    @cached_property
    def ring(self) -> Ring | None:
        for pod, peer in heard(self.serving):
            if peer.role == "trader" and peer.epoch == self.epoch > 0:
                return self._followed(pod, peer)
        return None

    def _followed(self, pod: Pod, trader: PeerView) -> Ring | None:
        voters = voters_of(trader.members)
        follow = {
            other.ordinal: other.ready and peer.ready and not other.leaving
            for other, peer in heard(self.serving)
            if other.ordinal in voters
            and (peer.epoch, peer.trader) == (trader.epoch, trader.ordinal)
        }
        if not is_majority(follow, voters):
            return None
        return Ring(
            trader=pod,
            epoch=trader.epoch,
            size=trader.size,
            generation=trader.generation,
            waits=trader.waits,
            members=trader.members,
            live=frozenset(ordinal for ordinal, live in follow.items() if live),
        )

    @cached_property
    def floor(self) -> int:
        """Highest member + 1, by the widest of all views; fewer replicas would stop a voter."""
        status = self.bazaar.status
        known = {member.id for _, peer in heard(self.serving) for member in peer.members}
        if self.ring is None:
            known |= {member.id for member in status.members} | {status.recovered_from.peer}
        if not status.history:
            known.add(status.genesis_peers - 1)
        return max(known, default=-1) + 1

    @cached_property
    def replicas(self) -> int:
        """What to send: the wish once the ring is known, otherwise what stands there.

        A ring that wakes is not known, and begins with all its members.
        """
        if self.bazaar.spec.hibernated:
            return 0
        if self.ring is None and self.statefulset is not None:
            return max(self.statefulset.replicas, self.floor)
        if not self.bazaar.status.history and self.ring is None:
            return self.floor  # a wish that changed before the first start waits for the ring
        return max(self.bazaar.spec.peers, self.floor)

    @cached_property
    def objects(self) -> tuple[Mapping[str, Any], ...]:
        """All objects of the Bazaar as they should be; the StatefulSet bears its hash."""
        built = manifests.build(self.bazaar, replicas=self.replicas)
        for manifest in built:
            if manifest["kind"] == "StatefulSet":
                manifest["metadata"]["annotations"] = {APPLIED_HASH: self.wished_hash}
        return tuple(built)

    @cached_property
    def wished_hash(self) -> str:
        built = manifests.build(self.bazaar, replicas=0)
        return hash_of([m["spec"] for m in built if m["kind"] == "StatefulSet"])

    @cached_property
    def template_stands(self) -> bool:
        """The StatefulSet is built as wished, and its controller knows it."""
        found = self.statefulset
        return found is not None and found.observed and found.applied == self.wished_hash

    @cached_property
    def old(self) -> tuple[Pod, ...]:
        """Pods that are to be updated; not those that only go because nobody wishes for them."""
        found = self.statefulset
        return tuple(
            pod
            for pod in self.pods
            if found and pod.revision != found.revision and pod.ordinal < found.replicas
        )

    @property
    def peers_image(self) -> str:
        """The operator's image, once the policy lets it in; rings are updated one by one."""
        status, spec = self.bazaar.status, self.bazaar.spec
        if not status.image or self.bazaar.annotations.get(labels.UPDATE_TO) == self.image:
            return self.image
        may = spec.update_policy == "Auto" and self.turn and not spec.paused
        return self.image if may else status.image

    def caught_up(self, pod: Pod) -> bool:
        return self.ring is not None and pod.ordinal in self.ring.live

    @property
    def is_new(self) -> bool:
        """Nothing tells that the ring traded or grew before: a status may be a backup's (R14)."""
        status, found = self.bazaar.status, self.statefulset
        first = status.genesis_peers
        traded = status.history or status.epoch or status.members or self.epoch
        grew = any(pod.ordinal >= first for pod in self.pods)
        return not (traded or grew or (found is not None and found.replicas > first))

    @property
    def first(self) -> list[PeerView]:
        """What the ring's first peers say, of whom it is to be made or learnt whether it is new."""
        count = self.bazaar.status.genesis_peers
        return [peer for _, peer in heard(self.pods) if peer.ordinal < count]

    def may_form(self) -> bool:
        """First start: nobody has history, no volume of another ring lies there, enough are heard.

        All volumes are waited for, but not for ever: a pod that cannot be placed, or whose volume
        has no room, must not keep a majority from trading; it joins as a learner when it comes.
        So it is where one of them makes the ring of a backup: the others may know of a life of this
        ring that the status forgot.
        """
        genesis = [peer for peer in self.first if peer.state != "full"]
        if not self.is_new or not self.bazaar.status.ring_id:
            return False
        if any(peer.state not in FORMING for peer in genesis):
            return False
        wanted = self.bazaar.status.genesis_peers
        if self.age_s > FORM_WITHOUT_ALL_S:
            wanted = wanted // 2 + 1
        return len(genesis) >= wanted


FORM_WITHOUT_ALL_S = 60.0
FORMING = frozenset({"empty", AWAITING, SERVING})
"""States of first peers that do not keep a new ring from being made."""
RESTORER = 0
"""The peer that is given a backup, and makes the ring of it."""


def heard(pods: Iterable[Pod]) -> list[tuple[Pod, PeerView]]:
    return [(pod, pod.peer) for pod in pods if pod.peer is not None]


def voters_of(members: Iterable[Member]) -> frozenset[int]:
    return frozenset(member.id for member in members if member.voter)


def is_majority(some: Iterable[int], voters: frozenset[int]) -> bool:
    return 2 * len(voters & set(some)) > len(voters)


def hash_of(value: object) -> str:
    """Of what an object is built from: equal wishes have equal hashes, over restarts too."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
