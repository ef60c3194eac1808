"""A small volume, a model of what it must hold, and disks that fail as told."""

from __future__ import annotations

import copy
import errno
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bazaar_peer.core.effects import (
    Hard,
    InstallCheckpoint,
    Recovered,
    StorePart,
    Truncate,
    Write,
    WriteHard,
    WriteRecord,
)
from bazaar_peer.core.journal import chain_hash
from bazaar_peer.core.messages import Stored
from bazaar_peer.runtime.disk import Volume
from bazaar_peer.runtime.files import Damaged, Files
from bazaar_peer.runtime.volume import Identity, Layout, format_volume

ME = Identity("ring-1", 3, 0)
SMALL = Layout(segment_bytes=1024, reserve_bytes=0)
GENESIS = Stored(0, 1, 1, chain_hash(b"", b"genesis"), b"genesis")


class Unsynced(Files):
    """A disk for looking at: quicker, and as good where nothing crashes any more."""

    def sync(self, fd: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


class Rebooted(Unsynced):
    """The machine was started anew since a volume was written by `Files`."""

    def boot(self) -> bytes:
        return b"another boot id!"


class Failing(Files):
    """The n-th call fails, of one kind or of any."""

    def __init__(self, nth: int, name: str = "", code: int = errno.EIO) -> None:
        super().__init__()
        self.left, self.name, self.code = nth, name, code

    def before(self, name: str) -> None:
        if self.name in {"", name}:
            self.left -= 1
            if self.left == 0:
                raise OSError(self.code, os.strerror(self.code))


@dataclass
class Model:
    """What a volume should hold."""

    hard: Hard = field(default_factory=Hard)
    records: list[Stored] = field(default_factory=lambda: [GENESIS])
    """All since the last base that was not only pruned."""
    base: tuple[int, int, bytes] = (0, 0, b"")
    parts: list[bytes] = field(default_factory=list)
    installed: tuple[int, int, bytes] = (0, 0, b"")

    @property
    def end(self) -> tuple[int, int, bytes]:
        last = self.records[-1] if self.records else None
        return (last.epoch, last.last, last.chain) if last else self.installed

    def record(self, epoch: int, blob: bytes, entries: int = 1) -> Stored:
        _, last, chain = self.end
        return Stored(epoch, last + 1, last + entries, chain_hash(chain, blob), blob)

    def apply(self, write: Write | InstallCheckpoint, parts: list[bytes] | None = None) -> None:
        match write:
            case WriteHard():
                self.hard = write.hard
            case WriteRecord():
                self.records = [*self.records, write.record]
            case Truncate():
                self.records = [r for r in self.records if r.last <= write.after]
            case InstallCheckpoint():
                self.base, self.parts = (write.epoch, write.index, write.chain), parts or []
                if not write.keep_suffix:
                    self.records, self.installed = [], self.base

    def saved(self, record: Stored, parts: list[bytes]) -> None:
        self.base, self.parts = (record.epoch, record.last, record.chain), parts

    def recovered(self) -> Recovered:
        return Recovered(
            hard=self.hard,
            base_epoch=self.base[0],
            base_index=self.base[1],
            base_chain=self.base[2],
            parts=self.parts,
            records=[r for r in self.records if r.last > self.base[1]],
        )

    def copy(self) -> Model:
        return copy.copy(self)


def fresh(path: Path, layout: Layout = SMALL, files: Files | None = None) -> Volume:
    """Format and open a volume that holds the genesis record."""
    format_volume(path, ME, GENESIS, layout, files)
    volume = Volume.open(path, ME, layout, files)
    volume.recover()
    return volume


def recover(path: Path, layout: Layout = SMALL, files: Files | None = None) -> Recovered:
    """Open, recover and close."""
    volume = Volume.open(path, ME, layout, files)
    try:
        return volume.recover()
    finally:
        volume.close()


def audit(path: Path, layout: Layout = SMALL, files: Files | None = None) -> Recovered | None:
    """Recover from a copy; None: damaged, and said so."""
    scratch = path.with_name("audited")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(path, scratch)
    try:
        return recover(scratch, layout, files or Unsynced())
    except Damaged:
        return None


def perform(volume: Volume, model: Model, *writes: Callable[[Model], Write]) -> None:
    """Make a group of writes, each from the model as the one before left it, and do it."""
    group = []
    for make in writes:
        group.append(make(model))
        model.apply(group[-1])
    volume.perform(group)


def record(epoch: int, blob: bytes, entries: int = 1) -> Callable[[Model], Write]:
    return lambda model: WriteRecord(0, model.record(epoch, blob, entries))


def hard(epoch: int) -> Callable[[Model], Write]:
    return lambda _: WriteHard(0, Hard(epoch, epoch % 6, 1, 65_536 * epoch))


def truncate(after: int) -> Callable[[Model], Write]:
    return lambda _: Truncate(0, after)


def save(volume: Volume, model: Model, index: int, parts: Sequence[bytes]) -> bool:
    (at,) = [r for r in model.records if r.last == index]
    writer = volume.checkpoint(at.epoch, index)
    for part in parts:
        writer.write(part)
    done = volume.save(writer)
    if done:
        model.saved(at, list(parts))
    return done


def install(
    volume: Volume, model: Model, place: tuple[int, int, bytes], parts: list[bytes], *, keep: bool
) -> None:
    for number, part in enumerate(parts):
        volume.store_part(StorePart(place[1], number, part))
    write = InstallCheckpoint(0, *place, keep)
    volume.perform([write])
    model.apply(write, parts)


# ---- a disk that forgets what was not synced --------------------------------------------------


@dataclass
class Inode:
    """A file's content as programs see it, and as the disk has it."""

    seen: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)


