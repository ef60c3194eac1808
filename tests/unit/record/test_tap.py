"""What goes wrong in listening ends the recording, and never the peer."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from bazaar_peer.record import tap as module
from bazaar_peer.record.entries import FAULT
from bazaar_peer.record.recorder import Kept, Told
from bazaar_peer.simulation.plan import draw
from bazaar_peer.simulation.recording import RecordedWorld, story
from bazaar_peer.simulation.run import played
from bazaar_peer.simulation.schedule import Schedule


class Lost(Kept):
    """Gives up as a peer's own record does, and is told about by `reasons`."""

    reasons: ClassVar[list[str]] = []

    def give_up(self, wrong: Exception) -> None:
        self.reasons.append(repr(wrong))


class Full(Lost):
    def keep(self, *told: Told) -> None:
        if any(kind != FAULT for _, kind, _ in told):  # those are the world's own
            raise OSError(28, "no room")


def undescribable(message: object) -> dict[str, Any]:
    raise KeyError(type(message).__name__)


def end_of(monkeypatch: pytest.MonkeyPatch, kept: type[Kept]) -> tuple[str, str]:
    """Play a schedule whose peers keep records so; return its end, and a hash of its steps."""
    monkeypatch.setattr("bazaar_peer.simulation.recording.Kept", kept)
    monkeypatch.setattr(Lost, "reasons", [])
    schedule = Schedule(draw(7, 3), world=RecordedWorld)
    schedule.world.hashed = True
    end = played(schedule, "")
    return end, schedule.world.digest.hexdigest()


def test_peers_whose_records_cannot_be_written_do_what_they_would_have_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordinary = end_of(monkeypatch, Kept)
    assert end_of(monkeypatch, Full) == ordinary
    assert set(Lost.reasons) == {"OSError(28, 'no room')"}


def test_a_message_that_cannot_be_described_ends_no_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = end_of(monkeypatch, Kept)
    monkeypatch.setattr(module, "described", undescribable)
    assert end_of(monkeypatch, Lost) == ordinary
    assert "KeyError('Promise')" in Lost.reasons


def test_the_simulator_shows_what_cannot_be_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """There it is a bug of ours, and hides behind nothing."""
    monkeypatch.setattr(module, "described", undescribable)
    with pytest.raises(KeyError):
        end_of(monkeypatch, Kept)


def test_the_market_is_told_by_whoever_trades_and_as_its_reign_begins() -> None:
    seen = {"market": 0, "counter": 0}
    for seed in range(1, 9):
        kept = list(story(seed))
        begun = {(e["peer"], e["at"]) for e in kept if e.get("note") == "reign_begun"}
        told = [e for e in kept if e["kind"] == "market"]
        machine = draw(seed).machine
        seen[machine] += 1
        if machine == "counter":
            assert not told
            continue
        assert {(e["peer"], e["at"]) for e in told} >= begun, seed
        assert {e["peer"] for e in told} == {peer for peer, _ in begun}
    assert all(seen.values())


@pytest.mark.parametrize("seed", [3, 14, 22])
def test_two_that_tell_of_the_market_at_one_entry_say_the_same(seed: int) -> None:
    told: dict[int, Any] = {}
    for entry in story(seed):
        if entry["kind"] == "market":
            assert told.setdefault(entry["index"], entry["items"]) == entry["items"]
    assert any(told.values())
