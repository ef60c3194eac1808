"""A ring without I/O for stories of a few steps: perfect links, honest disks, a clock by hand.

The simulator has the faults; here a test says what happens, in order, and looks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from bazaar_peer.core import effects as fx
from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.journal import store
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import MS, NOBODY, SECOND, Limits, PeerId, Role, Settings
from bazaar_peer.simulation.counter import Add, Counter, encode_add

DEFAULTS = Limits()
HOP = 50_000
SYNC = 200_000


def genesis(count: int, limits: Limits = DEFAULTS) -> msg.Stored:
    members = msg.MembersChanged(tuple(msg.Member(i) for i in range(count)), "r", limits)
    return store(msg.Record(0, 1, 0, 0, {}, [members]), b"")


class Disk:
    """One peer's volume: what was synced, in order."""

    def __init__(self, first: msg.Stored | None, told: msg.MembersChanged | None = None) -> None:
        self.hard = fx.Hard()
        self.records = [first] if first is not None else []
        self.told = told
        self.base: tuple[int, int, bytes] = (0, 0, b"")
        self.parts: list[bytes] = []
        self.incoming: list[bytes] = []

    def recovered(self) -> fx.Recovered:
        epoch, index, chain = self.base
        return fx.Recovered(
            hard=self.hard,
            base_epoch=epoch,
            base_index=index,
            base_chain=chain,
            parts=self.parts,
            records=[r for r in self.records if r.last > index],
            told=self.told,
        )

    def write(self, effect: fx.Write) -> None:
        match effect:
            case fx.WriteHard(hard=hard):
                self.hard = hard
            case fx.WriteRecord(record=record):
                self.records.append(record)
            case fx.Truncate(after=after):
                self.records = [r for r in self.records if r.last <= after]

    def install(self, effect: fx.InstallCheckpoint) -> None:
        self.base, self.parts = (effect.epoch, effect.index, effect.chain), self.incoming
        if not effect.keep_suffix:
            self.records = []


