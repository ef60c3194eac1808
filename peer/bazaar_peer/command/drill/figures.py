"""What a drill came to, as drill.json has it: pure, from what was done and what the load has seen.

Times in it are seconds since the drill began, durations are milliseconds. Percentiles and gaps are
of all orders; of the orders themselves a sample is kept, in which the slowest are never missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from bazaar_peer import __version__
from bazaar_peer.command.drill.counting import Spell
from bazaar_peer.command.drill.place import Audit, Loaded
from bazaar_peer.command.drill.plan import Kind, Options
from bazaar_peer.command.orders import OK, REJECTED, Order
from bazaar_peer.command.tally import percentile
from bazaar_peer.record.merge import Told
from bazaar_peer.record.timeline import Done, timeline

FORMAT = 1
ORDERS_MAX, SLOWEST = 20_000, 1000
"""So many orders are kept, and so many of them are the slowest."""
REACH_S = 0.15
"""A gap that begins later behind a fault is another matter: a process that starts again takes half
a second of a core for its imports."""
DONE = {
    Kind.CRASH: "killed",
    Kind.FOLLOWER: "killed",
    Kind.RESIGN: "asked to go",
    Kind.PAUSE: "paused",
    Kind.CUT: "cut off",
    Kind.DRAIN: "its node drained",
}
NOT_AUDITED = "not audited"
DELETED = "its pod deleted by force"
VIOLATIONS_MAX, TOLD_MAX = 20, 8000
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One that was done; moments are those of the wall clock."""

    number: int
    kind: Kind
    victim: int
    began: float
    ended: float
    """When the process was gone, or went on."""
    epoch_before: int
    epoch_after: int
    trader_after: int
    cost: Spell
    """In time without a trader."""

    @property
    def interregnum_ms(self) -> float | None:
        """The longest; None: there was none, or nobody knows."""
        return self.cost.longest_ms

    @property
    def planned(self) -> bool:
        """Tell whether a hand-over began it, as far as anybody knows."""
        return self.kind.planned if self.cost.planned is None else self.cost.planned


@dataclass(frozen=True, kw_only=True)
class Drilled:
    """All that a drill has seen."""

    options: Options
    target: str
    peers: int
    began: float
    ended: float
    faults: Sequence[Fault]
    loaded: Loaded
    audit: Audit
    story: Sequence[Told] = ()
    """What the peers have kept of it, if they keep a record."""


def drill_json(drilled: Drilled) -> dict[str, Any]:
    """Return drill.json."""
    options, loaded, audit = drilled.options, drilled.loaded, drilled.audit
    answered = sorted(order.done for order in loaded.orders if order.outcome == OK)
    faults = [_fault(fault, drilled, answered) for fault in drilled.faults]
    began = datetime.fromtimestamp(drilled.began, UTC)
    return {
        "bazaar_drill": FORMAT,
        "version": __version__,
        "command": options.command,
        "began": began.isoformat(timespec="milliseconds"),
        "target": drilled.target,
        "peers": drilled.peers,
        "kind": options.word,
        "planned": options.kind.planned,
        "seconds": round(drilled.ended - drilled.began, 3),
        "orders": [_order(order, drilled) for order in sampled(loaded.orders)],
        "orders_sampled_of": len(loaded.orders),
        "faults": faults,
        "counts": _counts(loaded),
        **_audited(audit),
        "interregnum_ms": shares(_spells(drilled.faults)),
        "interregnum_by_cause_ms": {
            cause: shares(spells)
            for cause in ("planned", "unplanned")
            if (spells := _spells(drilled.faults, planned=cause == "planned"))
        },
        "gap_ms": shares(fault["gap_ms"] for fault in faults if fault["gap_ms"] is not None),
        "latency_ms": shares(order.latency_ms for order in loaded.orders if order.outcome == OK),
        "timeline": _timeline(drilled),
    }


def _spells(faults: Sequence[Fault], planned: bool | None = None) -> list[float]:
    """Return the interregna, or those of one cause: a hand-over may fall back to an election."""
    return [
        fault.interregnum_ms
        for fault in faults
        if fault.interregnum_ms is not None and planned in {None, fault.planned}
    ]


