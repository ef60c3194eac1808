"""What a volume gives back is what was performed, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bazaar_peer.core.effects import Hard, InstallCheckpoint, StorePart, WriteRecord
from bazaar_peer.runtime import frames
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import Damaged, Locked, Missing, Untouched, VolumeError, WrongRing
from bazaar_peer.runtime.volume import Identity, Layout, format_volume
from tests.integration.disk.rig import (
    GENESIS,
    ME,
    SMALL,
    Model,
    fresh,
    hard,
    install,
    perform,
    record,
    recover,
    save,
    truncate,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "volume"


def test_fresh_volume_holds_the_genesis_record(path: Path) -> None:
    fresh(path).close()

    assert recover(path) == Model().recovered()


def test_volume_is_never_formatted_again(path: Path) -> None:
    fresh(path).close()

    with pytest.raises(VolumeError, match="never formatted again"):
        format_volume(path, ME, GENESIS, SMALL)


def test_interrupted_format_may_be_repeated(path: Path) -> None:
    fresh(path).close()
    (path / "identity").unlink()
    (path / "formatting").touch()

    with pytest.raises(Missing):
        Volume.open(path, ME, SMALL)
    fresh(path).close()

    assert recover(path) == Model().recovered()


def test_volume_without_identity_is_damaged_and_not_formatted(path: Path) -> None:
    fresh(path).close()
    (path / "identity").unlink()

    with pytest.raises(Damaged, match="gone"):
        Volume.open(path, ME, SMALL)
    with pytest.raises(VolumeError):
        format_volume(path, ME, GENESIS, SMALL)


@pytest.mark.parametrize("other", [Identity("ring-2", 3, 0), Identity("ring-1", 2, 0)])
def test_volume_of_someone_else_is_refused(path: Path, other: Identity) -> None:
    fresh(path).close()

    with pytest.raises(WrongRing, match="folder of its own"):
        Volume.open(path, other, SMALL)

    recover(path)


def test_missing_volume_is_named(path: Path) -> None:
    with pytest.raises(Missing, match=str(path)):
        Volume.open(path, ME, SMALL)


def test_second_process_on_one_volume_is_refused_until_the_first_is_gone(path: Path) -> None:
    volume = fresh(path)
    program = (
        "import sys; from pathlib import Path;"
        "from bazaar_peer.runtime.disk import Volume;"
        "from bazaar_peer.runtime.volume import Identity;"
        "Volume.open(Path(sys.argv[1]), Identity('ring-1', 3, 0)).recover()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    second = subprocess.run(
        [sys.executable, "-c", program, path], env=environment, capture_output=True, check=False
    )
    with pytest.raises(Locked):
        Volume.open(path, ME, SMALL)
    volume.close()

    assert b"Locked" in second.stderr
    recover(path)


def test_group_of_all_kinds_comes_back_in_order(path: Path) -> None:
    volume, model = fresh(path), Model()
    perform(volume, model, hard(1), record(1, b"a"), record(1, b"bb", 3))
    perform(volume, model, truncate(2), hard(2), record(2, b"c"), record(2, b""))
    perform(volume, model, record(2, b"d" * 5000))
    perform(volume, model, hard(3))
    volume.close()

    assert recover(path) == model.recovered()
    assert recover(path) == model.recovered()


def test_journal_of_many_segments_is_whole(path: Path) -> None:
    volume, model = fresh(path), Model()
    for n in range(60):
        perform(volume, model, record(1, b"x" * n), hard(n))
    volume.close()

    assert len(list((path / "journal").iterdir())) > 5
    assert recover(path) == model.recovered()


def test_recovery_starts_from_the_newest_checkpoint(path: Path) -> None:
    volume, model = fresh(path), Model()
    for n in range(30):
        perform(volume, model, record(1, b"x" * n))
    save(volume, model, 10, [b"old"])
    save(volume, model, 25, [b"part 0", b"part 1", b""])
    volume.close()

    found = recover(path)

    assert found == model.recovered()
    assert (found.base_index, len(found.records)) == (25, 6)
    assert len(list((path / "checkpoint").iterdir())) == 1


def test_pruning_keeps_all_behind_the_index(path: Path) -> None:
    volume, model = fresh(path), Model()
    for n in range(60):
        perform(volume, model, hard(n), record(1, b"x" * n))
    save(volume, model, 50, [b"state"])
    before = len(list((path / "journal").iterdir()))
    volume.prune(50)
    perform(volume, model, record(2, b"after"))
    volume.close()

    assert len(list((path / "journal").iterdir())) < before // 2
    assert recover(path) == model.recovered()


def test_pruning_keeps_what_a_later_truncation_stands_on(path: Path) -> None:
    """Records 2–40 fill segments; cut back to 20; a prune to 30 must keep the segment of 20."""
    volume, model = fresh(path), Model()
    for n in range(39):
        perform(volume, model, record(1, b"x" * n))
    perform(volume, model, truncate(20))
    for _ in range(15):
        perform(volume, model, record(2, b"y"))
    save(volume, model, 30, [b"state"])
    volume.prune(30)
    volume.close()

    assert recover(path) == model.recovered()


def test_pruned_segments_are_archived(path: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    layout = Layout(segment_bytes=1024, reserve_bytes=0, archive=archive)
    volume, model = fresh(path, layout), Model()
    for n in range(60):
        perform(volume, model, record(1, b"x" * n))
    names = {p.name for p in (path / "journal").iterdir()}
    save(volume, model, 60, [b"state"])
    volume.prune(60)
    volume.close()

    kept = {p.name for p in (path / "journal").iterdir()}
    assert kept
    assert {p.name for p in archive.iterdir()} == names - kept
    assert recover(path, layout) == model.recovered()


def test_pruning_before_a_checkpoint_is_a_bug_of_the_caller(path: Path) -> None:
    volume = fresh(path)

    with pytest.raises(AssertionError, match="C5"):
        volume.prune(1)
    volume.close()


def test_volume_without_the_checkpoint_that_its_journal_needs_is_damaged(path: Path) -> None:
    volume, model = fresh(path), Model()
    for n in range(60):
        perform(volume, model, record(1, b"x" * n))
    save(volume, model, 50, [b"state"])
    volume.prune(50)
    volume.close()
    next((path / "checkpoint").iterdir()).unlink()

    with pytest.raises(Damaged, match="checkpoint"):
        recover(path)


def test_installed_checkpoint_replaces_a_journal_that_conflicts(path: Path) -> None:
    volume, model = fresh(path), Model()
    for _ in range(9):
        perform(volume, model, record(1, b"mine"))
    place = (2, 7, b"c" * 16)
    install(volume, model, place, [b"foreign 0", b"foreign 1"], keep=False)
    perform(volume, model, record(2, b"on top"))
    volume.close()

    assert recover(path) == model.recovered()
    assert model.records[0].first == 8


def test_installed_checkpoint_keeps_a_suffix_that_fits(path: Path) -> None:
    volume, model = fresh(path), Model()
    for _ in range(9):
        perform(volume, model, record(1, b"mine"))
    at = model.records[6]
    install(volume, model, (at.epoch, at.last, at.chain), [b"foreign"], keep=True)
    volume.prune(7)
    volume.close()

    found = recover(path)

    assert found == model.recovered()
    assert [r.last for r in found.records] == [8, 9, 10]


def test_transfer_may_begin_anew_and_repeat_parts(path: Path) -> None:
    volume, model = fresh(path), Model()
    volume.store_part(StorePart(5, 0, b"abandoned"))
    for number, part in ((0, b"p0"), (1, b"p1"), (1, b"again"), (2, b"p2")):
        volume.store_part(StorePart(9, number, part))
    write = InstallCheckpoint(1, 3, 9, b"d" * 16, keep_suffix=False)
    volume.perform([write])
    model.apply(write, [b"p0", b"p1", b"p2"])
    volume.close()

    assert recover(path) == model.recovered()


def test_own_checkpoint_does_not_replace_a_newer_foreign_one(path: Path) -> None:
    volume, model = fresh(path), Model()
    writer = volume.checkpoint(0, 1)
    writer.write(b"own")
    install(volume, model, (2, 7, b"c" * 16), [b"foreign"], keep=False)

    assert not volume.save(writer)
    assert volume.saved
    assert volume.saved.read_part(0) == (b"foreign", True)
    volume.close()
    assert recover(path) == model.recovered()


def test_parts_are_read_from_the_checkpoint_a_transfer_began_with(path: Path) -> None:
    volume, model = fresh(path), Model()
    save(volume, model, 1, [b"p0", b"p1"])
    transfer = volume.saved
    assert transfer
    perform(volume, model, record(1, b"x"))
    save(volume, model, 2, [b"newer"])
    volume.prune(2)

    assert transfer.read_part(0) == (b"p0", False)
    assert transfer.read_part(1) == (b"p1", True)
    assert transfer.read_part(2) == (b"", True)
    assert volume.saved
    assert volume.saved.read_part(0) == (b"newer", True)
    volume.close()


def test_record_out_of_order_is_a_bug_of_the_caller(path: Path) -> None:
    volume, model = fresh(path), Model()
    model.apply(WriteRecord(0, model.record(1, b"skipped")))

    with pytest.raises(AssertionError, match="in order"):
        volume.perform([WriteRecord(0, model.record(1, b"x"))])
    volume.close()


def test_hard_state_survives_alone(path: Path) -> None:
    volume, model = fresh(path), Model()
    perform(volume, model, hard(7))
    volume.close()

    assert recover(path).hard == Hard(7, 1, 1, 65_536 * 7)


def test_untouched_volume_is_audited_as_at_a_start_and_not_changed(path: Path) -> None:
    """A torn end is dropped in the eyes of who looks, and stays on the disk."""
    volume = fresh(path)
    volume.close()
    journal = next((path / "journal").glob("*.journal"))
    with journal.open("r+b") as file:
        file.seek(len(journal.read_bytes().rstrip(b"\0")))
        file.write(frames.MAGIC)
    (path / "checkpoint/saving").write_bytes(b"left by a crash")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}

    seen = Volume.open(path, ME, SMALL, Untouched())
    found = seen.recover()
    seen.close()

    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    assert found == recover(path)
    assert not (path / "checkpoint/saving").exists()
