"""The market and a naive one, side by side (S7, S10)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bazaar_peer.core.machine import Context, Machine
from bazaar_peer.market.audit import audit, audit_sums
from bazaar_peer.market.commands import (
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

names = st.sampled_from(["ann", "bob", "cid", "peer-1"])
items = st.sampled_from(["salt", "fish"])
amounts = st.integers(1, 12)
prices = st.integers(1, 40)


@dataclass(frozen=True)
class ModelLot:
    number: int
    item: str
    seller: str
    price: int
    quantity: int


@dataclass
class Model:
    """A list of lots, sorted and scanned at every order; nothing is kept twice."""

    commission_bp: int
    lots: list[ModelLot] = field(default_factory=list)
    paid: int = 0
    balances: dict[str, int] = field(default_factory=dict)

    def credit(self, name: str, amount: int) -> None:
        self.balances[name] = self.balances.get(name, 0) + amount

    def order(self, item: str, quantity: int, trader: int) -> dict[str, Any]:
        offered = sorted(
            (x for x in self.lots if x.item == item), key=lambda x: (x.price, x.number)
        )
        if sum(x.quantity for x in offered) < quantity:
            return {"outcome": "unavailable"}
        parts, paid = [], 0
        for lot in offered:
            taken = min(lot.quantity, quantity)
            if taken:
                quantity -= taken
                due = lot.price * taken
                paid += due
                self.credit(lot.seller, due - due * self.commission_bp // 10_000)
                self.credit(f"peer-{trader}", due * self.commission_bp // 10_000)
                parts.append(
                    {"lot": lot.number, "seller": lot.seller, "quantity": taken, "price": lot.price}
                )
                self.take(lot, taken)
        self.paid += paid
        return {"outcome": "filled", "parts": parts, "paid": paid}

    def take(self, lot: ModelLot, quantity: int) -> None:
        self.lots.remove(lot)
        if lot.quantity > quantity:
            self.lots.append(replace(lot, quantity=lot.quantity - quantity))

    def find(self, number: int) -> ModelLot | None:
        return next((x for x in self.lots if x.number == number), None)


class MarketMachine(RuleBasedStateMachine):
    """Also keeps a replica that is restored from a snapshot now and then, and must stay equal."""

    def __init__(self) -> None:
        super().__init__()
        self.context = Context()
        self.context.trader = 2
        self.market = Market()
        self.market.configure(encode_settings(MarketSettings(725)))
        self.model = Model(725)
        self.replica = restored(self.market)
        self.pending: tuple[list[bytes], Any] | None = None

    def apply(self, command: Command) -> dict[str, Any]:
        self.context.index += 1
        body = encode_command(command)
        result = self.market.apply(body, self.context)

        assert self.replica.apply(body, self.context) == result
        answer = json.loads(result)
        assert isinstance(answer, dict)
        return answer

    @rule(item=items, quantity=amounts, price=prices, seller=names)
    def deposit(self, item: str, quantity: int, price: int, seller: str) -> None:
        answer = self.apply(Deposit(item, quantity, price, seller))

        number = self.context.index
        assert answer == {"outcome": "deposited", "lot": number}
        self.model.lots.append(ModelLot(number, item, seller, price, quantity))

    @rule(item=items, quantity=st.integers(1, 40), buyer=names)
    def order(self, item: str, quantity: int, buyer: str) -> None:
        answer = self.apply(Order(item, quantity, buyer))

        assert answer == self.model.order(item, quantity, self.context.trader)

    @rule(at=st.integers(0, 40), quantity=amounts)
    def withdraw(self, at: int, quantity: int) -> None:
        number = max(1, self.context.index - at)
        answer = self.apply(Withdraw(number, quantity))

        lot = self.model.find(number)
        if lot is None or lot.quantity < quantity:
            assert answer == {"outcome": "unavailable"}
        else:
            assert answer == {"outcome": "withdrawn", "lot": number, "quantity": quantity}
            self.model.take(lot, quantity)

    @rule(at=st.integers(0, 40), price=prices)
    def reprice(self, at: int, price: int) -> None:
        number = max(1, self.context.index - at)
        answer = self.apply(Reprice(number, price))

        lot = self.model.find(number)
        if lot is None:
            assert answer == {"outcome": "unavailable"}
        else:
            assert answer == {"outcome": "repriced", "lot": number, "price": price}
            self.model.lots.remove(lot)
            self.model.lots.append(replace(lot, price=price))

    @rule(trader=st.integers(0, 5), gap=st.integers(1, 300))
    def reign(self, trader: int, gap: int) -> None:
        """Other entries lie between: lots come to lie on several shelves."""
        self.context.trader = trader
        self.context.index += gap

    @rule()
    def restart(self) -> None:
        self.replica = restored(self.market)

    @precondition(lambda self: self.pending is None)
    @rule()
    def begin_snapshot(self) -> None:
        self.pending = list(self.market.snapshot()), self.market.snapshot()

    @precondition(lambda self: self.pending is not None)
    @rule()
    def end_snapshot(self) -> None:
        """A snapshot drawn late is that of its call."""
        assert self.pending is not None
        at_once, late = self.pending

        assert list(late) == at_once
        self.pending = None

    @rule()
    def hash_one(self) -> None:
        """When hashes are asked for must not matter."""
        self.market.hash()

    @invariant()
    def replica_is_equal_byte_for_byte(self) -> None:
        assert list(self.market.snapshot()) == list(self.replica.snapshot())
        assert self.market.hash() == restored(self.market).hash() == self.replica.hash()

    @invariant()
    def goods_and_money_are_conserved(self) -> None:
        assert audit(self.market) == audit_sums(self.replica) == []

    @invariant()
    def money_is_the_models(self) -> None:
        assert sum(self.market.paid.values()) == self.model.paid
        for name in {**self.market.earned, **self.market.commission}:
            mine = self.market.earned.get(name, 0) + self.market.commission.get(name, 0)
            assert mine == self.model.balances[name]


def restored(machine: Machine) -> Market:
    copy = Market()
    for part in machine.snapshot():
        assert len(part) <= 64 * 1024
        copy.restore(part)
    return copy


TestMarket = MarketMachine.TestCase
TestMarket.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
