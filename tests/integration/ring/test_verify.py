"""`bazaar verify` finds what it is there to find: planted in folders made by the store's writer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bazaar_peer.command import ring_folder
from bazaar_peer.command.audit import Report
from bazaar_peer.command.replay import Replay
from bazaar_peer.command.ring_folder import RingFile, RingFolder
from bazaar_peer.command.verify import verify
from bazaar_peer.core.journal import store
from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.core.messages import (
    COMMAND,
    OPEN_PEER,
    Entry,
    EpochStarted,
    Record,
    Stored,
    Submission,
    decode_record,
)
from bazaar_peer.core.sessions import Outcome, Sessions
from bazaar_peer.core.state import State
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.core.waiting import digest_of
from bazaar_peer.market.commands import Command, Deposit, Order, encode_command
from bazaar_peer.market.market import Market
from bazaar_peer.runtime.checkpoint_file import CheckpointWriter
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Files, Reserve
from bazaar_peer.runtime.journal_file import Journal
from tests.integration.ring.conftest import bazaar

SESSION = 3
"""Index of the entry that opens peer 0's session, and so its name."""


def command(
    what: Command, number: int, *, key: str = "", stamp: int = 0, received: int = 0
) -> Submission:
    body = encode_command(what)
    digest = digest_of(COMMAND, body)
    clock = {65536: stamp or number}
    return Submission(
        SESSION, number, 1, COMMAND, "ann", key, digest, received, *sealed(clock), body
    )


OPENING = Submission(-1, 1, 1, OPEN_PEER, "0.0", "", 0, 0, *sealed({0: 1}), b"")
SALT = Deposit("salt", 100, 5, "ali")


def order(number: int, key: str = "", quantity: int = 1, **fields: int) -> Submission:
    return command(Order("salt", quantity, "zoe"), number, key=key, **fields)


@dataclass
class History:
    """Records one behind the other, as a ring of three would have written them."""

    folder: RingFolder
    records: list[Stored] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records.append(self.folder.genesis())

    def add(self, *entries: Entry, epoch: int = 1, elapsed: int = 0) -> Stored:
        end = self.records[-1]
        record = Record(epoch, end.last + 1, end.last, elapsed, {65536: end.last}, list(entries))
        self.records.append(store(record, end.chain))
        return self.records[-1]

    def write(self, *peers: int, archived: int = 0, segment_bytes: int = 4096) -> None:
        """Write it to the volumes of these peers, all of them if none is named."""
        for peer in peers or range(self.folder.made.peers):
            volume = self.folder.volume(peer)
            (volume / "journal").mkdir(parents=True)
            (volume / "identity").write_text("only its being there is looked at")
            files = Files()
            journal = Journal(files, volume / "journal", segment_bytes, Reserve(files, volume, 0))
            journal.begin()
            for stored in self.records:
                journal.make_room(len(stored.blob) + 100)
                journal.add_record(stored)
                journal.sync()
            if archived:
                archive = self.folder.archive(peer)
                archive.mkdir(parents=True)
                journal.prune(archived, archive)
            journal.close()

    def state_at(self, index: int) -> State:
        state = State(Market)
        for stored in self.records:
            if stored.last <= index:
                state.apply(decode_record(stored.blob), stored.chain)
        return state


@pytest.fixture
def history(tmp_path: Path) -> History:
    """A ring's folder without volumes, and a history that begins as all do."""
    folder = ring_folder.make_ring(tmp_path / "ring", RingFile(ring="ring-1", peers=3))
    ring_folder.finish(folder)
    made = History(folder)
    made.add(EpochStarted(2))
    made.add(OPENING, command(SALT, 1, stamp=2))
    return made


def violations(history: History, keys: list[str] | None = None) -> list[str]:
    """Audit the folder, with a list of ann's acknowledged keys if there is one."""
    listed = history.folder.path / "acknowledged.txt"
    listed.write_text("".join(f"ann {key}\n" for key in keys or []))
    return verify(history.folder.path, listed if keys is not None else None).violations


def test_sound_history_has_no_violation(history: History) -> None:
    history.add(order(2, "k1"), order(3, "k2"))
    history.add(EpochStarted(1), epoch=2)
    history.add(order(4, "k1"), epoch=2)
    history.write()

    assert violations(history, ["k1", "k2"]) == []


def test_violations_are_told_by_the_command_with_exit_code_1(history: History) -> None:
    history.add(order(2, "k1"))
    history.write()
    listed = history.folder.path / "acknowledged.txt"
    listed.write_text("ann k1\nann k2\n")

    told = bazaar("verify", history.folder.path, "--acknowledged", listed)
    clean = bazaar("verify", history.folder.path)
    nothing = bazaar("verify", history.folder.path / "logs")

    assert told.returncode == 1
    said = " ".join(told.stdout.split())
    assert "VIOLATION: key k2 of ann was acknowledged and is in no journal" in said
    assert (clean.returncode, "no violation found" in clean.stdout) == (0, True)
    assert (nothing.returncode, "no ring.json" in nothing.stderr) == (2, True)


