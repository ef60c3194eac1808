"""Rings of real processes, one a test: started, asked, hurt, and stopped by their own pids.

`until` is the only synchronisation: it polls a condition and gives up at a deadline that is far
beyond anything that a sound ring needs, so no test measures time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bazaar_peer.runtime.logs import parse
from bench.buyers import Buyers
from bench.rig import DEADLINE_S, Ring, ring, until
from tests.integration.ring.killer import Killer

__all__ = ["DEADLINE_S", "until"]

FIRST_PORT, BLOCK = 12_000, 20
PEER_PORTS = 1000
"""`bazaar up` lets peers talk to each other so much above their client ports."""


class Ports:
    """Hands out port ranges of a block that belongs to this process, by a lock, until it ends."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / "ring-test-ports"
        folder.mkdir(exist_ok=True)
        for block in count(FIRST_PORT, BLOCK):
            assert block < FIRST_PORT + PEER_PORTS, "every block of ports is in use"
            lock = os.open(folder / str(block), os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                break
        self.block = self.next = block

    def take(self, peers: int) -> int:
        """Return the first of so many ports that are free, as those of the peers above them are."""

        def free() -> int | None:
            if self.next + peers > self.block + BLOCK:
                self.next = self.block
            port, self.next = self.next, self.next + peers
            both = [*_range(port, peers), *_range(port + PEER_PORTS, peers)]
            return port if all(map(_is_free, both)) else None

        return until(free, "free ports")


def _range(first: int, count: int) -> range:
    return range(first, first + count)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@cache
def _ports() -> Ports:
    return Ports()


def take_ports(peers: int) -> int:
    return _ports().take(peers)


def bazaar(*words: object, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bazaar_peer", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def one_object(*words: object) -> dict[str, Any]:
    """Run a command that must succeed; standard output holds exactly one object."""
    done = bazaar(*words, "--json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def drilled(kind: str, *words: object, code: int = 0, seconds: float = 200.0) -> dict[str, Any]:
    """Drill without pictures; return drill.json."""
    done = bazaar("drill", kind, "--no-report", "--json", *words, seconds=seconds)
    assert done.returncode == code, done
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


def ask(
    rig: Ring,
    peer: int,
    request: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request, such as `GET /v1/stock`, to one peer."""
    method, path = request.split()
    connection = http.client.HTTPConnection("127.0.0.1", rig.port + peer, timeout=75)
    head = dict(headers or {})
    data = None
    if body is not None:
        data, head["Content-Type"] = json.dumps(body), "application/json"
    try:
        connection.request(method, path, data, head)
        answer = connection.getresponse()
        text = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, json.loads(text) if text else {})
    finally:
        connection.close()


def order(rig: Ring, peer: int, key: str, quantity: int = 1, **headers: str) -> Answer:
    """Order salt under a key."""
    head = {"Idempotency-Key": key, **{name.replace("_", "-"): v for name, v in headers.items()}}
    return ask(rig, peer, "POST /v1/orders", {"item": "salt", "quantity": quantity}, head)


def deposit(rig: Ring, peer: int, key: str, quantity: int = 1000, price: int = 5) -> Answer:
    body = {"item": "salt", "quantity": quantity, "price": price, "seller": "ali"}
    return ask(rig, peer, "POST /v1/deposits", body, {"Idempotency-Key": key})


def events(data: Path, peer: int, *names: str) -> list[dict[str, str]]:
    """Return the events of these names in a peer's log, oldest first."""
    log = data / "logs" / f"peer-{peer}.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [event for line in lines if (event := parse(line)).get("event") in names]


def halts(data: Path, peers: int) -> list[str]:
    """Return why peers have halted, by their logs."""
    return [one["reason"] for peer in range(peers) for one in events(data, peer, "halted")]


def reigns(data: Path, peers: int) -> list[int]:
    """Return the epochs of all reigns, by the peers' logs: a busy machine loses a trader more."""
    begun = [one for peer in range(peers) for one in events(data, peer, "reign_begun")]
    return sorted(int(one["epoch"]) for one in begun)


def handed_over(data: Path, fault: dict[str, Any]) -> bool:
    """Tell whether the reign behind a drill's fault was handed over, by its trader's own log.

    On a busy machine a hand-over may fall back to an election, or another one may follow.
    """
    nominees = events(data, fault["trader_after"], "nominee")
    begun = [one for one in nominees if one["epoch"] == str(fault["epoch_after"])]
    return fault["reigns"] == 1 and bool(begun) and begun[-1]["transfer"] != "0"


def trader_of(rig: Ring) -> dict[str, Any]:
    """Return the trader's line once everybody follows it."""
    return until(rig.settled, f"a trader that all follow; logs in {rig.data}")


def lines_of(rig: Ring) -> list[dict[str, Any]]:
    """Return what each peer says of itself, once all answer."""

    def all_answer() -> list[dict[str, Any]] | None:
        lines = [line for peer in range(rig.peers) if (line := rig.own(peer)) is not None]
        return lines if len(lines) == rig.peers else None

    return until(all_answer, "every peer answers")


def state_of(rig: Ring, peer: int) -> dict[str, Any]:
    """Return all that a client can see of the market at one peer, linearizably."""
    sight = "?consistency=linearizable"
    accounts = ask(rig, peer, f"GET /v1/accounts{sight}").body
    stock = ask(rig, peer, f"GET /v1/stock{sight}").body
    return {"accounts": accounts["accounts"], "totals": accounts["totals"], **stock["items"]}


@contextlib.contextmanager
def buying(rig: Ring, count: int = 4, rate: float = 80.0) -> Iterator[Buyers]:
    """Keep keyed buyers at it for a `with` block; every order that began ends with it."""
    buyers = Buyers(rig.ports, count, rate)
    thread = threading.Thread(target=asyncio.run, args=(buyers.run(),))
    thread.start()
    try:
        until(lambda: len(buyers.acknowledged) > count, "the buyers buy")
        yield buyers
        so_far = len(buyers.acknowledged)
        until(lambda: len(buyers.acknowledged) > so_far + count, "the buyers still buy")
    finally:
        buyers.stopped = True
        thread.join()


def every_order_answered_once(rig: Ring, buyers: Buyers, folder: Path) -> None:
    """Stop the ring; assert that no order went unanswered and that none took effect twice."""
    assert [one for one in buyers.orders if one.status != 200] == []
    rig.stop()
    listed = folder / "acknowledged.txt"
    buyers.write_acknowledged(listed)
    audit = bazaar("verify", rig.data, "--acknowledged", listed)
    assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "no violation found"), audit


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a ring, removed with its 80 MiB a peer; its logs stay among pytest's files."""
    with tempfile.TemporaryDirectory(prefix="ring-test-") as path:
        yield Path(path)
        for logs in Path(path).glob("**/logs"):
            shutil.copytree(logs, tmp_path / logs.parent.name)


StartRing = Callable[..., Ring]


@pytest.fixture
def start(folder: Path) -> Iterator[StartRing]:
    """Start a ring and wait until it has a trader; at the end it is stopped.

    No peer may have halted: it does so where it finds a bug of its own, and is started again.
    """
    begun: list[Ring] = []
    with contextlib.ExitStack() as stack:

        def begin(peers: int, *options: str, data: Path | None = None, room: int = 0) -> Ring:
            """`room`: so many peers the ring may have later."""
            path, port = data or folder / "ring", take_ports(max(peers, room))
            rig = stack.enter_context(ring(peers, port, *options, data=path))
            begun.append(rig)
            trader_of(rig)
            return rig

        yield begin
    assert [halts(rig.data, rig.peers) for rig in begun] == [[]] * len(begun)


@pytest.fixture(scope="session")
def killer() -> Killer:
    """Audit hooks stay for ever, so there is one."""
    return Killer()


@pytest.fixture(scope="module")
def trading() -> Iterator[Ring]:
    """A ring of three with salt on offer, for tests that do not hurt it."""
    with ring(3, take_ports(3), "--no-agents") as rig:
        trader_of(rig)
        assert deposit(rig, 0, "stock", 100_000).status == 200
        yield rig
