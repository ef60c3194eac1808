"""What one peer's process is started with: one argument, checked in one place.

On one machine peer i has the ports PORT + i and PORT + offset + i of one host. In a cluster
(`hosts` is given) each has a host of its own, and all have the same two ports.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bazaar_peer.agents.agent import ITEMS
from bazaar_peer.core.types import Nanos, Timing


class ProcessSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a peer's process needs to know; `peers` and ports make the addresses."""

    me: int
    peers: int
    ring: str
    volume: str
    archive: str = ""
    """Folder for pruned journal segments; empty: they are dropped."""
    log: str = ""
    """Log file; empty: standard error."""
    log_json: bool = False
    log_level: str = "INFO"
    stats: str = ""
    host: str = "127.0.0.1"
    """Where this peer listens."""
    port: int = 8600
    """Client port; on one machine that of peer 0."""
    peer_port_offset: int = 1000
    hosts: str = ""
    """Where peer i is found, with {} for i, such as `bazaar-{}.bazaar-peers`; empty: no cluster."""
    service: str = ""
    """What leads to some peer that serves, whatever DNS knows of pods; empty: nothing does."""
    address: str = ""
    """This pod's own `host:port`, which others hear before DNS knows it (N9)."""
    former: tuple[str, ...] = ()
    """Rings that were given up for this one: volumes of theirs are set aside (R14)."""
    recovers: str = ""
    """The former ring of whose volume here this very peer makes this ring; mostly none."""
    restores: str = ""
    """The mark of the backup that this ring begins with (restoring.py); empty: with nothing."""
    certificates: str = ""
    """Folder with the certificates of the ring's peers, and whom they trust; empty: no TLS."""
    key: str = ""
    """File with the key of this peer's certificate."""
    token: str = ""
    """Who shows it may change the ring (docs/http.md); empty: everybody."""
    drills: bool = False
    """Let a drill cut this peer off, or let it stand still, for a while (cut.py, pause.py)."""
    commission_bp: int = 0
    """Of a ring that is made; a ring that is there has its own."""
    items: tuple[str, ...] = ITEMS
    """What the agents trade."""
    election: str = "ring"
    timing: Timing = Timing()
    role: str = ""
    """The agents' role: buyer, seller, both, or nothing."""
    seed: int = 0
    rate: float = 0.0
    """Orders a second of this peer's buyer."""
    linger_s: float = 0.0
    """How long a peer that goes serves on: after SIGTERM, or a wish that leaves it out (K1: 5 s in
    a cluster)."""
    grace_s: float = 20.0
    """A peer that could not leave well by then leaves all the same (R11)."""
    checkpoint_entries: int = 20_000
    checkpoint_interval: Nanos = 0
    preempt: bool = False
    record: bool = True
    """Keep a record of the protocol's steps on the volume (docs/record.md)."""
    reserve_bytes: int = 64 * 1024 * 1024

    @property
    def in_cluster(self) -> bool:
        return self.hosts != ""

    @property
    def hurts(self) -> bool:
        """Whether it may be asked to hurt others (faults.py): their processes are at hand."""
        return self.drills and not self.in_cluster

    @property
    def name(self) -> str:
        """What people call this ring."""
        return self.hosts.partition("-{}")[0] or "bazaar"

    @property
    def client_port(self) -> int:
        return self.port if self.in_cluster else self.port + self.me

    @property
    def peer_port(self) -> int:
        return self.client_port + self.peer_port_offset

    @property
    def https_port(self) -> int:
        """Where clients speak TLS, if the ring has certificates."""
        return self.peer_port + self.peer_port_offset

    @property
    def own_address(self) -> str:
        """`host:port` where other peers can dial this one."""
        return self.address or self.peer_address(self.me)

    def host_of(self, peer: int) -> str:
        """Return the name of a peer's own host, in a cluster."""
        return self.hosts.format(peer)

    def peer_address(self, peer: int) -> str:
        if self.in_cluster:
            return f"{self.host_of(peer)}:{self.peer_port}"
        return f"{self.host}:{self.port + self.peer_port_offset + peer}"

    def client_url(self, peer: int) -> str:
        if self.in_cluster:
            return f"http://{self.host_of(peer)}:{self.client_port}"
        return f"http://{self.host}:{self.port + peer}"

    def https_url(self, peer: int) -> str:
        """Return where a peer of a ring with certificates serves clients by TLS."""
        return f"https://{self.host_of(peer)}:{self.https_port}"


def encode_settings(settings: ProcessSettings) -> str:
    return msgspec.json.encode(settings).decode()


def decode_settings(text: str) -> ProcessSettings:
    """Read settings back. Raises msgspec.ValidationError naming the field that is wrong."""
    return msgspec.json.decode(text, type=ProcessSettings)
