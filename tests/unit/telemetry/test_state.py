"""What the gauges and totals of a life come from, on a real core."""

from __future__ import annotations

from functools import partial
from itertools import count

import pytest

from bazaar_peer.core.types import PeerId
from bazaar_peer.market.commands import Command, Deposit, Order, encode_command
from bazaar_peer.market.market import Market
from bazaar_peer.telemetry.catalogue import Catalogue
from bazaar_peer.telemetry.state import State
from tests.unit.core.ring import Ring

ONE = PeerId(0)


class Post(Ring):
    """A ring of one that is a market, and what Prometheus sees of it, scrape by scrape."""

    def __init__(self) -> None:
        super().__init__(1)
        self.number = count(1).__next__
        self.catalogue = Catalogue(["salt"])
        self.scraped = self.life()
        self.settle()

    def machine(self, peer: PeerId) -> type[Market]:  # type: ignore[override]
        return Market

    def life(self) -> State:
        return State(self.catalogue, self.peers[ONE], lambda: self.now, lambda: 0)

    def do(self, *commands: Command) -> None:
        for command in commands:
            number = self.number()
            self.add(ONE, number, body=encode_command(command))
            self.until(partial(self.replies.__contains__, number))

    def trades(self) -> float | None:
        self.scraped.show()
        return self.catalogue.registry.get_sample_value("bazaar_trades_total")


@pytest.fixture
def post() -> Post:
    made = Post()
    made.do(Deposit("salt", 10, 1, "ann"))
    return made


def test_trade_is_an_order_that_was_filled(post: Post) -> None:
    assert post.trades() == 0, "a deposit is none"

    post.do(Order("salt", 4, "bob"), Order("salt", 7, "bob"), Order("salt", 6, "cat"))

    assert post.trades() == 2, "one was for more than there was"


def test_trade_that_a_start_executes_again_is_counted_once(post: Post) -> None:
    post.do(Order("salt", 4, "bob"))
    assert post.trades() == 1
    post.kill(ONE)
    post.restart(ONE)
    post.scraped = post.life()
    post.settle()

    assert post.trades() == 1
    post.do(Order("salt", 4, "bob"))
    assert post.trades() == 2


def test_checkpoint_that_takes_the_markets_place_takes_nothing_off(post: Post) -> None:
    post.do(Order("salt", 4, "bob"))
    assert post.trades() == 1
    state = post.peers[ONE].state
    copy = Market()
    copy.configure(b"")
    for part in state.machine.snapshot():
        copy.restore(part)
    state.machine = copy

    assert post.trades() == 1
    post.do(Order("salt", 4, "bob"))
    assert post.trades() == 2
