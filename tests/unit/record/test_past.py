"""What is kept of a story for whoever begins to listen later: bounded, and steps before traffic."""

from __future__ import annotations

from bazaar_peer.record.past import Line, Past


def line(at: float, kind: str = "moved", peer: int = 0) -> Line:
    return Line(at, peer, kind, f"{kind} {peer} {at:g}".encode())


def past_of(*lines: Line, seconds: float = 300.0) -> Past:
    past = Past(seconds)
    for each in lines:
        past.add(each)
    return past


def test_all_that_is_young_is_there_in_the_order_of_telling() -> None:
    past = past_of(line(1.0), line(1.1), line(1.05, peer=1), line(1.2, "order"))
    assert past.after(0.0) == [b"moved 0 1", b"moved 0 1.1", b"moved 1 1.05", b"order 0 1.2"]
    assert past.after(1.1) == [b"order 0 1.2"]


def test_old_traffic_is_thinned_by_peer_and_kind_and_steps_stay() -> None:
    moved = [line(number / 10) for number in range(10)]
    others = [line(0.3, "beat"), line(0.2, peer=1), line(0.25, "key")]
    past = past_of(*sorted([*moved, *others]), line(40.0, "key"))
    kept = past.after(-1.0)
    assert [each for each in kept if each.startswith(b"moved 0")] == [b"moved 0 0", b"moved 0 0.5"]
    assert {b"beat 0 0.3", b"moved 1 0.2", b"key 0 0.25", b"key 0 40"} <= set(kept)


def test_old_traffic_near_a_step_stays_whole() -> None:
    moved = [line(number / 10) for number in range(9)]
    past = past_of(*moved[:6], line(0.55, "note"), *moved[6:], line(40.0, "key"))
    kept = [each for each in past.after(-1.0) if each.startswith(b"moved")]
    assert kept == [b"moved 0 0", *(f"moved 0 {at / 10:g}".encode() for at in range(3, 9))]


def test_what_is_older_than_wished_is_gone() -> None:
    past = past_of(line(0.0, "note"), line(50.0, "note"), line(120.0, "note"), seconds=100.0)
    assert past.after(-1.0) == [b"note 0 50", b"note 0 120"]


def test_room_is_bounded_however_long_it_goes_on() -> None:
    past, most = Past(60.0), 0
    for number in range(40_000):  # 200 entries and a step a second
        past.add(line(number / 200, "note" if number % 200 == 0 else "moved"))
        most = max(most, len(past._old) + len(past._fresh) + len(past._steps))
    assert most < 30 * 200 + 30 * (2 + 102) + 100
