"""What was told lately, kept for whoever begins to listen later.

All of the last half minute; of what is older all steps of the protocol, traffic near them, and a
little of the rest; nothing that is older than `seconds`. So it has a bound, however busy a ring is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from itertools import chain
from typing import NamedTuple

from bazaar_peer.core.types import SECOND
from bazaar_peer.record.entries import KEY, TRAFFIC
from bazaar_peer.record.pages import FRESH, NEAR, SPARSE

FRESH_S, NEAR_S, SPARSE_S = FRESH / SECOND, NEAR / SECOND, SPARSE / SECOND
"""As a peer thins its own record."""
LINES_MAX = 200_000


class Line(NamedTuple):
    """An entry of a story, and how it is told."""

    at: float
    peer: int
    kind: str
    data: bytes


class Past:
    """The last `seconds` of a story."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._old: deque[Line] = deque(maxlen=LINES_MAX)
        self._fresh: deque[Line] = deque(maxlen=LINES_MAX)
        self._steps: list[float] = []
        self._last: dict[tuple[int, str], float] = {}
        """By peer and kind, what was kept last of old traffic."""
        self._newest = float("-inf")

    def add(self, line: Line) -> None:
        """Take what was told just now, and drop what grew too old."""
        self._newest = max(self._newest, line.at)
        if line.kind not in TRAFFIC and line.kind != KEY:
            insort(self._steps, line.at)
        self._fresh.append(line)
        while self._fresh[0].at < self._newest - FRESH_S:
            self._age(self._fresh.popleft())
        first = self._newest - self._seconds
        while self._old and self._old[0].at < first:
            self._old.popleft()
        if self._steps and self._steps[0] < first - 1.0:
            del self._steps[: bisect_left(self._steps, first)]

    def after(self, at: float) -> list[bytes]:
        """Return what is kept of later than that, as it was told and in that order."""
        return [line.data for line in chain(self._old, self._fresh) if line.at > at]

    def _age(self, line: Line) -> None:
        of = (line.peer, line.kind)
        if line.kind in TRAFFIC and not self._is_near_a_step(line.at):
            if 0 <= line.at - self._last.get(of, float("-inf")) < SPARSE_S:
                return
            self._last[of] = line.at
        self._old.append(line)

    def _is_near_a_step(self, at: float) -> bool:
        place = bisect_left(self._steps, at - NEAR_S)
        return place < len(self._steps) and self._steps[place] <= at + NEAR_S
