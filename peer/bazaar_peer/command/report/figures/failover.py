"""Figure 3: one failover, event by event; a lane for each peer, a row for each event.

Time runs down. Rows are evenly apart, for events of one failover lie microseconds to seconds apart;
how long each step took stands in milliseconds between its rows, with a bar as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bazaar_peer.command.report import words
from bazaar_peer.command.report.drill_json import Drill, Mark, Timeline
from bazaar_peer.command.report.figures import style
from bazaar_peer.command.report.figures.requests import foot

ROWS_MAX = 60
ROW_IN = 0.31
LABEL_IN = 0.19
"""Width of a lane's label."""
HEAD_IN = 1.45
"""For words above and below the rows."""


@dataclass(frozen=True)
class Columns:
    """Where things stand, in inches from the left."""

    gap: float
    bar: float
    bar_most: float
    lane: float
    step: float
    when: float
    said: float
    letters: int

    @classmethod
    def of(cls, lanes: int, *, narrow: bool) -> Columns:
        gap, bar_most = (0.68, 0.22) if narrow else (0.85, 1.9)
        step = min(0.17, 1.05 / lanes) if narrow else min(0.55, 3.4 / lanes)
        lane = gap + bar_most + (0.18 if narrow else 0.4)
        when = lane + step * (lanes - 1) + (0.7 if narrow else 0.95)
        said = when + (0.12 if narrow else 0.2)
        width = style.NARROW_IN if narrow else style.WIDE_IN
        return cls(gap, gap + 0.07, bar_most, lane, step, when, said, int((width - said) / 0.084))


def rows(timeline: Timeline) -> list[Mark]:
    """Return the marks in order of time; the last ones are left out where they are too many."""
    return sorted(timeline.marks, key=lambda mark: mark.ms)[:ROWS_MAX]


def lanes(timeline: Timeline) -> list[int]:
    return sorted({*timeline.lanes, *(mark.peer for mark in timeline.marks)})


def draw(drill: Drill, *, narrow: bool) -> Figure | None:
    """Draw it; None where the drill kept no record of a failover."""
    if drill.timeline is None or not drill.timeline.marks:
        return None
    marks, order = rows(drill.timeline), lanes(drill.timeline)
    height = HEAD_IN + ROW_IN * (len(marks) + 0.6)
    figure, axes = style.sheet(_words(drill, drill.timeline), height, narrow=narrow)
    width = figure.get_figwidth()
    box = axes.get_position()
    axes.set_position((0, box.y0 - 0.45 / height, 1, box.height + 0.45 / height))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(len(marks) - 0.4, -1.1)
    columns = Columns.of(len(order), narrow=narrow)
    places = {peer: columns.lane + place * columns.step for place, peer in enumerate(order)}
    every = -(-LABEL_IN // columns.step)
    for place, (peer, x) in enumerate(places.items()):
        axes.plot([x, x], [-0.5, len(marks) - 0.5], color=style.GRID, linewidth=1.2, zorder=1)
        if place % every == 0:
            axes.text(x, -0.75, str(peer), ha="center", size=8.5, color=style.MUTED, weight="bold")
    axes.text(columns.gap, -0.75, "took", ha="right", size=8.5, color=style.MUTED)
    axes.text(columns.when, -0.75, "at", ha="right", size=8.5, color=style.MUTED)
    axes.text(columns.said, -0.75, "what", size=8.5, color=style.MUTED)
    _gaps(axes, marks, columns)
    _marks(axes, marks, columns, places)
    return figure


def _words(drill: Drill, timeline: Timeline) -> style.Words:
    marks = rows(timeline)
    title = f"Fault {timeline.fault}, step by step: {words.ms(marks[-1].ms - marks[0].ms)}"
    title += f" from “{marks[0].what}” to “{marks[-1].what}”"
    how = "Time runs down, a lane for each peer; 0 is the injection."
    left_out = len(timeline.marks) - len(marks)
    how += f" {words.count(left_out, 'later event')} left out." if left_out else ""
    return style.Words(words.shortened(title, 140), how, foot(drill))


def _gaps(axes: Axes, marks: list[Mark], columns: Columns) -> None:
    took = [after.ms - before.ms for before, after in pairwise(marks)]
    most = max(took, default=0.0) or 1.0
    for row, gap in enumerate(took):
        axes.text(
            columns.gap,
            row + 0.5,
            words.ms(gap),
            ha="right",
            va="center",
            size=8.5,
            color=style.INK if gap >= most / 10 else style.MUTED,
        )
        axes.barh(
            row + 0.5,
            max(gap / most * columns.bar_most, 0.012),
            left=columns.bar,
            height=0.42,
            color=style.OK,
            alpha=0.75,
            linewidth=0,
        )


def _marks(axes: Axes, marks: list[Mark], columns: Columns, places: dict[int, float]) -> None:
    axes.plot(
        [places[mark.peer] for mark in marks],
        range(len(marks)),
        color=style.MUTED,
        linewidth=0.9,
        linestyle=(0, (1, 1.5)),
        zorder=2,
    )
    for row, mark in enumerate(marks):
        colour = _colour(mark.what)
        x = places[mark.peer]
        axes.plot([x, max(places.values()) + 0.12], [row, row], color=style.GRID, linewidth=0.8)
        axes.plot([x], [row], "o", markersize=7, color=colour, zorder=3)
        when = words.signed_ms(mark.ms)
        axes.text(columns.when, row, when, ha="right", va="center", size=8.5, color=style.MUTED)
        said = words.shortened(mark.what, columns.letters)
        axes.text(columns.said, row, said, va="center", size=9, color=colour)


def _colour(what: str) -> str:
    if "trade" in what:
        return style.OK
    return style.UNPLANNED if "loss" in what or "noticed" in what else style.INK
