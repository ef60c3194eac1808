"""Counters of a peer's own agents in a memory-mapped file: a kill -9 loses none of them.

One process writes, any may read. All counters are unsigned 64-bit words in native order; latencies
are counted in buckets of an eighth of a power of two of microseconds (at most 12 % wide).
"""

from __future__ import annotations

import mmap
from pathlib import Path

WORDS = ("orders", "filled", "unavailable", "failed", "deposits", "sum_us", "max_us", "rests")
BUCKETS = 256
SIZE = 8 * (len(WORDS) + BUCKETS)
_PLACE = {word: place for place, word in enumerate(WORDS)}


def bucket_of(us: int) -> int:
    """Return the bucket of a latency; 8 a power of two, exact below 8 µs."""
    if us < 8:
        return max(us, 0)
    bits = us.bit_length()
    return min(BUCKETS - 1, (bits - 3 << 3) + (us >> bits - 4 & 7))


def bucket_top(bucket: int) -> int:
    """Return the greatest latency that a bucket holds, in µs."""
    if bucket < 8:
        return bucket
    bits = (bucket >> 3) + 3
    return ((8 | bucket & 7) + 1 << bits - 4) - 1


class Stats:
    """The counters of one peer; `open` maps the file, made anew if it is not there."""

    def __init__(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size != SIZE:
            path.write_bytes(bytes(SIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self._words = memoryview(self._map).cast("Q")

    def add(self, word: str, count: int = 1) -> None:
        self._words[_PLACE[word]] += count

    def get(self, word: str) -> int:
        return self._words[_PLACE[word]]

    def observe(self, us: int) -> None:
        """Count one latency."""
        words = self._words
        words[len(WORDS) + bucket_of(us)] += 1
        words[_PLACE["sum_us"]] += us
        words[_PLACE["max_us"]] = max(words[_PLACE["max_us"]], us)

    def buckets(self) -> list[int]:
        return self._words[len(WORDS) :].tolist()

    def close(self) -> None:
        self._words.release()
        self._map.close()


def percentile_us(buckets: list[int], share: float) -> int:
    """Return a percentile in µs, rounded up to the end of its bucket; 0 without any latency."""
    left = share * sum(buckets)
    for bucket, count in enumerate(buckets):
        left -= count
        if count and left <= 0:
            return bucket_top(bucket)
    return 0
