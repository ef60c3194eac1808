"""The four pictures of a drill."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from bazaar_peer.command.report import words
from bazaar_peer.command.report.drill_json import Drill
from bazaar_peer.command.report.figures import failover, interregna, lab, requests, style


def latency(drill: Drill, *, narrow: bool) -> Figure | None:
    """Draw what was done; beside the lab report's mean stands ours, or else our median."""
    orders = [order for order in drill.orders if order.outcome == "ok"]
    own = drill.mean_ms if drill.mean_ms is not None else drill.latency_ms.p50
    if not orders or own is None:
        return None
    kind = "mean" if drill.mean_ms is not None else "median"
    told = words.listed(words.ms(value) for value in lab.means(drill.peers).values())
    title = f"{kind.capitalize()} {words.ms(own)}; the lab report's mean: {told}"
    how = "Latency of what was done, faults included. The lab report is of another machine."
    run = lab.Run(
        f"this drill: {kind} {words.ms(own)}",
        [order.due_s for order in orders],
        [order.latency_ms for order in orders],
        own,
    )
    said = style.Words(title, how, requests.foot(drill))
    return lab.draw([run], drill.peers, said, "seconds since the drill began", narrow=narrow)


DRAWN: dict[str, Callable[..., Figure | None]] = {
    "requests": requests.draw,
    "interregna": interregna.draw,
    "failover": failover.draw,
    "latency": latency,
}


def pictures(drill: Drill) -> dict[str, style.Picture]:
    """Draw all that the drill has figures for."""
    return style.pictures({name: _of(draw, drill) for name, draw in DRAWN.items()})


def _of(draw: Callable[..., Figure | None], drill: Drill) -> Callable[[bool], Figure | None]:
    return lambda narrow: draw(drill, narrow=narrow)
