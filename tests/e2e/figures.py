"""The figures of all drills: kept run by run, summed up kind by kind, over several sessions too."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bazaar_peer.command.tally import percentile

COUNTED = ("sent", "acknowledged", "failed", "retried", "lost", "twice")
HEAD = (
    "| drill | peers | drills | orders | failed | retried | lost | twice | trader changes a drill "
    "| gap at the client, ms: p50 · p90 · p99 · max | by the peers' records, ms: p50 · p99 · max |"
)


@dataclass
class Drill:
    """One thing that was done to a ring."""

    began: float
    ended: float = 0.0
    gap_ms: float = 0.0
    """The longest that began or went on meanwhile; 0: below what the load lists."""
    changes: int = 0
    """Reigns that began meanwhile."""
    peers_ms: list[float] = field(default_factory=list)
    """Of each change, from the first sign of the loss to the reign, by the peers' own logs."""
    note: str = ""


@dataclass
class Run:
    """Drills of one kind under one load."""

    kind: str
    peers: int
    drills: list[Drill] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    late_ms: float = 0.0
    """How far behind its own clock the load itself was at worst."""
    latency_ms: dict[str, float] = field(default_factory=dict)
    version: str = ""
    """The commit that was drilled, with a `+` where something was changed and not committed."""
    kubernetes: str = ""
    """The version of the cluster's API server."""
    halted: list[str] = field(default_factory=list)
    """Why peers ended by themselves meanwhile."""
    audited: bool = False
    """The load ended, and the ring's journals were held against its answers."""

    def gaps(self) -> list[float]:
        return sorted(drill.gap_ms for drill in self.drills)

    def peers_ms(self) -> list[float]:
        return sorted(ms for drill in self.drills for ms in drill.peers_ms)


class Figures:
    """What all runs of a session came to."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def by_kind(self) -> dict[str, list[Run]]:
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.audited:
                found.setdefault(run.kind, []).append(run)
        return found

    def summary(self) -> list[dict[str, Any]]:
        """Return one line a kind."""
        return [_summed(kind, runs) for kind, runs in self.by_kind().items()]

    def table(self) -> list[str]:
        """Return the lines as Markdown."""
        lines = [HEAD, "|---|---:|" + "---:|" * 7 + "---|---|"]
        for one in self.summary():
            cells = [
                one["kind"],
                "/".join(map(str, one["peers"])),
                *(one[name] for name in ("drills", "sent", "failed", "retried", "lost", "twice")),
                " to ".join(map(str, one["changes"])),
                _spread(one["gap_ms"], "p50", "p90", "p99", "max"),
                _spread(one["peers_ms"], "p50", "p99", "max") if any(one["changes"]) else "–",
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        if versions := sorted({run.kubernetes for run in self.runs} - {""}):
            lines.append(f"\nOn Kubernetes {', '.join(versions)}")
        for run in self.runs:
            if not run.audited:
                drills = f"{len(run.drills)} drills at {run.version}"
                lines.append(f"\nEnded early, not summed: {run.kind}, {drills}")
        return lines

    def read(self, folder: Path) -> None:
        """Put what a folder has from sessions before in front of this one's.

        Raises:
            ValueError: the folder's file is not one of ours.
        """
        file = folder / "figures.json"
        if not file.exists():
            return
        try:
            before = [_run(told) for told in json.loads(file.read_text())["runs"]]
        except (ValueError, KeyError, TypeError) as wrong:
            raise ValueError(f"{file} has no figures of drills; move it away: {wrong}") from None
        self.runs[:0] = before

    def told(self) -> list[dict[str, Any]]:
        """Return all runs, as `take` has them."""
        return [asdict(run) for run in self.runs]

    def take(self, told: list[dict[str, Any]]) -> None:
        """Put what another lane was told to these."""
        self.runs += map(_run, told)

    def write(self, folder: Path) -> None:
        """Leave everything in a folder, for people and for programs."""
        folder.mkdir(parents=True, exist_ok=True)
        told = {"summary": self.summary(), "runs": self.told()}
        (folder / "figures.json").write_text(json.dumps(told, indent=1) + "\n")
        (folder / "figures.md").write_text("\n".join(self.table()) + "\n")


def _run(told: dict[str, Any]) -> Run:
    return Run(**{**told, "drills": [Drill(**one) for one in told["drills"]]})


def _summed(kind: str, runs: list[Run]) -> dict[str, Any]:
    drills = [drill for run in runs for drill in run.drills]
    changes = [drill.changes for drill in drills]
    return {
        "kind": kind,
        "peers": sorted({run.peers for run in runs}),
        "drills": len(drills),
        **{name: sum(run.counts.get(name, 0) for run in runs) for name in COUNTED},
        "changes": sorted({min(changes, default=0), max(changes, default=0)}),
        "gap_ms": _shares(sorted(drill.gap_ms for drill in drills)),
        "peers_ms": _shares(sorted(ms for run in runs for ms in run.peers_ms())),
        "load_late_ms": max((run.late_ms for run in runs), default=0.0),
    }


def _shares(ordered: list[float]) -> dict[str, float]:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(ordered, share), 1) for name, share in shares.items()}


def _spread(found: dict[str, float], *names: str) -> str:
    return " · ".join(f"{found[name]:g}" for name in names)
