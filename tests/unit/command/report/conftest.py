from __future__ import annotations

import sys
from typing import Any

import pytest

from bazaar_peer.command.report import words


def percentiles(values: list[float]) -> dict[str, float]:
    return {name: words.percentile(values, share) for name, share in words.SHARES}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide matplotlib: a page alone is made at once."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.fixture
def drill() -> dict[str, Any]:
    """Two faults among 40 orders, nothing lost."""
    orders: list[list[Any]] = [[k * 0.25, 1.0 + k % 7 / 10, "ok", k % 3, 1] for k in range(38)]
    orders += [[4.0, 41.5, "ok", 1, 2], [9.75, 1.25, "rejected", 2, 1]]
    faults = [
        {
            "number": number,
            "kind": "crash",
            "victim": 2 - number,
            "at": 4.0 * number,
            "planned": False,
            "epoch_before": number,
            "epoch_after": number + 1,
            "trader_after": 0,
            "interregnum_ms": interregnum,
            "first_ok": 4.0 * number + 0.02,
            "gap_ms": 3 * interregnum,
        }
        for number, interregnum in ((1, 12.5), (2, 4.25))
    ]
    return {
        "bazaar_drill": 1,
        "version": "0.1.0",
        "command": "bazaar drill crash --times 2",
        "began": "2026-11-24T03:00:00+00:00",
        "target": "http://127.0.0.1:8600",
        "peers": 3,
        "kind": "crash",
        "planned": False,
        "seconds": 10.0,
        "orders": orders,
        "orders_sampled_of": 40,
        "faults": faults,
        "counts": {"sent": 40, "acknowledged": 39, "failed": 0, "retried": 1, "rejected": 1},
        "lost": 0,
        "twice": 0,
        "verify": "clean",
        "interregnum_ms": percentiles([12.5, 4.25]),
        "gap_ms": percentiles([37.5, 12.75]),
        "latency_ms": percentiles([order[1] for order in orders]),
        "timeline": {
            "fault": 1,
            "zero": 4.0,
            "lanes": [0, 1, 2],
            "marks": [
                {"peer": 1, "ms": -3.0, "what": "last trade"},
                {"peer": 0, "ms": 2.5, "what": "loss noticed"},
                {"peer": 2, "ms": 2.75, "what": "promise"},
                {"peer": 0, "ms": 15.0, "what": "first trade"},
            ],
        },
    }
