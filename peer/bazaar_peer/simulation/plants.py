"""Planted bugs (G2): each a part of the core replaced from outside, for one run of the simulator.

A checker that never failed has shown nothing; every plant must be found, by biased schedules or by
a named script. The first block are the mutations of PROTOCOL §3, by their names there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from bazaar_peer.core import follower as follower_module
from bazaar_peer.core import messages as msg
from bazaar_peer.core import quorum
from bazaar_peer.core.copying import Copying
from bazaar_peer.core.follower import Follower
from bazaar_peer.core.ingress import Ingress
from bazaar_peer.core.ledger import Ledger
from bazaar_peer.core.nominator import Nominator
from bazaar_peer.core.nominee import Nominee
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.outstanding import Outstanding
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.reads import Reads
from bazaar_peer.core.sessions import Sessions
from bazaar_peer.core.trader import Trader
from bazaar_peer.core.types import NOBODY, Role
from bazaar_peer.core.vector_clock import VectorClock, sealed
from bazaar_peer.market.lots import Lot
from bazaar_peer.market.market import Market

Patch = tuple[Any, str, Any]
PLANTS: dict[str, Callable[[], list[Patch]]] = {}


def plant(make: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
    PLANTS[make.__name__] = make
    return make


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Put a bug in, and take it out again; no name: none."""
    patches = PLANTS[name]() if name else []
    before = [(owner, attribute, owner.__dict__[attribute]) for owner, attribute, _ in patches]
    for owner, attribute, replacement in patches:
        setattr(owner, attribute, replacement)
    try:
        yield
    finally:
        for owner, attribute, original in before:
            setattr(owner, attribute, original)


# ---- the mutations of PROTOCOL §3 ----


@plant
def volpromise() -> list[Patch]:
    """A promise is answered before it is durable (R4)."""

    def answer(self: Follower) -> None:
        for _, epoch, nominee, end in self._promises:
            if nominee != self.peer.me:
                members = self.peer.members.members
                self.peer.send(nominee, msg.Promise(epoch, end[0], end[1], members))
        self._promises = []

    grant = Follower.grant

    def at_once(self: Follower, epoch: int, nominee: Any) -> None:
        grant(self, epoch, nominee)
        self.answer_promises()

    return [(Follower, "answer_promises", answer), (Follower, "grant", at_once)]


@plant
def reprom() -> list[Patch]:
    """One epoch is promised to two nominees (R3)."""
    inner = Follower.on_i_won

    def on_i_won(self: Follower, sender: Any, message: msg.IWon) -> None:
        hard = self.peer.disk.hard
        if message.epoch == hard.promised and sender != hard.promised_to:
            self.grant(message.epoch, sender)
        else:
            inner(self, sender, message)

    return [(Follower, "on_i_won", on_i_won)]


@plant
def reuse() -> list[Patch]:
    """A restarted nominee stands for the epoch that it promised to itself (R1)."""
    inner = Nominee.start

    def start(self: Nominee, transfer: int) -> None:
        peer = self.peer
        hard = peer.disk.hard
        inner(self, transfer)
        if hard.promised_to == peer.me and peer.follower.epoch == 0:
            self.epoch = hard.promised
            peer.disk.write_hard(hard, peer.now)

    return [(Nominee, "start", start)]


@plant
def resume() -> list[Patch]:
    """A restarted trader goes on in its epoch (R7)."""
    inner = Peer.__init__

    def init(self: Peer, *arguments: Any) -> None:
        inner(self, *arguments)
        hard = self.disk.durable_hard
        if hard.promised_to == self.me:
            self.trader_role.begin(hard.promised)

    return [(Peer, "__init__", init)]


@plant
def nocatchup() -> list[Patch]:
    """A nominee reigns without the best journal (R8)."""

    def decide(self: Nominee) -> None:
        peer = self.peer
        if self.asked and quorum.reached(peer.voters, [peer.me, *self.promises]):
            self._reign()

    return [(Nominee, "_decide", decide)]


