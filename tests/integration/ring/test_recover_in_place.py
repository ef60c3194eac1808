"""A pod makes the next ring of its own volume of a former one (R14), whatever interrupts it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bazaar_peer.core.effects import Hard, Recovered, Write, WriteHard, WriteRecord
from bazaar_peer.core.journal import store
from bazaar_peer.core.messages import COMMAND, OPEN_PEER, EpochStarted, Record, Submission
from bazaar_peer.core.records import SET_SIZE
from bazaar_peer.core.types import incarnation_of, ordinal_of
from bazaar_peer.core.vector_clock import sealed
from bazaar_peer.core.waiting import digest_of
from bazaar_peer.market.commands import Deposit, encode_command
from bazaar_peer.market.market import Market
from bazaar_peer.runtime import opening, recovering
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import TAKES_SPACE, Damaged, DiskFull, Files, Locked, WrongRing
from bazaar_peer.runtime.genesis import genesis
from bazaar_peer.runtime.opening import open_volume
from bazaar_peer.runtime.recovering import end_in, finish_recovering, recover_in_place
from bazaar_peer.runtime.salvage import Beginning, executed, write_volume
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import Identity, Layout, format_volume
from tests.integration.ring.killer import Killed, Killer

OLD, NEW, ME = "ring-1", "ring-1.r1", 2
SMALL = Layout(segment_bytes=64 * 1024, reserve_bytes=0)


class Quick(Files):
    """A disk for looking at: nothing crashes under it."""

    def sync(self, fd: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


def submission(body: bytes, number: int, kind: int = COMMAND) -> Submission:
    stamp = sealed({0: number})
    return Submission(3, number, 1, kind, "ann", "", digest_of(kind, body), 0, *stamp, body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Peer 2's volume of a ring of three: salt, then an entry that nobody knows to be committed."""
    made = tmp_path / "peer"
    begin = genesis(OLD, 3, 0)
    format_volume(made, Identity(OLD, ME, 0, "old"), begin, SMALL, Quick())
    volume = Volume.open(made, Identity(OLD, ME, 0), SMALL, Quick())
    volume.recover()
    opening = Submission(-1, 1, 1, OPEN_PEER, "0.0", "", 0, 0, *sealed({0: 1}), b"")
    first = store(Record(1, 2, 1, 0, {0: 1}, [EpochStarted(0), opening]), begin.chain)
    deposit = submission(encode_command(Deposit("salt", 100, 5, "ali")), 1)
    second = store(Record(1, 4, 3, 0, {0: 2}, [deposit]), first.chain)
    writes: list[Write] = [WriteHard(1, Hard(promised=4))]
    volume.perform([*writes, WriteRecord(2, first), WriteRecord(3, second)])
    volume.close()
    return made


def tree(path: Path) -> dict[str, bytes]:
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "lock"]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def start(path: Path) -> tuple[Identity, Recovered]:
    """Open the volume as the peer's process does, in the new ring."""
    settings = ProcessSettings(
        me=ME, peers=3, ring=NEW, volume=str(path), reserve_bytes=0, former=(OLD,), recovers=OLD
    )
    volume, recovered = open_volume(settings)
    volume.close()
    return volume.identity, recovered


def test_new_volume_begins_with_the_old_state_and_one_vote(path: Path) -> None:
    old = tree(path)
    assert end_in(path, OLD, ME) == (1, 4)
    assert tree(path) == old, "a look changes nothing"

    recover_in_place(path, OLD, NEW, ME, files=Quick())

    identity, recovered = start(path)
    state = executed(recovered)
    members = state.members
    assert members is not None
    assert (identity.ring, identity.ordinal, identity.incarnation) == (NEW, ME, 1)
    assert identity.volume not in {"", "old"}
    assert [(ordinal_of(m.id), incarnation_of(m.id)) for m in members.members] == [
        (0, 1), (1, 1), (2, 1)]  # fmt: skip
    assert [(m.voter, m.volume) for m in members.members] == [
        (False, ""), (False, ""), (True, identity.volume)]  # fmt: skip
    assert (members.ring, members.recovered_from) == (NEW, f"{OLD}:4")
    assert (state.index, state.epoch, recovered.hard.promised) == (5, 5, 5), "above every promise"
    assert isinstance(state.machine, Market)
    assert dict(state.machine.lots.items()), "an entry that nobody knew to be committed is kept"
    assert tree(path / "set-aside" / OLD) == old
    assert not (path / recovering.WHOLE).exists()


@pytest.mark.parametrize(("size", "known"), [(5, 5), (1, 3)])
def test_places_are_those_that_the_former_ring_wished_for_at_last(
    path: Path, size: int, known: int
) -> None:
    """The maker is never beyond the size: it could be removed by nobody, and go nowhere."""
    volume = Volume.open(path, Identity(OLD, ME, 0), SMALL, Quick())
    end = volume.recover().records[-1]
    wish = submission(b"\x92" + bytes([size, 1]), 2, SET_SIZE)
    volume.perform([WriteRecord(9, store(Record(1, 5, 4, 0, {0: 3}, [wish]), end.chain))])
    volume.close()

    recover_in_place(path, OLD, NEW, ME, files=Quick())

    state = executed(start(path)[1])
    assert state.members is not None
    assert len(state.members.members) == state.sessions.admission.size == known


def test_damaged_volume_is_not_believed_and_stays(path: Path) -> None:
    mark = path / "mark"
    mark.write_bytes(b"\xff" + mark.read_bytes()[1:])
    before = tree(path)

    with pytest.raises(Damaged):
        recover_in_place(path, OLD, NEW, ME, files=Quick())

    assert tree(path) == before


