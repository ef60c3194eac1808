"""A backup's bytes: a checkpoint file without a volume, known to be whole however it comes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bazaar_peer.runtime.checkpoint_file import Passing, encoded, read_checkpoint
from bazaar_peer.runtime.ends import Place
from bazaar_peer.runtime.files import Files

PLACE = Place(3, 41, bytes(range(16)))
PARTS = [b"h" + b"header" * 9, b"s", b"m" * 1000]
parts = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5)


def passed(content: bytes, *cuts: int) -> tuple[Place, str] | None:
    passing, begin = Passing(), 0
    for end in [*sorted(cuts), len(content)]:
        passing.take(content[begin:end])
        begin = end
    assert passing.bytes == len(content)
    return passing.whole()


def test_it_is_read_as_any_checkpoint_is(tmp_path: Path) -> None:
    file = tmp_path / "fair.backup"
    file.write_bytes(b"".join(encoded(PLACE, PARTS)))

    saved, found = read_checkpoint(Files(), file)

    assert (saved.place, found) == (PLACE, PARTS)


@given(parts, st.data())
def test_pieces_of_any_size_come_to_the_same(content: list[bytes], data: st.DataObject) -> None:
    told = b"".join(encoded(PLACE, content))
    cuts = data.draw(st.lists(st.integers(0, len(told)), max_size=6))

    whole = passed(told)

    assert whole is not None
    assert passed(told, *cuts) == whole == (PLACE, told[-16:].hex())


@given(parts, st.data())
def test_what_is_cut_short_is_none(content: list[bytes], data: st.DataObject) -> None:
    told = b"".join(encoded(PLACE, content))

    assert passed(told[: data.draw(st.integers(0, len(told) - 1))]) is None


@given(parts, st.data())
def test_what_was_changed_is_none(content: list[bytes], data: st.DataObject) -> None:
    told = bytearray(b"".join(encoded(PLACE, content)))
    at = data.draw(st.integers(0, len(told) - 1))
    told[at] ^= data.draw(st.integers(1, 255))

    assert passed(bytes(told)) is None


def test_more_behind_its_end_is_none() -> None:
    assert passed(b"".join(encoded(PLACE, PARTS)) + b"x") is None
