"""A volume as the disk queue sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bazaar_peer.core.effects import InstallCheckpoint, ReadPart, StorePart, Write
from bazaar_peer.core.events import PartRead
from bazaar_peer.runtime.checkpoint_file import CheckpointWriter, SavedCheckpoint
from bazaar_peer.runtime.disk import Volume


@dataclass
class Saving:
    """An own checkpoint on its way to the disk."""

    volume: Volume
    writer: CheckpointWriter

    def write(self, part: bytes) -> None:
        self.writer.write(part)

    def finish(self) -> None:
        self.volume.save(self.writer)

    def drop(self) -> None:
        self.writer.drop()


class VolumeStore:
    """Maps the queue's effects to the volume; a transfer keeps the checkpoint it began with."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self.perform: Callable[[Sequence[Write]], None] = volume.perform
        self._sending: dict[int, SavedCheckpoint] = {}

    def begin_checkpoint(self, epoch: int, index: int) -> Saving:
        return Saving(self.volume, self.volume.checkpoint(epoch, index))

    def read_part(self, effect: ReadPart) -> PartRead:
        """Read the next part of a transfer; number 0 begins with the newest checkpoint."""
        if effect.number == 0 and self.volume.saved is not None:
            self._sending[effect.peer] = self.volume.saved
        saved = self._sending.get(effect.peer)
        if saved is None:
            return PartRead(effect.peer, 0, 0, effect.number, last=True, data=b"")
        data, last = saved.read_part(effect.number)
        if last:
            del self._sending[effect.peer]
        place = saved.place
        return PartRead(effect.peer, place.epoch, place.last, effect.number, last, data)

    def store_part(self, effect: StorePart) -> None:
        self.volume.store_part(effect)

    def install(self, effect: InstallCheckpoint) -> None:
        self.volume.perform([effect])

    def prune(self, index: int) -> None:
        self.volume.prune(index)
