"""What is made of orders and faults."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from rich.console import Console

from bazaar_peer.command.drill import figures
from bazaar_peer.command.drill.counting import Spell
from bazaar_peer.command.drill.figures import Drilled, Fault, drill_json, gap, sampled, shares
from bazaar_peer.command.drill.place import Audit, Loaded
from bazaar_peer.command.drill.plan import Kind, Options
from bazaar_peer.command.drill.screen import sentence, table
from bazaar_peer.command.orders import REJECTED, UNKNOWN, Order, read_orders
from tests.unit.command.drill.ring import TOLD, drilled, fault, order

KEYS = {
    "bazaar_drill", "version", "command", "began", "target", "peers", "kind", "planned", "seconds",
    "orders", "orders_sampled_of", "faults", "counts", "lost", "twice", "verify",
    "unaudited", "interregnum_by_cause_ms", "interregnum_ms", "gap_ms", "latency_ms", "timeline",
}  # fmt: skip


def gap_ms(answered: list[float], one: Fault, end: float) -> float:
    began, ended = gap(answered, one, end)
    return (ended - began) * 1e3


def test_drill_json_has_its_form() -> None:
    orders = [order(1.0, 2.0), order(2.0, 3.5, REJECTED, 1), order(3.0, 9e3, UNKNOWN, 2)]

    told = {"sent": 3, "acknowledged": 1, "failed": 2}
    found = drilled(orders, [fault(0.5)], began=0.0, told=told)

    assert found.keys() == KEYS
    assert found["orders"] == [
        [1.0, 2.0, "ok", 0, 1], [2.0, 3.5, "rejected", 1, 1], [3.0, 9000.0, "unknown", 2, 1]
    ]  # fmt: skip
    assert found["orders_sampled_of"] == 3
    assert found["counts"] == {
        "sent": 3, "acknowledged": 1, "failed": 1, "retried": 0, "rejected": 1
    }  # fmt: skip
    counts = found["counts"]
    assert counts["sent"] == counts["acknowledged"] + counts["failed"] + counts["rejected"]
    assert found["began"] == "1970-01-01T00:00:00.000+00:00"
    assert found["faults"] == [
        {"number": 1, "kind": "crash", "victim": 2, "at": 0.5, "planned": False,
         "epoch_before": 1, "epoch_after": 2, "trader_after": 1, "reigns": 1, "interregnum_ms": 4.0,
         "interregna_ms": 4.0,
         "first_ok": 1.002, "gap_ms": 502.0}
    ]  # fmt: skip
    assert found["latency_ms"]["max"] == 2.0  # of those that were answered ok
    assert (found["lost"], found["twice"], found["verify"]) == (0, 0, "clean")


def test_moments_count_from_the_beginning_of_the_drill() -> None:
    found = drilled([order(105.0, 2.0)], [fault(103.0)], began=100.0, ended=110.0)

    assert found["orders"][0][0] == 5.0
    assert (found["faults"][0]["at"], found["faults"][0]["first_ok"]) == (3.0, 5.002)
    assert found["seconds"] == 10.0


def test_first_trade_is_the_end_of_the_gap_not_the_old_traders_last_answer() -> None:
    orders = [order(0.9, 20.0), order(1.0, 10.0), order(1.005, 10.0), order(1.02, 480.0)]

    found = drilled([*orders, order(1.51, 5.0), order(1.2, 1.0, UNKNOWN)], [fault(1.0)])

    (only,) = found["faults"]
    assert (only["first_ok"], only["gap_ms"]) == (1.5, 485.0)


def test_faults_by_the_thousand_are_told_at_once() -> None:
    """Each looks at the answers near it, not at all orders."""

    class Counted(list[Order]):
        walks = 0

        def __iter__(self) -> Iterator[Order]:
            Counted.walks += 1
            return super().__iter__()

    orders = Counted(order(0.01 * step) for step in range(500))
    Counted.walks = 0
    loaded = Loaded({**TOLD}, orders, [0, 1, 2])
    many = [fault(0.001 * number) for number in range(1000)]

    drill_json(
        Drilled(
            options=Options(kind=Kind.CRASH), target="", peers=3, began=0.0, ended=5.0,
            faults=many, loaded=loaded, audit=Audit(),
        )
    )  # fmt: skip

    assert Counted.walks < 10


def test_fault_that_nobody_survived_has_no_first_ok_and_a_gap_to_the_end() -> None:
    found = drilled([order(0.5, 1.0)], [fault(1.0)], ended=10.0)

    assert found["faults"][0]["first_ok"] is None
    assert found["faults"][0]["gap_ms"] == pytest.approx(9499.0)


@pytest.mark.parametrize(
    ("answered", "ended", "told"),
    [
        ([0.9, 1.02, 1.03], 1.0, 120.0),  # it straddles the fault
        ([0.99, 1.1, 1.4, 1.41], 1.0, 300.0),  # begins within the reach
        ([0.99, 1.1, 1.2, 1.9], 1.0, 110.0),  # begins later: another matter
        ([0.99, 1.1, 1.2, 1.9], 2.0, 700.0),  # but not if the fault lasts
        ([0.1, 0.6, 0.99, 1.0, 1.01], 1.0, 10.0),  # what was before does not count
        ([1.3, 1.4], 1.0, 300.0),  # nothing was answered before
    ],
)
def test_gap_is_the_longest_time_without_an_answer_that_a_fault_began(
    answered: list[float], ended: float, told: float
) -> None:
    later = [*answered, *(answered[-1] + 0.01 * step for step in range(1, 200))]

    assert gap_ms(later, fault(1.0, ended), 10.0) == pytest.approx(told)


def test_gap_ends_with_the_load_at_the_latest() -> None:
    """In a cluster a fault may take effect up to 5 s later, and the load is over by then."""
    answered = [0.01 * step for step in range(1, 151)]

    assert gap_ms(answered, fault(1.0, 6.0), 1.5) == pytest.approx(10.0)
    assert gap_ms(answered, fault(1.0, 6.0), 1.7) == pytest.approx(200.0)
    assert gap_ms([], fault(1.0, 6.0), 0.5) == 0.0


def test_percentiles_leave_out_nothing_but_what_is_not_known() -> None:
    faults = [fault(ms=float(ms)) for ms in range(1, 101)] + [fault(ms=None)]

    found = drilled([order(1.0)], faults)

    assert found["interregnum_ms"] == {"p50": 51.0, "p90": 91.0, "p99": 100.0, "max": 100.0}
    assert shares([]) == {"p50": None, "p90": None, "p99": None, "max": None}


def test_sample_is_bounded_keeps_the_slowest_and_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures, "ORDERS_MAX", 100)
    monkeypatch.setattr(figures, "SLOWEST", 10)
    dice = random.Random(1)
    orders = [order(float(due), dice.random()) for due in range(5000)]

    kept = sampled(orders)

    assert len(kept) == len(set(kept)) == 100
    assert kept == sorted(kept)
    assert set(sorted(orders, key=lambda one: one.latency_ms)[-10:]) <= set(kept)
    assert kept[5].due < 600  # of all times, not of the end
    assert sampled(orders[:100]) == orders[:100]


def test_order_survives_its_line() -> None:
    one = Order(1_700_000_000.123456, 12.345, REJECTED, 3, 7)

    assert list(read_orders([one.line()])) == [one]
    with pytest.raises(ValueError, match="unpack"):
        list(read_orders([one.line()[:-4]]))


def test_what_the_audit_says_is_bounded_and_what_it_counts_is_not() -> None:
    many = [f"key k{number} of ann took effect 2 times" for number in range(100)]

    found = drilled([order(1.0)], audit=Audit(many, omitted=41, lost=1, twice=140))

    assert (found["lost"], found["twice"]) == (1, 140)
    assert found["verify"].endswith("; and 121 more")
    assert len(drilled(audit=Audit(failed="x" * 100_000))["unaudited"]) == 8000


def test_planted_hand_over_that_fell_back_to_an_election_is_told_apart() -> None:
    asked = Options(kind=Kind.RESIGN)
    faults = [
        fault(kind=Kind.RESIGN, cost=Spell(1, ms, ms, planned))
        for ms, planned in ((4.0, True), (6.0, True), (170.0, False))
    ]

    found = drilled([order(1.0)], faults, options=asked)

    assert [one["planned"] for one in found["faults"]] == [True, True, False]
    causes = found["interregnum_by_cause_ms"]
    assert (causes["planned"]["max"], causes["unplanned"]["p50"]) == (6.0, 170.0)
    shown = Console(width=200)
    with shown.capture() as text:
        shown.print(table(found))
    assert "no trader, planned" in text.get()
    assert "no trader, unplanned" in text.get()
    assert sentence(faults[2], asked).endswith("after 170.0 ms, by election")
    assert sentence(faults[0], asked).endswith("after 4.0 ms")


def test_pod_that_was_deleted_by_force_was_not_killed() -> None:
    story = [
        {"at": 1.01, "peer": 1, "kind": "note", "note": "reign_begun", "fields": {"epoch": 2}},
    ]
    deleted, killed = (Options(kind=Kind.CRASH, name=name) for name in ("shop", ""))

    there = drilled([order(1.0)], [fault(1.0)], options=deleted, story=story)
    here = drilled([order(1.0)], [fault(1.0)], options=killed, story=story)

    assert (there["kind"], here["kind"]) == ("deletion by force", "crash")
    assert (there["faults"][0]["kind"], here["faults"][0]["kind"]) == (there["kind"], "crash")
    assert [found["timeline"]["marks"][0]["what"] for found in (there, here)] == [
        "its pod deleted by force", "killed"
    ]  # fmt: skip
    assert sentence(fault(), deleted).startswith("the pod of peer 2 was deleted by force; ")
    assert sentence(fault(cost=Spell(1, 4.0, 4.0, planned=True)), deleted).endswith("by hand-over")
    assert sentence(fault(), killed).startswith("peer 2 was killed; ")
