"""A simulated world that keeps the record which real peers keep, so that a seed can be watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.core.peer import Peer
from bazaar_peer.market.views import glance
from bazaar_peer.record import entries as rec
from bazaar_peer.record.merge import Merger, Told, in_order
from bazaar_peer.record.recorder import Kept
from bazaar_peer.record.tap import Tap
from bazaar_peer.simulation.host import Host
from bazaar_peer.simulation.plan import Plan, draw
from bazaar_peer.simulation.run import played
from bazaar_peer.simulation.schedule import Schedule
from bazaar_peer.simulation.world import World


class RecordedWorld(World):
    """A world whose cores are listened to; times are the world's own, unless `clock_of` says."""

    clock_of: Callable[[World, int], int] = staticmethod(lambda world, peer: world.now)
    """What a machine's clock shows: tests put it wrong."""
    one_clock = True

    def __init__(self, plan: Plan, keep: frozenset[str] | None = None, *, trace: bool = False):
        self.kept: dict[int, list[Kept]] = {}
        """By life, one record a boot."""
        self._taps: dict[int, tuple[Peer, Tap]] = {}
        super().__init__(plan, keep, trace=trace)

    def handle(self, host: Host, peer: Peer, events: list[ev.Event]) -> list[ef.Effect]:
        """Let a core take a turn, and listen."""
        known = self._taps.get(host.id)
        if known is None or known[0] is not peer:
            known = self._taps[host.id] = (peer, self._tap(host, peer))
        effects = known[1].handle(events, host.local(self.now))
        known[1].write()
        return effects

    def _tap(self, host: Host, peer: Peer) -> Tap:
        kept = Kept(peer.disk.hard.boot, lambda: self.clock_of(self, host.id))
        boots = self.kept.setdefault(host.id, [])
        if boots and boots[-1].boot >= kept.boot:  # its number was not durable when it died
            kept.boot = boots[-1].boot
            kept.entries = boots.pop().entries
        boots.append(kept)
        clock_id = "world" if self.one_clock else f"machine {host.id}"
        clock = {"clock_id": clock_id}
        return Tap(peer, kept, clock=clock, goods=lambda: glance(peer.state.machine))

    def crash(self, number: int, down: int = -1, kept: int = -1) -> None:
        if self.hosts[number].peer is not None:
            self._fault(number, "killed")
        super().crash(number, down, kept)

    def sleep(self, number: int) -> None:
        host = self.hosts[number]
        if host.peer is not None and host.asleep_since < 0:
            self._fault(number, "paused")
        super().sleep(number)

    def wake(self, number: int) -> None:
        host = self.hosts[number]
        if host.peer is not None and host.asleep_since >= 0:
            self._fault(number, "resumed")
        super().wake(number)

    def _fault(self, number: int, what: str) -> None:
        if boots := self.kept.get(number):
            boots[-1].keep((self.now, rec.FAULT, {"what": what}))


def story(seed: int, peers: int = 0, plant: str = "") -> Iterator[Told]:
    """Play one schedule and give back its entries; the last one says how it ended."""
    schedule = Schedule(draw(seed, peers), world=RecordedWorld)
    end = played(schedule, plant)
    world = schedule.world
    assert isinstance(world, RecordedWorld)
    entries = in_order(list(merger_of(world).emit()))
    yield from entries
    last = entries[-1]["at"] if entries else 0.0
    told = {"note": "simulation_ended", "fields": {"why": end}}
    yield {"at": last, "peer": 0, "boot": 1, "seq": 1 << 40, "kind": rec.NOTE, **told}


def merger_of(world: RecordedWorld) -> Merger:
    """Put together what all lives kept."""
    merger = Merger()
    for life, boots in world.kept.items():
        for kept in boots:
            merger.add(life, kept.entries)
    merger.fit()
    return merger
