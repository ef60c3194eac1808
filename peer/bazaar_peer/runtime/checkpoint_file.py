"""Checkpoint files (C5): header (base, durable position), parts with a CRC each, and a digest.

Written under a temporary name; the header comes last, because a foreign checkpoint is named only
when it is installed. Under its final name a checkpoint is whole, or damaged.
"""

from __future__ import annotations

import hashlib
import os
import struct
import weakref
import zlib
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from bazaar_peer.runtime.ends import ORIGIN, Place
from bazaar_peer.runtime.files import Damaged, DiskFull, Files, Reserve

SUFFIX = ".checkpoint"
_MAGIC = b"BZCHECK1"
_HEADER = struct.Struct("<8sQQ16sQ")
"""Magic, epoch, index and chain of the base, durable position."""
_PART = struct.Struct("<II")
_TRAILER = struct.Struct("<4sQ16s")
_END = b"END."
_SYNC_BYTES = 4 * 1024 * 1024
"""A checkpoint is synced this often while it is written: one big sync would stall the journal's."""


class SavedCheckpoint:
    """A durable checkpoint. Its open file outlives the name, so a newer one harms no transfer."""

    def __init__(self, path: Path, place: Place, durable: int, offsets: array[int]) -> None:
        self.path = path
        self.place = place
        self.durable = durable
        """The log was durable up to this position when the checkpoint was named (D1)."""
        self._offsets = offsets
        self._fd = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._fd)

    def read_part(self, number: int) -> tuple[bytes, bool]:
        """Return a part and whether it is the last; empty when there is none of that number."""
        if not 0 <= number < len(self._offsets):
            return b"", True
        offset = self._offsets[number]
        length, crc = _PART.unpack(os.pread(self._fd, _PART.size, offset))
        part = os.pread(self._fd, length, offset + _PART.size)
        if zlib.crc32(part) != crc:
            raise Damaged(self.path, f"part {number} of the checkpoint has changed on the disk")
        return part, number == len(self._offsets) - 1


class CheckpointWriter:
    """A checkpoint under a temporary name, part by part; `place` is known if it is an own one."""

    def __init__(self, files: Files, path: Path, reserve: Reserve, place: Place = ORIGIN) -> None:
        self.count = 0
        self.place = place
        self._files = files
        self._path = path
        self._reserve = reserve
        self._fd = files.create(path)
        self._end = self._synced = _HEADER.size
        self._reserved = 0
        self._digest = hashlib.blake2b(digest_size=16)
        self._offsets: array[int] = array("Q")

    def write(self, part: bytes) -> None:
        """Add a part.

        Raises:
            DiskFull: nothing was added.
        """
        content = _PART.pack(len(part), zlib.crc32(part)) + part
        self._make_room(self._end + len(content) + _TRAILER.size)
        self._files.write(self._fd, content, self._end)
        self._digest.update(content)
        self._offsets.append(self._end)
        self._end += len(content)
        self.count += 1
        if self._end - self._synced >= _SYNC_BYTES:
            self._files.sync(self._fd)
            self._synced = self._end

    def _make_room(self, end: int) -> None:
        missing = end - self._reserved
        try:
            self._files.reserve(self._fd, self._reserved, missing)
        except DiskFull:
            if not self._reserve.stands:
                raise
            self._reserve.spend()
            self._files.reserve(self._fd, self._reserved, missing)
        self._reserved = end

    def finish(self, place: Place, durable: int) -> SavedCheckpoint:
        """Make it durable under its final name, beside the one before."""
        assert self.count, "a checkpoint has at least one part"
        header = _HEADER.pack(_MAGIC, *place, durable)
        self._digest.update(header)
        self._files.write(self._fd, header, 0)
        trailer = _TRAILER.pack(_END, self.count, self._digest.digest())
        self._files.write(self._fd, trailer, self._end)
        self._files.sync(self._fd)
        os.close(self._fd)
        path = self._path.parent / f"{place.last:020}{SUFFIX}"
        self._files.rename(self._path, path)
        self._files.sync_folder(path.parent)
        return SavedCheckpoint(path, place, durable, self._offsets)

    def drop(self) -> None:
        os.close(self._fd)
        self._files.remove(self._path)


