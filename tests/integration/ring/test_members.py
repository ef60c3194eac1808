"""Members come and go while the ring trades: grow, shrink, lose a disk, come back (R10, R14)."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from bench.rig import Ring, kill
from tests.integration.ring.conftest import (
    StartRing,
    bazaar,
    buying,
    deposit,
    every_order_answered_once,
    lines_of,
    order,
    trader_of,
    until,
)


def members(rig: Ring) -> list[tuple[int, int, bool]]:
    """Return (ordinal, incarnation, voter) of each committed member, as peer 0 knows them."""
    found: dict[str, Any] = rig.ask(0, "/v1/ring") or {"peers": []}
    return [(peer["id"], peer["incarnation"], peer["voter"]) for peer in found["peers"]]


def scale(rig: Ring, size: int) -> None:
    done = bazaar("scale", size, "--data", rig.data, "--timeout", 40)
    assert done.returncode == 0, done
    rig.peers = size


def readmitted(rig: Ring, ordinal: int, incarnation: int = 1) -> bool:
    return (ordinal, incarnation, True) in members(rig)


def own_pid(rig: Ring, peer: int) -> int:
    line = until(lambda: rig.own(peer), f"peer {peer} answers")
    return int(line["pid"])


def restarted(rig: Ring, peer: int) -> None:
    """Kill a peer, and wait until its next process has met the others."""
    before = own_pid(rig, peer)
    kill(before, signal.SIGKILL)

    def back() -> bool:
        line = rig.own(peer)
        return line is not None and line["pid"] != before and line["trader"] >= 0

    until(back, f"peer {peer} follows again")


def test_ring_grows_and_shrinks_while_it_trades(start: StartRing, folder: Path) -> None:
    """Up by learners that copy first; down from the highest on, the trader by a hand-over."""
    rig = start(3, "--no-agents", room=6)
    deposit(rig, 0, "stock", 1_000_000)
    with buying(rig) as buyers:
        scale(rig, 6)
        assert members(rig) == [(peer, 0, True) for peer in range(6)]
        kill(int(trader_of(rig)["pid"]), signal.SIGTERM)  # hands over; it comes back
        trader_of(rig)
        scale(rig, 3)
        assert members(rig) == [(peer, 0, True) for peer in range(3)]
        scale(rig, 4)
        assert members(rig)[3] == (3, 1, True), "a life is never used twice"
    assert (rig.data / "peer-3/set-aside").is_dir()
    every_order_answered_once(rig, buyers, folder)


@pytest.mark.parametrize("size", [1, 2])
def test_smallest_rings_grow_and_shrink(start: StartRing, size: int) -> None:
    """R9: a peer alone is a majority of itself, and goes on being one of two and of three."""
    rig = start(size, "--no-agents", room=3)
    deposit(rig, 0, "stock", 1000)
    for wanted in (3, 1):
        scale(rig, wanted)
        assert members(rig) == [(peer, 0, True) for peer in range(wanted)]
        assert order(rig, 0, f"of-{wanted}").status == 200


@pytest.mark.parametrize("down", [False, True], ids=["while it runs", "while it is down"])
def test_lost_folder_comes_back_as_a_learner(start: StartRing, folder: Path, down: bool) -> None:
    """R14: an empty disk has no vote until it copied the state and was let in anew."""
    rig = start(3, "--no-agents", "--restart-after", "0.5")
    deposit(rig, 0, "stock", 1_000_000)
    with buying(rig) as buyers:
        trader_of(rig)
        pid = own_pid(rig, 1)
        if down:
            kill(pid, signal.SIGSTOP)
        shutil.rmtree(rig.data / "peer-1")
        kill(pid, signal.SIGKILL)
        until(lambda: readmitted(rig, 1), "peer 1 votes again, under another life")
    every_order_answered_once(rig, buyers, folder)


def test_damaged_folder_is_set_aside_when_its_peer_is_let_in_anew(start: StartRing) -> None:
    """D2: bytes that were acknowledged are gone, so the peer has no vote until R10 is done."""
    rig = start(3, "--no-agents")
    deposit(rig, 0, "stock", 1000)
    rig.stop()
    mark = rig.data / "peer-2/mark"
    mark.write_bytes(bytes(4096))

    again = start(3, "--no-agents", data=rig.data)
    until(lambda: readmitted(again, 2), "peer 2 votes again, under another life")

    assert [path.name for path in (rig.data / "peer-2/set-aside").iterdir()] == ["damaged"]
    assert order(again, 2, "through-the-new-one").status == 200
    again.stop()
    assert bazaar("verify", rig.data).returncode == 0


def test_old_copy_of_a_folder_finds_out_and_comes_back_as_a_learner(
    start: StartRing, folder: Path
) -> None:
    """R14: it has forgotten promises; who met a later boot of that life says so."""
    rig = start(3, "--no-agents", "--restart-after", "1")
    deposit(rig, 0, "stock", 1_000_000)
    with buying(rig) as buyers:
        shutil.copytree(rig.data / "peer-1", folder / "copy")
        for _ in range(2):
            restarted(rig, 1)
        kill(own_pid(rig, 1), signal.SIGKILL)
        shutil.rmtree(rig.data / "peer-1")
        (folder / "copy").rename(rig.data / "peer-1")
        until(lambda: readmitted(rig, 1), "peer 1 votes again, under another life")
    assert (rig.data / "peer-1/set-aside/0-first").is_dir()
    every_order_answered_once(rig, buyers, folder)


def test_two_lost_folders_of_six_come_back(start: StartRing, folder: Path) -> None:
    rig = start(6, "--no-agents", "--restart-after", "0.5")
    deposit(rig, 0, "stock", 1_000_000)
    with buying(rig) as buyers:
        pids = {line["id"]: line["pid"] for line in lines_of(rig)}
        for peer in (1, 4):
            shutil.rmtree(rig.data / f"peer-{peer}")
            kill(pids[peer], signal.SIGKILL)
        until(lambda: readmitted(rig, 1) and readmitted(rig, 4), "both vote again")
    every_order_answered_once(rig, buyers, folder)


def test_lost_majority_is_not_started_and_names_the_way_out(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    rig.stop()
    for peer in (0, 2):
        shutil.rmtree(rig.data / f"peer-{peer}")

    refused = bazaar("up", "--data", rig.data, "--port", rig.port, "--duration", 1)

    assert refused.returncode == 1
    assert "bazaar recover" in refused.stderr
    assert (rig.data / "peer-1/identity").exists()
