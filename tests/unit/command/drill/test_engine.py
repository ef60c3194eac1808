"""One fault behind the other, and what ends a drill early."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.command.drill import engine as engines
from bazaar_peer.command.drill.ending import finished
from bazaar_peer.command.drill.engine import Engine
from bazaar_peer.command.drill.figures import Fault
from bazaar_peer.command.drill.place import Audit, Interregna, Line, View
from bazaar_peer.command.drill.plan import DrillError, Kind, MisuseError, Options
from bazaar_peer.command.drill.run import _drill, run
from bazaar_peer.command.drill.verdict import judge
from tests.unit.command.drill.ring import FakeRing, order, written


class Quiet:
    def say(self, sentence: str) -> None: ...
    def loaded(self, told: str) -> None: ...
    def done(self, fault: Fault) -> None: ...


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring that is made up needs no time between two faults."""
    monkeypatch.setattr(engines, "BETWEEN_S", 0.0)


def engine(ring: FakeRing, **options: Any) -> Engine:
    ring.orders = ring.orders or [order(0.0)]
    return Engine(Options(**{"kind": Kind.CRASH, **options}), ring, Quiet())


async def test_each_fault_is_of_the_trader_of_that_moment() -> None:
    ring = FakeRing()

    found = await engine(ring, times=4).run()

    assert ring.hurt_peers == [2, 1, 0, 2]
    assert [fault["number"] for fault in found["faults"]] == [1, 2, 3, 4]
    assert [fault["trader_after"] for fault in found["faults"]] == [1, 0, 2, 1]
    assert [fault["epoch_after"] for fault in found["faults"]] == [2, 3, 4, 5]
    assert [fault["interregnum_ms"] for fault in found["faults"]] == [4.0] * 4
    assert ring.calls == ["load", "end of load", "story", "audit"]


@pytest.mark.parametrize("more", [{"kind": Kind.FOLLOWER}, {"kind": Kind.PAUSE, "follower": True}])
async def test_followers_take_turns_and_leave_no_interregnum(more: dict[str, Any]) -> None:
    ring = FakeRing()

    found = await engine(ring, times=3, **more).run()

    assert ring.hurt_peers == [1, 0, 1]
    assert {fault["interregnum_ms"] for fault in found["faults"]} == {None}


async def test_ring_of_one_has_no_follower_and_no_load_is_begun() -> None:
    ring = FakeRing(peers=1)

    with pytest.raises(MisuseError, match="no follower"):
        await engine(ring, kind=Kind.FOLLOWER).run()
    assert ring.calls == []


async def test_interregnum_of_a_process_that_began_meanwhile_is_not_known() -> None:
    ring = FakeRing()

    def reborn(_number: int) -> None:
        ring.spell_s = 9.0  # what it counts now is of another life

    ring.hurting = reborn
    ring.peers = 1  # its own heir
    ring.__post_init__()
    one = engine(ring)
    hurt = ring.hurt

    async def again(*args: Any) -> None:
        await hurt(*args)
        lines = tuple(type(line)(**{**vars(line), "pid": 999}) for line in ring.view.lines)
        ring.view = type(ring.view)("r", lines)

    ring.hurt = again  # type: ignore[method-assign, assignment]
    found = await one.run()

    assert found["faults"][0]["interregnum_ms"] is None


