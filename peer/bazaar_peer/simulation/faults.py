"""Faults as they happen: each takes its victim by the part it plays at that moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import Nanos, PeerId, Role, ordinal_of
from bazaar_peer.simulation.dice import Dice
from bazaar_peer.simulation.disk import Volume
from bazaar_peer.simulation.host import Host
from bazaar_peer.simulation.plan import ANYONE, NOMINEE, TRADER
from bazaar_peer.simulation.world import World

RESTORES = 16
"""Times at which it is asked whether an old copy can be put back now."""


class Faults:
    """Schedules a plan's faults, and ends them all for the quiet end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dice = Dice(world.plan.seed, "victims")
        self.over = False
        self.cuts: dict[tuple[int, int], int] = {}
        self.exact = 0
        """Appends with records that still go to exactly a majority."""
        kinds: dict[str, Callable[..., None]] = {
            kind: getattr(self, kind)
            for kind in (
                "crash pause cut isolate split graph clog stall sync_fails hold fuse majority"
                " resign most damage restore wish change"
            ).split()
        }
        for name, at, kind, arguments in world.plan.faults:
            if world.keeps(name):
                world.push(at, -1, 0, lambda k=kind, a=arguments: self._do(kinds[k], a))
        world.noted["epoch_started"] = [lambda host, fields: self._epoch(host)]

    def _do(self, fault: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if not self.over:
            fault(*arguments)

    def lives(self) -> list[int]:
        """Return the lives that are not over."""
        return [host.id for host in self.world.hosts.values() if not host.gone]

    def victim(self, who: int) -> int:
        """Return the life meant: by its part now, by its ordinal, or anyone."""
        lives = self.lives()
        role = {TRADER: Role.TRADER, NOMINEE: Role.NOMINEE}.get(who)
        if role is None:
            same = [life for life in lives if ordinal_of(life) == who]
            return same[-1] if same else self.dice.choice(lives)
        hosts = self.world.hosts.values()
        playing = [h.id for h in hosts if h.peer is not None and h.peer.role is role]
        return self.dice.choice(playing or lives)

    def _later(self, wait: Nanos, action: Callable[[], None]) -> None:
        self.world.later(wait, lambda: None if self.over else action())

    # ---- processes and disks ----

    def crash(self, who: int, down: Nanos) -> None:
        self.world.crash(self.victim(who), down)

    def most(self, draw: int, down: Nanos) -> None:
        """Kill a random majority."""
        lives = self.lives()
        for peer in Dice(draw).some(lives, len(lives) // 2 + 1):
            self.world.crash(peer, down)

    def pause(self, who: int, span: Nanos) -> None:
        victim = self.victim(who)
        self.world.sleep(victim)
        self.world.later(span, lambda: self.world.wake(victim))

    def stall(self, who: int, span: Nanos) -> None:
        self.world.hosts[self.victim(who)].stalled_until = self.world.now + span

    def sync_fails(self, who: int, down: Nanos) -> None:
        """The next sync fails: the process exits, whatever of the writes arrived (D3)."""
        victim = self.victim(who)
        if self.world.hosts[victim].volume.queue:
            self.world.crash(victim, down)
        else:
            self.world.hosts[victim].fuse = ("promised", 0, down)

    def damage(self, who: int) -> None:
        """A volume is lost or rots: an empty one comes in its place (R10, R14)."""
        victim = self.victim(who)
        if self.world.joining.may_lose(victim):
            self._down(victim, partial(self._damage, victim))

    def _down(self, life: int, then: Callable[[], None]) -> None:
        """Kill a process; what befalls its volume does when nobody takes it for alive (R10)."""
        self.world.crash(life)
        self._later(2 * self.world.plan.timing.heartbeat_timeout, then)

    def _damage(self, life: int) -> None:
        world = self.world
        host = world.hosts[PeerId(life)]
        if host.peer is None and world.joining.may_lose(life):
            if self.dice.chance(0.5):
                world.joining.lose(life)
            else:
                host.volume.damaged = True
        world.start(life)

    def restore(self, who: int, span: Nanos) -> None:
        """Copy a volume, let its process boot twice more, then put the copy back."""
        life = self.victim(who)
        copy = self.world.hosts[PeerId(life)].volume.copy()
        for wait in (0, 2 * span):
            self._later(wait, partial(self.world.crash, life, span))
        self._later(4 * span, partial(self._put_back, life, copy, span, RESTORES))

    def _put_back(self, life: int, copy: Volume, span: Nanos, tries: int) -> None:
        restoring = self.world.restoring
        if restoring.may(life, copy):
            self._down(life, partial(restoring.put_back, life, copy))
        elif tries:
            self._later(span, partial(self._put_back, life, copy, span, tries - 1))

    def wish(self, size: int) -> None:
        self.world.joining.wish(size)

    def change(self, size: int, offset: int, down: Nanos) -> None:
        """A wish whose first change of members kills the trader that has just written it."""
        self.wish(size)
        self.fuse("members_changed", offset, down, ANYONE)

    def fuse(self, kind: str, offset: int, down: Nanos, who: int) -> None:
        """Whoever next has this to tell crashes a few effects later."""
        if kind == "LateChunk":
            self.world.checkers.reach.late.append((kind, offset, down))
            self._fall_behind()
            return
        for host in self.world.hosts.values():
            host.fuse = (kind, offset, down)

    def _fall_behind(self) -> None:
        """Keep a follower from its trader, then kill that and nominate the one that is behind."""
        world, span = self.world, 2 * self.world.plan.timing.heartbeat_timeout
        for trader in world.traders():
            others = [life for life in self.lives() if life != trader.id]
            if not others:
                return
            victim = max(others)
            self._cut([(trader.id, victim), (victim, trader.id)], 2 * span)
            self._later(span, partial(world.crash, trader.id, span))
            self._later(span + 2 * world.network.latency, partial(self._nominate, victim))

    def _nominate(self, victim: int) -> None:
        """Say what any initiator might say at any time (N2)."""
        host = self.world.hosts[victim]
        if host.peer is not None and host.peer.others:
            nominated = msg.Nominated(host.peer.epoch, 0, ())
            event = ev.Received(host.peer.others[0], nominated)
            self.world.push(self.world.now, victim, host.life, event)

    def resign(self, leaving: bool, successor: int) -> None:
        for host in self.world.traders():
            self.world.push(self.world.now, host.id, host.life, ev.Resign(leaving, successor))

    # ---- network ----

    def _cut(self, links: list[tuple[int, int]], span: Nanos) -> None:
        for a, b in links:
            self.world.network.set_cut(a, b, 1)
        self._later(span, partial(self._heal, links))

    def _heal(self, links: list[tuple[int, int]]) -> None:
        for a, b in links:
            self.world.network.set_cut(a, b, -1)

    def cut(self, who: int, other: int, both: bool, span: Nanos) -> None:
        victim, rest = self.victim(who), self.victim(other)
        if victim != rest:
            self._cut([(victim, rest)] + ([(rest, victim)] if both else []), span)

    def isolate(self, who: int, direction: str, span: Nanos) -> None:
        victim = self.victim(who)
        others = [life for life in self.lives() if life != victim]
        links = [(victim, p) for p in others if direction != "in"]
        self._cut(links + [(p, victim) for p in others if direction != "out"], span)

    def split(self, sides: int, span: Nanos) -> None:
        side = {life: sides >> at & 1 for at, life in enumerate(self.lives())}
        self._cut([(a, b) for a in side for b in side if side[a] != side[b]], span)

    def graph(self, edges: int, span: Nanos) -> None:
        """Cut all but the edges of any graph."""
        lives = self.lives()
        self._cut([(lives[a], lives[b]) for a, b in cuts_of(len(lives), edges)], span)

    def clog(self, draw: int, span: Nanos) -> None:
        """Swizzle: cut a random set of peers off one by one, heal them in another order."""
        dice, lives = Dice(draw), self.lives()
        for peer in dice.some(lives, dice.between(1, len(lives))):
            start, end = dice.below(span), span + dice.below(span)
            self._later(start, partial(self.isolate, peer, "both", end - start))

    def hold(self, kind: str, who: int, span: Nanos) -> None:
        """Keep messages of a kind back until the next epoch began, or for a while."""
        self.world.network.hold(kind, self.victim(who))
        self._later(4 * span, self.world.network.release)

    def _epoch(self, host: Host) -> None:
        if self.world.network.holds:
            wait = self.dice.below(2 * self.world.plan.timing.heartbeat_timeout)
            self.world.later(wait, self.world.network.release)

    def majority(self, count: int) -> None:
        """Deliver the next Appends with records to exactly a majority."""
        self.exact += count
        network = self.world.network
        inner = type(network).send.__get__(network)

        def send(sender: int, to: tuple[Any, ...], message: msg.Message) -> None:
            if self.exact and len(to) > 1 and type(message) is msg.Append and message.records:
                self.exact -= 1
                self.world.reach("exactly_a_majority")
                to = tuple(self.dice.some(to, (len(to) + 1) // 2))
            inner(sender, to, message)

        network.send = send  # type: ignore[method-assign]

    # ---- the quiet end ----

    def end(self) -> None:
        """Heal everything: processes, disks, links, holds, and losses."""
        world, network = self.world, self.world.network
        self.over, self.exact = True, 0
        world.restoring.end()
        world.checkers.reach.late.clear()
        network.odd = 0.0
        timing = world.plan.timing  # N8: step ≥ N × a hop
        hop = min(timing.step // (2 * len(self.lives())), timing.hop_timeout // 5)
        network.latency, network.jitter = min(network.latency, hop), min(network.jitter, hop)
        disks = world.disks  # and a sync, or rivals' attempts outlast the waits between them
        disks.sync = min(disks.sync, timing.step // 2)
        disks.jitter = min(disks.jitter, timing.step // 2)
        network.release()
        network.deliver()
        for host in list(world.hosts.values()):
            host.fuse, host.burning = None, -1
            world.disks.unstall(host)
            world.wake(host.id)
            if host.peer is not None and host.peer.leaving:
                world.crash(host.id)  # its grace period is over
            world.start(host.id)
        for a, row in list(network.cut.items()):
            for b in list(row):
                if row[b]:
                    row[b] = 0
                    network.set_cut(a, b, -1)


def cuts_of(peers: int, edges: int) -> list[tuple[int, int]]:
    """Return the directed links that a graph, one bit a pair, does not have."""
    pairs = [(a, b) for a in range(peers) for b in range(a)]
    gone = [pair for bit, pair in enumerate(pairs) if not edges >> bit & 1]
    return gone + [(b, a) for a, b in gone]
