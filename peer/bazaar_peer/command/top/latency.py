"""Percentiles of the last seconds, from two scrapes of the peers' metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from bazaar_peer.command.drill.place import Interregna, interregna_of

REQUESTS = "bazaar_request_duration_seconds"


class Counts(NamedTuple):
    """Of one peer since its process began: answers by upper bound in seconds and by outcome."""

    buckets: Mapping[float, float]
    outcomes: Mapping[str, float]
    interregna: Interregna = Interregna(0, 0.0)


class Latency(NamedTuple):
    """Of all peers together, per second and in ms; NaN without any answer."""

    per_s: float
    failed_per_s: float
    p50_ms: float
    p99_ms: float


NOTHING = Latency(0.0, 0.0, math.nan, math.nan)


def counts_of(text: str) -> Counts:
    """Read a scrape; answers are those that filled a request, or said that it cannot be."""
    buckets: dict[float, float] = {}
    outcomes: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        if family.name != REQUESTS:
            continue
        for sample in family.samples:
            outcome = sample.labels["outcome"]
            if sample.name == f"{REQUESTS}_count":
                outcomes[outcome] = outcomes.get(outcome, 0.0) + sample.value
            elif sample.name == f"{REQUESTS}_bucket" and outcome in {"ok", "unavailable"}:
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
    return Counts(buckets, outcomes, interregna_of(text))


def between(old: Mapping[int, Counts], new: Mapping[int, Counts], seconds: float) -> Latency:
    """Compare two moments; a peer that began anew meanwhile counts from 0."""
    buckets: dict[float, float] = {}
    outcomes: dict[str, float] = {}
    for peer, counts in new.items():
        before = old.get(peer)
        if before is None:
            continue
        if sum(before.outcomes.values()) > sum(counts.outcomes.values()):
            before = Counts({}, {})
        for bound, count in counts.buckets.items():
            more = count - before.buckets.get(bound, 0.0)
            buckets[bound] = buckets.get(bound, 0.0) + more
        for outcome, count in counts.outcomes.items():
            more = count - before.outcomes.get(outcome, 0.0)
            outcomes[outcome] = outcomes.get(outcome, 0.0) + more
    answered = outcomes.get("ok", 0.0) + outcomes.get("unavailable", 0.0)
    return Latency(
        answered / seconds,
        outcomes.get("failed", 0.0) / seconds,
        1e3 * quantile(0.5, buckets),
        1e3 * quantile(0.99, buckets),
    )


def quantile(share: float, buckets: Mapping[float, float]) -> float:
    """Return a quantile of cumulative buckets, within its bucket by proportion, as Prometheus."""
    total = buckets.get(math.inf, 0.0)
    if not total:
        return math.nan
    below, counted = 0.0, 0.0
    for bound in sorted(buckets):
        count = buckets[bound]
        if count >= share * total:
            if bound == math.inf:
                return below
            return below + (bound - below) * (share * total - counted) / (count - counted)
        below, counted = bound, count
    return below
