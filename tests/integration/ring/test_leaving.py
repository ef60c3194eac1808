"""A trader that leaves or resigns hands over (R11): nobody's order fails."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from bench.rig import kill
from tests.integration.ring.conftest import (
    StartRing,
    ask,
    buying,
    deposit,
    events,
    every_order_answered_once,
    trader_of,
    until,
)


def test_trader_that_is_asked_to_leave_hands_over(start: StartRing, folder: Path) -> None:
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    assert deposit(rig, 0, "stock", 100_000).status == 200
    old = trader_of(rig)

    with buying(rig) as buyers:
        kill(old["pid"], signal.SIGTERM)
        until(lambda: (rig.settled() or old)["epoch"] > old["epoch"], "the ring with another")

    assert [event["epoch"] for event in events(rig.data, old["id"], "successor_named")]
    every_order_answered_once(rig, buyers, folder)


def test_trader_resigns_in_favour_of_a_named_peer(start: StartRing, folder: Path) -> None:
    rig = start(3, "--no-agents")
    assert deposit(rig, 0, "stock", 100_000).status == 200
    old = trader_of(rig)
    wish = (old["id"] + 1) % 3

    taken: list[int] = []

    def its_reign() -> dict[str, Any] | None:
        """Ask whoever trades: a busy machine may have lost a trader in between."""
        line = rig.settled()
        if line and line["id"] != wish:
            taken.append(ask(rig, line["id"], "POST /v1/resign", {"successor": wish}).status)
            time.sleep(0.5)
        return line if line and line["id"] == wish else None

    with buying(rig) as buyers:
        refused = ask(rig, wish, "POST /v1/resign", {"successor": wish})
        new = until(its_reign, "its reign")

    assert refused.status == 409
    assert 202 in taken
    named = [one for peer in range(3) for one in events(rig.data, peer, "successor_named")]
    assert str(wish) in {one["successor"] for one in named}
    assert new["epoch"] > old["epoch"]
    assert trader_of(rig)["id"] == wish
    every_order_answered_once(rig, buyers, folder)
