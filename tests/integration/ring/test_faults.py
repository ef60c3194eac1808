"""What a person does to a peer from the live page: any peer does it, and it stands in the story."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import Any

from bazaar_peer.command.recording import collected
from bench.rig import Ring, kill
from tests.integration.ring.conftest import (
    DEADLINE_S,
    StartRing,
    ask,
    deposit,
    order,
    trader_of,
    until,
)


def do(rig: Ring, through: int, what: str, peer: int) -> int:
    return ask(rig, through, "POST /v1/faults", {"what": what, "peer": peer}).status


def other(rig: Ring, peer: int) -> int:
    return next(one for one in range(rig.peers) if one != peer)


def next_trader(rig: Ring, old: int) -> int:
    def found() -> int | None:
        trader = rig.trader()
        return int(trader["id"]) + 1 if trader is not None and trader["id"] != old else None

    return until(found, f"another trader than {old}") - 1


async def faults(rig: Ring, through: int, count: int) -> list[dict[str, Any]]:
    """Return what the ring's story tells of faults, once it tells of so many."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            told = (await collected(f"http://127.0.0.1:{rig.ports[through]}", 0)).entries
            found = [one for one in told if one["kind"] == "fault"]
            if len(found) >= count:
                return found


async def test_a_paused_trader_is_replaced_and_resumed_by_another_peer(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    deposit(rig, 0, "stock")
    old = int(trader_of(rig)["id"])
    assert do(rig, old, "paused", old) == 200  # by itself: its answer comes before it stops
    new = next_trader(rig, old)
    assert rig.own(old) is None
    assert do(rig, new, "resumed", old) == 200
    trader_of(rig)
    assert order(rig, old, "behind").status == 200

    told = await faults(rig, new, 2)
    assert [(one["peer"], one["what"]) for one in told] == [(old, "paused"), (old, "resumed")]


async def test_a_peer_that_is_cut_off_stops_to_trade_until_it_is_healed(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    old = int(trader_of(rig)["id"])
    through = other(rig, old)
    assert do(rig, through, "cut", old) == 200
    next_trader(rig, old)
    assert do(rig, through, "healed", old) == 200
    assert trader_of(rig)["epoch"] > 1
    cut, healed = await faults(rig, through, 2)
    assert (cut["peer"], cut["what"], cut["seconds"]) == (old, "cut", 60.0)
    assert cut["others"] == [one for one in range(3) if one != old]
    assert (healed["peer"], healed["what"]) == (old, "healed")


async def test_a_cut_that_heals_by_itself_is_told(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    trader = int(trader_of(rig)["id"])
    victim = other(rig, trader)
    body = {"peers": [trader], "seconds": 0.3}
    assert ask(rig, victim, "POST /v1/cut", body).status == 200
    cut, healed = await faults(rig, trader, 2)
    assert (cut["peer"], cut["what"], cut["others"]) == (victim, "cut", [trader])
    assert (healed["peer"], healed["what"]) == (victim, "healed")
    assert healed["at"] - cut["at"] >= cut["seconds"] == 0.3


def is_anew(rig: Ring, peer: int, pid: int) -> bool:
    return bool((rig.own(peer) or {"pid": pid})["pid"] != pid)


async def test_a_killed_peer_is_started_again_and_its_death_is_told_once(start: StartRing) -> None:
    """By itself, by another one, and by who is no peer: `bazaar up` notes that one alone."""
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    victim = other(rig, int(trader_of(rig)["id"]))
    through = other(rig, victim)
    for by in (victim, through, None):
        pid = int((rig.own(victim) or {})["pid"])
        if by is None:
            kill(pid, signal.SIGKILL)
        else:
            assert do(rig, by, "killed", victim) == 200
        until(partial(is_anew, rig, victim, pid), "a new process")
    told = await faults(rig, through, 3)
    assert [(one["peer"], one["what"]) for one in told] == [(victim, "killed")] * 3


def test_a_killed_peer_that_answers_again_has_what_was_committed_meanwhile(
    start: StartRing,
) -> None:
    rig = start(3, "--no-agents", "--restart-after", "1")
    trader = int(trader_of(rig)["id"])
    victim = other(rig, trader)
    pid = int((rig.own(victim) or {})["pid"])
    kill(pid, signal.SIGKILL)
    for number in range(100):
        assert deposit(rig, trader, f"meanwhile-{number}").status == 200

    first = until(lambda: line if (line := rig.own(victim)) and line["pid"] != pid else None, "it")

    assert first["trader"] == trader
    assert first["applied_index"] >= 100


def test_what_cannot_be_done_is_said(start: StartRing) -> None:
    rig = start(3, "--no-agents", "--restart-after", "never")
    victim = other(rig, int(trader_of(rig)["id"]))
    through = other(rig, victim)
    wrong = ask(rig, through, "POST /v1/faults", {"what": "killed", "peer": 7})
    assert (wrong.status, wrong.body["field"]) == (400, "peer")
    assert ask(rig, through, "POST /v1/faults", {"what": "eaten", "peer": 1}).status == 400
    assert do(rig, through, "killed", victim) == 200
    until(lambda: rig.own(victim) is None or None, "it is gone")
    gone = ask(rig, through, "POST /v1/faults", {"what": "killed", "peer": victim})
    assert gone.status == 409
    assert "is not running on this machine" in gone.body["detail"]
