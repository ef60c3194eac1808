"""Volumes that join, wishes for a size, lives that end: what `bazaar scale` and an operator do.

A volume without a place asks through whichever process is up, again and again, until the committed
members name it; then its life begins, with no more than it was told. All of it may be lost or come
twice, like any client's command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bazaar_peer.core import events as ev
from bazaar_peer.core.records import JOIN, SET_SIZE, voters_of
from bazaar_peer.core.types import PeerId, ordinal_of
from bazaar_peer.simulation.dice import Dice

if TYPE_CHECKING:
    from bazaar_peer.simulation.host import Host
    from bazaar_peer.simulation.world import World


class Joining:
    """`knocking`: ordinal → the volume that asks for its place."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dice = Dice(world.plan.seed, "joining")
        self.size = world.plan.peers
        self.sizes = [self.size]
        """By generation."""
        self.generation = 0
        self.volumes = self.requests = 0
        self.knocking: dict[int, str] = {}
        self.proposed: list[tuple[int, tuple[PeerId, ...]]] = []
        """(index, voters) of every change that a trader wrote."""
        world.noted["members_changed"] = [lambda host, fields: self.propose(host)]

    # ---- what an operator does ----

    def wish(self, size: int) -> None:
        """Wish for a size, and start a process for each place that has none."""
        self.size, self.generation = size, self.generation + 1
        self.sizes.append(size)
        self._insist(self.generation)
        held = {ordinal_of(host.id) for host in self.world.hosts.values() if not host.gone}
        for ordinal in range(size):
            if ordinal not in held:
                self._knock(ordinal)

    def may_lose(self, life: int) -> bool:
        """Tell whether this volume can be lost and a majority of the voters' be left.

        Of the committed voters, and of those of every change that may still be committed.
        """
        world, done = self.world, self.world.checkers.committed
        committed = voters_of(done.members)
        changes = [voters for index, voters in self.proposed if index > done.changed_at]
        gone = [h.id for h in world.hosts.values() if h.gone or h.volume.damaged]
        lost = {*gone, world.restoring.life}
        return all(
            life not in voters or len({*lost, life} & set(voters)) <= (len(voters) - 1) // 2
            for voters in [committed, *changes]
        )

    def propose(self, host: Host) -> None:
        """A trader has written a change of members."""
        assert host.peer is not None
        index, _ = host.peer.journal.configs[-1]
        self.proposed.append((index, host.peer.voters))

    def lowest(self) -> int:
        """Return the lowest size that the ring may go through on its way to the newest wish."""
        admission = self.world.checkers.committed.state.sessions.admission
        return min(self.sizes[admission.generation :])

    def lose(self, life: int) -> None:
        """Lose a machine's volume for ever; an empty one comes in its place."""
        host = self.world.hosts[PeerId(life)]
        if host.gone:
            return
        host.gone = True
        self.world.crash(host.id)
        self.world.checkers.reach.lost.append(host.id)
        self.world.reach("volume_lost")
        if ordinal_of(life) < self.size:
            self._knock(ordinal_of(life))

    def removed(self, host: Host) -> None:
        """A process that was removed ends, and its volume is set aside (R14)."""
        self.world.reach("removed")
        host.gone = True
        self.world.crash(host.id)
        if ordinal_of(host.id) < self.size:  # wished back meanwhile, or another volume's place
            self._knock(ordinal_of(host.id))

    # ---- asking ----

    def _insist(self, generation: int) -> None:
        """Send the wish until it is committed, or another one is newer."""
        admission = self.world.checkers.committed.state.sessions.admission
        if generation != self.generation or admission.generation >= generation:
            return
        self._send(SET_SIZE, msgspec.msgpack.encode((self.size, generation)))
        self.world.later(self._wait(), lambda: self._insist(generation))

    def _knock(self, ordinal: int) -> None:
        if ordinal not in self.knocking:
            self.volumes += 1
            self.knocking[ordinal] = f"volume-{self.volumes}"
            self._ask(ordinal)

    def _ask(self, ordinal: int) -> None:
        volume = self.knocking.get(ordinal, "")
        if not volume:
            return
        if ordinal >= self.size:
            del self.knocking[ordinal]
            return
        members = self.world.checkers.committed.members
        found = [member for member in members.members if member.volume == volume]
        if found:
            del self.knocking[ordinal]
            self.world.reach("member_added")
            self.world.begin_life(PeerId(found[0].id), members)
            return
        self._send(JOIN, msgspec.msgpack.encode((ordinal, volume)))
        self.world.later(self._wait(), lambda: self._ask(ordinal))

    def _wait(self) -> int:
        """Draw a wait: who asks in step with others finds a tiny window full each time."""
        timeout = self.world.plan.timing.heartbeat_timeout
        return self.dice.between(timeout // 2, timeout * 3 // 2)

    def _send(self, kind: int, body: bytes) -> None:
        alive = [host for host in self.world.hosts.values() if host.peer is not None]
        if not alive:
            return
        host = self.dice.choice(alive)
        deadline = host.local(self.world.now) + 2 * self.world.plan.timing.heartbeat_timeout
        self.requests -= 1  # a negative one is answered to nobody
        event = ev.Command(
            request=self.requests, kind=kind, body=body, client="admin", deadline=deadline
        )
        self.world.push(self.world.now + 1000, host.id, host.life, event)
