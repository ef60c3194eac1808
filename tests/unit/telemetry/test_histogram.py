"""Ours shows what prometheus-client's own shows of the same values."""

from __future__ import annotations

import prometheus_client as library
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from bazaar_peer.telemetry.histogram import Histogram

BOUNDS = (0.001, 0.5, 1, 30)
LABELS = {"outcome": ("ok", "failed"), "phase": ("steady", "election")}
TIMES = st.floats(0, 100) | st.sampled_from(BOUNDS)


@pytest.fixture(scope="module", autouse=True)
def _as_a_peer_does() -> None:
    library.disable_created_metrics()  # type: ignore[no-untyped-call]


@given(st.lists(TIMES))
@example(list(BOUNDS))
def test_the_same_values_are_shown_the_same(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    one = Histogram("took_seconds", "How long", {}, BOUNDS, ours)
    other = library.Histogram("took_seconds", "How long", buckets=BOUNDS, registry=theirs)
    for value in values:
        one.observe(value)
        other.observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


@given(st.lists(st.tuples(st.sampled_from(LABELS["outcome"]), TIMES)))
def test_labels_are_shown_the_same_from_the_start(values: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    one = Histogram("took_seconds", "How long", LABELS, BOUNDS, ours)
    other = library.Histogram("took_seconds", "How long", LABELS, buckets=BOUNDS, registry=theirs)
    for outcome in LABELS["outcome"]:
        for phase in LABELS["phase"]:
            other.labels(outcome, phase)
    for outcome, value in values:
        one.labels(outcome, "steady").observe(value)
        other.labels(outcome, "steady").observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


def test_an_unknown_label_is_no_new_series() -> None:
    one = Histogram("took_seconds", "How long", LABELS, BOUNDS, CollectorRegistry())
    with pytest.raises(KeyError):
        one.labels("odd", "steady")
