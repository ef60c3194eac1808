"""How finely traffic is noted, and when it is written."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from bazaar_peer.core import effects as fx
from bazaar_peer.core import messages as msg
from bazaar_peer.core.events import Event, Received
from bazaar_peer.core.peer import Peer
from bazaar_peer.core.types import MS, NEVER, SECOND, PeerId
from bazaar_peer.record import entries as rec
from bazaar_peer.record.recorder import Kept
from bazaar_peer.record.tap import CALM, FINE, TOGETHER, Tap

TRADER = PeerId(5)
STARTED_AT = 10 * SECOND


class Journal:
    last = (1, 0)


class State:
    index = 0


class Core:
    """As much of a peer as is looked at; `effects` are what a turn comes to."""

    me = PeerId(1)
    commit = 0

    def __init__(self) -> None:
        self.journal, self.state = Journal(), State()
        self.effects: list[fx.Effect] = []
        self.broken = False

    def handle(self, _events: list[Event], _now: int) -> list[fx.Effect]:
        if self.broken:
            raise RuntimeError("a bug")
        self.state.index += 1
        return self.effects

    def next_deadline(self) -> int:
        return NEVER


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def tap(core: Core, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Tap:
    monkeypatch.setattr(Tap, "_key", lambda _tap, _now: None)
    made = Tap(cast(Peer, core), kept)
    made.handle([], STARTED_AT)  # begins the record
    made._key_at = NEVER
    return made


def append(number: int) -> Event:
    return Received(TRADER, msg.Append(1, number, 1, 0, 0, 0, [], {}))


def run(tap: Tap, kept: Kept, *, begin: int, every: int, turns: int) -> Counter[str]:
    """Hand over an Append each so many ns; count what was noted of it."""
    before = len(kept.entries)
    for turn in range(turns):
        tap.handle([append(turn)], begin + turn * every)
        tap.next_deadline()
    tap.write()
    return Counter(entry.kind for entry in kept.entries[before:])


def test_calm_traffic_is_noted_seldom_and_what_follows_a_step_finely(
    tap: Tap, core: Core, kept: Kept
) -> None:
    calm = run(tap, kept, begin=STARTED_AT + 2 * SECOND, every=MS, turns=1000)
    core.effects = [fx.Note("election", {})]
    tap.handle([], STARTED_AT + 4 * SECOND)
    core.effects = []
    fine = run(tap, kept, begin=STARTED_AT + 4 * SECOND, every=MS, turns=400)

    assert calm[rec.MOVED] == pytest.approx(SECOND / CALM.moved, rel=0.1)
    assert calm[rec.BEAT] <= 2 * SECOND / CALM.beat + 1000 / rec.SPARSE_ROUNDS
    assert fine[rec.MOVED] == pytest.approx(400 * MS / FINE.moved, rel=0.1)
    assert fine[rec.BEAT] >= 400 * MS / FINE.beat


def test_a_heartbeat_of_a_calm_ring_is_noted_each_time(tap: Tap, kept: Kept) -> None:
    """A timer on the page begins anew with each."""
    found = run(tap, kept, begin=STARTED_AT + 2 * SECOND, every=CALM.beat, turns=50)

    assert found[rec.BEAT] == 50


def test_rounds_that_tie_clocks_for_long_are_noted_at_any_rate(tap: Tap, kept: Kept) -> None:
    run(tap, kept, begin=STARTED_AT + 2 * SECOND, every=MS // 100, turns=1024)
    rounds = {e.fields["round"] for e in kept.entries if e.kind == rec.BEAT}

    assert rounds >= set(range(0, 1024, rec.SPARSE_ROUNDS))


def test_nothing_is_written_before_the_turn_is_over(tap: Tap, core: Core, kept: Kept) -> None:
    """The record is on nobody's path."""
    tap.write()
    before = len(kept.entries)
    core.effects = [fx.Note("election", {})]
    tap.handle([], STARTED_AT + SECOND)
    tap.next_deadline()
    core.effects = []

    tap.handle([], STARTED_AT + SECOND + TOGETHER // 2)
    tap.next_deadline()
    assert len(kept.entries) == before, "an election's entries are written together"
    tap.handle([], STARTED_AT + SECOND + TOGETHER)
    assert len(kept.entries) == before, "the messages of a turn go first"
    tap.next_deadline()
    assert kept.entries[before].kind == rec.NOTE
    assert kept.entries[before].at == STARTED_AT + SECOND


@pytest.mark.parametrize("how", ["halted", "broken"])
def test_a_turn_that_is_the_last_one_is_written_at_once(
    tap: Tap, core: Core, kept: Kept, how: str
) -> None:
    received = Received(TRADER, msg.Refused(4))
    core.effects = [fx.Halt("no room")]
    core.broken = how == "broken"
    told: dict[str, Any] = {}
    try:
        tap.handle([received], STARTED_AT + SECOND)
    except RuntimeError as bug:
        told["bug"] = bug

    assert bool(told) == core.broken
    assert kept.entries[-1].kind == (rec.GOT if core.broken else rec.ENDED)