def test_acknowledged_key_in_no_journal_is_found(history: History) -> None:
    history.add(order(2, "k1"))
    history.write()

    assert violations(history, ["k1", "lost"]) == [
        "key lost of ann was acknowledged and is in no journal"
    ]


def test_record_that_differs_between_two_peers_is_found(history: History) -> None:
    """S3, and S4: the record is known to be committed."""
    other = History(history.folder, history.records[1:])
    other.records = history.records.copy()
    history.add(order(2, "k1"))
    history.add(EpochStarted(2))
    other.add(order(2, "k1", quantity=7))
    other.add(EpochStarted(2))
    history.write(0, 1)
    other.write(2)

    found = violations(history)

    assert any("peers 0 and 2 differ at index 5 of epoch 1" in one for one in found)
    assert any("peer 2 holds another batch at index 5, which is committed (S4)" in one
               for one in found)  # fmt: skip


def test_record_that_is_not_chained_to_the_one_before_is_found(history: History) -> None:
    """D1, S3."""
    end = history.add(order(2, "k1"))
    forged = store(decode_record(end.blob), b"x" * 16)
    history.records[-1] = forged
    history.write()

    assert any("are not chained to those before them" in one for one in violations(history))


def fill(history: History, batches: int = 60) -> None:
    for number in range(2, 2 + batches):
        history.add(order(number, f"k{number}"))


def test_archives_of_lives_that_are_over_are_part_of_the_history(history: History) -> None:
    """R14: each peer's volume was lost once; what its first life archived is all there is."""
    fill(history)
    history.write(archived=40, segment_bytes=1024)
    for peer in range(history.folder.made.peers):
        history.folder.archive(peer).with_name(f"peer-{peer}.1").mkdir()

    assert violations(history, ["k2", "k40"]) == []


def test_archive_of_peer_10_is_no_life_of_peer_1(history: History) -> None:
    fill(history)
    history.write(archived=40, segment_bytes=1024)
    first = history.folder.archive(1)
    for name in ("peer-1.1", "peer-1.10", "peer-1.2", "peer-10"):
        first.with_name(name).mkdir()

    assert history.folder.newest_archive(1).name == "peer-1.10"
    former = [archive.name for _, archive in history.folder.former_lives(1)]
    assert former == ["peer-1", "peer-1.1", "peer-1.2"]


def test_archived_segments_are_part_of_the_history(history: History) -> None:
    fill(history)
    history.write(archived=40, segment_bytes=1024)
    assert len(list(history.folder.archive(0).iterdir())) > 3

    assert violations(history, ["k2", "k40"]) == []


def test_history_without_a_middle_segment_is_found(history: History) -> None:
    fill(history)
    history.write(archived=40, segment_bytes=1024)
    for peer in range(3):
        sorted(history.folder.archive(peer).iterdir())[1].unlink()

    found = violations(history)

    assert any(one.startswith("history is missing: no volume or archive has") for one in found)


def test_segment_that_one_peer_lost_is_read_from_another(history: History) -> None:
    fill(history)
    history.write(archived=40, segment_bytes=1024)
    sorted(history.folder.archive(1).iterdir())[1].unlink()

    assert violations(history, ["k2", "k20"]) == []


def test_key_that_took_effect_twice_is_found(history: History) -> None:
    """Forgotten and sent again, long after: no journal alone shows that as wrong, the list does."""
    history.add(order(2, "k1"))
    for _ in range(3):
        history.add(EpochStarted(2), elapsed=60_000)
    history.add(order(3, "k1", received=180_000))
    history.write()

    assert violations(history) == []
    assert violations(history, ["k1"]) == ["key k1 of ann took effect 2 times"]


class Forgetful(Sessions):
    """The planted bug: keys and numbers are not looked up."""

    def execute(self, sub: Submission, machine: Machine, at: Context) -> Outcome | None:
        session = self.sessions.get(sub.session)
        if session is not None:
            session.results.pop(sub.number, None)
        self.keys.clear()
        return super().execute(sub, machine, at)


def test_key_and_number_that_took_effect_twice_are_found_in_a_replay(history: History) -> None:
    """S6 is counted apart from the tables that should prevent it."""
    history.add(order(2, "k1"))
    history.add(order(2, "k1"))
    history.add(order(3, "k1"))
    report = Report()
    replay = Replay(report)
    replay.state.sessions = Forgetful()

    replay.run(history.records, [])

    assert "number 2 of session 3 took effect at index 5 and again at 6 (S6)" in report.violations
    assert "key k1 of ann took effect at index 5 and again at 6 (S6)" in report.violations
    assert "key k1 of ann took effect at index 6 and again at 7 (S6)" in report.violations
    assert report.twice == {("ann", "k1")}, "one order, named by number and by key"