@plant
def badbest() -> list[Patch]:
    """The best journal is the longest, whatever its last epoch (R9)."""

    def best(self: Nominee) -> Any:
        found, owner = self.peer.journal.last, self.peer.me
        for sender, promise in self.promises.items():
            if promise.last_index > found[1]:
                found, owner = (promise.last_epoch, promise.last_index), sender
        return found, owner

    return [(Nominee, "best", best)]


@plant
def commitold() -> list[Patch]:
    """Entries of earlier epochs are committed by counting (Raft 5.4.2)."""
    inner = Trader.advance

    def advance(self: Trader) -> None:
        started, self.started = self.started, 0
        inner(self)
        self.started = started

    return [(Trader, "advance", advance)]


@plant
def keeprole() -> list[Patch]:
    """Granting a promise does not end the own reign (R1)."""
    inner = Peer.end_role

    def end_role(self: Peer, why: str) -> None:
        if not (self.role is Role.TRADER and why.startswith("promised")):
            inner(self, why)

    return [(Peer, "end_role", end_role)]


@plant
def trunc() -> list[Patch]:
    """An Append drops what stands behind its records, conflict or not (R6)."""
    inner = Follower.take_records

    def take(self: Follower, blobs: Any, prev: int, epoch: int) -> int:
        end = inner(self, blobs, prev, epoch)
        if self.peer.commit <= end < self.peer.journal.last[1]:
            self.peer.truncate(end)
        return end

    return [(Follower, "take_records", take)]


@plant
def acklast() -> list[Patch]:
    """An acknowledgement names the journal's end (R6)."""

    def match(self: Follower) -> int:
        return self.peer.disk.durable_index

    return [(Follower, "match", property(match))]


@plant
def unclamped() -> list[Patch]:
    """The commit index is taken over beyond what the message vouches for (R6)."""
    inner = Follower.on_append

    def on_append(self: Follower, sender: Any, message: msg.Append) -> None:
        inner(self, sender, message)
        if (self.epoch, self.trader) == (message.epoch, sender):
            self.peer.commit_to(self.peer.journal.floor_of(message.commit))

    return [(Follower, "on_append", on_append)]


@plant
def acknoepoch() -> list[Patch]:
    """An acknowledgement of an earlier reign counts in this one (R5)."""
    inner = Trader.on_appended

    def on_appended(self: Trader, sender: Any, message: msg.Appended) -> None:
        seen = min(message.round, self.round)
        inner(self, sender, msgspec.structs.replace(message, epoch=self.epoch, round=seen))

    return [(Trader, "on_appended", on_appended)]


@plant
def selfack() -> list[Patch]:
    """The trader counts its own disk before its sync is done (R5)."""
    inner = Trader.advance

    def advance(self: Trader) -> None:
        disk = self.peer.disk
        durable, disk.durable_index = disk.durable_index, self.peer.journal.last[1]
        inner(self)
        disk.durable_index = durable

    return [(Trader, "advance", advance)]


@plant
def nofence() -> list[Patch]:
    """A follower goes back to a lower epoch (R2)."""
    inner = Follower.on_append

    def on_append(self: Follower, sender: Any, message: msg.Append) -> None:
        disk, epoch = self.peer.disk, message.epoch
        if epoch < disk.hard.promised:
            hard = msgspec.structs.replace(disk.hard, promised=epoch, promised_to=sender)
            disk.write_hard(hard, self.peer.now)
        inner(self, sender, message)

    return [(Follower, "on_append", on_append)]


@plant
def dedupe() -> list[Patch]:
    """A key is looked up at admission only (R13 c)."""
    return [(Sessions, "_keyed", Sessions._run)]


@plant
def overtake() -> list[Patch]:
    """A promise overtakes the journal, and the older reign is still acknowledged (R4)."""
    grant = Follower.grant

    def early(self: Follower, epoch: int, nominee: Any) -> None:
        grant(self, epoch, nominee)
        index = self.peer.journal.floor_of(self.peer.disk.durable_index)
        end = (self.peer.journal.epoch_at(index), index)
        self._promises[-1] = (*self._promises[-1][:3], end)

    return [(Follower, "grant", early), *unfenced()]


