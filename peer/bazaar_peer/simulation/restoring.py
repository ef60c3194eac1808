"""Old copies of a volume put back: a backup restored, a disk's snapshot rolled back.

Such a volume has forgotten what its life promised and acknowledged since (D2, R14), and nothing on
it says so: a durable mark on the same volume goes back with it. Only others can tell. What the
rules give is the boot number: every Hello carries it, each peer remembers the highest that it has
met of a life, and refuses a lower one (`objection` in runtime/transport.py). So a copy is found
out by whoever has met a boot of that life above the copy's next one. Who is refused for that is
told, ends, and its volume is set aside (`Outlived`): it comes back as a lost volume does (R10).

That is no promise in general. A copy of the last boot comes with a number nobody can object to; who
restarted since the later boots remembers none; a copy that starts again and again counts up to what
others know; a copy of a ring of one needs nobody. So the fault puts back what can be promised:

- a copy at least two boots old, one at a time, and within the minority of volumes that may be lost;
- while every other life runs in a process that has met a boot above the copy's next one;
- until one of those processes ends, a new life begins, or the copy's own process ends. Then the
  volume is lost at once, as if the operator had taken it away.

Within that bound it may be cut off for as long as may be, and meet its peers in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.core.types import PeerId
from bazaar_peer.simulation.disk import Volume

if TYPE_CHECKING:
    from bazaar_peer.simulation.host import Host
    from bazaar_peer.simulation.world import World


class Restoring:
    """`life`: the one that runs on an old copy now, or −1."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.life = -1

    def put_back(self, life: int, copy: Volume) -> None:
        """Start a life that is down, from an old copy of its volume if that may be."""
        world = self.world
        host = world.hosts[PeerId(life)]
        if host.peer is None and self.may(life, copy):
            host.lost, host.volume = host.volume, copy
            self.life = life
            world.reach("old_copy_put_back")
        world.start(host.id)
        if self.life == life and host.peer is not None and len(host.peer.voters) < 2:
            self.end()  # by its copy it is a ring of one, and would ask nobody

    def may(self, life: int, copy: Volume) -> bool:
        """Tell whether a copy that is put back now is sure to be found out."""
        world, met = self.world, self.world.network.met
        host = world.hosts[PeerId(life)]
        others = [o for o in world.hosts.values() if not o.gone and o is not host]
        enough = [o.peer is not None and met[o.id][host.id] > copy.hard.boot + 1 for o in others]
        free = self.life < 0 and not host.gone and world.joining.may_lose(host.id)
        return free and bool(others) and all(enough)

    def end(self) -> None:
        """What could be promised ends here: the volume is lost."""
        if self.life >= 0:
            life, self.life = self.life, -1
            self.world.joining.lose(life)

    def met(self, life: int) -> None:
        """A peer objects to this boot, and says so."""
        world = self.world
        host = world.hosts[PeerId(life)]
        world.reach("old_copy_refused")
        world.push(world.now + world.network.latency, life, host.life, ev.Outlived())

    def heard(self, host: Host, send: ef.Send) -> tuple[ef.Send, ...]:
        """Return what gets beyond an introduction: of the copy's messages few, of others' all."""
        if host.id != self.life:
            return (send,)
        heard = tuple(to for to in send.to if not self.world.network.apart(self.life, to))
        return (ef.Send(heard, send.message),) if heard else ()
