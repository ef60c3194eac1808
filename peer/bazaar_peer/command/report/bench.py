"""What the report of `bazaar bench` says in words."""

from __future__ import annotations

from bazaar_peer.command.report import lab, words
from bazaar_peer.command.report.bench_json import Bench, Ring, Run
from bazaar_peer.command.report.page import Tile, table

THEIRS = "The lab report that this system comes from measured on its authors' machine, in its day."
PYRO4 = (
    "The Pyro4 baseline is the lab report's design, written cleanly, on this machine. It syncs a "
    "trade to one disk; a ring syncs it to a majority of its disks."
)


def verdict(bench: Bench) -> str:
    """Return the one sentence that stands on top; the rings are audited before they get here."""
    return f"{'; '.join(_beside(ring) for ring in bench.rings)}."


def _beside(ring: Ring) -> str:
    said = f"{words.count(ring.peers, 'peer')}: {words.ms(ring.steady.mean_ms)} a request"
    theirs = lab.REPORT_MS.get(ring.peers)
    return said if theirs is None else f"{said}, where the lab report has {words.ms(theirs)}"


def sentences(bench: Bench) -> list[str]:
    requests = len(bench.rings[0].steady.latencies_ms)
    found = [
        f"{words.count(requests, 'request')} a run, of one buyer, each sent after the one before "
        "was answered. Every order is on the disks of a majority when it is answered, and each was "
        "done exactly once.",
        THEIRS,
    ]
    hit = [ms for ring in bench.rings if ring.elections for ms in ring.elections.hit_ms]
    if hit:
        found.insert(
            1, f"A request that met the death of the trader took {words.ms(max(hit))} at most."
        )
    if any(ring.pyro4 is not None for ring in bench.rings):
        found.append(PYRO4)
    return found


def tiles(bench: Bench) -> list[Tile]:
    found: list[Tile] = []
    for ring in bench.rings:
        found.append(Tile(words.ms(ring.steady.mean_ms), f"mean, {ring.peers} peers"))
        if ring.elections is not None:
            kills = len(ring.elections.killed_at)
            found.append(
                Tile(words.ms(ring.elections.mean_ms), f"mean, {ring.peers} peers, {kills} kills")
            )
    return found


def about_steady(ring: Ring) -> list[str]:
    found = [f"Without re-elections: {_figures(ring.steady)}."]
    theirs = lab.REPORT_MS.get(ring.peers)
    if theirs is not None:
        ratio = words.times(theirs / ring.steady.mean_ms)
        found.append(f"The lab report's mean is {words.ms(theirs)}: {ratio} as much.")
    if ring.pyro4 is not None:
        own = ring.pyro4
        found.append(
            f"The Pyro4 baseline: mean {words.ms(own.mean_ms)}, p50 {words.ms(own.p50_ms)}, "
            f"p99 {words.ms(own.p99_ms)}, max {words.ms(own.max_ms)}."
        )
    return found


def about_elections(run: Run) -> list[str]:
    hit = run.hit_ms
    found = [f"With re-elections: {_figures(run)}."]
    if hit:
        found.append(
            f"The trader was killed {words.count(len(hit), 'time')}, each time just before a "
            f"request was sent. Those requests took {words.ms(min(hit))} to {words.ms(max(hit))}; "
            "none failed."
        )
    return found


def _figures(run: Run) -> str:
    shown = ("mean", "p50", "p90", "p99", "max")
    return ", ".join(f"{name} {words.ms(getattr(run, f'{name}_ms'))}" for name in shown)


def figures(bench: Bench) -> str:
    """Return a table of all runs."""
    rows: list[tuple[str, ...]] = []
    for ring in bench.rings:
        rows.append((f"{ring.peers}", "without re-elections", *_cells(ring.steady)))
        if ring.elections is not None:
            kills = words.count(len(ring.elections.killed_at), "re-election")
            rows.append((f"{ring.peers}", f"with {kills}", *_cells(ring.elections)))
        if ring.pyro4 is not None:
            own = ring.pyro4
            shown = (own.mean_ms, own.p50_ms, None, own.p99_ms, own.max_ms)
            rows.append((f"{ring.peers}", "Pyro4 baseline", *(words.ms(ms, "–") for ms in shown)))
        if ring.peers in lab.REPORT_MS:
            mean = words.ms(lab.REPORT_MS[ring.peers])
            rows.append((f"{ring.peers}", "lab report", mean, *("–",) * 4))
    return table(("peers", "run", "mean", "p50", "p90", "p99", "max"), rows, left={"run"})


def _cells(run: Run) -> tuple[str, ...]:
    shown = (run.mean_ms, run.p50_ms, run.p90_ms, run.p99_ms, run.max_ms)
    return tuple(words.ms(ms) for ms in shown)
