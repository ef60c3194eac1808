"""`bazaar top`: what it makes of answers, events and metrics, without a terminal and a ring."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bazaar_peer.command.top.latency import Counts, between, counts_of, quantile
from bazaar_peer.command.top.model import Model
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


# ---- the screen


def drawn(model: Model, width: int = 120, height: int = 30) -> str:
    out = io.StringIO()
    Console(file=out, width=width, height=height).print(screen(model, 2.0))
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

    for words in ("trader 1", "epoch 1", "2 of 2 vote", "silent", "peer 1 trades: epoch 1 has",
                  "97", "[bold]ann", "3 salt", "21"):  # fmt: skip
        assert words in shown, words


def test_ring_without_a_trader_and_one_that_nobody_reached_are_told() -> None:
    model = Model([A])
    model.problem = "nobody answers"
    assert "nobody answers" in drawn(model)
    model.answered(1.0, A, view(0, trader=-1))

    assert "no trader" in drawn(model)


@pytest.mark.parametrize("width", [40, 80, 250])
def test_any_terminal_is_wide_enough(width: int) -> None:
    model = Model([A])
    model.answered(1.5, A, view(0))

    assert all(len(line) <= width for line in drawn(model, width).splitlines())
