"""The journal: records, hard state and truncations in one ordered log of frames, in segments (R4).

Nothing in a segment is ever written over: a truncation is a frame too, so one sync makes a whole
group of writes durable, in order. A segment begins with what the log said up to there (place and
hard state), so that those before it can go. A new segment appears whole, and only after everything
before it was synced: so only the last one can be torn, and only it is rewritten at a start (D3).
Space is set aside a segment at a time (D4), and zeroed a little ahead of the log, because a sync
that need not record new extents is up to twice as fast (bench/disk_choice.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bazaar_peer.core.effects import Hard
from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import Stored
from bazaar_peer.runtime import frames
from bazaar_peer.runtime.ends import ORIGIN, Ends, Place
from bazaar_peer.runtime.files import Damaged, DiskFull, Files, Reserve, place_file
from bazaar_peer.runtime.frames import HARD, RECORD, RESET, START, TRUNCATE, Frame

SUFFIX = ".journal"
_FORMAT = 1
_ZERO_AHEAD = 256 * 1024
_CLOSED = -1


@dataclass(slots=True)
class Segment:
    number: int
    path: Path
    start: int
    """Position of its first byte."""
    lowest: int
    """The journal ended here where the segment begins, or was truncated to here since."""


class Journal:
    """The open journal. `load` or `begin` comes first; one thread at a time."""

    def __init__(self, files: Files, folder: Path, segment_bytes: int, reserve: Reserve) -> None:
        self._files = files
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._reserve = reserve
        self._segments: list[Segment] = []
        self._fd = _CLOSED
        self._size = self._end = self._zeroed = 0
        self._buffer = bytearray()
        self.hard = Hard()
        self.ends = Ends(ORIGIN)
        self.durable = 0

    @property
    def position(self) -> int:
        return self._segments[-1].start + self._end + len(self._buffer)

    # -- writing ---------------------------------------------------------------------------------

    def begin(self) -> None:
        self._open_segment(1, 0, self._segment_bytes)

    def make_room(self, length: int) -> None:
        """See that so many bytes fit into the last segment, in a new one if need be.

        Raises:
            DiskFull: nothing has changed.
        """
        if self._end + length <= self._size:
            return
        assert not self._buffer
        self._reserve.restore()
        fd, end = self._fd, self._end
        self._open_segment(self._segments[-1].number + 1, self.position, length)
        self._files.cut(fd, end)
        os.close(fd)

    def _open_segment(self, number: int, start: int, length: int) -> None:
        path = self._folder / f"{number:012}{SUFFIX}"
        first = frames.pack(
            START,
            frames.START_HEAD.pack(_FORMAT, start),
            frames.PLACE.pack(*self.ends.last) + _pack_hard(self.hard),
            position=start,
            durable=start,
        )
        size = max(self._segment_bytes, len(first) + length)
        self._fd = place_file(self._files, path, first, size)
        self._segments.append(Segment(number, path, start, self.ends.last.last))
        self._size, self._end, self._zeroed = size, len(first), len(first)
        self.durable = start + len(first)

    def add_hard(self, hard: Hard) -> None:
        self._add(HARD, _pack_hard(hard))
        self.hard = hard

    def add_record(self, record: Stored) -> None:
        ends, epoch, last, chain = self.ends, record.epoch, record.last, record.chain
        assert record.first == ends.last.last + 1, "records are written in order"
        head = frames.RECORD_HEAD.pack(epoch, record.first, last, chain)
        self._add(RECORD, head, record.blob)
        ends.append(Place(epoch, last, chain))

    def add_truncation(self, after: int) -> None:
        place = self.ends.at(after)
        assert place, "a journal is truncated at the end of a record"
        self._add(TRUNCATE, frames.PLACE.pack(*place))
        self._truncate(place)

    def add_reset(self, base: Place) -> None:
        self._add(RESET, frames.PLACE.pack(*base))
        self.ends = Ends(base)

    def _add(self, kind: int, head: bytes, body: bytes = b"") -> None:
        self._buffer += frames.pack(kind, head, body, position=self.position, durable=self.durable)

    def sync(self) -> None:
        """Write and sync what was added; all of it is durable on return."""
        end = self._end + len(self._buffer)
        assert end <= self._size, "make_room comes first"
        if end > self._zeroed:
            self._zeroed = min(end + _ZERO_AHEAD, self._size)
            self._buffer += bytes(self._zeroed - end)
        self._files.write(self._fd, self._buffer, self._end)
        self._files.sync(self._fd)
        self._end = end
        self._buffer.clear()
        self.durable = self.position

    def prune(self, index: int, archive: Path | None) -> None:
        """Drop or archive the segments before the last one that still reaches down to `index`."""
        keep = len(self._segments) - 1
        reach = self._segments[keep].lowest
        while keep and reach > index:
            keep -= 1
            reach = min(reach, self._segments[keep].lowest)
        for segment in self._segments[:keep]:
            if archive:
                self._files.rename(segment.path, archive / segment.path.name)
            else:
                self._files.remove(segment.path)
            # In order: a crash leaves a run of segments without a gap.
            self._files.sync_folder(self._folder)
        if archive and keep:
            self._files.sync_folder(archive)
        del self._segments[:keep]
        self.ends.prune(reach)

    def close(self) -> None:
        if self._fd != _CLOSED:
            os.close(self._fd)
            self._fd = _CLOSED

    # -- reading ---------------------------------------------------------------------------------

    def load(self, acknowledged: int, *, rebooted: bool) -> list[Stored]:
        """Read and audit the log (D1, D2), drop a torn end, and rewrite the last segment (D3).

        Returns:
            The records behind `ends.base`.

        Raises:
            Damaged: what was acknowledged is not all there.
        """
        paths = sorted(self._folder.glob(f"{'[0-9]' * 12}{SUFFIX}"))
        if not paths:
            raise Damaged(self._folder, "the journal is gone")
        records: list[Stored] = []
        position = end = 0
        log = b""
        for path in paths:
            log = self._files.read(path)
            if self._segments and int(path.stem) != self._segments[-1].number + 1:
                raise Damaged(path, "the segment before it is gone")
            end = self._read_segment(path, log, position, records)
            position = self._segments[-1].start + end
            rest = log[end:].rstrip(b"\0")
            if path is not paths[-1]:
                if rest:
                    raise Damaged(path, f"bad bytes at offset {end}, with more journal behind them")
                continue
            acknowledged = max(acknowledged, frames.durable_seen(rest, position))
            if position < acknowledged:
                raise Damaged(path, f"acknowledged bytes are bad or gone from offset {end} on")
            if rest and not rebooted and not frames.is_cut_short(rest):
                raise Damaged(path, f"bad bytes at offset {end}, and no crash of the machine")
        self._rewrite(paths[-1], log[:end])
        return records

    def _read_segment(self, path: Path, log: bytes, position: int, records: list[Stored]) -> int:
        first = frames.parse(log, 0, position) if self._segments else _parse_first(log)
        if first is None or first.kind != START:
            raise Damaged(path, "the segment's first frame is bad")
        self._start(path, first.payload, records)
        at, start = first.size, self._segments[-1].start
        while frame := frames.parse(log, at, start + at):
            fault = self._replay(frame, records)
            if fault:
                raise Damaged(path, f"{fault} at offset {at}")
            at += frame.size
        return at

    def _start(self, path: Path, payload: bytes, records: list[Stored]) -> None:
        known, start = frames.START_HEAD.unpack_from(payload)
        if known != _FORMAT:
            raise Damaged(path, f"format {known}, of which this version knows nothing")
        place = Place(*frames.PLACE.unpack_from(payload, frames.START_HEAD.size))
        hard = _unpack_hard(payload[frames.START_HEAD.size + frames.PLACE.size :])
        if not self._segments:
            self.ends, self.hard = Ends(place), hard
        elif (place, hard) != (self.ends.last, self.hard):
            raise Damaged(path, "the segment does not go on where the one before it ended")
        self._segments.append(Segment(int(path.stem), path, start, place.last))

    def _replay(self, frame: Frame, records: list[Stored]) -> str | None:
        """Do again what a frame says; return what is wrong with it."""
        match frame.kind:
            case frames.HARD:
                self.hard = _unpack_hard(frame.payload)
            case frames.RECORD:
                epoch, first, last, chain = frames.RECORD_HEAD.unpack_from(frame.payload)
                blob = frame.payload[frames.RECORD_HEAD.size :]
                end = self.ends.last
                if first != end.last + 1 or last < first:
                    return "a record out of order"
                if chain != chain_hash(end.chain if end.last else b"", blob):
                    return "a record that is not chained to those before it"
                records.append(Stored(epoch, first, last, chain, blob))
                self.ends.append(Place(epoch, last, chain))
            case frames.TRUNCATE:
                place = Place(*frames.PLACE.unpack(frame.payload))
                if place.last >= self.ends.base.last and self.ends.at(place.last) != place:
                    return "a truncation to where no record ends"
                self._truncate(place)
                while records and records[-1].last > place.last:
                    records.pop()
            case frames.RESET:
                self.ends = Ends(Place(*frames.PLACE.unpack(frame.payload)))
                records.clear()
            case _:
                return f"a frame of unknown kind {frame.kind}"
        return None

    def _truncate(self, place: Place) -> None:
        if place.last < self.ends.base.last:
            # The records down to there were pruned, in segments before the first one left.
            self.ends = Ends(place)
        self.ends.truncate(place.last)
        self._segments[-1].lowest = min(self._segments[-1].lowest, place.last)

    def _rewrite(self, path: Path, content: bytes) -> None:
        """Write the last segment anew: after a failed sync the cache may show what no disk has."""
        size = max(self._segment_bytes, len(content))
        try:
            self._fd = place_file(self._files, path, content, size)
        except DiskFull:
            self._reserve.spend()
            self._fd = place_file(self._files, path, content, size)
        self._size, self._end, self._zeroed = size, len(content), len(content)
        self.durable = self.position


def _parse_first(log: bytes) -> Frame | None:
    """Read the first frame of the oldest segment, which alone knows its position."""
    at = frames.HEAD.size
    if len(log) < at + frames.START_HEAD.size:
        return None
    _, start = frames.START_HEAD.unpack_from(log, at)
    return frames.parse(log, 0, start)


def _pack_hard(hard: Hard) -> bytes:
    return frames.HARD_STATE.pack(hard.promised, hard.promised_to, hard.boot, hard.ticks)


def _unpack_hard(payload: bytes) -> Hard:
    return Hard(*frames.HARD_STATE.unpack(payload))