def unfenced() -> list[Patch]:
    def flush(self: Follower) -> None:
        peer, match = self.peer, self.match
        if self.trader in {NOBODY, peer.me} or not (self._ack_now or match > self._acked_match):
            return
        self._ack_now, self._acked_match = False, match
        clock = peer.clock.counts.copy()
        peer.send(self.trader, msg.Appended(self.epoch, self.round, match, clock, 1, 0, 0))

    return [(Follower, "flush", flush)]


@plant
def ackunsynced() -> list[Patch]:
    """Records are acknowledged before they are durable (R4)."""
    return [(Follower, "match", property(lambda self: self.verified))]


@plant
def readlocal() -> list[Patch]:
    """The trader answers reads without asking anybody (R12)."""

    def ask(self: Reads, read: int, sender: Any) -> None:
        answer = msg.ReadAt(read, self.peer.commit)
        if sender == self.peer.me:
            self.peer.ingress.reader.on_read_at(sender, answer)
        else:
            self.peer.send(sender, answer)

    return [(Reads, "ask", ask)]


@plant
def appendnopromise() -> list[Patch]:
    """Accepting an Append does not raise the promise (R2)."""
    inner = Follower._follow

    def follow(self: Follower, epoch: int, trader: Any) -> None:
        promise, self.peer.promise = self.peer.promise, lambda *_: 0  # type: ignore[method-assign]
        inner(self, epoch, trader)
        self.peer.promise = promise  # type: ignore[method-assign]

    return [(Follower, "_follow", follow), *unfenced()]


@plant
def handover() -> list[Patch]:
    """A successor begins on the old trader's word (R11)."""
    inner = Nominee._decide

    def decide(self: Nominee) -> None:
        if self.asked and self.transfer:
            self._reign()
        else:
            inner(self)

    return [(Nominee, "_decide", decide)]


def unguarded() -> list[Patch]:
    """The source serves whatever it has promised since, and newer records fit, too."""
    inner = Copying.on_fetch

    def on_fetch(self: Copying, sender: Any, message: msg.Fetch) -> None:
        self.peer.promised_durably = lambda *_: True  # type: ignore[method-assign]
        inner(self, sender, message)
        del self.peer.promised_durably

    def caught_up(self: Nominee) -> None:
        self.copy_advanced()
        promise = self.promises[self.source]
        if self.peer.journal.last >= (promise.last_epoch, promise.last_index):
            self.source = NOBODY
            self._decide()
        else:
            self.fetch_from(self.source)

    return [
        (Copying, "on_fetch", on_fetch),
        (Nominee, "caught_up", caught_up),
        (follower_module, "check_fit", lambda record, last, epoch: ""),
    ]


@plant
def fetch() -> list[Patch]:
    """The source serves a nominee after it promised a higher epoch (R8, row 10)."""
    return unguarded()


@plant
def fetchnoprev() -> list[Patch]:
    """Chunks are copied by index, without a look at prev (R8, row 11)."""

    def on_fetch(self: Copying, sender: Any, message: msg.Fetch) -> None:
        peer, after = self.peer, message.after_index
        records = [s.blob for s in peer.journal.behind(after, peer.settings.chunk_bytes)]
        if after >= peer.journal.base[1]:
            peer.send(sender, msg.Chunk(message.epoch, message.after_epoch, after, records))

    return [*unguarded()[1:], (Copying, "on_fetch", on_fetch)]


# ---- clocks, market, checkpoints ----


@plant
def deposit_doubled() -> list[Patch]:
    """S7."""
    inner = Market._offer

    def offer(self: Market, lot: int, value: Lot) -> None:
        inner(self, lot, (*value[:3], 2 * value[3]))

    return [(Market, "_offer", offer)]


@plant
def float_money() -> list[Patch]:
    """S7."""
    inner = Market._credit

    def credit(self: Market, part: Any, trader: int) -> int:
        due = inner(self, part, trader)
        self.earned[part.seller] *= 1.0  # type: ignore[assignment]
        return due

    return [(Market, "_credit", credit)]


