"""What many scripts begin with: a ring that trades, and one of its peers cut off."""

from __future__ import annotations

from typing import Any

import msgspec

from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import SECOND, Timing
from bazaar_peer.simulation.script import Script

TIMEOUT_MS = 150
PATIENT = Timing(heartbeat_timeout=2 * SECOND)
"""For scripts in which log time passes and nobody is to miss a heartbeat."""


def ring(peers: int = 3, **more: Any) -> tuple[Script, int, list[int]]:
    """Return a trading ring, its trader, and the others."""
    s = Script(peers, **more)
    trader = s.trader()
    s.run(50)
    return s, trader, [p for p in range(peers) if p != trader]


def cut_off(s: Script, peer: int) -> None:
    for other in range(s.world.plan.peers):
        if other != peer:
            s.world.network.set_cut(peer, other, 1)
            s.world.network.set_cut(other, peer, 1)


def opened(**more: Any) -> Script:
    """Return a manual ring of three in which 0 trades and every peer has its own session."""
    s = Script(3, manual=True, **{"timing": PATIENT, **more})
    s.elect(0, 1)
    s.replicate(0, 1, 2)
    s.exchange(0, 1, 2)
    for kind in ("Submit", "Answers", "Append"):
        s.drop(kind)
    assert all(s.peer(p).ingress.session for p in range(3))
    return s


def client_session(s: Script, through: int) -> int:
    """Open a client's own session through a peer; return its name."""
    request = s.submit(through, kind=msg.OPEN_SESSION, body=b"", key="open")
    s.exchange(0, 1, 2)
    s.beat(0, 1, 2)  # all have applied it
    return int(msgspec.json.decode(s.answer(request).body)["session"])
