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
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from cryptography import x509

from bazaar_operator import certificates
from bazaar_peer.runtime.settings import ProcessSettings, encode_settings
from bench import throughput

POINTS = (1, 8, 64, 256)
TOKEN = "the-token-of-this-ring"
CLIENT_PORT, PEER_PORT = 8600, 8601
SETTLES_S = 60.0


class PodRing:
    """Peers as pods run them, on addresses of this machine's own: 127.NET.0.i is peer i."""

    def __init__(self, net: int, peers: int, folder: Path, *, tls: bool) -> None:
        self.net, self.peers, self.folder = f"127.{net}.0", peers, folder
        folder.mkdir()
        self.tls = tls
        if tls:
            self._certify()
        self.processes = [self._start(peer) for peer in range(peers)]

    def _certify(self) -> None:
        """Lay out what an operator gives its pods; these are known by their addresses."""
        ca = certificates.authority("bench", ["bench-peers"], time.time())
        (self.folder / "ca.crt").write_text(ca.certificate)
        (self.folder / "mode").write_text("Required")
        for peer in range(self.peers):
            key = certificates.new_key()
            (self.folder / f"key-{peer}").write_text(key)
            names = [f"{self.net}.{peer}"]
            with mock.patch.object(x509, "DNSName", lambda n: x509.IPAddress(ip_address(n))):
                text = certificates.issue(ca, key, f"peer {peer}", names, time.time())
            (self.folder / f"peer-{peer}.crt").write_text(text)

    def _start(self, peer: int) -> subprocess.Popen[bytes]:
        host, volume = f"{self.net}.{peer}", self.folder / f"data-{peer}"
        volume.mkdir()
        settings = ProcessSettings(
            me=peer,
            peers=self.peers,
            ring="bench",
            volume=str(volume / "peer"),
            log=str(self.folder / f"{peer}.log"),
            host=host,
            hosts=self.net + ".{}",
            address=f"{host}:{PEER_PORT}",
            port=CLIENT_PORT,
            peer_port_offset=PEER_PORT - CLIENT_PORT,
            token=TOKEN,
            certificates=str(self.folder) if self.tls else "",
            key=str(self.folder / f"key-{peer}") if self.tls else "",
        )
        program = (sys.executable, "-m", "bazaar_peer.runtime.process", encode_settings(settings))
        return subprocess.Popen(program)

    def ask(self, peer: int, path: str, body: object = None, **headers: str) -> dict[str, Any]:
        """Ask a peer; an empty answer when it does not give one."""
        headers |= {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url(peer)}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                found = json.load(answer)
        except (OSError, urllib.error.HTTPError):
            return {}
        assert isinstance(found, dict)
        return found

    def told(self, peer: int, field: str) -> Any:
        """Return what a peer says of itself."""
        return self.ask(peer, "/v1/peer").get(field)

    def url(self, peer: int) -> str:
        return f"http://{self.net}.{peer}:{CLIENT_PORT}"

    def begin(self) -> None:
        """Make the ring of its empty volumes, and offer more than a measurement can buy."""
        for peer in range(self.peers):
            volume = until(partial(self.told, peer, "volume"))
            body: dict[str, object] = {"ring": "bench", "ordinal": peer, "volume": volume}
            until(partial(self.ask, peer, "/v1/format", body))
        trader = until(self.trader_url)
        if self.tls:
            modes = [self.told(peer, "tls") for peer in range(self.peers)]
            assert all((one["mode"], one["why"]) == ("Required", "") for one in modes), modes
        for lot in range(40):
            offer: dict[str, object] = {"item": "salt", "quantity": 1_000_000, "price": 5 + lot}
            key = {"Idempotency-Key": f"stock-{lot}"}
            until(partial(self.ask, 0, "/v1/deposits", offer, **key))
        assert until(self.trader_url) == trader

    def trader_url(self) -> str:
        """Return where the trader is, once all peers vote and follow it; before, nothing."""
        told = [self.ask(peer, "/v1/peer") for peer in range(self.peers)]
        traders = {one.get("trader", -1) for one in told}
        good = all(one.get("voter") and one.get("ready") for one in told)
        return self.url(traders.pop()) if good and len(traders) == 1 and -1 not in traders else ""

    def cpu_s(self) -> float:
        return sum(throughput.cpu_s(process.pid) for process in self.processes)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def until(condition: Callable[[], Any]) -> Any:
    """Poll until the condition gives something true, and return that."""
    end = time.monotonic() + SETTLES_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"a ring did not come so far within {SETTLES_S:g} s")
        time.sleep(0.05)
    return found


def measured(ring: PodRing, connections: int) -> dict[str, float]:
    """Load a ring's trader; return orders a second, median latency, and CPU an order."""
    url, before = until(ring.trader_url), ring.cpu_s()
    found = throughput.load(url, connections)
    orders = found["per_s"] * throughput.SECONDS  # its warm-up costs CPU, too: of both rings
    cpu_us = (ring.cpu_s() - before) / orders * 1e6
    return {"orders/s": found["per_s"], "p50 ms": found["p50_ms"], "CPU µs": cpu_us}


@contextlib.contextmanager
def two_rings(peers: int) -> Iterator[tuple[PodRing, PodRing]]:
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as folder, contextlib.ExitStack() as s:
        rings = []
        for net, tls in ((60, False), (61, True)):
            rings.append(PodRing(net, peers, Path(folder) / f"{net}", tls=tls))
            s.callback(rings[-1].end)
        for ring in rings:
            ring.begin()
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
