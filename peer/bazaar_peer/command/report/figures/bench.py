"""The lab report's plots, of our rings: request by request, without and with re-elections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from bazaar_peer.command.report import words
from bazaar_peer.command.report.bench_json import Bench, Ring, Run
from bazaar_peer.command.report.figures import lab, style

ORDER = "requests, in the order in which they were sent"


def name_of(ring: Ring, *, elections: bool) -> str:
    """Return what a picture and its file are called."""
    return f"{'elections' if elections else 'steady'}-{ring.peers}"


def pictures(bench: Bench) -> dict[str, style.Picture]:
    """Draw two pictures of each ring, or one if it was measured in peace alone."""
    drawings: dict[str, Callable[[bool], Figure | None]] = {}
    for ring in bench.rings:
        drawings[name_of(ring, elections=False)] = partial(draw, bench, ring, ring.steady)
        if ring.elections is not None:
            drawings[name_of(ring, elections=True)] = partial(draw, bench, ring, ring.elections)
    return style.pictures(drawings)


def draw(bench: Bench, ring: Ring, run: Run, narrow: bool) -> Figure:
    """Draw one run of a ring; both runs of it have the same scale."""
    with_them = run is ring.elections
    requests = words.count(len(run.latencies_ms), "request")
    how = f"{requests} of one buyer, in milliseconds as in the lab report."
    if with_them:
        how += " A line down: the trader is killed, and the request is sent."
    kind = f"{len(run.killed_at)} re-elections" if with_them else "no re-election"
    title = f"{words.count(ring.peers, 'peer')}, {kind}: mean {words.ms(run.mean_ms)}, "
    title += f"slowest {words.ms(run.max_ms)}"
    mean = f"this ring: mean {words.ms(run.mean_ms)}"
    shown = [lab.Run(mean, range(len(run.latencies_ms)), run.latencies_ms, run.mean_ms)]
    if ring.pyro4 is not None and not with_them:
        said = f"Pyro4 baseline: mean {words.ms(ring.pyro4.mean_ms)}"
        shown.append(lab.Run(said, (), (), ring.pyro4.mean_ms, style.PLANNED))
    both = [one for one in (ring.steady, ring.elections) if one is not None]
    return lab.draw(
        shown,
        ring.peers,
        style.Words(title, how, foot(bench)),
        ORDER,
        run.killed_at,
        (min(min(one.latencies_ms) for one in both), max(one.max_ms for one in both)),
        narrow=narrow,
    )


def foot(bench: Bench) -> str:
    command = words.shortened(bench.command, 150)
    return f"{command} · bazaar {words.shortened(bench.version, 20)} · {words.moment(bench.began)}"
