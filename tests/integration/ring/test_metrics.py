"""What Prometheus sees of a real ring: one trader, and what each way to change it costs."""

from __future__ import annotations

import signal
import urllib.request
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bazaar_peer.telemetry.catalogue import ELECTION_PHASES
from bench.rig import Ring, kill
from tests.integration.ring.conftest import (
    StartRing,
    ask,
    buying,
    deposit,
    order,
    reigns,
    trader_of,
    until,
)


class Scrape(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The samples of one peer, at one moment."""

    def get_one(self, name: str, **labels: str) -> float:
        return self[f"bazaar_{name}", frozenset(labels.items())]


def scrape(rig: Ring, peer: int) -> Scrape:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{rig.ports[peer]}/metrics", timeout=10
    ) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text = answer.read().decode()
    found = Scrape()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def all_of(rig: Ring) -> list[Scrape]:
    return [scrape(rig, peer) for peer in range(3)]


def test_trader_is_one_and_the_market_is_the_same_everywhere(start: StartRing) -> None:
    rig = start(3, "--no-agents")
    trader = trader_of(rig)["id"]
    assert deposit(rig, 0, "stock", 100).status == 200
    sold = order(rig, 1, "one", quantity=40)
    assert sold.status == order(rig, 1, "one", quantity=40).status == 200
    index = {"Bazaar-Index": sold.headers["bazaar-index"]}
    for peer in range(3):
        assert ask(rig, peer, "GET /v1/stock", headers=index).status == 200

    seen = all_of(rig)

    assert [one.get_one("is_trader") for one in seen] == [peer == trader for peer in range(3)]
    for one in seen:
        assert one.get_one("trader_ordinal") == trader
        assert one.get_one("goods_on_offer", item="salt") == 60
        assert one.get_one("goods_sold_total", item="salt") == 40
        assert one.get_one("trades_total") == 1
        assert one.get_one("money_paid_total") == sold.body["paid"]
        assert one.get_one("ring_voters") == one.get_one("ring_members_expected") == 3
    asked = seen[1]
    assert asked.get_one("request_duration_seconds_count", outcome="ok", phase="steady") == 2
    assert asked.get_one("request_duplicates_suppressed_total") == 1


@pytest.mark.parametrize("planned", [False, True])
def test_interregnum_and_what_it_cost_are_seen(start: StartRing, planned: bool) -> None:
    rig = start(3, "--no-agents", "--restart-after", "0.2")
    assert deposit(rig, 0, "stock", 100_000).status == 200
    old = trader_of(rig)

    with buying(rig):
        if planned:
            assert ask(rig, old["id"], "POST /v1/resign").status == 202
        else:
            kill(old["pid"], signal.SIGKILL)
        until(lambda: (rig.trader() or old)["epoch"] > old["epoch"], "the next reign")
        new = trader_of(rig)["id"]
    other = 3 - old["id"] - new
    seen: dict[str, Any] = {"cause": "planned" if planned else "unplanned"}

    scraped = {peer: scrape(rig, peer) for peer in range(3)}
    # Two, unless the machine was so busy that one more trader was lost; nobody has to see them all.
    begun = reigns(rig.data, 3)
    assert len(begun) >= 2

    for peer in (new, other):
        one = scraped[peer]
        assert 1 <= one.get_one("interregnum_seconds_count", **seen) < len(begun)
        assert 0 < one.get_one("interregnum_seconds_sum", **seen) < 30
        assert 2 <= one.get_one("trader_changes_total") <= len(begun)
        assert one.get_one("second_traders_refused_total") == 0
    won = scraped[new]
    assert won.get_one("election_total", reason=seen["cause"], result="won") >= 1
    assert won.get_one("is_trader") == 1
    phases = [won.get_one("election_duration_seconds_sum", phase=p) for p in ELECTION_PHASES]
    whole = 0 if planned else won.get_one("interregnum_seconds_sum", **seen)
    assert sum(phases) == pytest.approx(whole) or len(begun) > 2
    ended = scraped[old["id"]]
    assert ended.get_one("is_trader") == 0
    assert ended.get_one("hand_overs_total", result="done") == planned
