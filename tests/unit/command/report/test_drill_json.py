"""What is no drill.json is refused in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from bazaar_peer.command.report import drill_json


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("bazaar_drill", 2, "bazaar_drill"),
        ("peers", "six", "peers"),
        ("orders", [[0.0, -1.0, "ok", 0, 1]], "orders"),
        ("orders", [[0.0, 1.0, "perhaps", 0, 1]], "perhaps"),
        ("orders", [[0.0, math.nan, "ok", 0, 1]], "orders"),
        ("seconds", 1e300, "seconds"),
        ("command", "x" * 20_000, "command"),
    ],
)
def test_a_wrong_field_is_named(
    drill: dict[str, Any], field: str, value: object, said: str
) -> None:
    with pytest.raises(drill_json.ReportError, match=said):
        drill_json.of({**drill, field: value})


def test_a_missing_field_is_named(drill: dict[str, Any]) -> None:
    del drill["lost"]

    with pytest.raises(drill_json.ReportError, match="lost"):
        drill_json.of(drill)


def test_fields_of_a_newer_drill_are_left_alone(drill: dict[str, Any]) -> None:
    drill["weather"] = "rain"
    drill["faults"][0]["weather"] = "rain"

    assert drill_json.of(drill).faults[0].interregnum_ms == 12.5


@pytest.mark.parametrize("text", ["", "{", "[1]", '"drill"', "\xff"])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "drill.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(drill_json.ReportError, match=r"drill\.json"):
        drill_json.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(drill_json.ReportError, match="No such file"):
        drill_json.read(tmp_path / "drill.json")


def test_the_mean_is_unknown_when_only_a_sample_is_left(drill: dict[str, Any]) -> None:
    """The slowest orders are kept always, so a sample's mean is too high."""
    own = [order[1] for order in drill["orders"] if order[2] == "ok"]

    assert drill_json.of(drill).mean_ms == pytest.approx(sum(own) / 39)
    assert drill_json.of({**drill, "orders_sampled_of": 4000}).mean_ms is None
    drill["latency_ms"]["mean"] = 1.375
    assert drill_json.of({**drill, "orders_sampled_of": 4000}).mean_ms == 1.375


def test_orders_that_were_not_done_have_no_part_in_the_mean(drill: dict[str, Any]) -> None:
    before = drill_json.of(drill).mean_ms
    drill["orders"] += [[5.0, 10_000.0, "unknown", 0, 9], [5.1, 900.0, "rejected", 0, 1]]
    drill["orders_sampled_of"] = 42

    assert drill_json.of(drill).mean_ms == before
    slowest = drill_json.of(drill).slowest
    assert slowest is not None
    assert slowest.latency_ms == 41.5
