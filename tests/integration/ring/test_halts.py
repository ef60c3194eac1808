"""What every ring of these tests is held against at its end sees a peer that halted."""

from __future__ import annotations

import logging
from pathlib import Path

from bazaar_peer.runtime.logs import Lines
from tests.integration.ring.conftest import halts


def test_peer_that_halted_is_seen(tmp_path: Path) -> None:
    record = logging.makeLogRecord({"msg": "halted", "levelname": "CRITICAL"})
    record.fields = {"reason": "planted: the store failed"}
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/peer-1.log").write_text(Lines(1, as_json=False).format(record) + "\n")

    assert halts(tmp_path, 3) == ["planted: the store failed"]
    assert halts(tmp_path, 1) == []
