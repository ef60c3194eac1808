"""The one history, executed again from its first entry and watched (S1, S4, S6, S7, S8, S10)."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

import msgspec

from bazaar_peer.command.audit import Report
from bazaar_peer.command.history import History
from bazaar_peer.command.origin import Origin
from bazaar_peer.core.messages import (
    COMMAND,
    Answer,
    Entry,
    EpochStarted,
    MembersChanged,
    Record,
    Stored,
    Submission,
    decode_record,
)
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.state import State
from bazaar_peer.core.vector_clock import decode_stamp, happens_before
from bazaar_peer.market.audit import audit, audit_sums
from bazaar_peer.market.market import Market

SUMS_EVERY = 1000
"""Records between two looks at the running sums (S7)."""


class Outcomes:
    """What the entries of a record came to, each at its own moment.

    Asked of the state behind the record, an order would have come to nothing whose result a later
    entry of the same record let go (R13 a: its peer had given it up, and raised the floor). An
    outcome names the index that executed it, and so the entry: by number alone, one that was beyond
    the window would take what the same number came to when the floor had been raised.
    """

    def __init__(self, record: Record, answers: list[Answer]) -> None:
        self._at = {answer.index: answer for answer in answers if answer.status == Status.OK}
        self._record, self._count = record, len(answers)

    def of(self, index: int, entry: Entry) -> Answer | None:
        """Return what the entry at an index did; None: nothing, it is a repeat or was refused."""
        answer = self._at.get(index)
        return answer if answer is not None and _belongs(answer, entry) else None

    def wrong(self) -> Iterator[str]:
        """Yield a sentence for each outcome that is left over: no entry of the record has it."""
        record, first = self._record, self._record.first
        asked = sum(isinstance(entry, Submission) for entry in record.entries)
        if self._count > asked:
            yield f"the batch at index {first} has {self._count} outcomes of {asked} commands (S6)"
        for index, answer in self._at.items():
            place = index - first
            if place >= len(record.entries):
                yield f"the batch at index {first} took effect at {index}, behind its end (S6)"
            elif place >= 0 and not _belongs(answer, record.entries[place]):
                yield f"something took effect at index {index} that does not stand there (S6)"


def _belongs(answer: Answer, entry: Entry) -> bool:
    """Tell whether it may be this entry's: a repeat within the record has another number."""
    return isinstance(entry, Submission) and entry.digest == answer.digest


