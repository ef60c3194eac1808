"""A peer that was held up: it was called long after the time at which it had asked to be.

While its process stood still it could hear nobody, so nobody's silence meant anything (N3, N5). If
all was well when it should have been called, it is patient for an interval of heartbeats: in that
it reads what lay in its sockets, and those who stood still with it, on the same machine, speak
again. Who is held up again before anybody was heard was not well by then, so patience does not add
up. What was heard when stays as it was: nobody counts for alive by it (R10), and no age is younger.
No rule of safety knows time; a trader that was replaced meanwhile hears so from the first that it
writes to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core.types import MS, Nanos, Role

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer


def bear(peer: Peer, due: Nanos) -> None:
    """Take the silence of who was held up for none; `due`: when it had asked to be called."""
    late, interval = peer.now - due, peer.timing.heartbeat_interval
    if late <= interval:
        return
    part = peer.trader_role if peer.role is Role.TRADER else peer.follower
    if part.bear(due, peer.now + interval):
        peer.note("held_up", ms=late // MS)