class Ring:
    """Peers of one ring, a heap of what is on its way, and what clients were told."""

    def __init__(
        self,
        count: int,
        *,
        election: str = "ring",
        limits: Limits = DEFAULTS,
        checkpoint_entries: int = 20_000,
        catch_up_limit: int = 1024,
        checkpoint_interval: int = 0,
        preempt: bool = False,
    ) -> None:
        self.count = count
        self.now = 0
        self.peers: dict[PeerId, Peer] = {}
        self.options = {
            "election": election,
            "checkpoint_entries": checkpoint_entries,
            "catch_up_limit": catch_up_limit,
            "checkpoint_interval": checkpoint_interval,
            "preempt": preempt,
        }
        self.disks = {PeerId(i): Disk(genesis(count, limits)) for i in range(count)}
        self.lost: Callable[[PeerId, PeerId, msg.Message], bool] = lambda *_: False
        """Tells which messages are lost: (from, to, message)."""
        self.sent: list[tuple[PeerId, PeerId, msg.Message]] = []
        self.replies: dict[int, fx.Reply] = {}
        self.ready: list[int] = []
        self.notes: list[tuple[PeerId, fx.Note]] = []
        self.left: list[PeerId] = []
        self.removed: list[PeerId] = []
        self.halted: dict[PeerId, str] = {}
        self._heap: list[tuple[int, int, PeerId, ev.Event, Peer]] = []
        self._number = 0
        for peer in self.disks:
            self._make(peer)
        for peer in self.disks:
            self.feed(peer, *(ev.LinkUp(other) for other in self.disks if other != peer))

    def _make(self, peer: PeerId) -> None:
        settings = Settings(me=peer, ring="r", **self.options)  # type: ignore[arg-type]
        recovered = self.disks[peer].recovered()
        machine = self.machine(peer)
        self.peers[peer] = Peer(settings, machine, recovered, lambda: 12345 * (peer + 1), self.now)

    def machine(self, peer: PeerId) -> type[Counter]:
        """Return what a peer's process replicates; tests of mixed releases say otherwise."""
        return Counter

    # ---- what happens ----

    def feed(self, peer: PeerId, *events: ev.Event) -> None:
        """Hand events to a peer now, and do what it says."""
        core = self.peers[peer]
        self._do(peer, core, core.handle(events, self.now))

    def kill(self, peer: PeerId) -> None:
        """End a process; the others notice at once that its port refuses."""
        del self.peers[peer]
        for other in list(self.peers):
            self.feed(other, ev.LinkLost(peer, refused=True))

    def restart(self, peer: PeerId) -> None:
        self._make(peer)
        others = [other for other in self.peers if other != peer]
        self.feed(peer, *(ev.LinkUp(other) for other in others))
        for other in others:
            self.feed(other, ev.LinkUp(peer))

    def join(self, peer: PeerId, told: msg.MembersChanged) -> None:
        """Start a life on an empty volume that was told the members."""
        self.disks[peer] = Disk(None, told)
        self.restart(peer)

    def add(self, peer: PeerId, request: int, amount: int = 1, **fields: object) -> None:
        """Send one command to a peer."""
        command: dict[str, object] = {
            "request": request,
            "kind": msg.COMMAND,
            "body": encode_add(Add(amount)),
            "client": "c",
            "deadline": self.now + 10 * SECOND,
        }
        self.feed(peer, ev.Command(**(command | fields)))  # type: ignore[arg-type]

    def isolate(self, *peers: PeerId) -> None:
        """Lose every message between these and the others."""
        self.lost = lambda a, b, _: (a in peers) != (b in peers)

    def heal(self) -> None:
        self.lost = lambda *_: False

    # ---- time ----

    def run(self, span: int) -> None:
        end = self.now + span
        while (at := self._next()) <= end:
            self._step(at)
        self.now = end

    def until(self, condition: Callable[[], object], span: int = 20 * SECOND) -> None:
        """Run until the condition holds; virtual time, so the bound is exact."""
        end = self.now + span
        while not condition():
            at = self._next()
            assert at <= end, f"not within {span / SECOND} s"
            self._step(at)

    def _next(self) -> int:
        deadlines = [peer.next_deadline() for peer in self.peers.values()]
        deliveries = [self._heap[0][0]] if self._heap else []
        return max(self.now, min(deadlines + deliveries))

    def _step(self, at: int) -> None:
        self.now = at
        if self._heap and self._heap[0][0] <= at:
            _, _, peer, event, core = heapq.heappop(self._heap)
            if self.peers.get(peer) is core:
                self.feed(peer, event)
            return
        due = min(self.peers, key=lambda peer: self.peers[peer].next_deadline())
        self.feed(due, ev.Tick())

    def _push(self, after: int, peer: PeerId, event: ev.Event) -> None:
        core = self.peers.get(peer)
        if core is not None:
            self._number += 1
            heapq.heappush(self._heap, (self.now + after, self._number, peer, event, core))

    # ---- effects ----

    def _do(self, peer: PeerId, core: Peer, effects: Iterable[fx.Effect]) -> None:
        disk = self.disks[peer]
        for effect in effects:
            match effect:
                case fx.Send(to=to, message=message):
                    self._send(peer, to, message)
                case fx.WriteHard() | fx.WriteRecord() | fx.Truncate():
                    disk.write(effect)
                    self._push(SYNC, peer, ev.DiskDone(effect.number))
                case fx.SaveCheckpoint(epoch=epoch, index=index, parts=parts):
                    disk.parts, disk.base = list(parts), (epoch, index, core.state.chain)
                    size = sum(map(len, disk.parts))
                    self._push(SYNC, peer, ev.CheckpointSaved(epoch, index, size))
                case fx.ReadPart(peer=other, number=number):
                    self._push(0, peer, self._part(disk, other, number))
                case fx.StorePart(number=number, data=data):
                    disk.incoming = [*disk.incoming, data] if number else [data]
                case fx.InstallCheckpoint():
                    disk.install(effect)
                    self._push(SYNC, peer, ev.DiskDone(effect.number))
                    self._push(SYNC, peer, ev.Installed(effect.index))
                case fx.Reply():
                    assert effect.request not in self.replies, "a request is answered once"
                    self.replies[effect.request] = effect
                case fx.ReadReady(request=request):
                    self.ready.append(request)
                case fx.Note():
                    self.notes.append((peer, effect))
                case fx.Left():
                    self.left.append(peer)
                case fx.Removed():
                    self.removed.append(peer)
                    self.peers.pop(peer, None)
                case fx.Halt(reason=reason):
                    self.halted[peer] = reason
                    self.peers.pop(peer, None)  # its process is gone
                case fx.Prune() | fx.Meet():
                    pass

    def _send(self, peer: PeerId, to: tuple[PeerId, ...], message: msg.Message) -> None:
        copy = msg.decode_message(msg.encode(message))
        for other in to:
            self.sent.append((peer, other, copy))
            if not self.lost(peer, other, copy):
                self._push(HOP, other, ev.Received(peer, copy))

    @staticmethod
    def _part(disk: Disk, peer: PeerId, number: int) -> ev.PartRead:
        epoch, index, _ = disk.base
        if number >= len(disk.parts):
            return ev.PartRead(peer, epoch, index, number, last=True, data=b"")
        last = number == len(disk.parts) - 1
        return ev.PartRead(peer, epoch, index, number, last, disk.parts[number])

    # ---- what is seen ----

    @property
    def trader(self) -> PeerId:
        """The peer whose reign has begun, the newest if an old one does not know yet."""
        trading = [p for p, core in self.peers.items() if core.is_trader]
        return max(trading, key=lambda p: self.peers[p].epoch, default=NOBODY)

    def settled(self) -> bool:
        """Everybody follows one trader, has a session, and has applied what is committed."""
        trader = self.trader
        if trader == NOBODY:
            return False
        commit = self.peers[trader].commit
        return all(
            core.trader == trader and core.state.index == commit and core.ingress.session
            for core in self.peers.values()
        )

    def settle(self) -> PeerId:
        self.until(self.settled)
        return self.trader

    def roles(self) -> dict[PeerId, Role]:
        return {peer: core.role for peer, core in self.peers.items()}

    def noted(self, kind: str) -> list[dict[str, int | str]]:
        return [note.fields for _, note in self.notes if note.kind == kind]

    def values(self) -> list[int]:
        """What the counters of the living peers stand at."""
        found: list[int] = []
        for core in self.peers.values():
            assert isinstance(core.state.machine, Counter)
            found.append(core.state.machine.value)
        return found

    def answered(self, request: int) -> Status | None:
        reply = self.replies.get(request)
        return None if reply is None else Status(reply.status)


__all__ = ["HOP", "MS", "SECOND", "SYNC", "Disk", "PeerId", "Ring", "genesis"]
