"""The smallest machine: it adds. It shows that the core knows nothing of the market."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from bazaar_peer.core.machine import Context, Machine


class Add(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="add"):
    amount: int


encode_add = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Add).decode


class Counter(Machine):
    """Answers `Add(n)` with `{"value": sum so far}`; what is no `Add` changes nothing."""

    def __init__(self) -> None:
        self.value = 0

    def configure(self, settings: bytes) -> None:
        """Start from the value given in decimal; empty: from zero."""
        self.value = int(settings or b"0")

    def apply(self, body: bytes, context: Context) -> bytes:
        try:
            self.value += _decode(body).amount
        except ValueError:
            return b'{"outcome":"invalid"}'
        return b'{"value":%d}' % self.value

    def snapshot(self) -> Iterator[bytes]:
        """One part: the value in decimal, which has no upper bound."""
        return iter([b"%d" % self.value])

    def restore(self, part: bytes) -> None:
        self.value = int(part)
