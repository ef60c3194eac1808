"""The simulated world: virtual time, real cores, simulated volumes, network and clients.

One heap of (time, number, peer, life, input) is all that happens; nothing else decides an order, so
a seed is a run. A crash drops the core and what its volume had not made durable; a pause makes it
deaf; each peer's clock runs at its own rate. After every turn of a core the checkers look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.journal import store
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import NEVER, Nanos, PeerId, Role
from bazaar_peer.simulation.checkers import Checkers
from bazaar_peer.simulation.dice import Dice
from bazaar_peer.simulation.disk import Volume
from bazaar_peer.simulation.disks import Disks
from bazaar_peer.simulation.host import Host
from bazaar_peer.simulation.joining import Joining
from bazaar_peer.simulation.network import Network
from bazaar_peer.simulation.plan import Plan
from bazaar_peer.simulation.restoring import Restoring
from bazaar_peer.simulation.violation import must

TICK = ev.Tick()
RECENT = 600
SPINS = 60


class World:
    """One run of a plan."""

    def __init__(self, plan: Plan, keep: frozenset[str] | None = None, *, trace: bool = False):
        self.plan, self.keep = plan, keep
        self.now: Nanos = 0
        self.number = self.events = 0
        self.heap: list[tuple[Nanos, int, int, int, Any]] = []
        self.reached: dict[str, int] = {}
        self.recent: deque[tuple[Nanos, int, list[ev.Event], list[ef.Effect]]]
        self.recent = deque(maxlen=None if trace else RECENT)
        self.digest = blake2b(digest_size=16)
        self.hashed = False
        members = tuple(msg.Member(i) for i in range(plan.peers))
        genesis = msg.MembersChanged(members, "simulated", plan.limits, plan.genesis)
        first = store(msg.Record(0, 1, 0, 0, {}, [genesis]), b"")
        self.dice = Dice(plan.seed, "world")
        self.disks = Disks(self)
        self.jitter = Dice(plan.seed, "jitter")
        self.hosts = {i: Host(i, Volume(first), plan.rates[i]) for i in range(plan.peers)}
        """By life (R14): a new life is another machine."""
        self.network = Network(self)
        self.checkers = Checkers(self, first)
        self.replies: Callable[[Host, ef.Reply | ef.ReadReady], None] = lambda host, effect: None
        self.died: Callable[[int], None] = lambda peer: None
        self.noted: dict[str, list[Callable[[Host, dict[str, int | str]], None]]] = {}
        self.joining = Joining(self)
        self.restoring = Restoring(self)
        self.perform = self._performers()

    def _performers(self) -> dict[type, Callable[[Host, Any], None]]:
        """Say what becomes of each kind of effect."""
        disks = self.disks
        write = disks.write
        return {
            ef.Send: self._send,
            ef.WriteHard: write,
            ef.WriteRecord: write,
            ef.Truncate: write,
            ef.InstallCheckpoint: write,
            ef.SaveCheckpoint: disks.save,
            ef.Prune: lambda host, effect: host.volume.prune(effect),
            ef.ReadPart: disks.read_part,
            ef.StorePart: lambda host, effect: host.volume.store_part(effect),
            ef.Reply: self._reply,
            ef.ReadReady: self._reply,
            ef.Note: self._note,
            ef.Meet: lambda host, effect: None,  # here everybody reaches everybody who is there
            ef.Left: self._left,
            ef.Removed: lambda host, effect: self.joining.removed(host),
            ef.Halt: self._halt,
        }

    # ---- time ----

    def push(self, at: Nanos, peer: int, life: int, event: Any) -> None:
        self.number += 1
        heappush(self.heap, (at, self.number, peer, life, event))

    def later(self, wait: Nanos, action: Callable[[], None]) -> None:
        self.push(self.now + wait, -1, 0, action)

    def keeps(self, decision: str) -> bool:
        """Tell whether this decision is part of the schedule; shrinking removes some."""
        return self.keep is None or decision in self.keep

    def run(self, until: Nanos) -> None:
        """Let everything happen that is due by then."""
        heap, hosts, turn = self.heap, self.hosts, self.plan.turn
        while heap and heap[0][0] <= until:
            self.now, _, number, life, event = heappop(heap)
            if number < 0:
                event()
                continue
            host = hosts.get(number)
            if host is None or host.peer is None or (life >= 0 and life != host.life):
                self.network.unheard(number, event)
                continue
            if host.asleep_since >= 0:
                host.backlog.append((life, event))
                continue
            if event is TICK and not self._due(host):
                continue
            events = [event]
            while turn and heap and heap[0][2] == number and heap[0][0] <= self.now + turn:
                self.now, _, _, life, event = heappop(heap)
                if life < 0 or life == host.life:
                    events.append(event)
                    host.armed = NEVER if event is TICK else host.armed
            self.turn(host, events)
        self.now = max(self.now, until)

    def _due(self, host: Host) -> bool:
        assert host.peer is not None
        host.armed = NEVER
        due = host.peer.next_deadline() <= host.local(self.now)
        if not due:
            self._arm(host)
        return due

    def _arm(self, host: Host) -> None:
        """Wake a core at its next deadline; never to come is no deadline."""
        assert host.peer is not None
        deadline = host.peer.next_deadline()
        if deadline >= NEVER:
            return
        at = -((10**9 - deadline) * 1000 // host.rate)
        if at > self.now:
            host.spins = 0
        else:
            at = self.now + 1
            host.spins += 1
            must(host.spins < SPINS, "spin", f"peer {host.id} wants to be woken for ever")
        if at < host.armed:
            host.armed = at
            self.push(at, host.id, host.life, TICK)

    def turn(self, host: Host, events: list[ev.Event]) -> None:
        """Let a core take inputs, look at what came of it, and do what it says."""
        peer = host.peer
        assert peer is not None
        self.events += len(events)
        self.checkers.before(host, peer, events)
        effects = self.handle(host, peer, events)
        self.recent.append((self.now, host.id, events, effects))
        if self.hashed:
            shown = [e.index if isinstance(e, ef.SaveCheckpoint) else e for e in effects]
            self.digest.update(f"{self.now} {host.id} {events} {shown}".encode())
        self.checkers.after(host, peer)
        perform = self.perform
        for effect in effects:
            perform[type(effect)](host, effect)
            if host.burning >= 0:
                self._burn(host)
            if host.peer is not peer:
                return
        self._arm(host)

    def handle(self, host: Host, peer: Peer, events: list[ev.Event]) -> list[ef.Effect]:
        return peer.handle(events, host.local(self.now))

    # ---- processes ----

    def alive(self, peer: int) -> bool:
        host = self.hosts.get(PeerId(peer))
        return host is not None and host.peer is not None

    def start(self, number: int) -> None:
        """Start a process on this machine, from what its volume holds."""
        host, plan = self.hosts[number], self.plan
        if host.peer is not None or host.gone:
            return
        if host.volume.damaged:
            self.reach("corrupt_refused")
            self.joining.lose(number)
            return
        host.life += 1
        host.armed, host.asleep_since, host.backlog = NEVER, -1, []
        host.fuse, host.burning = None, -1
        recovered = host.volume.recover()
        self.checkers.recovered(host, recovered)
        host.peer = Peer(
            plan.settings(PeerId(number)),
            plan.machine_of(number, host.life),
            recovered,
            lambda: self.jitter.below(1 << 31),
            host.local(self.now),
        )
        self.checkers.started(host, host.peer)
        self.turn(host, [])
        self.network.started(number)

    def begin_life(self, life: PeerId, told: msg.MembersChanged) -> None:
        """Start a process on an empty volume that was told the members (R14)."""
        must(life not in self.hosts, "R14", f"life {life} is given twice")
        self.restoring.end()
        rates = self.plan.rates
        self.hosts[life] = Host(life, Volume(None, told), rates[life % len(rates)])
        self.start(life)

    def crash(self, number: int, down: Nanos = -1, kept: int = -1) -> None:
        """Kill a process at once; start it again after `down`, unless that is negative.

        Of the writes that were not durable, the first `kept` are; −1: any number of them.
        """
        host = self.hosts[number]
        if host.peer is None:
            return
        self.checkers.crashing(host, host.peer)
        host.peer = None
        kept = self.disks.dice.between(0, len(host.volume.queue)) if kept < 0 else kept
        if host.volume.crash(kept):
            self.reach("unsynced_tail_lost")
            if self.disks.dice.chance(0.5):
                self.reach("torn_tail_dropped")
        self.network.died(number)
        self.died(number)
        self.restoring.end()
        if down >= 0:
            self.later(down, lambda: self.start(number))

    def _burn(self, host: Host) -> None:
        """Crash a process between two of its effects."""
        if host.burning == 0 and host.fuse:
            self.reach("crash_between_effects")
            self.crash(host.id, host.fuse[2])
        host.burning -= 1

    def sleep(self, number: int) -> None:
        host = self.hosts[number]
        if host.peer is not None and host.asleep_since < 0:
            host.asleep_since = self.now

    def wake(self, number: int) -> None:
        """Go on after a pause; a client's socket unread for too long is closed (R13 c)."""
        host = self.hosts[number]
        if host.peer is None or host.asleep_since < 0:
            return
        slept = (self.now - host.asleep_since) // 10**6
        deaf = 4 * slept >= self.plan.limits.key_retention_ms
        host.asleep_since = -1
        backlog, host.backlog = host.backlog, []
        for life, event in backlog:
            if deaf and isinstance(event, ev.Command):
                self.reach("stalled_socket_closed")
            else:
                self.push(self.now, number, life, event)
        if not backlog:
            self.push(self.now, number, host.life, TICK)

    def _left(self, host: Host, effect: ef.Left) -> None:
        self.reach("left")
        self.crash(host.id, self.plan.timing.heartbeat_timeout)

    def _halt(self, host: Host, effect: ef.Halt) -> None:
        self.checkers.halted(host, effect)
        self.crash(host.id, self.plan.timing.heartbeat_timeout)

    # ---- effects ----

    def _send(self, host: Host, effect: ef.Send) -> None:
        for heard in self.restoring.heard(host, effect):
            self.checkers.sent(host, heard)
            self.network.send(host.id, heard.to, heard.message)

    def _reply(self, host: Host, effect: ef.Reply | ef.ReadReady) -> None:
        if effect.request > 0:  # others are the operator's, who looks at what is committed
            self.replies(host, effect)

    def _note(self, host: Host, effect: ef.Note) -> None:
        self.checkers.note(host, effect)
        if host.fuse and effect.kind == host.fuse[0] and host.burning < 0:
            host.burning = host.fuse[1]
        for call in self.noted.get(effect.kind, ()):
            call(host, effect.fields)

    # ---- what was reached ----

    def reach(self, state: str) -> None:
        self.reached[state] = self.reached.get(state, 0) + 1

    def traders(self) -> list[Host]:
        return [h for h in self.hosts.values() if h.peer is not None and h.peer.role is Role.TRADER]
