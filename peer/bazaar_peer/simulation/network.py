"""The simulated network.

Every directed link may be up or cut; messages are delayed, lost, doubled, overtaken, held back
until after the next epoch began, and outlive their sender's process.

A connection is a pair's: when a process dies, who can still reach its machine is refused at once
(`LinkLost(refused)`); a cut link is noticed after a while or never.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heapify
from typing import TYPE_CHECKING

from bazaar_peer.core.events import LinkLost, LinkUp, Outlived, Received
from bazaar_peer.core.messages import Message
from bazaar_peer.core.types import NOBODY, PeerId, ordinal_of
from bazaar_peer.simulation.dice import Dice

if TYPE_CHECKING:
    from bazaar_peer.simulation.world import World

TRAVELS = (Received, LinkUp, LinkLost)


class Network:
    """`cut[a][b]`: nothing gets from a to b. `joined`: pairs that are connected."""

    def __init__(self, world: World) -> None:
        plan = world.plan
        self.world, self.plan = world, plan
        self.cut: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.joined: dict[tuple[int, int], bool] = {}
        self.last: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.told: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """When a process hears what became of a link: never in another order."""
        self.met: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """Process on a machine → life → its highest boot met; forgotten when the process ends."""
        self.random = Dice(plan.seed, "network").random
        self.latency, self.jitter = plan.latency, plan.jitter
        self.odd = plan.loss + plan.doubled + plan.slow
        self.holds: dict[tuple[str, int], list[tuple[int, Received]]] = {}
        """(message kind, sender, -1: anybody) → what is held back."""
        self.counted = 0

    def send(self, sender: int, to: tuple[PeerId, ...], message: Message) -> None:
        event = Received(PeerId(sender), message)
        if self.holds:
            kind = type(message).__name__
            held = self.holds.get((kind, sender), self.holds.get((kind, -1)))
            if held is not None:
                held.extend((target, event) for target in to)
                return
        plan, world = self.plan, self.world
        cut, last, old = self.cut[sender], self.last[sender], world.restoring.life
        for target in to:
            if cut[target] or (target == old and self.apart(old, sender)):
                continue
            at = world.now + self.latency + int(self.random() * self.jitter)
            if self.odd and self.random() < self.odd:
                at = self._odd(target, at, event)
            if plan.fifo:
                at = last[target] = max(at, last[target] + 1)
            if at:
                world.push(at, target, -1, event)

    def _odd(self, target: int, at: int, event: Received) -> int:
        """Lose, double or delay one message; 0: it is gone (or, in order, late by a little)."""
        plan, world = self.plan, self.world
        self.counted += 1
        draw, late = self.random() * self.odd, int(self.random() * plan.slow_max)
        if not world.keeps(f"m{self.counted}"):
            return at
        if draw < plan.loss:
            return at + self.latency if plan.fifo else 0
        if draw < plan.loss + plan.doubled:
            world.push(at + late, target, -1, event)
            return at
        return at + (late // 4 if plan.fifo else late)

    # ---- hold and release ----

    def hold(self, kind: str, sender: int) -> None:
        self.holds.setdefault((kind, sender), [])

    def release(self) -> None:
        """Let everything go that was held back, in random order."""
        holds, self.holds = self.holds, {}
        for held in holds.values():
            for target, event in held:
                if not self.cut[event.sender][target]:
                    late = int(self.random() * self.jitter * 4)
                    self.world.push(self.world.now + 1 + late, target, -1, event)

    def deliver(self) -> None:
        """Let what is delayed beyond the usual arrive now: a healed network is not late."""
        world = self.world
        usual = world.now + self.latency + self.jitter
        world.heap[:] = [
            (usual, *entry[1:]) if entry[0] > usual and type(entry[4]) in TRAVELS else entry
            for entry in world.heap
        ]
        heapify(world.heap)
        for row in (*self.last.values(), *self.told.values()):
            row.update({target: min(at, usual) for target, at in row.items()})

    # ---- links ----

    def set_cut(self, a: int, b: int, by: int) -> None:
        """Cut a directed link once more (by 1) or once less (by -1); faults may overlap."""
        self.cut[a][b] = max(0, self.cut[a][b] + by)
        if by < 0 or not self.plan.lingers:
            self.world.later(self.plan.linger, lambda: self.look(a, b))

    def look(self, a: int, b: int) -> None:
        """Let a pair notice what became of its connection."""
        pair = (min(a, b), max(a, b))
        both = self.world.alive(a) and self.world.alive(b)
        through = self._through(a, b)
        if both and through and pair not in self.joined and self._introduced(a, b):
            self.joined[pair] = True
            self.tell(a, LinkUp(PeerId(b)))
            self.tell(b, LinkUp(PeerId(a)))
        elif pair in self.joined and not through:
            del self.joined[pair]
            self.tell(a, LinkLost(PeerId(b), refused=False))
            self.tell(b, LinkLost(PeerId(a), refused=False))

    def _through(self, a: int, b: int) -> bool:
        return not (self.cut[a][b] or self.cut[b][a])

    def _introduced(self, a: int, b: int) -> bool:
        """Let two processes say their boots to each other, and remember them."""
        boots, objections = {}, []
        for me, other in ((a, b), (b, a)):
            boots[me] = self.boot(me)
            if self.objects(other, me):
                objections.append(me)
        for old in objections:
            self.world.restoring.met(old)
        if not objections:
            self.met[a][b], self.met[b][a] = boots[b], boots[a]
        return not objections

    def boot(self, life: int) -> int:
        core = self.world.hosts[PeerId(life)].peer
        return core.disk.hard.boot if core is not None else 0

    def objects(self, to: int, life: int) -> bool:
        """Tell whether a process has met a later boot of a life than the one that runs now."""
        return self.boot(life) < self.met[to][life]

    def apart(self, old: int, other: int) -> bool:
        """Tell whether nothing passes between an old copy's process and another one."""
        return not self.world.alive(other) or self.objects(other, old)

    def unheard(self, to: int, event: object) -> None:
        """Who looks for a life that is over hears of its own end from who has that place now (R14).

        It may have been away while all that it knows were replaced; nobody else would tell it.
        """
        world, over = self.world, self.world.hosts.get(PeerId(to))
        if type(event) is not Received or over is None or not over.gone:
            return
        sender = event.sender
        now = max(i for i in world.hosts if ordinal_of(i) == ordinal_of(to))
        core = world.hosts[now].peer
        heard = self._through(sender, now) and world.alive(sender)
        if heard and core is not None and core.knows_over(sender):
            world.reach("told_by_a_later_life")
            life = world.hosts[sender].life
            world.push(world.now + self.latency, sender, life, Outlived())

    def tell(self, peer: int, event: LinkUp | LinkLost) -> None:
        world = self.world
        if world.alive(peer):
            at = max(world.now + self.latency, self.last[event.peer][peer] + 1)
            if self.plan.fifo:
                self.last[event.peer][peer] = at
            at = self.told[event.peer][peer] = max(at, self.told[event.peer][peer] + 1)
            world.push(at, peer, world.hosts[peer].life, event)

    def died(self, peer: int) -> None:
        """A process is gone: who can still reach its machine is refused a new connection."""
        self.met.pop(peer, None)
        for other in self.world.hosts:
            pair = (min(peer, other), max(peer, other))
            if pair in self.joined:
                del self.joined[pair]
                if self._through(peer, other):
                    self.tell(other, LinkLost(PeerId(peer), refused=True))

    def started(self, peer: int) -> None:
        for other in self.world.hosts:
            if other != peer != NOBODY:
                self.look(peer, other)