@plant
def commission_to_wrong_epoch() -> list[Patch]:
    """Commission goes to who trades now, not to the trader of the entry's epoch (U2)."""
    inner = Ledger.apply

    def apply(self: Any) -> None:
        self.state._at.trader = self.follower.trader
        inner(self)

    return [(Ledger, "apply", apply)]


@plant
def checkpoint_without_keys() -> list[Patch]:
    """A checkpoint does not hold the keys (C2)."""
    inner = Sessions.snapshot

    def snapshot(self: Sessions) -> Iterator[bytes]:
        keys, self.keys = self.keys, {}
        parts = inner(self)
        self.keys = keys
        return parts

    return [(Sessions, "snapshot", snapshot)]


@plant
def clock_restarts_lower() -> list[Patch]:
    """T2."""
    inner = VectorClock.__init__

    def init(self: VectorClock, me: int, counts: dict[int, int], ticks: int) -> None:
        inner(self, me, counts, ticks)
        counts[me] = 0

    return [(VectorClock, "__init__", init)]


@plant
def stamp_made_again() -> list[Patch]:
    """A submission that is sent again gets another stamp (T1)."""
    inner = Ingress._submit

    def submit(self: Ingress, waiting: Any) -> None:
        if waiting.ever and waiting.sub.kind != msg.OPEN_PEER and self.peer.clock.can_stamp():
            rank, stamp = sealed(self.peer.clock.stamp())
            waiting.sub = msgspec.structs.replace(waiting.sub, rank=rank, stamp=stamp)
        inner(self, waiting)

    return [(Ingress, "_submit", submit)]


@plant
def state_differs() -> list[Patch]:
    """One peer's machine computes something else (H1, S10)."""
    inner = Ledger.apply

    def apply(self: Ledger) -> None:
        inner(self)
        if self.me == 1 and self.state.index > 4:
            self.state.hash ^= 1

    return [(Ledger, "apply", apply)]


# ---- the mutations of the exactly-once model ----


@plant
def floor_ignored() -> list[Patch]:
    """A number below the floor is executed (R13 a)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        session = self.sessions.get(sub.session)
        if session is not None and 0 < sub.number < session.floor:
            return self._run(sub, machine, at)
        return inner(self, sub, machine, at)

    return [(Sessions, "execute", execute)]


@plant
def floor_falls() -> list[Patch]:
    """A late submission lowers the floor again (row 83)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        session = self.sessions.get(sub.session)
        if session is not None:
            session.floor = min(session.floor, max(1, sub.floor))
        return inner(self, sub, machine, at)

    return [(Sessions, "execute", execute)]


@plant
def floor_by_execution() -> list[Patch]:
    """Executing a number raises the floor above it (row 62)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        outcome = inner(self, sub, machine, at)
        session = self.sessions.get(sub.session)
        if session is not None and outcome is not None and sub.number >= session.floor:
            session.floor = sub.number + 1
        return outcome

    return [(Sessions, "execute", execute)]


@plant
def same_session() -> list[Patch]:
    """A restarted peer goes on in its former boot's session (row 65)."""

    def find(self: Ingress) -> None:
        boot, session = self.peer.state.sessions.peers.get(self._name(), (0, 0))
        if boot:
            self.session, self.opening = session, None

    return [(Ingress, "_find_session", find)]


@plant
def received_again() -> list[Patch]:
    """A submission that is sent again says a later `received` (R13 c)."""
    inner = Ingress._submit

    def submit(self: Ingress, waiting: Any) -> None:
        log_time = self.peer.state.sessions.log_time
        waiting.sub = msgspec.structs.replace(waiting.sub, received=log_time)
        inner(self, waiting)

    return [(Ingress, "_submit", submit)]


