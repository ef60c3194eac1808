"""`bazaar verify`: the safety rules, proved on what a ring left on its disks.

All peers' journals, archives included, are laid over each other (S3), every entry that some record
names as committed must be in all that reach so far (S4), and the one history is executed again
from its first entry: nothing twice (S6), goods and money conserved (S7), causes first in every
batch (S8), and every checkpoint equal to the replay at its index, byte for byte (S10).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bazaar_peer.command.acknowledged import check_acknowledged, read_list
from bazaar_peer.command.history import History, read_former, read_history
from bazaar_peer.command.origin import Origin, keys_before, read_origin
from bazaar_peer.command.ring_folder import RingError, RingFolder, open_ring
from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import (
    COMMAND,
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
VIOLATIONS_MAX = 100


@dataclass
class Report:
    """What was counted, and a sentence for each violation."""

    counted: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def violation(self, sentence: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(sentence)


def verify(path: Path, acknowledged: Path | None = None) -> Report:
    """Audit a ring's folder.

    Raises:
        RingError: there is no ring there, or the list cannot be read.
    """
    folder = open_ring(path)
    if folder is None:
        raise RingError(f"{path} has no ring.json: it is no ring's folder")
    keys = read_list(acknowledged) if acknowledged else []
    report = Report()
    origin = read_origin(folder)
    histories = _read(folder, report)
    line = _one_line(histories, read_former(folder), origin, report)
    replay = Replay(report)
    if origin is not None:
        report.counted.append(origin.told)
        replay.begin(origin)
    replay.run(line, histories)
    if acknowledged:
        check_acknowledged(keys, replay, set(keys_before(origin)) if origin else set(), report)
    replay.count(report)
    return report


def _read(folder: RingFolder, report: Report) -> list[History]:
    histories: list[History] = []
    for peer in folder.ordinals():
        if not (folder.volume(peer) / "identity").exists():
            report.counted.append(f"peer {peer}: no volume")
            continue
        history = read_history(peer, folder.volume(peer), folder.newest_archive(peer))
        histories.append(history)
        for sentence in history.wrong:
            report.violation(sentence)
        epoch, last = history.last
        report.counted.append(
            f"peer {peer}: {len(history.ends)} batches up to index {last} of epoch {epoch}, "
            f"{len(history.dropped)} dropped, {len(history.checkpoints)} checkpoints"
        )
    return histories


def _one_line(
    histories: list[History], former: list[History], origin: Origin | None, report: Report
) -> list[Stored]:
    """Lay all journals over each other and return the history that is committed.

    The best journal's end is where the history ends: what it holds is committed or will be.
    """
    found: dict[tuple[int, int], tuple[Stored, int]] = {}
    for history in [*histories, *former]:
        for stored in [*history.records.values(), *history.dropped]:
            other = found.setdefault((stored.epoch, stored.last), (stored, history.peer))
            if other[0].chain != stored.chain:
                report.violation(
                    f"peers {other[1]} and {history.peer} differ at index {stored.last} of epoch "
                    f"{stored.epoch} or before it (S3)"
                )
    best = max(histories, key=lambda history: history.last, default=None)
    if best is None or not best.ends:
        report.violation("no peer has a journal")
        return []
    return _trace(best.records[best.ends[-1]], found, origin, report)


def _trace(
    end: Stored,
    found: dict[tuple[int, int], tuple[Stored, int]],
    origin: Origin | None,
    report: Report,
) -> list[Stored]:
    """Follow the history back from its end, by the hash chain where epochs meet."""
    begins = origin.place.last + 1 if origin else 1
    by_last: dict[int, list[Stored]] = {}
    for stored, _ in found.values():
        by_last.setdefault(stored.last, []).append(stored)
    line = [end]
    while line[-1].first > begins:
        at = line[-1]
        before = [s for s in by_last.get(at.first - 1, []) if _chained(s.chain, at)]
        if not before:
            report.violation(
                f"history is missing: no volume or archive has the batch that ends at index "
                f"{at.first - 1}, before that of epoch {at.epoch}"
            )
            break
        line.append(before[0])
    if origin and line[-1].first == begins and not _chained(origin.place.chain, line[-1]):
        report.violation(f"the batch at index {begins} does not follow the recovered state (S3)")
    return line[::-1]


def _chained(before: bytes, after: Stored) -> bool:
    return chain_hash(before, after.blob) == after.chain


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
        self.state.apply(record, stored.chain)
        for index, entry in enumerate(record.entries, record.first):
            if isinstance(entry, EpochStarted):
                self.entries["reigns"] += 1
                known = self.traders.setdefault(record.epoch, entry.trader)
                if known != entry.trader:
                    self.report.violation(
                        f"epoch {record.epoch} has two traders, {known} and {entry.trader} (S1)"
                    )
            elif isinstance(entry, Submission) and entry.kind == COMMAND:
                self._submission(entry, index)
            elif not isinstance(entry, MembersChanged):
                self.entries["sessions and versions"] += 1

    def _submission(self, entry: Submission, index: int) -> None:
        """S6, counted apart from the tables that decide it."""
        name = (entry.session, entry.number)
        outcome = self.state.lookup_number(*name)
        if outcome is None or outcome[1] != Status.OK or outcome[2] != index:
            self.entries["repeats and refusals"] += 1
            return
        self.entries["commands"] += 1
        if name in self.executed:
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
        """S4: what was committed is in every journal that reaches so far."""
        true = {stored.last: stored.chain for stored in line}
        for history in histories:
            for last, stored in history.records.items():
                if last <= self.committed and true.get(last) != stored.chain:
                    self.report.violation(
                        f"peer {history.peer} holds another batch at index {last}, which is "
                        "committed (S4)"
                    )

    def count(self, report: Report) -> None:
        told = ", ".join(f"{count} {what}" for what, count in sorted(self.entries.items()))
        report.counted.append(
            f"history of {self.state.index} entries, {self.committed} known committed: {told}"
        )
