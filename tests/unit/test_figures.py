"""The end-to-end tests' own figures: added up over sessions, and only what was audited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.figures import Drill, Figures, Run

COUNTS = {"sent": 40, "acknowledged": 39, "failed": 1, "retried": 2, "lost": 0, "twice": 0}


def one(*gaps: float, audited: bool = True) -> Figures:
    figures = Figures()
    drills = [Drill(0.0, 1.0, gap, 1, [gap / 10]) for gap in gaps]
    figures.runs.append(Run("crash", 3, drills, dict(COUNTS), version="abc", audited=audited))
    return figures


def test_a_session_adds_its_drills_to_those_before(tmp_path: Path) -> None:
    one(10.0, 20.0).write(tmp_path)
    second = one(30.0)
    second.read(tmp_path)
    second.write(tmp_path)

    third = Figures()
    third.read(tmp_path)
    (crash,) = third.summary()
    assert (crash["drills"], crash["sent"], crash["failed"]) == (3, 80, 2)
    assert crash["gap_ms"] == {"p50": 20.0, "p90": 30.0, "p99": 30.0, "max": 30.0}


def test_a_run_that_ended_early_is_named_and_not_summed(tmp_path: Path) -> None:
    figures = one(10.0)
    figures.runs += one(5.0, 5.0, audited=False).runs
    assert [line["drills"] for line in figures.summary()] == [1]
    assert figures.table()[-1] == "\nEnded early, not summed: crash, 2 drills at abc"


def test_the_versions_of_kubernetes_are_told() -> None:
    figures = one(10.0)
    figures.runs += one(5.0).runs
    assert figures.table()[-1].startswith("| crash |"), "none is known"
    figures.runs[0].kubernetes, figures.runs[1].kubernetes = "v1.34.4", "v1.30.14"
    assert figures.table()[-1] == "\nOn Kubernetes v1.30.14, v1.34.4"


def test_a_folder_without_figures_adds_nothing(tmp_path: Path) -> None:
    figures = Figures()
    figures.read(tmp_path)
    assert figures.runs == []


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text('{"drills": 3}')
    with pytest.raises(ValueError, match=r"figures\.json has no figures of drills; move it away"):
        Figures().read(tmp_path)


def test_lanes_are_summed_up_together() -> None:
    figures = one(10.0)
    figures.take(json.loads(json.dumps(one(30.0).told())))
    (crash,) = figures.summary()
    assert (crash["drills"], crash["sent"], crash["gap_ms"]["max"]) == (2, 80, 30.0)
