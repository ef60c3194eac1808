"""G5: twelve faults of real processes under load; nothing acknowledged is lost or doubled.

CI runs each once with three and with five peers. The whole matrix, twenty times with six as well:

    pytest tests/integration/ring/test_process_matrix.py --matrix 20
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.buyers import Buyers
from bench.rig import Ring, kill
from tests.integration.ring.conftest import (
    StartRing,
    ask,
    buying,
    deposit,
    every_order_answered_once,
    lines_of,
    trader_of,
    until,
)

ORDERS_PER_SECOND = 200.0
BUYERS = 8


class Hurt:
    """A ring under load, as a fault sees it: who trades, who follows, by which process."""

    def __init__(self, rig: Ring, buyers: Buyers) -> None:
        self.rig, self.buyers = rig, buyers
        self.trader = trader_of(rig)
        self.pids: dict[int, int] = {line["id"]: line["pid"] for line in lines_of(rig)}
        self.followers = [peer for peer in self.pids if peer != self.trader["id"]]
        self.majority = self.followers[: rig.peers // 2 + 1]

    def signal(self, number: signal.Signals, *peers: int) -> None:
        for peer in peers:
            kill(self.pids[peer], number)

    def traded_on(self) -> None:
        """Wait until more has been bought than could have been under way."""
        enough = len(self.buyers.acknowledged) + 2 * BUYERS
        until(lambda: len(self.buyers.acknowledged) > enough, "the buyers buy on")

    def deposed(self) -> dict[str, Any]:
        """Wait for a trader of a higher epoch, and return its line."""

        def next_reign() -> dict[str, Any] | None:
            line = self.rig.trader()
            return line if line and line["epoch"] > self.trader["epoch"] else None

        return until(next_reign, "another reign")

    def replaced(self, *peers: int) -> None:
        """Wait until these peers run again, in other processes, and the ring is whole."""

        def whole() -> bool:
            if self.rig.settled() is None:
                return False
            return all(
                line["pid"] != self.pids[line["id"]]
                for line in lines_of(self.rig)
                if line["id"] in peers
            )

        until(whole, f"peers {peers} in new processes")


def trader_killed(ring: Hurt) -> None:
    ring.signal(signal.SIGKILL, ring.trader["id"])
    ring.deposed()
    ring.replaced(ring.trader["id"])


def follower_killed(ring: Hurt) -> None:
    ring.signal(signal.SIGKILL, ring.followers[0])
    ring.replaced(ring.followers[0])


def successor_killed_too(ring: Hurt) -> None:
    ring.signal(signal.SIGKILL, ring.trader["id"])
    successor = ring.deposed()
    kill(successor["pid"], signal.SIGKILL)
    ring.replaced(ring.trader["id"], successor["id"])


def majority_killed(ring: Hurt) -> None:
    ring.signal(signal.SIGKILL, *ring.majority)
    ring.replaced(*ring.majority)


def everybody_killed(ring: Hurt) -> None:
    ring.signal(signal.SIGKILL, *ring.pids)
    ring.replaced(*ring.pids)


def trader_stopped(ring: Hurt) -> None:
    ring.signal(signal.SIGSTOP, ring.trader["id"])
    ring.deposed()
    ring.traded_on()
    ring.signal(signal.SIGCONT, ring.trader["id"])


def follower_stopped(ring: Hurt) -> None:
    ring.signal(signal.SIGSTOP, ring.followers[0])
    ring.traded_on()
    ring.signal(signal.SIGCONT, ring.followers[0])


def majority_stopped(ring: Hurt) -> None:
    """The trader notices that nobody follows it, and takes nothing until they wake."""
    ring.signal(signal.SIGSTOP, *ring.majority)
    until(lambda: (line := ring.rig.own(ring.trader["id"])) and line["role"] != "trader", "the end")
    ring.signal(signal.SIGCONT, *ring.majority)
    ring.deposed()


def trader_killed_while_a_follower_sleeps(ring: Hurt) -> None:
    """The sleeper wakes into a reign that it has not seen begin; with three, it is needed."""
    sleeper = ring.followers[0]
    ring.signal(signal.SIGSTOP, sleeper)
    ring.traded_on()
    ring.signal(signal.SIGKILL, ring.trader["id"])
    until(lambda: ring.rig.ask(ring.trader["id"], "/healthz") is None, "the trader is gone")
    ring.signal(signal.SIGCONT, sleeper)
    ring.deposed()
    ring.replaced(ring.trader["id"])


def trader_asked_to_leave(ring: Hurt) -> None:
    ring.signal(signal.SIGTERM, ring.trader["id"])
    ring.deposed()


def follower_asked_to_leave(ring: Hurt) -> None:
    ring.signal(signal.SIGTERM, ring.followers[-1])
    ring.replaced(ring.followers[-1])


def trader_resigns(ring: Hurt) -> None:
    assert ask(ring.rig, ring.trader["id"], "POST /v1/resign", {}).status == 202
    ring.deposed()


FAULTS: list[Callable[[Hurt], None]] = [
    trader_killed,
    follower_killed,
    successor_killed_too,
    majority_killed,
    everybody_killed,
    trader_stopped,
    follower_stopped,
    majority_stopped,
    trader_killed_while_a_follower_sleeps,
    trader_asked_to_leave,
    follower_asked_to_leave,
    trader_resigns,
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    runs = int(metafunc.config.getoption("--matrix"))
    sizes = [3, 5, 6] if runs else [3, 5]
    metafunc.parametrize("run", range(max(1, runs)))
    metafunc.parametrize("peers", sizes)
    metafunc.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)


def test_no_fault_loses_or_doubles_what_was_acknowledged(
    start: StartRing, folder: Path, fault: Callable[[Hurt], None], peers: int, run: int
) -> None:
    """G5: every order is answered, and `verify` finds each once, goods and money conserved."""
    rig = start(peers, "--no-agents", "--restart-after", "0.2", data=folder / f"ring{run}")
    assert deposit(rig, 0, "stock", 100_000).status == 200

    with buying(rig, BUYERS, ORDERS_PER_SECOND) as buyers:
        ring = Hurt(rig, buyers)
        try:
            fault(ring)
        finally:
            ring.signal(signal.SIGCONT, *ring.pids)  # who still sleeps would outlive the ring
        trader_of(rig)

    every_order_answered_once(rig, buyers, folder)
