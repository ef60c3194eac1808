"""A ring for a measurement: started, asked, hurt and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from bazaar_peer.command import ring_folder
from bazaar_peer.core.types import Limits

READY_S = 30.0
DEADLINE_S = 40.0
T = TypeVar("T")


class Ring:
    """A `bazaar up` of its own, on ports of its own."""

    def __init__(self, peers: int, port: int, data: Path, *options: str) -> None:
        self.peers, self.port, self.data = peers, port, data
        self.ports = list(range(port, port + peers))
        data.parent.mkdir(parents=True, exist_ok=True)
        self.errors = data.parent / f"{data.name}.err"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "bazaar_peer", "up", "--peers", str(peers)),
                    *("--port", str(port), "--data", str(data), "--json", *options),
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def ask(self, peer: int, path: str) -> dict[str, Any] | None:
        """Ask one peer; None if it does not answer within half a second."""
        url = f"http://127.0.0.1:{self.port + peer}{path}"
        try:
            with urllib.request.urlopen(url, timeout=0.5) as answer:
                found = json.load(answer)
        except (OSError, ValueError):
            return None
        assert isinstance(found, dict)
        return found

    def post(self, peer: int, path: str, body: dict[str, object], key: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port + peer}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Idempotency-Key": key},
        )
        with urllib.request.urlopen(request, timeout=15) as answer:
            found = json.load(answer)
        assert isinstance(found, dict)
        return found

    def own(self, peer: int) -> dict[str, Any] | None:
        """Return what a peer says of itself."""
        found = self.ask(peer, "/v1/ring")
        if found is None:
            return None
        lines = [p for p in found["peers"] if p["id"] == peer and "pid" in p]
        return {**lines[0], "commit_index": found["commit_index"]} if lines else None

    def trader(self) -> dict[str, Any] | None:
        """Return the line of the peer that says that it is the trader."""
        for peer in range(self.peers):
            line = self.own(peer)
            if line is not None and line["trader"] == peer:
                return line
        return None

    def settled(self) -> dict[str, Any] | None:
        """Return the trader's line once every peer follows it and has caught up."""
        trader = self.trader()
        if trader is None:
            return None
        lines = [self.own(peer) for peer in range(self.peers)]
        for line in lines:
            if line is None or line["trader"] != trader["id"] or line["epoch"] != trader["epoch"]:
                return None
            if trader["applied_index"] - line["applied_index"] > 200:
                return None
        return trader

    async def wait_settled(self, seconds: float = READY_S) -> dict[str, Any]:
        """Wait until `settled`; the asking happens in a thread, so that buyers go on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = await asyncio.to_thread(self.settled)
            if found is not None:
                return found
            if self.process.poll() is not None:
                raise RuntimeError(f"bazaar up ended: {self.errors.read_text()[-800:]}")
            await asyncio.sleep(0.02)
        raise TimeoutError(f"the ring did not settle within {seconds:g} s; logs in {self.data}")

    def end(self) -> None:
        """End the ring, if it has not ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def stop(self) -> dict[str, Any]:
        """End the ring and return its summary."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=30)
        if self.process.returncode:
            raise RuntimeError(f"bazaar up failed: {self.errors.read_text()[-800:]}")
        found = json.loads(out)
        assert isinstance(found, dict)
        return found


@contextlib.contextmanager
def ring(
    peers: int, port: int, *options: str, data: Path | None = None, many_keys: bool = False
) -> Iterator[Ring]:
    """Run a ring for a `with` block; its folder goes with it unless it was named.

    `many_keys`: remember more keys than a user's ring does, for batches at full speed.
    """
    with tempfile.TemporaryDirectory(prefix="bazaar-bench-") as folder:
        path = data or Path(folder) / "ring"
        if many_keys:
            name, limits = ring_folder.new_ring_id(), Limits(keys=8_000_000)
            ring_folder.create(path, ring_folder.RingFile(ring=name, peers=peers, limits=limits))
        rig = Ring(peers, port, path, *options)
        with rig.process:  # closes its pipe
            try:
                yield rig
            finally:
                rig.end()


def kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def until(condition: Callable[[], T | None], what: str, seconds: float = DEADLINE_S) -> T:
    """Poll until the condition gives something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return found
