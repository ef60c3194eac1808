"""What buyers notice while a peer copies a large state: p99 beside that of the same ring before.

    python -m bench.copying                      three peers, 2.2 million lots (about 105 MB)
    python -m bench.copying --lots 100000        a quick look

A fourth peer joins while buyers go on at a steady rate; the copy is over when it votes. The same
buyers are measured before it, for as long as `--seconds`. Exit 1 beyond twice the latency, or if
an order failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bazaar_peer.command.tally import percentile
from bench.buyers import Buyers, Done
from bench.members import to_size
from bench.rig import Ring, ring
from bench.session_load import Load

DEPOSIT = (
    b'{"command":"deposit","item":"salt","quantity":1,"price":999999,'
    b'"seller":"a-seller-with-quite-a-long-name","number":%d,"floor":%d}'
)
SOCKETS, UNDER_WAY = 4, 256
FILL_S, TIMES_MAX = 600.0, 2.0


async def fill(rig: Ring, lots: int) -> float:
    """Put so many lots on offer; return how many a second were taken."""
    each = lots // SOCKETS
    load = Load(FILL_S, DEPOSIT, each)
    began = time.monotonic()
    ports = [rig.port + number % rig.peers for number in range(SOCKETS)]
    await asyncio.gather(*(load.socket("127.0.0.1", port, UNDER_WAY) for port in ports))
    return each * SOCKETS / (time.monotonic() - began)


async def rounds(rig: Ring, args: argparse.Namespace) -> dict[str, Any]:
    """Measure before and during the copy."""
    await rig.wait_settled()
    rate = await fill(rig, args.lots)
    stock: dict[str, object] = {"item": "salt", "quantity": 1_000_000, "price": 5}
    await asyncio.to_thread(rig.post, 0, "/v1/deposits", stock, "stock")
    await asyncio.sleep(args.seconds)  # checkpoints that filling began end first
    buyers = Buyers(list(range(args.port, args.port + 3)), args.clients, args.rate)
    task = asyncio.create_task(buyers.run())
    await asyncio.sleep(1.0)
    quiet = time.monotonic()
    await asyncio.sleep(args.seconds)
    began = time.monotonic()
    await to_size(rig, 4)
    ended = time.monotonic()
    await asyncio.sleep(0.5)
    buyers.stopped = True
    await task
    before = [order for order in buyers.orders if quiet <= order.due < began]
    during = [order for order in buyers.orders if began <= order.due < ended]
    return {
        "lots": args.lots,
        "filled_per_s": round(rate),
        "copied_mb": round(copied(rig.data, 3) / 1e6, 1),
        "copy_s": round(ended - began, 2),
        "failed": sum(order.status != 200 for order in buyers.orders),
        "before": spread(before),
        "during": spread(during),
    }


def copied(data: Path, peer: int) -> int:
    """Return how large the checkpoint is from which a peer began."""
    found = (data / f"peer-{peer}" / "checkpoint").glob("*")
    return max((file.stat().st_size for file in found if file.is_file()), default=0)


def spread(orders: list[Done]) -> dict[str, float]:
    values = sorted((order.done - order.due) * 1e3 for order in orders)
    shares = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    return {"n": len(values)} | {
        name: round(percentile(values, share), 2) for name, share in shares
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lots", type=int, default=2_200_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200.0, help="orders a second in all")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--port", type=int, default=23_000)
    return parser.parse_args()


def main() -> int:
    args = arguments()
    with (
        tempfile.TemporaryDirectory(prefix="bazaar-copying-") as folder,
        ring(3, args.port, "--no-agents", data=Path(folder) / "ring") as rig,
    ):
        found = asyncio.run(rounds(rig, args))
    times = found["during"]["p99"] / found["before"]["p99"]
    found["p99_times"] = round(times, 2)
    print(json.dumps(found, indent=1))
    return int(times > TIMES_MAX or found["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
