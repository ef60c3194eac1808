"""Nothing is signalled that is not that very peer of that very ring."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from bazaar_peer.runtime.processes import PROGRAM, NotOursError, send, settings_of
from bazaar_peer.runtime.settings import ProcessSettings, encode_settings

Starts = Callable[..., subprocess.Popen[bytes]]
SETTINGS = ProcessSettings(me=3, peers=5, ring="fair", volume="/some folder/peer-3")


@pytest.fixture
def started() -> Iterator[Starts]:
    """Start processes that wait for ever, with any command line behind the interpreter's own."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        wait = "import sys; print(flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", wait, *words]
        one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        processes.append(one)
        assert one.stdout is not None
        one.stdout.readline()  # by now the command line is its own
        return one

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_peer_is_known_by_its_settings_and_may_be_signalled(started: Starts) -> None:
    peer = started("-m", PROGRAM, encode_settings(SETTINGS))

    assert settings_of(peer.pid) == SETTINGS
    send(peer.pid, signal.SIGKILL, "fair", 3)
    assert peer.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-m", PROGRAM),
        ("-m", "another.program", encode_settings(SETTINGS)),
        ("-m", PROGRAM, '{"me": 3, "ring": "fair"}'),
        ("-m", PROGRAM, encode_settings(SETTINGS)[:-1]),
    ],
    ids=["nothing", "no settings", "another program", "no whole settings", "broken settings"],
)
def test_foreign_process_is_left_alone(started: Starts, words: tuple[str, ...]) -> None:
    foreign = started(*words)

    with pytest.raises(NotOursError, match="is left alone"):
        send(foreign.pid, signal.SIGKILL, "fair", 3)
    assert foreign.poll() is None


@pytest.mark.parametrize(("ring", "peer"), [("fair", 2), ("other", 3)])
def test_another_peer_and_another_ring_are_left_alone(
    started: Starts, ring: str, peer: int
) -> None:
    """A number that was given again, or told by a peer of another machine."""
    process = started("-m", PROGRAM, encode_settings(SETTINGS))

    with pytest.raises(NotOursError, match=f"is not peer {peer} of ring {ring}"):
        send(process.pid, signal.SIGKILL, ring, peer)
    assert process.poll() is None


@pytest.mark.parametrize("pid", [-1, 0, 1, None, 2**22 + 1])
def test_numbers_that_kill_more_than_one_process_are_none(pid: int | None) -> None:
    """None is the test's own."""
    with pytest.raises(NotOursError, match="is left alone"):
        send(os.getpid() if pid is None else pid, signal.SIGTERM, "fair", 3)
