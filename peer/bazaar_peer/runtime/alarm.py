"""One loop timer that stands for a core's next deadline.

A loop that is held up while it reads, by a processor's other work or a container's limit, comes to
its timers before it reads on: a follower would find the trader silent, and a trader its followers,
while their words lie there unread. A timer that comes late therefore lets the sockets be read
first. A follower waits for `HEAR_S` then: who was held up with it, by the same machine, speaks
again meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bazaar_peer.core.types import MS, NEVER, Nanos

LATE: Nanos = 50 * MS
"""Half an interval of heartbeats; a loop with much to do is late by less."""
READ_S = 0.001
"""Long enough for the loop to read whatever lies in its sockets."""
HEAR_S = 0.02


class Alarm:
    """Rings once the deadline is reached, whatever became of it since the timer was set."""

    def __init__(
        self,
        clock: Callable[[], Nanos],
        deadline: Callable[[], Nanos],
        follows: Callable[[], bool],
        ring: Callable[[], object],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock, self._deadline, self._follows, self._ring = clock, deadline, follows, ring
        self._at = NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._reads = False

    def set(self, deadline: Nanos) -> None:
        """Have it ring at this deadline, if that is earlier than the one it waits for."""
        if deadline < self._at:
            self._arm(deadline)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, at: Nanos) -> None:
        # uvloop's timers count whole milliseconds: round up, an early one would have to go twice.
        delay_ms = max(0, -((self._clock() - at) // MS))
        self._wait(at, delay_ms / 1000)

    def _wait(self, at: Nanos, seconds: float) -> None:
        self.cancel()
        self._at = at
        self._timer = self._loop.call_later(seconds, self._expired)

    def _expired(self) -> None:
        now, deadline, at = self._clock(), self._deadline(), self._at
        was_read, self._reads = self._reads, False
        self._timer, self._at = None, NEVER
        if now < deadline:
            self._arm(deadline)
        elif now - at > LATE and not was_read:
            self._reads = True
            self._wait(at, HEAR_S if self._follows() else READ_S)
        else:
            self._ring()
