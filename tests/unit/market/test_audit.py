"""The audit catches what it is for: every check with a planted bug."""

from __future__ import annotations

from bazaar_peer.core.machine import Context
from bazaar_peer.market.audit import audit, audit_sums
from bazaar_peer.market.commands import (
    Command,
    Deposit,
    MarketSettings,
    Order,
    Part,
    Withdraw,
    encode_command,
    encode_settings,
)
from bazaar_peer.market.lots import Lot
from bazaar_peer.market.market import Market

COMMANDS: list[Command] = [
    Deposit("salt", 5, 33, "ann"),
    Deposit("salt", 5, 35, "bob"),
    Order("salt", 7, "eve"),
    Withdraw(2, 1),
]


class FloatMoney(Market):
    def _credit(self, part: Part, trader: int) -> int:
        due = part.price * part.quantity
        share = due * self.settings.commission_bp / 10_000
        self.earned[part.seller] = self.earned.get(part.seller, 0) + (due - share)  # type: ignore[assignment]
        return due


class CommissionTwice(Market):
    def _credit(self, part: Part, trader: int) -> int:
        share = part.price * part.quantity * self.settings.commission_bp // 10_000
        self.commission["peer-0"] = self.commission.get("peer-0", 0) + share
        return super()._credit(part, trader)


class DepositDoubled(Market):
    def _offer(self, lot: int, value: Lot) -> None:
        item, seller, price, quantity = value
        super()._offer(lot, (item, seller, price, 2 * quantity))


class SaleFromNowhere(Market):
    def _take(self, lot: int, value: Lot, quantity: int) -> None:
        self.on_offer[value[0]] -= quantity


class BookForgotten(Market):
    def _offer(self, lot: int, value: Lot) -> None:
        super()._offer(lot, value)
        if lot == 2:
            self.books["salt"].remove(35, 2)


def run(market: Market, commands: list[Command] = COMMANDS) -> Market:
    market.configure(encode_settings(MarketSettings(725)))
    context = Context()
    context.trader = 1
    for context.index, command in enumerate(commands, 1):
        market.apply(encode_command(command), context)
    return market


def test_sound_market_passes() -> None:
    assert audit(run(Market())) == []


def test_float_money_is_caught() -> None:
    assert "earned of ann is 153.0375, which is not an integer" in audit_sums(run(FloatMoney()))


def test_commission_credited_twice_is_caught() -> None:
    assert audit_sums(run(CommissionTwice())) == [
        "money: 235 paid, but 219 earned + 32 commission = 251"
    ]


def test_doubled_deposit_is_caught() -> None:
    assert audit_sums(run(DepositDoubled())) == [
        "salt: 10 deposited, but 7 sold + 1 withdrawn + 12 on offer = 20"
    ]


def test_goods_sold_but_still_there_are_caught_by_the_lots_alone() -> None:
    market = run(SaleFromNowhere(), COMMANDS[:3])

    assert audit_sums(market) == []
    assert audit(market) == ["salt: 3 on offer by the count, 10 by the lots"]


def test_lot_that_no_book_shows_is_caught() -> None:
    assert audit(run(BookForgotten(), COMMANDS[:2])) == [
        "salt: the book does not list the lots by price and age"
    ]


def test_negative_sum_and_empty_lot_are_caught() -> None:
    market = run(Market(), COMMANDS[:1])
    market.sold["salt"] = -5
    market.on_offer["salt"] = 10
    market.lots.put(1, ("salt", "ann", 33, 0))

    assert audit(market) == [
        "sold of salt is -5, which is negative",
        "lot 1: 0 salt of ann at 33",
        "salt: 10 on offer by the count, 0 by the lots",
    ]
