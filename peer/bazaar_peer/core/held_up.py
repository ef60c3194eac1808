"""A peer that was held up: it was called long after the time at which it had asked to be.

While its process stood still it could hear nobody, so nobody's silence meant anything (N3, N5).
Whom it heard until then it hears for an interval of heartbeats more: in that it reads what lay in
its sockets, and those who stood still with it, on the same machine, speak again. Once: who is held
up again before it has heard anybody bears no more. No rule of safety knows time; a trader that was
replaced meanwhile hears so from the first that it writes to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core.types import MS, Nanos, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


def bear(peer: Peer, due: Nanos) -> None:
    """Take the silence of who was held up for none; `due`: when it had asked to be called."""
    timing, late = peer.timing, peer.now - due
    if late <= timing.heartbeat_interval:
        return
    since = max(due - timing.heartbeat_timeout, peer.bore + 1)
    peer.bore = peer.now - timing.heartbeat_timeout + timing.heartbeat_interval
    part = peer.trader_role if peer.role is Role.TRADER else peer.follower
    if part.bear(since, peer.bore):
        peer.note("held_up", ms=late // MS)
