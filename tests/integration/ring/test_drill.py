"""`bazaar drill` on a real ring: each kind does what it says, loses nothing, and is undone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.rig import Ring
from tests.integration.ring.conftest import (
    StartRing,
    ask,
    bazaar,
    deposit,
    drilled,
    events,
    handed_over,
    lines_of,
    order,
    trader_of,
    until,
)


def drill(rig: Ring, kind: str, *words: object, code: int = 0) -> dict[str, Any]:
    """Drill a ring by way of a peer that is not its first; return drill.json."""
    url = f"http://127.0.0.1:{rig.port + 1}"
    return drilled(kind, "--rate", 100, "--url", url, *words, code=code, seconds=150)


def is_clean(found: dict[str, Any], faults: int) -> None:
    """Nothing lost, doubled or failed, and each fault seen by the orders that were under way."""
    assert (found["lost"], found["twice"], found["verify"]) == (0, 0, "clean")
    counts = found["counts"]
    assert counts["failed"] == counts["rejected"] == 0
    assert counts["sent"] == counts["acknowledged"] == found["orders_sampled_of"] + 1  # the goods
    assert len(found["faults"]) == faults
    assert {one[2] for one in found["orders"]} == {"ok"}
    assert {one[3] for one in found["orders"]} == {0, 1, 2}
    for fault in found["faults"]:
        assert 0 < fault["at"] < fault["first_ok"] < found["seconds"]
        assert fault["gap_ms"] > 0


def test_crash_resign_and_a_dead_follower(start: StartRing, tmp_path: Path) -> None:
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    before = {line["id"]: line["pid"] for line in lines_of(rig)}

    crash = drill(rig, "crash", "--times", 2, "--max-interregnum", 20_000)
    resign = drill(rig, "resign", "--max-interregnum", 20_000)
    follower = drill(rig, "follower")

    is_clean(crash, 2)
    first, second = crash["faults"]
    for fault in (first, second):
        assert fault["victim"] != fault["trader_after"]
        assert fault["epoch_before"] < fault["epoch_after"]
        assert 0 < fault["interregnum_ms"] < 20_000
    assert first["epoch_after"] <= second["epoch_before"]  # a busy machine may elect by itself
    is_clean(resign, 1)
    (planned,) = resign["faults"]
    assert (resign["planned"], crash["planned"]) == (True, False)
    for fault in (first, second, planned):
        assert fault["planned"] is handed_over(rig.data, fault)
    assert planned["victim"] != planned["trader_after"]
    assert 0 < planned["interregnum_ms"] < 20_000
    assert events(rig.data, planned["victim"], "hand_over")
    is_clean(follower, 1)
    (dead,) = follower["faults"]
    assert dead["victim"] != dead["trader_after"]
    assert (dead["interregnum_ms"] is None) == (dead["epoch_after"] == dead["epoch_before"])
    after = {line["id"]: line["pid"] for line in lines_of(rig)}
    hurt = {fault["victim"] for found in (crash, resign, follower) for fault in found["faults"]}
    assert {peer for peer in before if before[peer] != after[peer]} == hurt
    assert bazaar("drill", "drain", "--url", crash["target"]).returncode == 2


def test_trader_that_stands_still_or_is_cut_off_is_replaced_and_comes_back(
    start: StartRing,
) -> None:
    rig = start(3, "--no-agents")
    before = {line["id"]: line["pid"] for line in lines_of(rig)}

    pause = drill(rig, "pause", "--seconds", 0.8)
    cut = drill(rig, "cut", "--seconds", 0.8)
    aside = drill(rig, "cut", "--seconds", 0.8, "--peer", "follower")

    for found in (pause, cut):
        is_clean(found, 1)
        (fault,) = found["faults"]
        assert fault["victim"] != fault["trader_after"]
        assert fault["epoch_after"] > fault["epoch_before"]
        assert fault["interregnum_ms"] > 0
    is_clean(aside, 1)
    assert aside["faults"][0]["victim"] != aside["faults"][0]["trader_after"]
    assert events(rig.data, cut["faults"][0]["victim"], "cut")
    assert before == {line["id"]: line["pid"] for line in lines_of(rig)}
    trader_of(rig)


def test_cut_heals_by_itself_when_nobody_heals_it(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    old = trader_of(rig)
    others = [peer for peer in range(3) if peer != old["id"]]
    body = {"peers": others, "seconds": 1.0}

    status = ask(rig, old["id"], "POST /v1/cut", body).status

    assert status == 200
    until(lambda: (rig.own(others[0]) or old)["epoch"] > old["epoch"], "the others elect")
    assert trader_of(rig)["epoch"] > old["epoch"]  # the old one follows: it hears them again
    assert deposit(rig, old["id"], "stock").status == order(rig, old["id"], "one").status == 200
    assert {own["pid"] for own in lines_of(rig) if own["id"] == old["id"]} == {old["pid"]}


def test_interrupted_drill_undoes_and_sums_up(start: StartRing, tmp_path: Path) -> None:
    rig = start(3, "--no-agents")
    report = tmp_path / "report"
    words = ("pause", "--seconds", "60", "--url", f"http://127.0.0.1:{rig.port}")
    trader = trader_of(rig)
    with subprocess.Popen(
        [sys.executable, "-m", "bazaar_peer", "drill", *words, "--report", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            until(lambda: (rig.own((trader["id"] + 1) % 3) or trader)["epoch"] > trader["epoch"],
                  "the others elect while it stands still")  # fmt: skip
            running.send_signal(signal.SIGINT)
            out, errors = running.communicate(timeout=60)
        finally:
            running.kill()

    assert running.returncode == 1
    assert "no fault was seen to its end" in out
    assert "interrupted after 0 of 1" in out
    assert "Traceback" not in errors
    (again,) = [line for line in out.splitlines() if "--acknowledged" in line]
    command = again.rpartition("bazaar verify ")[2].split()
    assert bazaar("verify", *command).returncode == 0, "the lists are kept, and it is said where"
    assert (report / "orders").read_text()
    assert json.loads((report / "drill.json").read_text())["verify"] == "clean"
    assert trader_of(rig)["epoch"] > trader["epoch"]
    own = rig.own(trader["id"])
    assert own is not None
    assert own["pid"] == trader["pid"]


@pytest.mark.parametrize("kind", ["crash", "pause"])
def test_too_long_an_interregnum_ends_with_1(start: StartRing, kind: str) -> None:
    rig = start(3, "--no-agents", "--restart-after", "0.2")

    found = drill(rig, kind, "--max-interregnum", 0.001, "--seconds", 0.5, code=1)

    is_clean(found, 1)
