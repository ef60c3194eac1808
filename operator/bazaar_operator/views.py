"""What one peer says of itself, as the operator reads it."""

from __future__ import annotations

from msgspec import Struct

from bazaar_operator.spec import Member

AWAITING = "awaiting"
"""The state of a peer that has yet to be given the backup that its ring begins with."""
VOTELESS = frozenset(
    {"empty", AWAITING, "foreign", "former", "damaged", "unwanted", "locked", "full"}
)
"""States of a process that votes nowhere: to stop it takes nothing from a majority."""


OFFERED, REQUIRED = "Offered", "Required"
"""How peers speak with each other: by TLS with those who know it, or with everybody."""
SERVING, STARTING = "serving", "starting"


class TlsView(Struct, frozen=True):
    """Which certificates a peer uses: marks of what it was given."""

    mode: str = ""
    trust: str = ""
    certificate: str = ""
    why: str = ""
    """Why it does not use what it was given last."""


class PeerView(Struct, frozen=True):
    """One peer's own words: GET /v1/peer. Unknown fields are of newer peers, and ignored."""

    state: str
    why: str = ""
    ring: str = ""
    ordinal: int = -1
    volume: str = ""
    release: str = ""
    found: str = ""
    incarnation: int = 0
    ready: bool = False
    role: str = ""
    trader: int = -1
    epoch: int = 0
    commit_index: int = 0
    applied_index: int = 0
    last_epoch: int = 0
    last_index: int = 0
    """Where its journal ends; of `former`, that of the volume of ring `found`."""
    voter: bool = False
    size: int = 0
    generation: int = 0
    waits: str = ""
    members: tuple[Member, ...] = ()
    tls: TlsView | None = None
    verified: bool = False
    """By its certificate; whoever asks notes it, whatever was answered."""