def encoded(place: Place, parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a checkpoint file, for a place that is no volume; nothing is written."""
    header, digest, count = _HEADER.pack(_MAGIC, *place, 0), hashlib.blake2b(digest_size=16), 0
    yield header
    for part in parts:
        content = _PART.pack(len(part), zlib.crc32(part)) + part
        digest.update(content)
        count += 1
        yield content
    digest.update(header)
    yield _TRAILER.pack(_END, count, digest.digest())


class Passing:
    """The bytes of a checkpoint file on their way through, however they are cut into pieces."""

    def __init__(self) -> None:
        self.bytes = self._count = 0
        self._header = self._last = self._head = b""
        self._left = 0
        """Of the part that passes; 0: the next one's length comes."""
        self._digest = hashlib.blake2b(digest_size=16)

    def take(self, piece: bytes) -> None:
        self.bytes += len(piece)
        self._last += piece
        if not self._header and len(self._last) >= _HEADER.size:
            self._header, self._last = self._last[: _HEADER.size], self._last[_HEADER.size :]
        if self._header and len(self._last) > _TRAILER.size:
            body, self._last = self._last[: -_TRAILER.size], self._last[-_TRAILER.size :]
            self._digest.update(body)
            self._count_parts(body)

    def _count_parts(self, body: bytes) -> None:
        at = 0
        while at < len(body):
            if self._left:
                passed = min(self._left, len(body) - at)
                self._left -= passed
            else:
                passed = min(_PART.size - len(self._head), len(body) - at)
                self._head += body[at : at + passed]
                if len(self._head) == _PART.size:
                    self._left, _ = _PART.unpack(self._head)
                    self._head = b""
                    self._count += 1
            at += passed

    def whole(self) -> tuple[Place, str] | None:
        """Return its place and its digest in hexadecimal; None: it is cut short or changed."""
        if len(self._last) != _TRAILER.size or self.bytes < _HEADER.size + _TRAILER.size:
            return None
        self._digest.update(self._header)
        end, count, digest = _TRAILER.unpack(self._last)
        if (end, count, digest) != (_END, self._count, self._digest.digest()):
            return None
        magic, epoch, last, chain, _ = _HEADER.unpack(self._header)
        return (Place(epoch, last, chain), digest.hex()) if magic == _MAGIC else None


def digest_in(path: Path) -> str:
    """Return the digest at the end of a file that was read as a checkpoint, in hexadecimal."""
    with path.open("rb") as file:
        file.seek(-_TRAILER.size, os.SEEK_END)
        return str(_TRAILER.unpack(file.read())[2].hex())


def read_checkpoint(files: Files, path: Path) -> tuple[SavedCheckpoint, list[bytes]]:
    """Read and audit a whole checkpoint.

    Raises:
        Damaged: it is not as it was written.
    """
    content = files.read(path)
    if len(content) < _HEADER.size + _TRAILER.size:
        raise Damaged(path, "the checkpoint is cut short")
    header, body = content[: _HEADER.size], content[_HEADER.size : -_TRAILER.size]
    end, count, digest = _TRAILER.unpack_from(content, len(content) - _TRAILER.size)
    if end != _END or digest != hashlib.blake2b(body + header, digest_size=16).digest():
        raise Damaged(path, "the checkpoint is cut short or changed")
    magic, epoch, last, chain, durable = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise Damaged(path, "the checkpoint is of a format that this version does not know")
    parts, offsets, at = [], array("Q"), 0
    while at < len(body):
        if len(body) - at < _PART.size:
            raise Damaged(path, "the checkpoint ends in the middle of a part")
        length, _ = _PART.unpack_from(body, at)
        offsets.append(_HEADER.size + at)
        parts.append(body[at + _PART.size : at + _PART.size + length])
        at += _PART.size + length
    if len(parts) != count:
        raise Damaged(path, f"the checkpoint should have {count} parts and has {len(parts)}")
    return SavedCheckpoint(path, Place(epoch, last, chain), durable, offsets), parts
