"""Growing and shrinking under load: what a buyer notices, and the proof that nothing was lost.

    python -m bench.members                          3 → 9 → 3, twenty times, 200 orders a second
    python -m bench.members --times 2 --high 6

Buyers go on all the while (bench/buyers.py), through every peer that there is. At the end
`bazaar verify --acknowledged` audits the ring's folder. Exit 1 if anything acknowledged is missing
or doubled, an order got no answer, or a way down changed the trader more than once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bazaar_peer.command.scale import scale
from bazaar_peer.command.tally import percentile
from bench.buyers import Buyers
from bench.faults import verify
from bench.rig import Ring, ring

STOCK = 1_000_000
TIMEOUT_S = 120.0


@dataclass
class Seen:
    """What the rounds took: seconds up and down, reigns that began on each way down."""

    up_s: list[float] = field(default_factory=list)
    down_s: list[float] = field(default_factory=list)
    reigns: list[int] = field(default_factory=list)


async def rounds(rig: Ring, args: argparse.Namespace) -> tuple[Buyers, Seen]:
    """Load the ring, let it grow and shrink so many times, and return what was seen."""
    await rig.wait_settled()
    body: dict[str, object] = {"item": "salt", "quantity": STOCK, "price": 5}
    await asyncio.to_thread(rig.post, 0, "/v1/deposits", body, "stock")
    ports = list(range(args.port, args.port + args.high))
    buyers = Buyers(ports, args.clients, args.rate)
    task = asyncio.create_task(buyers.run())
    seen = Seen()
    try:
        for number in range(args.times):
            seen.up_s.append(await to_size(rig, args.high))
            await _reign_at_the_top(rig, args.high - 1)
            before = _epoch(rig)
            seen.down_s.append(await to_size(rig, args.low))
            seen.reigns.append(_epoch(rig) - before)
            if args.progress:
                print(f"{number + 1} of {args.times} rounds", file=sys.stderr, flush=True)
        await asyncio.sleep(0.5)
    finally:
        buyers.stopped = True
        await task
    return buyers, seen


async def to_size(rig: Ring, size: int) -> float:
    """Scale the ring; return how many seconds that took."""
    began = time.monotonic()
    await scale(rig.data, size, TIMEOUT_S, lambda _sentence: None)
    return time.monotonic() - began


async def _reign_at_the_top(rig: Ring, peer: int) -> None:
    """Have the highest peer reign, so that the way down has to begin with the trader."""
    while True:
        found = await asyncio.to_thread(rig.ask, 0, "/v1/ring")
        trader = -1 if found is None else int(found["trader"])
        if trader == peer:
            return
        if trader >= 0:
            wish: dict[str, object] = {"successor": peer}
            with suppress(OSError):  # it is not the trader any more
                await asyncio.to_thread(rig.post, trader, "/v1/resign", wish, "wish")
        await asyncio.sleep(0.1)


def _epoch(rig: Ring) -> int:
    found = rig.ask(0, "/v1/ring")
    assert found is not None, "peer 0 is in every ring, and answers"
    return int(found["epoch"])


def report(buyers: Buyers, seen: Seen, args: argparse.Namespace) -> dict[str, Any]:
    latencies = sorted((order.done - order.due) * 1e3 for order in buyers.orders)
    shares = (("p50", 0.5), ("p99", 0.99), ("max", 1.0))

    def spread(values: list[float]) -> dict[str, float]:
        return {name: round(percentile(sorted(values), share), 2) for name, share in shares}

    return {
        "rounds": f"{args.low} → {args.high} → {args.low}, {args.times} times",
        "orders": len(buyers.orders),
        "acknowledged": len(buyers.acknowledged),
        "unanswered": sum(order.status != 200 for order in buyers.orders),
        "asked_more_than_once": sum(order.attempts > 1 for order in buyers.orders),
        "latency_ms": spread(latencies),
        "up_s": spread(seen.up_s),
        "down_s": spread(seen.down_s),
        "reigns_on_the_way_down": seen.reigns,
    }


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--low", type=int, default=3)
    parser.add_argument("--high", type=int, default=9)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200.0, help="orders a second in all")
    parser.add_argument("--port", type=int, default=22_000)
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--data", type=Path, help="keep the ring's folder here")
    return parser.parse_args(given)


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="bazaar-members-") as folder:
        data = args.data or Path(folder) / "ring"
        with ring(args.low, args.port, "--no-agents", data=data) as rig:
            buyers, seen = asyncio.run(rounds(rig, args))
            found = report(buyers, seen, args)
            rig.stop()
        listed = Path(folder) / "acknowledged.txt"
        buyers.write_acknowledged(listed)
        code, told = verify(data, listed)
        found["verify"] = "clean" if code == 0 else told
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 1 if found["unanswered"] or code or max(seen.reigns, default=0) > 1 else 0


if __name__ == "__main__":
    sys.exit(main())
