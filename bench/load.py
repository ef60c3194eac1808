"""The load generator of every measurement: raw asyncio, one process of its own.

    python -m bench.load --url http://127.0.0.1:8600 --connections 64 --seconds 4

Closed loop: each connection sends its next request when the last one is answered. Open loop
(`--rate`): requests start when they are due, whatever became of earlier ones, and latency counts
from then on, so that nothing is omitted while the server stalls. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import time
from collections import deque
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bazaar_peer.command.tally import percentile

KEY_BASE = 100_000_000_000
WARM_UP = 0.1
"""Share of the run that is not counted."""


def summary(latencies_s: list[float], seconds: float, per_request: int) -> dict[str, float]:
    """Return rate (things a second) and percentiles in milliseconds."""
    ordered = sorted(latencies_s)
    return {
        "n": len(ordered) * per_request,
        "per_s": round(len(ordered) * per_request / seconds, 1),
        "p50_ms": round(percentile(ordered, 0.5) * 1e3, 3),
        "p99_ms": round(percentile(ordered, 0.99) * 1e3, 3),
        "max_ms": round(ordered[-1] * 1e3, 3) if ordered else 0.0,
        "mean_ms": round(sum(ordered) / len(ordered) * 1e3, 4) if ordered else 0.0,
    }


def request(host: str, path: str, body: bytes, headers: str = "") -> bytes:
    """Return the bytes of a keep-alive POST."""
    size = len(body % ((0,) * body.count(b"%"))) if b"%" in body else len(body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {size}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection: tells the run when an answer is whole."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop does not inherit from it
        self.transport = transport
        self.run.idle(self)

    def send(self, began: float) -> None:
        assert self.transport is not None
        self.began = began
        self.transport.write(self.run.next_payload())

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.buffer.find(b"ength: ", 0, head)
        size = int(self.buffer[at + 7 : self.buffer.index(b"\r\n", at)]) if at > 0 else 0
        if len(self.buffer) >= head + 4 + size:
            ok = self.buffer[9:12] == b"200"
            self.buffer = b""
            self.run.answered(self, ok=ok)

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.lost += 1


class Run:
    """One measurement."""

    def __init__(self, payloads: list[bytes], seconds: float, rate: float, batch: int = 0) -> None:
        self.payloads = payloads
        self.batch = batch
        self.at = 0
        self.rate = rate
        self.began = time.perf_counter()
        self.counted_from = self.began + WARM_UP * seconds
        self.until = self.began + seconds
        self.latencies: list[float] = []
        self.failed = 0
        self.lost = 0
        self.free: deque[Connection] = deque()
        self.due: deque[float] = deque()

    def next_payload(self) -> bytes:
        """Return the next request; a batch gets a key of its own for every order in it."""
        self.at += 1
        payload = self.payloads[self.at % len(self.payloads)]
        if self.batch:
            first = self.at * self.batch + KEY_BASE
            return payload % tuple(range(first, first + self.batch))
        return payload

    def idle(self, connection: Connection) -> None:
        if self.rate:
            if self.due:
                connection.send(self.due.popleft())
            else:
                self.free.append(connection)
        elif time.perf_counter() < self.until:
            connection.send(time.perf_counter())

    def answered(self, connection: Connection, *, ok: bool) -> None:
        now = time.perf_counter()
        if connection.began >= self.counted_from and now <= self.until:
            if ok:
                self.latencies.append(now - connection.began)
            else:
                self.failed += 1
        self.idle(connection)

    async def pace(self) -> None:
        """Make requests due at the rate, and start them as soon as a connection is free."""
        count = 0
        while (now := time.perf_counter()) < self.until:
            while self.began + count / self.rate <= now:
                self.due.append(self.began + count / self.rate)
                count += 1
            while self.due and self.free:
                self.free.popleft().send(self.due.popleft())
            await asyncio.sleep(min(0.001, 1 / self.rate))


async def measure(args: argparse.Namespace) -> dict[str, object]:
    parts = urlsplit(args.url)
    assert parts.hostname is not None
    bodies = [body.encode() for body in args.body]
    if args.batch:
        bodies = [batch_of(bodies[0], args.batch)]
        args.path = "/v1/orders/batch"
    client = f"Bazaar-Client: load-{time.time_ns()}\r\n" if args.batch else ""
    payloads = [request(parts.netloc, args.path, body, client) for body in bodies]
    run = Run(payloads, args.seconds, args.rate, args.batch)
    loop = asyncio.get_running_loop()
    for _ in range(args.connections):
        await loop.create_connection(lambda: Connection(run), parts.hostname, parts.port)
    if args.rate:
        await run.pace()
    await asyncio.sleep(max(0.0, run.until - time.perf_counter()) + 0.05)
    counted = run.until - run.counted_from
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result: dict[str, object] = dict(summary(run.latencies, counted, args.batch or 1))
    result["failed"] = run.failed
    result["lost_connections"] = run.lost
    result["load_cpu_s"] = round(usage.ru_utime + usage.ru_stime, 3)
    return result


def batch_of(body: bytes, count: int) -> bytes:
    """Return a batch of orders with a place for a key of fixed length in each."""
    order = json.loads(body)
    batch = json.dumps({"orders": [{**order, "key": "KEY"}] * count})
    return batch.encode().replace(b"KEY", b"%012d")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--path", default="/v1/orders")
    parser.add_argument("--body", action="append")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rate", type=float, default=0.0, help="open loop: requests a second")
    parser.add_argument("--batch", type=int, default=0, help="orders in one POST")
    args = parser.parse_args()
    args.body = args.body or ['{"item":"salt","quantity":1,"buyer":"bench"}']
    gc.freeze()
    gc.disable()
    print(json.dumps(uvloop.run(measure(args))))


if __name__ == "__main__":
    main()
