"""`bazaar top`: what it makes of answers, events and metrics, without a terminal and a ring."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bazaar_peer.command.drill.place import Interregna
from bazaar_peer.command.top.charts import Sample, bar, latency_chart
from bazaar_peer.command.top.latency import Counts, between, counts_of, quantile
from bazaar_peer.command.top.model import Model
from bazaar_peer.command.top.reigns import Reigns
from bazaar_peer.command.top.screen import screen
from bazaar_peer.command.top.story import SENTENCES, Story, sentence

CORE = Path(__file__).parents[4] / "peer/bazaar_peer/core"
A, B = "http://a:1", "http://b:1"


def row(peer: int, **own: Any) -> dict[str, Any]:
    return {"id": peer, "incarnation": 0, "voter": True, "url": A if peer == 0 else B, **own}


def view(me: int, *, epoch: int = 1, trader: int = 1, commit: int = 10) -> dict[str, Any]:
    """What peer `me` of two answers."""
    own = {"pid": 1, "role": "both", "trader": trader, "epoch": epoch, "applied_index": commit,
           "clock": {"0.0": 1}}  # fmt: skip
    return {
        "epoch": epoch, "trader": trader, "commit_index": commit, "size": 2,
        "peers": [row(peer, **(own if peer == me else {})) for peer in (0, 1)],
    }  # fmt: skip


# ---- the story


def test_every_note_that_is_told_is_one_of_the_core() -> None:
    noted = set()
    for path in CORE.glob("*.py"):
        noted |= set(re.findall(r'note\(\s*"(\w+)"', path.read_text()))

    assert SENTENCES.keys() <= noted


def test_same_of_several_peers_a_moment_apart_is_one_line() -> None:
    story = Story()
    for at, peer in ((1.0, 3), (1.1, 1), (1.2, 2)):
        story.tell(at, peer, "follows", {"trader": 5, "epoch": 8})
    story.tell(9.0, 4, "follows", {"trader": 5, "epoch": 8})

    assert [line.text() for line in story.lines] == [
        "peers 1, 2 and 3 follow trader 5 of epoch 8",
        "peer 4 follows trader 5 of epoch 8",
    ]


def test_text_of_others_is_never_markup_and_a_field_may_be_missing() -> None:
    assert sentence("trader_lost", {"trader": 1, "why": "[red]x[/red]"}) == (
        r"lost trader 1 of epoch ?: \[red]x\[/red]"
    )
    assert sentence("heartbeat", {"epoch": 1}) == ""


# ---- latency

SCRAPE = """\
# TYPE bazaar_request_duration_seconds histogram
bazaar_request_duration_seconds_bucket{outcome="ok",phase="steady",le="0.001"} %(fast)d
bazaar_request_duration_seconds_bucket{outcome="ok",phase="steady",le="0.01"} %(all)d
bazaar_request_duration_seconds_bucket{outcome="ok",phase="steady",le="+Inf"} %(all)d
bazaar_request_duration_seconds_count{outcome="ok",phase="steady"} %(all)d
bazaar_request_duration_seconds_sum{outcome="ok",phase="steady"} 1
bazaar_request_duration_seconds_count{outcome="failed",phase="steady"} %(failed)d
bazaar_request_duration_seconds_sum{outcome="failed",phase="steady"} 1
"""


def scraped(fast: int, every: int, failed: int = 0) -> Counts:
    return counts_of(SCRAPE % {"fast": fast, "all": every, "failed": failed})


def test_percentiles_and_rates_are_of_what_came_in_between() -> None:
    old, new = scraped(1000, 1000), scraped(1050, 1100, failed=20)

    found = between({0: old}, {0: new}, 10.0)

    assert (found.per_s, found.failed_per_s) == (10.0, 2.0)
    assert found.p50_ms == pytest.approx(1.0)
    assert found.p99_ms == pytest.approx(1 + 9 * 0.98)


def test_process_that_began_anew_counts_from_nothing_and_a_new_one_not_yet() -> None:
    old, new = scraped(1000, 1000), scraped(0, 50)

    assert between({0: old}, {0: new}, 10.0).per_s == 5.0
    assert between({}, {0: new}, 10.0).per_s == 0.0


@pytest.mark.parametrize(
    ("buckets", "found"),
    [({}, math.nan), ({1.0: 0, math.inf: 4}, 1.0), ({1.0: 4, math.inf: 4}, 0.5)],
)
def test_quantile_stays_within_the_buckets(buckets: dict[float, float], found: float) -> None:
    assert quantile(0.5, buckets) == pytest.approx(found, nan_ok=True)


# ---- the model


def test_newest_view_wins_and_every_peer_tells_its_own_row() -> None:
    model = Model([A])
    model.answered(1.0, A, view(0, epoch=2, commit=20))
    model.answered(1.0, B, view(1, epoch=1, commit=15))

    assert (model.ring["epoch"], model.ring["commit_index"]) == (2, 20)
    assert model.rows[1]["epoch"] == 1
    assert model.urls == [B, A], "who answered last is asked first"


def test_who_began_by_tls_goes_on_by_it() -> None:
    """Where the others can be asked so: an Ingress may end it before the first one."""
    found = []
    for asked in ("https://shop-client:8602", A):
        told = view(0)
        told["peers"][1] |= {"https": "https://shop-1.shop-peers:8602"}
        model = Model([asked])
        model.answered(1.0, asked, told)
        found.append(model.urls)

    assert found == [["https://shop-client:8602", A, "https://shop-1.shop-peers:8602"], [A, B]]


def test_peer_that_died_is_asked_last_and_shown_as_silent() -> None:
    model = Model([A])
    for peer, url in ((1, B), (0, A)):
        model.answered(1.0, url, view(peer))
    model.lost(A, "refused")

    assert model.urls == [B, A]
    assert model.is_silent(0, 9.0)
    assert not model.is_silent(1, 2.0)


def test_trade_that_several_peers_tell_is_shown_once() -> None:
    model = Model([A])
    for peer in (0, 1):
        for index in (7, 8):
            model.happened(1.0, peer, "trade", {"index": index, "item": "salt"})

    assert [trade["index"] for trade in model.trades] == [7, 8]


# ---- reigns


def counted(ended: int, seconds: float, planned: int = 0) -> Interregna:
    return Interregna(ended, seconds, planned=planned)


@pytest.mark.parametrize("late", [False, True])
def test_reign_is_told_with_what_its_trader_counted_whichever_is_seen_first(late: bool) -> None:
    reigns = Reigns()
    reigns.traded(1.0, 5, 1)
    reigns.counted(1.0, 4, counted(2, 1.0, planned=1))
    if late:
        reigns.traded(2.0, 4, 2)
    reigns.counted(2.2, 4, counted(3, 1.004, planned=2))
    if not late:
        reigns.traded(2.4, 4, 2)

    assert [(one.epoch, one.trader, one.is_first) for one in reigns.seen] == [
        (1, 5, True), (2, 4, False),
    ]  # fmt: skip
    assert reigns.seen[0].spell_ms is None
    assert reigns.seen[1].spell_ms == pytest.approx(4.0)
    assert reigns.seen[1].is_planned


@pytest.mark.parametrize(
    ("peer", "ended", "at"),
    [(3, 3, 2.0), (4, 4, 2.0), (4, 1, 2.0), (4, 3, 9.0)],
    ids=["another peer's", "two of them", "a process that began anew", "of another time"],
)
def test_what_may_be_of_another_interregnum_is_not_told(peer: int, ended: int, at: float) -> None:
    reigns = Reigns()
    reigns.traded(1.0, 5, 1)
    reigns.counted(1.0, 4, counted(2, 1.0))
    reigns.traded(2.0, 4, 2)
    reigns.counted(at, peer, counted(ended, 1.5))

    assert reigns.seen[-1].spell_ms is None


def test_an_older_view_and_no_trader_are_no_reign() -> None:
    reigns = Reigns()
    for trader, epoch in ((5, 3), (4, 2), (-1, 4), (5, 3)):
        reigns.traded(1.0, trader, epoch)

    assert [one.epoch for one in reigns.seen] == [3]


# ---- pictures of characters


def test_bar_grows_with_what_it_shows_and_stays_within_its_columns() -> None:
    drawn = [bar(value, 4096, 6) for value in (0, 1, 10, 100, 4096, 10**9)]

    assert drawn[0] == ""
    assert [len(one) for one in drawn] == sorted(len(one) for one in drawn)
    assert drawn[-1] == drawn[-2] == "█" * 6


def test_latency_chart_has_every_decade_and_a_band_of_epochs() -> None:
    samples = [
        *[Sample(0.4, 2.0, 8, 5)] * 4,
        Sample(math.nan, math.nan, 8, -1),
        *[Sample(1.5, 400.0, 12, 4)] * 3,
    ]
    rows = latency_chart(samples, 40, 7).plain.splitlines()

    assert [len(row) for row in rows] == [9 + 8] * 7
    assert [rows[at][:9] for at in (0, 5)] == [" 1000 ms ", "  0.1 ms "]
    assert rows[6] == "   epoch 8   ×12 "
    drawn = [[row[9 + column] for row in rows[:6]] for column in range(8)]
    assert ["■" in column for column in drawn] == [True] * 4 + [False] + [True] * 3
    assert drawn[7].index("□") < drawn[0].index("□") < drawn[0].index("■"), "slower is higher"


def test_latency_chart_keeps_to_its_width_and_shows_the_newest() -> None:
    samples = [Sample(1.0, 2.0, epoch, 1) for epoch in range(100)]
    rows = latency_chart(samples, 29, 6).plain.splitlines()

    assert all(len(row) == 29 for row in rows)
    assert "no order" in latency_chart([], 29, 6).plain


def test_samples_are_of_the_time_between_two_scrapes() -> None:
    model = Model([A])
    model.answered(1.0, A, view(0))
    for at, fast, every in ((1.0, 0, 0), (2.0, 100, 100), (3.0, 100, 200)):
        model.counted(at, {0: scraped(fast, every)})

    assert [one.p50_ms > 1.0 for one in model.samples] == [False, True]
    assert {(one.epoch, one.trader) for one in model.samples} == {(1, 1)}


# ---- the screen


def drawn(model: Model, width: int = 120, height: int = 30) -> str:
    out = io.StringIO()
    Console(file=out, width=width, height=height).print(screen(model, 2.0, width, height))
    return out.getvalue()


def test_screen_shows_trader_epoch_story_and_goods() -> None:
    model = Model([A])
    model.answered(1.5, A, view(0))
    model.happened(1.5, 1, "reign_begun", {"epoch": 1})
    model.happened(1.5, 1, "trade", {
        "index": 7, "buyer": "[bold]ann", "item": "salt", "quantity": 3, "paid": 21,
    })  # fmt: skip
    model.stock = {"salt": {"on_offer": 97}}

    shown = drawn(model)

    assert "latency: p50" in shown
    for words in ("trader 1", "epoch 1", "2 of 2 vote", "silent", "peer 1 trades: epoch 1 has",
                  "97", "[bold]ann", "3 salt", "21"):  # fmt: skip
        assert words in shown, words


def test_ring_without_a_trader_and_one_that_nobody_reached_are_told() -> None:
    model = Model([A])
    model.problem = "nobody answers"
    assert "nobody answers" in drawn(model)
    model.answered(1.0, A, view(0, trader=-1))

    assert "no trader" in drawn(model)


def test_little_room_goes_to_the_ring_and_the_story() -> None:
    model = Model([A])
    model.answered(1.5, A, view(0))
    model.happened(1.5, 1, "reign_begun", {"epoch": 1})

    shown = drawn(model, 80, 18)

    assert "latency:" not in shown
    assert "peer 1 trades" in shown


def test_a_reign_is_shown_with_what_it_followed() -> None:
    model = Model([A])
    for at, epoch, ended, seconds in ((0.5, 1, 0, 0.0), (1.5, 2, 1, 0.0042)):
        model.answered(at, A, view(0, epoch=epoch))
        counts = Counts({}, {}, Interregna(ended, seconds, planned=ended))
        model.counted(at, {1: counts})

    shown = drawn(model)

    assert "planned, 4.2 ms" in shown
    assert "> 2 s ago" in shown


@pytest.mark.parametrize("width", [40, 80, 250])
def test_any_terminal_is_wide_enough(width: int) -> None:
    model = Model([A])
    model.answered(1.5, A, view(0))

    assert all(len(line) <= width for line in drawn(model, width).splitlines())
