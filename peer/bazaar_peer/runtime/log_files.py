"""The files of a peer's log, read beside the peer that writes them, without a word with it.

What lies in a segment never changes, and a segment that is pruned is renamed into the archive, or
gone: so a reader that asks for a segment by its number, slice by slice, reads what was written. The
last segment ends in zeros, which is not yet written space; a slice of nothing but zeros is read as
empty. Of a ring that was recovered the archive has the state that it began with, too: number 0.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from bazaar_peer.runtime.checkpoint_file import SUFFIX as CHECKPOINT
from bazaar_peer.runtime.journal_file import SUFFIX

SLICE_BYTES = 256 * 1024
ORIGIN = 0
"""Segments are numbered from 1 on."""


class Segment(NamedTuple):
    number: int
    bytes: int


def archive_place(folder: Path, incarnation: int) -> Path:
    """Return where a life archives its segments: each counts them from 1 on."""
    return folder.with_name(f"{folder.name}.{incarnation}") if incarnation else folder


class LogFiles:
    """Segments of one life: those in its volume, and those in its archive if it has one."""

    def __init__(self, volume: Path | None, archive: Path | None) -> None:
        self._journal = None if volume is None else volume / "journal"
        # Newest place first: a segment moves from the first to the second meanwhile, never back.
        self._folders = [folder for folder in (self._journal, archive) if folder is not None]

    @property
    def origin(self) -> Path | None:
        """The checkpoint that a recovered ring began with, where that is kept."""
        found = [path for folder in self._folders for path in sorted(folder.glob(f"*{CHECKPOINT}"))]
        return found[0] if found else None

    def segments(self, after: int, most: int) -> list[Segment]:
        """List segments whose number is above `after`, at most so many, in order."""
        found: dict[int, int] = {}
        for folder in self._folders:
            if not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                stem, dot, suffix = entry.name.partition(".")
                if dot + suffix == SUFFIX and stem.isdigit() and int(stem) > after:
                    found.setdefault(int(stem), _size(entry))
        return [Segment(number, found[number]) for number in sorted(found)[:most]]

    def read(self, number: int, offset: int) -> bytes | None:
        """Return a slice of a segment, empty at its end; None: there is no such segment."""
        if number == ORIGIN:
            origin = self.origin
            return None if origin is None else _slice(origin, offset)
        for folder in self._folders:
            try:
                found = _slice(folder / f"{number:012}{SUFFIX}", offset)
            except FileNotFoundError:
                continue
            return found if found.strip(b"\0") else b""
        return None


def _slice(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), SLICE_BYTES, offset)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0  # it has just moved to the archive, or gone
