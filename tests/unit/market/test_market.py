"""Facts of the market, one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bazaar_peer
from bazaar_peer.core.machine import Context
from bazaar_peer.market import views
from bazaar_peer.market.audit import audit
from bazaar_peer.market.commands import (
    PARTS_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    Command,
    Deposit,
    MarketSettings,
    Order,
    Reprice,
    Withdraw,
    encode_command,
    encode_settings,
)
from bazaar_peer.market.market import Market

INVALID = {"outcome": "invalid"}
UNAVAILABLE = {"outcome": "unavailable"}


class Post:
    """A market with a journal index and a trader."""

    def __init__(self, commission_bp: int = 0, trader: int = 5) -> None:
        self.market = Market()
        self.market.configure(encode_settings(MarketSettings(commission_bp)))
        self.context = Context()
        self.context.trader = trader

    def raw(self, body: bytes) -> dict[str, Any]:
        self.context.index += 1
        result = json.loads(self.market.apply(body, self.context))
        assert isinstance(result, dict)
        return result

    def do(self, command: Command) -> dict[str, Any]:
        return self.raw(encode_command(command))


def test_order_takes_the_cheapest_lot_first_then_the_oldest() -> None:
    post = Post()
    post.do(Deposit("salt", 2, 30, "ann"))
    post.do(Deposit("salt", 2, 10, "bob"))
    post.do(Deposit("salt", 2, 10, "cid"))

    assert post.do(Order("salt", 5, "eve")) == {
        "outcome": "filled",
        "parts": [
            {"lot": 2, "seller": "bob", "quantity": 2, "price": 10},
            {"lot": 3, "seller": "cid", "quantity": 2, "price": 10},
            {"lot": 1, "seller": "ann", "quantity": 1, "price": 30},
        ],
        "paid": 70,
    }
    assert audit(post.market) == []


def test_order_beyond_the_stock_is_unavailable_and_changes_nothing() -> None:
    post = Post()
    post.do(Deposit("salt", 2, 30, "ann"))
    before = list(post.market.snapshot())

    assert post.do(Order("salt", 3, "eve")) == UNAVAILABLE
    assert post.do(Order("fish", 1, "eve")) == UNAVAILABLE
    assert list(post.market.snapshot()) == before


def test_repriced_lot_keeps_its_age() -> None:
    post = Post()
    post.do(Deposit("salt", 1, 30, "ann"))
    post.do(Deposit("salt", 1, 10, "bob"))

    assert post.do(Reprice(1, 10)) == {"outcome": "repriced", "lot": 1, "price": 10}
    assert post.do(Order("salt", 1, "eve"))["parts"][0]["lot"] == 1


def test_withdrawal_of_more_than_is_left_is_unavailable() -> None:
    post = Post()
    post.do(Deposit("salt", 5, 10, "ann"))
    post.do(Order("salt", 2, "eve"))

    assert post.do(Withdraw(1, 4)) == UNAVAILABLE
    assert post.do(Withdraw(1, 3)) == {"outcome": "withdrawn", "lot": 1, "quantity": 3}
    assert post.do(Withdraw(1, 1)) == UNAVAILABLE
    assert post.do(Reprice(1, 9)) == UNAVAILABLE
    assert post.do(Withdraw(99, 1)) == UNAVAILABLE
    assert audit(post.market) == []


def test_commission_is_floored_for_each_part_and_goes_to_the_trader_of_the_entry() -> None:
    """U2."""
    post = Post(commission_bp=333, trader=4)
    post.do(Deposit("salt", 1, 100, "ann"))
    post.do(Deposit("salt", 1, 100, "bob"))

    post.do(Order("salt", 2, "ann"))

    assert views.accounts(post.market) == {
        "ann": {"paid": 200, "earned": 97, "commission": 0},
        "bob": {"paid": 0, "earned": 97, "commission": 0},
        "peer-4": {"paid": 0, "earned": 0, "commission": 6},
    }


def test_money_beyond_64_bits_stays_exact_and_survives_a_snapshot() -> None:
    post = Post()
    post.do(Deposit("salt", QUANTITY_MAX, PRICE_MAX, "ann"))
    post.market.earned["ann"] = post.market.paid["eve"] = 2**80

    post.do(Order("salt", QUANTITY_MAX, "eve"))
    copy = Market()
    for part in post.market.snapshot():
        copy.restore(part)

    assert copy.paid == {"eve": 2**80 + 10**15}
    assert 10**15 < 2**53


def test_order_from_more_lots_than_the_bound_is_unavailable() -> None:
    post = Post()
    for _ in range(PARTS_MAX + 1):
        post.do(Deposit("salt", 1, 10, "ann"))

    assert post.do(Order("salt", PARTS_MAX + 1, "eve")) == UNAVAILABLE
    assert len(post.do(Order("salt", PARTS_MAX, "eve"))["parts"]) == PARTS_MAX
    assert post.do(Order("salt", 1, "eve"))["outcome"] == "filled"


@pytest.mark.parametrize(
    "name", ["", "-salt", "Salt", "salt\n", "s" * 33, "sält", "a b", '"', "\0"]
)
def test_bad_name_is_invalid_wherever_it_stands(name: str) -> None:
    post = Post()

    assert post.do(Order(name, 1, "eve")) == INVALID
    assert post.do(Order("salt", 1, name)) == INVALID
    assert post.do(Deposit(name, 1, 1, "ann")) == INVALID
    assert post.do(Deposit("salt", 1, 1, name)) == INVALID


@pytest.mark.parametrize("quantity", [0, -1, QUANTITY_MAX + 1, 2**63])
def test_quantity_out_of_bounds_is_invalid(quantity: int) -> None:
    post = Post()

    assert post.do(Order("salt", quantity, "eve")) == INVALID
    assert post.do(Deposit("salt", quantity, 1, "ann")) == INVALID
    assert post.do(Withdraw(1, quantity)) == INVALID


@pytest.mark.parametrize("price", [0, -1, PRICE_MAX + 1])
def test_price_out_of_bounds_is_invalid(price: int) -> None:
    post = Post()

    assert post.do(Deposit("salt", 1, price, "ann")) == INVALID
    assert post.do(Reprice(1, price)) == INVALID


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    post = Post()

    assert post.raw(body)["outcome"] in {"invalid", "unavailable", "deposited"}


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@given(st.sampled_from("odwrx"), st.lists(values | st.sampled_from(["salt", 1, 1.0]), max_size=5))
def test_arbitrary_values_under_a_known_tag_never_raise(tag: str, fields: list[object]) -> None:
    post = Post()
    post.do(Deposit("salt", 5, 1, "ann"))

    post.raw(msgspec.msgpack.encode([tag, *fields]))

    assert audit(post.market) == []


def test_bad_utf8_in_a_name_is_invalid() -> None:
    assert Post().raw(b"\x94\xa1o\xa2\xff\xfe\x01\xa1a") == INVALID


def test_one_field_too_many_is_invalid() -> None:
    assert Post().raw(msgspec.msgpack.encode(["o", "salt", 1, "eve", 0])) == INVALID


def test_settings_out_of_bounds_stop_the_start() -> None:
    with pytest.raises(msgspec.ValidationError):
        Market().configure(encode_settings(MarketSettings(10_001)))


def test_views_show_stock_cheapest_first_totals_and_trades() -> None:
    post = Post(commission_bp=1000)
    post.do(Deposit("salt", 5, 30, "ann"))
    post.do(Deposit("salt", 5, 10, "bob"))
    post.do(Order("salt", 1, "eve"))
    post.do(Order("salt", 2, "eve"))

    assert views.stock(post.market, 1) == {
        "salt": {
            "on_offer": 7,
            "lots": [{"lot": 2, "seller": "bob", "quantity": 2, "price": 10}],
        }
    }
    assert views.totals(post.market) == {
        "goods": {"salt": {"deposited": 10, "sold": 3, "withdrawn": 0, "on_offer": 7}},
        "money": {"paid": 30, "earned": 27, "commission": 3},
    }
    assert [t.index for t in views.trades(post.market, 0, 10)] == [3, 4]
    assert [t.paid for t in views.trades(post.market, 3, 10)] == [20]
    assert [t.index for t in views.trades(post.market, 0, 1)] == [3]


def test_glance_shows_the_first_items_and_the_newest_trades() -> None:
    post = Post()
    for item in "ihgfedcba":
        post.do(Deposit(item, 12, 30, "ann"))
    post.do(Deposit("a", 5, 10, "bob"))
    post.do(Order("z", 1, "eve"))
    for _ in range(9):
        post.do(Order("a", 1, "eve"))
    post.do(Order("b", 12, "eve"))

    shown = views.glance(post.market)

    assert shown["items"] == [["a", 8, 30], *([item, 12, 30] for item in "cdefghi")]
    assert shown["trades"] == [
        ["eve", 12, "b", 360],
        *([["eve", 1, "a", 30]] * 4),
        *([["eve", 1, "a", 10]] * 3),
    ]


SCRIPT = """
from random import Random
from bazaar_peer.core.machine import Context
from bazaar_peer.market.commands import *
from bazaar_peer.market.commands import encode_command
from bazaar_peer.market.market import Market
prng, market, context = Random(7), Market(), Context()
market.configure(b"")
out = []
for index in range(1, 3000):
    context.index = index
    n = lambda k: 1 + int(prng.random() * k)
    name, item = f"peer-{n(9)}", f"item-{n(5)}"
    command = [Order(item, n(9), name), Deposit(item, n(9), n(9), name),
               Withdraw(n(index), n(9)), Reprice(n(index), n(9))][n(4) - 1]
    out.append(market.apply(encode_command(command), context))
print(b"".join(out + list(market.snapshot())).hex(), market.hash())
"""


def test_outcome_does_not_depend_on_the_hash_seed() -> None:
    """S10."""
    path = os.path.dirname(os.path.dirname(bazaar_peer.__file__))

    outputs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 10_000
