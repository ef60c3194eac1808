"""What the report admits to lose, each as a fact that holds here (G17)."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from bench.rig import kill
from tests.integration.ring.conftest import (
    Answer,
    StartRing,
    ask,
    bazaar,
    buying,
    deposit,
    events,
    every_order_answered_once,
    lines_of,
    order,
    state_of,
    trader_of,
    until,
)


def test_request_in_flight_is_not_lost_when_the_trader_crashes(
    start: StartRing, folder: Path
) -> None:
    """The report: "the current request for the buyer will get lost in the void"."""
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    assert deposit(rig, 0, "stock", 100_000).status == 200

    with buying(rig) as buyers:
        for _ in range(3):
            trader = trader_of(rig)
            kill(trader["pid"], signal.SIGKILL)
            until(lambda t=trader: (rig.trader() or t)["epoch"] > t["epoch"], "the next reign")  # type: ignore[misc]

    every_order_answered_once(rig, buyers, folder)


def test_two_traders_never_trade_in_one_epoch(start: StartRing, folder: Path) -> None:
    """The report: "election of multiple leaders"; here the old one wakes and says nothing (R1)."""
    rig = start(3, "--no-agents")
    assert deposit(rig, 0, "stock", 100_000).status == 200
    old = trader_of(rig)
    answers: list[Answer] = []
    late = threading.Thread(target=lambda: answers.append(order(rig, old["id"], "drill-late")))

    with buying(rig) as buyers:
        kill(old["pid"], signal.SIGSTOP)
        late.start()
        new = until(
            lambda: (line := rig.trader()) and line["epoch"] > old["epoch"] and line,
            "another trader while the old one is stopped",
        )
        kill(old["pid"], signal.SIGCONT)
        late.join()

    assert new["id"] != old["id"]
    assert answers[0].status in {200, 503, 504}
    assert answers[0].status != 200 or answers[0].body["epoch"] > old["epoch"]
    assert trader_of(rig)["epoch"] > old["epoch"]
    ended = events(rig.data, old["id"], "role_ended")
    assert ("trader", str(old["epoch"])) in {(one["role"], one["epoch"]) for one in ended}
    every_order_answered_once(rig, buyers, folder)


def test_goods_of_a_crashed_seller_still_sell(start: StartRing) -> None:
    """The report: "when sellers crash and availability is shown to the trader, the transaction
    does not actually occur leading to blockages": deposited goods lie in every journal."""
    rig = start(3, "--roles", "buyers=1,sellers=2", "--rate", "0", "--restart-after", "never")

    def offers() -> list[tuple[str, int]]:
        """Item and quantity on offer, where peer 1 has a lot of it."""
        items = ask(rig, 0, "GET /v1/stock").body["items"]
        return [
            (item, offer["on_offer"])
            for item, offer in items.items()
            if any(lot["seller"] == "peer-1" for lot in offer["lots"])
        ]

    until(offers, "peer 1 has offered something")
    kill(next(line["pid"] for line in lines_of(rig) if line["id"] == 1), signal.SIGKILL)
    until(lambda: rig.ask(1, "/healthz") is None, "peer 1 is gone")

    def sold_by_it() -> bool:
        """Buy all that is on offer of something, until a part of it was the dead seller's."""
        for item, quantity in offers():
            body = {"item": item, "quantity": quantity}
            answer = ask(rig, 0, "POST /v1/orders", body).body
            if any(part["seller"] == "peer-1" for part in answer.get("parts", ())):
                return True
        return False

    until(sold_by_it, "a lot of the dead seller is sold")


@pytest.mark.long
def test_ring_that_several_failures_cut_closes_again(start: StartRing, folder: Path) -> None:
    """The report: "the ring gets disconnected on multiple failures" and elects nobody."""
    rig = start(6, "--no-agents", "--restart-after", "0.5")
    assert deposit(rig, 0, "stock", 100_000).status == 200
    pids = {line["id"]: line["pid"] for line in lines_of(rig)}
    trader = trader_of(rig)
    one = (trader["id"] + 2) % 6

    with buying(rig) as buyers:
        for neighbour in (one, (one + 1) % 6):
            kill(pids[neighbour], signal.SIGKILL)
        kill(trader["pid"], signal.SIGKILL)
        until(lambda: (rig.settled() or trader)["epoch"] > trader["epoch"], "the whole ring again")

    every_order_answered_once(rig, buyers, folder)


@pytest.mark.long
def test_ring_recovers_from_any_crash_after_another(start: StartRing, folder: Path) -> None:
    """The report's leader leaves a pickle that the next crash loses; here every disk has all."""
    rig = start(6, "--no-agents", "--restart-after", "0.2")
    assert deposit(rig, 0, "stock", 100_000).status == 200

    with buying(rig) as buyers:
        first = trader_of(rig)
        kill(first["pid"], signal.SIGKILL)
        second = until(
            lambda: (line := rig.trader()) and line["epoch"] > first["epoch"] and line,
            "the second trader",
        )
        kill(second["pid"], signal.SIGKILL)
        until(lambda: (rig.settled() or second)["epoch"] > second["epoch"], "the third trader")
    before = state_of(rig, 0)
    pids = [rig.process.pid, *(line["pid"] for line in lines_of(rig))]
    for pid in pids:
        kill(pid, signal.SIGKILL)
    rig.process.wait()
    again = start(6, "--no-agents")

    assert trader_of(again)["epoch"] > second["epoch"]
    assert all(state_of(again, peer) == before for peer in range(6))
    assert deposit(again, 3, "more").status == 200
    every_order_answered_once(again, buyers, folder)


def test_audit_of_a_ring_that_was_killed_needs_no_restart(start: StartRing, folder: Path) -> None:
    rig = start(3, "--no-agents")
    assert deposit(rig, 0, "stock").status == 200
    order(rig, 1, "only")
    pids = [rig.process.pid, *(line["pid"] for line in lines_of(rig))]

    for pid in pids:
        kill(pid, signal.SIGKILL)
    rig.process.wait()
    listed = folder / "acknowledged.txt"
    listed.write_text("anonymous stock\nanonymous only\n")

    assert bazaar("verify", rig.data, "--acknowledged", listed).returncode == 0
