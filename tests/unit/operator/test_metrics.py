"""The operator's metrics: which series there are before anything has happened."""

from __future__ import annotations

import pytest

from bazaar_operator import manifests
from bazaar_operator.metrics import CODES, Metrics, code_of
from tests.unit.operator.resources import EVERYTHING, bazaar

OF_A_BAZAAR = {
    "bazaar_operator_reconcile_last_success_timestamp_seconds",
    "bazaar_operator_cluster_phase",
}


def series(metrics: Metrics) -> set[tuple[str, tuple[str, ...]]]:
    return {
        (sample.name, tuple(sample.labels.values()))
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def test_every_child_is_there_from_the_start() -> None:
    begun = Metrics()
    families = {family.name: len(family.samples) for family in begun.registry.collect()}

    assert {name for name, count in families.items() if not count} == OF_A_BAZAAR


def test_nothing_that_happens_adds_a_series() -> None:
    begun = Metrics()
    before = series(begun)

    for status in (0, 200, 201, 304, 400, 403, 404, 409, 410, 422, 429, 500, 503):
        begun.count_request(status)
    for manifest in manifests.build(bazaar(EVERYTHING), replicas=9):
        begun.repairs.labels(manifest["kind"]).inc()
        begun.told(manifest["kind"])
    for kind in ("Bazaar", "Pod", "Secret", ""):
        begun.told(kind)

    assert series(begun) == before


def test_kinds_are_those_that_the_builders_make() -> None:
    built = manifests.build(bazaar(EVERYTHING), replicas=9)

    assert {manifest["kind"] for manifest in built} == set(manifests.KINDS)


@pytest.mark.parametrize(
    ("status", "code"), [(0, "none"), (201, "2xx"), (409, "409"), (429, "4xx"), (503, "5xx")]
)
def test_answer_is_counted_by_class_or_by_what_it_means_here(status: int, code: str) -> None:
    assert code_of(status) == code
    assert code in CODES
