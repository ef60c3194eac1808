"""The Bazaar resource as values: what a user wishes (`Spec`) and what was found (`Status`).

`crd.yaml` says the same to the API server, defaults and bounds included, and a test compares the
two. It is checked here again, because an object can be older than the rules of its definition.
Unknown fields are ignored: after a downgrade of the operator a resource may have newer ones.

All structs are frozen. Fields that are latched (see `Status`) decide the identity of the ring;
nothing else may be derived from the status when objects are built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

PEERS_MAX = 24
NAME_MAX = 40  # leaves room for `-<hash>` in the label controller-revision-hash, 63 at most
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
ITEM = r"^[a-z0-9][a-z0-9-]{0,31}$"
ROLES = r"^(both|random|buyers=[0-9]{1,2},sellers=[0-9]{1,2})$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$"

Mark = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Retention = Literal["Retain", "Delete"]
Quantity = Annotated[str, Meta(pattern=QUANTITY)]
Item = Annotated[str, Meta(pattern=ITEM)]
ITEMS = ("salt", "fish", "boars", "figs", "wool", "lamps")


class InvalidSpec(Exception):  # noqa: N818 - a verdict on what a user wrote, not a failure of ours
    """A resource that cannot become a ring; the text says which field, and what it may be."""


class Market(Struct, frozen=True, kw_only=True, rename="camel"):
    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=32)] = ITEMS
    roles: Annotated[str, Meta(pattern=ROLES)] = "both"
    """`both`, `random`, or `buyers=K,sellers=M`: ordinals beyond K + M are both."""
    seed: Annotated[int, Meta(ge=0, le=2**53)] = 0
    orders_per_second: Annotated[int, Meta(ge=0, le=10_000)] = 20
    """Of all buyers together; 0: the peers' own agents rest."""
    commission_bp: Annotated[int, Meta(ge=0, le=10_000)] = 0


class Election(Struct, frozen=True, kw_only=True, rename="camel"):
    algorithm: Literal["ring", "bully"] = "ring"
    preempt: bool = False


class Heartbeat(Struct, frozen=True, kw_only=True, rename="camel"):
    interval_ms: Annotated[int, Meta(ge=10, le=10_000)] = 100
    timeout_ms: Annotated[int, Meta(ge=30, le=60_000)] = 500


class Checkpoint(Struct, frozen=True, kw_only=True, rename="camel"):
    interval_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    entries: Annotated[int, Meta(ge=100, le=10_000_000)] = 20_000
    keep_journal: bool = False


class RetentionPolicy(Struct, frozen=True, kw_only=True, rename="camel"):
    when_deleted: Retention = "Retain"
    when_scaled: Retention = "Retain"


class RecoverFrom(Struct, frozen=True, kw_only=True):
    """A person's word that a ring is to be given up, and whose volume the next one is made of."""

    ring: str = ""
    peer: Annotated[int, Meta(ge=0, le=PEERS_MAX - 1)] | None = None


class Storage(Struct, frozen=True, kw_only=True, rename="camel"):
    size: Quantity = "1Gi"
    class_name: str | None = None
    """None: the cluster's default class; empty: no class at all, volumes made beforehand."""
    retention_policy: RetentionPolicy = RetentionPolicy()
    adopt_ring: str | None = None
    recover_from: RecoverFrom = RecoverFrom()
    restore_from: Mark | None = None
    """The mark of the backup that the ring begins with."""


class Resources(Struct, frozen=True, kw_only=True):
    requests: dict[str, str | int] = field(
        default_factory=lambda: {"cpu": "100m", "memory": "128Mi"}
    )
    limits: dict[str, str | int] = field(default_factory=lambda: {"memory": "512Mi"})


