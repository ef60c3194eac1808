"""What a run of `bazaar up` came to, for people and as one JSON object."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bazaar_peer.command.ring_folder import RingFolder
from bazaar_peer.runtime.stats import Stats, percentile_us

if TYPE_CHECKING:
    from bazaar_peer.command.up import Supervisor


def totals(folder: RingFolder) -> dict[str, object]:
    """Sum up what the peers' agents counted; latencies in milliseconds."""
    words = dict.fromkeys(("orders", "filled", "unavailable", "failed"), 0)
    buckets: list[int] = []
    sum_us = max_us = 0
    for peer in folder.ordinals():
        stats = Stats(folder.stats(peer))
        for word in words:
            words[word] += stats.get(word)
        sum_us += stats.get("sum_us")
        max_us = max(max_us, stats.get("max_us"))
        found = stats.buckets()
        buckets = [a + b for a, b in zip(buckets, found, strict=True)] if buckets else found
        stats.close()
    count = sum(buckets)
    latency = {
        "mean": round(sum_us / count / 1000, 3) if count else None,
        "p50": percentile_us(buckets, 0.5) / 1000 if count else None,
        "p99": percentile_us(buckets, 0.99) / 1000 if count else None,
        "max": max_us / 1000 if count else None,
    }
    return {**words, "latency_ms": latency}


def clear_totals(folder: RingFolder) -> None:
    """Begin to count anew: a summary speaks of one run."""
    for peer in folder.ordinals():
        path: Path = folder.stats(peer)
        path.unlink(missing_ok=True)


def summary(supervisor: Supervisor) -> dict[str, object]:
    """Return the one object that `--json` prints."""
    counted = totals(supervisor.folder)
    latency = counted.pop("latency_ms")
    assert supervisor.elections is not None
    return {
        "peers": supervisor.size,
        "trader": supervisor.trader,
        "epoch": supervisor.epoch,
        **counted,
        "elections": supervisor.elections.found,
        "latency_ms": latency,
        "data": str(supervisor.folder.path),
    }


def print_summary(found: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    latency, elections = found["latency_ms"], found["elections"]
    assert isinstance(latency, dict)
    assert isinstance(elections, list)
    sys.stdout.write(
        f"\n{found['orders']} orders: {found['filled']} filled, {found['unavailable']} "
        f"unavailable, {found['failed']} failed\n"
    )
    if latency["mean"] is not None:
        sys.stdout.write(
            f"latency: mean {latency['mean']} ms, p50 {latency['p50']} ms, "
            f"p99 {latency['p99']} ms, max {latency['max']} ms\n"
        )
    for one in elections:
        sys.stdout.write(
            f"epoch {one['epoch']}: peer {one['trader']} after {one['reason']}, {one['ms']} ms\n"
        )
    sys.stdout.write(f"data: {found['data']}\n")