def test_volume_in_use_is_left_alone(path: Path) -> None:
    before = tree(path)
    running = Volume.open(path, Identity(OLD, ME, 0), SMALL, Quick())

    with pytest.raises(Locked):
        recover_in_place(path, OLD, NEW, ME, files=Quick())

    running.close()
    assert tree(path) == before


# ---- interruptions


class Stopping(Quick):
    """Dies before the n-th call of any kind; what was renamed and written before is there."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.left = nth

    def before(self, name: str) -> None:
        self.left -= 1
        if not self.left:
            raise Killed(name)


def goes_on(path: Path, old: dict[str, bytes]) -> None:
    """Start it as its process does: the old volume, then the recovery; or at once the new one."""
    try:
        identity, recovered = start(path)
    except WrongRing:
        rests = {name for name in tree(path) if "recover" in name or name == "leaving.new"}
        kept = {name: text for name, text in tree(path).items() if name not in rests}
        assert kept == old, "the old volume is whole where it was"
        recover_in_place(path, OLD, NEW, ME, files=Quick())
        identity, recovered = start(path)
    assert (identity.ring, identity.incarnation) == (NEW, 1)
    assert (executed(recovered).index, recovered.hard.promised) == (5, 5)
    assert [p.name for p in (path / "set-aside").iterdir()] == [OLD]
    assert tree(path / "set-aside" / OLD) == old
    assert {p.name for p in path.iterdir()} <= {
        "checkpoint", "identity", "journal", "lock", "mark", "reserve", "set-aside", "told"
    }  # fmt: skip


class NoSpace(Quick):
    """From the n-th call that takes space on all are refused."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.left = nth

    def before(self, name: str) -> None:
        if name not in TAKES_SPACE:
            return
        self.left -= 1
        if self.left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_at_any_step_costs_nothing(path: Path) -> None:
    old, fresh = tree(path), path.with_name("fresh")
    path.rename(fresh)
    refused = 0
    while True:
        shutil.copytree(fresh, path)
        try:
            recover_in_place(path, OLD, NEW, ME, files=NoSpace(refused + 1))
        except DiskFull:
            refused += 1
            goes_on(path, old)
            shutil.rmtree(path)
        else:
            break

    assert refused > 10


def interrupt_everywhere(path: Path, killer: Killer) -> tuple[int, int]:
    """Interrupt at each change of a folder, then at each call of the store; return how many."""
    old, fresh = tree(path), path.with_name("fresh")
    path.rename(fresh)
    changes = calls = 0
    while True:
        changes += 1
        shutil.copytree(fresh, path)
        try:
            with killer.at(changes):
                recover_in_place(path, OLD, NEW, ME, files=Quick())
        except Killed:
            goes_on(path, old)
            shutil.rmtree(path)
        else:
            break
    while True:
        calls += 1
        shutil.rmtree(path)
        shutil.copytree(fresh, path)
        try:
            recover_in_place(path, OLD, NEW, ME, files=Stopping(calls))
        except Killed:
            goes_on(path, old)
        else:
            return changes, calls


def test_interrupted_at_any_step_the_next_start_ends_it_well(path: Path, killer: Killer) -> None:
    changes, calls = interrupt_everywhere(path, killer)

    assert changes > 25
    assert calls > 20


def test_interruption_of_what_goes_on_is_no_harm(path: Path, killer: Killer) -> None:
    """The start that ends it may be interrupted as well, again and again."""
    old, fresh = tree(path), path.with_name("fresh")
    with pytest.raises(Killed), killer.at(24):
        recover_in_place(path, OLD, NEW, ME, files=Quick())
    assert (path / recovering.WHOLE).exists()
    path.rename(fresh)
    steps = 0
    while True:
        steps += 1
        shutil.copytree(fresh, path)
        try:
            with killer.at(steps):
                goes_on(path, old)
        except Killed:
            goes_on(path, old)
            shutil.rmtree(path)
        else:
            break

    assert steps > 5


def _moves_the_identity_first(path: Path, files: Files | None = None) -> None:
    """Planted: the volume is believed before its journal is there."""
    whole = path / recovering.WHOLE
    if (whole / "identity").exists() and not (path / "identity").exists():
        (whole / "identity").rename(path / "identity")
        for entry in sorted(whole.iterdir()):
            entry.rename(path / entry.name)
    finish_recovering(path, files)


def _forgets_the_journal(path: Path, identity: Identity, begins: Beginning, files: Files) -> None:
    """Planted: the new volume is taken for whole before it is."""
    write_volume(path, identity, begins, files)
    for file in (path / "journal").iterdir():
        file.unlink()


def plant_a_wrong_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovering, "finish_recovering", _moves_the_identity_first)
    patch.setattr(opening, "finish_recovering", _moves_the_identity_first)


def plant_a_half_volume(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovering, "write_volume", _forgets_the_journal)


@pytest.mark.parametrize("plant", [plant_a_wrong_order, plant_a_half_volume])
def test_planted_bug_is_seen(
    path: Path,
    killer: Killer,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
) -> None:
    plant(monkeypatch)

    with pytest.raises((AssertionError, Damaged)):
        interrupt_everywhere(path, killer)


def test_rest_of_a_recovery_is_dropped_before_another_volume_comes(path: Path) -> None:
    """Else a start would take it for a whole volume, when the next format is interrupted."""
    rest = path / recovering.WHOLE
    rest.mkdir()
    (rest / "identity").write_text("whole")
    (path / recovering.BUILDING).mkdir()

    recovering.discard(path, Quick())

    assert not rest.exists()
    assert not (path / recovering.BUILDING).exists()
