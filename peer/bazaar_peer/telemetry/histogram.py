"""A histogram that is counted on the path of every trade.

It shows what prometheus-client's shows, and counts at a tenth of its cost (docs/performance.md): no
lock, and the bucket is found by bisection. So each has one writer at a time: the loop, or, of what
the disk's thread counts, that thread while nothing is synced in the loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, product
from math import inf

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString


class Tally:
    """Of one combination of labels."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Of each bucket alone; the last one is of what is beyond all bounds."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram(Collector):
    """`labels`: every value that each label can have; all their tallies begin at 0."""

    def __init__(
        self,
        name: str,
        what: str,
        labels: Mapping[str, tuple[str, ...]],
        bounds: Iterable[float],
        registry: CollectorRegistry,
    ) -> None:
        self.name, self._what, self._names = name, what, tuple(labels)
        self._bounds = tuple(map(float, bounds))
        self._spelled = tuple(map(floatToGoString, (*self._bounds, inf)))
        self._tallies = {values: Tally(self._bounds) for values in product(*labels.values())}
        registry.register(self)

    def labels(self, *values: str) -> Tally:
        return self._tallies[values]

    def observe(self, value: float) -> None:
        """Count a value, where there are no labels."""
        self._tallies[()].observe(value)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self.name, self._what, labels=self._names)
        for values, tally in self._tallies.items():
            counts = map(float, accumulate(tally.counts))
            family.add_metric(values, list(zip(self._spelled, counts, strict=True)), tally.total)
        return [family]
