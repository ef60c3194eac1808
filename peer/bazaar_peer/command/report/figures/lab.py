"""Figure 4: latency over time, in the units of the lab report that this system comes from.

That report has two plots, one of 5 nodes and one of 6, and tells their means. So its means are
lines here, and ours are points with their own mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bazaar_peer.command.report import words
from bazaar_peer.command.report.figures import style
from bazaar_peer.command.report.lab import REPORT_MS

FLOOR_MS = 0.01


@dataclass(frozen=True)
class Run:
    """One run: what it is called, its points, and the figure that stands as a line."""

    said: str
    xs: Sequence[float]
    ms: Sequence[float]
    line: float
    colour: str = style.OK


def means(peers: int) -> dict[int, float]:
    """Return the means to show: that of so many peers, or both."""
    return {peers: REPORT_MS[peers]} if peers in REPORT_MS else dict(REPORT_MS)


def draw(
    runs: Sequence[Run],
    peers: int,
    said: style.Words,
    x_label: str,
    kills: Sequence[float] = (),
    also: Sequence[float] = (),
    *,
    narrow: bool,
) -> Figure:
    """Draw runs over time; the axis has room for the milliseconds of `also`, for a pair alike."""
    figure, axes = style.sheet(said, 4.8 if narrow else 4.6, narrow=narrow)
    shown = [value for one in runs for value in (one.line, *one.ms)]
    every = [max(value, FLOOR_MS) for value in (*shown, *also)]
    low, high = min(every) / 2, max(*every, *means(peers).values()) * 2.2
    end = max([x for one in runs for x in one.xs], default=1.0)
    axes.set_xlim(-0.01 * end, 1.01 * end or 1.0)
    axes.set_ylim(low, high)
    style.log_ms(axes)
    axes.set_xlabel(x_label, loc="left")
    for x in kills:
        axes.axvline(x, color=style.UNPLANNED, linewidth=1.0, alpha=0.5, zorder=1)
    for one in runs:
        many = len(one.ms) > style.RASTER_FROM
        axes.plot(
            one.xs,
            [max(value, FLOOR_MS) for value in one.ms],
            linestyle="",
            marker="o",
            markersize=2.2 if many else 3.0,
            alpha=0.4 if many else 0.65,
            color=one.colour,
            markeredgewidth=0,
            zorder=2,
            rasterized=many,
        )
    both = len(means(peers)) == 2
    lines = [
        (
            value,
            f"lab report{f', {nodes} nodes' if both else ''}: mean {words.ms(value)}",
            style.INK,
        )
        for nodes, value in means(peers).items()
    ]
    _lines(axes, lines)
    _lines(axes, [(one.line, one.said, one.colour) for one in runs])
    return figure


def _lines(axes: Axes, lines: Sequence[tuple[float, str, str]]) -> None:
    """Draw means with their names; of two, the lower one has its name below."""
    for place, (value, said, colour) in enumerate(sorted(lines)):
        below = place == 0 and len(lines) > 1
        halo = style.halo()
        axes.axhline(max(value, FLOOR_MS), color=colour, linewidth=1.8, zorder=4, path_effects=halo)
        axes.annotate(
            said,
            (1.0, max(value, FLOOR_MS)),
            xycoords=("axes fraction", "data"),
            xytext=(-4, -6 if below else 6),
            textcoords="offset points",
            ha="right",
            va="top" if below else "bottom",
            size=9,
            color=colour,
            weight="bold",
            bbox={"facecolor": style.PAPER, "alpha": 0.85, "linewidth": 0, "pad": 1.5},
            zorder=5,
        )
