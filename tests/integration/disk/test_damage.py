"""Bytes that change on a disk are never taken for what was written (D1, D2, G13).

Every answer is the very state that was written, or `Damaged`, or, where the machine was started
anew and the bytes lie behind the mark, a state that a torn write may leave.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bazaar_peer.core.effects import Recovered, Write
from bazaar_peer.runtime import frames
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import Damaged, Files, VolumeError
from bazaar_peer.runtime.mark_file import MarkFile
from bazaar_peer.runtime.volume import Layout
from tests.integration.disk.rig import (
    ME,
    SMALL,
    Model,
    Rebooted,
    Unsynced,
    audit,
    fresh,
    hard,
    perform,
    record,
    recover,
    save,
    truncate,
)

MASKS = (0x01, 0xFF)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "volume"


def filled(path: Path) -> tuple[Model, Path]:
    """Make a volume of several segments with every kind of frame, and a checkpoint."""
    volume, model = fresh(path), Model()
    perform(volume, model, hard(1), *[record(1, b"abc" * n) for n in range(12)])
    save(volume, model, 4, [b"state", b"more state"])
    perform(volume, model, record(1, b"x" * 700), truncate(9), hard(2))
    perform(volume, model, record(2, b"y" * 40))
    perform(volume, model, hard(3))
    volume.close()
    return model, max((path / "journal").iterdir())


def tail(path: Path) -> int:
    """Find where the used bytes of a segment end."""
    return len(path.read_bytes().rstrip(b"\0"))


def flipped(file: Path, length: int) -> Iterator[str]:
    """Flip each byte in turn, by several masks."""
    content = file.read_bytes()
    for offset in range(min(length, len(content))):
        for mask in MASKS:
            changed = bytearray(content)
            changed[offset] ^= mask
            file.write_bytes(changed)
            yield f"{file.name} at {offset} by {mask:#x}"
    file.write_bytes(content)


def accepted(
    path: Path, file: Path, files: Files, states: list[Recovered], length: int
) -> list[str]:
    """Return the flips after which a state comes back that is none of these."""
    return [
        flip
        for flip in flipped(file, length)
        if (found := audit(path, SMALL, files)) is not None and found not in states
    ]


@pytest.mark.parametrize("files", [Unsynced(), Rebooted()])
@pytest.mark.parametrize("kind", ["journal", "checkpoint", "mark", "identity"])
def test_flipped_byte_is_never_accepted(path: Path, kind: str, files: Files) -> None:
    model, _ = filled(path)
    found = [p for p in [path / kind, *(path / kind).glob("*")] if p.is_file()]

    for file in found:
        # A few zeros behind the end too: they are as good as any other unused byte.
        length = tail(file) + 40
        assert accepted(path, file, files, [model.recovered()], length) == []
    assert audit(path) == model.recovered()


@pytest.mark.parametrize("files", [Unsynced(), Rebooted()])
def test_flip_of_acknowledged_bytes_is_damage(path: Path, files: Files) -> None:
    """D2, row 19: below the mark nothing is torn, so nothing is dropped either."""
    _, last = filled(path)

    for flip in flipped(last, tail(last)):
        assert audit(path, SMALL, files) is None, flip


@pytest.mark.parametrize("files", [Unsynced(), Rebooted()])
def test_cut_checkpoint_is_damage(path: Path, files: Files) -> None:
    filled(path)
    (file,) = (path / "checkpoint").iterdir()
    content = file.read_bytes()

    for length in range(len(content)):
        file.write_bytes(content[:length])
        assert audit(path, SMALL, files) is None, length


@pytest.mark.parametrize("files", [Unsynced(), Rebooted()])
def test_acknowledged_journal_that_is_cut_is_damage(path: Path, files: Files) -> None:
    model, last = filled(path)
    content, end = last.read_bytes(), tail(last)

    for length in range(end):
        for rest in (b"", bytes(len(content) - length)):
            last.write_bytes(content[:length] + rest)
            assert audit(path, SMALL, files) is None, length
    last.write_bytes(content[:end])
    assert audit(path, SMALL, files) == model.recovered()


def unacknowledged(path: Path) -> tuple[list[Recovered], Path, int, int]:
    """Kill a peer after it wrote a group and before it said so.

    Returns:
        The states between the group's writes, the segment, and where the group begins and ends.
    """
    model, last = filled(path)
    volume = Volume.open(path, ME, Layout(segment_bytes=4096, reserve_bytes=0))
    volume.recover()
    begin, mark = tail(last), (path / "mark").read_bytes()
    states, group = [model.recovered()], list[Write]()
    for make in [record(3, b"new"), hard(4), record(3, b"\0\0\0"), record(3, b"last one")]:
        group.append(make(model))
        model.apply(group[-1])
        states.append(model.recovered())
    volume.perform(group)
    volume.close()
    (path / "mark").write_bytes(mark)
    return states, last, begin, tail(last)


def test_kill_inside_a_write_is_torn_on_any_boot(path: Path) -> None:
    """Row 69: every prefix of an unacknowledged group, followed by zeros or by nothing."""
    states, last, begin, end = unacknowledged(path)
    content = last.read_bytes()
    seen = []

    for length in range(begin, end + 1):
        for rest in (b"", bytes(len(content) - length)):
            last.write_bytes(content[:length] + rest)
            found = audit(path)
            assert found in states, length
            assert audit(path, SMALL, Rebooted()) == found
            seen.append(found)

    assert [state for state in states if state not in seen] == []
    assert recover(path) == states[-1]
    assert recover(path) == states[-1]


def test_bad_bytes_behind_the_mark_are_torn_only_if_the_machine_rebooted(path: Path) -> None:
    states, last, begin, _ = unacknowledged(path)
    content = bytearray(last.read_bytes())
    content[begin + 10] ^= 0xFF
    last.write_bytes(content)

    assert audit(path) is None
    assert audit(path, SMALL, Rebooted()) == states[0]


@pytest.mark.parametrize("files", [Unsynced(), Rebooted()])
def test_any_flip_behind_the_mark_leaves_a_prefix_or_damage(path: Path, files: Files) -> None:
    states, last, begin, end = unacknowledged(path)
    content = last.read_bytes()

    for offset in range(begin, end):
        for mask in MASKS:
            changed = bytearray(content)
            changed[offset] ^= mask
            last.write_bytes(changed)
            assert audit(path, SMALL, files) in [None, *states], offset


def test_later_frames_testify_when_the_mark_is_older(path: Path) -> None:
    """D1: the mark is not synced; a reboot may bring back an older one."""
    volume, model = fresh(path, layout := SMALL), Model()
    old = (path / "mark").read_bytes()
    for n in range(3):
        perform(volume, model, record(1, b"group %d" % n))
    volume.close()
    (path / "mark").write_bytes(old)
    (file,) = (path / "journal").iterdir()
    size = frames.OVERHEAD + frames.RECORD_HEAD.size + len(b"group 0")
    last_group = tail(file) - size

    content = file.read_bytes()
    assert audit(path, layout, Rebooted()) == model.recovered()
    for offset in range(last_group):
        changed = bytearray(content)
        changed[offset] ^= 0x10
        file.write_bytes(changed)
        assert audit(path, layout, Rebooted()) is None, offset


def test_checkpoint_testifies_when_the_mark_is_older(path: Path) -> None:
    volume, model = fresh(path), Model()
    old = (path / "mark").read_bytes()
    perform(volume, model, record(1, b"covered"))
    save(volume, model, 2, [b"state"])
    volume.close()
    (path / "mark").write_bytes(old)
    (file,) = (path / "journal").iterdir()
    content = bytearray(file.read_bytes())
    content[tail(file) - 5] ^= 0xFF
    file.write_bytes(content)

    with pytest.raises(Damaged):
        recover(path, SMALL, Rebooted())


@pytest.mark.parametrize("name", ["mark", "journal/000000000002.journal", "journal"])
def test_file_that_is_gone_is_named(path: Path, name: str) -> None:
    filled(path)
    victim = path / name
    shutil.rmtree(victim) if victim.is_dir() else victim.unlink()

    with pytest.raises(Damaged, match=name.split("/", maxsplit=1)[0]):
        recover(path)


def test_older_copy_of_the_journal_is_damage(path: Path) -> None:
    """A restored snapshot of the journal alone: its end lies below the mark."""
    volume, model = fresh(path), Model()
    perform(volume, model, record(1, b"one"))
    shutil.copytree(path / "journal", old := path.with_name("old"))
    perform(volume, model, hard(5))
    volume.close()
    shutil.rmtree(path / "journal")
    old.rename(path / "journal")

    with pytest.raises(Damaged, match="acknowledged"):
        recover(path, SMALL, Rebooted())


def test_damage_says_which_file_what_and_how_to_mend_it(path: Path) -> None:
    _, last = filled(path)
    last.write_bytes(b"\xff" * 100)

    with pytest.raises(VolumeError) as caught:
        recover(path)

    assert str(last) in str(caught.value)
    assert "must not vote" in str(caught.value)
    assert "admit this peer again" in str(caught.value)


# ---- planted bugs: each checker above catches what it is for ----------------------------------


def test_store_without_checksums_is_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "crc32", lambda _content, _start=0: 7)
    model, last = filled(path)
    content = bytearray(last.read_bytes())
    content[tail(last) - 10] ^= 0x01
    last.write_bytes(content)

    assert audit(path) not in [None, model.recovered()]


def test_store_without_a_mark_is_found(path: Path) -> None:
    _, last = filled(path)
    mark = MarkFile(Files(), path / "mark")
    mark.raise_to(0, 0, 0)
    mark.close()

    undetected = [f for f in flipped(last, tail(last)) if audit(path, SMALL, Rebooted())]

    assert undetected
