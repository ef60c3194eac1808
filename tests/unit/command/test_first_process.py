"""A container's first process ends at SIGTERM from its first moment on (K1)."""

from __future__ import annotations

import signal
import subprocess
import sys

STARTS_AS = """
import os, signal
pid = os.getpid()
os.getpid = lambda: {shown}
from bazaar_peer.__main__ import end_if_first
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what the kernel does to a first process
end_if_first()
os.kill(pid, signal.SIGTERM)
"""


def ended_with(shown: int) -> int:
    return subprocess.run(
        [sys.executable, "-c", STARTS_AS.format(shown=shown)], check=False
    ).returncode


def test_first_process_ends_at_sigterm() -> None:
    assert ended_with(1) == 128 + signal.SIGTERM


def test_any_other_process_keeps_its_handlers() -> None:
    assert ended_with(7) == 0


STARTS = """
import sys
from bazaar_peer.__main__ import main
sys.argv = ["bazaar", "serve", *sys.argv[1:]]
try:
    main()
finally:
    from aiohttp.connector import _SSL_CONTEXT_VERIFIED as trust
    print(sorted(name for name in sys.modules if name.startswith("bazaar_peer.command.")))
    print(len(trust.get_ca_certs()))
"""


def starts(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STARTS, *words], capture_output=True, text=True, check=False
    )


def test_peer_of_a_pod_starts_without_the_other_commands() -> None:
    """What it imports it takes from its neighbours' processors."""
    place = ("--token-file", "/nowhere", "--volume", "/nowhere")

    done = starts("--settings", "/nowhere", *place)

    assert (done.returncode, done.stdout) == (2, "['bazaar_peer.command.serve']\n0\n")
    assert done.stderr.startswith("bazaar: ")


def test_misuse_of_it_is_told_as_of_any_command() -> None:
    done = starts()

    assert done.returncode == 2
    assert "Usage: bazaar serve " in done.stderr
    assert "Missing option" in done.stderr
