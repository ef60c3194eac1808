"""What buyers and sellers want, in virtual time against a real market."""

from __future__ import annotations

import pytest

from bazaar_peer.agents.agent import BURST_MAX, COVER, DEMAND_MIN, ITEMS, Agent
from bazaar_peer.agents.roles import Role, assign_roles
from bazaar_peer.core.machine import Context
from bazaar_peer.core.types import MS, SECOND
from bazaar_peer.market.audit import audit
from bazaar_peer.market.commands import (
    Command,
    Deposit,
    Filled,
    Order,
    Reprice,
    Withdraw,
    decode_result,
    encode_command,
)
from bazaar_peer.market.market import Market


class Fair:
    """Agents at one market; every command is applied at once."""

    def __init__(self, spec: str, peers: int, orders_per_s: float, seed: int = 1) -> None:
        self.market = Market()
        self.context = Context()
        self.agents = [
            Agent(f"peer-{peer}", role, seed=seed, orders_per_s=orders_per_s)
            for peer, role in enumerate(assign_roles(spec, peers, seed))
        ]
        self.now = 0
        self.filled = self.unavailable = 0
        self.stock: list[int] = []
        self.commands: list[Command] = []

    def run(self, seconds: int) -> None:
        for _ in range(seconds * 20):
            for agent in self.agents:
                agent.look(self.market)
                for command in agent.next(self.now):
                    self.do(agent, command)
            self.stock.append(sum(self.market.on_offer.values()))
            self.now += 50 * MS

    def do(self, agent: Agent, command: Command) -> None:
        self.context.index += 1
        result = self.market.apply(encode_command(command), self.context)
        self.commands.append(command)
        agent.told(command, result)
        if isinstance(command, Order):
            if isinstance(decode_result(result), Filled):
                self.filled += 1
            else:
                self.unavailable += 1


def seller() -> Agent:
    return Agent("peer-1", Role.SELLER, seed=1)


@pytest.mark.parametrize(
    ("spec", "peers", "orders_per_s"),
    [
        ("both", 6, 1.0),
        ("both", 6, 100.0),
        ("buyers=5,sellers=1", 6, 100.0),
        ("buyers=1,sellers=5", 6, 5.0),
        ("both", 1, 20.0),
    ],
)
def test_stock_follows_demand_neither_dry_nor_without_bound(
    spec: str, peers: int, orders_per_s: float
) -> None:
    fair = Fair(spec, peers, orders_per_s)

    fair.run(40)

    units_per_s = sum(fair.market.sold.values()) / 40
    floor = len(ITEMS) * DEMAND_MIN
    assert fair.unavailable <= 0.03 * fair.filled
    assert max(fair.stock) <= 2 * COVER * (units_per_s + floor)
    assert sum(1 for _ in fair.market.lots.items()) <= 40 * len(fair.agents)
    assert audit(fair.market) == []


def test_sellers_take_goods_back_when_demand_is_gone() -> None:
    fair = Fair("buyers=2,sellers=2", 4, 200.0)
    fair.run(20)
    assert fair.stock[-1] > 4 * len(ITEMS) * COVER * DEMAND_MIN

    for buyer in fair.agents[:2]:
        buyer.rest()
    fair.run(90)

    assert any(isinstance(command, Withdraw) for command in fair.commands)
    assert fair.stock[-1] <= 2 * len(ITEMS) * COVER * DEMAND_MIN
    assert audit(fair.market) == []


def test_seller_reprices_what_does_not_sell() -> None:
    fair = Fair("buyers=0,sellers=1", 1, 0.0)

    fair.run(10)

    repriced = [command for command in fair.commands if isinstance(command, Reprice)]
    assert len(repriced) >= 8
    assert len({command.price for command in repriced}) > 3


def test_seller_turns_to_another_item_when_its_lot_sold_out() -> None:
    fair = Fair("buyers=0,sellers=1", 1, 0.0)
    fair.run(3)
    items: set[str] = set()

    for _ in range(20):
        for item in ITEMS:
            left = fair.market.on_offer.get(item, 0)
            if left:
                fair.do(Agent("eve", Role.BUYER, seed=1), Order(item, left, "eve"))
        fair.run(1)
        items.update(c.item for c in fair.commands[-8:] if isinstance(c, Deposit))

    assert items == set(ITEMS)


def test_buyer_keeps_its_rate() -> None:
    buyer = Agent("peer-0", Role.BUYER, seed=1, orders_per_s=50.0)

    orders = [order for at in range(0, 10 * SECOND, 7 * MS) for order in buyer.next(at)]

    assert 499 <= len(orders) <= 501
    assert all(isinstance(order, Order) and order.buyer == "peer-0" for order in orders)


def test_rate_of_zero_orders_nothing() -> None:
    buyer = Agent("peer-0", Role.BUYER, seed=1, orders_per_s=0.0)

    assert buyer.next(SECOND) == []
    assert buyer.wake_at is None


def test_long_sleep_is_not_made_up_for() -> None:
    buyer = Agent("peer-0", Role.BUYER, seed=1, orders_per_s=1000.0)
    buyer.next(0)

    assert len(buyer.next(1000 * SECOND)) == BURST_MAX
    assert len(buyer.next(1000 * SECOND + 10 * MS)) == 10


def test_resting_agent_wants_nothing_and_resumes_without_a_burst() -> None:
    agent = Agent("peer-0", Role.BOTH, seed=1, orders_per_s=10.0)
    agent.look(Market())
    agent.next(0)

    agent.rest()
    assert agent.next(50 * SECOND) == []
    assert agent.wake_at is None
    agent.resume()

    assert sum(isinstance(c, Order) for c in agent.next(60 * SECOND)) <= 1
    assert agent.wake_at is not None
    assert 60 * SECOND < agent.wake_at <= 60 * SECOND + 100 * MS


def test_seller_that_has_not_looked_offers_nothing() -> None:
    assert seller().next(SECOND) == []


def test_unanswered_deposit_is_not_repeated_until_told() -> None:
    """An interregnum must not pile up deposits."""
    agent = seller()
    agent.look(Market())
    first = agent.next(0)

    assert {c.item for c in first if isinstance(c, Deposit)} == set(ITEMS)
    assert agent.next(SECOND) == []

    for command in first:
        agent.told(command, None)
    assert len(agent.next(2 * SECOND)) == len(ITEMS)


def test_same_seed_wants_the_same_and_peers_differ() -> None:
    def wishes(name: str, seed: int) -> list[Command]:
        agent = Agent(name, Role.BOTH, seed=seed, orders_per_s=20.0)
        agent.look(Market())
        return agent.next(0) + agent.next(2 * SECOND)

    assert wishes("peer-1", 1) == wishes("peer-1", 1)
    assert wishes("peer-1", 1) != wishes("peer-1", 2)
    assert [c.quantity for c in wishes("peer-1", 1) if isinstance(c, Order)] != [
        c.quantity for c in wishes("peer-2", 1) if isinstance(c, Order)
    ]
