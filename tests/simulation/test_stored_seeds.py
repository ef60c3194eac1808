"""Schedules that once failed, shrunk and stored; each is replayed for ever after."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bazaar_peer.simulation.schedule import GOAL
from bazaar_peer.simulation.shrink import Stored, ddmin, replay, save, shrink

SEEDS = sorted((Path(__file__).parent.parent / "seeds").glob("*.json"))


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_stored_schedule_breaks_no_rule(path: Path) -> None:
    assert replay(path, with_plant=False).why == ""


@pytest.mark.parametrize(
    "path", [p for p in SEEDS if p.stem.startswith("g4-")], ids=lambda path: path.stem
)
def test_stored_schedule_has_its_trader_in_time(path: Path) -> None:
    """G4: the goal itself, which is stricter than what every schedule is held to."""
    assert replay(path, with_plant=False).timeouts_to_trade <= GOAL


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_stored_schedule_still_shows_its_planted_bug(path: Path) -> None:
    stored = msgspec.json.decode(path.read_bytes(), type=Stored)
    if stored.plant:
        assert replay(path, with_plant=True).rule == stored.rule


def test_ddmin_keeps_what_fails() -> None:
    items = [f"d{number}" for number in range(40)]

    kept = ddmin(items, lambda some: {"d3", "d17", "d38"} <= set(some))

    assert kept == ["d3", "d17", "d38"]


def test_a_failing_schedule_shrinks_to_what_matters(tmp_path: Path) -> None:
    stored = shrink(9, plant="keeprole") or shrink(17, plant="keeprole")

    assert stored is not None
    assert len(stored.keep) <= 6
    assert replay(save(stored, tmp_path), with_plant=True).rule == stored.rule
