"""Clock offsets from one fact: no message is read before it is sent.

Peers on one machine share a clock; clocks of different machines are compared by the messages that
went both ways. A message from a to b that left at `s` of a's clock and was there at `g` of b's says
`offset(b) - offset(a) >= s - g`; one the other way round bounds it from above. Per window the
middle of the narrowest such bounds counts, and between windows the offset is a straight line.
"""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from typing import NamedTuple, TypeAlias

from bazaar_peer.core.types import SECOND

WINDOW = 20 * SECOND
WINDOWS_MAX = 200
"""Of two clocks, an hour and more; the oldest go first."""

Pair: TypeAlias = tuple[str, str]
Between: TypeAlias = tuple[int | None, int | None]
"""The least and the most that the second clock of a pair may be behind the first one."""


class Message(NamedTuple):
    """A message whose both ends were noted: clocks and their own times, in nanoseconds."""

    sender: str
    sent: int
    receiver: str
    got: int


class Offsets:
    """What to add to each clock's times to get the reference's."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self._lines: dict[str, tuple[list[int], list[int]]] = {}
        """By clock: own times, and the offset at each."""

    def at(self, clock: str, time: int) -> int:
        """Return the reference's time; a clock that never spoke with anybody keeps its own."""
        line = self._lines.get(clock)
        if line is None:
            return time
        times, found = line
        place = bisect(times, time)
        if place == 0 or place == len(times):
            return time + found[max(0, place - 1)]
        begin, end = times[place - 1], times[place]
        rise = found[place] - found[place - 1]
        return time + found[place - 1] + rise * (time - begin) // (end - begin)

    def known(self, clock: str) -> bool:
        return clock == self.reference or clock in self._lines

    def add(self, clock: str, time: int, offset: int) -> None:
        """Add a point; caller duty: times only grow."""
        times, found = self._lines.setdefault(clock, ([], []))
        times.append(time)
        found.append(offset)


class Bounds:
    """What messages have said of clocks so far: of each pair and window two numbers, and no more.

    Windows are those of the first clock of a pair, in the order of names.
    """

    def __init__(self) -> None:
        self._found: dict[Pair, dict[int, Between]] = {}

    def add(self, message: Message) -> None:
        """Take a message between two clocks."""
        sender, sent, receiver, got = message
        first = sender < receiver
        pair = (sender, receiver) if first else (receiver, sender)
        windows = self._found.setdefault(pair, {})
        number = (sent if first else got) // WINDOW
        said: Between = (sent - got, None) if first else (None, got - sent)
        windows[number] = _narrower(windows.get(number, (None, None)), said)
        if len(windows) > WINDOWS_MAX:
            del windows[min(windows)]

    def fit(self, reference: str) -> Offsets:
        """Return the offsets that the messages allow; roughly first, then window by window."""
        rough, whole = Offsets(reference), dict[Pair, Between]()
        for pair, windows in self._found.items():
            for said in windows.values():
                whole[pair] = _narrower(whole.get(pair, (None, None)), said)
        for clock, offset in _spread(whole, reference).items():
            rough.add(clock, 0, offset)
        of_window: dict[int, dict[Pair, Between]] = defaultdict(dict)
        for pair, windows in self._found.items():
            for number, said in windows.items():
                middle = rough.at(pair[0], number * WINDOW + WINDOW // 2)
                of_window[middle // WINDOW][pair] = said
        fine = Offsets(reference)
        for number in sorted(of_window):
            for clock, offset in _spread(of_window[number], reference).items():
                fine.add(clock, number * WINDOW + WINDOW // 2 - offset, offset)
        return fine


def _narrower(one: Between, other: Between) -> Between:
    low = max((each for each in (one[0], other[0]) if each is not None), default=None)
    high = min((each for each in (one[1], other[1]) if each is not None), default=None)
    return (low, high)


def _spread(bounds: dict[Pair, Between], reference: str) -> dict[str, int]:
    """Go from the reference to every clock by the narrowest bounds."""
    edges: dict[str, list[tuple[float, str, int]]] = defaultdict(list)
    for (a, b), (low, high) in bounds.items():
        width, middle = _middle(low, high)
        edges[a].append((width, b, middle))
        edges[b].append((width, a, -middle))
    found = {reference: 0}
    while True:
        ways = [
            (width, b, found[a] + between)
            for a in found
            for width, b, between in edges[a]
            if b not in found
        ]
        if not ways:
            break
        _, clock, offset = min(ways)
        found[clock] = offset
    del found[reference]
    return found


def _middle(low: int | None, high: int | None) -> tuple[float, int]:
    """Return how wide the bounds are, and what to take; with one bound a message took no time."""
    if low is None or high is None:
        one = low if low is not None else high
        assert one is not None
        return (float("inf"), one)
    return (float(abs(high - low)), (low + high) // 2)
