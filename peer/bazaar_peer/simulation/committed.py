"""What is committed, replayed once: the reference that peers, answers and reads are compared with.

Checks, as records come: each (session, number) and each client key executes once (S6), money and
goods are conserved (S7), no batch contradicts happens-before (S8), answers never change (R13 a).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from bazaar_peer.core import messages as msg
from bazaar_peer.core.machine import Context
from bazaar_peer.core.messages import Stored
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.records import voters_of
from bazaar_peer.core.state import State
from bazaar_peer.core.vector_clock import decode_stamp, happens_before, sealed
from bazaar_peer.market.audit import audit, audit_sums
from bazaar_peer.market.market import Market
from bazaar_peer.simulation.violation import Violation

if TYPE_CHECKING:
    from bazaar_peer.simulation.world import World


class Committed:
    """The committed journal and the state that it comes to."""

    def __init__(self, world: World, genesis: Stored) -> None:
        self.world = world
        self.state = State(world.plan.machine_of(-1, 0))
        self.ran: list[int] = []
        """Indexes of commands that the record under way executed."""
        inner = self.state.machine.apply

        def apply(body: bytes, context: Context) -> bytes:
            self.ran.append(context.index)
            return inner(body, context)

        self.state.machine.apply = apply  # type: ignore[method-assign]
        self.last = 0
        self.chain = b""
        self.chains: dict[int, bytes] = {}
        self.hashes: dict[int, int] = {0: 0}
        self.snapshots: dict[int, bytes] = {}
        self.executed: dict[int, tuple[msg.Submission, bytes]] = {}
        """Index → the command executed there and its result."""
        self.numbers: dict[tuple[int, int], int] = {}
        self.keys: dict[tuple[str, str], int] = {}
        self.floors: dict[int, int] = {}
        """Session → the highest floor that any submission said."""
        self.outcomes: dict[tuple[int, int], tuple[int, int, bytes]] = {}
        self.reign_at = self.changed_at = 0
        """Indexes of the newest reign and of the newest change of members."""
        self.learn(genesis)

    @property
    def members(self) -> msg.MembersChanged:
        """The newest members that are committed."""
        assert self.state.members is not None
        return self.state.members

    def learn(self, stored: Stored) -> None:
        """Take the next committed record."""
        record = msg.decode_record(stored.blob)
        if len(record.entries) > 1:
            self._order(record)
        self.ran.clear()
        wanted = self._wanted(record)
        self._changes(record)
        answers = self.state.apply(record, stored.chain)
        for answer in answers:
            wanted.pop((answer.session, answer.number), None)
        for name in wanted:
            raise Violation("R13a", f"number {name} is refused, and was never given up")
        for index in self.ran:
            entry = record.entries[index - record.first]
            assert isinstance(entry, msg.Submission)
            self._execute(index, entry)
        for answer in answers:
            self._outcome(answer, record)
        self.last, self.chain = stored.last, stored.chain
        self.chains[stored.last] = stored.chain
        self.hashes[stored.last] = self.state.hash
        self._sums()
        every = self.world.plan.checkpoint_entries
        if stored.last // every > (stored.first - 1) // every:
            self.snapshots[stored.last] = digest(list(self.state.snapshot()))

    def _wanted(self, record: msg.Record) -> dict[tuple[int, int], bool]:
        """Return the numbers that must have an outcome: waited for, by all that was said."""
        wanted, sessions = {}, self.state.sessions.sessions
        for entry in record.entries:
            if type(entry) is msg.Submission and entry.session in sessions:
                session = sessions[entry.session]
                self.world.checkers.reach.floor(entry, session)
                told = max(self.floors.get(entry.session, 1), entry.floor)
                self.floors[entry.session] = told
                if told <= entry.number < told + session.window:
                    wanted[entry.session, entry.number] = True
        return wanted

    def _changes(self, record: msg.Record) -> None:
        """R10: one voter an entry, and only behind a committed reign and change."""
        for index, entry in enumerate(record.entries, record.first):
            if type(entry) is msg.EpochStarted:
                self.reign_at = index
            elif type(entry) is msg.MembersChanged:
                before = self.state.members
                if before is not None:
                    apart = set(voters_of(before)) ^ set(voters_of(entry))
                    told = record.committed >= max(self.reign_at, self.changed_at)
                    if len(apart) > 1 or not told:
                        raise Violation("R10", f"change {index}: voters {apart} at once, or early")
                self.changed_at = index

    def _order(self, record: msg.Record) -> None:
        submissions = [e for e in record.entries if type(e) is msg.Submission]
        stamps = [decode_stamp(sub.stamp) for sub in submissions]
        for sub, stamp in zip(submissions, stamps, strict=True):
            if sealed(stamp) != (sub.rank, sub.stamp):
                raise Violation("S8", f"batch {record.first}: a rank is not its stamp's")
        for later, stamp in enumerate(stamps):
            for earlier in range(later):
                if happens_before(stamp, stamps[earlier]):
                    raise Violation(
                        "S8", f"batch {record.first}: an effect stands before its cause"
                    )

    def _execute(self, index: int, entry: msg.Submission) -> None:
        """S6: each number and each key takes effect once."""
        name = (entry.session, entry.number)
        first = self.numbers.setdefault(name, index)
        if first != index:
            raise Violation("S6", f"number {name} executed at {first} and {index}")
        if entry.key:
            first = self.keys.setdefault((entry.client, entry.key), index)
            if first != index:
                raise Violation(
                    "S6", f"key {entry.client} {entry.key} executed at {first} and {index}"
                )

    def _outcome(self, answer: msg.Answer, record: msg.Record) -> None:
        name = (answer.session, answer.number)
        if answer.status == Status.OK and record.first <= answer.index:
            entry = record.entries[answer.index - record.first]
            if isinstance(entry, msg.Submission):
                own = (entry.session, entry.number) == name
                if own and entry.kind in {msg.OPEN_SESSION, msg.CLOSE_SESSION}:
                    self._execute(answer.index, entry)
                self.executed[answer.index] = (entry, answer.body)
        self.world.reach(f"status_{Status(answer.status).name.lower()}")
        if answer.status == Status.NO_SESSION:
            return
        outcome = (answer.status, answer.index, answer.body)
        first = self.outcomes.setdefault(name, outcome)
        if first != outcome and name[0] > 0:
            raise Violation("R13a", f"number {name} came to {first} and to {outcome}")

    def _sums(self) -> None:
        machine = self.state.machine
        if isinstance(machine, Market):
            for wrong in audit_sums(machine):
                raise Violation("S7", wrong)

    def compare(self, index: int, parts: list[bytes]) -> None:
        """S10, whole: a checkpoint is the reference's state of that index, byte for byte."""
        if self.snapshots.get(index, b"") not in {b"", digest(parts)}:
            raise Violation("S10", f"a checkpoint at {index} differs from the state")

    def end(self) -> None:
        """Compare whole states, now that all is quiet."""
        own = digest(list(self.state.snapshot()))
        for host in self.world.hosts.values():
            peer = host.peer
            if peer is not None and peer.state.index == self.last:
                if digest(list(peer.state.snapshot())) != own:
                    raise Violation("S10", f"peer {host.id}'s whole state differs at {self.last}")
                if isinstance(peer.state.machine, Market):
                    for wrong in audit(peer.state.machine):
                        raise Violation("S7", wrong)


def digest(parts: list[bytes]) -> bytes:
    return blake2b(b"|".join(parts), digest_size=16).digest()
