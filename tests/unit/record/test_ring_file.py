"""The newest entries of a peer survive at a bounded size, whatever happens to the process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bazaar_peer.record.entries import Entry, encode_body
from bazaar_peer.record.ring_file import RingFile

SLOTS = 8


def opened(path: Path) -> RingFile:
    return RingFile(path / "control", 128, SLOTS)


def put(ring: RingFile, boot: int, *numbers: int) -> None:
    for seq in numbers:
        ring.put([slot(ring, boot, seq)])


def slot(ring: RingFile, boot: int, seq: int) -> bytes:
    made = ring.slot((boot, seq), 1000 * seq, encode_body("note", {"n": seq}))
    assert made is not None
    return made


def seqs(found: list[Entry]) -> list[int]:
    return [entry.seq for entry in found]


def test_entries_come_back_whole_and_in_order(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    put(ring, 1, 1, 2)
    assert list(ring.after((0, 0))) == [
        Entry(1, 1, 1000, "note", {"n": 1}),
        Entry(1, 2, 2000, "note", {"n": 2}),
    ]


def test_the_newest_push_out_the_oldest(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    put(ring, 1, *range(1, 21))
    assert seqs(list(ring.after((0, 0)))) == list(range(13, 21))


@pytest.mark.parametrize("mark", [(1, 0), (1, 12), (1, 13), (1, 19), (1, 20), (2, 0)])
def test_only_what_lies_behind_a_mark_is_given(tmp_path: Path, mark: tuple[int, int]) -> None:
    ring = opened(tmp_path)
    put(ring, 1, *range(1, 21))
    behind = [seq for seq in range(13, 21) if (1, seq) > mark]
    assert seqs(list(ring.after(mark))) == behind


def test_only_what_is_young_enough_is_given(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    put(ring, 1, *range(1, 21))
    assert seqs(list(ring.after((0, 0), since=18_000))) == [18, 19, 20]


def test_a_later_process_goes_on_where_one_stopped(tmp_path: Path) -> None:
    first = opened(tmp_path)
    put(first, 1, *range(1, 11))  # and no word of farewell: a kill -9
    second = opened(tmp_path)
    assert second.last() == (1, 10)
    put(second, 2, 1)
    assert [e.mark for e in second.after((1, 9))] == [(1, 10), (2, 1)]


def test_a_torn_slot_is_left_out_and_the_rest_stands(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    put(ring, 1, 1, 2, 3)
    ring.close()
    path = tmp_path / "control"
    data = bytearray(path.read_bytes())
    data[32 + 128 + 30] ^= 1  # in the body of the second
    path.write_bytes(data)
    assert seqs(list(opened(tmp_path).after((0, 0)))) == [1, 3]


@pytest.mark.parametrize("wrong", [b"", b"short", bytes(32 + 128 * SLOTS)])
def test_a_file_of_another_shape_is_made_anew(tmp_path: Path, wrong: bytes) -> None:
    (tmp_path / "control").write_bytes(wrong)
    ring = opened(tmp_path)
    assert list(ring.after((0, 0))) == []
    put(ring, 1, 1)
    assert ring.last() == (1, 1)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    assert opened(tmp_path).slot((1, 2), 0, bytes(200)) is None


@pytest.mark.parametrize("before", [0, 1, 5, 7, 8])
@pytest.mark.parametrize("count", [0, 1, 3, 8, 9, 20])
def test_entries_written_together_are_those_written_one_by_one(
    tmp_path: Path, before: int, count: int
) -> None:
    (tmp_path / "alone").mkdir()
    together, alone = opened(tmp_path), opened(tmp_path / "alone")
    for ring in (together, alone):
        put(ring, 1, *range(1, before + 1))
    numbers = range(before + 1, before + count + 1)
    together.put([slot(together, 1, seq) for seq in numbers])
    put(alone, 1, *numbers)

    found = list(together.after((0, 0)))
    assert found == list(alone.after((0, 0)))
    assert opened(tmp_path).last() == alone.last()


def test_no_count_that_stands_in_the_file_is_believed(tmp_path: Path) -> None:
    """Bits that turned over, or a count of an older version: the slots say where to go on."""
    first = opened(tmp_path)
    put(first, 1, *range(1, 13))
    with (tmp_path / "control").open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 16)
    again = opened(tmp_path)
    put(again, 1, 13)
    assert seqs(list(again.after((0, 0)))) == list(range(6, 14))


@pytest.mark.parametrize("written", [*range(SLOTS + 2), 3 * SLOTS, 3 * SLOTS + 1])
def test_a_later_process_finds_the_place_wherever_it_is(tmp_path: Path, written: int) -> None:
    put(opened(tmp_path), 1, *range(1, written + 1))
    again = opened(tmp_path)
    put(again, 2, 1)
    first = max(1, written - SLOTS + 2)
    marks = [(1, seq) for seq in range(first, written + 1)]
    assert [entry.mark for entry in again.after((0, 0))] == [*marks, (2, 1)]


def test_a_newest_slot_that_is_torn_is_written_over(tmp_path: Path) -> None:
    put(opened(tmp_path), 1, 1, 2, 3)
    path = tmp_path / "control"
    data = bytearray(path.read_bytes())
    data[32 + 2 * 128 + 30] ^= 1
    path.write_bytes(data)
    again = opened(tmp_path)
    assert again.last() == (1, 2)
    put(again, 1, 3)
    assert seqs(list(again.after((0, 0)))) == [1, 2, 3]


def test_a_file_of_noise_is_an_empty_one(tmp_path: Path) -> None:
    opened(tmp_path).close()
    path = tmp_path / "control"
    path.write_bytes(path.read_bytes()[:32] + b"\xff" * (128 * SLOTS))
    ring = opened(tmp_path)
    put(ring, 1, 1)
    assert seqs(list(ring.after((0, 0)))) == [1]


def test_entries_are_whole_that_are_read_while_others_are_written(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    done = threading.Event()

    def write() -> None:
        put(ring, 1, *range(1, 20_001))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    read = 0
    while not done.is_set():
        for entry in ring.after((0, 0)):
            read += 1
            assert (entry.at, entry.fields) == (1000 * entry.seq, {"n": entry.seq})
    writer.join()
    assert read > 0
    assert seqs(list(ring.after((0, 0)))) == list(range(20_000 - SLOTS + 1, 20_001))
