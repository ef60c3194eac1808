"""A peer's record in pages, thinned for whoever wants history rather than every heartbeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from bazaar_peer.core.types import MS, SECOND
from bazaar_peer.record import entries as rec
from bazaar_peer.record.entries import SPARSE_ROUNDS, TRAFFIC, BadRecordError, Entry, Mark
from bazaar_peer.record.recorder import Recorder

PAGE = 4000
"""Entries that one page looks at."""
FRESH = 30 * SECOND
"""Traffic is thinned when it is older than this."""
NEAR = 250 * MS
"""Not thinned: traffic so near to a step of the protocol."""
SPARSE = 500 * MS


class Page(msgspec.Struct, frozen=True):
    """The answer of `GET /v1/record`. `next`: where to go on; `more`: at once."""

    ring: str
    peer: int
    version: str
    beat_ms: float
    timeout_ms: float
    next: str
    more: bool
    entries: list[Entry]


class Slice(NamedTuple):
    """Entries that were found, and how far was looked."""

    entries: list[Entry]
    next: Mark
    more: bool


def page_of(recorder: Recorder, after: Mark, now: int, age: int | None) -> Slice:
    """Return the entries behind a mark; with an age (nanoseconds) only such, and old ones thinned.

    Runs in a thread.
    """
    since = 0 if age is None else max(0, now - age)
    found = recorder.after(after, PAGE, since)
    last = found[-1].mark if found else after
    kept = found if age is None else list(thinned(found, now - FRESH))
    return Slice(kept, last, len(found) == PAGE)


def thinned(entries: list[Entry], fresh: int) -> Iterator[Entry]:
    """Yield what tells the story: all steps, traffic near them, and a little of the rest."""
    steps = _Steps(entry.at for entry in entries if entry.kind not in TRAFFIC | STATES)
    last: dict[str, int] = {}
    for entry in entries:
        if entry.kind not in TRAFFIC or entry.at >= fresh or steps.near(entry.at):
            yield entry
        elif entry.kind in ROUNDS:
            if entry.fields.get("round", 1) % SPARSE_ROUNDS == 0:
                yield entry
        elif entry.at - last.get(entry.kind, -SPARSE) >= SPARSE:
            last[entry.kind] = entry.at
            yield entry


STATES = frozenset({rec.KEY, rec.MARKET})
"""What is told each second, whatever happens."""


class _Steps:
    """Times of steps, asked in rising order."""

    def __init__(self, times: Iterable[int]) -> None:
        self._times = sorted(times)
        self._place = 0

    def near(self, at: int) -> bool:
        times = self._times
        while self._place < len(times) and times[self._place] < at - NEAR:
            self._place += 1
        return self._place < len(times) and times[self._place] <= at + NEAR


ROUNDS = frozenset({rec.BEAT, rec.BEAT_SENT, rec.BEAT_BACK})
_page = msgspec.json.Decoder(Page)


def read_page(body: bytes) -> Page:
    """Read an answer. Raises BadRecordError."""
    try:
        return _page.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise BadRecordError(f"no record of a peer: {wrong}") from None


def mark_of(text: str) -> Mark:
    """Read a mark, `BOOT:SEQ`. Raises ValueError."""
    boot, _, seq = text.partition(":")
    return (int(boot), int(seq))
