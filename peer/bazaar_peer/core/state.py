"""The applied state: what the journal up to an index comes to; the same bytes on every peer (S10).

`apply` is the only writer. `hash` chains the outcomes of all records (H1): two peers that differ in
an outcome differ in it ever after; `Machine.hash` over the whole state is for audits. A checkpoint
is `snapshot()`: a header, then parts of the tables and of the machine, each decodable alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator

import msgspec

from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.core.messages import (
    Answer,
    EpochStarted,
    MembersChanged,
    Record,
    Submission,
    VersionRaised,
)
from bazaar_peer.core.sessions import Known, Outcome, Session, Sessions
from bazaar_peer.core.types import Position, name_of, ordinal_of
from bazaar_peer.core.vector_clock import learn

FORMAT = 1
"""Of checkpoints; a peer refuses one that it does not know."""
HASH_END = 1 << 64


class Header(msgspec.Struct, frozen=True, array_like=True):
    """First part of a checkpoint (C2)."""

    format: int
    epoch: int
    index: int
    chain: bytes
    hash: int
    trader: int
    version: int
    clock: dict[int, int]
    members: MembersChanged


class State:
    """The state at `index`; `sessions` are the tables of R13, `machine` what is replicated."""

    def __init__(self, make_machine: Callable[[], Machine]) -> None:
        self.machine = make_machine()
        self.sessions = Sessions()
        self.epoch = 0
        self.index = 0
        self.chain = b""
        self.hash = 0
        self.clock: dict[int, int] = {}
        self.members: MembersChanged | None = None
        self._at = Context()

    @property
    def position(self) -> Position:
        return (self.epoch, self.index)

    @property
    def log_time(self) -> int:
        return self.sessions.log_time

    @property
    def version(self) -> int:
        return self._at.version

    def beyond_release(self) -> str:
        """Return why this release may apply nothing behind this state, or nothing (U1)."""
        knows, needs = self.machine.version, self.version
        if needs <= knows:
            return ""
        return (
            f"the ring applies entries by version {needs}, this release knows up to {knows}:"
            " start this peer with a newer release"
        )

    def lookup_key(self, client: str, key: str) -> Known | None:
        """Return what this client's key came to, while it is remembered."""
        return self.sessions.keys.get((client, key))

    def lookup_number(self, session: int, number: int) -> Outcome | None:
        """Return what a number came to, while its session keeps it."""
        found: Session | None = self.sessions.sessions.get(session)
        return None if found is None else found.results.get(number)

    def apply(
        self, record: Record, chain: bytes, wanted: Collection[int] | None = None
    ) -> list[Answer]:
        """Execute the next record; return its submissions' outcomes, `wanted` sessions' or all."""
        assert record.first == self.index + 1
        self.sessions.advance(record.elapsed_ms)
        self.epoch = at_epoch = record.epoch
        at, machine, execute = self._at, self.machine, self.sessions.execute
        at.epoch = at_epoch
        answers: list[Answer] = []
        told = [self.hash.to_bytes(8, "big")]
        index = self.index
        for entry in record.entries:
            index += 1
            if type(entry) is Submission:
                at.index = index
                outcome = execute(entry, machine, at)
                if outcome is not None:
                    told.append(outcome[4])
                    if wanted is None or entry.session in wanted:
                        answers.append(Answer(entry.session, entry.number, *outcome))
            else:
                self._change(entry)
        self.index = index
        self.chain = chain
        self.hash = int.from_bytes(hashlib.blake2b(b"".join(told), digest_size=8).digest(), "big")
        learn(self.clock, record.clock)
        return answers

    def _change(self, entry: EpochStarted | MembersChanged | VersionRaised | Submission) -> None:
        if isinstance(entry, EpochStarted):
            self._at.trader = ordinal_of(entry.trader)
        elif isinstance(entry, VersionRaised):
            self._at.version = max(self._at.version, entry.version)
        elif isinstance(entry, MembersChanged):
            if self.members is None:
                self.sessions.limits = entry.limits
                self.machine.configure(entry.machine)
            else:
                for gone in {m.id for m in self.members.members} - {m.id for m in entry.members}:
                    self.sessions.retire(name_of(gone))
            self.sessions.admission.members_changed(entry)
            self.members = entry

    def snapshot(self) -> Iterator[bytes]:
        """Return the checkpoint of this moment as parts, encoded as they are drawn."""
        assert self.members is not None
        header = Header(
            FORMAT,
            self.epoch,
            self.index,
            self.chain,
            self.hash,
            self._at.trader,
            self.version,
            dict(sorted(self.clock.items())),
            self.members,
        )
        tables, machine = self.sessions.snapshot(), self.machine.snapshot()

        def parts() -> Iterator[bytes]:
            yield b"h" + msgspec.msgpack.encode(header)
            for part in tables:
                yield b"s" + part
            for part in machine:
                yield b"m" + part

        return parts()

    def restore(self, part: bytes) -> None:
        """Add one part, in order, to an empty state. Raises ValueError for an unknown format."""
        kind, rest = part[:1], part[1:]
        if kind == b"h":
            header = msgspec.msgpack.decode(rest, type=Header)
            if header.format != FORMAT:
                raise ValueError(f"checkpoint of format {header.format}, this peer knows {FORMAT}")
            if not 0 <= header.hash < HASH_END:
                raise ValueError(f"the state's hash {header.hash} is none of 8 bytes")
            self.epoch, self.index, self.chain = header.epoch, header.index, header.chain
            self.hash, self.clock, self.members = header.hash, header.clock, header.members
            self._at.trader, self._at.version = header.trader, header.version
            self.machine.configure(header.members.machine)
            self.sessions.admission.members_changed(header.members)
        elif kind == b"s":
            self.sessions.restore(rest)
        else:
            self.machine.restore(rest)

    def full_hash(self) -> int:
        """Hash the whole state, tables and clock included: O(state), for audits (S10)."""
        digest = hashlib.blake2b(digest_size=8)
        for part in self.snapshot():
            digest.update(part)
        return int.from_bytes(digest.digest(), "big")
