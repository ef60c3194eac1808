"""bench.json: what `bazaar bench` measured, raw."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from bazaar_peer.command.report import words
from bazaar_peer.command.report.drill_json import Count, Length, ReportError, Text
from bazaar_peer.command.report.lab import REPORT_MS

NAME = "bench.json"
REQUESTS_MAX = 1_000_000
RINGS_MAX = 24


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """So many requests of one buyer, one after the other; times in milliseconds."""

    mean_ms: Length
    p50_ms: Length
    p90_ms: Length
    p99_ms: Length
    max_ms: Length
    latencies_ms: Annotated[list[Length], msgspec.Meta(min_length=1, max_length=REQUESTS_MAX)]
    """Of every request, in the order in which they were sent."""
    killed_at: list[Count] = []
    """Numbers, from 0, of the requests that were sent when a trader had just been killed."""

    @classmethod
    def of(cls, latencies_ms: list[float], killed_at: list[int]) -> Run:
        shares = {
            f"{name}_ms": round(words.percentile(latencies_ms, share), 3)
            for name, share in words.SHARES
        }
        return cls(
            mean_ms=round(words.mean(latencies_ms), 3),
            latencies_ms=[round(ms, 3) for ms in latencies_ms],
            killed_at=killed_at,
            **shares,
        )

    @property
    def hit_ms(self) -> list[float]:
        """What the requests took that were sent when a trader had just been killed."""
        return [self.latencies_ms[number] for number in self.killed_at]

    def told(self) -> dict[str, object]:
        """Return the figures without the single requests."""
        names = ("mean_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms")
        return {name: getattr(self, name) for name in names}


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What the Pyro4 baseline of a checkout took for the same, on this machine."""

    mean_ms: Length
    """Of its rate: one buyer waits for each answer before he asks again."""
    p50_ms: Length
    p99_ms: Length
    max_ms: Length


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """One size of ring: without re-elections, and with them."""

    peers: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    steady: Run
    elections: Run | None = None
    pyro4: Baseline | None = None

    def told(self) -> dict[str, object]:
        """Return what `--json` prints of it; the figures of the steady run stand on top."""
        report = REPORT_MS.get(self.peers)
        found: dict[str, object] = {
            "peers": self.peers,
            "requests": len(self.steady.latencies_ms),
            **self.steady.told(),
            "report_mean_ms": report,
            "times_faster": round(report / self.steady.mean_ms, 1) if report else None,
        }
        if self.elections is not None:
            kills = len(self.elections.killed_at)
            found["elections"] = {"kills": kills, **self.elections.told()}
        if self.pyro4 is not None:
            found["pyro4"] = msgspec.to_builtins(self.pyro4)
        return found


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """A whole measurement."""

    bazaar_bench: Literal[1] = 1
    version: Text
    command: Text
    began: Text
    rings: Annotated[list[Ring], msgspec.Meta(min_length=1, max_length=RINGS_MAX)]


def of(found: dict[str, Any]) -> Bench:
    """Return a measurement of its raw form.

    Raises:
        ReportError: it is not of that form.
    """
    none = "this is no measurement of `bazaar bench`"
    try:
        bench = msgspec.convert(found, Bench)
    except msgspec.ValidationError as wrong:
        raise ReportError(f"{none}: {wrong}") from wrong
    for run in (run for ring in bench.rings for run in (ring.steady, ring.elections) if run):
        if any(number >= len(run.latencies_ms) for number in run.killed_at):
            raise ReportError(f"{none}: killed_at names no request")
    return bench
