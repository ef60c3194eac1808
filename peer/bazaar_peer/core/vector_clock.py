"""Vector clocks: causality of market events; they order nothing else and elect nobody.

A component is a peer's life, its `PeerId` (T3). The own component never goes back: ticks are
taken from a block that is durably reserved first (T2).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

BLOCK = 65_536
"""Ticks reserved at once: one small write for that many stamps."""
TICKS_MAX = 1 << 48
PARTS_MAX = 1 << 10
"""Limits to what another may say: the sum of a clock must fit into 63 bits, and be bounded."""


def happens_before(a: Mapping[int, int], b: Mapping[int, int]) -> bool:
    """Tell whether the event stamped `a` is a cause of the one stamped `b`."""
    behind = all(b.get(part, 0) >= ticks for part, ticks in a.items())
    return behind and any(ticks > a.get(part, 0) for part, ticks in b.items())


_encode = msgspec.msgpack.Encoder().encode
decode_stamp = msgspec.msgpack.Decoder(dict[int, int]).decode
"""Raises msgspec.MsgspecError for what is no stamp."""


def sealed(counts: Mapping[int, int]) -> tuple[int, bytes]:
    """Return a stamp's rank, which grows along happens-before, and the stamp encoded."""
    return sum(counts.values()), _encode(counts)


def learn(counts: dict[int, int], other: Mapping[int, int], but: int = -1) -> None:
    """Raise `counts` to what `other` says, one part left out, within the limits (T5)."""
    for part, ticks in other.items():
        if counts.get(part, 0) < ticks <= TICKS_MAX and part != but:
            if part not in counts and len(counts) >= PARTS_MAX:
                continue
            counts[part] = ticks


class VectorClock:
    """One peer's clock: `counts` by component, `reserved` the last tick that may be used."""

    __slots__ = ("counts", "me", "reserved")

    def __init__(self, me: int, counts: dict[int, int], ticks: int) -> None:
        self.me = me
        self.counts = counts
        counts[me] = max(counts.get(me, 0), ticks)
        self.reserved = ticks

    def merge(self, other: Mapping[int, int]) -> None:
        """Become later than everything `other` knows, but never run ahead of the own component."""
        learn(self.counts, other, self.me)

    def can_stamp(self) -> bool:
        return self.counts[self.me] < self.reserved

    def stamp(self) -> dict[int, int]:
        """Count one event of this peer; caller duty: `can_stamp`."""
        counts = self.counts
        assert counts[self.me] < self.reserved
        counts[self.me] += 1
        return counts.copy()
