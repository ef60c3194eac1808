"""Which process a peer is: nothing is ever signalled that is not that very peer of that very ring.

A pid comes from a peer's own answer, and could be of another machine, of a container, or of what
has got the number since. So the process itself is asked: it has the peer's name for a title.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from setproctitle import setproctitle

from bazaar_peer.runtime.settings import ProcessSettings, encode_settings

TITLE = re.compile(r"bazaar: peer (\d+) of ring (\S+)")
"""What `ps` shows in place of a peer's command line, which would be that of whatever forked it."""
GONE_S = 30.0
"""A peer that was asked to leave is gone by then: it gives itself 20 s."""
LOOK_S = 0.005


class NotOursError(Exception):
    """Nothing was signalled; the text says why."""


def program_of(settings: ProcessSettings) -> tuple[str, ...]:
    """Return the command line of a peer that is a child of this process."""
    program = (sys.executable, "-m", "bazaar_peer.runtime.process")
    return (*program, encode_settings(settings), str(os.getpid()))


def title_of(ring: str, peer: int) -> str:
    return f"bazaar: peer {peer} of ring {ring}"


def name_itself(title: str) -> None:
    """Show everybody on this machine what this process is."""
    setproctitle(title)


def pid_of(ring: str, peer: int) -> int:
    """Return the process that runs a peer on this machine, standing still or not; 0: there is none.

    What does not answer any more can be found by its title alone.
    """
    return next((pid for pid in _pids() if peer_of(pid) == (ring, peer)), 0)


def _pids() -> list[int]:
    if Path("/proc/self/cmdline").exists():
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    told = subprocess.run(
        ["ps", "-axo", "pid="],  # noqa: S607 - where it lies differs
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return [int(word) for word in told.stdout.split() if word.isdecimal()]


def peer_of(pid: int) -> tuple[str, int] | None:
    """Return the ring and the peer that a process of this machine runs; None: it runs none."""
    found = TITLE.fullmatch(_command(pid).strip())
    return (found[2], int(found[1])) if found else None


def _command(pid: int) -> str:
    """Return a process's command line, its words with spaces between; empty: there is none."""
    if pid <= 1:
        return ""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            return ""
    told = subprocess.run(  # noqa: S603 - a number and our own words
        ["ps", "-ww", "-o", "args=", "-p", str(pid)],  # noqa: S607 - where it lies differs
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return told.stdout


def send(pid: int, number: signal.Signals, ring: str, peer: int) -> None:
    """Signal a peer's process.

    Raises:
        NotOursError: it is not that peer's, or not ours to signal.
    """
    if peer_of(pid) != (ring, peer):
        raise NotOursError(
            f"process {pid} is not peer {peer} of ring {ring} on this machine, and is left alone: "
            "`bazaar drill --url` is for a ring that `bazaar up` runs here"
        )
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise NotOursError(f"peer {peer} (process {pid}) ended by itself just now") from None
    except PermissionError:
        raise NotOursError(
            f"peer {peer} (process {pid}) belongs to another user: run the drill as who runs "
            "`bazaar up`"
        ) from None


async def gone(pid: int, ring: str, peer: int) -> None:
    """Wait until a peer's process has ended.

    Raises:
        NotOursError: it has not within `GONE_S`.
    """
    until = time.monotonic() + GONE_S
    while peer_of(pid) == (ring, peer):
        if time.monotonic() > until:
            raise NotOursError(f"peer {peer} (process {pid}) did not end within {GONE_S:g} s")
        await asyncio.sleep(LOOK_S)
