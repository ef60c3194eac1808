"""When a drill went well, and what is tolerated."""

from __future__ import annotations

from typing import Any

import pytest

from bazaar_peer.command.drill.counting import Spell
from bazaar_peer.command.drill.place import Audit
from bazaar_peer.command.drill.plan import Kind, Options
from bazaar_peer.command.drill.screen import counts
from bazaar_peer.command.drill.verdict import judge
from bazaar_peer.command.orders import REJECTED
from tests.unit.command.drill.ring import drilled, fault, order

LOST = "key k1 of ann was acknowledged and is in no journal"
TWICE = "key k1 of ann took effect 2 times"
TWO_REIGNS = {"faults": [fault(cost=Spell(2, 9000.0, 9004.0, planned=False))]}
FAILED: dict[str, Any] = {"told": {"failed": 2}}


def options(kind: Kind = Kind.CRASH, limit: float | None = None) -> Options:
    return Options(kind=kind, max_interregnum_ms=limit)


def test_drill_without_a_fault_in_the_ring_went_well() -> None:
    drill = drilled([order(1.0)])

    verdict = judge(drill, options(limit=4.0))

    assert verdict.wrong == verdict.tolerated == []
    assert verdict.sentence(drill) == (
        "every one of 2 acknowledged orders took effect once, over 1 fault"
    )


@pytest.mark.parametrize(
    ("more", "limit", "said"),
    [
        (
            {"audit": Audit([LOST], lost=1)},
            None,
            "1 acknowledged orders are lost, 0 took",
        ),
        (
            {"audit": Audit([TWICE], twice=1)},
            None,
            "0 acknowledged orders are lost, 1 took",
        ),
        ({"audit": Audit(["epoch 3 has two traders, 1 and 2 (S1)"])}, None, "epoch 3 has two"),
        ({"audit": Audit(failed="no peer keeps what lies before")}, None, "no peer keeps"),
        ({"audit": Audit(failed="")}, None, "could not be audited"),
        (FAILED, None, "2 orders failed"),
        ({"faults": []}, None, "no fault was seen to its end"),
        ({"told": {"acknowledged": 0}}, None, "no order was acknowledged"),
        ({}, 3.9, "fault 1: no trader for 4 ms, more than 3.9 ms"),
        (TWO_REIGNS, 5.0, "no trader for 9000 ms, more than 5 ms (2 reigns, 9004 ms in all)"),
        ({"faults": [fault(ms=None)]}, 9.0, "fault 1: the peers do not tell"),
    ],
)
def test_whatever_is_wrong_is_said(more: dict[str, Any], limit: float | None, said: str) -> None:
    drill = drilled([order(1.0)], **more)

    verdict = judge(drill, options(limit=limit))

    assert any(said in sentence for sentence in verdict.wrong), verdict
    assert verdict.sentence(drill).startswith("FAILED: ")


def test_drill_that_ended_early_did_not_go_well() -> None:
    assert judge(drilled([order(1.0)]), options(), "it did not settle").wrong == [
        "it did not settle"
    ]


def test_follower_that_died_cost_no_interregnum() -> None:
    drill = drilled([order(1.0)], [fault(ms=None, epoch_after=1)])

    assert judge(drill, options(Kind.FOLLOWER, limit=1.0)).wrong == []


@pytest.mark.parametrize(("kind", "peers"), [(Kind.PAUSE, 2), (Kind.CUT, 2), (Kind.PAUSE, 1)])
def test_orders_may_fail_while_a_pause_or_a_cut_leaves_no_majority(kind: Kind, peers: int) -> None:
    drill = drilled([order(1.0)], peers=peers, options=options(kind), **FAILED)

    verdict = judge(drill, options(kind))

    assert verdict.wrong == []
    assert "no majority" in verdict.tolerated[0]


@pytest.mark.parametrize(
    ("kind", "peers"), [(Kind.PAUSE, 3), (Kind.CUT, 6), (Kind.RESIGN, 2), (Kind.CRASH, 2)]
)
def test_orders_may_not_fail_otherwise(kind: Kind, peers: int) -> None:
    drill = drilled([order(1.0)], peers=peers, options=options(kind), **FAILED)

    assert judge(drill, options(kind)).wrong == [
        "2 orders failed: nobody took them by their deadline"
    ]


def test_drill_that_was_not_audited_tells_no_figures_of_an_audit() -> None:
    drill = drilled([order(1.0)], audit=Audit(failed="two of three peers are silent"))

    assert "0 lost" not in counts(drill)
    assert "nobody knows how many are lost or doubled" in counts(drill)
    (only,) = judge(drill, options()).wrong
    assert "two of three peers are silent" in only
    assert "bazaar verify" not in only


def test_planted_rejected_order_is_no_order_that_nobody_answered() -> None:
    refused = drilled([order(1.0), order(2.0, 1.0, REJECTED)], told={"sent": 3, "failed": 1})

    assert judge(refused, options()).wrong == ["1 orders were rejected for good"]
    assert "0 failed, 1 rejected" in counts(refused)
