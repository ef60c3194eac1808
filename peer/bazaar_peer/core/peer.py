"""One peer of the ring: routes inputs to its parts and holds what they share.

`handle(events, now)` is the only entry: it takes all inputs of one turn of the adapter's loop,
hands each to the part that it concerns, and lets batches, submissions and acknowledgements that
came of them leave together. It never raises on remote input. The parts:

    follower    accepts Appends, promises, acknowledges     (R1–R6)
    nominator   says who should lead: ring or bully          (N1–N8), no effect on safety
    nominee     gathers promises and the best journal        (R1, R3, R8, R9)
    trader      orders, replicates, commits                  (R5–R7, R12, N5)
    ingress     numbers and carries this peer's requests     (R13)
    copying     checkpoints to and from who lacks records    (C3, C4)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from bazaar_peer.core import events as ev
from bazaar_peer.core import messages as msg
from bazaar_peer.core.bully import Bully
from bazaar_peer.core.copying import Copying
from bazaar_peer.core.durability import DiskQueue
from bazaar_peer.core.effects import Effect, Halt, Left, Meet, Note, Recovered, Send
from bazaar_peer.core.election import Ring
from bazaar_peer.core.follower import Follower
from bazaar_peer.core.held_up import bear
from bazaar_peer.core.ingress import Ingress
from bazaar_peer.core.journal import Journal
from bazaar_peer.core.ledger import Ledger
from bazaar_peer.core.machine import Machine
from bazaar_peer.core.nominator import Nominator
from bazaar_peer.core.nominee import Nominee
from bazaar_peer.core.routing import routes, take
from bazaar_peer.core.standing import left_out, parting
from bazaar_peer.core.state import State
from bazaar_peer.core.trader import Trader
from bazaar_peer.core.types import (
    EPOCH_MAX,
    NOBODY,
    ORIGIN,
    Nanos,
    PeerId,
    Role,
    Settings,
    name_of,
    ordinal_of,
)
from bazaar_peer.core.vector_clock import BLOCK, VectorClock


class Peer(Ledger):
    """A member of the ring, recovered from its volume; see the module's docstring."""

    def __init__(
        self,
        settings: Settings,
        make_machine: Callable[[], Machine],
        recovered: Recovered,
        jitter: Callable[[], int],
        now: Nanos,
    ) -> None:
        self.settings, self.timing = settings, settings.timing
        self.me = settings.me
        self.make_machine = make_machine
        self.jitter = jitter
        self.now = now
        self.effects: list[Effect] = []
        self.role = Role.FOLLOWER
        self.leaving = self.halted = False
        self.backlog = False
        """More is committed than one turn applies."""
        self.begin_slice()
        self.deadline: Nanos = now
        self.linked: dict[PeerId, bool] = {}
        self._recover(recovered)
        self.cannot_go_on()
        self._make_parts()
        boot = msgspec.structs.replace(
            recovered.hard, boot=recovered.hard.boot + 1, ticks=recovered.hard.ticks + BLOCK
        )
        self.disk.write_hard(boot, now)

    def _recover(self, recovered: Recovered) -> None:
        """Take state, journal and clock from the volume."""
        self.state = State(self.make_machine)
        for part in recovered.parts:
            self.state.restore(part)
        base = (recovered.base_epoch, recovered.base_index) if recovered.parts else ORIGIN
        self.journal = Journal(base, recovered.base_chain, self.state.members or recovered.told)
        self.journal.recovered(recovered.records)
        self.was_member = name_of(self.me) in self.state.sessions.admission.lives
        self.disk = DiskQueue(recovered.hard, self.journal.last[1], self.effects)
        self.members = self.journal.members
        self.voters: tuple[PeerId, ...] = ()
        self.others: tuple[PeerId, ...] = ()
        self.members_changed()
        self.clock = VectorClock(self.me, dict(self.state.clock), recovered.hard.ticks)
        for stored in self.journal.records:
            self.clock.merge(msg.decode_record(stored.blob).clock)
        self.commit = self.state.index
        self.epoch_max = max(recovered.hard.promised, self.journal.last[0])
        """The highest epoch seen anywhere (R1)."""
        self.heard_commit = 0
        self.saved_index = self.state.index if recovered.parts else 0
        self.saving = False
        self.checkpoint_bytes = sum(len(part) for part in recovered.parts)
        """Size of the last checkpoint: the next waits until the journal has grown by as much."""
        self.grown_bytes, self.saved_at = 0, self.now
        self.keep_index = 0

    def _make_parts(self) -> None:
        self.follower = Follower(self)
        self.nominator: Nominator = Bully(self) if self.settings.election == "bully" else Ring(self)
        self.nominee = Nominee(self)
        self.trader_role = Trader(self)
        self.copying = Copying(self)
        self.ingress = Ingress(self)
        self.routes = routes(self)

    # ---- the adapter's view ----

    def handle(self, events: Sequence[ev.Event], now: Nanos) -> list[Effect]:
        """Take inputs at monotonic time `now`; return what to do, in this order."""
        self.now = now
        self.begin_slice()
        if not self.halted:
            bear(self, self.deadline)
            for event in events:
                take(self, event)
            self.deadline = self._next()
            if self.deadline <= now:
                self._do_due()
                self._leave_together()
                self.deadline = self._next()
            else:
                self._leave_together()
        effects = self.effects[:]
        self.effects.clear()
        return effects

    def next_deadline(self) -> Nanos:
        """Return when `handle` must be called at the latest, with no event if there is none."""
        return self.deadline

    def _next(self) -> Nanos:
        if self.backlog:
            return self.now
        if self.role is Role.TRADER:
            return min(self.trader_role.deadline(), self.ingress.scan_at)
        # Called once an interval it knows, by being called late, that it stood still.
        awake = self.now + self.timing.heartbeat_interval
        at = min(self.nominator.deadline(), self.ingress.scan_at, awake)
        return min(at, self.nominee.deadline()) if self.role is Role.NOMINEE else at

    @property
    def epoch(self) -> int:
        return self.disk.hard.promised

    @property
    def trader(self) -> PeerId:
        """Whom this peer takes for the trader now, or NOBODY."""
        if self.role is Role.TRADER:
            return self.me
        return self.follower.trader if self.follower.hearing() else NOBODY

    @property
    def is_trader(self) -> bool:
        return self.role is Role.TRADER and self.trader_role.open

    @property
    def commit_index(self) -> int:
        return self.commit

    def is_ready(self) -> bool:
        """K1: recovered, not far behind or left out; an interregnum makes nobody unready."""
        lag = self.heard_commit - self.state.index
        away = self.leaving or parting(self) or left_out(self)
        return not away and lag <= self.settings.lag_limit

    # ---- shared by the parts ----

    def send(self, to: PeerId, message: msg.Message) -> None:
        self.effects.append(Send((to,), message))

    def broadcast(self, message: msg.Message) -> None:
        if self.others:
            self.effects.append(Send(self.others, message))

    def note(self, kind: str, **fields: int | str) -> None:
        self.effects.append(Note(kind, fields))

    def halt(self, reason: str) -> None:
        """Stop for good: the process starts anew from its disk (R6, R7, H1)."""
        self.halted = True
        self.effects.append(Halt(reason))

    def promise(self, epoch: int, to: PeerId) -> int:
        """Promise an epoch to a peer, ending every role first (R1); return the write's number."""
        hard = self.disk.hard
        assert epoch > hard.promised or (epoch == hard.promised and to != hard.promised_to)
        self.end_role(f"promised epoch {epoch} to {to}")
        self.epoch_max = max(self.epoch_max, epoch)
        new = msgspec.structs.replace(hard, promised=epoch, promised_to=to)
        return self.disk.write_hard(new, self.now)

    def promised_durably(self, epoch: int, to: PeerId) -> bool:
        """Tell whether the durable promise, and no newer one, is exactly this (R1)."""
        hard, durable = self.disk.hard, self.disk.durable_hard
        return (
            hard.promised == durable.promised == epoch
            and hard.promised_to == durable.promised_to == to
        )

    def end_role(self, why: str) -> None:
        """Become a follower; what was done as nominee or trader counts for nothing any more."""
        if self.role is Role.FOLLOWER:
            return
        self.note("role_ended", role=self.role.value, epoch=self.epoch, why=why)
        self.role = Role.FOLLOWER
        self.nominee.stop()
        self.trader_role.stop()
        self.copying.stop()

    def hearing(self) -> bool:
        """Tell whether there is a trader that this peer hears, itself included (N3)."""
        return self.role is Role.TRADER or self.follower.hearing()

    def seen_epoch(self, epoch: int) -> bool:
        """Remember an epoch; False: it is beyond all reach, and not believed."""
        if epoch > EPOCH_MAX:
            return False
        self.epoch_max = max(self.epoch_max, epoch)
        return True

    def members_changed(self) -> None:
        """Count over the newest members of the own journal (R9)."""
        self.members = self.journal.members
        members = sorted(self.members.members, key=lambda m: ordinal_of(m.id))
        self.voters = tuple(PeerId(m.id) for m in members if m.voter)
        others = tuple(PeerId(m.id) for m in members if m.id != self.me)
        if others != self.others:
            self.others = others
            self.effects.append(Meet(others))
        if self.role is Role.TRADER:
            self.trader_role.members_changed()

    # ---- turns ----

    def disk_done(self, number: int) -> None:
        self.disk.completed(number, self.now)
        self.clock.reserved = self.disk.durable_hard.ticks
        self.follower.disk_done()
        if self.role is Role.NOMINEE:
            self.nominee.advance()
        if self.role is Role.TRADER:
            self.trader_role.advance()
        self.ingress.disk_done()

    def _do_due(self) -> None:
        """Do what its time has come for."""
        if self.backlog:
            self.apply()
        if self.role is Role.TRADER:
            self.trader_role.tick()
        elif self.role is Role.NOMINEE:
            self.nominee.tick()
        if self.role is not Role.TRADER:
            self.nominator.tick()
        self.ingress.tick()

    def _leave_together(self) -> None:
        """Let submissions, batches and acknowledgements of this turn leave in one message each."""
        if self.ingress.outbox:
            self.ingress.flush()
        if self.role is Role.TRADER:
            self.trader_role.flush()
        else:
            self.follower.flush()
        self._reserve_ticks()
        if self.leaving and self.role is Role.FOLLOWER and self._may_leave():
            self.effects.append(Left())

    def _may_leave(self) -> bool:
        """R11: stay until the next reign is committed and the own requests are answered."""
        alone = len(self.voters) == 1
        return self.ingress.idle and (alone or self.follower.reign_committed)

    def _reserve_ticks(self) -> None:
        """Reserve the next block of ticks when half of this one is used (T2)."""
        hard = self.disk.hard
        if hard.ticks - self.clock.counts[self.clock.me] < BLOCK // 2:
            self.disk.write_hard(msgspec.structs.replace(hard, ticks=hard.ticks + BLOCK), self.now)
