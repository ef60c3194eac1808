"""What is told over a change of traders, and what it did: rows 26–28, 30, 63, 64 (R13 e, U2)."""

from __future__ import annotations

import msgspec

from bazaar_peer.core import messages as msg
from bazaar_peer.core.events import Received
from bazaar_peer.core.types import PeerId
from bazaar_peer.market.commands import (
    Deposit,
    MarketSettings,
    Order,
    encode_command,
    encode_settings,
)
from bazaar_peer.simulation.script import Script
from bazaar_peer.simulation.scripts.registry import script
from bazaar_peer.simulation.scripts.setting import opened

SALT = encode_command(Deposit("salt", 10, 100, "ann"))
BUY = encode_command(Order("salt", 4, "bob"))


def market() -> Script:
    """Return a manual ring that trades, at a commission of ten percent."""
    return opened(machine="market", genesis=encode_settings(MarketSettings(1000)))


def inherit(s: Script) -> None:
    """Let what 0 wrote reach 2 alone; then 0 dies, and 2 is elected with 1's promise."""
    s.deliver_all("Append", 0, 2)
    s.drop("Append")
    s.world.crash(0)
    s.silence()
    s.elect(2, 1, epoch=2)


def outcome(s: Script, request: int) -> str:
    return str(msgspec.json.decode(s.answer(request).body)["outcome"])


@script("number_runs_again")
def row_26_a_deposit_sent_again_over_a_failover_adds_its_goods_once() -> None:
    s = market()
    request = s.submit(1, body=SALT)
    s.deliver("Submit", 1, 0)
    inherit(s)
    s.deliver_all("Append", 2, 1)
    s.exchange(2, 1)
    s.exchange(2, 1)
    assert outcome(s, request) == "deposited"
    assert s.peer(2).state.machine.on_offer == {"salt": 10}


@script("unavailable_not_kept")
def row_27_unavailable_is_committed_and_its_retry_trades_nothing() -> None:
    """The goods come before the retry, which goes through another peer to another trader."""
    s = market()
    first = s.submit(1, key="order", body=BUY)
    s.exchange(0, 1, 2)
    s.submit(0, body=SALT)
    s.replicate(0, 1, 2)
    s.beat(0, 1, 2)
    s.world.crash(0)
    s.silence()
    s.elect(2, 1, epoch=2)
    s.replicate(2, 1)
    again = s.submit(2, key="order", body=BUY)
    s.replicate(2, 1)
    assert (outcome(s, first), outcome(s, again)) == ("unavailable", "unavailable")
    assert s.answer(again).index == s.answer(first).index
    assert s.peer(2).state.machine.on_offer == {"salt": 10}


@script("failed_on_stepping_down")
def row_28_a_deposed_trader_calls_nothing_failed_that_it_has_written() -> None:
    """0 wrote 1's command and is deposed; the next trader commits it."""
    s = opened()
    request = s.submit(1, 5)
    s.deliver("Submit", 1, 0)
    s.deliver_all("Append", 0, 2)
    s.drop("Append")
    s.silence()
    s.elect(2, 1, epoch=2)
    s.deliver_all("Append", 2, 0)
    s.deliver_all("Answers", 0, 1)
    assert s.status(request) == -1, "nobody can know yet"
    s.exchange(2, 1)
    s.exchange(2, 1)
    assert (s.status(request), s.value(2)) == (0, 5)


@script("full_queue_refuses")
def row_63_a_successor_whose_queue_is_full_refuses_nothing_that_it_inherited() -> None:
    """2 inherits 1's command; before it is committed its queue fills, and 1 submits again."""
    s = opened(queue_max=1)
    request = s.submit(1, 5)
    s.deliver("Submit", 1, 0)
    inherit(s)
    s.submit(2, 7)
    s.deliver_all("Append", 2, 1)
    s.deliver_all("Submit", 1, 2)
    s.deliver_all("Answers", 2, 1)
    assert s.status(request) == -1
    s.exchange(2, 1)
    s.exchange(2, 1)
    assert (s.status(request), s.value(2)) == (0, 5 + 7)


@script("submitted_once")
def row_64_a_reigns_first_append_has_everything_submitted() -> None:
    """1 has promised 2 its epoch, submits, and is told that 2 does not trade; then 2 does."""
    s = opened()
    s.world.crash(0)
    s.silence()
    s.stand(2, 2)
    s.deliver("IWon", 2, 1)
    request = s.submit(1, 5)
    s.turn(1, Received(PeerId(2), msg.NotTrader(2, -1)))
    s.deliver("Promise", 1, 2)
    s.deliver_all("Fetch", 2, 1)
    s.deliver_all("Chunk", 1, 2)
    s.exchange(2, 1)
    s.exchange(2, 1)
    assert (s.status(request), s.value(2)) == (0, 5)


@script("commission_to_wrong_epoch")
def row_30_the_commission_of_an_inherited_entry_is_its_own_traders() -> None:
    """0 wrote the order, 2 commits it: U2."""
    s = market()
    s.submit(0, body=SALT)
    s.replicate(0, 1, 2)
    s.submit(0, body=BUY)
    inherit(s)
    s.replicate(2, 1)
    s.beat(2, 1)
    commissions = [s.peer(p).state.machine.commission for p in (1, 2)]
    assert commissions[0] == commissions[1]
    assert list(commissions[0]) == ["peer-0"]
