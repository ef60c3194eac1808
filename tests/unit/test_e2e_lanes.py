"""What the lanes of the end-to-end tests share is made once, by whoever succeeds."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.e2e import lanes


def test_one_lane_makes_it_and_the_others_wait_until_it_is_made(tmp_path: Path) -> None:
    made: list[bool] = []

    def lane() -> None:
        with lanes.first(tmp_path / "mark") as alone:
            if alone:
                time.sleep(0.05)
                made.append(True)
            assert made == [True]

    threads = [threading.Thread(target=lane) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert made == [True]


def test_a_lane_that_fails_leaves_it_to_the_next(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room"), lanes.first(tmp_path / "mark"):
        raise OSError("no room")
    with lanes.first(tmp_path / "mark") as alone:
        assert alone


def test_a_lane_has_things_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LANE", "")
    assert lanes.own("bazaar-e2e") == "bazaar-e2e"
    monkeypatch.setattr(lanes, "LANE", "gw1")
    assert lanes.own("bazaar-e2e") == "bazaar-e2e-gw1"
