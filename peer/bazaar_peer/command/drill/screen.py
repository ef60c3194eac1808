"""What a person sees of a drill: a bar while it goes on, or plain lines, and a table at the end."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bazaar_peer.command.drill.figures import Fault
from bazaar_peer.command.drill.plan import Kind, Options
from bazaar_peer.command.drill.verdict import Verdict

WHAT = {
    Kind.CRASH: "peer {} was killed",
    Kind.RESIGN: "peer {} was asked to go",
    Kind.PAUSE: "peer {} stood still",
    Kind.CUT: "peer {} was cut off",
    Kind.FOLLOWER: "peer {} was killed, a follower",
    Kind.DRAIN: "the node of peer {} was drained",
}


DELETED = {
    Kind.CRASH: "the pod of peer {} was deleted by force",
    Kind.FOLLOWER: "the pod of peer {}, a follower, was deleted by force",
}


def sentence(fault: Fault, options: Options) -> str:
    """Return what a fault came to."""
    what = DELETED if options.forced else WHAT
    done = what[fault.kind].format(fault.victim)
    if fault.epoch_after == fault.epoch_before:
        return f"{done}; peer {fault.trader_after} trades on"
    cost, next_ = fault.cost, f"peer {fault.trader_after} trades in epoch {fault.epoch_after}"
    if cost.longest_ms is None or cost.total_ms is None:
        return f"{done}; {next_}"
    if cost.reigns > 1:
        return (
            f"{done}; {next_}, and {cost.reigns} reigns began before the ring had settled: "
            f"no trader for {cost.longest_ms:.1f} ms, {cost.total_ms:.1f} ms in all"
        )
    how = "by hand-over" if fault.planned else "by election"
    said = f", {how}" if fault.planned is not fault.kind.planned else ""
    return f"{done}; {next_} after {cost.longest_ms:.1f} ms{said}"


class Terminal:
    """Standard error: a bar where it is a terminal, else a line for each thing."""

    def __init__(self, options: Options) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._options, self._times, self._done = options, options.times, 0
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (
                *(TextColumn(options.word), BarColumn(), MofNCompleteColumn()),
                *(TimeElapsedColumn(), TextColumn("{task.description}")),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=options.times)

    def __enter__(self) -> Terminal:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_wrong: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True, markup=False)

    def loaded(self, told: str) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=told)

    def done(self, fault: Fault) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
        self.say(f"{self._done} of {self._times}: {sentence(fault, self._options)}")


def table(drill: dict[str, Any]) -> Table:
    """Return the figures of a drill."""
    made = Table(box=None, header_style="bold")
    made.add_column(f"{drill['kind']}, {len(drill['faults'])} times", justify="left")
    for column in ("p50", "p90", "p99", "max"):
        made.add_column(column, justify="right")
    causes = drill["interregnum_by_cause_ms"]
    spells = {"no trader, by the peers' own count": drill["interregnum_ms"]}
    if len(causes) > 1:
        spells = {f"no trader, {cause}": found for cause, found in causes.items()}
    for name, found in {
        **spells,
        "no order answered round a fault": drill["gap_ms"],
        "one order, from its due moment on": drill["latency_ms"],
    }.items():
        made.add_row(name, *(_ms(found[share]) for share in ("p50", "p90", "p99", "max")))
    return made


def counts(drill: dict[str, Any]) -> str:
    """Return what became of the orders."""
    told = drill["counts"]
    audited = f"{drill['lost']} lost, {drill['twice']} doubled"
    if drill["unaudited"] is not None:
        audited = "nobody knows how many are lost or doubled"
    rejected = f"{told['rejected']} rejected, " if told["rejected"] else ""
    return (
        f"{told['sent']} requests sent, {told['acknowledged']} acknowledged, {told['failed']} "
        f"failed, {rejected}{told['retried']} took more than one attempt; {audited}; "
        f"slowest order {_ms(drill['latency_ms']['max'])}"
    )


def show(drill: dict[str, Any], verdict: Verdict) -> None:
    """Print the end of a drill on standard output."""
    console = Console(highlight=False)
    console.print(table(drill))
    for line in (counts(drill), *verdict.tolerated):
        console.print(line, soft_wrap=True, markup=False)
    style = "bold red" if verdict.wrong else "green"
    console.print(verdict.sentence(drill), style=style, soft_wrap=True, markup=False)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
