"""Records put together: one axis, no effect before its cause, on runs whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bazaar_peer.command.simulated import record_seed
from bazaar_peer.core.types import MS, SECOND
from bazaar_peer.page.story_file import StoryFile
from bazaar_peer.record.clocks import Offsets
from bazaar_peer.record.entries import Entry
from bazaar_peer.record.merge import PATIENCE, Merger, Told
from bazaar_peer.simulation.plan import draw
from bazaar_peer.simulation.recording import RecordedWorld, merger_of, story
from bazaar_peer.simulation.schedule import Schedule
from bazaar_peer.simulation.world import World

SKEWS = (0, 900, -77_000, 3_600_000, 5, -250)
"""By peer: how far a clock is ahead, in ms."""


def skewed(world: World, peer: int) -> int:
    return 10**13 + world.now + SKEWS[peer % 6] * MS + world.now * peer // 20_000  # 50 ppm a peer


class Skewed(RecordedWorld):
    clock_of: Callable[[World, int], int] = staticmethod(skewed)
    one_clock = False


def played(seed: int, world: type[RecordedWorld]) -> RecordedWorld:
    schedule = Schedule(draw(seed, 3), world=world)
    schedule.play()
    assert isinstance(schedule.world, RecordedWorld)
    return schedule.world


def mark(told: Told) -> tuple[int, int, int]:
    return (told["peer"], told["boot"], told["seq"])


def unordered(told: list[Told]) -> list[Told]:
    """Return what is told before its cause."""
    seen = set[tuple[int, ...]]()
    found = []
    for one in told:
        if one.get("cause") and tuple(one["cause"]) not in seen:
            found.append(one)
        if one["kind"] == "sent":
            seen.add(mark(one))
    return found


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_simulated_run_is_told_in_order_and_every_message_has_its_cause(seed: int) -> None:
    told = list(story(seed, 3))
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)
    assert unordered(told) == []
    got = [one for one in told if one["kind"] == "got"]
    # The simulated network says some things twice: those have no second cause.
    assert sum(one["cause"] is not None for one in got) > 0.9 * len(got)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 8, 9, 10, 11, 12])
def test_wrong_clocks_are_put_right(seed: int) -> None:
    """Drawn times differ from each other as the true ones do, to a message's time.

    In these runs nobody joins anew: a life of a few messages may have none that ties its clock.
    """
    true = {mark(one): one["at"] for one in merger_of(played(seed, RecordedWorld)).emit()}
    told = list(merger_of(played(seed, Skewed)).emit())
    assert unordered(told) == []
    assert len(told) == len(true)
    apart = sorted(one["at"] - true[mark(one)] for one in told)
    assert apart[-1] - apart[0] < 0.002


def test_without_offsets_wrong_clocks_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    monkeypatch.setattr(Offsets, "at", lambda self, clock, time: time)
    told = list(merger_of(played(1, Skewed)).emit())
    assert told[-1]["at"] - told[0]["at"] > 60.0


def entry(seq: int, at_ms: int, kind: str, **fields: object) -> Entry:
    return Entry(1, seq, at_ms * MS, kind, dict(fields))


def sent(seq: int, at_ms: int, to: list[int], number: int = 1) -> Entry:
    return entry(seq, at_ms, "sent", to=to, message="Poll", id=number)


def got(seq: int, at_ms: int, sender: int, number: int = 1) -> Entry:
    return entry(seq, at_ms, "got", **{"from": sender, "message": "Poll", "id": number})


def merged(*records: list[Entry]) -> list[Told]:
    merger = Merger()
    for peer, entries in enumerate(records):
        own = {"clock_id": "one machine"}
        merger.add(peer, [Entry(1, 0, 0, "started", own), *entries])
    merger.fit()
    return [one for one in merger.emit() if one["kind"] != "started"]


def test_a_message_is_drawn_as_got_no_earlier_than_it_was_sent() -> None:
    """Even where the clocks say so."""
    first, second = merged([sent(1, 50, [1])], [got(1, 40, 0)])
    assert (first["kind"], second["kind"]) == ("sent", "got")
    assert second["at"] == first["at"]
    assert second["cause"] == [0, 1, 1]


def test_what_was_said_twice_is_got_in_turn_and_what_was_lost_has_no_effect() -> None:
    told = merged(
        [sent(1, 10, [1]), sent(2, 20, [1]), sent(3, 30, [1])], [got(1, 15, 0), got(2, 35, 0)]
    )
    assert [one["cause"] for one in told if one["kind"] == "got"] == [[0, 1, 1], [0, 1, 2]]


def test_a_message_whose_sender_s_record_is_missing_has_no_cause() -> None:
    (told,) = merged([], [got(1, 5, 0)])
    assert told["cause"] is None


def test_nothing_behind_the_horizon_is_given_and_an_effect_waits_for_its_cause() -> None:
    merger = Merger()
    merger.add(0, [Entry(1, 0, 0, "started", {"clock_id": "m"}), sent(1, 50, [1])])
    merger.add(1, [Entry(1, 0, 0, "started", {"clock_id": "m"}), got(1, 40, 0)])
    assert [one["kind"] for one in merger.emit(45 * MS)] == ["started", "started"]
    assert [one["kind"] for one in merger.emit(60 * MS)] == ["sent", "got"]


def test_two_that_wait_for_each_other_are_given_without_a_cause() -> None:
    """A wrong tie: each was got before the other one was sent."""
    start = Entry(1, 0, 0, "started", {"clock_id": "m"})
    merger = Merger()
    merger.add(0, [start, got(1, 40, 1, 7), sent(2, 45, [1], 8), sent(3, 800, [1], 9)])
    merger.add(1, [start, got(1, 40, 0, 8), sent(2, 45, [0], 7)])
    assert len(list(merger.emit(100 * MS))) == 2
    told = list(merger.emit(1 * SECOND))
    assert [one["kind"] for one in told] == ["got", "sent", "got", "sent", "sent"]
    assert [one.get("cause") for one in told] == [None, None, [0, 1, 2], None, None]


def test_what_was_sent_later_is_no_cause() -> None:
    """The network says some things twice, and the beginning of a record may be gone."""
    told = merged([sent(1, 10, [1]), sent(2, 900, [1])], [got(1, 15, 0), got(2, 30, 0)])
    assert [one["cause"] for one in told if one["kind"] == "got"] == [[0, 1, 1], [0, 1, 1]]
    told = merged([sent(2, 900, [1])], [got(1, 15, 0)])
    assert [one["cause"] for one in told if one["kind"] == "got"] == [None]


@pytest.mark.parametrize("seed", [22, 61, 101, 106, 131, 150])
def test_a_network_that_says_things_twice_turns_no_time_back(seed: int, tmp_path: Path) -> None:
    """`bazaar watch` reads what was written, and nothing is told before its cause."""
    record_seed(seed, 0, "", tmp_path / "one.story")
    assert StoryFile(tmp_path / "one.story").count > 0
    assert unordered(list(story(seed))) == []


@pytest.mark.parametrize("seed", range(1, 7))
def test_records_that_begin_late_turn_no_time_back(seed: int) -> None:
    """A record has a beginning of its own, and a page asks for the last minutes alone."""
    world, merger = played(seed, RecordedWorld), Merger()
    for life, boots in world.kept.items():
        entries = [entry for kept in boots for entry in kept.entries]
        merger.add(life, entries[len(entries) * (life % 5) // 8 :])
    told = list(merger.emit())
    latest = 0.0
    for one in told:
        assert one["at"] > latest - PATIENCE / SECOND
        latest = max(latest, one["at"])
    assert unordered(told) == []


def test_room_does_not_grow_with_what_was_said() -> None:
    merger, most = Merger(ties_max=100), 0
    for number in range(3000):
        at = number * 200
        merger.add(0, [entry(number, at, "beat_sent", epoch=1, round=16 * number)])
        merger.add(
            1, [entry(number, at + 1, "beat", **{"from": 0, "epoch": 1, "round": 16 * number})]
        )
        merger.add(0, [sent(number + 10_000, at + 2, [1], number)])
        list(merger.emit())
        for table in (merger._sent, merger._got, *merger._beats, merger._drawn):
            most = max(most, len(table))
    assert most <= 101
