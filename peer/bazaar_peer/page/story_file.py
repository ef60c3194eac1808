"""A story's file: JSON lines, a header and then entries in the order of their time.

Decoded = validated: whatever a line should be is said by these types, and an error names its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

LINE_MAX_BYTES = 1 << 20
FILE_MAX_BYTES = 512 << 20
AT_MAX_S = 1e11
"""The year 5138; a page would have no room to write later ones."""


class StoryError(Exception):
    """A file that holds no story; says which line is wrong, and how."""


class Header(Struct):
    """What the story is of."""

    bazaar_story: Literal[1]
    ring: str
    name: str
    source: Literal["ring", "drill", "simulation", "up"]
    made: str
    version: str
    beat_ms: float
    timeout_ms: float
    faults: bool = False


class _Entry(Struct, tag_field="kind"):
    """What each entry has. A peer that had no room left the rest of one out, so it may lack."""

    at: Annotated[float, Meta(ge=0, le=AT_MAX_S)]
    peer: Annotated[int, Meta(ge=0)]
    boot: int
    seq: int


class Key(_Entry, tag="key"):
    role: str = ""
    epoch: int = 0
    trader: int = -1
    end: tuple[int, int] = (0, 0)
    commit: int = 0
    applied: int = 0
    clock: dict[str, int] = {}
    members: list[int] = []
    heard: float | None = None
    market: str = ""


class Started(_Entry, tag="started"):
    pass


class Ended(_Entry, tag="ended"):
    why: str = ""


class Noted(_Entry, tag="note"):
    note: str = ""
    fields: dict[str, Any] = {}


class Sent(_Entry, tag="sent"):
    message: str = ""
    to: list[int] = []
    epoch: int = 0
    index: int = 0


class Got(_Entry, tag="got"):
    message: str = ""
    from_: int = msgspec.field(name="from", default=-1)
    epoch: int = 0
    index: int = 0
    cause: tuple[int, int, int] | None = None


class Beat(_Entry, tag="beat"):
    from_: int = msgspec.field(name="from", default=-1)
    epoch: int = 0


class Moved(_Entry, tag="moved"):
    epoch: int = 0
    end: int = 0
    commit: int = 0
    applied: int = 0


class Ordered(_Entry, tag="order"):
    ms: float = 0.0
    outcome: str = ""


class Marketed(_Entry, tag="market"):
    index: int = 0
    items: list[tuple[str, int, int]] = []
    trades: list[tuple[str, int, str, int]] = []


class Fault(_Entry, tag="fault"):
    what: str = ""
    others: list[int] = []
    seconds: float = 0.0


Entry: TypeAlias = (
    Key | Started | Ended | Noted | Sent | Got | Beat | Moved | Ordered | Marketed | Fault
)

_header = msgspec.json.Decoder(Header)
_entry = msgspec.json.Decoder(Entry)


class StoryFile:
    """A file that was looked through, line by line: its header, and its entries as they stand."""

    def __init__(self, path: Path) -> None:
        """Look through it.

        Raises:
            StoryError: it cannot be read, or a line is not what it should be.
        """
        self.path = path
        self.count = 0
        self.header = b""
        last = float("-inf")
        for number, line in self._lines():
            if number == 1:
                self._check(_header, number, line)
                self.header = line
                continue
            entry = self._check(_entry, number, line)
            if entry.at < last:
                raise self._wrong(number, f"`at` {entry.at} is before {last}, the line before it")
            last = entry.at
            self.count += 1
        if not self.header:
            raise StoryError(f"{path} is empty: a story begins with its header")

    def batches(self, size: int) -> Iterator[bytes]:
        """Yield the entries again as JSON arrays of so many."""
        batch: list[bytes] = []
        for number, line in self._lines():
            if number > 1:
                batch.append(line)
            if len(batch) == size:
                yield _array(batch)
                batch = []
        if batch:
            yield _array(batch)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not empty, with their numbers."""
        try:
            if self.path.stat().st_size > FILE_MAX_BYTES:
                raise StoryError(f"{self.path} is larger than {FILE_MAX_BYTES >> 20} MiB")
            with self.path.open("rb") as file:
                number = 0
                while line := file.readline(LINE_MAX_BYTES + 1):
                    number += 1
                    if len(line) > LINE_MAX_BYTES:
                        raise self._wrong(number, f"longer than {LINE_MAX_BYTES >> 20} MiB")
                    stripped = line.strip()
                    if b"\r" in stripped:  # it would end a line of the event that carries it
                        raise self._wrong(number, "a carriage return within it: leave it out")
                    if stripped:
                        yield number, stripped
        except OSError as wrong:
            why = wrong.strerror or str(wrong)
            raise StoryError(f"{self.path} cannot be read: {why}") from wrong

    def _check(self, decoder: msgspec.json.Decoder[Any], number: int, line: bytes) -> Any:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise self._wrong(number, str(wrong)) from wrong

    def _wrong(self, number: int, why: str) -> StoryError:
        return StoryError(f"{self.path}, line {number}: {why}")


def _array(lines: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(lines) + b"]"
