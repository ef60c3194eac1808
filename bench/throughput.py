"""Throughput, latency, CPU and syncs of a ring against the same handler with nothing behind it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bazaar_peer.command.tally import percentile
from bench.goals import Table
from bench.rig import Ring

POINTS = (1, 8, 64, 256)
SECONDS = 2.0
HANDLER_US = 35.0
"""CPU of E a request on the machine that the goals in µs and ms are from (P7, F3, F5)."""
STUB_PORT = 23_900
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def load(url: str, connections: int, *options: str, seconds: float = SECONDS) -> dict[str, Any]:
    """Run the load generator in a process of its own."""
    return _run("bench.load", url, seconds, "--connections", str(connections), *options)


def session_load(url: str, under_way: int, seconds: float = SECONDS) -> dict[str, Any]:
    """Run the generator of pipelined sessions in a process of its own."""
    return _run("bench.session_load", url, seconds, "--under-way", str(under_way))


def _run(module: str, url: str, seconds: float, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module, "--url", url, "--seconds", str(seconds), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed: {done.stderr[-500:]}")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    if found["failed"] or found["lost_connections"] or not found["n"]:
        raise RuntimeError(f"the load did not run clean: {found}")
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


@contextlib.contextmanager
def reference() -> Iterator[tuple[str, int]]:
    """Run E, the handler with nothing behind it, for a `with` block; give its address and pid."""
    stub = subprocess.Popen(
        [sys.executable, "-m", "bazaar_peer.runtime.stub", str(STUB_PORT)],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_served(STUB_PORT)
        yield f"http://127.0.0.1:{STUB_PORT}", stub.pid
    finally:
        stub.kill()
        stub.wait()


def _wait_served(port: int, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def handler_us(url: str, pid: int, connections: int = 256) -> tuple[dict[str, Any], float]:
    """Load E; return what came of it, and its CPU a request."""
    idle = cpu_s(pid)
    found = load(url, connections)
    return found, (cpu_s(pid) - idle) / (found["per_s"] * SECONDS) * 1e6


def sync_ms(writers: int = 6, seconds: float = 1.0) -> float:
    """Return the median time of an appending write + fdatasync, of so many writers at once."""
    found: list[float] = []

    def write(path: Path) -> None:
        until = time.perf_counter() + seconds
        with path.open("wb") as file:
            while time.perf_counter() < until:
                began = time.perf_counter()
                file.write(bytes(4096))
                file.flush()
                os.fdatasync(file.fileno())
                found.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as folder:
        threads = [
            threading.Thread(target=write, args=(Path(folder) / str(number),))
            for number in range(writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return percentile(sorted(found), 0.5) * 1e3


def stock(rig: Ring, lots: int = 40) -> None:
    """Offer more than a measurement can buy."""
    for number in range(lots):
        body: dict[str, object] = {"item": "salt", "quantity": 1_000_000, "price": 5 + number}
        rig.post(0, "/v1/deposits", body, f"stock-{number}-{time.monotonic_ns()}")


def one_round(rig: Ring, empty_url: str, empty_pid: int, table: Table) -> dict[int, dict[str, Any]]:
    """Measure E and ours at every point, in turn; fill in P1 to P8."""
    trader = rig.trader()
    assert trader is not None, "the ring has no trader"
    url = f"http://127.0.0.1:{rig.port + int(trader['id'])}"
    lines = [rig.own(peer) for peer in range(rig.peers)]
    pids = {int(line["id"]): int(line["pid"]) for line in lines if line is not None}
    empty: dict[int, dict[str, Any]] = {}
    ours: dict[int, dict[str, Any]] = {}
    cpu: dict[int, dict[int, float]] = {}
    bare: dict[int, float] = {}
    syncs = 0.0
    for count in POINTS:
        empty[count], bare[count] = handler_us(empty_url, empty_pid, count)
        before = {peer: cpu_s(pid) for peer, pid in pids.items()}
        syncs_before = (rig.own(trader["id"]) or {}).get("syncs", 0)
        ours[count] = load(url, count)
        after = (rig.own(trader["id"]) or {}).get("syncs", 0)
        cpu[count] = {peer: cpu_s(pid) - before[peer] for peer, pid in pids.items()}
        if count == 64:
            syncs = after - syncs_before
    ratio = {count: ours[count]["per_s"] / empty[count]["per_s"] for count in POINTS}
    for name, count in (("P1", 64), ("P2", 256), ("P3a", 8), ("P3b", 1)):
        note = f"{ours[count]['per_s']:.0f} of {empty[count]['per_s']:.0f}/s"
        table.add(name, ratio[count], note)
    table.add("P4", (ours[1]["p50_ms"] - empty[1]["p50_ms"]) / sync_ms())
    for name, count in (("P5a", 1), ("P5b", 64), ("P5c", 256)):
        point = ours[count]
        note = f"{point['p50_ms']} / {point['p99_ms']} ms"
        table.add(name, point["p99_ms"] / point["p50_ms"], note)
    made = ours[256]["per_s"] * SECONDS  # the warm-up costs CPU too
    _costs(table, cpu[256], int(trader["id"]), made, bare[256])
    if syncs:
        table.add("P8", syncs / (ours[64]["per_s"] * SECONDS))
    batch = load(url, 64, "--batch", "16")
    pipelined = session_load(url, 256)
    table.add("P6a", batch["per_s"] / ours[64]["per_s"], f"{batch['per_s']:.0f}/s")
    table.add("P6b", pipelined["per_s"] / ours[256]["per_s"], f"{pipelined['per_s']:.0f}/s")
    return ours


def _costs(table: Table, cpu: dict[int, float], trader: int, trades: float, bare_us: float) -> None:
    """Fill in P7 from the CPU seconds of each peer."""
    trading = cpu[trader] / trades * 1e6
    following = sum(used for peer, used in cpu.items() if peer != trader) / trades * 1e6
    for name, cost in (("P7a", trading), ("P7b", following)):
        note = f"{cost:.1f} µs, and E's handler {bare_us:.1f}"
        table.add(name, cost * HANDLER_US / bare_us, note)
