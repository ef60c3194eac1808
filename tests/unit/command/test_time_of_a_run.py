"""The time of a run begins with its first trader, and ends without one too."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bazaar_peer.command import up
from bazaar_peer.command.ring_folder import RingFile, RingFolder
from bazaar_peer.command.up import Child, Supervisor
from bazaar_peer.runtime.settings import ProcessSettings

REIGN = "2026-11-30T00:00:00.000000+00:00 INFO peer=0 event=reign_begun epoch=1 mono_ns=1\n"


class Idle(Supervisor):
    """Its peer does nothing."""

    async def _live(self, child: Child) -> int:
        await asyncio.Event().wait()
        return child.peer


def looks(folder: Path, duration_s: float, elected: int) -> int:
    """Return how often a ring was looked at that elects its trader behind so many looks."""
    ring = RingFolder(folder, RingFile(ring="r", peers=1))
    settings = ProcessSettings(me=0, peers=1, ring="r", volume="", port=9)
    idle = Idle(ring, lambda _peer: settings, None, lambda _sentence: None)
    for path in (ring.stats(0), ring.log(0)):
        path.parent.mkdir()
    seen = 0

    def tick() -> None:
        nonlocal seen
        seen += 1
        if seen == elected:
            ring.log(0).write_text(REIGN)

    asyncio.run(idle.run(duration_s, tick))
    return seen


def test_time_begins_with_the_first_trader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring that took longer than it to start had traded nothing at the end."""
    monkeypatch.setattr(up, "LOOK_S", 0.01)

    assert looks(tmp_path, 0.02, elected=20) > 20


def test_ring_that_elects_nobody_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "TRADERLESS_S", 0.2)

    assert looks(tmp_path, 0.1, elected=1000) < 1000
