"""What acknowledged orders came to: one lost and one done twice add up, and are found."""

from __future__ import annotations

from bazaar_peer.command.executions import Shown, judge

THREE = {"order-0": 4, "order-1": 5, "order-2": 7}


def test_orders_that_were_executed_once_each_are_well() -> None:
    assert judge(THREE, [Shown(1, 9, [4, 5, 7]), Shown(5, 9, [5, 7]), Shown(8, 9, [])], 3) == []


def test_an_acknowledged_order_that_no_index_has_is_lost() -> None:
    [lost] = judge({**THREE, "order-1": 0}, [], 3)
    assert "lost (order-1)" in lost


def test_one_lost_and_one_done_twice_are_found_by_the_trades_alone() -> None:
    """S6. The sum is right, and the ring answers every key with an index."""
    found = judge(THREE, [Shown(1, 9, [4, 6, 7])], 3)
    assert [
        word in one for one, word in zip(found, ("lost (order-1)", "index 6"), strict=True)
    ] == [
        True,
        True,
    ]


def test_two_keys_of_one_execution_are_found() -> None:
    [shared] = judge({**THREE, "order-1": 4}, [], 3)
    assert "execution of another" in shared


def test_a_sum_that_is_wrong_is_found_without_any_trade() -> None:
    assert judge(THREE, [], 2) == ["3 orders were acknowledged, and 2 took effect: lost"]
    assert judge(THREE, [], 4) == ["3 orders were acknowledged, and 4 took effect: done twice"]


def test_what_a_peer_does_not_show_any_more_is_not_lost() -> None:
    """It keeps a thousand trades, of all buyers."""
    assert judge(THREE, [Shown(6, 9, [7])], 3) == []
