"""Drills under load: what is done, what the client saw of it, and the proof that nothing was lost.

    with drilling(ring, figures, "crash") as drills:
        for _ in drills.rounds():
            seat = ring.seat()
            with drills.one():
                seat.node.kill(seat.pid)

A drill ends when the ring has settled again. At the end of them all the load is stopped, the ring
audited, and each drill gets the gaps and the changes of trader that fell into its time.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bazaar_peer.command.elections import Elections
from bazaar_peer.runtime.logs import parse
from tests.e2e.figures import Drill, Figures, Run
from tests.e2e.load import Load
from tests.e2e.ring import Ring, now
from tests.e2e.tools import attempt

SHORT = 3
FULL = 100
"""Rounds of `make e2e-full`."""
NOTICE_S = 0.3
"""A gap may begin so long before the moment that the test notes: the last answer before it."""
TOLD = ("p50_ms", "p90_ms", "p99_ms", "max_ms", "longest_gap_ms")


def rounds() -> int:
    """Return how often a drill is done: by E2E_DRILLS, or by how much was asked for."""
    if given := os.environ.get("E2E_DRILLS"):
        return int(given)
    return FULL if os.environ.get("E2E_FULL") else SHORT


class Drills:
    """A load, and what is done meanwhile."""

    def __init__(self, ring: Ring, kind: str, peers: int) -> None:
        on = ring.cluster.version()
        self.ring, self.run = ring, Run(kind, peers, version=_version(), kubernetes=on)
        self.load = Load(ring.cluster, ring.namespace, ring.name)
        self.count = rounds()
        self.last: Drill | None = None

    def rounds(self) -> Iterator[int]:
        """Yield the numbers of the rounds, and say on standard error where we are."""
        for number in range(self.count):
            yield number
            if sys.stderr.isatty() or (number + 1) % 10 == 0:
                sys.stderr.write(f"\n{self.run.kind}: {number + 1} of {self.count}\n")

    @contextlib.contextmanager
    def one(self, *, settle_s: float = 120.0) -> Iterator[Drill]:
        """Note when it begins, and when the ring has settled again."""
        drill = Drill(now())
        yield drill
        self.ring.wait_settled(settle_s)
        drill.ended = now()
        self.run.drills.append(drill)

    def idle(self, seconds: float) -> None:
        """Let time go by while something is stopped or cut off: it is the drill."""
        time.sleep(seconds)

    def finish(self) -> None:
        """Stop the load, audit the ring, and take the figures."""
        told = self.load.stop()
        self.ring.wait_settled()
        code, said = self.load.verify()
        assert code in {0, 1}, f"the ring could not be audited: {said}"
        self._take(told, said)
        assert code == 0, f"bazaar verify found violations: {said}"

    def _take(self, told: dict[str, Any], said: str) -> None:
        run, flat = self.run, " ".join(said.split())
        run.counts = {n: int(told[n]) for n in ("sent", "acknowledged", "failed", "retried")}
        run.counts["lost"] = flat.count("was acknowledged and is in no journal")
        run.counts["twice"] = flat.count("and again at") + flat.count("took effect 2 times")
        run.answers, run.late_ms = told["answers"], told["late_ms"]
        run.latency_ms = {name: told[name] for name in TOLD}
        events = events_of(self.ring)
        run.halted = [event["reason"] for event in events if event.get("event") == "halted"]
        begins, ms_of = reigns(events)
        for drill in run.drills:
            drill.gap_ms = _longest_gap(drill, told["gaps"])
            meanwhile = [e for e, at in begins.items() if drill.began <= at <= drill.ended]
            drill.changes = len(meanwhile)
            drill.peers_ms = [ms_of[epoch] for epoch in meanwhile if epoch in ms_of]
        run.audited = True


def _version() -> str:
    return attempt("git", "describe", "--always", "--dirty=+", "--exclude=*").stdout.strip()


def _longest_gap(drill: Drill, gaps: list[dict[str, float]]) -> float:
    return max(
        (
            gap["ms"]
            for gap in gaps
            if gap["began"] <= drill.ended
            and gap["began"] + gap["ms"] / 1e3 >= drill.began
            and gap["began"] >= drill.began - NOTICE_S
        ),
        default=0.0,
    )


def reigns(events: list[dict[str, str]]) -> tuple[dict[int, float], dict[int, float]]:
    """Return by epoch when a reign began, and how long the change took by the peers' own logs."""
    began = [event for event in events if event.get("event") == "reign_begun"]
    elections = Elections([])
    elections.take(events)
    return (
        {int(event["epoch"]): _wall(event["time"]) for event in began},
        {int(one["epoch"]): float(one["ms"]) for one in elections.found},
    )


def events_of(ring: Ring) -> list[dict[str, str]]:
    """Return all that the ring's peers have logged, pods that are gone included."""
    found: list[dict[str, str]] = []
    for node in ring.cluster.nodes:
        for name, log in node.kept_logs(ring.namespace).items():
            if name.rpartition("_")[0].rpartition("-")[0] == ring.name and "@peer@" in name:
                lines = (line.split(" ", 3) for line in log.splitlines())
                found += [parse(line[3]) for line in lines if len(line) == 4]
    return [event for event in found if event]


def _wall(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@contextlib.contextmanager
def drilling(
    ring: Ring,
    figures: Figures,
    kind: str,
    *,
    failed_max: int = 0,
    gap_p99_ms: float = 0.0,
    peers_p99_ms: float = 0.0,
    changes: int | None = None,
) -> Iterator[Drills]:
    """Put a ring that has settled under load, drill it, and hold the figures against bounds."""
    ring.wait_settled()
    drills = Drills(ring, kind, int(ring.get()["spec"]["peers"]))
    drills.load.start()
    try:
        yield drills
        drills.finish()
    finally:
        figures.runs.append(drills.run)
    run = drills.run
    # A peer halts where it finds a bug of its own; started again at once, it would go unnoticed.
    assert run.halted == []
    assert run.counts["lost"] == run.counts["twice"] == 0, run
    assert run.counts["failed"] <= failed_max, f"{run.counts} {run.answers}"
    if gap_p99_ms:
        assert run.gaps()[int(0.99 * len(run.drills))] <= gap_p99_ms, run.gaps()
    if peers_p99_ms:
        assert run.peers_ms(), f"no change of trader stands in the peers' logs: {run.drills}"
        assert run.peers_ms()[int(0.99 * len(run.peers_ms()))] <= peers_p99_ms, run.peers_ms()
    if changes is not None:
        assert {drill.changes for drill in run.drills} == {changes}, run.drills
    drills.ring.kubectl("delete", "pod", drills.load.pod, "--now")
