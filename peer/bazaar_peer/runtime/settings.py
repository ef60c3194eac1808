"""What one peer's process is started with: one argument, checked in one place."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bazaar_peer.core.types import Timing


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
    port: int = 8600
    """Client port of peer 0; peer i has port + i."""
    peer_port_offset: int = 1000
    token: str = ""
    """Who shows it may change the ring (docs/http.md); empty: everybody."""
    election: str = "ring"
    timing: Timing = Timing()
    role: str = ""
    """The agents' role: buyer, seller, both, or nothing."""
    seed: int = 0
    rate: float = 0.0
    """Orders a second of this peer's buyer."""
    linger_s: float = 0.0
    """How long a peer goes on serving after SIGTERM (K1: 5 s in a cluster)."""
    grace_s: float = 20.0
    """A peer that could not leave well by then leaves all the same (R11)."""
    checkpoint_entries: int = 20_000
    reserve_bytes: int = 64 * 1024 * 1024

    @property
    def client_port(self) -> int:
        return self.port + self.me

    def peer_address(self, peer: int) -> str:
        return f"{self.host}:{self.port + self.peer_port_offset + peer}"

    def client_url(self, peer: int) -> str:
        return f"http://{self.host}:{self.port + peer}"


def encode_settings(settings: ProcessSettings) -> str:
    return msgspec.json.encode(settings).decode()


def decode_settings(text: str) -> ProcessSettings:
    """Read settings back. Raises msgspec.ValidationError naming the field that is wrong."""
    return msgspec.json.decode(text, type=ProcessSettings)
