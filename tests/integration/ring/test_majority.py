"""Without a majority nothing is taken, and nothing that was acknowledged is lost."""

from __future__ import annotations

import signal

from bench.rig import kill
from tests.integration.ring.conftest import (
    Answer,
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

    for peer, pid in pids.items():
        if peer != survivor:
            kill(pid, signal.SIGKILL)
    refused = order(rig, survivor, "during", Bazaar_Deadline="0.3")
    read = ask(rig, survivor, "GET /v1/stock")

    def again() -> Answer | None:
        answer = order(rig, survivor, "during")
        return answer if answer.status == 200 else None

    resumed = until(again, "trading resumes")
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
