"""Figure 2: how long the ring was without a trader, as an empirical distribution."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bazaar_peer.command.report import words
from bazaar_peer.command.report.drill_json import Drill
from bazaar_peer.command.report.figures import style
from bazaar_peer.command.report.figures.requests import foot

FLOOR_MS = 0.01
LEVELS = (("p50", 0.5, 0.5), ("p90", 0.9, 0.87), ("p99", 0.99, 0.955), ("max", 1.0, 1.04))
"""Each figure, the height of its point, and the height of its words, which need room."""


def shares(drill: Drill, name: str) -> dict[str, float]:
    """Return a group's percentiles."""
    own = drill.spells_of(name)
    return {key: float(getattr(own, key)) for key, _ in words.SHARES}


def draw(drill: Drill, *, narrow: bool) -> Figure | None:
    """Draw it; None where no peer recorded an interregnum."""
    found = drill.spells
    if not found:
        return None
    figure, axes = style.sheet(_words(drill), 4.8 if narrow else 4.4, narrow=narrow)
    gaps = [fault.gap_ms for fault in drill.faults if fault.gap_ms is not None]
    every = [max(value, FLOOR_MS) for values in [*found.values(), gaps] for value in values]
    ratio = max(every) / min(every)
    left = ratio ** (0.75 if narrow else 0.25) * (3.0 if narrow else 1.6)
    right = 1.2 if len(found) == 1 else ratio ** (0.4 if narrow else 0.05) * 1.6
    axes.set_xlim(min(every) / left, max(every) * right)
    axes.set_ylim(0, 1.1)
    style.log_ms(axes, "x")
    if gaps:
        _steps(axes, gaps, style.MUTED, light=True)
    ordered = sorted(found, key=lambda name: words.percentile(found[name], 0.5))
    for place, name in enumerate(ordered):
        colour = style.PLANNED if name == "planned" else style.UNPLANNED
        _steps(axes, found[name], colour)
        _figures(axes, shares(drill, name), found[name], colour, left=not place)
        x = max(words.percentile(found[name], 0.47 if place else 0.37), FLOOR_MS)
        said = f"{name}, {len(found[name]):,}"
        _say(axes, x, 0.42, said, colour, left=not place, bold=True)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("time from the loss of a trader, logarithmic", loc="left")
    return figure


def _words(drill: Drill) -> style.Words:
    parts = []
    for name, values in sorted(drill.spells.items()):
        own = shares(drill, name)
        parts.append(
            f"{words.count(len(values), f'{name} interregnum', f'{name} interregna')}: "
            f"half within {words.ms(own['p50'])}, all within {words.ms(own['max'])}"
        )
    how = "The share of interregna that were over by then; an interregnum ends with the next reign."
    if any(fault.gap_ms is not None for fault in drill.faults):
        how += " Dashed: the longest wait between two answers."
    return style.Words("; ".join(parts), how, foot(drill))


def _steps(axes: Axes, values: list[float], colour: str, *, light: bool = False) -> None:
    ordered = sorted(max(value, FLOOR_MS) for value in values)
    low, high = axes.get_xlim()
    axes.step(
        [low, *ordered, high],
        [0.0, *((place + 1) / len(ordered) for place in range(len(ordered))), 1.0],
        where="post",
        color=colour,
        linewidth=1.2 if light else 2.2,
        linestyle=(0, (4, 2)) if light else "-",
        zorder=2 if light else 3,
    )


def _figures(
    axes: Axes, own: dict[str, float], values: list[float], colour: str, *, left: bool
) -> None:
    """Write a curve's figures beside it, on the side where no other curve lies."""
    side = min if left else max
    for key, height, level in LEVELS:
        beside = words.percentile(values, min(max(level + (-0.05 if left else 0.05), 0.0), 1.0))
        x = max(side(own[key], beside), FLOOR_MS)
        axes.plot([max(own[key], FLOOR_MS)], [height], "o", markersize=5, color=colour, zorder=4)
        _say(axes, x, level, f"{key}  {words.ms(own[key])}", colour, left=left)


def _say(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    colour: str,
    *,
    left: bool = False,
    bold: bool = False,
) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(-9 if left else 9, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        size=9,
        color=colour,
        weight="bold" if bold else "normal",
        path_effects=style.halo(),
        zorder=5,
    )
