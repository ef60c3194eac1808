"""Peers of `bazaar up` are forked off a process that has imported everything, and end as any."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.command import nursery
from bazaar_peer.runtime.process import parent_gone
from bazaar_peer.runtime.processes import peer_of, pid_of
from bench.rig import Ring
from tests.integration.ring.conftest import (
    StartRing,
    bazaar,
    deposit,
    lines_of,
    order,
    take_ports,
    trader_of,
    until,
)

needs_fork = pytest.mark.skipif(not nursery.can_fork(), reason="peers are not forked here")

# ---- the nursery alone, with peers that do as their numbers say

PLANTED = """
import asyncio, errno, json, os, signal, sys, time
from pathlib import Path
from bazaar_peer.command import nursery
from bazaar_peer.runtime import process
from bazaar_peer.runtime.settings import ProcessSettings

RAISES, RETURNS, WAITS, TELLS = range(4)
leaked = open(os.devnull)

def planted(settings, parent):
    if settings.me == RAISES:
        raise RuntimeError("planted")
    if settings.me == WAITS:
        time.sleep(30)
    if settings.me == TELLS:
        files = len(os.listdir("/proc/self/fd"))
        print(parent == os.getppid(), os.getsid(0) == os.getpid(), files, file=sys.stderr)
    return 7

process.main = planted
fork, forks, refused = os.fork, 0, int(sys.argv[2])

def counted():
    global forks
    forks += 1
    if forks == refused:
        raise OSError(errno.EAGAIN, "planted")
    return fork()

os.fork = counted
nurse, errors = nursery.begin(), Path(sys.argv[1])

def start(me):
    return nurse.start(ProcessSettings(me=me, peers=4, ring="planted", volume=""), errors)

async def run():
    STORY

