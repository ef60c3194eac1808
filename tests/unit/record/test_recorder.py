"""A peer's record over its boots: steps outlive traffic, marks only grow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bazaar_peer.core.types import name_of, peer_id
from bazaar_peer.record import recorder as module
from bazaar_peer.record.entries import Fields, encode_body
from bazaar_peer.record.recorder import CONTROL, Recorder, note_fault
from bazaar_peer.record.ring_file import RingFile


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONTROL", ("control", 256, 16))
    monkeypatch.setattr(module, "TRAFFIC_FILE", ("traffic", 112, 16))


def kinds(recorder: Recorder) -> list[str]:
    return [entry.kind for entry in recorder.after((0, 0), 1000)]


def test_traffic_pushes_out_no_step(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 1)
    recorder.keep((1, "note", {"note": "election", "fields": {}}))
    for at in range(100):
        recorder.keep((at, "moved", {"end": at}))
    assert kinds(recorder).count("note") == 1
    assert kinds(recorder).count("moved") == 16


def test_both_files_are_read_in_the_order_of_keeping(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 1)
    for kind in ("started", "moved", "note", "beat", "key"):
        recorder.keep((7, kind, {}))
    assert kinds(recorder) == ["started", "moved", "note", "beat", "key"]
    assert [entry.seq for entry in recorder.after((1, 2), 2)] == [3, 4]


def test_a_boot_that_is_counted_again_goes_on_counting_entries(tmp_path: Path) -> None:
    """Its number was not durable when it was killed."""
    Recorder(tmp_path, 1).keep((1, "started", {}))
    again = Recorder(tmp_path, 1)
    again.keep((2, "started", {}))
    assert [entry.mark for entry in again.after((0, 0), 10)] == [(1, 1), (1, 2)]


def test_the_record_of_a_later_boot_than_the_volumes_is_dropped(tmp_path: Path) -> None:
    Recorder(tmp_path, 5).keep((1, "started", {}))
    old = Recorder(tmp_path, 2)  # an old copy of the volume
    old.keep((2, "started", {}))
    assert [entry.mark for entry in old.after((0, 0), 10)] == [(2, 1)]


def test_what_is_too_long_loses_its_texts_first(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 1)
    recorder.keep((1, "ended", {"why": "x" * 300, "epoch": 7}))
    recorder.keep((2, "note", {str(i): 1 << 60 for i in range(100)}))
    assert [entry.fields for entry in recorder.after((0, 0), 10)] == [{"epoch": 7}, {}]


def key_of(members: int, lives: int, market: str = "buyer") -> Fields:
    """Return the state of a peer of a ring that had so many lives in its time."""
    all_lives = [peer_id(life % members, life // members) for life in range(lives)]
    return {
        "role": "follower",
        "epoch": 12,
        "promised": 12,
        "trader": all_lives[-1],
        "end": [12, 1_234_567],
        "commit": 1_234_567,
        "applied": 1_234_560,
        "members": all_lives[-members:],
        "heard": 0.0123,
        "market": market,
        "clock": {name_of(life): 1_000_000 + life for life in all_lives},
        "life": 3,
        "wall": 1_790_000_000_000_000_000,
        "clock_id": "abcdef12",
    }


def kept_whole(path: Path, fields: Fields) -> Fields:
    """Keep a peer's key, or a market, in slots of their real size; return what is left of it."""
    path.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CONTROL", CONTROL)
        recorder = Recorder(path, 1)
    recorder.keep((1, "key", fields))
    (entry,) = recorder.after((0, 0), 10)
    return entry.fields


def test_a_key_that_fits_is_whole(tmp_path: Path) -> None:
    assert kept_whole(tmp_path, key_of(6, 12)) == key_of(6, 12)


@pytest.mark.parametrize("members", [6, 24])
def test_of_96_lives_a_key_loses_the_clocks_of_those_that_are_over(
    tmp_path: Path, members: int
) -> None:
    """Role, members, end and clock stay: without them a page drops the peer's whole state."""
    fields = key_of(members, 96)
    left = kept_whole(tmp_path, fields)
    assert left.keys() == fields.keys()
    clock = left.pop("clock")
    assert left == {name: value for name, value in fields.items() if name != "clock"}
    assert clock == {name_of(life): fields["clock"][name_of(life)] for life in fields["members"]}


