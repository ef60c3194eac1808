"""The programs that the end-to-end tests call as a user calls them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

NEEDED = ("docker", "kind", "kubectl", "helm")
OWN_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
"""With the programs that `make` has put beside Python: bazaar, and kubectl's plugin."""
UNREACHED = re.compile(
    r"Unable to connect to the server|did you specify the right host|cluster unreachable"
    r"|dial tcp \S+:10250: connect: connection refused"
)
"""What kubectl and helm say when no API server, or no kubelet, took a connection.

Nothing was done then: no program was begun in a pod, either.
"""
UNREACHED_S = 30.0
"""One that is started again on a busy machine is back by then."""
AGAIN_S = 1.0
T = TypeVar("T")


class ProgramError(AssertionError):
    """A program ended with an error; the text is what it said."""


def missing() -> str:
    """Return one sentence that says what is missing; empty: nothing is."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"the end-to-end tests need {', '.join(absent)} on PATH"
    engine = subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60)
    return "" if engine.returncode == 0 else "the end-to-end tests need a running Docker engine"


def attempt(
    *words: object,
    stdin: str | None = None,
    seconds: float = 120.0,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever that is; again, while nobody takes its call."""
    end = time.monotonic() + UNREACHED_S
    while True:
        done = subprocess.run(
            [str(word) for word in words],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            env={**os.environ, **(env or {})},
            cwd=folder,
        )
        away = done.returncode and UNREACHED.search(done.stderr)
        if not away or time.monotonic() > end:
            return done
        time.sleep(AGAIN_S)


def run(
    *words: object,
    stdin: str | None = None,
    seconds: float = 120.0,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Attempt the same, and return the program's output.

    Raises:
        ProgramError: it ended with an error.
    """
    done = attempt(*words, stdin=stdin, seconds=seconds, env=env, folder=folder)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ProgramError(
            f"{' '.join(map(str, words))}: exit code {done.returncode}: {said[-4000:]}"
        )
    return done.stdout


def until(
    condition: Callable[[], T | None],
    what: str | Callable[[], str],
    seconds: float = 90.0,
    every: float = 0.25,
) -> T:
    """Poll until the condition gives something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:g} s: {told}")
        time.sleep(every)
    return found