Change = list[tuple[Path, int | None]]
"""Names that change together, and the inodes that they stand for from then on."""


@dataclass
class Moment:
    """Everything that a crash at this moment could leave behind."""

    names: dict[Path, int]
    kept_names: dict[Path, int]
    pending_names: list[Change]
    inodes: dict[int, Inode]
    step: int


class Recorder(Files):
    """Does everything for real, and remembers each state of the disk on the way (ALICE style)."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.moments: list[Moment] = []
        self.step = 0
        """How far the test came; it counts what was reported durable."""
        self._names: dict[Path, int] = {}
        self._kept: dict[Path, int] = {}
        self._pending: list[Change] = []
        self._inodes: dict[int, Inode] = {}
        self._ids: dict[int, int] = {}
        """The system's inode numbers are used again, ours are not."""

    def begin(self) -> None:
        """Take what lies there as durable, and remember from now on."""
        for path in self.root.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                number = self._new(path.stat().st_ino)
                self._inodes[number] = Inode(bytearray(content), bytearray(content))
                self._names[path] = self._kept[path] = number
        self._moment()

    def _new(self, system_number: int) -> int:
        number = self._ids[system_number] = len(self._inodes)
        self._inodes[number] = Inode()
        return number

    def _moment(self) -> None:
        names = (dict(self._names), dict(self._kept), list(self._pending))
        self.moments.append(Moment(*names, copy.deepcopy(self._inodes), self.step))

    def _change(self, change: Change) -> None:
        self._pending.append(change)
        _rename(self._names, change)
        self._moment()

    def create(self, path: Path) -> int:
        fd = super().create(path)
        self._change([(path, self._new(os.fstat(fd).st_ino))])
        return fd

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._change([(new, self._names[old]), (old, None)])

    def remove(self, path: Path) -> None:
        super().remove(path)
        if path in self._names:
            self._change([(path, None)])

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self._pending = [change for change in self._pending if change[0][0].parent != path]
        self._kept = {p: n for p, n in self._kept.items() if p.parent != path}
        self._kept |= {p: n for p, n in self._names.items() if p.parent == path}
        self._moment()

    def reserve(self, fd: int, offset: int, length: int) -> None:
        super().reserve(fd, offset, length)
        self._write(fd, bytes(length), offset)

    def write(self, fd: int, content: bytes | bytearray, offset: int) -> None:
        super().write(fd, content, offset)
        half = 0 if _is_atomic(offset, len(content)) else len(content) // 2
        if half:
            self._write(fd, bytes(content[:half]), offset)
        self._write(fd, bytes(content[half:]), offset + half)

    def _write(self, fd: int, content: bytes, offset: int) -> None:
        inode = self._inodes[self._ids[os.fstat(fd).st_ino]]
        _put(inode.seen, content, offset)
        inode.pending.append((offset, content))
        self._moment()

    def sync(self, fd: int) -> None:
        super().sync(fd)
        inode = self._inodes[self._ids[os.fstat(fd).st_ino]]
        inode.kept, inode.pending = bytearray(inode.seen), []
        self._moment()


def _rename(names: dict[Path, int], change: Change) -> None:
    for path, number in change:
        if number is None:
            names.pop(path, None)
        else:
            names[path] = number


def _is_atomic(offset: int, length: int) -> bool:
    """A write within one sector happens or not; the mark relies on that, and nothing else does."""
    return offset // 512 == (offset + length - 1) // 512


def _put(content: bytearray, part: bytes, offset: int) -> None:
    content.extend(bytes(max(0, offset + len(part) - len(content))))
    content[offset : offset + len(part)] = part


def rebuild(moment: Moment, root: Path, target: Path, rng: random.Random | None) -> None:
    """Lay out what is there after a death of the process, or, with `rng`, of the machine.

    A machine keeps what was synced, and of the rest any part: of each write all, none or a
    piece; names in the order in which they changed, up to some point.
    """
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("journal", "checkpoint"):
        (target / folder).mkdir(parents=True)
    names = moment.names
    if rng:
        names = dict(moment.kept_names)
        for change in moment.pending_names[: rng.randint(0, len(moment.pending_names))]:
            _rename(names, change)
    for path, number in names.items():
        inode = moment.inodes[number]
        content = bytearray(inode.kept if rng else inode.seen)
        if rng:
            for offset, part in inode.pending:
                some = 0 if _is_atomic(offset, len(part)) else rng.randint(0, len(part))
                keep = rng.choice([0, len(part), some])
                _put(content, part[:keep], offset)
        (target / path.relative_to(root)).write_bytes(content)
