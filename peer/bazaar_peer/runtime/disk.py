"""A peer's volume: one folder with its identity, journal, mark and checkpoints.

    identity  lock  mark  reserve  told  journal/NNN.journal  checkpoint/INDEX.checkpoint

The driver opens a volume (which locks it), recovers from it, and then hands every group of writes
to `perform`, which returns when all of it is durable. Everything here blocks, and nothing here may
run on two threads at once, except that reading parts of a `SavedCheckpoint`, and writing and saving
one own checkpoint, may go on beside `perform`.

What the driver does about errors. `VolumeError`: say it and do not start. `StoreFailed`: exit at
once and acknowledge nothing (R7). `DiskFull`: nothing of the group happened; keep it, acknowledge
nothing, resign, stand for nothing, and `perform` the same group again every second; meanwhile a
checkpoint can still be saved, from the reserve, and `prune` then frees space (D4).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from bazaar_peer.core.effects import (
    InstallCheckpoint,
    Recovered,
    StorePart,
    Truncate,
    Write,
    WriteHard,
    WriteRecord,
)
from bazaar_peer.runtime import checkpoint_file, frames
from bazaar_peer.runtime.checkpoint_file import CheckpointWriter, SavedCheckpoint, read_checkpoint
from bazaar_peer.runtime.ends import ORIGIN, Place
from bazaar_peer.runtime.files import Damaged, DiskFull, Files, Reserve
from bazaar_peer.runtime.journal_file import Journal
from bazaar_peer.runtime.mark_file import Mark, MarkFile
from bazaar_peer.runtime.volume import DEFAULT, Identity, Layout, lock_volume, told_members

_RECORD_OVERHEAD = frames.OVERHEAD + frames.RECORD_HEAD.size


class Volume:
    """An open and locked volume; `recover` comes first."""

    def __init__(
        self, path: Path, layout: Layout, files: Files, lock: int, identity: Identity
    ) -> None:
        self.path = path
        self.identity = identity
        self.saved: SavedCheckpoint | None = None
        """The newest durable checkpoint; a transfer keeps this object until its last part."""
        self._files = files
        self.archive = layout.archive
        self._lock = lock
        self._reserve = Reserve(files, path / "reserve", layout.reserve_bytes)
        self._journal = Journal(files, path / "journal", layout.segment_bytes, self._reserve)
        self._mark: MarkFile | None = None
        self._incoming: CheckpointWriter | None = None
        self._switching = threading.Lock()
        """Held while `saved` changes: `perform` and `save` may both change it."""

    @classmethod
    def open(
        cls, path: Path, expected: Identity, layout: Layout = DEFAULT, files: Files | None = None
    ) -> Self:
        """Lock the volume and see that it is the expected one; raises as `lock_volume` does."""
        files = files or Files()
        return cls(path, layout, files, *lock_volume(path, expected, files))

    def recover(self) -> Recovered:
        """Read and audit everything (D1, D2); what is returned is durable.

        Raises:
            Damaged: the peer must not vote.
            DiskFull: there is no space even to start; try again later.
        """
        for leftover in [*self.path.glob("**/*.new"), self.path / "formatting"]:
            self._files.remove(leftover)
        boot = self._files.boot()
        self._mark = MarkFile(self._files, self.path / "mark")
        mark = self._mark.mark
        paths = sorted((self.path / "checkpoint").glob(f"*{checkpoint_file.SUFFIX}"), reverse=True)
        checkpoints = [read_checkpoint(self._files, path) for path in paths]
        acknowledged = max([mark.position, *(saved.durable for saved, _ in checkpoints)])
        records = self._journal.load(acknowledged, rebooted=mark.boot != boot)
        self._check_end(mark)
        parts = self._choose(checkpoints)
        self._mark.booted(boot)
        with suppress(DiskFull):
            self._reserve.restore()
        base = self.saved.place if self.saved else ORIGIN
        return Recovered(
            hard=self._journal.hard,
            base_epoch=base.epoch,
            base_index=base.last,
            base_chain=base.chain if self.saved else b"",
            parts=parts,
            records=[record for record in records if record.last > base.last],
            told=told_members(self.path, self._files),
        )

    def _check_end(self, mark: Mark) -> None:
        """See that the journal reaches what was acknowledged."""
        ends = self._journal.ends
        there = ends.at(mark.last)
        if ends.last.last < mark.last or (there and there.epoch != mark.epoch):
            raise Damaged(
                self.path / "journal",
                f"entry {mark.last} of epoch {mark.epoch} was acknowledged, and the journal ends"
                f" at entry {ends.last.last} of epoch {ends.last.epoch}",
            )

    def _choose(self, checkpoints: list[tuple[SavedCheckpoint, list[bytes]]]) -> list[bytes]:
        """Take the newest checkpoint of this journal; any other is an install that never ended."""
        parts: list[bytes] = []
        ends, folder = self._journal.ends, self.path / "checkpoint"
        for saved, found in checkpoints:
            if self.saved is None and ends.at(saved.place.last) == saved.place:
                self.saved, parts = saved, found
            else:
                self._files.remove(saved.path)
        if self.saved is None and ends.base.last:
            raise Damaged(
                folder, f"the checkpoint that the journal needs at {ends.base.last} is gone"
            )
        for name in ("saving", "incoming"):
            self._files.remove(folder / name)
        return parts

    def perform(self, writes: Sequence[Write | InstallCheckpoint]) -> None:
        """Do these in order, with one sync; all of them are durable on return.

        Raises:
            DiskFull: nothing happened.
            StoreFailed: nobody knows what happened.
        """
        assert self._mark, "recover comes first"
        assert not self._files.failed, "a failed store is not used again (R7)"
        journal = self._journal
        length, only_records = 0, True
        for write in writes:
            length += _length(write)
            only_records = only_records and type(write) is WriteRecord
        journal.make_room(length)
        installed: SavedCheckpoint | None = None
        if not only_records:
            self._lower(self._mark, writes)
        for write in writes:
            installed = self._do(write) or installed
        journal.sync()
        last = journal.ends.last
        self._mark.raise_to(journal.durable, last.epoch, last.last)
        if installed:
            self._adopt(installed)

    def _do(self, write: Write | InstallCheckpoint) -> SavedCheckpoint | None:
        match write:
            case WriteRecord():
                self._journal.add_record(write.record)
            case WriteHard():
                self._journal.add_hard(write.hard)
            case Truncate():
                self._journal.add_truncation(write.after)
            case InstallCheckpoint():
                return self._install(write)
        return None

    def _lower(self, mark: MarkFile, writes: Sequence[Write | InstallCheckpoint]) -> None:
        """D2: the mark is durably lowered before a truncation."""
        lowest = mark.mark.last
        for write in writes:
            if isinstance(write, Truncate):
                lowest = min(lowest, write.after)
            elif isinstance(write, InstallCheckpoint) and not write.keep_suffix:
                lowest = 0
        if lowest < mark.mark.last:
            place = self._journal.ends.at(lowest) or ORIGIN
            mark.lower(place.epoch, place.last)

    def _install(self, write: InstallCheckpoint) -> SavedCheckpoint:
        assert self._incoming, "parts come before they are installed"
        place = Place(write.epoch, write.index, write.chain)
        # It must not be there before the writes in front of it (R4).
        self._journal.sync()
        saved = self._incoming.finish(place, self._journal.durable)
        self._incoming = None
        if write.keep_suffix:
            assert self._journal.ends.at(write.index) == place, "a kept suffix has the base (C3)"
        else:
            self._journal.add_reset(place)
        return saved

    def store_part(self, part: StorePart) -> None:
        """Keep a part of a foreign checkpoint, not durably; on `DiskFull` it was not kept."""
        if part.number == 0:
            if self._incoming:
                self._incoming.drop()
            path = self.path / "checkpoint" / "incoming"
            self._incoming = CheckpointWriter(self._files, path, self._reserve)
        assert self._incoming, "number 0 begins a transfer"
        if part.number < self._incoming.count:
            return
        assert part.number == self._incoming.count, "parts are kept in order"
        self._incoming.write(part.data)

    def checkpoint(self, epoch: int, index: int) -> CheckpointWriter:
        """Begin an own checkpoint at the end of a record that `perform` made durable."""
        place = self._journal.ends.at(index)
        assert place, "a checkpoint stands at the end of a durable record"
        assert place.epoch == epoch
        path = self.path / "checkpoint" / "saving"
        return CheckpointWriter(self._files, path, self._reserve, place)

    def save(self, writer: CheckpointWriter) -> bool:
        """Make an own checkpoint durable (C5); False: a newer, foreign one is there already."""
        if self.saved and self.saved.place.last >= writer.place.last:
            writer.drop()
            return False
        return self._adopt(writer.finish(writer.place, self._journal.durable))

    def _adopt(self, saved: SavedCheckpoint) -> bool:
        """Make a durable checkpoint the one to read, and drop the older one."""
        with self._switching:
            older, newer = self.saved, saved
            if older and older.place.last > newer.place.last:
                older, newer = newer, older
            self.saved = newer
            if older and older.path != newer.path:
                self._files.remove(older.path)
            return newer is saved

    def prune(self, index: int) -> None:
        """Drop, or archive, the segments that hold nothing behind `index` (C1)."""
        assert self.saved, "a checkpoint comes first (C5)"
        assert index <= self.saved.place.last
        self._journal.prune(index, self.archive)
        with suppress(DiskFull):
            self._reserve.restore()

    def close(self) -> None:
        """Unlock the volume; whatever `perform` returned from is durable already."""
        self._journal.close()
        if self._mark:
            self._mark.close()
        os.close(self._lock)


def _length(write: Write | InstallCheckpoint) -> int:
    """Bytes that a write takes in the log, at most."""
    match write:
        case WriteRecord():
            return _RECORD_OVERHEAD + len(write.record.blob)
        case WriteHard():
            return frames.OVERHEAD + frames.HARD_STATE.size
        case Truncate() | InstallCheckpoint():
            return frames.OVERHEAD + frames.PLACE.size
