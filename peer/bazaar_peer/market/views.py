"""What a reader may see of the applied state, as plain values.

Sums of money are Python integers and may outgrow 64 bits: write them to JSON with the standard
library's encoder, which takes any integer, not with msgspec's.
"""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice, takewhile
from typing import Any, TypedDict

from bazaar_peer.core.machine import Machine
from bazaar_peer.market.market import Market, Trade

GLANCE_ROWS, GLANCE_ITEMS = 8, 5000
"""Rows that are shown, and items that are looked through for them: it happens on a trade's path."""


class LotView(TypedDict):
    lot: int
    seller: str
    quantity: int
    price: int


class StockView(TypedDict):
    on_offer: int
    lots: list[LotView]


class AccountView(TypedDict):
    paid: int
    earned: int
    commission: int


class GoodsView(TypedDict):
    deposited: int
    sold: int
    withdrawn: int
    on_offer: int


class TotalsView(TypedDict):
    goods: dict[str, GoodsView]
    money: AccountView


def stock(market: Market, limit: int) -> dict[str, StockView]:
    """Goods on offer by item, each with its next `limit` lots in the order of their sale."""
    view: dict[str, StockView] = {}
    for item in sorted(item for item, left in market.on_offer.items() if left):
        lots: list[LotView] = []
        for lot in islice(market.books[item], limit):
            found = market.lots.get(lot)
            assert found is not None
            _, seller, price, quantity = found
            lots.append(LotView(lot=lot, seller=seller, quantity=quantity, price=price))
        view[item] = StockView(on_offer=market.on_offer[item], lots=lots)
    return view


def glance(market: Machine) -> dict[str, list[list[Any]]]:
    """Return what the live page shows of a market: rows of items and of trades, bounded.

    `items`: name, on offer, lowest price; `trades`: buyer, quantity, item, paid, the newest first.
    Nothing of another machine than a market.
    """
    if not isinstance(market, Market):
        return {}
    there = islice((item for item, left in market.on_offer.items() if left), GLANCE_ITEMS)
    names = nsmallest(GLANCE_ROWS, there)
    newest = islice(reversed(market.recent), GLANCE_ROWS)
    return {
        "items": [[name, market.on_offer[name], _lowest_price(market, name)] for name in names],
        "trades": [[t.buyer, t.quantity, t.item, t.paid] for t in newest],
    }


def _lowest_price(market: Market, item: str) -> int:
    found = market.lots.get(market.books[item].cheapest())
    assert found is not None
    return found[2]


def accounts(market: Market) -> dict[str, AccountView]:
    """What everybody paid and earned, by name."""
    return {
        name: AccountView(
            paid=market.paid.get(name, 0),
            earned=market.earned.get(name, 0),
            commission=market.commission.get(name, 0),
        )
        for name in sorted({**market.paid, **market.earned, **market.commission})
    }


def totals(market: Market) -> TotalsView:
    """Both sides of S7: goods by item, and all money."""
    return TotalsView(
        goods={
            item: GoodsView(
                deposited=deposited,
                sold=market.sold.get(item, 0),
                withdrawn=market.withdrawn.get(item, 0),
                on_offer=market.on_offer.get(item, 0),
            )
            for item, deposited in sorted(market.deposited.items())
        },
        money=AccountView(
            paid=sum(market.paid.values()),
            earned=sum(market.earned.values()),
            commission=sum(market.commission.values()),
        ),
    )


def trades(market: Market, after: int, limit: int) -> list[Trade]:
    """Trades this process remembers behind journal index `after`: the first `limit`, oldest first.

    They begin where the process's memory does: after a restart, at its checkpoint.
    """
    behind = list(takewhile(lambda trade: trade.index > after, reversed(market.recent)))
    return behind[::-1][:limit]
