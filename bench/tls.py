"""What certificates between peers cost: two rings as pods run them, one plain, one with TLS.

    PYTHONPATH=. python -m bench.tls --rounds 6

Both rings live all the while and are loaded in turn, so that a slow moment of the machine falls on
both. For each number of connections it prints orders a second, the median latency and the processor
time of all peers an order, as ratios of the ring with TLS to the plain one: their median, and the
least and greatest of the rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench import throughput
from bench.pods import Folder, Pods
from bench.rig import until

POINTS = (1, 8, 64, 256)


class PodRing:
    """A ring of pods, trading, with more on offer than a measurement can buy."""

    def __init__(self, pods: Pods, peers: int, *, tls: bool) -> None:
        self.pods, self.peers, self.tls = pods, peers, tls
        if tls:
            folder = Folder(pods.folder / "certificates", pods.net, peers)
            pods.make(peers, folder.settings)
            modes = [pods.get(peer)["tls"] for peer in range(peers)]
            assert all((one["mode"], one["why"]) == ("Required", "") for one in modes), modes
        else:
            pods.make(peers)
        for lot in range(40):
            offer = {"item": "salt", "quantity": 1_000_000, "price": 5 + lot}
            key = {"Idempotency-Key": f"stock-{lot}"}
            status, told = pods.ask(0, "/v1/deposits", offer, headers=key)
            assert status == 200, told

    def trader_url(self) -> str:
        """Return where the trader is, once all peers vote and follow it; before, nothing."""
        if not all(self.pods.votes(peer) for peer in range(self.peers)):
            return ""
        traders = {self.pods.get(peer).get("trader", -1) for peer in range(self.peers)}
        return self.pods.url(traders.pop()) if len(traders) == 1 and -1 not in traders else ""

    def cpu_s(self) -> float:
        return sum(throughput.cpu_s(process.pid) for process in self.pods.processes)


def measured(ring: PodRing, connections: int) -> dict[str, float]:
    """Load a ring's trader; return orders a second, median latency, and CPU an order."""
    url, before = until(ring.trader_url, "the ring has a trader"), ring.cpu_s()
    found = throughput.load(url, connections)
    orders = found["per_s"] * throughput.SECONDS  # its warm-up costs CPU, too: of both rings
    cpu_us = (ring.cpu_s() - before) / orders * 1e6
    return {"orders/s": found["per_s"], "p50 ms": found["p50_ms"], "CPU µs": cpu_us}


@contextlib.contextmanager
def two_rings(peers: int) -> Iterator[tuple[PodRing, PodRing]]:
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as folder, contextlib.ExitStack() as s:
        rings = []
        for name in ("plain", "tls"):
            place = Path(folder) / name
            place.mkdir()
            pods = Pods(place)
            s.callback(pods.end)
            rings.append(PodRing(pods, peers, tls=name == "tls"))
        yield rings[0], rings[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--peers", type=int, default=3)
    args = parser.parse_args()
    found: dict[tuple[int, str], list[tuple[float, float]]] = {}
    with two_rings(args.peers) as (plain, tls):
        for number in range(args.rounds):
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
            for count in POINTS:
                # Who comes first changes: neither ring is always the one that finds all warm.
                order = (plain, tls) if number % 2 else (tls, plain)
                told = {ring.tls: measured(ring, count) for ring in order}
                for name in told[True]:
                    found.setdefault((count, name), []).append(
                        (told[False][name], told[True][name])
                    )
    print("| connections | figure | plain | TLS | TLS / plain | least · greatest |")
    print("|---:|---|---:|---:|---:|---|")
    for (count, name), pairs in found.items():
        ratios = sorted(b / a for a, b in pairs)
        a, b = (median(pair[side] for pair in pairs) for side in (0, 1))
        ends = f"{ratios[0]:.2f} · {ratios[-1]:.2f}"
        print(f"| {count} | {name} | {a:.4g} | {b:.4g} | {median(ratios):.2f} | {ends} |")


if __name__ == "__main__":
    main()
