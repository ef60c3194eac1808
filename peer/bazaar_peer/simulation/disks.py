"""When simulated disks are done: syncs, stalls, checkpoints in the background."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bazaar_peer.core import effects as ef
from bazaar_peer.core import events as ev
from bazaar_peer.simulation.dice import Dice
from bazaar_peer.simulation.host import Host

if TYPE_CHECKING:
    from bazaar_peer.simulation.world import World


class Disks:
    """The disks of all machines."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dice = Dice(world.plan.seed, "disk")
        self.sync, self.jitter = world.plan.sync, world.plan.sync_jitter

    def write(self, host: Host, effect: Any) -> None:
        self.world.checkers.written(host, effect)
        host.volume.issue(effect)
        if not host.volume.syncing:
            self._sync(host)

    def _sync(self, host: Host) -> None:
        """Begin to make durable what was issued by now."""
        life = host.life
        host.volume.syncing = len(host.volume.queue)
        at = self.world.now + self.sync + int(self.dice.random() * self.jitter)
        self.world.push(max(at, host.stalled_until), -1, 0, lambda: self._synced(host, life))

    def unstall(self, host: Host) -> None:
        """Let a stalled disk go on."""
        host.stalled_until = 0
        self.world.later(0, partial(self._synced, host, host.life))

    def _synced(self, host: Host, life: int) -> None:
        volume = host.volume
        if host.peer is None or host.life != life or not volume.syncing:
            return
        if host.stalled_until > self.world.now:
            self.world.push(host.stalled_until, -1, 0, lambda: self._synced(host, life))
            return
        number, installed = volume.complete(volume.syncing)
        volume.syncing = 0
        self.world.push(self.world.now, host.id, life, ev.DiskDone(number))
        if installed:
            self.world.push(self.world.now, host.id, life, ev.Installed(installed))
        if volume.queue:
            self._sync(host)

    def save(self, host: Host, effect: ef.SaveCheckpoint) -> None:
        wait = self.sync * 2 + self.dice.below(self.world.plan.timing.heartbeat_timeout)
        life = host.life
        self.world.later(wait, lambda: self._saved(host, life, effect, []))

    def _saved(self, host: Host, life: int, effect: ef.SaveCheckpoint, parts: list[bytes]) -> None:
        if host.peer is None or host.life != life:
            return
        parts = parts or list(effect.parts)  # drawn late: it must be the state of that moment
        if host.volume.save(effect, parts):
            self.world.checkers.saved(effect, parts)
            self.world.push(
                self.world.now, host.id, life, ev.CheckpointSaved(effect.epoch, effect.index, 0)
            )
        else:
            self.world.later(self.sync, lambda: self._saved(host, life, effect, parts))

    def read_part(self, host: Host, effect: ef.ReadPart) -> None:
        read, wait = host.volume.read(effect), self.sync + self.world.plan.latency
        self.world.push(self.world.now + wait, host.id, host.life, read)
