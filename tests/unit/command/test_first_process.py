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