def test_planted_lost_order_is_counted_behind_any_number_of_doubled_ones(
    history: History,
) -> None:
    """Sentences are cut at 100, counts never."""
    history.add(*(order(2 + number, f"k{number}") for number in range(120)))
    for _ in range(3):
        history.add(EpochStarted(2), elapsed=60_000)
    history.add(*(order(122 + number, f"k{number}", received=180_000) for number in range(120)))
    history.write()
    listed = history.folder.path / "acknowledged.txt"
    listed.write_text("".join(f"ann k{number}\n" for number in range(120)) + "ann lost\n")

    done = bazaar("verify", history.folder.path, "--acknowledged", listed, "--json")
    shown = bazaar("verify", history.folder.path, "--acknowledged", listed)

    assert (done.returncode, shown.returncode) == (1, 1)
    told = json.loads(done.stdout)
    assert (len(told["violations"]), told["omitted"]) == (100, 21)
    assert (told["lost"], told["twice"]) == (1, 120)
    assert "and 21 more violations" in shown.stdout
    assert "1 lost, 120 done more than once" in shown.stdout


def test_history_without_a_violation_counts_none(history: History) -> None:
    history.add(order(2, "k1"))
    history.write()

    told = json.loads(bazaar("verify", history.folder.path, "--json").stdout)

    assert (told["violations"], told["omitted"], told["lost"], told["twice"]) == ([], 0, 0, 0)


def checkpoint(history: History, peer: int, state: State, place: Stored) -> None:
    """Write a valid checkpoint file of that state under that place."""
    volume = history.folder.volume(peer)
    (volume / "checkpoint").mkdir()
    files = Files()
    writer = CheckpointWriter(files, volume / "checkpoint" / "new", Reserve(files, volume, 0))
    for part in state.snapshot():
        writer.write(part)
    writer.finish(Place(place.epoch, place.last, place.chain), 0)


def test_checkpoint_that_the_journal_comes_to_is_sound(history: History) -> None:
    place = history.add(order(2, "k1"))
    history.add(order(3, "k2"))
    history.write()

    checkpoint(history, 1, history.state_at(place.last), place)

    assert violations(history) == []


def test_checkpoint_of_another_state_is_found(history: History) -> None:
    """S10: one sale more than the journal tells."""
    place = history.add(order(2, "k1"))
    history.write()
    state = history.state_at(place.last)
    machine = state.machine
    assert isinstance(machine, Market)
    machine.sold["salt"] += 1
    machine.on_offer["salt"] -= 1

    checkpoint(history, 1, state, place)

    assert violations(history) == [
        f"peer 1's checkpoint at index {place.last} is not what the journal comes to (S10)"
    ]


def test_checkpoint_where_no_batch_ends_is_found(history: History) -> None:
    history.add(order(2, "k1"), order(3, "k2"))
    place = history.records[-1]
    history.write()
    inside = Stored(place.epoch, place.first, place.last - 1, place.chain, place.blob)

    checkpoint(history, 1, history.state_at(place.last), inside)

    assert violations(history) == [
        f"a checkpoint stands at index {place.last - 1}, where no batch ends"
    ]


def test_batch_that_serves_an_order_before_its_cause_is_found(history: History) -> None:
    """S8."""
    batch = history.add(order(3, "late", stamp=9), order(2, "early", stamp=8))
    history.write()

    assert violations(history) == [
        f"in the batch at index {batch.first} an order is served before one that happened before "
        "it (S8)"
    ]


def test_two_traders_of_one_epoch_are_found(history: History) -> None:
    """S1."""
    history.add(EpochStarted(1))
    history.write()

    assert violations(history) == ["epoch 1 has two traders, 2 and 1 (S1)"]


def test_list_of_keys_that_cannot_be_read_is_misuse(history: History) -> None:
    history.write()
    listed = history.folder.path / "acknowledged.txt"
    listed.write_text("ann k1\nonly-one-word\n")

    done = bazaar("verify", history.folder.path, "--acknowledged", listed)

    assert (done.returncode, done.stdout) == (2, "")
    assert "line 2: wanted `client key`, found 'only-one-word'" in " ".join(done.stderr.split())


def test_leftover_that_its_trader_never_committed_is_no_violation(history: History) -> None:
    """S4: the peer was down when a later trader wrote something else there."""
    other = History(history.folder)
    other.records = history.records.copy()
    other.add(order(2, "never-answered"))
    history.add(EpochStarted(1), epoch=2)
    history.add(order(2, "k1"), epoch=2)
    history.add(order(3, "k2"), epoch=2)
    history.write(0, 1)
    other.write(2)

    assert violations(history, ["k1", "k2"]) == []


def test_leftover_that_its_peer_knew_committed_is_found(history: History) -> None:
    """S4: a later trader lacked it."""
    other = History(history.folder)
    other.records = history.records.copy()
    lost = other.add(order(2, "answered"))
    other.add(order(3, "also"))
    history.add(EpochStarted(1), epoch=2)
    history.add(order(2, "k1"), epoch=2)
    history.add(order(3, "k2"), epoch=2)
    history.write(0, 1)
    other.write(2)

    assert violations(history) == [
        f"peer 2 holds another batch at index {lost.last}, which is committed (S4)"
    ]
