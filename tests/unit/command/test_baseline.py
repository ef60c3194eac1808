"""The Pyro4 baseline: what is missing is told before anything is measured, and its line is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bazaar_peer.command import baseline

FOUND = {"n": 1200, "ok": 1200, "p50": 1.32, "p95": 2.0, "p99": 3.5, "max": 40.0, "rps": 700}


def test_its_line_is_read() -> None:
    found = baseline.read(json.dumps(FOUND))

    assert (found.mean_ms, found.p50_ms, found.p99_ms, found.max_ms) == (1.429, 1.32, 3.5, 40.0)


def test_orders_that_it_lost_are_not_compared() -> None:
    with pytest.raises(baseline.BaselineError, match="3 orders of the Pyro4 baseline failed"):
        baseline.read(json.dumps({**FOUND, "ok": 1197}))


def test_an_installed_package_has_no_baseline_and_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(baseline.BaselineError, match="a checkout of the project"):
        baseline.check(tmp_path / "bench/pyro4_baseline.py")


def test_a_checkout_has_it() -> None:
    assert baseline.SCRIPT.is_file()


def test_a_baseline_that_fails_is_told(tmp_path: Path) -> None:
    """Pyro4 itself is not needed to tell that."""
    script = tmp_path / "pyro4_baseline.py"
    script.write_text("raise SystemExit('no name server')\n")

    with pytest.raises(baseline.BaselineError, match="failed: no name server"):
        baseline.run(5, 10, script)
