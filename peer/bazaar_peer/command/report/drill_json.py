"""drill.json: what a drill came to, raw, as `bazaar drill` writes it and the report reads it.

Times are seconds since `began`. Latency counts from when a request should have started. Fields that
are not known here are left alone, so that an older report reads what a newer drill wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from bazaar_peer.command.report import words

NAME = "drill.json"
BYTES_MAX = 64_000_000
ORDERS_MAX = 100_000
FAULTS_MAX = 100_000
MARKS_MAX = 1000
ROUNDING_MS = 0.01

Number: TypeAlias = Annotated[float, msgspec.Meta(ge=-1e13, le=1e13)]  # refuses NaN too
Length: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e13)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=10_000)]
Outcome: TypeAlias = Literal["ok", "rejected", "unknown"]


class ReportError(Exception):
    """This is no drill.json; the text says which file and what is wrong."""


class Order(msgspec.Struct, frozen=True, array_like=True):
    """One request of a drill."""

    due_s: Number
    latency_ms: Length
    outcome: Outcome
    peer: int
    """It answered, or was asked last."""
    attempts: Count


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done to the ring, and what became of it."""

    number: int
    kind: Text
    victim: int | None
    at: Number
    planned: bool
    """A hand-over began what it cost, as the next trader has counted it."""
    epoch_before: int | None = None
    epoch_after: int | None = None
    trader_after: int | None = None
    reigns: int | None = None
    """So many began before the ring had settled; an older drill does not say."""
    interregnum_ms: Length | None = None
    """The longest."""
    interregna_ms: Length | None = None
    """All of them."""
    first_ok: Number | None = None
    gap_ms: Length | None = None


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    sent: Count
    acknowledged: Count
    failed: Count
    retried: Count
    rejected: Count


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """None where there was nothing to count."""

    mean: Length | None = None
    p50: Length | None = None
    p90: Length | None = None
    p99: Length | None = None
    max: Length | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    peer: int
    ms: Number
    what: Text


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One failover, event by event; `ms` counts from `zero`, the injection."""

    fault: int
    zero: Number
    lanes: Annotated[list[int], msgspec.Meta(max_length=100)]
    marks: Annotated[list[Mark], msgspec.Meta(max_length=MARKS_MAX)]


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """A whole drill."""

    bazaar_drill: Literal[1]
    version: Text
    command: Text
    began: Text
    target: Text
    peers: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    kind: Text
    planned: bool
    seconds: Length
    orders: Annotated[list[Order], msgspec.Meta(max_length=ORDERS_MAX)]
    orders_sampled_of: Count
    faults: Annotated[list[Fault], msgspec.Meta(max_length=FAULTS_MAX)]
    counts: Counts
    lost: Count | None
    twice: Count | None
    """None: the ring could not be audited, so nobody knows."""
    verify: Text
    unaudited: Text | None = None
    """Why it could not be audited; an older drill says that in `verify`, as of a violation."""
    interregnum_ms: Percentiles
    gap_ms: Percentiles
    latency_ms: Percentiles
    """Of the orders that were done."""
    timeline: Timeline | None = None
    wrong: Annotated[list[Text], msgspec.Meta(max_length=1000)] = []
    """Why the drill itself says that it failed, one sentence each."""
    tolerated: Annotated[list[Text], msgspec.Meta(max_length=1000)] = []
    """What it says beside that."""

    @property
    def spells(self) -> dict[str, list[float]]:
        """The interregna, planned and unplanned apart."""
        found: dict[str, list[float]] = {}
        for fault in self.faults:
            if fault.interregnum_ms is not None:
                name = "planned" if fault.planned else "unplanned"
                found.setdefault(name, []).append(fault.interregnum_ms)
        return found

    def spells_of(self, name: str) -> Percentiles:
        """A group's percentiles: the drill's own where it has one group."""
        own, found = self.interregnum_ms, self.spells
        if len(found) == 1 and None not in {own.p50, own.p90, own.p99, own.max}:
            return own
        shares = ((key, words.percentile(found[name], share)) for key, share in words.SHARES)
        return Percentiles(**dict(shares))

    @property
    def clean(self) -> bool:
        """Nothing was lost or done twice, and the audit of the journals agrees."""
        return self.lost == 0 and self.twice == 0 and self.verify == "clean"

    @property
    def contradictions(self) -> list[str]:
        """Figures that do not fit the faults and orders beside them, a sentence each."""
        done = [order.latency_ms for order in self.orders if order.outcome == "ok"]
        pairs = (
            ("interregnum", self.interregnum_ms.max, [f.interregnum_ms for f in self.faults]),
            ("wait for an answer", self.gap_ms.max, [f.gap_ms for f in self.faults]),
            ("order", self.latency_ms.max, done),
        )
        return [
            f"The longest {what} is told as {told:g} ms, and is {max(found):g} ms."
            for what, told, values in pairs
            if (found := [value for value in values if value is not None])
            and told is not None
            and abs(told - max(found)) > ROUNDING_MS
            # A sample may lack the longest, but it holds none that is longer.
            and (what != "order" or len(self.orders) == self.orders_sampled_of or told < max(found))
        ]

    @property
    def slowest(self) -> Order | None:
        """The slowest of the requests that were done, or of all if none was."""
        done = [order for order in self.orders if order.outcome == "ok"]
        return max(done or self.orders, key=lambda order: order.latency_ms, default=None)

    @property
    def mean_ms(self) -> float | None:
        """Mean latency of what was done; None where only a sample is left to count it by."""
        if self.latency_ms.mean is not None:
            return self.latency_ms.mean
        done = [order.latency_ms for order in self.orders if order.outcome == "ok"]
        if not done or len(self.orders) < self.orders_sampled_of:
            return None
        return sum(done) / len(done)


def of(found: dict[str, Any]) -> Drill:
    """Return a drill of its raw form.

    Raises:
        ReportError: it is not of that form.
    """
    try:
        return msgspec.convert(found, Drill)
    except msgspec.ValidationError as wrong:
        raise ReportError(f"this is no drill's result: {wrong}") from wrong


def read(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file, unread as yet.

    Raises:
        ReportError: there is no such file, or no such object in it.
    """
    try:
        size = path.stat().st_size
        if size > BYTES_MAX:
            raise ReportError(f"{path} has {size} bytes, and no report's file has more than 64 MB")
        found = msgspec.json.decode(path.read_bytes())
    except OSError as wrong:
        raise ReportError(f"{path} cannot be read: {wrong.strerror}") from wrong
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise ReportError(f"{path} is no JSON: {wrong}") from wrong
    if not isinstance(found, dict):
        raise ReportError(f"{path} holds no JSON object")
    return found
