"""A peer's own buyer and seller: what it wants from the market, and when.

The adapter calls `look` with the applied market now and then, `next` at `wake_at` or later, submits
the commands it gets, and hands each outcome to `told`. While its peer is trader the agent rests.

A buyer orders at a steady rate, whatever the answers. A seller acts once a period:
- It estimates each item's demand per period by what was sold, and doubles the estimate of an item
  that ran dry, because orders that found nothing do not show.
- It offers its own item up to `COVER` periods of demand, and any item that has less than one left.
  So stock follows demand, and is bounded by COVER × demand × sellers even if all act at once.
- It takes goods back if there are far too many; else it sets another price for its lot, or, if
  that is sold out, turns to another item.
"""

from __future__ import annotations

from random import Random

from bazaar_peer.agents.roles import Role
from bazaar_peer.core.types import SECOND, Nanos
from bazaar_peer.market.commands import (
    QUANTITY_MAX,
    Command,
    Deposit,
    Deposited,
    Order,
    Reprice,
    Unavailable,
    Withdraw,
    decode_result,
)
from bazaar_peer.market.market import Market

ITEMS = ("salt", "fish", "boars", "figs", "wool", "lamps")
ORDER_MAX = 5
BURST_MAX = 256
"""Orders of one call at most; what an adapter that slept too long missed is skipped."""
DEMAND_MIN = 4 * ORDER_MAX
COVER = 4
PRICE_LOW, PRICE_HIGH = 80, 120


class Agent:
    """Buyer, seller or both, named `name` in the market; the same seed gives the same wishes."""

    def __init__(
        self,
        name: str,
        role: Role,
        *,
        seed: int,
        orders_per_s: float = 1.0,
        seller_period: Nanos = SECOND,
        items: tuple[str, ...] = ITEMS,
    ) -> None:
        self.name = name
        self.role = role
        self.items = items
        self.resting = False
        self._prng = Random(f"{seed}/{name}")  # noqa: S311 (wishes are no secret)
        self._order_gap: Nanos | None = None
        if role.buys and orders_per_s > 0:
            self._order_gap = max(1, int(SECOND / orders_per_s))
        self._period = seller_period if role.sells else None
        self._order_at: Nanos | None = None
        self._offer_at: Nanos | None = None
        self._item = self._any(items)
        self._lot = 0
        self._lots: dict[int, tuple[str, int]] = {}  # own lots: item and what is left
        self._pending: set[str] = set()  # items with a deposit under way; never iterated
        self._demand = dict.fromkeys(items, DEMAND_MIN)
        self._on_offer: dict[str, int] = {}
        self._sold: dict[str, int] = {}
        self._sold_before: dict[str, int] = {}

    @property
    def wake_at(self) -> Nanos | None:
        """When `next` may have something; None: resting, idle, or never asked before."""
        times = [at for at in (self._order_at, self._offer_at) if at is not None]
        return min(times) if times and not self.resting else None

    def rest(self) -> None:
        """Want nothing, until `resume`: the peer trades."""
        self.resting = True

    def resume(self) -> None:
        """Begin anew at the next call of `next`; nothing is made up for."""
        self.resting = False
        self._order_at = self._offer_at = None
        self._pending.clear()

    def look(self, market: Market) -> None:
        """See the applied state: stock and sales by item, and what is left of the own lots."""
        for item in self.items:
            self._on_offer[item] = market.on_offer.get(item, 0)
            self._sold[item] = market.sold.get(item, 0)
        for lot in list(self._lots):
            found = market.lots.get(lot)
            if found is None:
                del self._lots[lot]
            else:
                self._lots[lot] = found[0], found[3]

    def next(self, now: Nanos) -> list[Command]:
        """Return what the agent wants by now."""
        return [] if self.resting else [*self._orders(now), *self._offers(now)]

    def told(self, command: Command, result: bytes | None) -> None:
        """Take the outcome of one of its commands; None: it stays unknown."""
        if isinstance(command, Deposit):
            self._pending.discard(command.item)
        if result is None:
            return
        outcome = decode_result(result)
        match command, outcome:
            case Deposit(), Deposited():
                self._lots[outcome.lot] = command.item, command.quantity
                if command.item == self._item:
                    self._lot = outcome.lot
            case Reprice(), Unavailable():
                self._lots.pop(command.lot, None)
            case _:
                pass

    def _orders(self, now: Nanos) -> list[Command]:
        if self._order_gap is None:
            return []
        if self._order_at is None:  # a random phase, lest all peers order at once
            self._order_at = now + int(self._prng.random() * self._order_gap)
        orders: list[Command] = []
        while self._order_at <= now:
            if len(orders) == BURST_MAX:
                self._order_at = now + self._order_gap
                break
            orders.append(Order(self._any(self.items), 1 + self._below(ORDER_MAX), self.name))
            self._order_at += self._order_gap
        return orders

    def _offers(self, now: Nanos) -> list[Command]:
        if self._period is None or not self._on_offer:
            return []
        if self._offer_at is None:
            self._offer_at = now
        if now < self._offer_at:
            return []
        self._offer_at = now + self._period
        self._estimate()
        commands = self._tend_lot()
        for item in self.items:
            left, demand = self._on_offer[item], self._demand[item]
            wanted = COVER * demand if item == self._item else demand
            if left < wanted and item not in self._pending:
                self._pending.add(item)
                missing = min(COVER * demand - left, QUANTITY_MAX)
                commands.append(Deposit(item, missing, self._price(), self.name))
        return commands

    def _estimate(self) -> None:
        for item in self.items:
            sold = self._sold[item] - self._sold_before.get(item, self._sold[item])
            self._sold_before[item] = self._sold[item]
            past = self._demand[item]
            guess = past * 2 if self._on_offer[item] == 0 else max(sold, past * 3 // 4)
            self._demand[item] = max(DEMAND_MIN, min(guess, QUANTITY_MAX // COVER))

    def _tend_lot(self) -> list[Command]:
        """Take back what is far too much; else re-price the own lot, or turn to another item."""
        for lot, (item, left) in self._lots.items():
            enough = COVER * self._demand[item]
            if self._on_offer[item] > 2 * enough:
                return [Withdraw(lot, min(left, self._on_offer[item] - enough))]
        if self._lot in self._lots:
            return [Reprice(self._lot, self._price())]
        self._lot = next(iter(self._lots), 0)
        short = [i for i in self.items if self._on_offer[i] < COVER * self._demand[i]]
        self._item = self._any(tuple(short) or self.items)
        return []

    def _price(self) -> int:
        return PRICE_LOW + self._below(PRICE_HIGH - PRICE_LOW + 1)

    def _below(self, bound: int) -> int:
        return int(self._prng.random() * bound)

    def _any(self, items: tuple[str, ...]) -> str:
        return items[self._below(len(items))]
