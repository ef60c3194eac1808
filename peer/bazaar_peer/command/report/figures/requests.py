"""Figure 1: every request a point, each fault a band from injection to the first trade after it."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bazaar_peer.command.report import words
from bazaar_peer.command.report.drill_json import Drill, Order
from bazaar_peer.command.report.figures import style

COLOURS = {"ok": style.OK, "rejected": style.REJECTED, "unknown": style.UNKNOWN}
SAID = {"ok": "done", "rejected": "rejected", "unknown": "no answer in time"}
ROW_IN, ASKED_IN = 0.2, 0.78
"""Height of a row of the legend, and width of its words before the shapes."""
NARROWEST = 0.002
"""A band has at least this share of the width, or nobody would see it."""
NUMBERS_MAX = {False: 34, True: 13}
FLOOR_MS = 0.01
"""A logarithmic axis has no zero."""


def draw(drill: Drill, *, narrow: bool) -> Figure:
    top = _legend_in(drill, narrow=narrow)
    figure, axes = style.sheet(_words(drill), 4.8 + top, narrow=narrow, top=top)
    seconds = max([drill.seconds, *(order.due_s for order in drill.orders)])
    axes.set_xlim(-0.01 * seconds, 1.01 * seconds or 1.0)
    _faults(axes, drill, seconds, narrow=narrow)
    _points(axes, drill)
    latencies = [max(order.latency_ms, FLOOR_MS) for order in drill.orders] or [1.0]
    room = (max(latencies) / min(latencies)) ** 0.2 * 1.3  # for the faults' numbers, and words
    axes.set_ylim(min(latencies) / 1.4, max(latencies) * room)
    style.log_ms(axes)
    axes.set_xlabel("seconds since the drill began", loc="left")
    _slowest(axes, drill, seconds)
    _legend(axes, drill, narrow=narrow)
    return figure


def _words(drill: Drill) -> style.Words:
    shown, all_of = len(drill.orders), drill.orders_sampled_of
    title = f"{words.count(all_of, 'request')}, {words.count(len(drill.faults), 'fault')}"
    slowest = drill.slowest
    if slowest is not None and slowest.outcome == "ok":
        title += f": the slowest took {words.ms(slowest.latency_ms)}"
    if drill.counts.failed:
        title += f"; {drill.counts.failed:,} answered by nobody in time"
    how = "Each point is a request: when it was due, and how long it took from then on."
    how += f" Drawn: {shown:,} of {all_of:,}, the slowest among them." if shown < all_of else ""
    return style.Words(title, how, foot(drill))


def foot(drill: Drill) -> str:
    """Return where a picture is from."""
    command = words.shortened(drill.command, 150)
    return f"{command} · bazaar {words.shortened(drill.version, 20)} · {words.moment(drill.began)}"


def _faults(axes: Axes, drill: Drill, seconds: float, *, narrow: bool) -> None:
    every = -(-len(drill.faults) // NUMBERS_MAX[narrow])
    last = -seconds
    for place, fault in enumerate(drill.faults):
        end = fault.first_ok if fault.first_ok is not None else seconds
        end = max(end, fault.at + NARROWEST * seconds)
        colour = style.PLANNED if fault.planned else style.UNPLANNED
        axes.axvspan(
            fault.at,
            end,
            color=colour,
            alpha=0.45 if len(drill.faults) <= 40 else 0.3,
            linewidth=0,
            zorder=0.6,
        )
        room = fault.at - last > seconds / (1.6 * NUMBERS_MAX[narrow])
        if place % every == 0 and room:
            last = fault.at
            axes.annotate(
                str(fault.number),
                (fault.at, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, -2),
                textcoords="offset points",
                ha="center",
                va="top",
                size=8,
                color=colour,
                weight="bold",
                path_effects=style.halo(),
            )


def _points(axes: Axes, drill: Drill) -> None:
    many = len(drill.orders)
    size = 22.0 if many <= 400 else 13.0 if many <= 3000 else 6.0
    groups: dict[tuple[str, int], list[Order]] = {}
    for order in drill.orders:
        shape = max(order.peer, 0) % len(style.MARKERS)
        groups.setdefault((order.outcome, shape), []).append(order)
    for (outcome, shape), orders in groups.items():
        good = outcome == "ok"
        axes.scatter(
            [order.due_s for order in orders],
            [max(order.latency_ms, FLOOR_MS) for order in orders],
            marker=style.MARKERS[shape],
            s=size if good else max(2 * size, 16.0),
            color=COLOURS[outcome],
            alpha=(0.75 if many <= 3000 else 0.45) if good else 0.95,
            linewidths=0,
            zorder=2 if good else 3,
            rasterized=many > style.RASTER_FROM,
            label=f"{outcome}-{shape}",
        )


def _slowest(axes: Axes, drill: Drill, seconds: float) -> None:
    slowest = drill.slowest
    if slowest is None:
        axes.text(0.5, 0.5, "no request was sent", transform=axes.transAxes, ha="center")
        return
    # It begins, is centred or ends near its point, so that it stays in the picture.
    side = min(int(3 * slowest.due_s / seconds), 2) if seconds else 1
    said = f"slowest: {words.ms(slowest.latency_ms)}, at {slowest.due_s:,.1f} s"
    said += f", peer {slowest.peer}" if slowest.peer >= 0 else ""
    axes.annotate(
        said,
        (slowest.due_s, max(slowest.latency_ms, FLOOR_MS)),
        xytext=((14, 0, -14)[side], 15),
        textcoords="offset points",
        ha=("left", "center", "right")[side],
        va="center",
        size=9,
        path_effects=style.halo(),
        zorder=5,
        arrowprops={"arrowstyle": "-", "color": style.INK, "linewidth": 0.8, "shrinkB": 3},
    )


def _colours(drill: Drill) -> list[Line2D | Patch]:
    found: list[Line2D | Patch] = [
        _dot("o", COLOURS[name], SAID[name])
        for name in COLOURS
        if any(order.outcome == name for order in drill.orders)
    ]
    for planned in sorted({fault.planned for fault in drill.faults}):
        word, colour = ("planned", style.PLANNED) if planned else ("fault", style.UNPLANNED)
        said = f"{word}, until the first trade"
        found.append(Patch(color=colour, alpha=0.45, linewidth=0, label=said))
    return found


def _shapes(drill: Drill) -> list[Line2D | Patch]:
    """Return what each shape says; nothing where a Service chose who was asked."""
    peers: dict[int, list[int]] = {}
    for peer in sorted({order.peer for order in drill.orders if order.peer >= 0}):
        peers.setdefault(peer % len(style.MARKERS), []).append(peer)
    return [
        _dot(style.MARKERS[shape], style.MUTED, ", ".join(map(str, found)))
        for shape, found in peers.items()
    ]


def _dot(marker: str, colour: str, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        marker=marker,
        linestyle="",
        markersize=5.5,
        color=colour,
        markeredgewidth=0,
        label=label,
    )


def _legend(axes: Axes, drill: Drill, *, narrow: bool) -> None:
    """Write above the axes what colours mean, and below that what shapes mean."""
    columns = _columns(drill, narrow=narrow)
    shapes = _shapes(drill)
    rows = -(-len(shapes) // columns[1])
    style.legend(axes, _colours(drill), columns[0], 0.0, 0.08 + ROW_IN * rows)
    if shapes:
        style.legend(axes, shapes, columns[1], ASKED_IN, 0.08)
        axes.annotate(
            "peer asked:",
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 72 * (0.08 + ROW_IN * (rows - 0.5) - 0.03)),
            textcoords="offset points",
            va="center",
            size=8.5,
            color=style.MUTED,
        )


def _columns(drill: Drill, *, narrow: bool) -> tuple[int, int]:
    """Return how many colours and how many shapes go into a row of the legend."""
    if not narrow:
        return 5, len(style.MARKERS)
    return 2, 3 if drill.peers > len(style.MARKERS) else len(style.MARKERS)


def _legend_in(drill: Drill, *, narrow: bool) -> float:
    """Return the height that the legend needs, in inches."""
    columns = _columns(drill, narrow=narrow)
    entries = len(_colours(drill)), len(_shapes(drill))
    rows = sum(-(-count // most) for count, most in zip(entries, columns, strict=True))
    return 0.16 + ROW_IN * rows
