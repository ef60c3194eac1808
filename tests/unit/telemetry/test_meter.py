"""What becomes of a request in the metrics, and that nothing is unbounded in them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bazaar_operator.metrics import Metrics
from bazaar_peer.core.effects import Note, ReadReady, Reply
from bazaar_peer.core.events import Command, Read
from bazaar_peer.core.messages import COMMAND, Answer
from bazaar_peer.core.outcomes import Status
from bazaar_peer.core.types import MS
from bazaar_peer.market.market import INVALID, UNAVAILABLE
from bazaar_peer.telemetry.catalogue import (
    ELECTION_PHASES,
    ITEMS_MAX,
    OUTCOMES,
    REQUEST_S,
    Catalogue,
)
from bazaar_peer.telemetry.meter import Meter, outcome_of

SERIES_MAX = 300
DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"
COMMON: dict[str, Any] = {
    "request": 1, "kind": COMMAND, "body": b"", "client": "ann", "deadline": 0
}  # fmt: skip
FILLED = b'{"outcome":"filled"}'


class Peer:
    """As much of a core as a meter looks at."""

    commit = 10
    is_trader = False

    def __init__(self) -> None:
        self.follower = self
        self.heard_at = 0

    def hearing(self) -> bool:
        return True


class Run:
    def __init__(self) -> None:
        self.now = 0
        self.catalogue = Catalogue()
        peer: Any = Peer()
        self.meter = Meter(self.catalogue, peer, lambda: self.now)

    def note(self, kind: str, **fields: int | str) -> None:
        self.meter.note(Note(kind, fields))

    def get(self, name: str, **labels: str) -> float:
        found = self.catalogue.registry.get_sample_value(f"bazaar_{name}", labels)
        assert found is not None, f"{name} {labels}"
        return found

    def command(self, took_ms: int, index: int = 11, status: int = 0) -> None:
        mark = self.meter.asked(Command(**COMMON))
        self.now += took_ms * MS
        answer = None if status else Answer(1, 1, 0, 0, index, 1, FILLED)
        self.meter.answered(mark, Reply(1, status, answer))


@pytest.fixture
def run() -> Run:
    """A peer that follows a trader, and forgot what was before."""
    made = Run()
    made.note("follows", epoch=1, trader=2)
    made.now += 1000 * MS
    return made


def answered(body: bytes) -> Reply:
    return Reply(1, Status.OK, Answer(1, 1, 0, 0, 11, 1, body))


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answered(FILLED), "ok"),
        (answered(UNAVAILABLE), "unavailable"),
        (answered(INVALID), "rejected"),
        *((Reply(1, status, None), "rejected") for status in Status if 0 < status < 7),
        (Reply(1, Status.OUT_OF_WINDOW, None), "rejected"),
        (Reply(1, Status.NEVER_SENT, None), "failed"),
        (Reply(1, Status.UNKNOWN, None), "failed"),
    ],
)
def test_every_answer_has_an_outcome(reply: Reply, outcome: str) -> None:
    assert outcome_of(reply) == outcome


def test_request_in_a_steady_ring_and_one_over_an_election_are_told_apart(run: Run) -> None:
    run.command(took_ms=2)
    mark = run.meter.asked(Command(**COMMON))
    run.note("trader_lost", epoch=1)
    run.now += 30 * MS
    run.note("follows", epoch=2, trader=1)
    run.meter.answered(mark, answered(FILLED))
    run.command(took_ms=2)

    name = "request_duration_seconds"
    assert run.get(f"{name}_count", outcome="ok", phase="election") == 1
    assert run.get(f"{name}_sum", outcome="ok", phase="election") == 0.03
    assert run.get(f"{name}_count", outcome="ok", phase="steady") == 2, "before, and after"
    assert run.get("interregnum_seconds_sum", cause="unplanned") == 0.03
    assert run.get("interregnum_last_end_timestamp_seconds") > 0


def test_answer_from_before_the_question_is_a_duplicate_that_was_suppressed(run: Run) -> None:
    run.command(took_ms=1, index=11)
    run.command(took_ms=1, index=10)

    assert run.get("request_duplicates_suppressed_total") == 1


def test_command_that_is_rejected_is_counted_and_not_measured(run: Run) -> None:
    run.meter.answered(run.meter.asked(Command(**COMMON)), answered(INVALID))

    assert run.get("requests_rejected_total") == 1
    for outcome in OUTCOMES:
        assert run.get("request_duration_seconds_count", outcome=outcome, phase="steady") == 0


def test_reads_are_apart(run: Run) -> None:
    for reply in (ReadReady(1), Reply(1, Status.NEVER_SENT, None)):
        mark = run.meter.asked(Read(request=1, linearizable=True, deadline=0))
        run.meter.answered(mark, reply)

    assert run.get("read_duration_seconds_count") == run.get("reads_failed_total") == 1
    assert run.get("request_duration_seconds_count", outcome="failed", phase="steady") == 0


def test_election_that_is_won_and_one_that_is_not(run: Run) -> None:
    run.note("nominee", epoch=2, transfer=1)
    run.note("reign_begun", epoch=2)
    run.note("role_ended", role="trader")
    run.note("nominee", epoch=4, transfer=0)
    run.note("nominee_failed", epoch=4)
    run.note("role_ended", role="nominee")

    assert run.get("election_total", reason="planned", result="won") == 1
    assert run.get("election_total", reason="unplanned", result="failed") == 1


def test_phases_of_an_unplanned_interregnum_that_this_peer_ended_add_up_to_it(run: Run) -> None:
    run.note("trader_lost", epoch=1)
    for kind, after_ms in (("election", 2), ("nominee", 10), ("invested", 5), ("reign_begun", 3)):
        run.now += after_ms * MS
        run.note(kind, epoch=2, transfer=0)

    took = {p: run.get("election_duration_seconds_sum", phase=p) for p in ELECTION_PHASES}
    assert took == {"noticed": 0.002, "elected": 0.015, "begun": 0.003}
    assert run.get("interregnum_seconds_sum", cause="unplanned") == pytest.approx(0.02)


def test_phases_are_told_of_no_hand_over_and_not_by_who_only_follows(run: Run) -> None:
    run.note("nominee", epoch=2, transfer=1)
    run.note("reign_begun", epoch=2)
    run.note("stepped_down", epoch=2)
    run.note("election", epoch=2)
    run.note("follows", epoch=3, trader=1)

    assert run.get("interregnum_seconds_count", cause="planned") == 1
    assert run.get("interregnum_seconds_count", cause="unplanned") == 1
    for phase in ELECTION_PHASES:
        assert run.get("election_duration_seconds_count", phase=phase) == 0


def test_hand_overs_by_result_and_their_time(run: Run) -> None:
    run.note("hand_over", epoch=1)
    run.note("post_reopened", epoch=1)
    run.note("hand_over", epoch=1)
    run.now += 3 * MS
    run.note("role_ended", role="trader")

    assert run.get("hand_overs_total", result="reopened") == 1
    assert run.get("hand_overs_total", result="done") == 1
    assert run.get("hand_over_duration_seconds_sum") == 0.003


def test_what_fails_and_goes_on_is_counted(run: Run) -> None:
    """A full disk (D4), and a copy that cannot be; a write that fails ends the process (R7)."""
    run.meter.full()
    run.note("bad_checkpoint", index=9, why="it ends too early")

    assert run.get("disk_full_total", at="write") == 1
    assert run.get("disk_full_total", at="start") == 0
    assert run.get("checkpoints_refused_total") == 1


# ---- the catalogue


def names(registry: CollectorRegistry) -> set[str]:
    """Return the metrics' names as a query has them, the process's own left out."""
    return {
        f"{family.name}_total" if family.type == "counter" else sample_name(family)
        for family in registry.collect()
        if not family.name.startswith("process_")
    }


def sample_name(family: Any) -> str:
    return f"{family.name}_info" if family.type == "info" else str(family.name)


@pytest.mark.parametrize(("items", "peers"), [(6, 6), (32, 24)])
def test_number_of_series_is_bounded_and_does_not_grow(items: int, peers: int) -> None:
    found = Catalogue([f"item-{n}" for n in range(items)], peers)

    series = [sample for family in found.registry.collect() for sample in family.samples]

    assert len(series) <= SERIES_MAX
    assert len(found.items) <= ITEMS_MAX


def test_buckets_tell_the_goal_of_a_crash_from_its_tail_and_reach_beyond_every_outage() -> None:
    """A crash may cost 1.5 s; who waits to its deadline of at most 60 s must not look the same."""
    steps = [later / earlier for earlier, later in pairwise(REQUEST_S)]

    assert {0.25, 1, 1.5, 5, 10, 30} <= set(REQUEST_S)
    assert max(steps) < 4


def test_item_that_is_called_other_is_one_of_the_rest() -> None:
    assert Catalogue(["salt", "other", "silk"]).items == ("salt", "silk")


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    documented = set(re.findall(r"^\| `(bazaar_\w+)`", DOCUMENT.read_text(), re.MULTILINE))

    assert documented == names(Catalogue().registry) | names(Metrics().registry)