class Replay:
    """Executes the history again and watches."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.state = State(Market)
        self.executed: dict[tuple[int, int], int] = {}
        self.keys: dict[tuple[str, str], tuple[int, int]] = {}
        self.times: Counter[tuple[str, str]] = Counter()
        self.traders: dict[int, int] = {}
        self.entries: Counter[str] = Counter()
        self.committed = 0

    def begin(self, origin: Origin) -> None:
        """Take a recovered state as given, and what it remembers as executed once."""
        for part in origin.parts:
            self.state.restore(part)
        self.committed = origin.place.last
        for session, known in self.state.sessions.sessions.items():
            for number, outcome in known.results.items():
                if outcome[1] == Status.OK:
                    self.executed[(session, number)] = outcome[2]
        for key, (_, index, _, _, at) in self.state.sessions.keys.items():
            self.keys[key] = (index, at)
            self.times[key] = 1

    def run(self, line: list[Stored], histories: list[History]) -> None:
        checkpoints: dict[int, list[tuple[int, int, list[bytes]]]] = {}
        for history in histories:
            for epoch, index, parts in history.checkpoints:
                checkpoints.setdefault(index, []).append((history.peer, epoch, parts))
        if not line or line[0].first != self.state.index + 1:
            return
        for found in checkpoints.pop(self.state.index, ()):
            self._compare(self.state.epoch, *found)
        for count, stored in enumerate(line):
            record = decode_record(stored.blob)
            self.committed = max(self.committed, record.committed)
            self._order(record)
            self._apply(record, stored)
            for found in checkpoints.pop(stored.last, ()):
                self._compare(stored.epoch, *found)
            if count % SUMS_EVERY == 0:
                self._sums()
        for sentence in audit(self._market()):
            self.report.violation(f"{sentence} (S7)")
        for index in checkpoints:
            self.report.violation(f"a checkpoint stands at index {index}, where no batch ends")
        self._committed_everywhere(line, histories)

    def _market(self) -> Market:
        machine = self.state.machine
        assert isinstance(machine, Market)
        return machine

    def _sums(self) -> None:
        for sentence in audit_sums(self._market()):
            self.report.violation(f"after index {self.state.index}: {sentence} (S7)")

    def _order(self, record: Record) -> None:
        """S8: within a batch nothing is served before one of its causes."""
        submissions = [entry for entry in record.entries if isinstance(entry, Submission)]
        try:
            stamps = [decode_stamp(sub.stamp) for sub in submissions]
        except msgspec.MsgspecError as error:
            self.report.violation(f"at index {record.first}: an order's stamp is none: {error}")
            return
        ranks = [sum(stamp.values()) for stamp in stamps]
        if ranks != [sub.rank for sub in submissions]:
            self.report.violation(f"at index {record.first}: an order's rank is not its stamp's")
        if ranks == sorted(ranks):
            return  # a cause's rank is less than its effect's
        for late, stamp in enumerate(stamps):
            for early in stamps[:late]:
                if happens_before(stamp, early):
                    self.report.violation(
                        f"in the batch at index {record.first} an order is served before one that "
                        "happened before it (S8)"
                    )
                    return

    def _apply(self, record: Record, stored: Stored) -> None:
        outcomes = Outcomes(record, self.state.apply(record, stored.chain))
        for sentence in outcomes.wrong():
            self.report.violation(sentence)
        for index, entry in enumerate(record.entries, record.first):
            if isinstance(entry, EpochStarted):
                self.entries["reigns"] += 1
                known = self.traders.setdefault(record.epoch, entry.trader)
                if known != entry.trader:
                    self.report.violation(
                        f"epoch {record.epoch} has two traders, {known} and {entry.trader} (S1)"
                    )
            elif isinstance(entry, Submission) and entry.kind == COMMAND:
                self._submission(entry, index, outcomes.of(index, entry) is not None)
            elif not isinstance(entry, MembersChanged):
                self.entries["sessions and versions"] += 1

    def _submission(self, entry: Submission, index: int, took_effect: bool) -> None:
        """S6, counted apart from the tables that decide it."""
        name = (entry.session, entry.number)
        if not took_effect:
            self.entries["repeats and refusals"] += 1
            return
        self.entries["commands"] += 1
        if name in self.executed:
            self.report.twice.add((entry.client, entry.key) if entry.key else name)
            self.report.violation(
                f"number {name[1]} of session {name[0]} took effect at index "
                f"{self.executed[name]} and again at {index} (S6)"
            )
        self.executed[name] = index
        if entry.key:
            self._key((entry.client, entry.key), index)

    def _key(self, key: tuple[str, str], index: int) -> None:
        self.times[key] += 1
        now, limit = self.state.log_time, self.state.sessions.limits.key_retention_ms
        before = self.keys.get(key)
        if before is not None and now - before[1] <= limit:
            self.report.twice.add(key)
            self.report.violation(
                f"key {key[1]} of {key[0]} took effect at index {before[0]} and again at {index} "
                "(S6)"
            )
        self.keys[key] = (index, now)

    def _compare(self, at_epoch: int, peer: int, epoch: int, parts: list[bytes]) -> None:
        replayed = hashlib.blake2b(b"".join(self.state.snapshot())).digest()
        if epoch != at_epoch or hashlib.blake2b(b"".join(parts)).digest() != replayed:
            self.report.violation(
                f"peer {peer}'s checkpoint at index {self.state.index} is not what the journal "
                "comes to (S10)"
            )

    def _committed_everywhere(self, line: list[Stored], histories: list[History]) -> None:
        """S4: what was committed is in every journal, as far as that one goes.

        A journal may still end in what an older trader wrote and never committed: its peer was
        down, or was read, before it heard of the next one.
        """
        true, ends = {stored.last: stored for stored in line}, [stored.last for stored in line]
        for history in histories:
            other = [
                stored
                for last, stored in history.records.items()
                if last <= self.committed and (last not in true or true[last].chain != stored.chain)
            ]
            known = _known_committed(history) if other else 0
            for stored in other:
                at = bisect_left(ends, stored.last)
                if stored.last > known and at < len(line) and stored.epoch < line[at].epoch:
                    continue
                self.report.violation(
                    f"peer {history.peer} holds another batch at index {stored.last}, which is "
                    "committed (S4)"
                )

    def count(self, report: Report) -> None:
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.entries.items()))
        report.counted.append(
            f"history of {self.state.index} entries, {self.committed} known committed: {told}"
        )


def _known_committed(history: History) -> int:
    """Return up to where a journal itself says that entries are committed."""
    return max(decode_record(stored.blob).committed for stored in history.records.values())