@pytest.mark.parametrize(
    ("text", "members"), [(300, 24), (400, 0)], ids=["members fit", "they do not"]
)
def test_a_key_loses_its_clock_before_its_members(tmp_path: Path, text: int, members: int) -> None:
    fields = key_of(24, 96, market="x" * text)
    left = kept_whole(tmp_path, fields)
    assert left == fields | {"clock": {}, "members": fields["members"][:members]}


def test_a_market_loses_its_oldest_trades_first(tmp_path: Path) -> None:
    name = "x" * 32
    items = [[f"{name[:-1]}{n}", 10**6, 10**9] for n in range(8)]
    trades = [[name, 10**6, name, 10**15 + n] for n in range(8)]
    small = {"index": 1, "items": items[:4], "trades": trades[:3]}

    assert kept_whole(tmp_path / "a", small) == small
    left = kept_whole(tmp_path / "b", {"index": 1, "items": items, "trades": trades})
    assert left["items"] == items
    assert left["trades"] == trades[: len(left["trades"])]
    assert 1 <= len(left["trades"]) < 8


def full(_file: int, _data: bytes, _at: int) -> int:
    raise OSError(28, "No space left on device")


def test_a_record_that_cannot_be_written_is_given_up_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Trading never depends on it: `keep` raises nothing."""
    recorder = Recorder(tmp_path, 1)
    recorder.keep((1, "note", {}))
    monkeypatch.setattr(os, "pwrite", full)
    for at in (2, 3):
        recorder.keep((at, "note", {}))
    assert [one.message for one in caplog.records] == ["record_given_up"]
    assert "No space left on device" in recorder.given_up
    assert "make room on its volume or delete the folder record" in recorder.given_up
    monkeypatch.undo()
    recorder.keep((4, "note", {}))
    assert [entry.at for entry in recorder.after((0, 0), 10)] == [1], "no gap in the middle"


def test_a_record_without_faults_is_not_given_up(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 1)
    recorder.keep((1, "note", {}))
    assert recorder.given_up == ""


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def counted_wrong(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[16:24] = b"\xff" * 8
    path.write_bytes(data)


def noise(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def the_last_mark_there_is(path: Path) -> None:
    """Whole by its check sum, and nothing can be counted on from it."""
    ring = RingFile(path, 256, 16)
    last = ring.slot(((1 << 31) - 1, (1 << 64) - 1), 1, encode_body("note", {}))
    assert last is not None
    ring.put([last])
    ring.close()


DAMAGES = [emptied, counted_wrong, noise, a_folder, the_last_mark_there_is]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_supervisor_s_note_in_a_damaged_record_harms_nobody(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    Recorder(tmp_path, 1).keep((1, "started", {}))
    damage(tmp_path / "record" / "control")
    note_fault(tmp_path, 2, "killed")


def test_a_supervisor_s_note_is_kept_in_a_sound_record(tmp_path: Path) -> None:
    Recorder(tmp_path, 1).keep((1, "started", {}))
    note_fault(tmp_path, 2, "killed")
    assert kinds(Recorder(tmp_path, 2)) == ["started", "fault"]


@pytest.mark.parametrize("damage", [emptied, counted_wrong, noise])
def test_a_damaged_record_is_mended_when_it_is_opened(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    Recorder(tmp_path, 1).keep((1, "started", {}))
    damage(tmp_path / "record" / "control")
    recorder = Recorder(tmp_path, 2)
    recorder.keep((2, "note", {}))
    assert (kinds(recorder)[-1], recorder.given_up) == ("note", "")


def test_a_file_that_is_cut_off_meanwhile_ends_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 1)
    recorder.keep((1, "note", {}))
    os.truncate(tmp_path / "record" / "control", 0)
    assert kinds(recorder) == []
    recorder.keep((2, "note", {}))
    assert kinds(recorder) == ["note"]
