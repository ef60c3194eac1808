"""The one ordered disk queue of a peer (R4), as the core sees it.

Writes are numbered; `DiskDone(n)` says that all up to n are durable. In memory the peer is ahead
of its disk: `hard` and the journal are what was decided, `durable_*` what a crash would leave.
Nothing is sent that rests on the difference.
"""

from __future__ import annotations

from collections import deque

from bazaar_peer.core.effects import (
    Effect,
    Hard,
    InstallCheckpoint,
    Truncate,
    WriteHard,
    WriteRecord,
)
from bazaar_peer.core.messages import Stored
from bazaar_peer.core.types import Nanos


class DiskQueue:
    """Numbers writes and tells what of them is durable."""

    def __init__(self, hard: Hard, index: int, effects: list[Effect]) -> None:
        self.hard = hard
        self.durable_hard = hard
        self.durable_index = index
        self.issued = 0
        self.done = 0
        self.effects = effects
        self.stuck_since: Nanos = 0
        """When the oldest outstanding write became the oldest."""
        self._hards: deque[tuple[int, Hard]] = deque()
        self._ends: deque[tuple[int, int]] = deque()

    @property
    def idle(self) -> bool:
        return self.done == self.issued

    def _number(self, now: Nanos) -> int:
        if self.done == self.issued:
            self.stuck_since = now
        self.issued += 1
        return self.issued

    def write_hard(self, hard: Hard, now: Nanos) -> int:
        number = self._number(now)
        self.hard = hard
        self._hards.append((number, hard))
        self.effects.append(WriteHard(number, hard))
        return number

    def append(self, stored: Stored, now: Nanos) -> int:
        number = self._number(now)
        self._ends.append((number, stored.last))
        self.effects.append(WriteRecord(number, stored))
        return number

    def truncate(self, after: int, now: Nanos) -> int:
        """Drop the journal behind `after`; from this moment nothing behind it counts as durable."""
        number = self._number(now)
        self._cap(after)
        self.effects.append(Truncate(number, after))
        return number

    def install(
        self, epoch: int, index: int, chain: bytes, keep_suffix: bool, commit: int, now: Nanos
    ) -> int:
        """Replace the journal up to `index` by a foreign checkpoint, all of it unless kept.

        Until that is durable the disk holds the old journal, the same up to `commit` only.
        """
        number = self._number(now)
        if not keep_suffix:
            self._cap(commit)
            self._ends.append((number, index))
        self.effects.append(InstallCheckpoint(number, epoch, index, chain, keep_suffix))
        return number

    def _cap(self, after: int) -> None:
        self.durable_index = min(self.durable_index, after)
        self._ends = deque((number, min(end, after)) for number, end in self._ends)

    def completed(self, number: int, now: Nanos) -> None:
        """Note that all writes up to `number` are durable."""
        if number <= self.done:
            return
        self.done = number
        self.stuck_since = now
        while self._hards and self._hards[0][0] <= number:
            self.durable_hard = self._hards.popleft()[1]
        while self._ends and self._ends[0][0] <= number:
            self.durable_index = self._ends.popleft()[1]
