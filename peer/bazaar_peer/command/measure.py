"""`bazaar bench`: the measurement that this system comes from, repeated on this machine.

1200 requests of one buyer at 5 and at 6 peers; the mean, as the original report gives it, beside
what tells more: percentiles. Every order is durable on a majority of real disks when it counts.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from bazaar_peer.command.client import CallError, call

REPORT_MS = {5: 850.0509, 6: 1190.0829}
"""Means over 1200 requests in the report that this system comes from."""
START_S = 30.0
WARM_UP = 20
LOT = 1_000_000


class BenchError(Exception):
    """The measurement could not be made; the text says why."""


async def measure(peers: int, requests: int, port: int) -> dict[str, Any]:
    """Run a ring of its own and buy; return the figures in milliseconds.

    Raises:
        BenchError: the ring did not start, or an order was not answered.
    """
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as folder:
        errors = Path(folder) / "up.err"
        with errors.open("wb") as file:
            ring = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bazaar_peer", "up", "--peers", str(peers)),
                *("--port", str(port), "--data", str(Path(folder) / "ring")),
                *("--no-agents", "--json"),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=file,
            )
        try:
            url = await _trader(port, ring, errors)
            latencies = await _buy(url, requests)
        finally:
            if ring.returncode is None:
                ring.send_signal(signal.SIGINT)
            await ring.wait()
    ordered = sorted(latencies)
    mean = sum(ordered) / len(ordered)
    report = REPORT_MS.get(peers)
    return {
        "peers": peers,
        "requests": len(ordered),
        "mean_ms": round(mean, 3),
        "p50_ms": round(ordered[len(ordered) // 2], 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 3),
        "max_ms": round(ordered[-1], 3),
        "report_mean_ms": report,
        "times_faster": round(report / mean, 1) if report else None,
    }


async def _trader(port: int, ring: asyncio.subprocess.Process, errors: Path) -> str:
    """Wait for a trader and return its address."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and ring.returncode is None:
        try:
            found = await call("GET", f"http://127.0.0.1:{port}", "/v1/ring")
        except CallError:
            found = {"trader": -1}
        if found["trader"] >= 0:
            return f"http://127.0.0.1:{port + int(found['trader'])}"
        await asyncio.sleep(0.1)
    raise BenchError(f"the ring did not start: {_told(errors)}")


def _told(errors: Path) -> str:
    return errors.read_text().strip() or "no trader was elected"


async def _buy(url: str, requests: int) -> list[float]:
    body = {"item": "salt", "quantity": LOT, "price": 5, "seller": "bench"}
    await call("POST", url, "/v1/deposits", body)
    order = {"item": "salt", "quantity": 1, "buyer": "bench"}
    found: list[float] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(WARM_UP + requests):
            began = time.perf_counter()
            async with session.post(url + "/v1/orders", json=order) as answer:
                text = await answer.text()
            if answer.status != 200:
                raise BenchError(f"an order was answered {answer.status}: {text}")
            found.append((time.perf_counter() - began) * 1e3)
    return found[WARM_UP:]
