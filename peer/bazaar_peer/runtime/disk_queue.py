"""One ordered queue to the store (R4): groups of writes share one sync, whoever performs them.

A follower's group is performed in the loop, where a sync of 0.2 ms costs less than a thread switch,
and so is a trader's that holds few entries; a larger one goes to one thread of this queue's own, so
that the loop goes on reading meanwhile (docs/decisions.md). Nothing is performed in the loop while
the thread has work, so the order holds. Groups that queued up behind a sync become one group with
one sync.

A checkpoint is written in the same thread whenever no write waits, from parts that the loop draws
in short slices (N8); the install of another peer's checkpoint abandons it. A full disk (D4) is
waited out in the thread: nothing is acknowledged meanwhile, so a trader steps down by N5 c.
"""

from __future__ import annotations

import threading
import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Protocol, TypeAlias

from bazaar_peer.core.effects import (
    InstallCheckpoint,
    Prune,
    ReadPart,
    SaveCheckpoint,
    StorePart,
    Truncate,
    Write,
    WriteHard,
    WriteRecord,
)
from bazaar_peer.core.events import CheckpointSaved, DiskDone, Event, Installed, PartRead
from bazaar_peer.runtime.files import DiskFull
from bazaar_peer.telemetry.meter import Unmetered

DiskEffect: TypeAlias = Write | InstallCheckpoint | StorePart | ReadPart | Prune
WRITES = (WriteHard, WriteRecord, Truncate)

SLICE_S, REST_S = 0.001, 0.004
"""How long the loop draws parts of a checkpoint at a time, and the pause after that."""
SLOW_SYNC_S, SLOW_FOR_S = 0.010, 1.0
"""A sync in the loop that took so long sends the writes of the next second to the thread (N8)."""
FULL_RETRY_S = 0.1


class CheckpointWriter(Protocol):
    """A checkpoint on its way to the disk, under a temporary name until `finish`."""

    def write(self, part: bytes) -> None: ...
    def finish(self) -> None: ...
    def drop(self) -> None: ...


class Store(Protocol):
    """What the queue needs of a volume. Every method may block; errors are fatal (R7)."""

    def perform(self, writes: Sequence[Write]) -> None:
        """Do all of these, in order, with one sync; on `DiskFull` none is done."""

    def begin_checkpoint(self, epoch: int, index: int) -> CheckpointWriter: ...
    def read_part(self, effect: ReadPart) -> PartRead: ...
    def store_part(self, effect: StorePart) -> None: ...
    def install(self, effect: InstallCheckpoint) -> None: ...
    def prune(self, index: int) -> None: ...


class _Saving:
    """A checkpoint being written; `file` belongs to the thread."""

    def __init__(self, effect: SaveCheckpoint) -> None:
        self.effect = effect
        self.abandoned = False
        self.file: CheckpointWriter | None = None
        self.size = 0
        self.began = time.monotonic()


