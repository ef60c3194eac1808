"""Draws a model: ring, numbers, latency, story, reigns and market; as large as the terminal is."""

from __future__ import annotations

import asyncio
import math
import time

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bazaar_peer.command.top.charts import P50, P99, bar, colour_of, latency_chart, shown_ms
from bazaar_peer.command.top.model import Model
from bazaar_peer.command.top.watch import Watcher
from bazaar_peer.command.views import clock_text

DRAW_S = 0.25
HEAD_ROWS, CHART_ROWS, STORY_ROWS, FRAME = 3, 8, 6, 2
REIGNS_SHOWN = 6
LACKS_COLUMNS, LACKS_MOST = 6, 4096


def screen(model: Model, now: float, width: int, height: int) -> RenderableType:
    """Return everything, for one moment; where there is little room, without the chart."""
    if not model.ring:
        return Text(model.problem or "connecting …")
    layout = Layout()
    layout.split_column(Layout(name="head", size=HEAD_ROWS), Layout(name="rest"))
    layout["rest"].split_row(Layout(name="left", ratio=3), Layout(name="right", ratio=2))
    rows = len(model.ring["peers"]) + 1 + FRAME
    left = [Layout(Panel(peers(model, now), title="ring"), size=rows)]
    if height >= HEAD_ROWS + rows + CHART_ROWS + STORY_ROWS:
        chart = latency_chart(model.samples, 3 * width // 5 - 2 * FRAME, CHART_ROWS - FRAME)
        title = f"latency: p50 {P50}  p99 {P99}"
        left.append(Layout(Panel(chart, title=title), size=CHART_ROWS))
    layout["left"].split_column(*left, Layout(Panel(story(model), title="story")))
    listed = min(len(model.reigns.seen), REIGNS_SHOWN) + 1 + FRAME
    layout["right"].split_column(
        Layout(Panel(reigns(model, now), title="reigns"), size=listed),
        Layout(Panel(market(model), title="market")),
    )
    layout["head"].update(Panel(head(model)))
    return layout


def head(model: Model) -> Text:
    """Whether all is well, in one line."""
    ring, latency = model.ring, model.latency
    trader = ring["trader"]
    parts = [
        ("no trader", "bold red") if trader < 0 else (f"trader {trader}", "bold green"),
        (f"epoch {ring['epoch']}", colour_of(ring["epoch"])),
        (f"{sum(bool(p['voter']) for p in ring['peers'])} of {ring['size']} vote", ""),
        (f"committed {ring['commit_index']}", ""),
        (f"{latency.per_s:.0f} answers/s", ""),
        (f"p50 {shown_ms(latency.p50_ms)}  p99 {shown_ms(latency.p99_ms)}", ""),
    ]
    if latency.failed_per_s:
        parts.append((f"{latency.failed_per_s:.1f} fail/s", "bold red"))
    if model.problem:
        parts.append((model.problem, "red"))
    joined = Text("   ").join(Text(words, style) for words, style in parts)
    joined.no_wrap = True
    return joined


def peers(model: Model, now: float) -> Table:
    table = Table(box=None, header_style="bold", expand=True)
    for column in ("peer", "role", "hears", "epoch", "lacks", "clock"):
        left = column in {"role", "lacks", "clock"}
        table.add_column(column, justify="left" if left else "right")
    commit = max((int(row["commit_index"]) for row in model.rows.values()), default=0)
    for member in sorted(model.ring["peers"], key=lambda each: int(each["id"])):
        peer = int(member["id"])
        row = model.rows.get(peer)
        name = f"{peer}.{member['incarnation']}" if member["incarnation"] else str(peer)
        if row is None or model.is_silent(peer, now):
            table.add_row(name, "silent", style="red")
            continue
        trades = row["trader"] == peer
        role = "trader" if trades else str(row["role"])
        table.add_row(
            name,
            role if member["voter"] else "learner",
            "nobody" if row["trader"] < 0 else str(row["trader"]),
            Text(str(row["epoch"]), colour_of(int(row["epoch"]))),
            lacks(max(0, commit - int(row["applied_index"]))),
            Text(clock_text(row["clock"]), no_wrap=True),
            style="bold" if trades else "",
        )
    return table


def lacks(entries: int) -> Text:
    """How far a peer is behind, as a bar and a number."""
    drawn = bar(entries, LACKS_MOST, LACKS_COLUMNS)
    return Text.assemble((f"{drawn:<{LACKS_COLUMNS}}", "red"), f" {entries}")


def reigns(model: Model, now: float) -> Table:
    """Who traded, the newest first; and how long nobody did before."""
    table = Table(box=None, header_style="bold", expand=True, pad_edge=False)
    for column in ("epoch", "trader", "began", "no trader"):
        table.add_column(column, justify="right", no_wrap=True)
    for reign in list(reversed(model.reigns.seen))[:REIGNS_SHOWN]:
        ago = f"{now - reign.seen_at:.0f} s ago"
        spell = "" if reign.spell_ms is None else shown_ms(reign.spell_ms)
        table.add_row(
            Text(str(reign.epoch), colour_of(reign.epoch)),
            str(reign.trader),
            f"> {ago}" if reign.is_first else ago,
            f"planned, {spell}" if reign.is_planned else spell,
        )
    return table


def story(model: Model) -> Text:
    """The newest sentences, the newest first: that is where one looks."""
    lines = [Text.from_markup(line.text()) for line in reversed(model.story.lines)]
    return Text("\n").join(lines) if lines else Text("nothing has happened so far", "dim")


def market(model: Model) -> RenderableType:
    stock = Table(box=None, header_style="bold", expand=True)
    stock.add_column("item")
    stock.add_column("on offer", justify="right")
    for item, found in sorted(model.stock.items()):
        stock.add_row(Text(item), str(found["on_offer"]))
    trades = Table(box=None, header_style="bold", expand=True)
    for column in ("trade", "buyer", "goods", "paid"):
        trades.add_column(column, justify="right" if column in {"trade", "paid"} else "left")
    for trade in reversed(model.trades):
        goods = Text(f"{trade['quantity']} {trade['item']}")
        trades.add_row(str(trade["index"]), Text(str(trade["buyer"])), goods, str(trade["paid"]))
    return Group(stock, Text(), trades)


async def run(url: str, duration_s: float | None) -> bool:
    """Draw until the time is over, or until somebody has seen enough; False: nobody answered."""
    model = Model([url.rstrip("/")])
    watcher, console = Watcher(model), Console()
    ends = math.inf if duration_s is None else time.monotonic() + duration_s
    alone = console.is_terminal
    with Live(console=console, screen=alone, auto_refresh=False, transient=alone) as live:
        async with watcher.watching():
            while time.monotonic() < ends:
                await asyncio.sleep(DRAW_S)
                if alone:
                    live.update(screen(model, time.monotonic(), *console.size), refresh=True)
        if not alone:
            live.update(screen(model, time.monotonic(), *console.size), refresh=True)
    return bool(model.ring)