print(json.dumps(asyncio.run(run())))
nurse.close()
"""


def told(story: str, errors: Path, *, refused: int = 0) -> Any:
    """Run a story with planted peers, in a process of its own; return what it returned.

    `refused`: the number of the fork, the nursery's own the first, for which there is no room.
    """
    script = PLANTED.replace("STORY", story.strip())
    done = subprocess.run(
        [sys.executable, "-c", script, errors, str(refused)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


@needs_fork
def test_a_peer_s_end_is_told(tmp_path: Path) -> None:
    story = """
    returns, raises, waits = await start(RETURNS), await start(RAISES), await start(WAITS)
    early = waits.returncode
    codes = [await returns.wait(), await raises.wait()]
    returns.kill()  # has ended: nobody else is hit
    waits.send_signal(signal.SIGKILL)
    return [early, *codes, await waits.wait(), waits.returncode]
    """

    assert told(story, tmp_path / "errors") == [None, 7, 1, -9, -9]
    said = (tmp_path / "errors").read_text()
    assert said.startswith("Traceback")
    assert said.endswith("RuntimeError: planted\n")


@needs_fork
def test_a_peer_has_no_file_and_no_session_of_another(tmp_path: Path) -> None:
    """But its three streams, and the folder that it lists."""
    assert told("return await (await start(TELLS)).wait()", tmp_path / "errors") == 7
    assert (tmp_path / "errors").read_text() == "True True 4\n"


@needs_fork
def test_who_is_not_waited_for_any_more_is_killed(tmp_path: Path) -> None:
    story = """
    seen, take = [], nurse._take
    nurse._take = lambda told: (seen.append(told), take(told))
    first = await start(WAITS)
    asked = asyncio.create_task(start(WAITS))
    await asyncio.sleep(0)
    asked.cancel()
    last = await start(RETURNS)
    while len(nurse._living) > 1:
        await asyncio.sleep(0.01)
    ends = [one for one in seen if isinstance(one, nursery.Ended)]
    killed = [one.code for one in ends if one.pid not in (first.pid, last.pid)]
    return [killed, list(nurse._living) == [first.pid], asked.cancelled()]
    """

    assert told(story, tmp_path / "errors") == [[-9], True, True]


@needs_fork
def test_a_nursery_that_is_gone_forks_nobody(tmp_path: Path) -> None:
    story = """
    waits = await start(WAITS)
    os.kill(nurse._pid, signal.SIGKILL)
    ends = [await waits.wait()]
    for _ in range(2):
        try:
            await start(RETURNS)
        except ConnectionError:
            ends.append("gone")
    os.kill(waits.pid, signal.SIGKILL)
    return ends
    """

    assert told(story, tmp_path / "errors") == [nursery.ORPHANED, "gone", "gone"]


@needs_fork
def test_peers_live_on_where_there_is_no_room_for_another(tmp_path: Path) -> None:
    story = """
    first = await start(WAITS)
    try:
        await start(RETURNS)
    except OSError as no_room:
        said = str(no_room)
    third = await start(RETURNS)
    ends = [await third.wait(), first.returncode]
    first.kill()
    return [said, *ends, await first.wait()]
    """

    said, *ends = told(story, tmp_path / "errors", refused=3)
    assert "temporarily unavailable" in said
    assert ends == [7, None, -9]


def test_where_processes_have_no_descriptors_nobody_is_forked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_pid: int) -> int:
        raise OSError(errno.ENOSYS, "planted")

    monkeypatch.setattr(os, "pidfd_open", refused, raising=False)
    assert not nursery.can_fork()


# ---- a ring


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pids_of(rig: Ring) -> list[int]:
    return [int(line["pid"]) for line in lines_of(rig)]


@needs_fork
def test_ring_goes_on_without_its_nursery(start: StartRing, folder: Path) -> None:
    """Whose parent is gone ends; each is started as a program of its own then."""
    rig = start(3, "--no-agents", "--restart-after", "0.1")
    assert deposit(rig, 0, "stock").status == 200
    ring, before = json.loads((rig.data / "ring.json").read_text())["ring"], pids_of(rig)
    assert [peer_of(pid) for pid in before] == [(ring, peer) for peer in range(3)]
    [nurse] = {parent_of(pid) for pid in before}
    assert b"bazaar: nursery of peers" in Path(f"/proc/{nurse}/cmdline").read_bytes()

    os.kill(nurse, signal.SIGKILL)
    after = until(lambda: pids_of(rig) if not set(pids_of(rig)) & set(before) else None, "others")

    trader_of(rig)
    assert order(rig, 0, "one").status == 200
    assert {parent_of(pid) for pid in after} == {rig.process.pid}
    assert [peer_of(pid) for pid in after] == [(ring, peer) for peer in range(3)]
    assert rig.stop()["epoch"] > 1
    assert "the process that forks peers is gone" in rig.errors.read_text()
    assert bazaar("verify", rig.data).stdout.splitlines()[-1] == "no violation found"


async def test_a_parent_that_was_gone_from_the_start_is_missed_at_once() -> None:
    """`bazaar up` that is killed while its peers still start left a ring that traded on."""
    await asyncio.wait_for(parent_gone(os.getpid()), 0.5)


@needs_fork
def test_nobody_is_left_of_a_ring_that_is_killed_while_it_starts(folder: Path) -> None:
    rig = Ring(3, take_ports(3), folder / "ring", "--no-agents")
    made = folder / "ring" / "ring.json"
    ring = until(lambda: json.loads(made.read_text())["ring"] if made.exists() else None, "a ring")
    until(lambda: pid_of(ring, 0), "a peer that starts")
    rig.process.kill()
    rig.process.communicate()

    until(lambda: not any(pid_of(ring, peer) for peer in range(3)), "nobody is left")


def test_ring_trades_where_nothing_can_be_forked(folder: Path) -> None:
    program = (
        "from bazaar_peer.command import nursery; nursery.can_fork = lambda: False; "
        "from bazaar_peer.__main__ import main; main()"
    )
    words = ("up", "--peers", 2, "--rate", 50, "--duration", 2, "--json", "--port", take_ports(2))
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words), "--data", folder / "ring"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done
    assert json.loads(done.stdout)["filled"] > 0
    assert "is gone" not in done.stderr
