"""When a ring is settled, and what its peers say of themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import generate_latest

from bazaar_peer.command.drill.local import is_loopback
from bazaar_peer.command.drill.place import (
    Interregna,
    View,
    interregna_of,
    settled,
    unsettled,
    view_of,
)
from bazaar_peer.command.drill.plan import DrillError
from bazaar_peer.telemetry.catalogue import CAUSES, Catalogue
from tests.unit.command.drill.ring import FakeRing, view


def answer(me: int, *, ring: str = "r", **own: Any) -> dict[str, Any]:
    """What peer `me` of three answers to GET /v1/ring."""
    rows: list[dict[str, Any]] = [
        {"id": peer, "url": f"http://127.0.0.1:{8600 + peer}", "voter": True} for peer in range(3)
    ]
    rows[me] |= {"pid": 100 + me, "trader": 2, "epoch": 1, "applied_index": 10, **own}
    return {"ring": ring, "waits": "", "peers": rows}


def changed(peer: int, **fields: Any) -> View:
    """A settled ring, but for one peer."""
    lines = tuple(replace(line, **fields) if line.peer == peer else line for line in view().lines)
    return replace(view(), lines=lines)


def test_ring_in_which_all_agree_is_settled() -> None:
    answers = [answer(peer) for peer in range(3)]

    assert view_of(answers[0], answers) == view()
    assert unsettled(view()) == ""


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (changed(1, pid=0), "no answer from peer 1"),
        (changed(2, trader=1), "there is no trader"),
        (changed(0, trader=-1), "peer 0 follows nobody"),
        (changed(0, epoch=0), "peer 0 follows 2, and 2 trades in epoch 1"),
        (changed(2, applied=500), "peer 0 is 490 entries behind"),
        (changed(1, voter=False), "peer 1 has no vote yet"),
        (replace(view(), waits="peer 3 copies"), "the ring changes: peer 3 copies"),
    ],
)
def test_ring_that_waits_for_something_is_not_settled(seen: View, said: str) -> None:
    assert said in unsettled(seen)


def test_trader_is_who_claims_the_newest_epoch() -> None:
    """A trader that was stopped believes in its own reign until it hears of the next one."""
    lines = (*changed(1, trader=1, epoch=2).lines,)

    trader = replace(view(), lines=lines).trader

    assert trader is not None
    assert trader.peer == 1


def test_member_that_answers_for_another_ring_is_silent() -> None:
    answers = [answer(0), answer(1, ring="other"), None]

    assert [line.pid for line in view_of(answers[0] or {}, answers).lines] == [100, 0, 0]


async def test_ring_that_does_not_settle_is_given_up_with_what_it_waits_for() -> None:
    ring = FakeRing()
    ring.view = changed(1, pid=0)

    with pytest.raises(DrillError, match=r"did not settle within 0 s: no answer from peer 1"):
        await settled(ring)


def test_interregna_are_read_as_peers_show_them() -> None:
    catalogue = Catalogue((), 1)
    for cause in CAUSES:
        catalogue.interregnum.labels(cause).observe(0.25)
    catalogue.interregnum.labels(CAUSES[0]).observe(0.5)

    catalogue.interregnum_at.set(1_700_000_000.123456)

    assert CAUSES == ("unplanned", "planned")
    found = interregna_of(generate_latest(catalogue.registry).decode())

    assert found == Interregna(3, 1.0, 1_700_000_000.123456, planned=1)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8600", True),
        ("http://localhost:8600", True),
        ("http://[::1]:8600", True),
        ("http://192.168.0.7:8600", False),
        ("http://bazaar-0.bazaar-peers:8600", False),
        ("http://0.0.0.0:8600", False),
        ("nonsense", False),
        ("http://[", False),
    ],
)
def test_url_is_of_this_machine_or_not(url: str, here: bool) -> None:
    assert is_loopback(url) is here
