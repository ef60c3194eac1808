"""A simulated machine: its volume, its clock, and the process on it, if there is one."""

from __future__ import annotations

from bazaar_peer.core import events as ev
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import NEVER, Nanos
from bazaar_peer.simulation.disk import Volume


class Host:
    """A machine with a volume, and the process on it, if there is one."""

    def __init__(self, number: int, volume: Volume, rate: int) -> None:
        self.id = number
        self.volume = volume
        self.lost: Volume | None = None
        """What the volume was before an old copy was put in its place (simulation/restoring.py)."""
        self.rate = rate
        self.peer: Peer | None = None
        self.life = 0
        """Counts processes; what was meant for an earlier one is not delivered."""
        self.armed = NEVER
        self.asleep_since = -1
        self.backlog: list[tuple[int, ev.Event]] = []
        self.stalled_until = 0
        self.fuse: tuple[str, int, int] | None = None
        """(kind of note, effects after it, time down): where this process will crash."""
        self.burning = -1
        self.gone = False
        """This life is over: its volume is lost or set aside, and no process starts on it."""
        self.commit = 0
        self.applied = 0
        self.spins = 0

    def held(self, last: int, chain: bytes) -> bool:
        """Tell whether a record is durable here, or was on a volume that is lost since."""
        volumes = (self.volume, self.lost)
        return any(volume.holds(last, chain) for volume in volumes if volume is not None)

    def local(self, now: Nanos) -> Nanos:
        """Return this machine's monotonic time."""
        return 10**9 + now * self.rate // 1000
