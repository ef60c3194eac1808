"""Old traffic is thinned; what tells the story is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bazaar_peer.core.types import MS, SECOND
from bazaar_peer.record import pages
from bazaar_peer.record.entries import SPARSE_ROUNDS, BadRecordError, Entry
from bazaar_peer.record.pages import mark_of, page_of, read_page, thinned
from bazaar_peer.record.recorder import Recorder


def busy(seconds: int, *steps_at_ms: int) -> list[Entry]:
    """Traffic every 10 ms, a peer's state and the market's each second, and steps."""
    found: list[tuple[int, str, dict[str, int]]]
    found = [(ms, "moved", {}) for ms in range(0, seconds * 1000, 10)]
    found += [(ms, "beat", {"round": ms // 10}) for ms in range(0, seconds * 1000, 10)]
    found += [(ms, kind, {}) for ms in range(0, seconds * 1000, 1000) for kind in ("key", "market")]
    found += [(ms, "note", {}) for ms in steps_at_ms]
    ordered = sorted(found, key=lambda one: one[0])
    return [Entry(1, n, ms * MS, kind, fields) for n, (ms, kind, fields) in enumerate(ordered)]


def kept(entries: list[Entry], kind: str) -> list[int]:
    return [entry.at // MS for entry in entries if entry.kind == kind]


def test_all_steps_and_keys_stay() -> None:
    found = list(thinned(busy(60, 12_345, 40_000), 100 * SECOND))
    assert kept(found, "note") == [12_345, 40_000]
    assert len(kept(found, "key")) == len(kept(found, "market")) == 60


def test_old_traffic_is_thinned_and_that_near_a_step_is_not() -> None:
    found = list(thinned(busy(60, 30_000), 100 * SECOND))
    moved = kept(found, "moved")
    assert [ms for ms in moved if 29_750 <= ms <= 30_250] == list(range(29_750, 30_260, 10))
    far = [ms for ms in moved if ms < 29_000]
    assert far == list(range(0, 29_000, 500))


def test_beats_that_stay_are_the_same_at_both_ends() -> None:
    found = list(thinned(busy(60), 100 * SECOND))
    assert {ms // 10 % SPARSE_ROUNDS for ms in kept(found, "beat")} == {0}


def test_fresh_traffic_stays_whole() -> None:
    found = list(thinned(busy(60), 50 * SECOND))
    assert len([ms for ms in kept(found, "moved") if ms >= 50_000]) == 1000


def test_pages_follow_each_other_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 7)
    recorder = Recorder(tmp_path, 1)
    for at in range(30):
        recorder.keep((at, "note" if at % 3 else "moved", {}))
    mark, found, more = (0, 0), list[int](), True
    while more:
        entries, mark, more = page_of(recorder, mark, 0, None)
        found += [entry.seq for entry in entries]
    assert found == list(range(1, 31))


def test_only_the_last_seconds_are_given_to_who_asks_for_them(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 1)
    for at in range(100):
        recorder.keep((at * SECOND, "note", {}))
    found = page_of(recorder, (0, 0), 100 * SECOND, 10 * SECOND)
    assert [entry.at // SECOND for entry in found.entries] == list(range(90, 100))


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b'{"ring":1}'])
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(BadRecordError, match="no record of a peer"):
        read_page(body)


@pytest.mark.parametrize("text", ["", "1", "a:b", "1:"])
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        mark_of(text)
