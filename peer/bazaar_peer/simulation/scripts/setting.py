"""What many scripts begin with: a ring that trades, and one of its peers cut off."""

from __future__ import annotations

from typing import Any

from bazaar_peer.simulation.script import Script

TIMEOUT_MS = 150


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
