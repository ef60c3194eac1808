"""The second machine."""

from __future__ import annotations

from bazaar_peer.core.machine import Context
from bazaar_peer.simulation.counter import Add, Counter, encode_add


def test_counter_adds_and_ignores_what_is_no_add() -> None:
    counter = Counter()
    counter.configure(b"10")

    assert counter.apply(encode_add(Add(5)), Context()) == b'{"value":15}'
    assert counter.apply(b"\xc1", Context()) == b'{"outcome":"invalid"}'
    assert counter.apply(encode_add(Add(-20)), Context()) == b'{"value":-5}'


def test_counter_restores_to_the_same_bytes() -> None:
    counter, copy = Counter(), Counter()
    counter.configure(b"")
    counter.apply(encode_add(Add(7)), Context())

    for part in counter.snapshot():
        copy.restore(part)

    assert list(copy.snapshot()) == list(counter.snapshot()) == [b"7"]
    assert copy.hash() == counter.hash()