async def test_fault_that_goes_wrong_ends_the_drill_and_is_summed_up() -> None:
    def second_fails(number: int) -> None:
        if number == 2:
            raise DrillError("it is gone")

    ring = FakeRing(hurting=second_fails)
    one = engine(ring, times=9)

    found = await one.run()

    assert one.stopped == "it is gone"
    assert len(found["faults"]) == 1
    assert ring.calls == ["load", "end of load", "story", "audit"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_who_ends_a_drill_has_it_undone_and_summed_up(number: signal.Signals) -> None:
    undone: list[str] = []
    ring = FakeRing()
    hurt = ring.hurt

    async def for_ever(*args: Any) -> None:
        await hurt(*args)
        if len(ring.hurt_peers) == 2:
            os.kill(os.getpid(), number)
            try:
                await asyncio.Event().wait()
            finally:
                undone.append("undone")

    ring.hurt = for_ever  # type: ignore[method-assign, assignment]
    one = engine(ring, times=9)

    with one.ends:
        found = await one.run()

    assert (one.interrupted, one.stopped, undone) == (True, "", ["undone"])
    assert len(found["faults"]) == 1
    assert ring.calls == ["load", "end of load", "story", "audit"]


class Heard(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.heard = asyncio.Event()

    def say(self, sentence: str) -> None:
        self.said.append(sentence)
        self.heard.set()


async def test_second_signal_leaves_the_undoing_alone_and_is_told_what_to_do_by_hand() -> None:
    ring, screen, undone = FakeRing(), Heard(), asyncio.Event()

    async def uncordon() -> None:
        for _ in range(2):
            screen.heard.clear()
            os.kill(os.getpid(), signal.SIGINT)
            await screen.heard.wait()
        undone.set()

    async def drain(*_args: Any) -> None:
        ring.by_hand = "kubectl uncordon node-1"
        await finished(uncordon())
        ring.by_hand = ""

    ring.hurt = drain  # type: ignore[method-assign, assignment]
    one = Engine(Options(kind=Kind.DRAIN), ring, screen)
    with one.ends:
        found = await one.run()

    assert undone.is_set()
    assert (one.interrupted, found["faults"]) == (True, [])
    told = [said for said in screen.said if said.endswith("kubectl uncordon node-1")]
    assert len(told) == 2
    assert found["verify"] == "clean", "the result is summed up"


async def test_signal_before_an_order_was_taken_lets_the_load_go() -> None:
    ring = FakeRing()

    async def pulls_an_image(_seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    ring.begin_load = pulls_an_image  # type: ignore[method-assign, assignment]

    with pytest.raises(DrillError, match="interrupted before an order was taken"):
        await _drill(Options(kind=Kind.CRASH), Quiet(), lambda _options: ring)
    assert ring.calls == ["close"]


async def test_signal_in_the_audit_is_a_failed_audit_and_keeps_the_figures() -> None:
    ring = FakeRing()

    async def long(*_args: Any) -> Audit:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.Event().wait()
        raise AssertionError

    ring.audit = long  # type: ignore[method-assign]
    one = engine(ring)
    with one.ends:
        found = await one.run()

    assert len(found["faults"]) == 1
    assert found["unaudited"] == "it was interrupted"


# ---- exit codes


LOST = "key k1 of ann was acknowledged and is in no journal"
TWICE = "key k1 of ann took effect at index 5 and again at 6 (S6)"


@pytest.mark.parametrize(
    ("more", "limit", "code"),
    [
        ({}, None, 0),
        ({}, 4.0, 0),
        ({}, 3.0, 1),
        ({"found": Audit([LOST], lost=1)}, None, 1),
        ({"found": Audit([TWICE], twice=1)}, None, 1),
        ({"found": Audit(failed="two of three peers are silent")}, None, 1),
        ({"told": {"sent": 3, "acknowledged": 2, "failed": 1, "retried": 0}}, None, 1),
    ],
    ids=["clean", "fast", "slow", "planted lost", "planted doubled", "no audit", "failed"],
)
def test_exit_code_says_whether_it_went_well(
    more: dict[str, Any], limit: float | None, code: int, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    ring = FakeRing(orders=[order(0.0)], **more)
    folder = tmp_path / "report"
    options = Options(kind=Kind.CRASH, max_interregnum_ms=limit, report=folder)

    ended = run(options, as_json=False, find=lambda _options: ring)

    assert ended == code
    assert ring.calls[-1] == "close"
    assert ("FAILED" in capsys.readouterr().out) is bool(code)
    assert bool(written(folder)["wrong"]) is bool(code)


@pytest.mark.parametrize(
    ("part", "wrong", "said"),
    [
        ("end_load", DrillError("the pod is gone"), "what the load has seen is lost: the pod is"),
        ("end_load", ValueError("no date"), "ValueError('no date')"),
        ("audit", DrillError("it did not end"), "could not be audited"),
        ("audit", OSError(28, "No space left"), "No space left"),
    ],
)
def test_planted_failure_at_the_end_costs_its_own_part_of_the_result(
    part: str, wrong: Exception, said: str, tmp_path: Path
) -> None:
    ring = FakeRing(orders=[order(0.0)])

    async def fails() -> None:
        raise wrong

    setattr(ring, part, fails)
    options = Options(kind=Kind.CRASH, times=2, report=tmp_path / "report")

    assert run(options, as_json=True, find=lambda _options: ring) == 1

    found = written(tmp_path / "report")
    assert any(said in sentence for sentence in found["wrong"]), found["wrong"]
    assert len(found["faults"]) == 2
    assert (found["verify"] == "clean") is (part == "end_load")
    assert (found["gap_ms"]["max"] is None) is (part == "end_load")
    assert ring.calls[-1] == "close"


@pytest.mark.parametrize("wrong", [DrillError("pod shop-drill-1 is still there"), OSError(13, "x")])
def test_what_stays_behind_is_told_and_the_result_is_kept(
    wrong: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = FakeRing(orders=[order(0.0)])

    async def fails() -> None:
        raise wrong

    ring.close = fails  # type: ignore[method-assign]
    options = Options(kind=Kind.CRASH, report=tmp_path / "report")

    assert run(options, as_json=False, find=lambda _options: ring) == 0
    assert written(tmp_path / "report")["tolerated"] == [f"not everything is cleared away: {wrong}"]
    assert str(wrong) in capsys.readouterr().out


def test_drill_that_failed_keeps_what_it_can_be_audited_with_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = FakeRing(orders=[order(0.0)], found=Audit([LOST], lost=1))
    report = tmp_path / "report"

    run(Options(kind=Kind.CRASH, report=report), as_json=True, find=lambda _options: ring)

    assert ring.calls[-2:] == ["keep", "close"]
    assert (report / "acknowledged").read_text() == "ann k1\n"
    said = f"bazaar verify --url {ring.target} --acknowledged {report}/acknowledged"
    assert said in capsys.readouterr().err


def test_json_is_one_object_and_the_very_one_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = FakeRing(orders=[order(0.0)])
    options = Options(kind=Kind.CRASH, report=tmp_path / "report")

    run(options, as_json=True, find=lambda _options: ring)

    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert shown == (tmp_path / "report/drill.json").read_text()
    assert json.loads(shown)["wrong"] == []


async def test_interregnum_that_came_by_itself_is_not_the_faults() -> None:
    """A ring on a busy machine may elect between two faults."""
    ring, looks = FakeRing(), 0
    look = ring.look

    async def by_itself() -> View:
        nonlocal looks
        looks += 1
        if looks == 3:  # behind the first count, before the first fault
            ring.elect()
        return await look()

    ring.look = by_itself  # type: ignore[method-assign]

    found = await engine(ring).run()

    (only,) = found["faults"]
    assert (only["epoch_before"], only["epoch_after"]) == (2, 3)
    assert only["interregnum_ms"] == 4.0


async def test_second_interregnum_before_the_ring_has_settled_is_the_faults_too() -> None:
    """4 ms, then 9 s without a trader."""
    ring = FakeRing(spells={3: 9.0})
    look = ring.look

    async def another_election() -> View:
        seen = await look()
        if len(ring.hurt_peers) == 1 and seen.lines[0].epoch == 2:
            ring.hurt_peers.append(-1)
            seen = View("r", tuple(replace(line, trader=-1 if line.peer == 0 else line.trader)
                                   for line in seen.lines))  # fmt: skip
        elif len(ring.hurt_peers) == 2 and seen.lines[0].epoch == 2:
            ring.elect()
            seen = await look()
        return seen

    ring.look = another_election  # type: ignore[method-assign]

    found = await engine(ring).run()

    (only,) = found["faults"]
    assert ring.view.lines[0].epoch == 3
    assert (only["epoch_after"], only["trader_after"]) == (2, 1)
    assert (only["reigns"], only["interregnum_ms"], only["interregna_ms"]) == (2, 9000.0, 9004.0)
    assert judge(found, Options(kind=Kind.CRASH, max_interregnum_ms=5.0)).wrong


@pytest.mark.parametrize(
    ("reigns_after_s", "told"), [(0.001, 1.0), (0.004, 4.0), (9.0, 4.0), (-0.001, None)]
)
async def test_silence_from_before_a_fault_is_not_its_interregnum(
    reigns_after_s: float, told: float | None
) -> None:
    ring = FakeRing(one_clock=True)
    one = engine(ring)

    def reigns(_number: int) -> None:
        ring.last_end = began[-1] + reigns_after_s

    began: list[float] = []
    now = one.clock.now

    def noted() -> float:
        began.append(now())
        return began[-1]

    one.clock.now = noted  # type: ignore[method-assign]
    ring.hurting = reigns
    found = await one.run()

    assert found["faults"][0]["interregnum_ms"] == told


async def test_peer_that_does_not_tell_leaves_an_interregnum_unknown() -> None:
    ring = FakeRing()

    async def silent(_line: Line) -> Interregna:
        raise DrillError("no metrics")

    ring.interregna = silent  # type: ignore[method-assign, assignment]

    found = await engine(ring, times=2).run()

    assert [fault["interregnum_ms"] for fault in found["faults"]] == [None, None]


def test_ring_is_let_go_when_a_drill_cannot_begin() -> None:
    ring = FakeRing(peers=1)

    with pytest.raises(MisuseError):
        run(Options(kind=Kind.FOLLOWER), as_json=True, find=lambda _options: ring)
    assert ring.calls == ["close"]
