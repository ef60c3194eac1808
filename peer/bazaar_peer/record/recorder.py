"""Keeps a peer's record: two ring files on its volume, one for control, one for traffic.

Busy trading can only push out traffic, never an election. What does not fit into a slot loses most
of its clock first, then its texts, then everything but its name. Trading never depends on a record:
what cannot be kept or read ends the recording, with a word in the log, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

from bazaar_peer.core.types import name_of
from bazaar_peer.record.entries import FAULT, TRAFFIC, Entry, Fields, Mark, encode_body
from bazaar_peer.record.ring_file import RingFile

log = logging.getLogger("bazaar.record")

FOLDER = "record"
CONTROL = ("control", 640, 8192)
TRAFFIC_FILE = ("traffic", 112, 32768)
"""Name, bytes of a slot, slots: 5 MiB and 3.5 MiB."""
MARK_MAX = 1 << 31
WHY_MAX = 200
MEND = (
    f"the peer trades on without it; make room on its volume or delete the folder {FOLDER} there, "
    "and start it again"
)


Told: TypeAlias = tuple[int, str, Fields]
"""When, what kind, and the rest."""


class Keeper(Protocol):
    """Where entries go, the oldest first."""

    def keep(self, *told: Told) -> None: ...

    def give_up(self, wrong: Exception) -> None: ...


class Recorder:
    """The record of one boot on top of those before it. Raises OSError if there is no room."""

    def __init__(self, volume: Path, boot: int) -> None:
        self._folder = volume / FOLDER
        self._folder.mkdir(exist_ok=True)
        self.boot = boot
        self.given_up = ""
        """Why nothing is recorded any more, and what to do."""
        self._open()
        if self.last() >= (boot + 1, 0):
            # An old copy of the volume, or a record of something else: marks must only grow.
            self.close()
            for name, _, _ in (CONTROL, TRAFFIC_FILE):
                (self._folder / name).unlink()
            self._open()
        last = self.last()
        # A boot that was over before its number was durable is counted again.
        self._seq = last[1] if last[0] == boot else 0

    def _open(self) -> None:
        (control, *shape), (traffic, *other) = CONTROL, TRAFFIC_FILE
        self._control = RingFile(self._folder / control, *shape)
        try:
            self._traffic = RingFile(self._folder / traffic, *other)
        except BaseException:
            self._control.close()
            raise

    def last(self) -> Mark:
        """Return the newest entry's mark; (0, 0): there is none."""
        return max(self._control.last(), self._traffic.last())

    def keep(self, *told: Told) -> None:
        """Note what happened, if it can be; raises nothing."""
        if self.given_up:
            return
        first = self._seq + 1
        self._seq += len(told)
        try:
            self.put((self.boot, first), told)
        except Exception as wrong:
            self.give_up(wrong)

    def give_up(self, wrong: Exception) -> None:
        """Record no more: an entry could not be made, kept or read. Says so once."""
        if not self.given_up:
            why = f"{wrong!r}"[:WHY_MAX]
            log.warning("record_given_up", extra={"fields": {"why": why, "what_to_do": MEND}})
            self.given_up = f"this peer gave its record up: {why}; {MEND}"

    def put(self, first: Mark, told: Sequence[Told]) -> None:
        """Write entries with marks from the first one on. Raises OSError."""
        boot, seq = first
        slots: dict[RingFile, list[bytes]] = {self._control: [], self._traffic: []}
        for number, (at, kind, fields) in enumerate(told):
            ring = self._traffic if kind in TRAFFIC else self._control
            for shorter in _ever_shorter(fields):
                slot = ring.slot((boot, seq + number), at, encode_body(kind, shorter))
                if slot is not None:
                    slots[ring].append(slot)
                    break
        for ring, found in slots.items():
            ring.put(found)

    def after(self, mark: Mark, most: int, since: int = 0) -> list[Entry]:
        """Return up to so many entries behind a mark and not older than a time, oldest first.

        Raises OSError.
        """
        files = (self._control, self._traffic)
        both = merge(*(file.after(mark, since) for file in files), key=_mark)
        return list(islice(both, most))

    def close(self) -> None:
        self._control.close()
        self._traffic.close()


def _ever_shorter(fields: Fields) -> Iterator[Fields]:
    """Yield an entry's fields whole, and then with what tells least left out, step by step.

    Of a market the oldest trades go first. A key's clock has a part for each life that ever was,
    its members only what there is now. Both stay there, empty: a reader wants to know of a peer's
    state, even without them.
    """
    yield fields
    if "clock" in fields:
        living = {name_of(member) for member in fields.get("members", ())}
        clock = {part: count for part, count in fields["clock"].items() if part in living}
        yield fields | {"clock": clock}
        yield fields | {"clock": {}}
        yield fields | {"clock": {}, "members": []}
    if "trades" in fields:
        items, trades = fields["items"], fields["trades"]
        yield from (fields | {"trades": trades[:most]} for most in range(len(trades) - 1, -1, -1))
        yield fields | {"items": items[: len(items) // 2], "trades": []}
    yield {name: value for name, value in fields.items() if isinstance(value, int)}
    yield {}


def _mark(entry: Entry) -> Mark:
    return entry.mark


def _is_there(volume: Path) -> bool:
    return all((volume / FOLDER / name).is_file() for name, _, _ in (CONTROL, TRAFFIC_FILE))


def read_record(volume: Path) -> tuple[int, list[Entry]] | None:
    """Return whose record lies on a volume, and all of it; caller duty: nobody writes it."""
    if not _is_there(volume):
        return None
    with contextlib.closing(Recorder(volume, MARK_MAX)) as recorder:
        entries = recorder.after((0, 0), MARK_MAX)
    life = next((entry.fields["life"] for entry in entries if "life" in entry.fields), None)
    return None if life is None else (int(life), entries)


def note_fault(volume: Path, at: int, what: str) -> None:
    """Note what became of a peer whose process is over: it could not do so itself."""
    if not _is_there(volume):
        return
    # Whatever is wrong with a record: no note, and the supervisor goes on.
    with (
        contextlib.suppress(Exception),
        contextlib.closing(Recorder(volume, MARK_MAX)) as recorder,
    ):
        boot, seq = recorder.last()
        recorder.put((boot, seq + 1), [(at, FAULT, {"what": what})])


class Kept:
    """Entries in memory, for the simulator and for tests; `clock` has the time to note instead."""

    def __init__(self, boot: int = 1, clock: Callable[[], int] | None = None) -> None:
        self.boot = boot
        self.entries: list[Entry] = []
        self._clock = clock

    def keep(self, *told: Told) -> None:
        for at, kind, fields in told:
            noted = self._clock() if self._clock else at
            self.entries.append(Entry(self.boot, len(self.entries) + 1, noted, kind, fields))

    def give_up(self, wrong: Exception) -> None:
        """Let it out: here it is a bug of ours to be seen."""
        raise wrong
