"""Faults under load: what a buyer notices, and the proof that nothing was lost or done twice.

    python -m bench.faults --fault crash --times 100        kill -9 of the trader
    python -m bench.faults --fault pause --times 20         SIGSTOP for --pause seconds, SIGCONT
    python -m bench.faults --fault majority --times 20      kill -9 of a random majority
    python -m bench.faults --fault hand-over --times 50     SIGTERM of the trader

Buyers go on all the while (bench/buyers.py). After each fault the next comes when all peers have
caught up. At the end `bazaar verify --acknowledged` audits the ring's folder. Exit 1 if anything
acknowledged is missing or doubled, or, except under lost majorities, an order got no answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bazaar_peer.command.tally import percentile
from bench.buyers import Buyers
from bench.rig import Ring, kill, ring

STOCK = 50_000_000


async def hurt(rig: Ring, args: argparse.Namespace, prng: random.Random) -> float:
    """Inject one fault into a settled ring; return the moment of it."""
    trader = await rig.wait_settled(60.0)
    if args.fault == "majority":
        victims = prng.sample(range(rig.peers), rig.peers // 2 + 1)
        lines = [await asyncio.to_thread(rig.own, victim) for victim in victims]
        moment = time.monotonic()
        for line in lines:
            if line is not None:
                kill(int(line["pid"]), signal.SIGKILL)
        return moment
    moment = time.monotonic()
    pid = int(trader["pid"])
    if args.fault == "pause":
        kill(pid, signal.SIGSTOP)
        await asyncio.sleep(args.pause)
        kill(pid, signal.SIGCONT)
    else:
        kill(pid, signal.SIGTERM if args.fault == "hand-over" else signal.SIGKILL)
    return moment


async def drill(rig: Ring, args: argparse.Namespace) -> tuple[Buyers, list[float]]:
    """Load the ring, hurt it so many times, and return what the buyers saw."""
    prng = random.Random(args.seed)
    await rig.wait_settled()
    for number in range(4):
        body: dict[str, object] = {"item": "salt", "quantity": STOCK // 50, "price": 5}
        await asyncio.to_thread(rig.post, 0, "/v1/deposits", body, f"stock-{number}")
    buyers = Buyers(rig.ports, args.clients, args.rate)
    task = asyncio.create_task(buyers.run())
    moments: list[float] = []
    await asyncio.sleep(0.5)
    for number in range(args.times):
        moments.append(await hurt(rig, args, prng))
        await asyncio.sleep(args.between)
        if args.progress and (number + 1) % 10 == 0:
            print(f"{number + 1} of {args.times} faults", file=sys.stderr, flush=True)
    await rig.wait_settled(60.0)
    await asyncio.sleep(0.5)
    buyers.stopped = True
    await task
    return buyers, moments


def report(buyers: Buyers, moments: list[float], args: argparse.Namespace) -> dict[str, Any]:
    ends = [*moments[1:], moments[-1] + 5.0]
    gaps = sorted(
        buyers.gap_around(moment, end - 0.05) * 1e3
        for moment, end in zip(moments, ends, strict=True)
    )
    latencies = sorted((order.done - order.due) * 1e3 for order in buyers.orders)
    unanswered = [order for order in buyers.orders if order.status != 200]
    return {
        "fault": args.fault,
        "times": len(moments),
        "peers": args.peers,
        "orders": len(buyers.orders),
        "acknowledged": len(buyers.acknowledged),
        "unanswered": len(unanswered),
        "gap_ms": {
            name: round(percentile(gaps, share), 2)
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
        },
        "slowest_order_ms": round(latencies[-1], 2),
        "p50_ms": round(percentile(latencies, 0.5), 3),
    }


def verify(data: Path, acknowledged: Path) -> tuple[int, str]:
    """Audit the folder with the command that users have."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bazaar_peer",
            "verify",
            str(data),
            "--acknowledged",
            str(acknowledged),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = ("crash", "pause", "majority", "hand-over")
    parser.add_argument("--fault", choices=kinds, default="crash")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--peers", type=int, default=6)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=400.0, help="orders a second in all")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds of SIGSTOP")
    parser.add_argument("--between", type=float, default=0.3, help="seconds after each fault")
    parser.add_argument("--restart-after", default="0.2")
    parser.add_argument("--port", type=int, default=21_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--data", type=Path, help="keep the ring's folder here")
    return parser.parse_args(given)


def run(args: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], Buyers, list[float]]:
    """Run one kind of fault and audit; return the figures and what they were made of."""
    data = args.data or folder / "ring"
    options = ("--no-agents", "--restart-after", args.restart_after)
    with ring(args.peers, args.port, *options, data=data) as rig:
        buyers, moments = asyncio.run(drill(rig, args))
        found = report(buyers, moments, args)
        found["elections_ms"] = [one["ms"] for one in rig.stop()["elections"][1:]][:20]
    listed = folder / "acknowledged.txt"
    buyers.write_acknowledged(listed)
    code, told = verify(data, listed)
    found["verify"] = "clean" if code == 0 else told
    return found, buyers, moments


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="bazaar-faults-") as folder:
        found, _, _ = run(args, Path(folder))
    print(json.dumps(found, indent=1))
    unanswered = found["unanswered"] if args.fault != "majority" else 0
    return 1 if unanswered or found["verify"] != "clean" else 0


if __name__ == "__main__":
    sys.exit(main())
