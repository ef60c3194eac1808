"""Single orders of a load, one a line: what a drill measures gaps by and draws points of.

A line is `DUE LATENCY_MS OUTCOME PLACE ATTEMPTS`. `due` is when the request should have started, by
the wall clock, and the latency counts from there, through every attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

OK, REJECTED, UNKNOWN = "ok", "rejected", "unknown"
"""Taken; refused for good; answered by nobody in time."""


class Order(NamedTuple):
    """`place`: of the URL that answered, or was asked last, among those of the load."""

    due: float
    latency_ms: float
    outcome: str
    place: int
    attempts: int

    @property
    def done(self) -> float:
        return self.due + self.latency_ms / 1e3

    def line(self) -> str:
        due, latency = f"{self.due:.6f}", f"{self.latency_ms:.3f}"
        return f"{due} {latency} {self.outcome} {self.place} {self.attempts}\n"


def read_orders(lines: Iterable[str]) -> Iterator[Order]:
    """Yield the orders of whole lines.

    Raises:
        ValueError: a line is none.
    """
    for line in lines:
        due, latency, outcome, place, attempts = line.split()
        yield Order(float(due), float(latency), outcome, int(place), int(attempts))
