"""What a person sees of an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from bazaar_peer.command.audit import Report

View: TypeAlias = Callable[[dict[str, Any]], None]
console = Console()


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold")
    for column in columns:
        left = column in {"item", "role", "name", "buyer", "seller", "url", "run"}
        table.add_column(column, justify="left" if left else "right")
    return table


def clock_text(clock: dict[str, int]) -> str:
    return " ".join(f"{part}:{ticks}" for part, ticks in sorted(clock.items()))


def ring(found: dict[str, Any]) -> None:
    trader = found["trader"]
    who = "no trader" if trader is None or trader < 0 else f"trader {trader}"
    console.print(f"{who}, epoch {found['epoch']}, committed up to {found['commit_index']}")
    if found.get("waits"):
        console.print(f"on its way to {found['size']} peers: {found['waits']}")
    table = _table("peer", "pid", "role", "trader", "epoch", "applied", "clock", "url")
    for peer in found["peers"]:
        lost = peer.get("suspected")
        table.add_row(
            f"{peer['id']}.{peer['incarnation']}" if peer.get("incarnation") else str(peer["id"]),
            str(peer.get("pid") or "-"),
            _role(peer) if not lost else "suspected",
            "-" if peer.get("trader") in (None, -1) else str(peer["trader"]),
            str(peer.get("epoch", "-")),
            str(peer.get("applied_index", "-")),
            clock_text(peer.get("clock") or {}),
            str(peer["url"]),
        )
    console.print(table)


def _role(peer: dict[str, Any]) -> str:
    return str(peer.get("role") or "-") if peer.get("voter", True) else "learner"


def outcome(found: dict[str, Any]) -> None:
    word = found["outcome"]
    if word == "filled":
        console.print(f"filled for {found['paid']} (journal index {found['index']})")
        for part in found["parts"]:
            console.print(
                f"  {part['quantity']} at {part['price']} from {part['seller']} (lot {part['lot']})"
            )
    else:
        lot = f", lot {found['lot']}" if "lot" in found else ""
        console.print(f"{word}{lot} (journal index {found['index']})")


def stock(found: dict[str, Any]) -> None:
    table = _table("item", "on offer", "lot", "seller", "quantity", "price")
    for item, offer in found["items"].items():
        for place, lot in enumerate(offer["lots"]):
            head = (item, str(offer["on_offer"])) if place == 0 else ("", "")
            table.add_row(
                *head, str(lot["lot"]), lot["seller"], str(lot["quantity"]), str(lot["price"])
            )
    console.print(table if table.row_count else "nothing is on offer")


def trades(found: dict[str, Any]) -> None:
    table = _table("index", "buyer", "item", "quantity", "paid")
    for trade in found["trades"]:
        table.add_row(
            str(trade["index"]),
            trade["buyer"],
            trade["item"],
            str(trade["quantity"]),
            str(trade["paid"]),
        )
    console.print(table if table.row_count else "no trades yet")


def accounts(found: dict[str, Any]) -> None:
    table = _table("name", "paid", "earned", "commission")
    for name, account in found["accounts"].items():
        table.add_row(
            name, str(account["paid"]), str(account["earned"]), str(account["commission"])
        )
    console.print(table if table.row_count else "nobody has traded yet")


def bench(found: dict[str, Any]) -> None:
    table = _table("peers", "run", "mean", "p50", "p99", "max", "lab report", "faster")
    for ring_ in found["rings"]:
        report = ring_["report_mean_ms"]
        beside = [f"{report:.0f}", f"{ring_['times_faster']} ×"] if report else ["-", "-"]
        table.add_row(*_run(ring_, "in peace", ring_), *beside)
        if "elections" in ring_:
            kills = ring_["elections"]["kills"]
            table.add_row(*_run(ring_, f"trader killed {kills} ×", ring_["elections"]))
        if "pyro4" in ring_:
            table.add_row(*_run(ring_, "Pyro4", ring_["pyro4"]))
    requests = found["rings"][0]["requests"]
    console.print(f"milliseconds a request; {requests:,} requests a run", highlight=False)
    console.print(table)


def _run(ring_: dict[str, Any], name: str, run: dict[str, Any]) -> list[str]:
    figures = [f"{run[key]:.2f}" for key in ("mean_ms", "p50_ms", "p99_ms", "max_ms")]
    return [str(ring_["peers"]), name, *figures]


def recovered(found: dict[str, Any]) -> None:
    console.print(
        f"ring {found['ring']} of {found['peers']} peers has taken the place of {found['former']}, "
        f"whose volumes are in {found['set_aside']}. `bazaar up` starts it.",
        highlight=False,
        soft_wrap=True,
    )


def backup(found: dict[str, Any]) -> None:
    """Show a backup, or what became of it."""
    if "folder" in found:
        said = (
            f"ring {found['ring']} of {found['peers']} peers begins with all that ring "
            f"{found['former']} had up to index {found['index']}. "
            f"`bazaar up --data {found['folder']}` starts it."
        )
    elif "outcome" in found:
        said = (
            f"backup {found['backup']} is there: the ring begins with all that ring "
            f"{found['ring']} had up to index {found['index']}."
        )
    else:
        said = (
            f"backup {found['backup']}: all that ring {found['ring']} had up to index "
            f"{found['index']} of epoch {found['epoch']}, {found['bytes']} bytes"
        )
    console.print(said, highlight=False, soft_wrap=True)


def audit(report: Report) -> None:
    for line in report.counted:
        console.print(line, highlight=False)
    for sentence in report.violations:
        console.print(f"VIOLATION: {sentence}", style="bold red", highlight=False)
    if report.omitted:
        more = f"and {report.omitted} more violations"
        console.print(more, style="bold red", highlight=False)
    if report.lost or report.twice:
        counts = f"{len(report.lost)} lost, {len(report.twice)} done more than once"
        console.print(counts, style="bold red", highlight=False)
    if not report.violations:
        console.print("no violation found", style="green")
