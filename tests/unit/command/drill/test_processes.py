"""Nothing is signalled that is not that very peer of that very ring."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from bazaar_peer.runtime.processes import NotOursError, peer_of, pid_of, send, title_of

Starts = Callable[[str], subprocess.Popen[bytes]]
NAMED = """
import sys
from bazaar_peer.runtime.processes import name_itself
name_itself(sys.argv[1])
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def started() -> Iterator[Starts]:
    """Start processes that wait for ever, with any title."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(title: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", NAMED, title]
        one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        processes.append(one)
        assert one.stdout is not None
        one.stdout.readline()  # by now the title is its own
        return one

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_peer_is_known_by_its_title_and_may_be_signalled(started: Starts) -> None:
    ring = f"ring-{os.getpid()}"
    peer = started(title_of(ring, 3))

    assert peer_of(peer.pid) == (ring, 3)
    assert pid_of(ring, 3) == peer.pid
    assert pid_of(ring, 4) == 0
    send(peer.pid, signal.SIGKILL, ring, 3)
    assert peer.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    "title",
    [
        "",
        "bazaar: peer of ring fair",
        "bazaar: peer 3 of ring ",
        "bazaar: peer 3 of ring fair and more",
        "less bazaar: peer 3 of ring fair",
        "bazaar: nursery of peers",
    ],
)
def test_foreign_process_is_left_alone(started: Starts, title: str) -> None:
    foreign = started(title)

    with pytest.raises(NotOursError, match="is left alone"):
        send(foreign.pid, signal.SIGKILL, "fair", 3)
    assert foreign.poll() is None


@pytest.mark.parametrize(("ring", "peer"), [("fair", 2), ("other", 3)])
def test_another_peer_and_another_ring_are_left_alone(
    started: Starts, ring: str, peer: int
) -> None:
    """A number that was given again, or told by a peer of another machine."""
    process = started(title_of("fair", 3))

    with pytest.raises(NotOursError, match=f"is not peer {peer} of ring {ring}"):
        send(process.pid, signal.SIGKILL, ring, peer)
    assert process.poll() is None


@pytest.mark.parametrize("pid", [-1, 0, 1, None, 2**22 + 1])
def test_numbers_that_kill_more_than_one_process_are_none(pid: int | None) -> None:
    """None is the test's own."""
    with pytest.raises(NotOursError, match="is left alone"):
        send(os.getpid() if pid is None else pid, signal.SIGTERM, "fair", 3)
