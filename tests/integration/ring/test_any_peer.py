"""Any peer takes any request, and a client that goes from one to another notices nothing."""

from __future__ import annotations

import signal

from bench.rig import Ring, kill
from tests.integration.ring.conftest import StartRing, ask, deposit, order, trader_of, until


def test_every_peer_takes_every_command(trading: Ring) -> None:
    for peer in range(3):
        lot = deposit(trading, peer, f"any-{peer}", 10, price=1).body["lot"]
        bought = order(trading, (peer + 1) % 3, f"any-order-{peer}", 4).body
        rest = ask(trading, peer, "POST /v1/withdrawals", {"lot": lot, "quantity": 6})

        assert bought["parts"] == [{"lot": lot, "seller": "ali", "quantity": 4, "price": 1}]
        assert rest.body["outcome"] == "withdrawn"


def test_same_key_through_two_peers_is_executed_once(trading: Ring) -> None:
    """R13 c: the repeat gets the first result, another body is refused."""
    first = order(trading, 0, "twice", 2)
    second = order(trading, 1, "twice", 2)
    other = order(trading, 2, "twice", 3)
    found = ask(trading, 2, "GET /v1/commands/twice")

    assert first.body == second.body
    assert {**found.body} == {**first.body}
    assert other.status == 422


def test_index_of_an_answer_makes_the_next_read_see_it(trading: Ring) -> None:
    """R12: `Bazaar-Index` reads one's own writes at any peer; so does a linearizable read."""
    before = ask(trading, 0, "GET /v1/stock?consistency=linearizable").body["items"]["salt"]

    for turn in range(10):
        peer = turn % 3
        done = order(trading, peer, f"mine-{turn}")
        head = {"Bazaar-Index": str(done.body["index"])}
        seen = ask(trading, (peer + 1) % 3, "GET /v1/stock", headers=head)

        assert seen.body["items"]["salt"]["on_offer"] == before["on_offer"] - turn - 1
        assert int(seen.headers["bazaar-index"].rpartition(":")[2]) >= done.body["index"]


def test_order_acts_behind_the_index_that_it_names(trading: Ring) -> None:
    """T5: an order that follows a deposit's answer is never served before it."""
    lot = deposit(trading, 0, "behind", 1, price=1).body

    bought = order(trading, 2, "behind-order", Bazaar_Index=str(lot["index"])).body

    assert [part["lot"] for part in bought["parts"]] == [lot["lot"]]


def test_unavailable_is_an_outcome_and_a_repeat_gives_it_again(trading: Ring) -> None:
    body = {"item": "moonstone", "quantity": 1}
    head = {"Idempotency-Key": "none-left"}

    first = ask(trading, 0, "POST /v1/orders", body, head)
    offered = {"item": "moonstone", "quantity": 5, "price": 1}
    assert ask(trading, 1, "POST /v1/deposits", offered).status == 200
    again = ask(trading, 2, "POST /v1/orders", body, head)

    assert first.body["outcome"] == "unavailable"
    assert again.body == first.body


def test_session_goes_on_over_a_failover(start: StartRing) -> None:
    """R13 a: numbers take effect once, whoever trades; each outcome can be looked up."""
    rig = start(3, "--no-agents", "--restart-after", "0.5")
    assert deposit(rig, 0, "stock").status == 200
    session = ask(rig, 1, "POST /v1/sessions", headers={"Idempotency-Key": "s"}).body["session"]
    body = {"item": "salt", "quantity": 2}

    def numbered(peer: int, number: int, floor: int = 1) -> dict[str, str]:
        head = {"Bazaar-Session": session, "Bazaar-Number": number, "Bazaar-Floor": floor}
        found = ask(
            rig, peer, "POST /v1/orders", body, {name: str(value) for name, value in head.items()}
        )
        assert found.status == 200, found
        return found.body

    first = numbered(0, 1)
    old = trader_of(rig)
    kill(old["pid"], signal.SIGKILL)
    alive = [peer for peer in range(3) if peer != old["id"]]
    second = numbered(alive[0], 2)

    assert numbered(alive[1], 1) == first
    assert numbered(alive[1], 2) == second
    for number, outcome in ((1, first), (2, second)):
        assert ask(rig, alive[1], f"GET /v1/sessions/{session}/{number}").body == outcome
    assert ask(rig, alive[0], f"GET /v1/sessions/{session}/3").status == 404
    until(rig.settled, "the whole ring again")
    assert numbered(old["id"], 2) == second
    assert ask(rig, old["id"], f"DELETE /v1/sessions/{session}").body["outcome"] == "closed"
    sold = ask(rig, 0, "GET /v1/accounts?consistency=linearizable").body["totals"]["goods"]["salt"]
    assert sold["sold"] == 4
