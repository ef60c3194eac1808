"""A peer that the system refuses a process is told of, and tried again as one that has died."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from bazaar_peer.command import up
from bazaar_peer.command.nursery import Forked
from bazaar_peer.command.ring_folder import RingFile, RingFolder
from bazaar_peer.command.up import Supervisor
from bazaar_peer.runtime.settings import ProcessSettings


class Refused(Supervisor):
    async def _started(self, settings: ProcessSettings, errors: Path) -> Forked:
        raise OSError(errno.EAGAIN, f"no room for peer {settings.me}")


def said_of(folder: Path, again_s: float | None) -> list[str]:
    said: list[str] = []
    ring = RingFolder(folder, RingFile(ring="r", peers=1))
    settings = ProcessSettings(me=0, peers=1, ring="r", volume="", port=9)
    for path in (ring.stats(0), ring.log(0)):
        path.parent.mkdir()
    asyncio.run(Refused(ring, lambda _peer: settings, again_s, said.append).run(0.3, lambda: None))
    return said


def test_it_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "TRADERLESS_S", 0.0)
    monkeypatch.setattr(up, "LOOK_S", 0.01)

    said = said_of(tmp_path, 0.01)

    assert said[:2] == [
        f"peer 0 cannot be started now: [Errno {errno.EAGAIN}] no room for peer 0",
        "peer 0 ended (exit code 71); it is started again in 0.01 s",
    ]
    assert len(said) > 2
    assert set(said) == set(said[:2])


def test_it_is_not_where_nobody_is_started_again(tmp_path: Path) -> None:
    said = said_of(tmp_path, None)

    assert said == [
        f"peer 0 cannot be started now: [Errno {errno.EAGAIN}] no room for peer 0",
        "peer 0 ended (exit code 71) and is not started again",
    ]
