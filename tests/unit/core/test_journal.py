"""The journal in memory against a list of records (S3, R6, R9)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bazaar_peer.core.journal import NO_EPOCH, Journal, chain_hash, check_fit, store
from bazaar_peer.core.messages import (
    Entry,
    EpochStarted,
    Member,
    MembersChanged,
    Record,
    Stored,
    encode,
)
from bazaar_peer.core.types import ORIGIN, Limits


def members(*ids: int) -> MembersChanged:
    return MembersChanged(tuple(Member(peer) for peer in ids), "r", Limits())


def record(journal: Journal, epoch: int, entries: list[Entry]) -> tuple[Stored, Record]:
    made = Record(epoch, journal.last[1] + 1, 0, 0, {}, entries)
    return store(made, journal.chain), made


class JournalAgainstList(RuleBasedStateMachine):
    """The model keeps every record for ever, and where the base is."""

    def __init__(self) -> None:
        super().__init__()
        self.model: list[tuple[Stored, MembersChanged | None]] = []
        self.base = ORIGIN

    @initialize()
    def genesis(self) -> None:
        self.journal = Journal(ORIGIN, b"", None)
        self._append(0, [members(0)])

    def _append(self, epoch: int, entries: list[Entry]) -> None:
        stored, made = record(self.journal, epoch, entries)
        self.journal.append(stored, made)
        changed = [entry for entry in entries if isinstance(entry, MembersChanged)]
        self.model.append((stored, changed[-1] if changed else None))

    @rule(raised=st.integers(0, 2), size=st.integers(1, 4), new=st.none() | st.integers(1, 5))
    def append(self, raised: int, size: int, new: int | None) -> None:
        entries: list[Entry] = [EpochStarted(n) for n in range(size)]
        if new is not None:
            entries[-1] = members(*range(new))
        self._append(self.journal.last[0] + raised, entries)

    @precondition(lambda self: len(self._kept()) > 1)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        after = data.draw(st.sampled_from([s.last for s, _ in self._kept()[:-1]]))

        self.journal.truncate(after)

        self.model = [(s, m) for s, m in self.model if s.last <= after]

    @rule(data=st.data())
    def prune(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, self.journal.last[1]))

        self.journal.prune(index)

        gone = [s for s, _ in self.model if s.last <= index]
        self.base = max(self.base, *((s.epoch, s.last) for s in gone)) if gone else self.base

    def _kept(self) -> list[tuple[Stored, MembersChanged | None]]:
        return [(s, m) for s, m in self.model if s.last > self.base[1]]

    @invariant()
    def holds_what_the_list_holds(self) -> None:
        journal, kept = self.journal, [s for s, _ in self._kept()]

        assert journal.records == kept
        assert journal.base == self.base
        assert journal.last == ((kept[-1].epoch, kept[-1].last) if kept else self.base)
        assert journal.bytes == sum(len(s.blob) for s in kept)
        assert journal.members == [m for _, m in self.model if m is not None][-1]

    @invariant()
    def chain_covers_all_that_ever_was(self) -> None:
        chain = b""
        for stored, _ in self.model:
            chain = chain_hash(chain, stored.blob)
        assert self.journal.chain == chain

    @invariant()
    def finds_ends_as_a_scan_does(self) -> None:
        journal, kept = self.journal, [s for s, _ in self._kept()]
        epochs = {self.base[1]: self.base[0]} | {s.last: s.epoch for s in kept}
        for index in range(self.base[1], journal.last[1] + 2):
            assert journal.epoch_at(index) == epochs.get(index, NO_EPOCH)
            assert journal.floor_of(index) == max(end for end in epochs if end <= index)
            behind = [s for s in kept if s.last > index]
            assert journal.behind(index, 1 << 30) == behind
            assert journal.behind(index, 0) == behind[:1]
            assert journal.next_behind(index) == (behind[0] if behind else None)


JournalAgainstList.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestJournalAgainstList = JournalAgainstList.TestCase


def test_records_behind_fill_a_message_and_not_more() -> None:
    journal = Journal(ORIGIN, b"", members(0))
    for _ in range(5):
        journal.append(*record(journal, 1, [EpochStarted(0)]))
    size = len(journal.records[0].blob)

    assert len(journal.behind(0, 3 * size)) == 3
    assert len(journal.behind(0, 3 * size + size // 2)) == 3


def test_checkpoint_that_is_installed_replaces_journal_and_members() -> None:
    """C3: nothing of what was there before counts any more."""
    journal = Journal(ORIGIN, b"", members(0, 1))
    journal.append(*record(journal, 1, [EpochStarted(0)]))

    journal.rebase((3, 50), b"c" * 16, members(0, 1, 2))

    assert (journal.last, journal.chain, journal.records) == ((3, 50), b"c" * 16, [])
    assert journal.members == members(0, 1, 2)


def test_record_is_decoded_once_and_again_when_asked_again() -> None:
    journal = Journal(ORIGIN, b"", members(0))
    stored, made = record(journal, 1, [EpochStarted(0)])
    journal.append(stored, made)

    assert journal.entries_of(stored) is made
    assert journal.entries_of(stored) == made


@given(st.integers(-1, 6), st.integers(0, 6), st.integers(0, 2), st.integers(0, 6))
def test_record_fits_only_right_behind_the_end_and_not_beyond_its_message(
    first: int, epoch: int, size: int, of_message: int
) -> None:
    """R6: epochs never fall along a journal."""
    made = Record(epoch, first, 0, 0, {}, [EpochStarted(0)] * size)

    fits = check_fit(made, (2, 3), of_message) == ""

    assert fits == (first == 4 and 2 <= epoch <= of_message and size > 0)


def test_same_content_behind_another_history_has_another_chain() -> None:
    """D1."""
    blob = encode(Record(1, 2, 0, 0, {}, [EpochStarted(0)]))

    assert chain_hash(b"a" * 16, blob) != chain_hash(b"b" * 16, blob)
