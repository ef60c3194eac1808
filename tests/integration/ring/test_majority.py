"""Without a majority nothing is taken, and nothing that was acknowledged is lost."""

from __future__ import annotations

import signal

from bench.rig import kill
from tests.integration.ring.conftest import (
    StartRing,
    ask,
    bazaar,
    deposit,
    lines_of,
    order,
    trader_of,
    until,
)


def test_ring_without_a_majority_refuses_at_the_deadline_and_resumes_by_itself(
    start: StartRing,
) -> None:
    """R13 e: 503 if it was never sent, else 504; a retry with the same key is harmless."""
    rig = start(3, "--no-agents", "--restart-after", "3")
    assert deposit(rig, 0, "stock").status == 200
    before = order(rig, 1, "before", 3).body
    trader = trader_of(rig)
    pids = {line["id"]: line["pid"] for line in lines_of(rig)}
    survivor = next(peer for peer in pids if peer != trader["id"])

    for peer in pids:
        if peer != survivor:
            kill(pids[peer], signal.SIGKILL)
    refused = order(rig, survivor, "during", Bazaar_Deadline="0.3")
    read = ask(rig, survivor, "GET /v1/stock")
    resumed = until(
        lambda: (answer := order(rig, survivor, "during")).status == 200 and answer,
        "trading resumes",
    )
    trader_of(rig)

    assert refused.status in {503, 504}
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert refused.body["status"] == refused.status
    assert read.status == 200
    assert resumed.body["epoch"] > before["epoch"]
    assert order(rig, 0, "before", 3).body == before
    sold = ask(rig, 2, "GET /v1/accounts?consistency=linearizable").body["totals"]["goods"]["salt"]
    assert sold["sold"] == 4
    rig.stop()
    assert bazaar("verify", rig.data).returncode == 0
