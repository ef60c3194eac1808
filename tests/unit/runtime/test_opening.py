"""A process's way to a volume that it may run from: what it waits for, and what it leaves alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.runtime import opening
from bazaar_peer.runtime.files import DiskFull, Locked, WrongRing
from bazaar_peer.runtime.genesis import genesis
from bazaar_peer.runtime.set_aside import FLAG, FOLDER
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.volume import Identity, format_volume, lock_folder
from bazaar_peer.runtime.waiting import Waiting
from tests.unit.runtime.test_joining import pod


def test_second_process_moves_nothing_while_the_first_holds_the_lock(tmp_path: Path) -> None:
    """K1: deleted by force, the old process may be setting its volume aside."""
    format_volume(tmp_path, Identity("r", 0, 0, "old"), genesis("r", 3, 0))
    lock_folder(tmp_path)
    (tmp_path / FOLDER / "damaged").mkdir(parents=True)
    (tmp_path / FLAG).write_text("damaged")
    before = sorted(file.name for file in tmp_path.iterdir())

    with pytest.raises(Locked):
        opening.open_volume(pod(tmp_path))

    assert sorted(file.name for file in tmp_path.iterdir()) == before


class Full:
    """A disk that is full for so many times; then it is gone, for the test's sake."""

    def __init__(self, times: int) -> None:
        self.times = times

    def open_volume(self, _settings: ProcessSettings) -> Any:
        if not self.times:
            raise WrongRing("room again", ("r", 9))
        self.times -= 1
        raise DiskFull("no space to make a folder")


async def test_full_volume_is_waited_for_and_tells_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    waiting, room = Waiting(pod(tmp_path)), asyncio.Event()

    tells = waiting.tell

    def tell(state: str, why: str, **_: object) -> None:
        tells(state, why)
        told.append(f"{state}: {why}")
        if state == "foreign":
            room.set()

    monkeypatch.setattr(waiting, "tell", tell)
    monkeypatch.setattr(opening, "open_volume", Full(2).open_volume)
    monkeypatch.setattr(opening, "FULL_RETRY_S", 0.0)
    opened = asyncio.create_task(opening.opened(pod(tmp_path), waiting))
    await asyncio.wait_for(room.wait(), 10)
    opened.cancel()

    full = "full: its volume is full (no space to make a folder): make room on it, or enlarge it"
    assert told[:2] == [full, full]
    counted = waiting.telemetry.catalogue.registry.get_sample_value
    assert counted("bazaar_disk_full_total", {"at": "start"}) == 1, "once, however long it lasts"


async def test_full_volume_ends_a_process_outside_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its supervisor starts it again, later and later."""
    settings = ProcessSettings(me=0, peers=3, ring="r", volume=str(tmp_path))
    monkeypatch.setattr(opening, "open_volume", Full(2).open_volume)

    with pytest.raises(DiskFull):
        await opening.opened(settings, Waiting(settings))
