"""The live table counts what peers do from the moment they are started."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bazaar_peer.command.ring_folder import RingFile, RingFolder
from bazaar_peer.command.table import Board
from bazaar_peer.command.up import Child, Supervisor
from bazaar_peer.runtime.settings import ProcessSettings
from bazaar_peer.runtime.stats import Stats


def test_rate_of_a_peer_that_was_started_later_is_shown(tmp_path: Path) -> None:
    folder = RingFolder(tmp_path, RingFile(ring="r", peers=1))
    (tmp_path / "stats").mkdir()
    settings = ProcessSettings(me=0, peers=1, ring="r", volume="", port=9)
    board = Board(folder, settings, sentences=lambda _sentence: None)
    supervisor = Supervisor(folder, lambda _peer: settings, None, board.say)

    async def refreshed() -> None:
        board._asked = 0.0
        board.refresh(supervisor)
        assert board._asking is not None
        await board._asking

    for peer in (0, 1):
        supervisor.children[peer] = Child(peer)
        stats = Stats(folder.stats(peer))
        asyncio.run(refreshed())
        stats.add("filled", 7)
        asyncio.run(refreshed())
        stats.close()

        assert board._rates[peer] > 0
