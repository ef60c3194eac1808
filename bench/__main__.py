"""`make bench`: every goal in one interleaved run, as one table; exit 1 when a gate does not hold.

python -m bench                  the goals that fit into six minutes
python -m bench --long           also a million trades (P11) and a thousand kills (F4)
python -m bench --only P F5      only goals whose names begin so
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bazaar_peer.command.report.lab import REPORT_MS
from bench import faults, throughput
from bench.buyers import Buyers
from bench.goals import Table
from bench.rig import Ring, ring

ROUNDS = 3
PORT = 22_000
ORDERS = 1200
WANTED = ("P", "S", "F")


class Bench:
    """One run: `wanted` are the beginnings of the names of goals to measure."""

    def __init__(self, wanted: tuple[str, ...], *, long: bool) -> None:
        self.wanted, self.long = wanted, long
        self.table = Table()
        self.began = time.monotonic()
        self.port = PORT

    def wants(self, *names: str) -> bool:
        """Tell whether one of these goals is wanted: "P" wants all of P, "P9" only P9a and P9b."""
        return any(name.startswith(w) or w.startswith(name) for name in names for w in self.wanted)

    def say(self, sentence: str) -> None:
        print(f"[{time.monotonic() - self.began:5.0f} s] {sentence}", file=sys.stderr, flush=True)

    def next_port(self) -> int:
        """Return ports that no ring of this run has used: a closed one lingers in the kernel."""
        self.port += 100
        return self.port

    def run(self) -> None:
        """Measure everything wanted."""
        if self.wants("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"):
            self.throughput()
        if self.wants("P9", "P10", "S0"):
            self.against_others()
        if self.wants("P12"):
            self.growth()
        if self.wants("F3"):
            self.elections()
        for name, fault, times in (
            ("F1", "crash", 10),
            ("F2", "pause", 5),
            ("F5", "hand-over", 10),
        ):
            if self.wants(name):
                self.fault(name, fault, times)
        if self.long and self.wants("P11"):
            self.history()
        if self.long and self.wants("F4"):
            self.kills()

    def throughput(self) -> None:
        with (
            throughput.reference() as (url, pid),
            ring(6, self.next_port(), "--no-agents", many_keys=True) as rig,
        ):
            asyncio.run(rig.wait_settled())
            throughput.stock(rig)
            for number in range(ROUNDS):
                self.say(f"throughput, round {number + 1} of {ROUNDS}")
                throughput.one_round(rig, url, pid, self.table)

    def add_ms(self, name: str, found: list[float]) -> None:
        """Take times that are mostly CPU as they would be where E takes so long as there."""
        with throughput.reference() as (url, pid):
            _, bare_us = throughput.handler_us(url, pid)
        note = f"{median(found):.3g} ms, and E's handler {bare_us:.1f} µs"
        for figure in found:
            self.table.add(name, figure * throughput.HANDLER_US / bare_us, note)

    def against_others(self) -> None:
        """Ours and the clean Pyro4 baseline in turn, then the report's own measurement."""
        for number in range(ROUNDS):
            with ring(6, self.next_port(), "--no-agents") as rig:
                asyncio.run(rig.wait_settled())
                throughput.stock(rig)
                self.say(f"ordinary buyers and Pyro4, round {number + 1} of {ROUNDS}")
                one, eight = buyers(rig, 1), buyers(rig, 8)
            self.table.add("S0b", REPORT_MS[6] / one["mean_ms"], f"{one['mean_ms']} ms")
            if self.wants("P9", "P10"):
                for variant, save in (("a", -1.0), ("b", 1.0)):
                    pyro_one, pyro_eight = pyro4(save, 1), pyro4(save, 8)
                    note = f"{eight['per_s']:.0f} to {pyro_eight['rps']}/s"
                    self.table.add(f"P9{variant}", eight["per_s"] / pyro_eight["rps"], note)
                    note = f"{one['p50_ms']} to {pyro_one['p50']} ms"
                    self.table.add(f"P10{variant}", one["p50_ms"] / pyro_one["p50"], note)
        with ring(5, self.next_port(), "--no-agents") as rig:
            asyncio.run(rig.wait_settled())
            throughput.stock(rig)
            one = buyers(rig, 1)
            self.table.add("S0a", REPORT_MS[5] / one["mean_ms"], f"{one['mean_ms']} ms")

    def growth(self) -> None:
        """Rings of 5, 6 and 12 beside each other, idle but for the one that is measured."""
        with contextlib.ExitStack() as stack:
            rigs = {
                n: stack.enter_context(ring(n, self.next_port(), "--no-agents")) for n in (5, 6, 12)
            }
            for rig in rigs.values():
                asyncio.run(rig.wait_settled(60.0))
                throughput.stock(rig, 2)
            for number in range(ROUNDS):
                self.say(f"growth, round {number + 1} of {ROUNDS}")
                p50 = {n: throughput.load(trader_url(rig), 1)["p50_ms"] for n, rig in rigs.items()}
                self.table.add("P12a", p50[6] / p50[5], f"{p50[5]}, {p50[6]} ms")
                self.table.add("P12b", p50[12] / p50[6], f"{p50[12]} ms")

    def elections(self) -> None:
        for name, peers, times in (("F3a", 6, 7), ("F3b", 12, 7), ("F3c", 24, 5)):
            self.say(f"elections among {peers}")
            with ring(peers, self.next_port(), "--no-agents", "--restart-after", "0.1") as rig:
                asyncio.run(hurt_often(rig, times))
                found = [float(one["ms"]) for one in rig.stop()["elections"][1:]]
            self.add_ms(name, found)

    def fault(self, name: str, kind: str, times: int) -> None:
        self.say(f"{kind}, {times} times under load")
        found, buyers_, moments = faulted(kind, times, self.next_port(), pause=0.6)
        ends = [*moments[1:], moments[-1] + 5.0]
        gaps = [
            buyers_.gap_around(moment, end - 0.05) * 1e3
            for moment, end in zip(moments, ends, strict=True)
        ]
        if name == "F5":
            self.add_ms(name, gaps)
            self.table.add("F5e", found["unanswered"])
        else:
            for gap in gaps:
                self.table.add(name, gap)
        if found["verify"] != "clean":
            raise RuntimeError(f"verify after {kind}: {found['verify']}")

    def history(self) -> None:
        """P11: a million trades, in ten parts."""
        with ring(6, self.next_port(), "--no-agents") as rig:
            asyncio.run(rig.wait_settled())
            throughput.stock(rig)
            url, done, p50 = trader_url(rig), 0, []
            while done < 1_000_000:
                found = throughput.session_load(url, 64, seconds=4.0)
                done += int(found["n"])
                p50.append(float(found["p50_ms"]))
                self.say(f"{done} trades, p50 {found['p50_ms']} ms")
            tenth = max(1, len(p50) // 10)
            self.table.add("P11", median(p50[-tenth:]) / median(p50[:tenth]))

    def kills(self) -> None:
        found, _, _ = faulted("crash", 1000, self.next_port(), pause=0.6, progress=True)
        self.say(json.dumps(found))
        self.table.add("F4", found["unanswered"] + (found["verify"] != "clean"))


def trader_url(rig: Ring) -> str:
    trader = asyncio.run(rig.wait_settled(60.0))
    return f"http://127.0.0.1:{rig.port + int(trader['id'])}"


def buyers(rig: Ring, count: int) -> dict[str, Any]:
    """Run ordinary buyers in a process of their own."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.aiohttp_buyers", "--url", trader_url(rig)),
            *("--buyers", str(count), "--orders", str(ORDERS)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def pyro4(save_s: float, buyers_count: int) -> dict[str, Any]:
    """Run the clean baseline of the origin's design; `save_s` -1: fdatasync for every trade."""
    from bench import pyro4_baseline  # noqa: PLC0415 - needs Pyro4, which only benchmarks have

    with contextlib.redirect_stdout(io.StringIO()):
        found: Any = pyro4_baseline.bench(  # type: ignore[no-untyped-call]
            6, False, save_s, buyers_count, ORDERS
        )
    assert isinstance(found, dict)
    return found


async def hurt_often(rig: Ring, times: int) -> None:
    """Kill the trader so many times, each time after the ring has settled."""
    args = argparse.Namespace(fault="crash")
    for _ in range(times):
        await faults.hurt(rig, args, random.Random(1))
        await asyncio.sleep(0.3)
    await rig.wait_settled(60.0)


def faulted(
    kind: str, times: int, port: int, *, pause: float, progress: bool = False
) -> tuple[dict[str, Any], Buyers, list[float]]:
    """Run buyers through faults and audit what is left."""
    args = faults.arguments(
        ["--fault", kind, "--times", str(times), "--port", str(port), "--pause", str(pause)]
        + (["--progress"] if progress else [])
    )
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as folder:
        return faults.run(args, Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", nargs="+", default=list(WANTED))
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    args = parser.parse_args()
    bench = Bench(tuple(args.only), long=args.long)
    bench.run()
    lines = bench.table.lines()
    print("\n".join(lines))
    if args.write:
        head = f"Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}\n\n"
        args.write.write_text(head + "\n".join(lines) + "\n")
    missed = bench.table.missed_gates()
    if missed:
        print(f"gates that do not hold: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
