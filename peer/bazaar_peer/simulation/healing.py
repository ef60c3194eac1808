"""The end of all faults: the network heals, whole or round one peer with a majority (G4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import quorum
from bazaar_peer.core.types import NOBODY, PeerId, ordinal_of
from bazaar_peer.simulation.dice import Dice
from bazaar_peer.simulation.faults import cuts_of

if TYPE_CHECKING:
    from bazaar_peer.simulation.world import World


def heal(world: World) -> list[int]:
    """Heal all; half the time only what some peer reaches, which has a majority, and stays.

    Return the peers that clients may ask then: none in particular, if not all are healed.
    """
    dice = Dice(world.plan.seed, "end")
    alive = [h.id for h in world.hosts.values() if h.peer is not None]
    count = len(alive)
    if dice.chance(0.5):
        return alive
    edges = dice.below(1 << (count * (count - 1) // 2))
    cuts = [(alive[a], alive[b]) for a, b in cuts_of(count, edges)]
    reach = {a: [b for b in alive if b == a or (a, b) not in cuts] for a in alive}
    stays = [h.id for h in world.hosts.values() if h.peer and not h.peer.leaving]
    hub = PeerId(max(stays, key=lambda a: len(reach[a]), default=NOBODY))
    if not _holds_together(world, hub, {PeerId(a) for a in reach.get(hub, ())}):
        return alive
    for a, b in cuts:
        world.network.set_cut(a, b, 1)
    world.reach("quiet_end_partial")
    return []


def _holds_together(world: World, hub: PeerId, reached: set[PeerId]) -> bool:
    """Tell whether whoever counts, now or on the way down, finds a majority round the hub.

    The hub is one of them each time: without it, those left may not see each other. Who is no voter
    by everybody's count may learn that it is gone, and go: it counts nowhere.
    """
    counted = _counted(world)
    sure = reached.intersection(*counted)
    every = counted | _on_the_way(world, counted)
    return hub in sure and all(hub in v and quorum.reached(v, sure) for v in every)


def _counted(world: World) -> set[tuple[PeerId, ...]]:
    """Return the voters whom anybody counts over now, or would with every learner."""
    peers = [host.peer for host in world.hosts.values() if host.peer is not None]
    counted = {peer.voters for peer in peers}
    return counted | {tuple(PeerId(m.id) for m in peer.members.members) for peer in peers}


def _on_the_way(world: World, counted: set[tuple[PeerId, ...]]) -> set[tuple[PeerId, ...]]:
    """Return the voters that are left as the ring goes down to the wish."""
    size = world.joining.lowest()
    largest = max((ordinal_of(voter) for voters in counted for voter in voters), default=-1)
    return {
        tuple(voter for voter in voters if ordinal_of(voter) < left)
        for voters in counted
        for left in range(size, largest + 1)
    }
