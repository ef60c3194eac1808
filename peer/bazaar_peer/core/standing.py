"""A member's line in a tally, and who of a tally should lead (N4, D4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.types import ordinal_of

if TYPE_CHECKING:
    from bazaar_peer.core.peer import Peer

BEST_FROM = 3
"""Failed rounds from which on only the best journal will do (N4)."""


def unable(peer: Peer) -> bool:
    """Tell whether a peer leaves, or has a stalled disk, which makes as bad a trader."""
    since = peer.now - peer.timing.heartbeat_timeout
    return peer.leaving or (not peer.disk.idle and peer.disk.stuck_since < since)


def reaches_majority(peer: Peer) -> bool:
    """Tell whether a peer and those that are linked to it are enough to decide anything."""
    return quorum.reached(peer.voters, {peer.me, *peer.linked})


def parting(peer: Peer) -> bool:
    """Tell whether a peer is to begin nothing more, since the newest wish leaves it out (R10).

    Not while too few of those that stay are linked: it cannot be removed then, and is needed.
    """
    admission = peer.state.sessions.admission
    staying = [v for v in peer.voters if not admission.leaves_out(v)]
    return admission.leaves_out(peer.me) and quorum.reached(staying, set(peer.linked))


def left_out(peer: Peer) -> bool:
    """Tell whether others hear a trader and this peer does not: its clients would only wait (K1).

    In an interregnum nobody does, so nobody is left out.
    """
    return not peer.hearing() and peer.now < peer.nominator.left_out_until


def standing_of(peer: Peer) -> msg.Standing:
    """Return a peer's own line; who reaches no majority, or has just failed, cannot lead either."""
    epoch, index = peer.journal.last
    failed = peer.me in peer.nominator.excluded
    cannot = unable(peer) or failed or not reaches_majority(peer)
    return msg.Standing(peer.me, epoch, index, cannot)


def ranked(able: list[msg.Standing], limit: int, failed: int) -> list[msg.Standing]:
    """Return who is not too far behind, the highest id first; each failed round halves `limit`."""
    if not able:
        return []
    best = max((s.epoch, s.index) for s in able)
    if failed >= BEST_FROM:
        near = [s for s in able if (s.epoch, s.index) == best]
    else:
        near = [s for s in able if best[1] - s.index <= limit >> failed]
    return sorted(near, key=lambda s: ordinal_of(s.id), reverse=True)
