"""Frames and ends, without a disk."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from bazaar_peer.runtime import frames
from bazaar_peer.runtime.ends import ORIGIN, Ends, Place

kinds = st.integers(frames.START, frames.RESET)
positions = st.integers(0, 2**40)


@given(kinds, st.binary(max_size=60), st.binary(max_size=60), positions, positions)
def test_frame_comes_back(kind: int, head: bytes, body: bytes, position: int, durable: int) -> None:
    packed = frames.pack(kind, head, body, position=position, durable=durable)

    assert frames.parse(b"before" + packed + b"after", 6, position) == frames.Frame(
        kind, durable, head + body, len(packed)
    )


@given(kinds, st.binary(max_size=60), positions, st.data())
def test_changed_frame_is_none(kind: int, body: bytes, position: int, draw: st.DataObject) -> None:
    packed = bytearray(frames.pack(kind, b"", body, position=position, durable=0))
    packed[draw.draw(st.integers(0, len(packed) - 1))] ^= draw.draw(st.integers(1, 255))

    assert frames.parse(bytes(packed), 0, position) is None


def test_frame_at_another_position_is_none() -> None:
    """A misdirected write puts good bytes in a wrong place."""
    packed = frames.pack(frames.HARD, b"", b"x", position=64, durable=0)

    assert frames.parse(packed, 0, 64)
    assert frames.parse(packed, 0, 65) is None


@given(kinds, st.binary(max_size=60), positions)
def test_beginning_of_a_frame_is_cut_short_and_a_whole_one_is_not(
    kind: int, body: bytes, position: int
) -> None:
    packed = frames.pack(kind, b"", body, position=position, durable=0)

    for length in range(1, len(packed)):
        assert frames.is_cut_short(packed[:length].rstrip(b"\0"))
    assert not frames.is_cut_short(packed)
    assert not frames.is_cut_short(b"something else, long enough for a head")


@given(st.binary(max_size=40), st.lists(positions, min_size=1, max_size=4))
def test_frames_behind_bad_bytes_testify(bad: bytes, durables: list[int]) -> None:
    rest = bad
    for durable in durables:
        rest += frames.pack(frames.HARD, b"", b"x", position=100 + len(rest), durable=durable)

    assert frames.durable_seen(rest, 100) == max(durables)


@given(st.lists(st.integers(1, 5), max_size=12), st.integers(0, 60), st.integers(0, 60))
def test_ends_know_every_end_behind_the_base(sizes: list[int], cut: int, base: int) -> None:
    ends, places = Ends(ORIGIN), [ORIGIN]
    for n, size in enumerate(sizes):
        places.append(Place(n, places[-1].last + size, bytes([n]) * 16))
        ends.append(places[-1])

    ends.truncate(cut)
    kept = [p for p in places if p.last <= cut]
    ends.prune(base)
    kept = [p for p in kept if p.last >= base] or kept[-1:]
    if ends.base.last < kept[0].last:
        kept = [ends.base, *kept]

    assert (ends.base, ends.last) == (kept[0], kept[-1])
    assert [ends.at(p.last) for p in kept] == kept
    assert ends.at(kept[-1].last + 1) is None
