"""The report's test cases 1 to 4: an election, then trades, and logs that tell both.

In each the elected trader is a peer of its own: its buying and selling rest while it trades.
"""

from __future__ import annotations

from itertools import count

import pytest

from bazaar_peer.agents.roles import assign_roles
from bench.rig import Ring
from tests.integration.ring.conftest import StartRing, ask, bazaar, events, until

BUYER, SELLER, BOTH = "buyer", "seller", "both"


def drawn(*wanted: str) -> tuple[str, ...]:
    """Options that give these roles, in any order, to all peers but the last one, the trader."""
    peers = len(wanted) + 1
    seed = next(s for s in count() if roles_of("random", peers, s)[:-1] == sorted(wanted))
    return ("--roles", "random", "--seed", str(seed))


def roles_of(spec: str, peers: int, seed: int) -> list[str]:
    return [role.value for role in assign_roles(spec, peers, seed)]


def let_last_peer_trade(rig: Ring) -> int:
    """Wait for an election; if it chose another than the highest id, have the post handed over."""
    last = rig.peers - 1

    def trades() -> bool:
        line = rig.settled()
        if line is not None and line["id"] != last:
            ask(rig, line["id"], "POST /v1/resign", {"successor": last})
        return line is not None and line["id"] == last

    until(trades, f"peer {last} is the trader")
    return last


CASES = {
    "case 1: 1 buyer, 1 seller, 1 trader": ((BUYER, SELLER), ("--roles", "buyers=1,sellers=2")),
    "case 2: 1 seller, 1 buyer, 1 buyer and seller, 1 trader": (
        (BOTH, BUYER, SELLER),
        drawn(BOTH, BUYER, SELLER),
    ),
    "case 3: 1 buyer and seller, 1 seller, 1 trader": ((BOTH, SELLER), drawn(BOTH, SELLER)),
    "case 4: 2 buyers and sellers, 1 trader": ((BOTH, BOTH), ("--roles", "both")),
}


@pytest.mark.parametrize(("roles", "options"), CASES.values(), ids=CASES.keys())
def test_ring_elects_a_trader_and_trades(
    roles: tuple[str, ...], options: tuple[str, ...], start: StartRing
) -> None:
    rig = start(len(roles) + 1, *options, "--rate", "40")
    trader = let_last_peer_trade(rig)
    rest = until(lambda: events(rig.data, trader, "role_rests"), "the trader's own role rests")[-1]

    def has(peer: int, name: str) -> bool:
        """The log tells of it, later than of the rest where it is about trades."""
        found = events(rig.data, peer, name)
        return bool(found) and (
            name != "order_filled" or int(found[-1]["mono_ns"]) > int(rest["mono_ns"])
        )

    for peer, role in enumerate(roles):
        if role != SELLER:
            until(lambda p=peer: has(p, "order_filled"), f"peer {peer}, a {role}, bought")  # type: ignore[misc]
        if role != BUYER:
            until(lambda p=peer: has(p, "deposited"), f"peer {peer}, a {role}, offered")  # type: ignore[misc]
    told = rig.stop()

    assert events(rig.data, trader, "reign_begun")
    assert (told["trader"], told["failed"]) == (trader, 0)
    assert told["filled"] > 0
    assert [one["trader"] for one in told["elections"]][-1] == trader
    assert bazaar("verify", rig.data).returncode == 0