def _counts(loaded: Loaded) -> dict[str, int]:
    """Return what became of the orders, each in one count: a load has rejected ones in `failed`."""
    told = loaded.told
    rejected = sum(order.outcome == REJECTED for order in loaded.orders)
    return {
        **{name: told[name] for name in ("sent", "acknowledged", "retried")},
        "failed": told["failed"] - rejected,
        "rejected": rejected,
    }


def _timeline(drilled: Drilled) -> dict[str, Any] | None:
    """Return the middle one of the failovers, step by step."""
    told = [fault for fault in drilled.faults if fault.interregnum_ms is not None]
    told.sort(key=lambda fault: fault.interregnum_ms or 0.0)
    if not told or not drilled.story:
        return None
    fault = told[len(told) // 2]
    what = DELETED if drilled.options.forced else DONE[fault.kind]
    done = Done(fault.number, fault.began, fault.victim, what)
    return timeline(drilled.story, done, fault.epoch_after)


def _audited(audit: Audit) -> dict[str, Any]:
    """Return what the audit found; of one that could not be run nothing is known."""
    if audit.failed is not None:
        failed = audit.failed[-TOLD_MAX:] or "nobody said why"
        return {"lost": None, "twice": None, "verify": NOT_AUDITED, "unaudited": failed}
    more = len(audit.violations) - VIOLATIONS_MAX + audit.omitted
    told = "; ".join(audit.violations[:VIOLATIONS_MAX]) + (f"; and {more} more" if more > 0 else "")
    return {
        "lost": audit.lost,
        "twice": audit.twice,
        "verify": told[:TOLD_MAX] if audit.violations else "clean",
        "unaudited": None,
    }


def _order(order: Order, drilled: Drilled) -> list[float | str]:
    due, peer = round(order.due - drilled.began, 4), drilled.loaded.peers[order.place]
    return [due, round(order.latency_ms, 3), order.outcome, peer, order.attempts]


def _fault(fault: Fault, drilled: Drilled, answered: Sequence[float]) -> dict[str, Any]:
    began, ended = gap(answered, fault, drilled.ended)
    first = ended if answered and ended <= answered[-1] else None
    seen = bool(drilled.loaded.orders)
    return {
        "number": fault.number,
        "kind": drilled.options.word,
        "victim": fault.victim,
        "at": round(fault.began - drilled.began, 4),
        "planned": fault.planned,
        "epoch_before": fault.epoch_before,
        "epoch_after": fault.epoch_after,
        "trader_after": fault.trader_after,
        "reigns": fault.cost.reigns,
        "interregnum_ms": fault.interregnum_ms,
        "interregna_ms": fault.cost.total_ms,
        "first_ok": None if first is None else round(first - drilled.began, 4),
        "gap_ms": round((ended - began) * 1e3, 3) if seen else None,
    }


def gap(answered: Sequence[float], fault: Fault, end: float) -> tuple[float, float]:
    """Return the longest time without an answer that began with a fault, from ordered answers.

    It ends with the first trade, which is not the first answer behind a fault: the old trader may
    still have taken that one. It ends with the load, at the latest: later nobody waits for one.
    """
    first = bisect_right(answered, fault.began) - 1
    last = bisect_right(answered, min(fault.ended + REACH_S, end))
    marks = list(answered[max(first, 0) : last + 1])
    if first < 0:
        marks.insert(0, fault.began)
    if last == len(answered):
        marks.append(max(end, marks[-1]))
    return max(pairwise(marks), key=lambda pair: pair[1] - pair[0])


def sampled(orders: Sequence[Order]) -> list[Order]:
    """Return at most `ORDERS_MAX` orders in the order in which they were due."""
    if len(orders) <= ORDERS_MAX:
        return sorted(orders)
    by_latency = sorted(orders, key=lambda order: order.latency_ms)
    rest, slowest = sorted(by_latency[:-SLOWEST]), by_latency[-SLOWEST:]
    kept = ORDERS_MAX - SLOWEST
    return sorted([*slowest, *(rest[place * len(rest) // kept] for place in range(kept))])


def shares(values: Iterable[float]) -> dict[str, float | None]:
    """Return percentiles; of nothing they are None."""
    ordered = sorted(values)
    return {
        name: round(percentile(ordered, share), 3) if ordered else None
        for name, share in SHARES.items()
    }
