"""A small language for named scenarios, on the same world and under the same checkers.

In a manual script nothing moves by itself: messages lie in a pool until delivered, clocks stand,
disks sync when told (or at once). In a running one time goes on and the script interferes.
"""

from __future__ import annotations

from typing import Any

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.types import MS, NEVER, SECOND, PeerId
from bazaar_peer.simulation.clients import Clients
from bazaar_peer.simulation.counter import Add, encode_add
from bazaar_peer.simulation.host import Host
from bazaar_peer.simulation.plan import plain
from bazaar_peer.simulation.world import TICK, World

STALLED = 1 << 60


class Script:
    """A world, and what a scenario does to it."""

    def __init__(self, peers: int = 3, *, manual: bool = False, **more: Any) -> None:
        self.manual = manual
        calm = {"sync": 0} if manual else {}
        self.world = World(plain(peers, **{**calm, **more}))
        self.clients = Clients(self.world)
        self.world.replies = self._replied
        self.pool: list[tuple[int, int, msg.Message]] = []
        self.replies: dict[int, ef.Reply | ef.ReadReady] = {}
        self.requests = 0
        if manual:
            self.world.network.send = self._pooled  # type: ignore[method-assign]
        for number in range(peers):
            self.world.start(number)
        self.settle()

    def _replied(self, host: Host, effect: ef.Reply | ef.ReadReady) -> None:
        self.replies[effect.request] = effect

    def _pooled(self, sender: int, to: tuple[PeerId, ...], message: msg.Message) -> None:
        self.pool.extend((sender, target, message) for target in to)

    def peer(self, number: int) -> Any:
        """Return a running core."""
        return self.world.hosts[number].peer

    # ---- manual ----

    def settle(self) -> None:
        """Let disks and connections do what is due, but no clock."""
        world = self.world
        while self.manual and world.heap and world.heap[0][0] <= world.now + 10 * MS:
            _, _, number, life, event = world.heap.pop(0)
            world.heap.sort()
            host = world.hosts.get(number)
            if host is None:
                event()
            elif event is TICK:
                host.armed = NEVER
            elif host.peer is not None and life in {-1, host.life}:
                world.turn(host, [event])

    def turn(self, number: int, *events: ev.Event) -> None:
        host = self.world.hosts[number]
        host.spins = 0  # a clock that stands wakes nobody, however often its time has come
        self.world.turn(host, list(events))
        self.settle()

    def stand(self, number: int, epoch: int = 0) -> None:
        """Let a peer stand for an epoch, at least its next one, whoever nominated it."""
        peer, host = self.peer(number), self.world.hosts[number]
        peer.now = host.local(self.world.now)
        peer.epoch_max = max(peer.epoch_max, epoch - 1)
        peer.nominee.start(transfer=0)
        self.turn(number)

    def deliver(self, kind: str, sender: int, to: int, *, keep: bool = False) -> None:
        """Deliver the oldest message of this kind on this link; `keep`: a duplicate stays."""
        for at, (origin, target, message) in enumerate(self.pool):
            if (type(message).__name__, origin, target) == (kind, sender, to):
                if not keep:
                    del self.pool[at]
                self.turn(to, ev.Received(PeerId(sender), message))
                return
        raise LookupError(f"no {kind} from {sender} to {to}")

    def deliver_all(self, kind: str, sender: int, *targets: int) -> None:
        """Deliver every message of this kind to these peers, oldest first."""
        for to in targets:
            while any((type(m).__name__, s, t) == (kind, sender, to) for s, t, m in self.pool):
                self.deliver(kind, sender, to)

    def drop(self, kind: str, sender: int = -1) -> None:
        self.pool = [
            entry
            for entry in self.pool
            if type(entry[2]).__name__ != kind or sender not in {-1, entry[0]}
        ]

    def elect(self, number: int, *promisers: int, epoch: int = 0) -> None:
        """Stand, collect these promises, and begin to reign."""
        self.stand(number, epoch)
        for promiser in promisers:
            self.deliver("IWon", number, promiser)
            self.deliver("Promise", promiser, number)
        for promiser in promisers:
            self.deliver_all("Fetch", number, promiser)
            self.deliver_all("Chunk", promiser, number)
        self.drop("IWon", number)

    def replicate(self, trader: int, *followers: int) -> None:
        """Bring followers up to date, acknowledgements included."""
        for _ in range(6):
            for follower in followers:
                self.deliver_all("Append", trader, follower)
                self.deliver_all("AppendRefused", follower, trader)
                self.deliver_all("Appended", follower, trader)

    def restart(self, number: int, kept: int = -1) -> None:
        """Crash a process, of whose unsynced writes the first `kept` survive, and start it."""
        self.world.hosts[number].stalled_until = 0
        self.world.crash(number, kept=kept)
        self.world.start(number)
        self.settle()

    def slow_disk(self, number: int) -> None:
        self.world.hosts[number].stalled_until = STALLED

    def sync(self, number: int) -> None:
        self.world.disks.unstall(self.world.hosts[number])
        self.settle()

    def beat(self, trader: int, *followers: int, times: int = 1) -> None:
        """Let heartbeat intervals go by, in which these alone hear the trader."""
        for _ in range(times):
            self.pass_by(self.world.plan.timing.heartbeat_interval)
            self.turn(trader, ev.Tick())
            self.replicate(trader, *followers)

    def exchange(self, trader: int, *others: int) -> None:
        """Let submissions reach the trader, be committed, and be answered."""
        for other in others:
            self.deliver_all("Submit", other, trader)
        self.replicate(trader, *others)
        for other in others:
            self.deliver_all("Answers", trader, other)

    def age(self, milliseconds: int) -> None:
        """Let time go by, that the next entry will add to log time (R13 d)."""
        self.pass_by(milliseconds * MS)

    def pass_by(self, span: int) -> None:
        """Let time go by; nobody was held up meanwhile, but nothing came of it yet."""
        self.world.now += span
        for host in self.world.hosts.values():
            if host.peer is not None:
                host.peer.deadline = host.local(self.world.now)

    def copy(self, source: int, to: int) -> None:
        """Let a checkpoint travel, part by part, to its end."""
        self.deliver_all("Part", source, to)
        while self.told("PartTaken", to):
            self.deliver_all("PartTaken", to, source)
            self.deliver_all("Part", source, to)

    def told(self, kind: str, sender: int) -> list[Any]:
        """Return the messages of a kind that a peer has sent and nobody got yet, oldest first."""
        return [m for s, _, m in self.pool if (type(m).__name__, s) == (kind, sender)]

    def silence(self) -> None:
        """Let more than an election timeout go by without anybody noticing anything yet."""
        self.pass_by(2 * self.world.plan.timing.heartbeat_timeout)

    # ---- running ----

    def go_on(self) -> None:
        """End a manual script's standstill: time runs, and what lies in the pool is lost."""
        self.manual, self.pool = False, []
        del self.world.network.send
        for host in self.world.hosts.values():
            if host.peer is not None:
                self.turn(host.id, ev.Tick())

    def run(self, milliseconds: float) -> None:
        self.world.run(self.world.now + int(milliseconds * MS))

    def trader(self) -> int:
        """Run until there is a trader that trades; return it."""
        for _ in range(400):
            for host in self.world.traders():
                if host.peer is not None and host.peer.is_trader:
                    return host.id
            self.run(5)
        raise LookupError("no trader")

    # ---- clients ----

    def submit(self, through: int, amount: int = 1, key: str = "", **more: Any) -> int:
        """Send a command; return the request, whose reply comes to `replies`."""
        self.requests += 1
        host = self.world.hosts[through]
        deadline = host.local(self.world.now) + 10 * SECOND
        command = {"kind": msg.COMMAND, "body": encode_add(Add(amount)), "client": "c", "key": key}
        event = ev.Command(request=self.requests, **{"deadline": deadline, **command, **more})
        if host.asleep_since >= 0:
            host.backlog.append((host.life, event))  # unread in its socket
        else:
            self.turn(through, event)
        return self.requests

    def read(self, number: int) -> int:
        self.requests += 1
        deadline = self.world.hosts[number].local(self.world.now) + 10 * SECOND
        event = ev.Read(request=self.requests, linearizable=True, deadline=deadline)
        self.turn(number, event)
        return self.requests

    def status(self, request: int) -> int:
        """Return the status of a request's reply, −1 while there is none."""
        reply = self.replies.get(request)
        return reply.status if isinstance(reply, ef.Reply) else -1 if reply is None else 0

    def answer(self, request: int) -> msg.Answer:
        """Return the committed outcome that a request was answered with."""
        reply = self.replies[request]
        assert isinstance(reply, ef.Reply)
        assert reply.answer is not None
        return reply.answer

    def value(self, number: int) -> int:
        return int(self.peer(number).state.machine.value)
