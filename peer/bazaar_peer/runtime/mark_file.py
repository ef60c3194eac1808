"""The mark: what this peer has acknowledged at most, kept outside the journal (D1, D2).

One slot in one sector, written over after each sync of the journal and before the sync is reported;
not synced itself, for frames testify too (frames.py). It survives any death of the process, and
durably names the machine's boot, which tells a torn write from a damaged one.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from bazaar_peer.runtime.files import Damaged, Files, place_file

_SLOT = struct.Struct("<4sQQQ16s")
_CRC = struct.Struct("<I")
_MAGIC = b"BZM1"
_SLOT_BYTES = 4096


class Mark(NamedTuple):
    position: int = 0
    """The log was durable up to here."""
    epoch: int = 0
    last: int = 0
    """The journal's end was acknowledged here; lowered before a truncation."""
    boot: bytes = bytes(16)


class MarkFile:
    def __init__(self, files: Files, path: Path) -> None:
        self._files = files
        self.mark = _decode(path, files.read(path))
        self._fd = os.open(path, os.O_RDWR)

    @staticmethod
    def create(files: Files, path: Path, mark: Mark) -> None:
        os.close(place_file(files, path, _encode(mark).ljust(_SLOT_BYTES, b"\0")))

    def raise_to(self, position: int, epoch: int, last: int) -> None:
        self.mark = Mark(position, epoch, last, self.mark.boot)
        self._files.write(self._fd, _encode(self.mark), 0)

    def lower(self, epoch: int, last: int) -> None:
        """Durably take back the word that the journal reaches further than this (D2, row 68)."""
        self.raise_to(self.mark.position, epoch, last)
        self._files.sync(self._fd)

    def booted(self, boot: bytes) -> None:
        self.mark = self.mark._replace(boot=boot)
        self._files.write(self._fd, _encode(self.mark), 0)
        self._files.sync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def _encode(mark: Mark) -> bytes:
    slot = _SLOT.pack(_MAGIC, *mark)
    return slot + _CRC.pack(zlib.crc32(slot))


def _decode(path: Path, content: bytes) -> Mark:
    slot = content[: _SLOT.size]
    if content[_SLOT.size : _SLOT.size + _CRC.size] != _CRC.pack(zlib.crc32(slot)):
        raise Damaged(path, "the mark of what was acknowledged is unreadable")
    magic, position, epoch, last, boot = _SLOT.unpack(slot)
    if magic != _MAGIC:
        raise Damaged(path, "the mark is of a format that this version does not know")
    return Mark(position, epoch, last, boot)