class Toleration(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Scheduling(Struct, frozen=True, kw_only=True, rename="camel"):
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    priority_class_name: str | None = None
    topology_key: str = "kubernetes.io/hostname"
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"


class NetworkPolicy(Struct, frozen=True, kw_only=True):
    enabled: bool = False


class Tls(Struct, frozen=True, kw_only=True):
    enabled: bool = False


class Spec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a user wishes; the defaults are those of the definition."""

    peers: Annotated[int, Meta(ge=1, le=PEERS_MAX)] = 6
    market: Market = Market()
    election: Election = Election()
    heartbeat: Heartbeat = Heartbeat()
    checkpoint: Checkpoint = Checkpoint()
    storage: Storage = Storage()
    resources: Resources = field(default_factory=Resources)
    scheduling: Scheduling = Scheduling()
    network_policy: NetworkPolicy = NetworkPolicy()
    tls: Tls = Tls()
    update_policy: Literal["Auto", "Supervised"] = "Auto"
    record: bool = True
    drills: bool = False
    hibernated: bool = False
    paused: bool = False


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class Member(Struct, frozen=True, kw_only=True):
    id: int
    incarnation: int
    voter: bool
    volume: str = ""


class RecoveredFrom(Struct, frozen=True, kw_only=True):
    """The peer that makes the ring, and the former ring whose volume it has; none: peer -1."""

    ring: str = ""
    peer: int = -1


class TlsStatus(Struct, frozen=True, kw_only=True):
    """Of the ring's certificates; `mode` and `keys` are latched, and pods are built by them."""

    mode: str = ""
    """Empty, Offered or Required."""
    token: str = ""
    """Required: the ring's token is shown by TLS alone. Empty: not yet."""
    keys: str = ""
    """Which keys the pods have: others roll the ring."""
    step: str = ""
    """Of a rotation: Trusting, Issuing, or Stable."""
    until: str = ""
    """When the first of the certificates ends that were issued last."""


class Status(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found. Latched, so written once: `ring_id` with `genesis_peers`, and `history`.

    A recovery alone changes the ring's id, and `former_ring_ids` and `recovered_from` with it.
    """

    observed_generation: int = -1
    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    ring_id: str = ""
    genesis_peers: int = 0
    history: bool = False
    """Some peer reported an epoch, or the ring was adopted: empty volumes are learners for ever."""
    former_ring_ids: tuple[str, ...] = ()
    recovered_from: RecoveredFrom = RecoveredFrom()
    volumes: dict[str, str] = {}
    """Volume id by ordinal as a string; written by compare-and-swap only (R14)."""
    members: tuple[Member, ...] = ()
    replicas: int = 0
    selector: str = ""
    ready: int = 0
    trader: str = ""
    epoch: int = 0
    tls: TlsStatus = TlsStatus()
    image: str = ""
    """The peers' image; latched until the update policy lets a new one in."""


class Bazaar(Struct, frozen=True, kw_only=True):
    """One resource: who it is, what is wished, what was found."""

    name: str
    namespace: str
    uid: str
    generation: int = 0
    resource_version: str = ""
    annotations: Mapping[str, str] = {}
    deleting: bool = False
    spec: Spec = field(default_factory=Spec)
    status: Status = Status()


def parse(body: Mapping[str, Any]) -> Bazaar:
    """Read a resource as the API server gives it.

    Raises:
        InvalidSpec: It breaks a rule; the text names the field and says what it may be.
    """
    meta = body["metadata"]
    if len(meta["name"]) > NAME_MAX or not NAME.fullmatch(meta["name"]):
        raise InvalidSpec(
            f"metadata.name {meta['name']!r} cannot name a ring: use at most {NAME_MAX} lower-case"
            " letters, digits and hyphens, with a letter first and no hyphen last"
        )
    spec = _read("spec", body.get("spec") or {}, Spec)
    _check(spec)
    return Bazaar(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation") or 0,
        resource_version=meta.get("resourceVersion") or "",
        annotations=dict(meta.get("annotations") or {}),
        deleting=meta.get("deletionTimestamp") is not None,
        spec=spec,
        status=_read("status", body.get("status") or {}, Status),
    )


def _read(root: str, found: Any, shape: type[Any]) -> Any:
    try:
        return msgspec.convert(found, shape)
    except msgspec.ValidationError as wrong:
        reason, _, place = str(wrong).partition(" - at `$")
        path = root + place.rstrip("`")
        raise InvalidSpec(f"{path}: {reason[:1].lower()}{reason[1:]}") from wrong


def _check(spec: Spec) -> None:
    """What needs two fields at once; the CEL rules of the definition say the same."""
    beat, items = spec.heartbeat, spec.market.items
    if beat.timeout_ms < 3 * beat.interval_ms:
        raise InvalidSpec(
            f"spec.heartbeat.timeoutMs is {beat.timeout_ms}, less than three intervals of"
            f" {beat.interval_ms} ms: one late heartbeat would depose a healthy trader; set it to"
            f" {3 * beat.interval_ms} or more"
        )
    if spec.storage.adopt_ring and spec.storage.restore_from:
        raise InvalidSpec(
            "spec.storage has adoptRing and restoreFrom: a ring goes on with retained volumes or"
            " begins with a backup; wish for one of them"
        )
    if len(set(items)) < len(items):
        raise InvalidSpec("spec.market.items names an item twice: each may stand there once")