@plant
def forgotten_by_count() -> list[Patch]:
    """A new key drives the oldest one out (row 76)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        if (sub.client, sub.key) not in self.keys and len(self.keys) >= self.limits.keys:
            del self.keys[self.ages.popleft()]
        return inner(self, sub, machine, at)

    return [(Sessions, "_keyed", keyed)]


@plant
def refusal_not_kept() -> list[Patch]:
    """A refused number may be executed later (row 84)."""
    inner = Sessions.execute

    def execute(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        outcome = inner(self, sub, machine, at)
        session = self.sessions.get(sub.session)
        if session is not None and outcome is not None and outcome[1] == Status.KEYS_FULL:
            session.results.pop(sub.number, None)
        return outcome

    return [(Sessions, "execute", execute)]


@plant
def body_not_compared() -> list[Patch]:
    """A key's result is told whatever the body was (row 78)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        known = self.keys.get((sub.client, sub.key))
        if known is not None:
            return (sub.digest, Status.OK, known[1], known[2], known[3])
        return inner(self, sub, machine, at)

    return [(Sessions, "_keyed", keyed)]


@plant
def expiry_ignored() -> list[Patch]:
    """A submission is executed however old its look-up is (row 61)."""
    inner = Sessions._keyed

    def keyed(self: Sessions, sub: Any, machine: Any, at: Any) -> Any:
        fresh = msgspec.structs.replace(sub, received=self.log_time)
        return inner(self, fresh, machine, at)

    return [(Sessions, "_keyed", keyed)]


@plant
def floor_stuck() -> list[Patch]:
    """A number given up at its deadline is still waited for (row 82)."""
    inner, send = Outstanding._expire, Ingress._submit

    def submit(self: Ingress, waiting: Any) -> None:
        if waiting.deadline < 1 << 62 or waiting.sub.kind == msg.OPEN_PEER:
            send(self, waiting)

    def expire(self: Outstanding) -> None:
        gone = {n: w for n, w in self.own.items() if self.peer.now >= w.deadline}
        inner(self)
        for number, waiting in gone.items():
            waiting.request, waiting.deadline = 0, 1 << 62
            self.own[number] = waiting
        self.own = dict(sorted(self.own.items()))

    return [(Outstanding, "_expire", expire), (Ingress, "_submit", submit)]


@plant
def older_boot_opens() -> list[Patch]:
    """A late open of an earlier boot ends the live session (row 85)."""
    inner = Sessions._open_peer

    def open_peer(self: Sessions, sub: Any, at: Any) -> Any:
        boot, session = self.peers.get(sub.client, (0, 0))
        if sub.number < boot:
            self.peers[sub.client] = (sub.number - 1, session)
        return inner(self, sub, at)

    return [(Sessions, "_open_peer", open_peer)]


@plant
def queue_forgets() -> list[Patch]:
    """An answered command is answered from the journal's end, not from its commit (S5)."""
    inner = Trader.advance

    def advance(self: Trader) -> None:
        inner(self)
        if self.open:
            self.peer.commit_to(self.peer.journal.last[1])

    return [(Trader, "advance", advance)]


# ---- bugs that the core once had, as the simulator found them ----


@plant
def attempt_outlives_silence() -> list[Patch]:
    """A nomination under way is not ended when the trader is heard again (N1)."""
    inner = Nominator.tick

    def tick(self: Nominator) -> None:
        if not self.peer.hearing():
            inner(self)

    return [(Nominator, "tick", tick)]


@plant
def copy_is_no_progress() -> list[Patch]:
    """A reign ends although the copy that its majority needs advances (N5 c, N8)."""

    def nothing(self: Any) -> None:
        return

    return [(Trader, "copy_advanced", nothing), (Nominee, "copy_advanced", nothing)]


@plant
def session_called_unknown() -> list[Patch]:
    """A number is refused before the entry that opened its session is applied here (R13 a)."""
    inner = Ingress._admit_numbered

    def admit(self: Ingress, event: Any) -> bool:
        if event.session > self.peer.state.index:
            self._reply(event.request, Status.NO_SESSION)
            return True
        return inner(self, event)

    return [(Ingress, "_admit_numbered", admit)]
