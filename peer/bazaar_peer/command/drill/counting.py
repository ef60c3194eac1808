"""How long a fault left a ring without a trader, from what its peers have counted meanwhile.

Each peer counts each interregnum once, with its cause. The word is that of whoever reigned next, as
long as it is the same process; else of whoever else has lived on. A fault is over when the ring has
settled: until then another reign may have begun and ended, and what that cost is its price too.
"""

from __future__ import annotations

from typing import NamedTuple

from bazaar_peer.command.drill.place import Interregna, Line


class Look(NamedTuple):
    """What peers had counted at one moment, and who reigned then in which epoch."""

    epoch: int
    trader: int
    peers: dict[int, tuple[Line, Interregna]]


class Spell(NamedTuple):
    """What one fault cost."""

    reigns: int = 0
    """So many began behind it."""
    longest_ms: float | None = None
    """None: there was no interregnum, or nobody knows. Of several between two looks it is the sum:
    that is not less than the longest, and nobody knows more."""
    total_ms: float | None = None
    planned: bool | None = None
    """A hand-over began each of them; None: nobody knows."""


def spell(before: Look, first: Look, behind: Look, *, victim: int, since: float) -> Spell:
    """Return what a fault cost: `first` is behind the first reign, `behind` in a settled ring.

    Silence counts from when the old trader was last heard, which on a busy machine may be long
    before the fault: what lies before `since`, 0 if that is not known by its clock, is left out.
    """
    if behind.epoch == before.epoch:
        return Spell()
    if first.epoch == before.epoch:
        parts, reigns = [_grown(before, behind, victim, since)], 1
    elif behind.epoch == first.epoch:
        parts, reigns = [_grown(before, first, victim, since)], 1
    else:
        parts = [_grown(before, first, victim, since), _grown(first, behind, victim, since)]
        reigns = 2
    known = [part for part in parts if part is not None and part.ended]
    ended = sum(part.ended for part in known)
    if ended < reigns:
        return Spell(reigns)
    longest, total = (round(of(part.seconds for part in known) * 1e3, 3) for of in (max, sum))
    return Spell(ended, longest, total, ended == sum(part.planned for part in known))


def _grown(old: Look, new: Look, victim: int, since: float) -> Interregna | None:
    """Return what the trader of the new look has counted, or who else has seen most; None: nobody.

    A victim that stood still or was cut off saw no trader while the others had one.
    """
    found = {
        peer: grown
        for peer in new.peers.keys() & old.peers.keys()
        if (grown := _of(old.peers[peer], new.peers[peer], since)) is not None
    }
    if new.trader in found:
        return found[new.trader]
    rest = (grown for peer, grown in found.items() if peer != victim)
    return max(rest, key=lambda grown: (grown.ended, -grown.seconds), default=None)


def _of(
    old: tuple[Line, Interregna], new: tuple[Line, Interregna], since: float
) -> Interregna | None:
    (was, before), (now, after) = old, new
    if (was.pid, was.life) != (now.pid, now.life) or after.ended <= before.ended:
        return None  # its counts are those of one process
    if after.last_end < since:
        return None
    counted = after.behind(before)
    if not since:
        return counted
    return counted._replace(seconds=min(counted.seconds, after.last_end - since))
