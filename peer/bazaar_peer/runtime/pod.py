"""A peer's settings in a cluster: ring.json, the same for all of a ring, and the pod's own facts.

ring.json is made by the operator; docs/kubernetes.md says how a `Bazaar` becomes one. What all
peers must agree on from the first day (ring, peers, commission) never changes in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bazaar_peer.agents.agent import ITEMS
from bazaar_peer.agents.roles import role_of
from bazaar_peer.core.admission import PEERS_MAX
from bazaar_peer.core.types import MS, SECOND, Timing
from bazaar_peer.runtime.settings import ProcessSettings

LINGER_S = 5.0
GRACE_S = 20.0
"""With the linger less than the pod's 30 s."""
PORT = 8600
PEER_PORT_OFFSET = 1
HTTPS_PORT = PORT + 2 * PEER_PORT_OFFSET
PODS_NAME = re.compile(r"(?P<name>.+)-(?P<ordinal>[0-9]{1,3})")
Name = Annotated[str, Meta(pattern=r"\A[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\Z")]
RingId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
Mark = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Item = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,31}\Z")]


class PodError(Exception):
    """Settings that cannot be; the text says which and how to mend them."""


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class Heartbeat(_Part, frozen=True):
    interval_ms: Annotated[int, Meta(ge=10, le=10_000)] = 100
    timeout_ms: Annotated[int, Meta(ge=30, le=60_000)] = 500

    def timing(self) -> Timing:
        """Stretch the times of one machine, in the relations in which they stand there."""
        default, timeout = Timing(), self.timeout_ms * MS
        stretch = timeout / default.heartbeat_timeout
        return Timing(
            heartbeat_interval=self.interval_ms * MS,
            heartbeat_timeout=timeout,
            step=int(default.step * stretch),
            hop_timeout=int(default.hop_timeout * stretch),
            retry=default.retry,
        )


class MarketPart(_Part, frozen=True):
    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=32)] = ITEMS
    roles: str = "both"
    seed: int = 0
    orders_per_second: Annotated[float, Meta(ge=0, le=10_000)] = 20.0
    """Of all buyers of the first peers together."""
    commission_bp: Annotated[int, Meta(ge=0, le=10_000)] = 0


class Checkpoint(_Part, frozen=True):
    interval_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    entries: Annotated[int, Meta(ge=100, le=10_000_000)] = 20_000
    keep_journal: bool = False


class RecoverFrom(_Part, frozen=True):
    ring: RingId
    peer: Annotated[int, Meta(ge=0, lt=PEERS_MAX)]


class RingSettings(_Part, frozen=True):
    """ring.json."""

    ring: RingId
    name: Name
    peers: Annotated[int, Meta(ge=1, le=PEERS_MAX)]
    domain: Name
    election: Literal["ring", "bully"] = "ring"
    preempt: bool = False
    heartbeat: Heartbeat = Heartbeat()
    market: MarketPart = MarketPart()
    checkpoint: Checkpoint = Checkpoint()
    record: bool = True
    drills: bool = False
    former: tuple[RingId, ...] = ()
    recover_from: RecoverFrom | None = None
    """Whose volume of which former ring this ring is made of."""
    restore_from: Mark | None = None
    """The backup that this ring begins with."""


def authority(ip: str, port: int) -> str:
    """Return an address as a URL has it: an IPv6 one in brackets (RFC 3986, 3.2.2)."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def pod_settings(
    path: Path, volume: Path, token_file: Path, environment: Mapping[str, str]
) -> ProcessSettings:
    """Read ring.json, the token and the pod's name and address.

    Raises:
        PodError: one of them is not as it should be.
    """
    found = _ring_settings(path)
    me = _ordinal(environment.get("POD_NAME", ""), found.name)
    ip = environment.get("POD_IP", "")
    given_up = found.recover_from
    # A former ring's archive stays as it is: its lives and segments are numbered like this ring's.
    archive = volume / (f"archive-{found.ring}" if found.former else "archive")
    return ProcessSettings(
        me=me,
        peers=found.peers,
        ring=found.ring,
        volume=str(volume / "peer"),
        former=found.former,
        recovers=given_up.ring if given_up and given_up.peer == me else "",
        restores=found.restore_from or "",
        archive=str(archive) if found.checkpoint.keep_journal else "",
        log_json=True,
        stats=str(volume / "stats"),
        host="",
        port=PORT,
        peer_port_offset=PEER_PORT_OFFSET,
        hosts=f"{found.name}-{{}}.{found.domain}",
        service=f"{found.name}-client",
        address=authority(ip, PORT + PEER_PORT_OFFSET) if ip else "",
        token=_token(token_file),
        certificates=environment.get("BAZAAR_CERTIFICATES", ""),
        key=environment.get("BAZAAR_KEY", ""),
        election=found.election,
        timing=found.heartbeat.timing(),
        **_agents(found, me),
        commission_bp=found.market.commission_bp,
        linger_s=LINGER_S,
        grace_s=GRACE_S,
        checkpoint_entries=found.checkpoint.entries,
        checkpoint_interval=found.checkpoint.interval_seconds * SECOND,
        preempt=found.preempt,
        record=found.record,
        drills=found.drills,
    )


def _agents(found: RingSettings, me: int) -> dict[str, Any]:
    market, role = found.market, _role(found, me)
    roles = [role_of(market.roles, i, found.peers, market.seed) for i in range(found.peers)]
    rate = market.orders_per_second / (sum(role.buys for role in roles) or 1)
    return {"role": role, "seed": market.seed, "rate": rate, "items": market.items}


def _ring_settings(path: Path) -> RingSettings:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RingSettings)
    except OSError as error:
        raise PodError(f"{path} cannot be read ({error}): mount the ring's ConfigMap") from error
    except msgspec.MsgspecError as error:
        raise PodError(f"{path}: {error}") from error


def _ordinal(pod: str, name: str) -> int:
    found = PODS_NAME.fullmatch(pod)
    if found is None or found["name"] != name or int(found["ordinal"]) >= PEERS_MAX:
        raise PodError(
            f"POD_NAME is {pod!r}, and should be {name}-0 to {name}-{PEERS_MAX - 1}: a StatefulSet"
            " named as the ring gives such names"
        )
    return int(found["ordinal"])


def _role(found: RingSettings, me: int) -> str:
    try:
        return role_of(found.market.roles, me, found.peers, found.market.seed).value
    except ValueError as error:
        raise PodError(f"market.roles: {error}") from error


def _token(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise PodError(f"{path} cannot be read ({error}): mount the ring's Secret") from error
    if not token.isascii() or not 16 <= len(token) <= 256:
        raise PodError(f"{path} should hold 16 to 256 plain characters, the ring's token")
    return token