class DiskQueue:
    """Performs disk effects; `done` gets what came of them, `failed` an error, both in the loop."""

    def __init__(
        self,
        store: Store,
        loop: AbstractEventLoop,
        *,
        done: Callable[[list[Event]], None],
        failed: Callable[[BaseException], None],
        meter: Unmetered,
    ) -> None:
        self._store, self._loop = store, loop
        self._done, self._failed, self._meter = done, failed, meter
        self._groups: SimpleQueue[list[DiskEffect] | None] = SimpleQueue()
        self._later: deque[Callable[[], None]] = deque()
        self._busy = 0  # groups and steps in the thread, counted in the loop
        self._inline_from = 0.0
        self._saving: _Saving | None = None
        self._stopping = False
        self.syncs = 0
        self._thread = threading.Thread(target=self._run, name="bazaar-disk", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        return not self._busy

    def put(self, effects: list[DiskEffect], *, inline: bool) -> list[Event]:
        """Perform now and return what came of it, or leave it to the thread and return nothing."""
        if inline and not self._busy and time.monotonic() >= self._inline_from:
            writes = [effect for effect in effects if isinstance(effect, WRITES)]
            if len(writes) == len(effects) and self._perform_here(writes):
                return [DiskDone(writes[-1].number)]
        if self._saving and any(isinstance(effect, InstallCheckpoint) for effect in effects):
            self._abandon(self._saving)
        self._busy += 1
        self._groups.put(effects)
        return []

    def _perform_here(self, writes: list[Write]) -> bool:
        began = time.monotonic()
        try:
            self._store.perform(writes)
        except DiskFull:
            return False
        took = time.monotonic() - began
        self._measured(took, writes)
        if took > SLOW_SYNC_S:
            self._inline_from = began + took + SLOW_FOR_S
        return True

    def _measured(self, seconds: float, writes: Sequence[Write]) -> None:
        self.syncs += 1
        self._meter.synced(seconds, writes)

    def save(self, effect: SaveCheckpoint) -> None:
        """Begin a checkpoint; `CheckpointSaved` comes when it is durable."""
        if self._saving is not None:
            self._abandon(self._saving)
        self._saving = _Saving(effect)
        self._draw(self._saving)

    def close(self) -> None:
        """Finish what was put and end the thread."""
        self._stopping = True
        self._groups.put(None)
        self._thread.join()

    # ---- a checkpoint: drawn in the loop, written in the thread

    def _draw(self, saving: _Saving) -> None:
        if saving.abandoned or self._stopping:
            return
        parts: list[bytes] = []
        until = time.monotonic() + SLICE_S
        last = True
        for part in saving.effect.parts:
            parts.append(part)
            if time.monotonic() >= until:
                last = False
                break
        self._do_later(partial(self._write_parts, saving, parts, last))

    def _write_parts(self, saving: _Saving, parts: list[bytes], last: bool) -> None:
        if saving.abandoned:
            return
        if saving.file is None:
            saving.file = self._store.begin_checkpoint(saving.effect.epoch, saving.effect.index)
        for part in parts:
            saving.file.write(part)
            saving.size += len(part)
        if last:
            saving.file.finish()
            saving.file = None
        self._loop.call_soon_threadsafe(self._written, saving, last)

    def _written(self, saving: _Saving, last: bool) -> None:
        if not last:
            self._loop.call_later(REST_S, self._draw, saving)
            return
        if self._saving is saving:
            self._saving = None
        if not saving.abandoned:
            self._meter.saved(time.monotonic() - saving.began, saving.size)
            self._done([CheckpointSaved(saving.effect.epoch, saving.effect.index, saving.size)])

    def _abandon(self, saving: _Saving) -> None:
        saving.abandoned = True
        self._saving = None
        self._do_later(lambda: saving.file.drop() if saving.file else None)

    def _do_later(self, step: Callable[[], None]) -> None:
        self._busy += 1
        self._later.append(step)
        self._groups.put([])

    # ---- the thread

    def _run(self) -> None:
        try:
            while (group := self._groups.get()) is not None:
                effects, count = list(group), int(bool(group))
                while not self._groups.empty() and (more := self._groups.get()) is not None:
                    effects.extend(more)
                    count += bool(more)
                if count:
                    events = self._perform(effects)
                    self._loop.call_soon_threadsafe(self._performed, events, count)
                while self._later and self._groups.empty():
                    self._later.popleft()()
                    self._loop.call_soon_threadsafe(self._performed, [], 1)
                if self._stopping and self._groups.empty():
                    return
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._failed, error)

    def _performed(self, events: list[Event], count: int) -> None:
        self._busy -= count
        if events:
            self._done(events)

    def _perform(self, effects: list[DiskEffect]) -> list[Event]:
        events: list[Event] = []
        writes: list[Write] = []
        for effect in effects:
            if isinstance(effect, WRITES):
                writes.append(effect)
                continue
            events += self._sync(writes)
            writes = []
            match effect:
                case InstallCheckpoint():
                    self._store.install(effect)
                    events += [DiskDone(effect.number), Installed(effect.index)]
                case StorePart():
                    self._store.store_part(effect)
                case ReadPart():
                    events.append(self._store.read_part(effect))
                case Prune():
                    self._store.prune(effect.index)
        return events + self._sync(writes)

    def _sync(self, writes: list[Write]) -> list[Event]:
        if not writes:
            return []
        began = time.monotonic()
        waits = False
        while True:
            try:
                self._store.perform(writes)
            except DiskFull:
                if not waits:
                    self._meter.full()
                waits = True
                if self._stopping:
                    return []
                time.sleep(FULL_RETRY_S)
            else:
                self._measured(time.monotonic() - began, writes)
                return [DiskDone(writes[-1].number)]
