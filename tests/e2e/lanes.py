"""Lanes: the tests of a session shared out over workers of pytest-xdist, a cluster for each.

Most of the time a test waits for Kubernetes, so two at a time are sooner done; and what one does to
nodes, to the API server or to the operator is nothing to a test on another cluster.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

LANE = os.environ.get("PYTEST_XDIST_WORKER", "")


def own(name: str) -> str:
    """Return the name of this lane's thing of that name."""
    return f"{name}-{LANE}" if LANE else name


@contextlib.contextmanager
def first(mark: Path) -> Iterator[bool]:
    """Let one lane in after the other, and tell whether none has done before what is done now.

    A lane that fails has not done it: the next one tries.
    """
    with mark.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        done = file.read()
        yield not done
        if not done:
            file.write("done")
